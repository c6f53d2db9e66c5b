"""A failing schedule made short: whatever can be left out while it still fails is left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from rebalancer.rehearsal.driver import play
from rebalancer.rehearsal.stage import Stage
from rebalancer.simulators.faults.schedule import Hour, Schedule

MOST_PLAYS = 200
MOST_SECONDS = 20.0
"""How many schedules are tried at most, and how long; what is left then is short enough."""

Fails = Callable[[Schedule], bool]


def shrink(
    stage: Stage, schedule: Schedule, *, monotonic: Callable[[], float] = time.monotonic
) -> Schedule | None:
    """Return a schedule as short as can be found that breaks the same invariant.

    None when it breaks none: what was found did not come of the schedule.
    """
    meant, end = _broken(stage, schedule), monotonic() + MOST_SECONDS
    if not meant:
        return None
    return shortened(
        schedule, lambda each: monotonic() < end and bool(meant & _broken(stage, each))
    )


def shortened(schedule: Schedule, fails: Fails, *, most: int = MOST_PLAYS) -> Schedule:
    """Return the shortest schedule found by leaving out one thing after the other.

    Each round begins anew with what was found; it ends when nothing more can be left out or
    after `most` tries. `fails` is asked of each candidate.
    """
    left = most
    going_on = True
    while going_on and left > 0:
        going_on = False
        for candidate in _shorter(schedule):
            if left <= 0:
                break
            left -= 1
            if fails(candidate):
                schedule, going_on = candidate, True
                break
    return schedule


def _broken(stage: Stage, schedule: Schedule) -> frozenset[str]:
    """Return the names of the invariants that a schedule breaks."""
    return frozenset(each.invariant for each in play(stage, schedule).violations)


def _shorter(schedule: Schedule) -> Iterator[Schedule]:
    """Yield schedules that lack one thing, the largest things first."""
    hours = schedule.hours
    for place in reversed(range(len(hours))):
        if len(hours) > 1:
            yield replace(schedule, hours=hours[:place] + hours[place + 1 :])
    for place, hour in enumerate(hours):
        for simpler in _simpler(hour):
            yield replace(schedule, hours=(*hours[:place], simpler, *hours[place + 1 :]))
    if schedule.post:
        yield replace(schedule, post=False)
    if schedule.protect:
        yield replace(schedule, protect=False)


def _simpler(hour: Hour) -> Iterator[Hour]:
    for place in range(len(hour.troubles)):
        yield replace(hour, troubles=hour.troubles[:place] + hour.troubles[place + 1 :])
    for place in range(len(hour.happenings)):
        yield replace(hour, happenings=hour.happenings[:place] + hour.happenings[place + 1 :])
    if hour.dry:
        yield replace(hour, dry=False)
    if hour.again:
        yield replace(hour, again=False)
    if hour.minutes != 60:
        yield replace(hour, minutes=60)
    for name in sorted(hour.wanted):
        if len(hour.wanted) > 1:
            yield replace(hour, wanted={k: v for k, v in hour.wanted.items() if k != name})

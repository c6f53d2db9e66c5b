"""A failing schedule is made short without losing what fails."""

from __future__ import annotations

from dataclasses import replace

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.shrink import shortened, shrink
from rebalancer.simulators.faults.schedule import Happening, Hour, Schedule, Trouble

BAD = Trouble("answer-lost", at="reqPositions", nth=2)
NOISE = Trouble("disk-full", nth=7)
LONG = Schedule(
    venue="ib",
    seed=11,
    hours=(
        Hour(60, {"A": "0.1", "B": "0.2"}, (NOISE,)),
        Hour(5, {"A": "0.3", "B": "0.1"}, (NOISE, BAD), (Happening("deposit"),), dry=True),
        Hour(1440, {}, (), (Happening("no-signal"),), again=True),
    ),
    post=True,
    protect=True,
)


def _has_the_bad_one(schedule: Schedule) -> bool:
    return any(BAD in hour.troubles for hour in schedule.hours)


def test_only_what_makes_it_fail_is_left() -> None:
    short = shortened(LONG, _has_the_bad_one)
    assert short.seed == LONG.seed
    assert short.calm == LONG.calm
    (hour,) = short.hours
    assert hour.troubles == (BAD,)
    assert hour.happenings == ()
    assert (hour.dry, hour.again, hour.minutes, len(hour.wanted)) == (False, False, 60, 1)
    assert (short.post, short.protect) == (False, False)


def test_two_hours_that_are_both_needed_stay() -> None:
    short = shortened(LONG, lambda each: len(each.hours) >= 2 and _has_the_bad_one(each))
    assert len(short.hours) == 2


def test_a_command_stays_one_while_it_is_made_short() -> None:
    sale = Hour(20, {}, (NOISE, BAD), (Happening("halt-file-between"),), command="flatten")
    schedule = replace(LONG, hours=(LONG.hours[0], sale, LONG.hours[2]))
    short = shortened(
        schedule, lambda each: any(h.command and BAD in h.troubles for h in each.hours)
    )
    assert short.hours == (Hour(60, {}, (BAD,), command="flatten"),)


def test_so_many_tries_and_no_more() -> None:
    tried: list[Schedule] = []

    def never(schedule: Schedule) -> bool:
        tried.append(schedule)
        return len(tried) % 2 == 0

    shortened(LONG, never, most=7)
    assert len(tried) == 7


def test_what_never_fails_again_stays_as_it_is() -> None:
    assert shortened(LONG, lambda _each: False) is LONG


def test_a_schedule_that_breaks_nothing_when_it_is_played_again_has_no_short_one() -> None:
    sound = Schedule(venue="ib", seed=1, hours=(Hour(60, {"KO.STK.USD@IB": "0.1"}),))
    assert shrink(Stages("")("ib"), sound) is None

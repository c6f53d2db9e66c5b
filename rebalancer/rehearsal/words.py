"""A schedule in words, for people who read what went wrong."""

from __future__ import annotations

from collections.abc import Iterator

from rebalancer.simulators.faults.schedule import Happening, Hour, Schedule, Trouble


def schedule_words(schedule: Schedule) -> Iterator[str]:
    """Yield the lines that tell a schedule, an hour a line and what goes wrong below it."""
    more = [
        word
        for word, given in (("mail and database", schedule.post), ("ladder", schedule.protect))
        if given
    ]
    with_more = f", with {' and '.join(more)}" if more else ""
    yield f"seed {schedule.seed} at {schedule.venue}{with_more}"
    for number, hour in enumerate(schedule.hours, 1):
        yield f"  {number}. {hour_words(hour)}"
        for happening in hour.happenings:
            yield f"     before it: {happening_words(happening)}"
        for trouble in hour.troubles:
            yield f"     in it: {trouble_words(trouble)}"
    yield f"  then {schedule.calm} calm runs"


def hour_words(hour: Hour, *, calm: bool = False) -> str:
    """Return when a run comes, how, and what is wanted then."""
    if calm:
        return "a calm run"
    if hour.again:
        when = "the same slot once more"
    elif hour.minutes >= 1440:
        when = f"{hour.minutes / 1440:g} days later"
    else:
        when = f"{hour.minutes} minutes later"
    if hour.command:
        return f"{when} the owner types `rebalancer {hour.command}`"
    wanted = ", ".join(
        f"{name.partition('.')[0]} {weight}" for name, weight in sorted(hour.wanted.items())
    )
    dry = ", a dry run" if hour.dry else ""
    return f"{when}{dry}; wanted: {wanted or 'as before'}"


def trouble_words(trouble: Trouble) -> str:
    """Return a trouble as its fields say it."""
    at = f" at {trouble.at}" if trouble.at else ""
    nth = f" number {trouble.nth}" if trouble.nth != 1 else ""
    many = "" if trouble.count == 1 else f", {trouble.count or 'all'} times"
    said = [
        f"code {trouble.code}" if trouble.code else "",
        f"{trouble.seconds:g} s" if trouble.seconds else "",
        f"quantity {trouble.quantity}" if trouble.quantity else "",
        trouble.subject,
        trouble.text,
    ]
    more = ", ".join(word for word in said if word)
    return f"{trouble.fault}{at}{nth}{many}{f' ({more})' if more else ''}"


def happening_words(happening: Happening) -> str:
    """Return a happening as its fields say it."""
    more = " ".join(
        each for each in (happening.subject, happening.quantity, happening.text) if each
    )
    return f"{happening.what}{f' ({more})' if more else ''}"

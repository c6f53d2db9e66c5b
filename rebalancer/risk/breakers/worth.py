"""Breakers about what the account is worth, against what it was worth when a run accepted it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from rebalancer.model.flags import LatchedFlag
from rebalancer.model.records import Standing
from rebalancer.risk.breakers.latches import Breaker, Observed, at_its_time, never
from rebalancer.risk.words import money, percent


def day_reference(standing: Standing, session: date | None, moved: Decimal) -> Decimal | None:
    """Return what the loss of `session` counts from; None when nothing is known.

    Within a session what it began with; before its first accepted run the last accepted value
    of the session before, so that the gap between two sessions counts. A session whose loss
    passed its limit leaves the value of that moment: each session has a limit of its own.
    """
    if session is None or standing.session is None or session < standing.session:
        return None
    if session == standing.session:
        start = standing.session_start_net_liquidation
    else:
        start = standing.next_session_reference or standing.accepted_net_liquidation
    return None if start is None or start + moved <= 0 else start + moved


def window_high(standing: Standing, now: datetime, hours: float, moved: Decimal) -> Decimal | None:
    """Return the highest accepted value of the last hours; None when there is none."""
    since = now - timedelta(hours=hours)
    found = [
        value + moved
        for at, value in standing.values.items()
        if datetime.fromisoformat(at) >= since
    ]
    highest = max(found, default=None)
    return highest if highest is not None and highest > 0 else None


def _jump(seen: Observed) -> Iterator[LatchedFlag]:
    accepted, value = seen.standing.accepted_net_liquidation, seen.worth
    if accepted is None or value is None:
        return
    before, allowed = accepted + seen.moved, seen.limits.net_liquidation_jump
    change = value / before - 1 if before > 0 else None
    if change is not None and abs(change) <= allowed:
        return
    shown = "" if change is None else f", {'+' if change > 0 else ''}{percent(change)}"
    message = (
        f"net liquidation went from {money(before, seen.base)} (last accepted) to "
        f"{money(value, seen.base)}{shown}; {percent(allowed)} is allowed"
    )
    yield seen.found("net-liquidation-jump", message, f"{value:f}")


def _day(seen: Observed) -> Iterator[LatchedFlag]:
    start, value = day_reference(seen.standing, seen.session, seen.moved), seen.worth
    if start is None or value is None or seen.session is None:
        return
    loss, allowed = 1 - value / start, seen.limits.daily_loss
    if loss < allowed:
        return
    message = (
        f"the session of {seen.session} lost {percent(loss)}: from {money(start, seen.base)} to "
        f"{money(value, seen.base)}; the limit is {percent(allowed)}"
    )
    yield seen.found("daily-loss", message, f"{seen.session.isoformat()}|{value:f}")


def _day_is_over(flag: LatchedFlag, seen: Observed) -> bool:
    lost = flag.evidence.partition("|")[0]
    return seen.session is not None and lost < seen.session.isoformat()


def _fall(seen: Observed) -> Iterator[LatchedFlag]:
    mark, value = seen.standing.high_water_mark, seen.worth
    if mark is None or value is None or mark + seen.moved <= 0:
        return
    highest, allowed = mark + seen.moved, seen.limits.drawdown
    fall = 1 - value / highest
    if fall < allowed:
        return
    message = (
        f"net liquidation {money(value, seen.base)} is {percent(fall)} below its high-water mark "
        f"{money(highest, seen.base)}; the limit is {percent(allowed)}"
    )
    yield seen.found("drawdown", message, f"{value:f}")


def _book(seen: Observed) -> Iterator[LatchedFlag]:
    # REDUCING, not HALTED: a book that loses must have a way out, and can only get smaller.
    hours, allowed = seen.limits.book_loss_hours, seen.limits.book_loss
    highest, value = window_high(seen.standing, seen.now, hours, seen.moved), seen.worth
    if highest is None or value is None:
        return
    loss = 1 - value / highest
    if loss < allowed:
        return
    message = (
        f"the book lost {percent(loss)} within {hours:g} hours: from {money(highest, seen.base)} "
        f"to {money(value, seen.base)}; the limit is {percent(allowed)}; only reductions are sent"
    )
    until = seen.now + timedelta(hours=hours)
    yield seen.found("book-loss", message, f"{value:f}", until=until)


WORTH = (
    Breaker(
        ("net-liquidation-jump",),
        _jump,
        never,
        ("net_liquidation_jump",),
        "the last accepted net liquidation",
    ),
    Breaker(
        ("daily-loss",),
        _day,
        _day_is_over,
        ("daily_loss",),
        "the last accepted net liquidation of the session before",
        timed=True,
    ),
    Breaker(("drawdown",), _fall, never, ("drawdown",), "the high-water mark"),
    Breaker(
        ("book-loss",),
        _book,
        at_its_time,
        ("book_loss", "book_loss_hours"),
        "the highest net liquidation accepted in the window",
        timed=True,
    ),
)

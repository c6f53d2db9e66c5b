"""Gates about the minute of a funding payment, and about room for one order more."""

from __future__ import annotations

from datetime import datetime, timedelta

from rebalancer.risk.terms import Candidate, GateInput

_HOUR = timedelta(hours=1)
INTERVALS = (1, 2, 4, 8)
"""Hours between two funding payments, as Binance has them."""


def no_funding_now(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse around a funding time: who holds what at that second pays or is paid.

    A venue tells the next time only. A whole hour that has just begun was one if the next is
    as far from it as two payments can be.
    """
    window = timedelta(seconds=given.limits.funding_window_seconds)
    quote = candidate.quote
    if quote is None or quote.next_funding is None or not window:
        return None
    now, coming = given.venue_now, quote.next_funding
    at = coming if abs(coming - now) <= window else _just_paid(now, coming, window)
    if at is None:
        return None
    return f"funding is exchanged at {at:%H:%M} UTC; nothing is sent {window.seconds} s around it"


def room_for_an_order(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse one order more than the venue lets work in an instrument."""
    instrument = candidate.instrument
    most = None if instrument is None else instrument.rules.max_orders
    if instrument is None or most is None:
        return None
    working = sum(order.instrument == instrument.id for order in given.others)
    if working < most:
        return None
    return f"{working} orders work in it already; the venue takes {most}"


def _just_paid(now: datetime, coming: datetime, window: timedelta) -> datetime | None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    if now - hour > window:
        return None
    return hour if any(coming - hour == hours * _HOUR for hours in INTERVALS) else None

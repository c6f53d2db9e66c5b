"""The session's counters: each order and each execution counts once, whatever dies when.

What was counted is remembered in the same write as the counters themselves, so that a kill
between any two lines neither loses nor doubles anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.records import EntryKind
from rebalancer.ports import Desk
from rebalancer.working.bookkeeping import intents_in, slot_of
from rebalancer.working.page import RunPage
from rebalancer.working.record import session_date, turnover


def count_trades(desk: Desk, page: RunPage, account: AccountSnapshot | None) -> None:
    """Add executions of our orders that were booked since the last count to the turnover.

    Also those of orders that an earlier run left working. Without an account there are no
    rates to value them by: then the next run counts them.
    """
    if account is None:
        return
    lines = desk.books.entries(page.standing.counted_entries)
    fresh = tuple(
        line.fill
        for line in lines
        if line.kind is EntryKind.FILL and slot_of(line.fill.reference, desk.portfolio)
    )
    if not lines:
        return
    page.traded += fresh
    session = session_date(desk, page.now)
    ours = [fill for fill in fresh if session_date(desk, fill.at) == session]
    page.remember(
        turnover_in_session=page.standing.turnover_in_session
        + turnover(ours, account, desk.universe),
        counted_entries=page.standing.counted_entries + len(lines),
    )


def count_orders(page: RunPage) -> None:
    """Add this attempt's orders to the session's, once, however often it is closed."""
    _count(page, mark(page.slot, page.attempt), len(page.intents))


def count_dead_orders(desk: Desk, page: RunPage) -> None:
    """Add the orders of attempts that died in this session; called once its counters began."""
    today = session_date(desk, page.now)
    for slot, journal in sorted(page.dead.items()):
        if session_date(desk, slot) != today:
            continue
        for attempt, sent in _attempts(journal):
            _count(page, mark(slot, attempt), sent)


def mark(slot: datetime, attempt: int) -> str:
    """Return an attempt's name; names sort like times."""
    return f"{slot:%Y-%m-%dT%H%MZ}#{attempt:02d}"


def _count(page: RunPage, run: str, orders: int) -> None:
    if run > page.standing.counted_run:
        page.remember(orders_in_session=page.standing.orders_in_session + orders, counted_run=run)


def _attempts(journal: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Return attempt and number of intents, in order."""
    attempts = sorted({int(line["attempt"]) for line in journal if "attempt" in line})
    return [
        (attempt, len(intents_in(line for line in journal if line.get("attempt") == attempt)))
        for attempt in attempts
    ]

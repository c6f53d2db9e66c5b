"""The session's counters: each order and each execution counts once, whatever dies when.

What was counted is remembered in the same write as the counters themselves, so that a kill
between any two lines neither loses nor doubles anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rebalancer.ledger import newly_traded
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.orders import Fill, OrderStatus
from rebalancer.model.records import RunTally, SessionTally, Standing
from rebalancer.ports import Desk
from rebalancer.risk import RECENT_RUNS
from rebalancer.working.bookkeeping import intents_in, slot_of
from rebalancer.working.lots import split_lots
from rebalancer.working.page import RunPage
from rebalancer.working.record import session_date, turnover

KEPT_ATTEMPTS = 50
"""So many attempts that sent orders are remembered by name; those before them have been counted."""


def count_trades(desk: Desk, page: RunPage, account: AccountSnapshot | None) -> None:
    """Add executions of our orders that were booked since the last count to the turnover.

    Also those of orders that an earlier run left working. Without an account there are no
    rates to value them by: then the next run counts them. Remembered lots follow the splits
    among the same lines, in the same write.
    """
    if account is None:
        return
    lines = desk.books.entries(page.standing.counted_entries)
    if not lines:
        return
    fresh = tuple(
        fill for fill in newly_traded(lines) if slot_of(fill.reference, desk.portfolio) is not None
    )
    page.traded += fresh
    standing = page.standing
    newest = standing.session or session_date(desk, page.now)
    by_session: dict[date | None, list[Fill]] = defaultdict(list)
    for fill in fresh:
        by_session[_begun(session_date(desk, fill.at), newest)].append(fill)
    traded = {
        session: turnover(fills, account, desk.universe) for session, fills in by_session.items()
    }
    page.remember(
        turnover_in_session=standing.turnover_in_session + traded.get(newest, Decimal(0)),
        sessions=tuple(
            replace(each, turnover=each.turnover + traded.get(each.session, Decimal(0)))
            for each in standing.sessions
        ),
        sleeve_lots=split_lots(standing.sleeve_lots, desk.books, standing.counted_entries),
        counted_entries=standing.counted_entries + len(lines),
    )


def count_orders(page: RunPage) -> None:
    """Add this attempt's orders to the session's, once, however often it is closed.

    An order of a wave that was stopped before it, and one of a dry run, never left: it is
    neither an order of the session nor one that the venue could have refused.
    """
    told = [page.orders[name].status for name in page.intents if name in page.orders]
    left = len(page.intents) - told.count(OrderStatus.NOT_SENT)
    refused = told.count(OrderStatus.REJECTED)
    tally = RunTally(mark(page.slot, page.attempt), left, refused)
    _count(page, tally, page.standing.session)


def count_dead_orders(desk: Desk, page: RunPage) -> None:
    """Add the orders of attempts that died, before they are taken for finished.

    This session's counters may not have begun yet: they go to their own session, which step 4 of
    the attempt that sent them began. Orders by hand in a halted portfolio may be of a later one.
    """
    for slot, journal in sorted(page.dead.items()):
        session = _begun(session_date(desk, slot), page.standing.session)
        for attempt, sent, refused in _attempts(journal):
            if slot != page.slot or attempt < page.attempt:
                _count(page, RunTally(mark(slot, attempt), sent, refused), session)


def sessions_before(standing: Standing, days: int) -> tuple[SessionTally, ...]:
    """Return the sessions before this one that limits over `days` sessions count."""
    return standing.sessions[-(days - 1) :] if days > 1 else ()


def mark(slot: datetime, attempt: int) -> str:
    """Return an attempt's name; names sort like times."""
    return f"{slot:%Y-%m-%dT%H%MZ}#{attempt:02d}"


def _begun(session: date | None, newest: date | None) -> date | None:
    """Return the session whose counters count it: a halted run begins no new ones."""
    return session if session is None or newest is None else min(session, newest)


def _count(page: RunPage, tally: RunTally, session: date | None) -> None:
    """Add an attempt's orders to its session, this one or an earlier one, in one write.

    Attempts are counted in any order: one that died is found by a later run, which may not be
    the next one.
    """
    before = page.standing
    if not tally.orders or tally.run <= before.counted_run or tally.run in before.counted_runs:
        return
    counted = sorted((*before.counted_runs, tally.run))
    old, kept = counted[:-KEPT_ATTEMPTS], counted[-KEPT_ATTEMPTS:]
    today = tally.orders if session == before.session else 0
    page.remember(
        orders_in_session=before.orders_in_session + today,
        sessions=tuple(
            replace(each, orders=each.orders + tally.orders) if each.session == session else each
            for each in before.sessions
        ),
        recent_orders=tuple(sorted((*before.recent_orders, tally), key=lambda each: each.run))[
            -RECENT_RUNS:
        ],
        counted_run=max((before.counted_run, *old)),
        counted_runs=tuple(kept),
    )


def _attempts(journal: Sequence[Mapping[str, Any]]) -> list[tuple[int, int, int]]:
    """Return each attempt, how many orders may have left and how many the venue refused."""
    found = []
    for attempt in sorted({int(line["attempt"]) for line in journal if "attempt" in line}):
        lines = [line for line in journal if line.get("attempt") == attempt]
        wanted = intents_in(lines).keys()
        unsent = wanted & _told(lines, OrderStatus.NOT_SENT)
        refused = wanted & _told(lines, OrderStatus.REJECTED)
        found.append((attempt, len(wanted) - len(unsent), len(refused)))
    return found


def _told(lines: Sequence[Mapping[str, Any]], status: OrderStatus) -> set[str]:
    """Return the references that a journal says to have had a status."""
    return {
        line["order"]["reference"]
        for line in lines
        if line.get("kind") == "order" and line["order"]["status"] == status.value
    }

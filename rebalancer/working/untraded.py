"""Executions that the venue's own word about ended orders promises and that have not come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.ledger import missing_fills
from rebalancer.model.orders import WorkingOrder, parse_reference
from rebalancer.ports import Desk, Venue
from rebalancer.working.page import RunPage

PATIENCE = timedelta(seconds=10)
"""How long (venue time) executions and commissions that have not been told yet are awaited."""

LOOK_BACK = timedelta(days=1)


def untraded(desk: Desk, page: RunPage) -> Mapping[str, Decimal]:
    """Return what ended orders of ours filled and no execution tells, by reference."""
    own = [
        order
        for order in _ended(page).values()
        if order.filled and parse_reference(order.reference, desk.portfolio) is not None
    ]
    if not own:
        return {}
    return missing_fills(own, desk.books.entries(), page.fills.values())


def find_untraded(desk: Desk, venue: Venue, page: RunPage, until: datetime) -> None:
    """Wait until then for executions that must be there, then ask by instrument; flag the rest.

    What stays missing holds its instrument: the account may lack it as well, and the same
    would be traded twice.
    """
    while venue.now() < until and untraded(desk, page):
        for event in venue.wait(until):
            page.saw(event)
    missing = untraded(desk, page)
    if not missing:
        return
    told = _ended(page)
    names = sorted({told[reference].instrument for reference in missing})
    for fill in venue.executions(page.slot - LOOK_BACK, names):
        if fill.reference in missing:
            page.saw(fill)
    for reference, quantity in untraded(desk, page).items():
        order = told[reference]
        page.flag(
            "fills-missing",
            f"order {reference} filled {order.filled:+f} {order.instrument} by the venue's own "
            f"word, and its executions lack {quantity:+f}; the position tells what is true",
            order.instrument,
        )


def _ended(page: RunPage) -> Mapping[str, WorkingOrder]:
    """Return the orders of which this run knows that they ended, by reference."""
    words = (*page.cancelled.values(), *page.orders.values())
    return {order.reference: order for order in words if order.status.terminal}

"""Executions that no order of ours explains: the owner's own trades, and the venue's."""

from __future__ import annotations

from collections.abc import Iterable

from rebalancer.ledger import bookable
from rebalancer.model.flags import RUN, LatchedFlag, Severity
from rebalancer.model.orders import LIQUIDATION, Fill, execution_revision, parse_reference
from rebalancer.ports import Desk
from rebalancer.working.page import RunPage

MOST_SHOWN = 5


def tell_foreign(desk: Desk, page: RunPage, fills: Iterable[Fill]) -> None:
    """Flag the executions among `fills` that are new to the books and not of our orders.

    A position that the venue itself closed stops everything until the owner has looked: what
    happened once for want of margin happens again. Trades by hand are told and booked.
    """
    entries = desk.books.entries()
    known = {execution_revision(entry.fill.exec_id)[0] for entry in entries}
    strange = [
        fill
        for fill in bookable(fills, entries, page.standing.began, desk.portfolio)
        if execution_revision(fill.exec_id)[0] not in known
        and (fill.origin or parse_reference(fill.reference, desk.portfolio) is None)
    ]
    sold = [fill for fill in strange if fill.origin == LIQUIDATION]
    if sold:
        message = f"the venue itself traded {_shown(sold)}: it closes positions for want of margin"
        page.flag("liquidated", message)
        told = LatchedFlag("liquidated", RUN, Severity.HALT, message, page.now)
        others = tuple(flag for flag in page.standing.latched if flag.code != "liquidated")
        page.remember(latched=(*others, told))
    by_hand = [fill for fill in strange if fill.origin != LIQUIDATION]
    if by_hand:
        page.flag("others-trade", f"trades that are not ours were booked: {_shown(by_hand)}")


def _shown(fills: list[Fill]) -> str:
    parts = [
        f"{fill.quantity:+f} {fill.instrument} at {fill.price:f} {fill.currency}"
        for fill in fills[:MOST_SHOWN]
    ]
    more = len(fills) - MOST_SHOWN
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")

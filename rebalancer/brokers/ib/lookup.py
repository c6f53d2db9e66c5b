"""What became of an order: the complete look-up by which an order is found or proved absent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from rebalancer.brokers.ib.executions import Heard, latest
from rebalancer.brokers.ib.known import KnownOrder
from rebalancer.errors import BlindError, OutcomeUnknown
from rebalancer.model.orders import Fill, OrderStatus, WorkingOrder


class Lists(Protocol):
    """What a look-up asks and what it then knows: an `orders.OrderBook`."""

    orders: list[KnownOrder]
    heard: dict[str, Heard]

    def list_open(self) -> tuple[KnownOrder, ...]: ...
    def list_completed(self) -> None: ...
    def list_executions(self) -> None: ...
    def now(self) -> datetime: ...


def look_up(book: Lists, reference: str) -> tuple[WorkingOrder, ...]:
    """Return the orders with a reference: open, completed, refused, or known by executions only.

    Asked in this order, so that an order that ends meanwhile cannot slip through: open orders,
    completed orders, executions. An order that IB had acknowledged on this connection and that
    is in none of them has ended if its end was told, else its status is unknown; one that was
    never acknowledged is absent.
    Raises `OutcomeUnknown` when one of the three answers was not complete.
    """
    try:
        listed = book.list_open()
        book.list_completed()
        book.list_executions()
    except BlindError as error:
        raise OutcomeUnknown(f"{reference}: {error}") from error
    now = book.now()
    found: list[WorkingOrder] = []
    shown: set[int] = set()
    for order in book.orders:
        if order.reference != reference:
            continue
        if order.perm_id:
            shown.add(order.perm_id)
        if order not in listed:
            order.settle()
        event = order.as_event(now)
        if order.status.terminal or order in listed:
            found.append(event)
        elif order.acknowledged:
            found.append(_vanished(event))
    found.extend(_by_executions(book, reference, shown))
    return tuple(found)


def _vanished(order: WorkingOrder) -> WorkingOrder:
    words = "IB had it, and lists it neither as open nor as completed"
    return replace(order, status=OrderStatus.UNKNOWN, message=words)


def _by_executions(book: Lists, reference: str, shown: set[int]) -> list[WorkingOrder]:
    """Return orders that only their executions tell of: dead, as no list of open ones has them."""
    fills: dict[int, list[Fill]] = {}
    for heard in book.heard.values():
        if heard.fill.reference == reference and heard.perm_id not in shown:
            fills.setdefault(heard.perm_id, []).append(heard.fill)
    found = []
    for perm_id, each in sorted(fills.items()):
        stands = latest(each)
        quantity = sum((fill.quantity for fill in stands), Decimal(0))
        last = max(stands, key=lambda fill: fill.at)
        found.append(
            WorkingOrder(
                reference=reference,
                venue_id=str(perm_id),
                instrument=last.instrument,
                quantity=quantity,
                filled=quantity,
                limit=None,
                status=OrderStatus.FILLED,
                at=last.at,
                message="known by its executions only; what it was for in all is not known",
            )
        )
    return found

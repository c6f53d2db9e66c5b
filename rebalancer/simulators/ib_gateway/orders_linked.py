"""Orders that hang together: a parent and its children, one cancels all others.

Whatever follows from an order's fate is read from the books each time, so that a gateway that
was killed in between does it at the next occasion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.books import Order
from rebalancer.simulators.ib_gateway.orders_state import client_of, find, number_in, owner

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session


def must_wait(gateway: Gateway, client: int, values: Mapping[str, Any]) -> bool:
    """Return whether an order has a parent that has not filled yet."""
    number = number_in(values, "parentId")
    parent = find(gateway, client, number) if number else None
    return parent is not None and parent.status is not OrderStatus.FILLED


def has_parent(session: Session, values: Mapping[str, Any]) -> bool:
    """Return whether the parent that an order names is known."""
    return find(session.gateway, owner(session), number_in(values, "parentId")) is not None


def released_with(session: Session, values: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the orders that were kept and go out with this one: its parent, then siblings."""
    waiting, client = session.gateway.trading.waiting, owner(session)
    number = number_in(values, "parentId")
    if not number:
        return ()
    family = [
        key
        for key, other in waiting.items()
        if key[0] == client
        and key[1] != number_in(values)
        and (key[1] == number or number_in(other, "parentId") == number)
    ]
    family.sort(key=lambda key: (key[1] != number, key[1]))
    return tuple(waiting[key] for key in family)


def follow(gateway: Gateway) -> None:
    """Do what follows from orders' fates: release or end children, end what a fill replaces."""
    for order in gateway.exchange.account.orders:
        if not order.live:
            continue
        if int(order.tags.get("parentId", "0")):
            _follow_parent(gateway, order)
        if _is_replaced(gateway, order):
            gateway.exchange.cancel(order.id)


def _follow_parent(gateway: Gateway, child: Order) -> None:
    parent = find(gateway, client_of(child), int(child.tags["parentId"]))
    if parent is None or parent.live:
        return
    if parent.status is OrderStatus.FILLED:
        gateway.exchange.release(child.id)
    elif child.acts_at is None and child.status is OrderStatus.SENT:
        gateway.exchange.cancel(child.id)


def _is_replaced(gateway: Gateway, order: Order) -> bool:
    """Return whether another order of its group has traded, so that this one is to end.

    All three ways of the real one (ocaType) end the others; none reduces them here.
    """
    group = order.tags.get("ocaGroup")
    if not group or order.cancel_at is not None:
        return False
    return any(
        other.filled and other.id != order.id and other.tags.get("ocaGroup") == group
        for other in gateway.exchange.account.orders
        if client_of(other) == client_of(order)
    )

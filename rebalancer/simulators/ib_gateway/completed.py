"""Orders that ended today, as reqCompletedOrders tells them: without order id and client id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.books import Order
from rebalancer.simulators.ib_gateway.orders_echo import order_values
from rebalancer.simulators.ib_gateway.orders_lists import refused_for_reading
from rebalancer.simulators.ib_gateway.orders_state import PERM_BASE, by_hand, find, plain
from rebalancer.simulators.ib_gateway.orders_times import midnight, stamp

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.session import Session

_LEFT_OUT = ("blockOrder", "parentId", "usePriceMgmtAlgo")
"""What openOrder says of an order and completedOrder does not."""

_NO_INSIDER = "Not an insider or substantial shareholder"


def req_completed_orders(session: Session, values: Mapping[str, Any]) -> None:
    """Send the orders that ended since midnight of the account's day, oldest first."""
    if refused_for_reading(session, -1, "bX"):
        return
    exchange = session.gateway.exchange
    since, api_only = midnight(exchange.now), bool(values.get("apiOnly"))
    for order in exchange.account.orders:
        ended = order.ended_at
        if ended is not None and ended >= since and not (api_only and by_hand(order)):
            _send(session, order, ended)
    session.send("completedOrdersEnd")


def _send(session: Session, order: Order, ended: datetime) -> None:
    filled = order.status is OrderStatus.FILLED
    said = order_values(session, order)
    if filled:
        # The real one says 0 here and the size in filledQuantity.
        said["totalQuantity"] = "0"
    for name in _LEFT_OUT:
        said.pop(name, None)
    session.send(
        "completedOrder",
        **said,
        status="Filled" if filled else "Cancelled",
        filledQuantity=plain(abs(order.filled)),
        parentPermId=_parent(session, order),
        completedTime=stamp(ended, session.version),
        completedStatus=_how(order),
        shareholder=_NO_INSIDER,
    )


def _how(order: Order) -> str:
    if order.status is OrderStatus.FILLED:
        return f"Filled Size: {plain(abs(order.filled))}"
    if order.status is OrderStatus.REJECTED:
        return f"Rejected by System:\n{order.message}"
    if order.status is OrderStatus.EXPIRED:
        return "Cancelled by System:\nExpired"
    return "Cancelled by Trader"


def _parent(session: Session, order: Order) -> int:
    number = int(order.tags.get("parentId", "0"))
    parent = None
    if number:
        parent = find(session.gateway, int(order.tags["client"]), number)
    return PERM_BASE + parent.id if parent is not None else 0


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "reqCompletedOrders": req_completed_orders,
}

"""cancelOrder and reqGlobalCancel: the asking; that an order is dead comes as news."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.ib_gateway.order_rules import Refusal
from rebalancer.simulators.ib_gateway.orders_echo import status_of
from rebalancer.simulators.ib_gateway.orders_lists import is_own, refused_for_reading
from rebalancer.simulators.ib_gateway.orders_state import (
    find,
    number_for,
    number_in,
    owner,
    perm_id,
)

if TYPE_CHECKING:
    from rebalancer.simulators.books import Order
    from rebalancer.simulators.ib_gateway.session import Session

CANCELED = Refusal(202, "Order Canceled - reason:")


def not_cancellable(order: Order) -> Refusal:
    """Return what is said of a cancel that came to nothing."""
    return Refusal(
        161,
        "Cancel attempted when order is not in a cancellable state.  "
        f"Order permId ={perm_id(order)}",
    )


def cancel_order(session: Session, values: Mapping[str, Any]) -> None:
    """Ask for the end of one of the client's own orders."""
    number, gateway, client = number_in(values), session.gateway, owner(session)
    if refused_for_reading(session, number, "b0"):
        return
    if gateway.trading.waiting.pop((client, number), None) is not None:
        session.error(number, *CANCELED)
        return
    order = find(gateway, client, number)
    if order is None:
        text = f"OrderId {number} that needs to be cancelled is not found."
        session.error(number, 10147, text)
    elif not order.live or order.status is OrderStatus.PENDING_CANCEL:
        text = f"OrderId {number} that needs to be cancelled cannot be cancelled, state: "
        session.error(number, 10148, f"{text}{status_of(gateway, order)}.")
    else:
        gateway.exchange.cancel(order.id)


def req_global_cancel(session: Session, values: Mapping[str, Any]) -> None:
    """Ask for the end of every live order of the account, whoever sent it."""
    if refused_for_reading(session, -1, "bG"):
        return
    gateway = session.gateway
    gateway.trading.waiting.clear()
    for order in tuple(gateway.exchange.account.orders):
        if order.status is OrderStatus.PENDING_CANCEL and is_own(session, order):
            session.error(number_for(order, session.client_id), *not_cancellable(order))
        elif order.live:
            gateway.exchange.cancel(order.id)


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "cancelOrder": cancel_order,
    "reqGlobalCancel": req_global_cancel,
}

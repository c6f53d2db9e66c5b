"""An order of the books as the gateway says it: openOrder, orderStatus and their words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.simulators.books import Order
from rebalancer.simulators.ib_gateway.orders_state import (
    ECHOED,
    algo_params,
    client_of,
    number_for,
    perm_id,
    plain,
)
from rebalancer.simulators.ib_gateway.orders_times import stamp

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

_FINEST = Decimal("1E-8")
_ENDS = {
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.EXPIRED: "Cancelled",
    OrderStatus.REJECTED: "Inactive",
    OrderStatus.PENDING_CANCEL: "PendingCancel",
}


def status_of(gateway: Gateway, order: Order) -> str:
    """Return the gateway's word for where an order is in its life.

    One on its way is PendingSubmit; one that waits for its parent or for the opening, and a
    market order that has not traded, is PreSubmitted.
    """
    if order.status in _ENDS:
        return _ENDS[order.status]
    if order.status is OrderStatus.SENT:
        return "PendingSubmit" if order.acts_at is not None else "PreSubmitted"
    waits = is_held(gateway, order) or (order.order_type is OrderType.MARKET and not order.filled)
    return "PreSubmitted" if waits else "Submitted"


def is_held(gateway: Gateway, order: Order) -> bool:
    """Return whether an order is not at the exchange because that is closed."""
    exchange = gateway.exchange
    instrument = exchange.instruments[order.instrument]
    closed = exchange.market.session(instrument, exchange.now) is None
    early = order.tags.get("outsideRth") == "1" and "algoStrategy" not in order.tags
    return closed and not early


def average_price(gateway: Gateway, order: Order) -> Decimal:
    """Return the average price of what an order traded, 0 when it has not."""
    if not order.filled:
        return Decimal(0)
    instrument = gateway.exchange.instruments[order.instrument]
    total = order.notional * instrument.magnifier / instrument.multiplier
    return (total / abs(order.filled)).quantize(_FINEST, ROUND_HALF_EVEN)


def last_price(gateway: Gateway, order: Order) -> Decimal:
    """Return the price of an order's newest execution, 0 when it has none."""
    traded = (e.price for e in reversed(gateway.exchange.account.executions) if e.order == order.id)
    return next(traded, Decimal(0))


def order_values(session: Session, order: Order) -> dict[str, Any]:
    """Return what openOrder and completedOrder both say of an order and its contract."""
    gateway = session.gateway
    listed = gateway.directory.listed(order.instrument)
    market = order.order_type is OrderType.MARKET
    values: dict[str, Any] = {
        **listed.values(),
        "exchange": order.tags.get("exchange", listed.exchange),
        **{name: order.tags[name] for name in ECHOED if name in order.tags},
        "action": "BUY" if order.quantity > 0 else "SELL",
        "totalQuantity": plain(abs(order.quantity)),
        "orderType": "MKT" if market else "LMT",
        "lmtPrice": "0.0" if order.limit is None else plain(order.limit),
        "auxPrice": "0.0",
        "tif": order.time_in_force.value,
        "account": gateway.exchange.account.account,
        "orderRef": order.reference,
        "permId": perm_id(order),
    }
    if order.time_in_force is TimeInForce.GTD and order.expires_at is not None:
        values["goodTillDate"] = stamp(order.expires_at, session.version)
    if "algoStrategy" in order.tags:
        values["algoStrategy"] = order.tags["algoStrategy"]
        values["algoParams"] = algo_params(order)
    return values


def send_open_order(
    session: Session, order: Order, *, status: str = "", more: Mapping[str, Any] | None = None
) -> None:
    """Send openOrder: the whole order, and its state."""
    session.send(
        "openOrder",
        **order_values(session, order),
        orderId=number_for(order, session.client_id),
        clientId=client_of(order),
        status=status or status_of(session.gateway, order),
        **(more or {}),
    )


def send_status(session: Session, order: Order, *, status: str = "", why_held: str = "") -> None:
    """Send orderStatus: how far an order is."""
    gateway = session.gateway
    session.send(
        "orderStatus",
        orderId=number_for(order, session.client_id),
        status=status or status_of(gateway, order),
        filled=plain(abs(order.filled)),
        remaining=plain(abs(order.remaining)),
        avgFillPrice=plain(average_price(gateway, order)),
        permId=perm_id(order),
        parentId=int(order.tags.get("parentId", "0")),
        lastFillPrice=plain(last_price(gateway, order)),
        clientId=client_of(order),
        whyHeld=why_held,
        mktCapPrice="0.0",
    )


def send_both(session: Session, order: Order) -> None:
    """Send openOrder and orderStatus, as nearly every change of an order is told."""
    send_open_order(session, order)
    send_status(session, order)

"""The order that follows one that ended with something open."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.execution import OrderState, Then
from rebalancer.model.orders import ApprovedOrder, OrderType, TimeInForce
from rebalancer.risk import heir_of

_FOLLOWS = {
    Then.PEG: "at the best price of its own side",
    Then.TAKER: "it takes at the worst approved price",
    Then.MARKET: "at market, the last resort",
}


def following(state: OrderState, then: Then, sequence: int, own: Decimal | None) -> ApprovedOrder:
    """Return what follows an order; `own` is the best price of its own side, None: not known."""
    order = state.approved
    price, kind, force = order.worst_price, OrderType.LIMIT, TimeInForce.IOC
    if then is Then.PEG:
        price = own or order.intent.limit
        kind, force = order.intent.order_type, order.intent.time_in_force
    elif then is Then.MARKET:
        kind = OrderType.MARKET
    return heir_of(
        order,
        order.quantity - state.filled,
        sequence,
        limit=price,
        order_type=kind,
        time_in_force=force,
        reason=f"the open rest of {order.reference}: {_FOLLOWS[then]}",
    )

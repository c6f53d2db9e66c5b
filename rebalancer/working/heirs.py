"""The order that follows one that ended with something open, and the chain that it makes."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from decimal import Decimal

from rebalancer.execution import OrderState, Then
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder, OrderStatus, OrderType, TimeInForce
from rebalancer.risk import Funding, SentOrder, heir_of, too_many_orders

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


def no_heir(state: OrderState, funding: Funding | None, number: int) -> str:
    """Return why nothing may follow an order as order `number` of its run, '' when it may."""
    if funding is None:
        return ""
    why = too_many_orders(funding.means, number, reduces=state.approved.reduce_only)
    rest = state.approved.quantity - state.filled
    return f"{state.instrument}: the open rest of {rest:f} was not sent again: {why}" if why else ""


def sent_orders(
    heirs: Mapping[str, Sequence[str]], states: Mapping[str, OrderState], going: Container[str]
) -> tuple[SentOrder, ...]:
    """Return what was sent, an order and what followed it as one; `going` are not over yet."""
    found = []
    for root, names in heirs.items():
        chain = [states[name] for name in (root, *names) if name in states]
        if not chain:
            continue
        last = chain[-1]
        found.append(
            SentOrder(
                chain[0].approved,
                sum((state.filled for state in chain), Decimal(0)),
                last.done and last.reference not in going,
                rejected=last.status is OrderStatus.REJECTED,
                last=last.reference,
            )
        )
    return tuple(found)


def never_worked(
    heirs: Mapping[str, Sequence[str]], states: Mapping[str, OrderState]
) -> set[InstrumentId]:
    """Return the instruments of orders that the venue rejected, or that never left."""
    return {
        state.instrument
        for name, state in states.items()
        if state.status is OrderStatus.REJECTED
        or (state.status is OrderStatus.NOT_SENT and name in heirs)
    }

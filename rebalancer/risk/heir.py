"""What may follow an approved order: the open rest of it, within what was approved."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument
from rebalancer.model.orders import ApprovedOrder, OrderType, TimeInForce


def heir_of(
    approved: ApprovedOrder,
    quantity: Decimal,
    sequence: int,
    *,
    limit: Decimal,
    order_type: OrderType,
    time_in_force: TimeInForce,
    reason: str,
) -> ApprovedOrder:
    """Return the order that follows another with a reference of its own.

    It keeps side, worst price, deadline and reduce-only of the first. Raises `DataError` for
    more than the first wanted, the other side, or a price beyond the worst approved one (a
    market order's `limit` is the price that its money was counted at).
    """
    whole = approved.quantity
    if quantity * whole <= 0 or abs(quantity) > abs(whole):
        raise DataError(f"{approved.reference}: {quantity:f} of {whole:f} was not approved")
    worst = approved.worst_price
    if limit > worst if whole > 0 else limit < worst:
        raise DataError(f"{approved.reference}: {limit:f} is beyond the approved {worst:f}")
    part = float(quantity / whole)
    intent = replace(
        approved.intent,
        quantity=quantity,
        limit=limit,
        order_type=order_type,
        time_in_force=time_in_force,
        notional=approved.intent.notional * part,
        fee=approved.intent.fee * part,
        reason=reason,
    )
    head = approved.reference.rpartition(".")[0]
    return replace(approved, reference=f"{head}.{sequence}", intent=intent)


def too_small(approved: ApprovedOrder, quantity: Decimal, instrument: Instrument) -> bool:
    """Return whether the venue would not take the rest of an order for its size."""
    rules, size = instrument.rules, abs(quantity)
    if size < rules.min_size or size % rules.limit_step:
        return True
    worth = size * approved.worst_price * instrument.multiplier / instrument.magnifier
    exempt = approved.reduce_only and rules.reduce_only_exempt
    return abs(worth) < rules.min_notional and not exempt

"""An order that was approved and stays here."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from rebalancer.model.orders import ApprovedOrder, OrderStatus, WorkingOrder

_STOPPED = "the run stopped, or its approval ended, before this order went out"


def not_sent(order: ApprovedOrder, at: datetime, why: str = _STOPPED) -> WorkingOrder:
    """Return an approved order that never left, and why."""
    return WorkingOrder(
        reference=order.reference,
        venue_id="",
        instrument=order.instrument,
        quantity=order.quantity,
        filled=Decimal(0),
        limit=order.intent.limit,
        status=OrderStatus.NOT_SENT,
        at=at,
        message=why,
    )

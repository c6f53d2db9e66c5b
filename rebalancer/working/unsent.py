"""An order that was approved and stays here, or that the venue refused."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from rebalancer.model.orders import ApprovedOrder, OrderStatus, WorkingOrder
from rebalancer.working.page import RunPage

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


def tell_rejected(page: RunPage) -> None:
    """Flag what the venue refused of this page's orders."""
    for reference, order in page.orders.items():
        if order.status is OrderStatus.REJECTED and reference in page.intents:
            page.flag(
                "order-rejected",
                f"the venue refused {order.quantity:f} {order.instrument}: "
                f"{order.message or 'no reason given'}",
                order.instrument,
            )

"""Stops that wait at a venue: the protective ladder's orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus


@dataclass(frozen=True, slots=True)
class PlaceStop:
    """What goes to the wire for a new stop; it may only reduce. Only `rebalancer.risk` builds one.

    `quantity` is signed (a long position's stop sells: negative), in units; `trigger` is the
    mark price at which it becomes an order, `limit` that order's price (None: at market).
    """

    reference: str
    instrument: InstrumentId
    quantity: Decimal
    trigger: Decimal
    limit: Decimal | None


@dataclass(frozen=True, slots=True)
class StopOrder:
    """A stop as the venue tells it, now.

    WORKING: it waits for its trigger. SENT: it was asked for and not confirmed. FILLED: it
    triggered and became an ordinary order (`order_id`), whose executions carry the account's
    position. `reference` is '' for a stop that is not ours.
    """

    reference: str
    venue_id: str
    instrument: InstrumentId
    quantity: Decimal
    trigger: Decimal
    limit: Decimal | None
    status: OrderStatus
    at: datetime
    message: str = ""
    order_id: str = ""

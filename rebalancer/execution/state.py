"""The life of one approved order: what the venue told of it, never forgotten, never undone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.execution.parameters import WorkParameters
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import (
    ApprovedOrder,
    Fill,
    OrderStatus,
    OrderType,
    VenueEvent,
    WorkingOrder,
    execution_revision,
)

_UNHEARD = frozenset({OrderStatus.SENT, OrderStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class OrderState:
    """One approved order and everything heard of it.

    `sent_at` None: planned, not sent. `status` is never left once it is terminal.
    `executions` has (execution, signed quantity); `told` is what the venue's order status says
    was filled. `limit` is the price it works at now (None: a market order). `asked_price` and
    `asked_cancel` say when we last asked for a new price and for its end; `then` what follows
    that end ('' nothing). `begun` is when the first order of its trade was sent (None: it is
    the first), `heir` whether it follows another, `refusals` how often its trade was refused
    for want of rest, `asked_peg` when it last looked at the market.
    """

    approved: ApprovedOrder
    sent_at: datetime | None = None
    status: OrderStatus = OrderStatus.SENT
    status_at: datetime | None = None
    executions: tuple[tuple[str, Decimal], ...] = ()
    told: Decimal = Decimal(0)
    limit: Decimal | None = None
    venue_id: str = ""
    message: str = ""
    asked_price: datetime | None = None
    asked_cancel: datetime | None = None
    heard: bool = False
    then: str = ""
    begun: datetime | None = None
    heir: bool = False
    refusals: int = 0
    asked_peg: datetime | None = None

    @property
    def reference(self) -> str:
        """Return the order's reference."""
        return self.approved.reference

    @property
    def instrument(self) -> InstrumentId:
        """Return the instrument it is for."""
        return self.approved.instrument

    @property
    def filled(self) -> Decimal:
        """Return the signed quantity that executions prove; they are the truth."""
        return sum((quantity for _, quantity in self.executions), Decimal(0))

    @property
    def done(self) -> bool:
        """Return whether nothing more will come: terminal, and every told fill was seen."""
        return self.status.terminal and abs(self.filled) >= abs(self.told)


def planned(approved: ApprovedOrder) -> OrderState:
    """Return the state of an order that was approved and not sent yet."""
    market = approved.intent.order_type is OrderType.MARKET
    return OrderState(approved, limit=None if market else approved.intent.limit)


def start(approved: ApprovedOrder, at: datetime) -> OrderState:
    """Return the state of an order that is handed to the wire at `at`."""
    return replace(planned(approved), sent_at=at, status_at=at)


def advance(state: OrderState, event: VenueEvent, at: datetime) -> OrderState:
    """Return the state after an event that arrived at `at` (venue time).

    A terminal status stays, whatever comes; an execution counts at any time, once per
    execution id (a correction counts at its larger size here: the books have it exactly).
    News that is older than the last status changes no status. Raises `DataError` for an
    event of another order.
    """
    if event.reference != state.reference:
        raise DataError(f"{event.reference!r} is not an event of {state.reference}")
    if isinstance(event, Fill):
        return _executed(state, event, at)
    return _told(state, event, at)


def silence(state: OrderState, parameters: WorkParameters, at: datetime) -> OrderState:
    """Return the state with status UNKNOWN when the venue was silent for too long."""
    if state.heard or state.sent_at is None or state.status is not OrderStatus.SENT:
        return state
    if at < state.sent_at + timedelta(seconds=parameters.acknowledge_seconds):
        return state
    return replace(state, status=OrderStatus.UNKNOWN, status_at=at)


def _executed(state: OrderState, fill: Fill, at: datetime) -> OrderState:
    wanted = state.approved.quantity
    if fill.quantity * wanted <= 0:
        return replace(state, message=f"execution {fill.exec_id} is for the other side")
    known = dict(state.executions)
    key = execution_revision(fill.exec_id)[0]
    known[key] = max(known.get(key, Decimal(0)), fill.quantity, key=abs)
    found = replace(state, executions=tuple(known.items()), heard=True)
    if found.status.terminal:
        return found
    if abs(found.filled) >= abs(wanted):
        return replace(found, status=OrderStatus.FILLED, status_at=at)
    if found.status in _UNHEARD:
        return replace(found, status=OrderStatus.WORKING, status_at=at)
    return found


def _told(state: OrderState, order: WorkingOrder, at: datetime) -> OrderState:
    whole = state.approved.quantity if order.status is OrderStatus.FILLED else Decimal(0)
    told = max(state.told, order.filled, whole, key=abs)
    found = replace(state, told=told, venue_id=order.venue_id or state.venue_id)
    if found.status.terminal:
        return found
    old = state.status_at is not None and order.at < state.status_at
    if order.status is OrderStatus.SENT or (old and not order.status.terminal and found.heard):
        return found
    return replace(
        found,
        status=order.status,
        status_at=max(order.at, state.status_at or order.at),
        limit=order.limit if order.limit is not None else found.limit,
        message=order.message or found.message,
        heard=found.heard or order.status is not OrderStatus.UNKNOWN,
    )

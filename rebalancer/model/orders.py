"""An order from wish to execution; a checked one is another type than an unchecked one."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.words import plain


class Action(StrEnum):
    """What the order file says about one instrument."""

    BUY = "BUY"
    SELL = "SELL"
    NOTHING = "NOTHING"


class OrderType(StrEnum):
    """How an order asks for its price. POST_ONLY is a limit that is refused rather than taken."""

    LIMIT = "LIMIT"
    ADAPTIVE = "ADAPTIVE"
    MARKET = "MARKET"
    POST_ONLY = "POST_ONLY"


class TimeInForce(StrEnum):
    """How long an order lives by itself."""

    DAY = "DAY"
    IOC = "IOC"
    GTC = "GTC"
    GTD = "GTD"


class Purpose(StrEnum):
    """Why an order of ours exists; its letter is part of the order's reference."""

    REBALANCE = "r"
    PROTECT = "p"


class OrderStatus(StrEnum):
    """Where an order is in its life, in our words.

    NOT_SENT is a dry run's end. UNKNOWN means that the venue may or may not have it.
    """

    NOT_SENT = "not sent"
    SENT = "sent"
    WORKING = "working"
    PENDING_CANCEL = "pending cancel"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Return whether nothing can happen to the order any more."""
        return self in {
            OrderStatus.NOT_SENT,
            OrderStatus.FILLED,
            OrderStatus.CANCELLED,
            OrderStatus.EXPIRED,
            OrderStatus.REJECTED,
        }


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """A wanted trade, unchecked.

    `quantity` is signed (buy positive), in units; `limit`, `reference_price` per unit in
    `currency`; weights are fractions of sizing capital, signed; `notional` and `fee` are
    estimates in base currency, not negative (`fee` may be negative for a rebate).
    `reducing`: the order only brings the position nearer to zero. `part` tells two orders
    of one instrument apart (a reversal: 0 closes, 1 opens); `wave` 0 goes first.
    """

    instrument: InstrumentId
    quantity: Decimal
    limit: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    currency: str
    reference_price: Decimal
    reference_at: datetime
    current_quantity: Decimal
    target_quantity: Decimal
    current_weight: float
    target_weight: float
    notional: float
    fee: float
    reducing: bool
    wave: int
    sequence: int
    reason: str
    part: int = 0


@dataclass(frozen=True, slots=True)
class Skip:
    """An instrument for which nothing is wanted, and why."""

    instrument: InstrumentId
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One row of the order file: what is wanted for one instrument and why.

    None: not known (no price, no weight). `reference_age_seconds` is the quote's age.
    """

    instrument: InstrumentId
    action: Action
    quantity: Decimal
    limit: Decimal | None
    order_type: OrderType | None
    time_in_force: TimeInForce | None
    reference_price: Decimal | None
    reference_age_seconds: int | None
    current_quantity: Decimal
    target_quantity: Decimal | None
    current_weight: float | None
    target_weight: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """What goes to the wire for a new order. Only `ApprovedOrder.place` builds one."""

    reference: str
    instrument: InstrumentId
    quantity: Decimal
    limit: Decimal | None
    order_type: OrderType
    time_in_force: TimeInForce
    reduce_only: bool
    good_till: datetime | None


@dataclass(frozen=True, slots=True)
class Replace:
    """What goes to the wire for a new price. Only `ApprovedOrder.replace` builds one."""

    reference: str
    instrument: InstrumentId
    quantity: Decimal
    limit: Decimal
    time_in_force: TimeInForce


@dataclass(frozen=True, slots=True)
class ApprovedOrder:
    """An order that passed every gate. Only `rebalancer.risk` builds one.

    `worst_price` is the price beyond which it may never be re-priced (a buy's highest, a
    sell's lowest); after `deadline` nothing more is sent for it.
    """

    reference: str
    intent: OrderIntent
    worst_price: Decimal
    deadline: datetime
    reduce_only: bool
    purpose: Purpose = Purpose.REBALANCE

    @property
    def instrument(self) -> InstrumentId:
        """Return the instrument it is for."""
        return self.intent.instrument

    @property
    def quantity(self) -> Decimal:
        """Return the signed quantity in units."""
        return self.intent.quantity

    def place(self, at: datetime) -> Place:
        """Return the message that sends it; raises `DataError` after the deadline."""
        self._in_time(at)
        return Place(
            reference=self.reference,
            instrument=self.instrument,
            quantity=self.quantity,
            limit=None if self.intent.order_type is OrderType.MARKET else self.intent.limit,
            order_type=self.intent.order_type,
            time_in_force=self.intent.time_in_force,
            reduce_only=self.reduce_only,
            good_till=self.deadline if self.intent.time_in_force is TimeInForce.GTD else None,
        )

    def replace(self, limit: Decimal, at: datetime) -> Replace:
        """Return the message that moves its price to `limit`.

        Raises `DataError` when `limit` is beyond the worst price or the deadline is over.
        """
        self._in_time(at)
        beyond = limit > self.worst_price if self.quantity > 0 else limit < self.worst_price
        if beyond:
            raise DataError(f"{self.reference}: {limit} is beyond the approved {self.worst_price}")
        return Replace(
            self.reference, self.instrument, self.quantity, limit, self.intent.time_in_force
        )

    def _in_time(self, at: datetime) -> None:
        if at > self.deadline:
            raise DataError(f"{self.reference}: its approval ended at {self.deadline:%H:%M:%S}Z")


@dataclass(frozen=True, slots=True)
class RefusedOrder:
    """A wanted trade that a gate refused, with the gate's name and its reason."""

    intent: OrderIntent
    gate: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order as the venue tells it, now.

    `reference` is what the venue says the order's reference is ('' none); `filled` is signed
    like `quantity`; `message` carries the venue's words on a rejection.
    """

    reference: str
    venue_id: str
    instrument: InstrumentId
    quantity: Decimal
    filled: Decimal
    limit: Decimal | None
    status: OrderStatus
    at: datetime
    message: str = ""

    def __post_init__(self) -> None:
        """Take what acts instead of being read out of the venue's words."""
        object.__setattr__(self, "message", plain(self.message))

    @property
    def remaining(self) -> Decimal:
        """Return the signed quantity that is still open."""
        return self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    `quantity` is signed (buy positive); `price` per unit in `currency`; `commission` is
    positive for a cost and None until the venue said it, never zero for unknown. `origin` is
    `LIQUIDATION` when the venue closed the position by itself, '' for anybody's order; in a
    line of income its kind, in one of an adjustment `LATE`, `SPLIT` or ''.
    """

    exec_id: str
    reference: str
    venue_order_id: str
    instrument: InstrumentId
    quantity: Decimal
    price: Decimal
    currency: str
    at: datetime
    commission: Decimal | None = None
    commission_currency: str = ""
    liquidity: str = ""
    origin: str = ""


LIQUIDATION = "liquidation"
"""The `Fill.origin` of an execution by which the venue itself closed a position."""

LATE = "late"
"""The `Fill.origin` of a line that takes back what an adjustment or the owner had told before."""

SPLIT = "split"
"""The `Fill.origin` of an adjustment to other units at the same cost in all; its price says
nothing."""

VenueEvent = WorkingOrder | Fill
"""What `Venue.wait` brings: an order's new state, or an execution (again with its fee)."""


@dataclass(frozen=True, slots=True)
class MarginPreview:
    """A venue's answer to "what if"; `asked` False in a dry run, which passes with a NOTE.

    Amounts are in base currency after the order; None is unknown and refuses.
    """

    asked: bool
    initial_margin_after: Decimal | None = None
    equity_with_loan_after: Decimal | None = None
    commission: Decimal | None = None
    message: str = ""

    def __post_init__(self) -> None:
        """Take what acts instead of being read out of the venue's words."""
        object.__setattr__(self, "message", plain(self.message))


_REFERENCE = re.compile(
    r"(?P<portfolio>[A-Za-z0-9_-]{1,8})\.(?P<slot>\d{10})(?P<purpose>[rp])(?P<attempt>\d{1,2})"
    r"\.(?P<instrument>[A-Z2-7]{8})\.(?P<sequence>\d{1,4})"
)


def instrument_code(instrument: InstrumentId) -> str:
    """Return the eight letters by which an order reference names its instrument."""
    digest = hashlib.sha256(instrument.encode("ascii")).digest()
    return base64.b32encode(digest)[:8].decode("ascii")


def order_reference(
    portfolio: str,
    slot: datetime,
    attempt: int,
    instrument: InstrumentId,
    sequence: int,
    purpose: Purpose = Purpose.REBALANCE,
) -> str:
    """Return the reference that identifies one order on every venue (at most 36 characters)."""
    stamp = slot.strftime("%y%m%d%H%M")
    text = f"{portfolio}.{stamp}{purpose}{attempt}.{instrument_code(instrument)}.{sequence}"
    if not _REFERENCE.fullmatch(text):
        raise DataError(f"{text!r} is not an order reference")
    return text


def parse_reference(text: str, portfolio: str) -> Mapping[str, str] | None:
    """Return the parts of a reference of ours, None when it is somebody else's."""
    match = _REFERENCE.fullmatch(text)
    if match is None or match["portfolio"] != portfolio:
        return None
    return match.groupdict()


def execution_revision(exec_id: str) -> tuple[str, int]:
    """Return what an execution has in common with its corrections, and which of them it is.

    Interactive Brokers numbers corrections in the digits after the last period (`….01`,
    `….02`), with three periods at least; an id of another shape is its own, revision 0.
    """
    head, period, tail = exec_id.rpartition(".")
    if period and head.count(".") >= 2 and tail.isascii() and tail.isdigit():
        return head, int(tail)
    return exec_id, 0

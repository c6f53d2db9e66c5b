"""What the gates get, what they look at, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.fees import FeeSchedule
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import ErrorFlag, Step, TradingState
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import MarketSnapshot, Quote
from rebalancer.model.orders import ApprovedOrder, OrderIntent, RefusedOrder, WorkingOrder
from rebalancer.model.sessions import Session
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.risk.parameters import Limits, Override


@dataclass(frozen=True, slots=True)
class GateInput:
    """Everything the gates decide from.

    `flags` are all of this run's, latched ones included. `session` is the open session, None
    when the market is closed. `others` are orders of others: they count at their worst case.
    `orders_in_session` and `turnover_in_session` (base currency) are those before this run.
    `worst_price_bps` is how far from the reference an order may be moved; `reprices` says
    that it will be, and then money is counted at that price. `reserve` (base currency) stays
    cash; `borrow_limit` (base currency, a currency) None means that nothing is borrowed.
    `bought` and `sold` are what this session traded already. `*_before` are those of the
    sessions before this one that `limit_days` counts. `overrides` is what the owner wants of
    single instruments. `by_owner`: a command of the owner's, not a run; the number of its
    reductions has a bound of its own. An approval ends `approval_seconds` after `venue_now` at the
    latest.
    """

    portfolio: str
    slot: datetime
    attempt: int
    intents: tuple[OrderIntent, ...]
    flags: tuple[ErrorFlag, ...]
    account: AccountSnapshot
    market: MarketSnapshot
    universe: Universe
    limits: Limits
    fees: FeeSchedule
    session: Session | None
    venue_now: datetime
    approval_seconds: float
    state: TradingState = TradingState.ACTIVE
    sleeves: tuple[Sleeve, ...] = ()
    others: tuple[WorkingOrder, ...] = ()
    orders_in_session: int = 0
    turnover_in_session: Decimal = Decimal(0)
    worst_price_bps: Decimal = Decimal(0)
    reprices: bool = False
    reserve: Decimal = Decimal(0)
    borrow_limit: Decimal | None = None
    bought: frozenset[InstrumentId] = frozenset()
    sold: frozenset[InstrumentId] = frozenset()
    first_sequence: int = 0
    orders_before: int = 0
    turnover_before: Decimal = Decimal(0)
    overrides: Mapping[InstrumentId, Override] = field(default_factory=dict)
    by_owner: bool = False


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Approved and refused together are the intents; `flags` say why, one an instrument."""

    approved: tuple[ApprovedOrder, ...]
    refused: tuple[RefusedOrder, ...] = ()
    flags: tuple[ErrorFlag, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One intent with what is known of it; None is unknown.

    `place` is its place in sequence. `reduces`: proved from the account, not taken from the
    intent: what it closes is there and not claimed by an earlier order. `rate` is base per
    unit of its currency. `worst` is the price beyond which it is never moved, `price` the
    one at which its money counts. `notional` (base currency, no sign) is at the higher of
    limit and reference.
    """

    place: int
    intent: OrderIntent
    instrument: Instrument | None
    quote: Quote | None
    rate: Decimal | None
    reduces: bool
    twin: bool
    worst: Decimal
    price: Decimal
    notional: Decimal | None

    @property
    def way_out(self) -> bool:
        """Return whether it closes a holding of something that the venue closes."""
        return self.reduces and self.instrument is not None and bool(self.instrument.leaving)


@dataclass(frozen=True, slots=True)
class Gate:
    """One row of a table of gates.

    `check` returns the reason for a no, None for a yes. `raises` is the flag that a no
    raises ('' when another flag has said it already). `limits` are its keys of `[risk]`.
    """

    name: str
    check: Callable[[Candidate, GateInput], str | None]
    raises: str = "order-refused"
    limits: tuple[str, ...] = ()


def submit_flag(code: str, subject: str, message: str) -> ErrorFlag:
    """Return a flag of step 7."""
    return ErrorFlag(Step.SUBMIT, code, subject, FLAG_TABLE[code].severity, message)

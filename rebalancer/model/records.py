"""What a run leaves behind, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import Gap
from rebalancer.model.flags import ErrorFlag, LatchedFlag, TradingState
from rebalancer.model.income import Income
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder, Fill, PlanLine, RefusedOrder, WorkingOrder
from rebalancer.model.signals import Signal
from rebalancer.model.stops import StopOrder

SCHEMA = 2
"""Version of every state file this program writes."""


class Mode(StrEnum):
    """The four ways to run the same hour."""

    LIVE = "live"
    DRY_RUN = "dry-run"
    PAPER = "paper"
    REPLAY = "replay"


class Outcome(StrEnum):
    """How a run ended: all steps done, nothing sent on purpose, or broken off by an error."""

    FINISHED = "finished"
    HALTED = "halted"
    FAILED = "failed"


class EntryKind(StrEnum):
    """What a line of `fills.jsonl` adds to the books."""

    FILL = "fill"
    COMMISSION = "commission"
    CORRECTION = "correction"
    BUST = "bust"
    ADOPTION = "adoption"
    ADJUSTMENT = "adjustment"
    INCOME = "income"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `fills.jsonl`, the append-only truth about executions.

    FILL books `fill`; COMMISSION completes the fill of the same `exec_id`; CORRECTION
    replaces the execution it corrects (`replaces`); BUST removes it. ADOPTION and ADJUSTMENT
    book a holding that no execution of ours explains. INCOME books money that the venue moved by
    itself (`ledger.income` tells its shape). `decision_price` is the reference
    price of the plan that wanted the trade (None when nobody here wanted it).
    """

    kind: EntryKind
    slot: datetime
    fill: Fill
    decision_price: Decimal | None = None
    replaces: str = ""
    replaced: Fill | None = None
    """The execution as it stood before this line (COMMISSION, CORRECTION, BUST): what the line
    changes is `fill` less this, whichever part of the file one reads."""


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """One row of `trades.csv`: one execution as it stands after corrections."""

    exec_id: str
    at: datetime
    slot: datetime
    instrument: InstrumentId
    side: str
    quantity: Decimal
    price: Decimal
    currency: str
    commission: Decimal | None
    commission_currency: str
    reference: str
    decision_price: Decimal | None


@dataclass(frozen=True, slots=True)
class ExternalFlow:
    """Money that came from or went to the outside; positive came in. In `currency`."""

    at: datetime
    amount: Decimal
    currency: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """One row of `equity.csv`. Amounts in base currency; leverage and drawdown fractions.

    `gross_leverage` = gross position value / net liquidation; `profit_since_start` excludes
    external flows; `drawdown` is from the high-water mark, zero or positive.
    """

    slot: datetime
    session: date
    net_liquidation: Decimal
    cash_base: Decimal
    gross_leverage: Decimal
    net_leverage: Decimal
    profit_since_last: Decimal
    profit_since_start: Decimal
    drawdown: Decimal
    orders: int
    fills: int
    turnover: Decimal
    state: TradingState


@dataclass(frozen=True, slots=True)
class SessionTally:
    """What a past session traded: how many orders, what turnover (base currency)."""

    session: date
    orders: int
    turnover: Decimal


@dataclass(frozen=True, slots=True)
class RunTally:
    """What became of the orders of one attempt that left; `run`, its name, sorts like its time."""

    run: str
    orders: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered from run to run (`breakers.json`).

    `accepted_net_liquidation` is the last value that passed the books (a halted run never
    moves it). `sleeve_lots` is each sleeve's last accepted target in units, for the runs in
    which its signal is missing. `expected` is the book's own position list. `due` remembers
    what was already sent or committed ("mail:start" -> "2020-03-02").
    """

    schema: int = SCHEMA
    state: TradingState = TradingState.ACTIVE
    state_reason: str = ""
    accepted_net_liquidation: Decimal | None = None
    accepted_at: datetime | None = None
    """The time of the account that was accepted: flows after it are not in its value."""
    start_net_liquidation: Decimal | None = None
    high_water_mark: Decimal | None = None
    session: date | None = None
    orders_in_session: int = 0
    turnover_in_session: Decimal = Decimal(0)
    session_start_net_liquidation: Decimal | None = None
    failed_runs: int = 0
    counted_entries: int = 0
    """How many lines of `fills.jsonl` are in `turnover_in_session` already, and of which the
    splits are in `sleeve_lots`."""
    counted_run: str = ""
    """Up to this attempt the orders of all are counted (in the last ones' sessions)."""
    counted_runs: tuple[str, ...] = ()
    """Which later attempts' orders are counted, oldest first."""
    latched: tuple[LatchedFlag, ...] = ()
    adopted: bool = False
    account: str = ""
    """Whose books these are, since a run first connected: venue and account; '' not known yet."""
    sleeve_lots: Mapping[str, Mapping[InstrumentId, Decimal]] = field(default_factory=dict)
    accepted_cash: Mapping[str, Decimal] = field(default_factory=dict)
    accepted_entries: int = 0
    """How many lines `fills.jsonl` had when `accepted_cash` was seen."""
    contracts: Mapping[InstrumentId, str] = field(default_factory=dict)
    marks: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    """The venue's price of each holding as last accepted, while the books agree on it; of one
    that may have been split as it was before."""
    closes_since: Mapping[InstrumentId, datetime] = field(default_factory=dict)
    """From when on closes tell a split of an instrument: the owner accepted its price then."""
    due: Mapping[str, str] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    """Troubles already mailed (flag code and subject) and since when; not mailed again, unless
    they are latched since later than this."""
    began: datetime | None = None
    """When the books began: an execution before it that is not ours is in what was adopted."""
    executions_read: datetime | None = None
    """Until when the venue's executions were read and booked, by the venue's clock."""
    gaps: Mapping[InstrumentId, Gap] = field(default_factory=dict)
    """Positions on which books and venue disagree, and since when in just this way."""
    next_session_reference: Decimal | None = None
    """What the next session's loss counts from (net of flows since `accepted_at`), when that is
    not the last accepted value: what it was when this session's loss passed its limit."""
    sessions: tuple[SessionTally, ...] = ()
    """The sessions before this one, oldest first."""
    recent_orders: tuple[RunTally, ...] = ()
    """The last attempts that sent orders, oldest first."""
    values: Mapping[str, Decimal] = field(default_factory=dict)
    """Accepted net liquidation by time (ISO), net of flows up to `accepted_at`."""
    losses_since: Mapping[InstrumentId, datetime] = field(default_factory=dict)
    """From when on an instrument's losses count: the owner forgave what was before."""
    slippage_since: datetime | None = None
    """From when on executions count for the slippage; None: all do."""
    wanted_turnover: Mapping[str, Decimal] = field(default_factory=dict)
    """What the venue took of the last plans, by slot: notional of net liquidation."""
    turnover_allowed: Decimal | None = None
    """So much a plan may want, in one session: the owner said so."""
    turnover_allowed_in: date | None = None
    """The session of the first plan since the owner said so; his word ends with that session."""


@dataclass(frozen=True, slots=True)
class BandCost:
    """What one no-trade band rule is expected to cost a year on this venue's fees.

    `cost_bps` of sizing capital a year, positive = cost; `orders` a year.
    """

    rule: str
    cost_bps: float
    orders: float
    turnover: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything one hour did; the same inputs and seed give the same bytes.

    None or empty: the run did not get that far (`reached` is the last step it entered).
    `positions_expected` is what the books say after the run.
    """

    schema: int
    portfolio: str
    slot: datetime
    attempt: int
    mode: Mode
    session: date | None
    outcome: Outcome
    exit_code: int
    reached: int
    now: datetime
    before: AccountSnapshot | None = None
    after: AccountSnapshot | None = None
    signals: tuple[Signal, ...] = ()
    lines: tuple[PlanLine, ...] = ()
    band_costs: tuple[BandCost, ...] = ()
    approved: tuple[ApprovedOrder, ...] = ()
    refused: tuple[RefusedOrder, ...] = ()
    cancelled: tuple[WorkingOrder, ...] = ()
    orders: tuple[WorkingOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    flags: tuple[ErrorFlag, ...] = ()
    unmanaged: tuple[InstrumentId, ...] = ()
    positions_expected: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    entries: int = 0
    """How many lines `fills.jsonl` had after this run."""
    equity: EquityPoint | None = None
    standing: Standing | None = None
    income: tuple[Income, ...] = ()
    """What the venue booked by itself and this run took into the books."""
    stops: tuple[StopOrder, ...] = ()
    """Our stops that wait at the venue after this run."""
    command: str = ""
    """What the owner typed instead of a run (`cancel`, `flatten`); '' for a run."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail."""

    name: str
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail before it is sent. `html` refers to `images` by `cid:<name>`.

    `key` names what is owed ("mail:start:2020-03-02"): the same key is one mail. `name` is
    the stem of a file that holds it, sortable by slot and kind ('' makes one of the key).
    """

    key: str
    subject: str
    text: str
    html: str
    images: tuple[Attachment, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    name: str = ""

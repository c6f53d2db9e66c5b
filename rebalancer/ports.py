"""What the run needs from the world, as protocols; `wiring` hands it a `Desk` of them.

Unknown is None or raised, confirmed empty is an empty tuple. Times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from rebalancer.execution.parameters import WorkParameters
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.fees import FeeSchedule
from rebalancer.model.flags import ErrorFlag, Step
from rebalancer.model.income import Income
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import (
    ApprovedOrder,
    Fill,
    MarginPreview,
    Place,
    PlanLine,
    Replace,
    VenueEvent,
    WorkingOrder,
)
from rebalancer.model.panel import Histories, Panel
from rebalancer.model.records import (
    Entry,
    EquityPoint,
    Mail,
    Mode,
    RunRecord,
    Standing,
    TradeRecord,
)
from rebalancer.model.sessions import SessionTable
from rebalancer.model.signals import Signal
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.model.universe import BarSize, Sleeve, Universe
from rebalancer.planning.parameters import PlanParameters
from rebalancer.risk.parameters import Limits, Override, ProtectParameters

Fact = TypeVar("Fact")


class Venue(Protocol):
    """A connected venue: reading only. Its context's exit drains the wire and disconnects.

    Every read either returns the complete truth or raises (`BlindError`, `ConnectError`).
    """

    name: str
    absence_seconds: float
    """How far apart two proofs that an order is not there must be to be believed."""

    @property
    def keeps_stops(self) -> bool:
        """Return whether stops can wait at the venue."""

    def now(self) -> datetime:
        """Return the venue's time."""

    def skew_seconds(self) -> float:
        """Return how far the venue's time was from this machine's when last measured."""

    def listed(self, instruments: Sequence[Instrument]) -> tuple[Instrument, ...]:
        """Return the instruments, in their order, with the rules the venue has for them now.

        One that the venue does not know, or knows several of, comes back as it was and is
        flagged on the run's page.
        """

    def account(self) -> AccountSnapshot:
        """Return a complete snapshot of the account."""

    def open_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every order that is not terminal, ours or not."""

    def executions(
        self, since: datetime, only: Collection[InstrumentId] | None = None
    ) -> tuple[Fill, ...]:
        """Return every execution at or after `since` that the venue still has, oldest first.

        `only`: in these instruments, each asked for by its name where the venue can; None: all.
        """

    def find(self, reference: str) -> tuple[WorkingOrder, ...]:
        """Return the orders with this reference, terminal ones too.

        Empty means that the venue proves it has none; raises `OutcomeUnknown` when it cannot.
        """

    def market(self, instruments: Sequence[Instrument]) -> MarketSnapshot:
        """Return quotes; an instrument without one is missing from the snapshot."""

    def bars(
        self,
        instruments: Sequence[Instrument],
        since: datetime | None,
        size: BarSize = BarSize.DAY,
    ) -> Panel:
        """Return closes of completed bars that closed after `since` (None: all it has).

        A venue may adjust its whole past after a split or a dividend: what it says today of a
        bar need not be what it said yesterday.
        """

    def funding(self, instruments: Sequence[Instrument], since: datetime | None) -> Panel:
        """Return funding that was settled after `since` (None: all it has).

        One plus the rate (a panel's values are positive): a fraction of a position's value,
        above one = longs pay; rows are whole hours. A venue without funding returns a panel
        without rows.
        """

    def income(self, since: datetime) -> tuple[Income, ...]:
        """Return what the venue booked by itself at or after `since`, oldest first.

        A venue that tells nothing of it returns an empty tuple.
        """

    def stops(self) -> tuple[StopOrder, ...]:
        """Return every stop that waits for its trigger, ours or not."""

    def find_stop(self, reference: str) -> tuple[StopOrder, ...]:
        """Return the stops with this reference, ended ones too; as `find` does."""

    def wait(self, until: datetime) -> tuple[VenueEvent, ...]:
        """Let time pass until `until` at most, or until something happens; return what did.

        The only place where time passes. Returns early, with one or more events, as soon as
        any arrived; `now()` has then advanced to their time.
        """


class Hands(Protocol):
    """Everything that writes to a venue."""

    sends: bool
    """False for a dry run: nothing leaves, `submit` answers NOT_SENT, `preview` "not asked"."""

    def cancel(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        """Ask the venue to cancel an order; its death is told by `Venue`, not here."""

    def preview(self, place: Place) -> MarginPreview:
        """Ask what an order would do to the margin."""

    def submit(self, places: Sequence[Place]) -> tuple[VenueEvent, ...]:
        """Send new orders, at the venue's pace; return what is known at once.

        Raises `OutcomeUnknown` when the wire broke while it was sending.
        """

    def replace(self, replace: Replace) -> tuple[VenueEvent, ...]:
        """Move a working order's price."""

    def place_stop(self, stop: PlaceStop) -> StopOrder:
        """Ask for a stop; return it as the venue confirmed it, or with what it said.

        Raises `OutcomeUnknown` when the venue may or may not have it.
        """

    def cancel_stop(self, stop: StopOrder) -> StopOrder:
        """Ask for a stop's end; return it as the venue then said it is."""


class Broker(Protocol):
    """The way to a venue."""

    def connect(self, page: Page) -> AbstractContextManager[Venue]:
        """Return a context that connects and, whatever happens, disconnects.

        Raises `ConnectError` or `BlindError`; the account id has been checked.
        """


class Page(Protocol):
    """What the world may know of this run: when it is, what was flagged, may we go on.

    `working.page` has the whole of it.
    """

    slot: datetime
    attempt: int

    def step(self, step: Step) -> None:
        """Begin a step; facts and flags from here on belong to it."""

    def keep(self, fact: Fact) -> Fact:
        """Journal a fact and hand it back; `ErrorFlag`s in it (or in its `flags`) are raised."""

    def flag(self, code: str, message: str, subject: str = "") -> None:
        """Raise a flag of the flag table at the current step."""

    @property
    def flags(self) -> tuple[ErrorFlag, ...]:
        """Return the flags raised so far."""

    def stop(self) -> ErrorFlag | None:
        """Return why nothing more may be sent (HALT file, deadline), None to go on."""

    def intend(self, orders: Sequence[ApprovedOrder]) -> None:
        """Journal approved orders, durably, before they go to the wire."""

    def sent(self, references: Sequence[str]) -> None:
        """Journal that these intents were handed to the wire."""

    def saw(self, event: VenueEvent) -> None:
        """Journal an event of the venue; an execution is durable before this returns."""


class Books(Protocol):
    """What earlier runs left and this one adds to; every write is atomic or appended."""

    def check(self) -> None:
        """Raise `StateError` for what would only come to light after orders were sent."""

    def standing(self) -> Standing:
        """Return what is remembered from run to run (a fresh one for a new portfolio)."""

    def save_standing(self, standing: Standing) -> None:
        """Replace what is remembered."""

    def entries(self, start: int = 0) -> tuple[Entry, ...]:
        """Return the lines of `fills.jsonl` from `start` on."""

    def book(self, entries: Sequence[Entry]) -> int:
        """Append lines that are not there yet (by kind and execution id); return how many."""

    def equity(self) -> tuple[EquityPoint, ...]:
        """Return the rows of `equity.csv`, oldest first."""

    def last_record(self) -> RunRecord | None:
        """Return the newest complete record, None for a new portfolio."""

    def record(self, slot: datetime) -> RunRecord | None:
        """Return the record of a slot, None when it has none."""

    def unfinished(self) -> tuple[datetime, ...]:
        """Return the slots at which a run died and that no later run has finished, oldest first."""

    def journal(self, slot: datetime) -> tuple[Mapping[str, Any], ...]:
        """Return the lines of a slot's journal; a torn last line is left out."""

    def note(self, slot: datetime, line: Mapping[str, Any], *, durable: bool) -> None:
        """Append one line to a slot's journal; `durable` waits for the disk."""

    def save_orders(self, slot: datetime, lines: Sequence[PlanLine], *, label: str) -> None:
        """Write the order file of a slot (`label` marks a dry run, '' otherwise)."""

    def records(self, session: date) -> tuple[RunRecord, ...]:
        """Return the complete records of one session date, oldest first."""

    def save_record(
        self, record: RunRecord, host: Mapping[str, Any], trades: Sequence[TradeRecord]
    ) -> None:
        """Write a slot's record and the host's facts, its equity row and the trades view."""

    def pack(self, before: datetime, keep: frozenset[datetime] = frozenset()) -> int:
        """Pack complete runs before a time, but `keep`, into one file each; return how many.

        What is packed can be read as before.
        """

    def halt_reason(self) -> str | None:
        """Return what the HALT files say, None when there is none.

        Another text than before means that one came or got a new line.
        """


class Generators(Protocol):
    """The owner's strategies, run apart."""

    def write(
        self, sleeves: Sequence[Sleeve], panel: Panel | Histories, now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Run every generator, write its signal file; a failure flags its own sleeve only.

        With `Histories` each is given bars of the size that its sleeve asks for.
        """


class Inbox(Protocol):
    """The folder of signal files, read as a stranger would."""

    def read(self, sleeves: Sequence[Sleeve], now: datetime, slot: datetime) -> SignalsRead:
        """Return the valid signals by sleeve and a HOLD flag for each sleeve without one."""


@dataclass(frozen=True)
class SignalsRead:
    """What step 5 found: valid signals by sleeve name, and a flag for every other sleeve."""

    signals: Mapping[str, Signal]
    flags: tuple[ErrorFlag, ...] = ()


class Candles(Protocol):
    """The store of completed bars."""

    def panel(self, instruments: Sequence[InstrumentId]) -> Panel:
        """Return what is stored for these instruments (all NaN where nothing is)."""

    def add(self, panel: Panel) -> None:
        """Add bars; a bar that is there already must agree, else `DataError`."""

    def replace(self, panel: Panel) -> None:
        """Put the panel's bars in the place of all that is stored of its instruments."""


class Post(Protocol):
    """The way out for mails; never raises, queues instead."""

    def send(self, mails: Sequence[Mail]) -> tuple[ErrorFlag, ...]:
        """Send mails within its time budget, or queue them; also retries queued ones."""


class Database(Protocol):
    """The owner's database; never raises, leaves a flag and catches up next time."""

    def catch_up(
        self, books: Books, sessions: SessionTable, now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Commit every session that is owed at `now`, often none."""


@dataclass(frozen=True)
class Desk:
    """Everything one portfolio's hour works with; built in `wiring` only."""

    portfolio: str
    mode: Mode
    account: str
    universe: Universe
    sleeves: tuple[Sleeve, ...]
    planning: PlanParameters
    limits: Limits
    working: WorkParameters
    fees: FeeSchedule
    sessions: SessionTable
    broker: Broker
    hands: Callable[[Venue], Hands]
    books: Books
    candles: Candles
    generators: Generators
    inbox: Inbox
    post: Post
    database: Database
    identity: str = ""
    """Venue and account in one text: books belong to one; '' belongs to any."""
    net_liquidation_range: tuple[Decimal, Decimal] | None = None
    cancel_all: bool = False
    session_mails: tuple[str, ...] = ("start", "middle", "end")
    pictures: bool = True
    mail_trouble: str = ""
    """Why no mail can leave, known before any is due; '' when nothing is."""
    commit_after_close_minutes: float = 20.0
    hourly_candles: Candles | None = None
    """The store of hourly bars; None where no sleeve may ask for them."""
    funding_rates: Candles | None = None
    """The store of funding rates (one plus each); None where no sleeve may ask for them."""
    protect: ProtectParameters = field(default_factory=ProtectParameters)
    overrides: Mapping[InstrumentId, Override] = field(default_factory=dict)
    """What the owner wants of single instruments, whatever signals say."""
    dropped: Callable[[], tuple[str, ...]] = lambda: ()
    """What was found damaged so far and is made anew, in words: caches only."""
    late: Callable[[], bool] = lambda: False
    """Whether the run's time is over (monotonic); nothing is sent after it."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """Versions, pid and wall times for `host.json`; never part of the record."""

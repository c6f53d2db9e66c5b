"""What a rehearsal leaves to be judged: the venue's own books, the wire, and our files.

Drivers build it, `observer.judge` reads it. What a driver cannot see stays at its default, and
nothing is concluded from it. `observer.watch.Watch` sees the arrivals and the naked positions:
it is armed once a gateway or server, told of each run, and asked for what it saw after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from rebalancer.model.instrument import InstrumentId
    from rebalancer.model.records import RunRecord
    from rebalancer.model.sessions import SessionTable
    from rebalancer.model.universe import Universe
    from rebalancer.risk.parameters import Limits
    from rebalancer.simulators.books import Account
    from rebalancer.simulators.faults.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Size:
    """An order at its arrival, by the venue's prices and books, in net liquidations.

    `order` is what it would trade, `position` what would be held of its instrument after it,
    `gross` all positions after it (None: not weighed); all without sign. `grows`: the position
    would be larger than it is.
    """

    order: Decimal
    position: Decimal
    gross: Decimal | None
    grows: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that asks for or changes an order, when the venue heard it or our hands were asked.

    `message` is its name on the wire ("placeOrder", "POST /fapi/v1/order") or of the port
    ("hands.submit"), `verb` what it wants: "new", "change", "cancel", "stop" (a protective
    stop), "cancel-stop" or "ask" (what if). `quantity` is signed; `instrument` is '' where the
    message does not say it. `journaled`: its reference stood in a whole, durable line of
    intents by then. `halt`: a HALT file stood by then, for a command of the owner's one that came
    after it. `held` is the venue's position then
    (None: not looked at). `at` is the venue's time. `quote_age` is how many seconds old the
    freshest quote of the instrument was that the venue told in this run, when it told it (None:
    it told none, or not how old). `size` is looked at where an order is new on the wire.
    """

    at: datetime
    message: str
    verb: str
    reference: str = ""
    instrument: str = ""
    quantity: Decimal | None = None
    limit: Decimal | None = None
    journaled: bool = False
    halt: bool = False
    held: Decimal | None = None
    quote_age: Decimal | None = None
    size: Size | None = None


@dataclass
class RunEvidence:
    """One attempt at one slot.

    `killed` names where it was killed, '' when it ended by itself. `error` is the class and
    words of what left the run, '' when nothing did (`record` is then what it returned).
    `exit_code` is the process's (None: killed). `began` and `ended` are the venue's time.
    `orders_before` and `orders_after` are the ids of the orders in the venue's books then.
    `frames` counts the client's messages by name (all of them, not only orders). `halt`: a
    HALT file stood from the beginning to the end. `naked` are positions that lost their last
    stop, in words (`observer.watch`). `lock_free`: the portfolio's lock could be taken
    afterwards. `mails` are subject and text of what an SMTP server took during the run.
    `trace` is the SHA-256 of the wire. `hour` is the place in `Schedule.hours`, None for a calm
    run. `touched` are the files and folders outside `dry/` that a dry run made, changed or removed.
    `limits` were in force (None: the evidence's).

    `command` is what the owner typed instead ("cancel", "flatten"; '' for a run): `halt` is then
    about a HALT file that came after it, and `told` has the orders of ours that it said are left
    (None: it said nothing). `held_before` and `held_after` are the venue's positions then.
    """

    slot: datetime
    attempt: int
    began: datetime
    ended: datetime
    dry: bool = False
    killed: str = ""
    error: str = ""
    record: RunRecord | None = None
    exit_code: int | None = None
    orders_before: tuple[int, ...] = ()
    orders_after: tuple[int, ...] = ()
    frames: Counter[str] = field(default_factory=Counter)
    arrivals: tuple[Arrival, ...] = ()
    halt: bool = False
    naked: tuple[str, ...] = ()
    lock_free: bool = True
    mails: tuple[tuple[str, str], ...] = ()
    trace: str = ""
    hour: int | None = None
    touched: tuple[str, ...] = ()
    limits: Limits | None = None
    command: str = ""
    told: tuple[str, ...] | None = None
    held_before: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    held_after: Mapping[InstrumentId, Decimal] = field(default_factory=dict)


class Move(NamedTuple):
    """Money that came from outside (positive) or went there."""

    at: datetime
    currency: str
    amount: Decimal


class Ahead(NamedTuple):
    """A split that reached prices before positions: of what, and the venue's times."""

    instrument: InstrumentId
    since: datetime
    until: datetime = datetime.max.replace(tzinfo=UTC)


@dataclass
class Evidence:
    """A whole schedule, after its calm runs.

    `account` is the venue's own books at the end, `opening_cash` and `opening_positions` what
    they began with. `flows` is what the driver moved in (positive) or out of the account by
    currency, `moves` the same one by one; `moved` are positions that changed by no execution
    (a split, a transfer), signed units, `ahead` the splits that reached them late. `state` is
    the portfolio's folder. `run_seconds` is the most venue time one run may take. `sessions`
    are the portfolio's (None: not known), `session_mails` the kinds of daily mails that are
    owed in them, `commit_minutes` how long after a close its commit is owed.
    """

    schedule: Schedule
    venue: str
    portfolio: str
    universe: Universe
    limits: Limits
    account: Account
    opening_cash: Mapping[str, Decimal]
    runs: list[RunEvidence]
    state: Path
    opening_positions: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    flows: Mapping[str, Decimal] = field(default_factory=dict)
    moves: Sequence[Move] = ()
    moved: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    ahead: Sequence[Ahead] = ()
    run_seconds: float = 1200.0
    sessions: SessionTable | None = None
    session_mails: tuple[str, ...] = ()
    commit_minutes: float = 20.0


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold: its name, what was seen, and in which run (None: at all).

    `run` is the place in `Evidence.runs`.
    """

    invariant: str
    words: str
    run: int | None = None

    def __str__(self) -> str:
        """Return one line."""
        where = "" if self.run is None else f" (run {self.run + 1})"
        return f"{self.invariant}{where}: {self.words}"

"""This run's page of the logbook: what it knows, what it flagged, and its end, whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from rebalancer.errors import EXIT_LADDER, DataError, DeadlineExceeded, StateError
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.codec import to_plain
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step
from rebalancer.model.income import Income
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import (
    ApprovedOrder,
    Fill,
    OrderStatus,
    RefusedOrder,
    VenueEvent,
    WorkingOrder,
)
from rebalancer.model.records import RunRecord, Standing
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.ports import Desk
from rebalancer.risk import Funding, GateInput, Verdicts, funding_of

Fact = TypeVar("Fact")
LOG = logging.getLogger(__name__)

DOUBTS = frozenset({"unresolved-order", "reconciliation-break", "many-breaks", "corporate-action"})
"""Latched flags that say that books and venue may not agree on what is held."""

FOR_RUNS = frozenset({"halt-file", "mode-kept", "net-liquidation-range"})
"""What stops runs without being latched, and not the owner, who sees the account."""


@dataclass(frozen=True, slots=True)
class HaltSeen:
    """What the HALT files said when the owner decided on a command; None: there was none."""

    words: str | None


class RunPage:
    """The page of one attempt at one slot; implements `ports.Page`.

    Facts are kept by type, so that what comes later (and a close after a failure) can ask
    for the last one of a kind. `orders` has each reference's last known state, `fills` the
    executions seen in this run by id, `intents` what was approved and journaled. `untold` are
    records of runs that ended before their alert, `dead` the journals of attempts that ended
    before their record, `traded` our executions that were counted in this run, `income` what it
    booked of the venue's own ledger, `mailed` the keys of its mails, `stops` ours by reference
    as last told, `unaccepted` what was remembered before step 4 accepted anything.

    `command` is what the owner typed instead of a run ("cancel", "flatten"; '' for a run). Such
    a page does what it is for while a HALT file stands and breakers are latched; a HALT file
    that comes or changes meanwhile stops it like a run: after `seen`, which is what the owner
    saw before deciding (None: what there is now).
    """

    def __init__(
        self,
        desk: Desk,
        slot: datetime,
        attempt: int,
        command: str = "",
        seen: HaltSeen | None = None,
    ) -> None:
        self.desk = desk
        self.slot = slot
        self.attempt = attempt
        self.command = command
        if command and seen is None:
            seen = HaltSeen(desk.books.halt_reason())
        self.known_halt = seen.words if command and seen is not None else None
        self.forbidden = False
        self.at_step = Step.START
        self.intents: dict[str, ApprovedOrder] = {}
        self.orders: dict[str, WorkingOrder] = {}
        self.fills: dict[str, Fill] = {}
        self.cancelled: dict[str, WorkingOrder] = {}
        self.standing: Standing = desk.books.standing()
        self.approved: list[ApprovedOrder] = []
        self.refused: list[RefusedOrder] = []
        self.unmanaged: tuple[InstrumentId, ...] = ()
        self.now = slot
        self.first_account: AccountSnapshot | None = None
        self.gate_input: GateInput | None = None
        self.exit_code = 0
        self.failure: Exception | None = None
        self.host: dict[str, Any] = {}
        self.untold: tuple[RunRecord, ...] = ()
        self.mailed: set[str] = set()
        self.traded: tuple[Fill, ...] = ()
        self.income: tuple[Income, ...] = ()
        self.stops: dict[str, StopOrder] = {}
        self.dead: dict[datetime, Sequence[Mapping[str, Any]]] = {}
        self.unaccepted: Standing = self.standing
        self._flags: dict[tuple[str, str], ErrorFlag] = {}
        self._facts: dict[type, Any] = {}
        self._record: RunRecord | None = None

    @property
    def record(self) -> RunRecord:
        """Return the run's record; raises `StateError` when there is none."""
        if self._record is None:
            raise StateError(f"run {self.slot:%Y-%m-%dT%H%MZ} has no record")
        return self._record

    @record.setter
    def record(self, record: RunRecord) -> None:
        self._record = record

    @property
    def has_record(self) -> bool:
        """Return whether step 9 was reached."""
        return self._record is not None

    @property
    def flags(self) -> tuple[ErrorFlag, ...]:
        """Return the flags raised so far, in the order in which they were raised."""
        return tuple(self._flags.values())

    @property
    def halted(self) -> bool:
        """Return whether anything forbids every order of this page."""
        found = (flag for flag in self.flags if flag.severity is Severity.HALT)
        return self.forbidden or any(not self.works_despite(flag) for flag in found)

    def works_despite(self, flag: ErrorFlag) -> bool:
        """Return whether a command of the owner's goes on in spite of a flag; a run never does.

        Breakers and the HALT file of before are meant for runs. So is the range of values that
        the owner expects: below it he may well want out; and a margin type that a position keeps
        as it is. What makes doubtful what is held, or what an order would meet at the venue,
        stops commands too.
        """
        if not self.command or flag.code in DOUBTS:
            return False
        return flag.code in FOR_RUNS or FLAG_TABLE[flag.code].latched

    def step(self, step: Step) -> None:
        """Begin a step; nothing goes on past the deadline before the orders are out."""
        self.at_step = step
        LOG.info("step %d: %s", step, step.name.lower().replace("_", " "))
        self._note("step", step=int(step))
        if step <= Step.SUBMIT and self.desk.late():
            raise DeadlineExceeded(f"the run's time was over before step {int(step)}")

    def keep(self, fact: Fact) -> Fact:
        """Remember and journal a fact and hand it back; flags in it are raised."""
        self._facts[type(fact)] = fact
        if isinstance(fact, AccountSnapshot):
            self.first_account = self.first_account or fact
            self._note("account", account=to_plain(fact))
        carried: Any = fact if isinstance(fact, tuple) else getattr(fact, "flags", ())
        for flag in carried:
            if isinstance(flag, ErrorFlag):
                self.raised(flag)
        return fact

    def last(self, kind: type[Fact]) -> Fact | None:
        """Return the last kept fact of a type, None when there was none."""
        fact: Fact | None = self._facts.get(kind)
        return fact

    def flag(self, code: str, message: str, subject: str = RUN) -> None:
        """Raise a flag of the flag table at the current step."""
        kind = FLAG_TABLE.get(code)
        if kind is None:
            raise DataError(f"{code!r} is not in the flag table")
        self.raised(ErrorFlag(self.at_step, code, subject, kind.severity, message))

    def flag_quietly(self, code: str, message: str, subject: str = RUN) -> None:
        """Raise a flag even when the journal cannot be written any more."""
        try:
            self.flag(code, message, subject)
        except StateError:
            kind = FLAG_TABLE[code]
            flag = ErrorFlag(self.at_step, code, subject, kind.severity, message)
            self._flags.setdefault((code, subject), flag)

    def raised(self, flag: ErrorFlag) -> None:
        """Take over a flag that a room decided; the same trouble is kept once."""
        if flag.code not in FLAG_TABLE:
            raise DataError(f"{flag.code!r} is not in the flag table")
        if (flag.code, flag.subject) not in self._flags:
            self._flags[flag.code, flag.subject] = flag
            self._note("flag", flag=to_plain(flag))

    def decided(self, verdicts: Verdicts) -> None:
        """Take over what the gates approved and refused, all of it so far."""
        self.approved = list(verdicts.approved)
        self.refused = list(verdicts.refused)

    def funding(self, approved: Sequence[ApprovedOrder]) -> Funding:
        """Return what the approved orders are released by, from what the gates saw."""
        if self.gate_input is None:
            raise DataError("nothing was gated in this run")
        return funding_of(self.gate_input, approved)

    def stop(self) -> ErrorFlag | None:
        """Return why nothing more may be sent: a HALT file or the deadline; None to go on."""
        if self.halt_file():
            return self._flags["halt-file", RUN]
        if self.desk.late():
            self.flag("deadline", "the run's time is over; nothing more was sent")
            return self._flags["deadline", RUN]
        return None

    def halt_file(self) -> bool:
        """Return whether a HALT file forbids sending, now or earlier in this run; flag it."""
        reason = self.desk.books.halt_reason()
        if reason is not None and reason != self.known_halt:
            self.forbidden = True
            self.flag("halt-file", f"a HALT file forbids sending: {reason or 'no reason given'}")
        return self.forbidden

    def intend(self, orders: Sequence[ApprovedOrder]) -> None:
        """Journal approved orders, durably, before they go to the wire."""
        for order in orders:
            if order.reference in self.intents:
                raise DataError(f"{order.reference} was already sent in this run")
        lines = [to_plain(order) for order in orders]
        self._note("intents", durable=True, orders=lines)
        self.intents |= {order.reference: order for order in orders}

    def sent(self, references: Sequence[str]) -> None:
        """Journal that these were handed to the wire."""
        self._note("sent", references=list(references))

    def saw(self, event: VenueEvent) -> None:
        """Journal an event of the venue; an execution is on disk before this returns."""
        if isinstance(event, Fill):
            known = self.fills.get(event.exec_id)
            self.fills[event.exec_id] = event
            if known != event:
                self._note("fill", durable=True, fill=to_plain(event))
            return
        if self.orders.get(event.reference) != event:
            self._note("order", order=to_plain(event))
        self.orders[event.reference] = event

    def intend_stops(self, stops: Sequence[PlaceStop]) -> None:
        """Journal stops, durably, before they go to the wire: their references are used up."""
        self._note("stops", durable=True, stops=[to_plain(stop) for stop in stops])

    def saw_stop(self, stop: StopOrder) -> None:
        """Journal what the venue said of a stop."""
        self._note("stop", stop=to_plain(stop))

    def own_fills(self) -> tuple[Fill, ...]:
        """Return the executions of the orders that this run sent."""
        return tuple(fill for fill in self.fills.values() if fill.reference in self.intents)

    def unacknowledged(self) -> tuple[str, ...]:
        """Return the references of which the venue's last word is missing or unknown."""
        silent = {OrderStatus.SENT, OrderStatus.UNKNOWN}
        return tuple(
            reference
            for reference in self.intents
            if reference not in self.orders or self.orders[reference].status in silent
        )

    def in_doubt(self, reference: str) -> bool:
        """Return whether the venue's newest word of an order is no end, whatever it said before."""
        word = self.orders.get(reference)
        return word is not None and not word.status.terminal

    def remember(self, **changes: Any) -> Standing:
        """Change what is remembered from run to run, and save it."""
        self.standing = replace(self.standing, **changes)
        self.desk.books.save_standing(self.standing)
        return self.standing

    def begin(self) -> None:
        """Reserve this attempt's reference numbers in the journal."""
        more = {"command": self.command} if self.command else {}
        self._note("begin", durable=True, attempt=self.attempt, mode=self.desk.mode.value, **more)

    def told(self) -> None:
        """Journal that this run's troubles were told."""
        self._note("told")

    def end(self) -> None:
        """Journal that the record stands."""
        self._note("end", durable=True, attempt=self.attempt)

    def worsen(self, code: int) -> None:
        """Let the process end with `code` when it is worse than what it had."""
        self.exit_code = max(self.exit_code, code, key=EXIT_LADDER.index)

    def _note(self, kind: str, *, durable: bool = False, **more: Any) -> None:
        line: Mapping[str, Any] = {"kind": kind, "attempt": self.attempt} | more
        self.desk.books.note(self.slot, line, durable=durable)

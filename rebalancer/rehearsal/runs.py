"""The runs of one schedule, one after the other, at one venue that outlives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rebalancer.errors import DeadlineExceeded, RebalancerError, StateError
from rebalancer.hourly import hour as run_hour
from rebalancer.model.records import Mode, RunRecord
from rebalancer.ports import Database, Desk, Post
from rebalancer.rehearsal.around import Connections, Stepped, following
from rebalancer.rehearsal.evidence import Evidence, RunEvidence, Violation
from rebalancer.rehearsal.happenings import Outside
from rebalancer.rehearsal.observer.case import held_of
from rebalancer.rehearsal.observer.dry_only import live_files, touched
from rebalancer.rehearsal.observer.watch import Watch
from rebalancer.rehearsal.posts import Mailbox, RehearsedDatabase, post_for
from rebalancer.rehearsal.residents import Resident, heard, resident
from rebalancer.rehearsal.signals import WrittenSignals
from rebalancer.rehearsal.stage import Stage
from rebalancer.rehearsal.words import hour_words
from rebalancer.simulators.faults.hours import CANCEL
from rebalancer.simulators.faults.injection import Injector
from rebalancer.simulators.faults.killed import Killed
from rebalancer.simulators.faults.schedule import Hour, Schedule, Trouble
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder
from rebalancer.store.lazy_database import NoDatabase
from rebalancer.store.lock import NAME, holder_of, portfolio_lock
from rebalancer.working.by_hand import cancel_by_hand, flatten_by_hand
from rebalancer.working.due import why_due
from rebalancer.working.page import HaltSeen

MINUTE = timedelta(minutes=1)
OPENED_BEFORE = timedelta(minutes=65)
"""How long before the first slot the account opens."""

ROOM = 600.0
"""Seconds that a run may take longer than it may send: to hear of the end of everything."""


class Play:
    """One schedule being played: the venue, the state folder, and what was seen."""

    def __init__(
        self,
        stage: Stage,
        schedule: Schedule,
        folder: Path,
        tell: Callable[[str], object] | None = None,
        *,
        wire: bool = False,
    ) -> None:
        self.stage, self.schedule, self.folder = stage, schedule, folder
        self.state = stage.state(folder)
        self.state.mkdir(parents=True, exist_ok=True)
        self.hits: Counter[tuple[str, int]] = Counter()
        self.dry_hits: Counter[tuple[str, int]] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self._tell = tell
        self._files = Files()
        self._first = stage.start(schedule.seed)
        self._sessions = stage.sessions_at(self._first)
        self._slot = self._first
        self._wanted: dict[str, str] = {}
        self._mailbox = Mailbox()
        settings = replace(stage.spec.settings, start=self._first - OPENED_BEFORE)
        spec: Any = replace(stage.spec, settings=settings)
        if stage.venue == "ib":
            spec = replace(spec, sessions=self._sessions.sessions)
        self.venue: Resident = resident(spec, self._wire if wire else None)
        self.watch = Watch(self.state)
        if stage.venue == "ib":
            self.watch.gateway(self.venue.control.gateway)
        else:
            stops = schedule.protect or stage.always_protected
            self.watch.server(self.venue.control.server, stops=stops)
        account = self.venue.exchange.account
        self._outside = Outside(self.venue, self.state, self._happened)
        self.evidence = Evidence(
            schedule=schedule,
            venue=stage.venue,
            portfolio=stage.portfolio,
            universe=stage.universe,
            limits=stage.limits,
            account=account,
            opening_cash=dict(account.cash),
            opening_positions={n: h.quantity for n, h in account.holdings.items()},
            runs=[],
            state=self.state,
            run_seconds=stage.deadline_seconds + ROOM,
            sessions=self._sessions,
            session_mails=stage.session_mails if schedule.post else (),
            commit_minutes=stage.commit_after_close_minutes,
        )

    def play(self) -> Evidence:
        """Play every hour and the calm ones after them; return what is there to be judged."""
        calm = Hour(minutes=60, wanted={})
        for place, hour in enumerate(self.schedule.hours):
            self._hour(hour, place)
        for _ in range(self.schedule.calm):
            self._hour(calm, None)
        self.evidence.flows = dict(self._outside.flows)
        self.evidence.moves = tuple(self._outside.moves)
        self.evidence.moved = dict(self._outside.moved)
        self.evidence.ahead = tuple(self._outside.ahead)
        return self.evidence

    # ------------------------------------------------------------------ one hour

    def _hour(self, hour: Hour, place: int | None) -> None:
        """Let happen what happens outside, then run once if a run is due."""
        self._wanted = dict(hour.wanted) or self._wanted
        first = not self.evidence.runs
        slot = self._next_slot(hour, first=first)
        self._say(f"\n{slot:%Y-%m-%d %H:%M} UTC: {hour_words(hour, calm=place is None)}")
        self._outside.let(hour.happenings)
        if self._recorded(hour, slot):
            self._say("  this slot has its record; nothing is run twice")
            return
        self._slot = slot
        self._run(hour, slot, place)

    def _next_slot(self, hour: Hour, *, first: bool) -> datetime:
        """Return the slot of an hour: in a session, and not in the venue's past."""
        if first or hour.again:
            return self._slot
        now = self.venue.now()
        slot = max(self._slot + timedelta(minutes=hour.minutes), _minute_after(now))
        if hour.command:
            return slot  # the owner does not wait for a session
        if self._sessions.current(slot) is None and not self._owed(slot):
            coming = self._sessions.next_open(slot)
            if coming is not None:
                slot = coming.open + timedelta(minutes=20 + slot.minute % 30)
        return slot

    def _owed(self, slot: datetime) -> bool:
        """Return whether a run is due outside the session, where mails and commits are."""
        if not self.schedule.post:
            return False
        try:
            due = why_due(
                StateFolder(self.state, self._files),
                self._sessions,
                slot,
                mails=self.stage.session_mails,
                commit_after_close_minutes=self.stage.commit_after_close_minutes,
            )
        except StateError:
            return True
        return due is not None

    def _books(self, hour: Hour) -> StateFolder:
        plain = StateFolder(self.state, self._files)
        return StateFolder(self.state / "dry", self._files, base=plain) if hour.dry else plain

    def _recorded(self, hour: Hour, slot: datetime) -> bool:
        """Return whether a slot has its record; one that cannot be read is for the run to tell."""
        try:
            return self._books(hour).record(slot) is not None
        except StateError:
            return False

    def _begun(self, hour: Hour, slot: datetime) -> int:
        """Return how many attempts at a slot have begun in its journal."""
        try:
            journal = self._books(hour).journal(slot)
        except StateError:
            return sum(1 for each in self.evidence.runs if each.slot == slot)
        return sum(1 for line in journal if line.get("kind") == "begin")

    def _run(self, hour: Hour, slot: datetime, place: int | None) -> None:
        """Run one slot with its troubles, and keep what was seen of it."""
        venue, watch = self.venue, self.watch
        injector = Injector(
            hour.troubles, self.stage.venue, self._dry_hit if hour.dry else self._hit
        )
        venue.control.open(slot, 1 if slot >= venue.now() else 2)
        venue.begin(injector)
        self._outside.beside(injector)
        self._alarm(injector, slot)
        watch.begin(by_hand=bool(hour.command))
        before = heard(venue)
        account = venue.exchange.account
        attempt = 1 + self._begun(hour, slot)
        seen = RunEvidence(
            slot=slot,
            attempt=attempt,
            began=venue.now(),
            ended=venue.now(),
            dry=hour.dry,
            orders_before=tuple(order.id for order in account.orders),
            halt=watch.halted(),
            hour=place,
            command=hour.command,
            held_before=held_of(self.stage.universe, account),
        )
        live = live_files(self.state) if hour.dry else {}
        wire = venue.wire_seconds()
        until = slot.timestamp() + self.stage.deadline_seconds
        with portfolio_lock(self.state, until, slot.timestamp()):
            self._go(hour, slot, injector, seen)
        venue.cut()
        seen.touched = touched(live, live_files(self.state)) if hour.dry else ()
        seen.lock_free = holder_of(self.state / NAME) is None
        if self._outside.double:
            self._violation("single-flight", "a second run got the lock of one at work")
        seen.ended = venue.now()
        seen.orders_after = tuple(order.id for order in account.orders)
        seen.held_after = held_of(self.stage.universe, account)
        seen.frames = heard(venue) - before
        seen.arrivals, seen.naked = watch.arrivals, watch.naked
        seen.halt = seen.halt and watch.halted()
        seen.mails = self._mailbox.taken()
        seen.trace = venue.control.trace()
        self.evidence.runs.append(seen)
        self._bounded(seen, venue.wire_seconds() - wire)
        self.outcomes[_outcome(seen)] += 1
        self._say(f"  {_outcome(seen)}: {seen.killed or seen.error or 'by itself'}")

    def _go(self, hour: Hour, slot: datetime, injector: Injector, seen: RunEvidence) -> None:
        desk = self._desk(hour, slot, injector)
        seen.limits = desk.limits
        try:
            seen.record = self._act(hour, desk, slot, seen)
            seen.exit_code = seen.record.exit_code
        except Killed as killed:
            seen.killed = killed.where
        except Exception as error:
            known = isinstance(error, RebalancerError)
            seen.error = f"{type(error).__name__}: {error}"
            seen.exit_code = error.exit_code if isinstance(error, RebalancerError) else 70
            if not known and not injector.raised(error):
                self._violation("crash", f"an unexpected {seen.error}")
        if injector.dead and not seen.killed:
            # The kill struck where the program could not hear of it; what it did afterwards
            # was done by nobody.
            seen.killed = injector.where
            seen.record, seen.error, seen.exit_code = None, "", None

    def _act(self, hour: Hour, desk: Desk, slot: datetime, seen: RunEvidence) -> RunRecord:
        """Do what the hour is for: a run, or what the owner typed with the HALT files in view."""
        if not hour.command:
            return run_hour(desk, slot)
        halts = HaltSeen(StateFolder(self.state, self._files).halt_reason())
        if hour.command == CANCEL:
            record, left = cancel_by_hand(desk, slot, seen=halts)
        else:
            record, left = flatten_by_hand(desk, slot, seen=halts)
        if left.orders is not None:
            seen.told = tuple(order.reference for order in left.orders)
        return record

    def _alarm(self, injector: Injector, slot: datetime) -> None:
        """Let what is slow end where the timer of a run's guard ends it: once."""
        slow = injector.acts["slow"]
        end = slot + timedelta(seconds=self.stage.deadline_seconds)
        rung: list[bool] = []

        def until_it_rings(trouble: Trouble) -> None:
            left = (end - self.venue.now()).total_seconds()
            if rung:
                return  # it is over already: what is slow now is cut off by nobody
            slow(replace(trouble, seconds=max(0.0, min(trouble.seconds, left))))
            if trouble.seconds >= left:
                rung.append(True)
                words = f"the run took longer than {self.stage.deadline_seconds:g} s"
                raise injector.raising(DeadlineExceeded(words))

        injector.acts["slow"] = until_it_rings

    def _desk(self, hour: Hour, slot: datetime, injector: Injector) -> Desk:
        """Return the real desk, with troubles between it and the world."""
        mode = Mode.DRY_RUN if hour.dry else Mode.PAPER
        files = self.watch.files(injector.files(self._files))
        desk = self.stage.desk_at(self.folder, slot, files, mode, self._sessions)
        desk = self._outside.changed(desk)
        if self.schedule.follow:
            desk = following(desk)
        silent = self._outside.silent
        written = self.state / "dry" if hour.dry else self.state
        began, wire = slot, self.venue.wire_seconds()

        def late() -> bool:
            passed = (self.venue.now() - began).total_seconds()
            return passed + self.venue.wire_seconds() - wire > self.stage.sending_seconds

        broker = Connections(self.venue.broker(desk.broker), desk.hands, injector, self.watch)
        post: Post = desk.post
        database: Database = NoDatabase()
        if self.schedule.post and not hour.dry:
            post = post_for(self.state, files, self._mailbox, injector, self.venue.now)
            database = RehearsedDatabase(desk.database, self.state, injector)
        generators = WrittenSignals(written / "signals", files, self._wanted, silent=silent)
        return replace(
            desk,
            broker=broker,
            hands=broker.hands,
            books=injector.port(Stepped(desk.books, injector, self._say), "books"),
            candles=injector.port(desk.candles, "candles"),
            generators=injector.port(generators, "generators"),
            inbox=injector.port(desk.inbox, "inbox"),
            post=injector.port(post, "post"),
            database=injector.port(database, "database"),
            protect=self.stage.protect if self.schedule.protect else desk.protect,
            session_mails=desk.session_mails if self.schedule.post else (),
            pictures=False,  # a picture takes longer than its run, and decides nothing
            late=late,
            host={},
        )

    # ------------------------------------------------------------------ what was seen

    def _happened(self, what: str) -> None:
        self.hits[what, 1] += 1
        self._say(f"  ** {what}")

    def _hit(self, fault: str, step: int) -> None:
        self.hits[fault, step] += 1
        self._say(f"    ** {fault} strikes in step {step}")

    def _dry_hit(self, fault: str, step: int) -> None:
        self.dry_hits[fault, step] += 1
        self._hit(fault, step)

    def _bounded(self, seen: RunEvidence, wire_seconds: float) -> None:
        most = self.evidence.run_seconds
        took = (seen.ended - seen.began).total_seconds() + wire_seconds
        if took > most:
            self._violation("bounded-time", f"it took {took:.0f} s, at most {most:.0f} s are meant")

    def _violation(self, invariant: str, words: str) -> None:
        self.violations.append(Violation(invariant, words, len(self.evidence.runs)))

    def _say(self, line: str) -> None:
        if self._tell is not None:
            self._tell(line)

    def _wire(self, line: str) -> None:
        self._say(f"      {line.rstrip()}")


def _minute_after(at: datetime) -> datetime:
    """Return the first whole minute at or after a time."""
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + MINUTE


def _outcome(seen: RunEvidence) -> str:
    """Return how a run ended, in a word or two."""
    what = f"{seen.command}, " if seen.command else ""
    if seen.killed:
        return f"{what}killed"
    if seen.record is not None:
        return f"{what}{'dry, ' if seen.dry else ''}{seen.record.outcome.value}"
    return f"{what}exit {seen.exit_code}"

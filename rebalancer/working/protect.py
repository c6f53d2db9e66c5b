"""Step 7, last: every position has its protective stops at the venue, and only a flat one none.

New stops are placed, and confirmed by a new look at the venue, before old ones are cancelled.
So a run that ends anywhere in between leaves a position with too many stops (they may only
reduce), never with none; the next run keeps the newest complete set and cancels the others.
For the same reason a set that is not seen whole after a while is placed once more: a stop too
many costs nothing, a rest without one may.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from rebalancer.errors import OutcomeUnknown
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, Purpose, WorkingOrder, parse_reference
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.ports import Desk, Hands, Venue
from rebalancer.risk import Ladder, StopNames, best_group, ladder, unprotected
from rebalancer.working.cancel import is_own
from rebalancer.working.page import DOUBTS, RunPage
from rebalancer.working.record import latch

MISSING, FAILED = "protection-missing", "protection-failed"
ADJUSTED = "books-adjusted"

_NONE = Decimal(0)

BARE = "no stop of ours is seen at the venue"

SETTLE_SECONDS = 15.0
"""How long after a first try is looked whether a set of stops has become whole."""


def protect(
    desk: Desk, venue: Venue, hands: Hands, others: Sequence[WorkingOrder], page: RunPage
) -> None:
    """Give every position of the universe its stops, and take those of flat ones away.

    What is held outside the universe gets none, and keeps what it has.

    `others` are the orders that were left working in step 2; a stop of ours that triggered and
    still rests among them protects nothing any more: it goes when new stops are confirmed.
    A halted run touches no stop, but places stops for a position that has none at all. With
    a HALT file or after the deadline nothing is sent; nor in a dry run. An outcome that is not
    known leaves everything as it is: the next run sees at the venue what became of it.
    """
    if not desk.protect.enabled or not hands.sends:
        return
    if not venue.keeps_stops:
        page.flag(FAILED, f"[protect] is on and {venue.name} keeps no stops: nothing is protected")
        return
    shift = _Shift(desk, venue, hands, page, _triggered(desk, others))
    shift.look()
    shift.set_ladders()
    shift.take_down_flat()
    shift.tell()
    page.stops = {stop.reference: stop for stop in shift.own()}


@dataclass(frozen=True)
class _Wanted:
    """A position and what is to be done about its stops."""

    position: Position
    ladder: Ladder


class _Shift:
    """The stops of one run while they are seen to."""

    def __init__(
        self,
        desk: Desk,
        venue: Venue,
        hands: Hands,
        page: RunPage,
        triggered: Sequence[WorkingOrder],
    ) -> None:
        self.desk, self.venue, self.hands, self.page = desk, venue, hands, page
        self.triggered = triggered
        self.calm = not page.halted
        self.stops: tuple[StopOrder, ...] = ()
        self.positions: dict[InstrumentId, Position] = {}
        self.held: frozenset[InstrumentId] = frozenset()
        self.numbers: dict[InstrumentId, int] = {}
        self.unsure: set[InstrumentId] = set()
        self.doubted: frozenset[InstrumentId] = frozenset()
        self.failures: dict[InstrumentId, str] = {}

    def look(self) -> None:
        """Read what is held now and which stops wait; both complete, or the run ends here.

        Without an order of ours since, what step 4 saw is what is held. Where an order of ours
        does not explain what has changed since, or our books say another thing, the venue may
        be showing what was: nothing is taken away there.
        """
        seen = self.page.last(AccountSnapshot)
        account = self.venue.account() if seen is None or self.page.intents else seen
        self.doubted = _disputed(self.page)
        if seen is not None:
            self.doubted |= _unexplained(seen, account, self.page)
        self.stops = self.venue.stops()
        held = {each.instrument: each for each in account.positions if each.quantity}
        # What is held and not in the universe gets no new stop, and keeps those that it has.
        self.held = frozenset(held)
        self.positions = {name: held[name] for name in held if name in self.desk.universe}
        forget_closed(self.page, self.held)

    def own(self, instrument: InstrumentId | None = None) -> tuple[StopOrder, ...]:
        """Return our stops that wait for their trigger (in one instrument)."""
        return tuple(
            stop
            for stop in self.stops
            if is_protective(stop.reference, self.desk.portfolio)
            and not stop.status.terminal
            and instrument in (None, stop.instrument)
        )

    def set_ladders(self) -> None:
        """Place what positions need; once more where a set was not seen whole."""
        self._set(sorted(self.positions))
        again = sorted(self.failures)
        if not again or self.page.stop() is not None or self.desk.late():
            return
        until = self.venue.now() + timedelta(seconds=SETTLE_SECONDS)
        while self.venue.now() < until:
            for event in self.venue.wait(until):
                self.page.saw(event)
        self.stops = self.venue.stops()
        self.unsure.clear()
        self.failures.clear()
        self._set(again)

    def tell(self) -> None:
        """Flag what could not be protected as it should be."""
        for name, why in sorted(self.failures.items()):
            words = "what protected it before still does" if self.own(name) else BARE
            self.page.flag(FAILED, f"{name}: {why}; {words}, and the next run tries again", name)

    def _set(self, names: Sequence[InstrumentId]) -> None:
        """Place what these need, in rounds that the venue's limit of open stops allows."""
        todo = [each for name in names if (each := self._wanted(name))]
        while todo:
            now, todo = self._fitting(todo)
            if not now:
                for each in todo:
                    self._failed(each.position, "the venue takes no more open stops")
                return
            placed = [each for each in now if self._place(each)]
            if any(each.ladder.place for each in now):
                self.stops = self.venue.stops()
            for each in placed:
                self._replace(each)

    def take_down_flat(self) -> None:
        """Cancel our stops where nothing is held any more; a halted run leaves them."""
        if not self.calm:
            return
        for stop in self.own():
            if stop.instrument not in self.held:
                self._cancel(stop)
        for order in self.triggered:
            if order.instrument not in self.held and not self.page.stop():
                self._cancel_triggered(order)

    def _wanted(self, name: InstrumentId) -> _Wanted | None:
        """Return what a position needs; None where it has it, or a halted run leaves it alone."""
        position, own = self.positions[name], self.own(name)
        if not self.calm and not unprotected(own, position, self.desk.portfolio):
            return None
        names = StopNames(
            self.desk.portfolio, self.page.slot, self.page.attempt, self.numbers.get(name, 0)
        )
        parameters = self.desk.protect
        share = max(1, (parameters.most_open - parameters.steps) // len(self.positions))
        limit = self.desk.universe[name].rules.max_stops
        most = min(share, share if limit is None else max(1, limit // 2))
        wanted = ladder(position, self.desk.universe[name], own, parameters, names, most=most)
        self.numbers[name] = names.first + len(wanted.place)
        if wanted.doubt:
            self._failed(position, wanted.doubt)
            return None
        if wanted.trouble:
            self._missing(position, wanted.trouble)
        return _Wanted(position, wanted) if wanted.place or wanted.cancel else None

    def _fitting(self, todo: list[_Wanted]) -> tuple[list[_Wanted], list[_Wanted]]:
        """Return those for which there is room at the venue now, and the others."""
        room = self.desk.protect.most_open - len(self.stops)
        now: list[_Wanted] = []
        for each in todo:
            if len(each.ladder.place) > room:
                break
            room -= len(each.ladder.place)
            now.append(each)
        return now, todo[len(now) :]

    def _place(self, wanted: _Wanted) -> bool:
        """Place a position's stops; return whether the venue may be asked about them now."""
        if not wanted.ladder.place:
            return True
        if (stopped := self.page.stop()) is not None:
            self._failed(wanted.position, f"no stop may be sent: {stopped.message}")
            return False
        self.page.intend_stops(wanted.ladder.place)
        for stop in wanted.ladder.place:
            try:
                told = self.hands.place_stop(stop)
            except OutcomeUnknown as error:
                self.unsure.add(stop.instrument)
                self._failed(wanted.position, f"what became of stop {stop.reference}: {error}")
                continue
            self.page.saw_stop(told)
            if told.status.terminal:
                words = told.message or "no reason given"
                self._failed(
                    wanted.position, f"the venue refused the stop at {stop.trigger:f}: {words}"
                )
        return True

    def _replace(self, wanted: _Wanted) -> None:
        """Cancel a position's old stops if every new one is confirmed, else the lesser set."""
        name, place = wanted.position.instrument, wanted.ladder.place
        waiting = {stop.reference for stop in self.own(name)
                   if stop.status is OrderStatus.WORKING}  # fmt: skip
        missing = [stop for stop in place if stop.reference not in waiting]
        old = wanted.ladder.cancel
        if missing:
            said = self.failures.get(name)
            self._failed(wanted.position, said or _unconfirmed(missing))
            best = best_group(self.own(name), wanted.position, self.desk.portfolio)
            old = tuple(stop for stop in self.own(name) if stop not in best)
        if not self.calm or name in self.unsure:
            return
        for stop in old:
            self._cancel(stop)
        if not missing:
            for order in self.triggered:
                if order.instrument == name:
                    self._cancel_triggered(order)

    def _cancel(self, stop: StopOrder) -> None:
        """Ask for a stop's end; whatever comes of it, the next run sees the rest."""
        if stop.instrument in self.doubted or self.page.stop() is not None:
            return
        try:
            told = self.hands.cancel_stop(stop)
        except OutcomeUnknown as error:
            self.page.flag(
                FAILED, f"a stop of {stop.instrument} may still wait: {error}", stop.instrument
            )
            return
        self.page.saw_stop(told)
        self.stops = tuple(each for each in self.stops if each.reference != stop.reference or (
            not told.status.terminal))  # fmt: skip

    def _cancel_triggered(self, order: WorkingOrder) -> None:
        if order.instrument not in self.doubted and self.page.stop() is None:
            for event in self.hands.cancel(order):
                self.page.saw(event)

    def _failed(self, position: Position, why: str) -> None:
        self.failures[position.instrument] = why

    def _missing(self, position: Position, why: str) -> None:
        message = f"{position.instrument}: {why}; the next plan closes it"
        self.page.flag(MISSING, message, position.instrument)
        latch(self.page, MISSING, position.instrument, message)
        self.page.remember()


def _unexplained(
    then: AccountSnapshot, now: AccountSnapshot, page: RunPage
) -> frozenset[InstrumentId]:
    """Return the instruments in which more or less is held than then and orders since explain."""
    expected = {each.instrument: each.quantity for each in then.positions}
    for reference, order in page.orders.items():
        if reference in page.intents:
            expected[order.instrument] = expected.get(order.instrument, _NONE) + order.filled
    held = {each.instrument: each.quantity for each in now.positions}
    return frozenset(
        name for name in {*expected, *held} if expected.get(name, _NONE) != held.get(name, _NONE)
    )


def _disputed(page: RunPage) -> frozenset[InstrumentId]:
    """Return the instruments of which books and venue say different things, or did until now."""
    latched = {flag.subject for flag in page.standing.latched if flag.code in DOUBTS}
    booked = {flag.subject for flag in page.flags if flag.code == ADJUSTED}
    return frozenset(InstrumentId(subject) for subject in latched | booked)


def given_up(page: RunPage) -> dict[InstrumentId, str]:
    """Return the instruments that the next plan closes because stops could not, and why."""
    return {
        InstrumentId(flag.subject): flag.message
        for flag in page.standing.latched
        if flag.code == MISSING
    }


def forget_closed(page: RunPage, held: Container[InstrumentId]) -> None:
    """Lift what was latched for want of protection from what is not held any more."""
    left = tuple(
        flag
        for flag in page.standing.latched
        if flag.code != MISSING or InstrumentId(flag.subject) in held
    )
    if left != page.standing.latched:
        page.remember(latched=left)


def is_protective(reference: str, portfolio: str) -> bool:
    """Return whether a stop's reference is one of this portfolio's ladder."""
    parts = parse_reference(reference, portfolio)
    return parts is not None and parts["purpose"] == Purpose.PROTECT.value


def _triggered(desk: Desk, others: Sequence[WorkingOrder]) -> tuple[WorkingOrder, ...]:
    return tuple(each for each in others if is_own(each, desk.portfolio, Purpose.PROTECT))


def _unconfirmed(missing: Sequence[PlaceStop]) -> str:
    shown = ", ".join(f"{stop.trigger:f}" for stop in missing)
    return f"the venue does not show its stops at {shown}"

"""Step 7, second half: approved orders go out, in waves, and are worked until their time is up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from datetime import timedelta
from decimal import Decimal

from rebalancer.errors import RebalancerError
from rebalancer.execution import (
    CancelRequest,
    Done,
    Move,
    OrderState,
    Peg,
    Then,
    Wait,
    advance,
    after_end,
    asked,
    may_be_left,
    next_move,
    peg_price,
    silence,
    start,
    window_end,
)
from rebalancer.model.flags import ErrorFlag
from rebalancer.model.instrument import InstrumentId, Kind
from rebalancer.model.market import Quote
from rebalancer.model.orders import (
    ApprovedOrder,
    OrderStatus,
    RefusedOrder,
    Replace,
    VenueEvent,
)
from rebalancer.ports import Desk, Hands, Venue
from rebalancer.risk import (
    Funding,
    SentOrder,
    release,
    too_small,
)
from rebalancer.working.call_back import call_back, call_off, look_up
from rebalancer.working.conduct import refused_too_often, restarts
from rebalancer.working.heirs import following, never_worked, no_heir, sent_orders
from rebalancer.working.page import RunPage
from rebalancer.working.unsent import not_sent, tell_rejected

MOST_IDLE_ROUNDS = 3
MOST_HEIRS = 20
"""So many orders may follow one that was approved; they count in the limits on orders."""


def work(
    desk: Desk, venue: Venue, hands: Hands, approved: Sequence[ApprovedOrder], page: RunPage
) -> None:
    """Send approved orders and work them until they are done or their time is up.

    Reductions go first; the others go as soon as what they cost is really there. Before each
    message the page is asked whether it may still go out; a HALT file also calls back what works
    already. An order that the venue does not acknowledge in time is looked up once and never sent
    again; what rests then, and would not end by itself, is cancelled. No orders: nothing happens.
    In a dry run every approved order is answered "not sent" at once: there are no proceeds to wait
    for.
    """
    shift = Shift(desk, venue, hands, page, approved)
    if not hands.sends:
        shift.send(shift.waiting)
        shift.waiting = []
    while shift.goes_on():
        shift.send_what_may_go()
        shift.make_moves()
        shift.listen()
    call_back(desk, venue, hands, page, shift.take)
    shift.drop_waiting()
    shift.look_up_silent()
    tell_rejected(page)
    page.now = venue.now()


class Shift:
    """The orders of one run while they are worked."""

    def __init__(
        self,
        desk: Desk,
        venue: Venue,
        hands: Hands,
        page: RunPage,
        approved: Sequence[ApprovedOrder],
    ) -> None:
        self.desk, self.venue, self.hands, self.page = desk, venue, hands, page
        self.waiting = sorted(approved, key=lambda o: (o.intent.wave, o.intent.sequence))
        self.states: dict[str, OrderState] = {}
        ends = venue.now() + timedelta(seconds=desk.working.window_seconds)
        self.ends = min([ends, *(order.deadline for order in approved)])
        self.stopped = False
        self.idle = 0
        self.funding: Funding | None = page.funding(approved) if approved else None
        self.heirs: dict[str, list[str]] = {order.reference: [] for order in approved}
        self.dropped: set[InstrumentId] = set()
        self.last: set[str] = set()  # first orders whose last one has gone out
        self.next_sequence = 1 + max(
            (int(order.reference.rpartition(".")[2]) for order in approved), default=0
        )

    def goes_on(self) -> bool:
        """Return whether anything is still to be sent or awaited.

        Rounds in which no time can pass come to an end too: better to leave an order working
        than to turn for ever.
        """
        if self.idle > MOST_IDLE_ROUNDS or self.desk.late():
            return False
        if self.page.forbidden:
            return False
        if self.stopped:  # nothing more goes out: only what was sent is still heard of
            return any(state.status is OrderStatus.SENT for state in self.states.values())
        if any(not isinstance(move, Done) for move in self._moves().values()):
            return True
        if self._ended_open():
            return True
        return bool(self.waiting) and self.venue.now() < self.ends

    def send_what_may_go(self) -> None:
        """Send the reductions at once and every other order as soon as it is funded.

        What the shared limits will not let through any more in this run is refused, and what
        works of a neutral sleeve that lost a leg is cancelled.
        """
        if self.stopped or self.funding is None or not self._may_send():
            return
        late = self.venue.now() >= self.ends
        sent, gone = self._sent(), self._gone()
        answer = release(self.funding, self.waiting, sent, final=late, gone=gone)
        self.waiting = list(answer.waiting)
        self._drop(answer.dropped, answer.flags)
        for reference in answer.cancel:
            self._give_up(reference)
        self.send(answer.released)

    def send(self, orders: Sequence[ApprovedOrder]) -> None:
        """Journal orders in one go, then hand them to the wire one by one, each if it still may.

        What may no longer go out is journaled as not sent: nobody has to look for it.
        """
        if not orders:
            return
        now = self.venue.now()
        self.page.intend(orders)
        self.states |= {order.reference: start(order, now) for order in orders}
        for place, order in enumerate(orders):
            # A slow venue may have let the approval run out meanwhile.
            if not self._may_send() or (now := self.venue.now()) > order.deadline:
                self.take([not_sent(order, now)])
                continue
            if order.instrument in (lost := self._lost()):
                self.take([not_sent(order, now, lost[order.instrument])])
                continue
            try:
                self.take(self.hands.submit([order.place(now)]))
            except RebalancerError:
                # What stands behind the broken one never left: nobody has to look for it.
                self.take([not_sent(later, now) for later in orders[place + 1 :]])
                raise
            self.page.sent([order.reference])

    def make_moves(self) -> None:
        """Re-price, cancel or follow up the orders whose time for it has come.

        A HALT file is looked for even while there is nothing to send: it ends the waiting too.
        """
        if self.states and self.page.halt_file():
            self.stopped = True
            return
        self._follow_up()
        moves = self._moves()
        self._peg([name for name, move in sorted(moves.items()) if isinstance(move, Peg)])
        for reference, move in sorted(moves.items()):
            if isinstance(move, Replace):
                if self._may_move(self.states[reference]):
                    self.take(self.hands.replace(move))
                # Asked for even when it may not go out: it is not asked for again and again.
                self.states[reference] = asked(self.states[reference], move, self.venue.now())
            elif isinstance(move, CancelRequest):
                self._cancel(reference)
                self.states[reference] = asked(self.states[reference], move, self.venue.now())

    def _peg(self, references: Sequence[str]) -> None:
        """Move orders to the best price of their own side, as the venue quotes it now.

        Where a venue cannot move an order (spot), its end is asked for; another follows.
        """
        if not references or not self._may_send():
            return
        universe = self.page.desk.universe
        names = sorted({self.states[name].instrument for name in references})
        quotes = self.venue.market([universe[name] for name in names]).quotes
        for reference in references:
            state, now = self.states[reference], self.venue.now()
            price = self._peg_price(state, quotes.get(state.instrument))
            self.states[reference] = asked(state, Peg(reference), now)
            if price is None or price == state.limit or not self._may_move(state):
                continue
            if universe[state.instrument].kind is Kind.SPOT:
                self._cancel(reference)
                ending = CancelRequest(reference, "the market moved", Then.PEG)
                self.states[reference] = asked(self.states[reference], ending, now)
            else:
                self.take(self.hands.replace(state.approved.replace(price, now)))

    def _peg_price(self, state: OrderState, quote: Quote | None) -> Decimal | None:
        now, oldest = self.venue.now(), self.desk.limits.quote_max_age_seconds
        return peg_price(state, quote, now=now, oldest_seconds=oldest)

    def _ended_open(self) -> list[tuple[OrderState, Then]]:
        """Return the orders that ended with something open, and what is to follow each."""
        now, found, lost = self.venue.now(), [], self._lost()
        if self.stopped:
            return []
        for root, heirs in self.heirs.items():
            state = self.states.get(heirs[-1] if heirs else root)
            if state is None or root in self.last or self.page.in_doubt(state.reference):
                continue
            if state.instrument in lost or now >= window_end(state, self.desk.working):
                continue
            then = after_end(state, self.desk.working, now)
            rest = state.approved.quantity - state.filled
            if then is not None and not too_small(
                state.approved, rest, self.page.desk.universe[state.instrument]
            ):
                found.append((state, then))
        return found

    def _follow_up(self) -> None:
        """Send what follows orders that ended open, each with a reference of its own.

        Their ends are confirmed and their executions seen: nothing is sent twice. What would be
        one order too many stays here.
        """
        ended = self._ended_open()
        if not ended or not self._may_send():
            return
        pegged = sorted({s.instrument for s, then in ended if then is Then.PEG})
        universe = self.page.desk.universe
        quotes = self.venue.market([universe[n] for n in pegged]).quotes if pegged else {}
        for state, then in ended:
            if state.instrument in self._lost():  # while those before it were sent
                continue
            root = next(n for n, h in self.heirs.items() if state.reference in (n, *h))
            if self._one_too_many(state):
                self.last.add(root)
                continue
            own = self._peg_price(state, quotes.get(state.instrument)) if quotes else None
            heir = following(state, then, self.next_sequence, own)
            self.next_sequence += 1
            self.heirs[root].append(heir.reference)
            if len(self.heirs[root]) >= MOST_HEIRS:
                self.last.add(root)
            self.page.approved.append(heir)
            refused = then is Then.PEG and state.asked_cancel is None
            self.send([heir])
            self.states[heir.reference] = changed(
                self.states[heir.reference],
                begun=state.begun or state.sent_at,
                heir=True,
                refusals=state.refusals + refused,
            )

    def listen(self) -> None:
        """Let time pass until something happens or somebody must act."""
        now = self.venue.now()
        times = [move.until for move in self._moves().values() if isinstance(move, Wait)]
        if self.waiting and not self.stopped:
            times.append(self.ends)
        until = min([*times, now + timedelta(seconds=self.desk.working.poll_seconds)])
        if not times or until <= now:
            self.idle += 1
            return
        self.idle = 0
        self.take(self.venue.wait(until))
        at = self.venue.now()
        self.states = {
            name: silence(state, self.desk.working, at) for name, state in self.states.items()
        }

    def look_up_silent(self) -> None:
        """Look up what the venue has not acknowledged; end what works and may not be left.

        Nobody has worked an order that is only found now. After a HALT file, and of a neutral
        sleeve that lost a leg, nothing of that may be left.
        """
        silent = look_up(self.venue, self.page, self.take)
        lost, names = self._lost(), []
        for name, state in self.states.items():
            word = self.page.orders.get(name)
            if word is None or word.status is not OrderStatus.WORKING:
                continue
            # The end of the others was asked for, and awaited, while they were worked.
            fresh = name in silent or not (self.page.forbidden or state.asked_cancel)
            stays = may_be_left(state.approved, self.desk.working)
            if fresh and (self.page.forbidden or state.instrument in lost or not stays):
                names.append(name)
        if names and self.hands.sends:
            call_off(self.desk, self.venue, self.hands, self.page, self.take, names)

    def drop_waiting(self) -> None:
        """Refuse what was approved and never sent: its time is over."""
        if self.waiting and self.funding is not None:
            sent, gone = self._sent(), self._gone()
            answer = release(self.funding, self.waiting, sent, final=True, gone=gone)
            self._drop(answer.dropped, () if self.stopped else answer.flags)
            self.waiting = []

    def _sent(self) -> tuple[SentOrder, ...]:
        """Return what was sent, an order and what followed it as one."""
        going = {state.reference for state, _ in self._ended_open()}
        going |= {name for name in self.states if self.page.in_doubt(name)}
        return sent_orders(self.heirs, self.states, going)

    def _drop(self, dropped: Sequence[RefusedOrder], flags: Sequence[ErrorFlag]) -> None:
        self.page.refused.extend(dropped)
        self.dropped |= {refused.intent.instrument for refused in dropped}
        gone = {(refused.intent.instrument, refused.intent.part) for refused in dropped}
        self.page.approved = [
            order
            for order in self.page.approved
            if (order.instrument, order.intent.part) not in gone
        ]
        for flag in flags:
            self.page.raised(flag)

    def _gone(self) -> set[InstrumentId]:
        """Return the instruments of orders that were dropped, rejected, or never left."""
        return self.dropped | never_worked(self.heirs, self.states)

    def _lost(self) -> Mapping[InstrumentId, str]:
        """Return the instruments of neutral sleeves that lost a leg, and why; none in a dry run."""
        gone = self._gone() if self.hands.sends else set()
        if self.funding is None or not gone:
            return {}
        going = {order.instrument for order in self.waiting}
        going |= {state.instrument for state in self.states.values() if not state.done}
        return self.funding.lost(gone, going)

    def _one_too_many(self, state: OrderState) -> bool:
        """Return whether what follows an order is one too many; say so."""
        left = [each for each in self.states.values() if each.status is not OrderStatus.NOT_SENT]
        number = len(left) + len(self.waiting) + 1  # who waits was approved before
        words = no_heir(state, self.funding, number)
        if words:
            self.page.flag("order-refused", words, state.instrument)
        return bool(words)

    def _give_up(self, reference: str) -> None:
        """Cancel an order whose neutral sleeve lost a leg: it is moved and followed no more."""
        state = self.states[reference]
        if state.asked_cancel is None:
            why = CancelRequest(reference, "its sleeve lost a leg")
            self.states[reference] = asked(state, why, self.venue.now())
        self._cancel(reference)

    def _cancel(self, reference: str) -> None:
        """Ask for an order's end once; what the venue never showed cannot be cancelled."""
        order = self.page.orders.get(reference)
        dying = order is None or order.status is OrderStatus.PENDING_CANCEL
        if order is not None and not dying and not order.status.terminal:
            self.take(self.hands.cancel(order))

    def _moves(self) -> dict[str, Move]:
        now = self.venue.now()
        return {
            name: next_move(state, self.desk.working, now) for name, state in self.states.items()
        }

    def _may_send(self) -> bool:
        """Return whether messages may still go out; what stopped them once stops them all."""
        if not self.stopped:
            refused = refused_too_often(self.desk, self.page, self.venue.now())
            self.stopped = self.page.stop() is not None or refused
            self.stopped = self.stopped or restarts(self.desk, self.page, self.venue.now())
        return not self.stopped

    def _may_move(self, state: OrderState) -> bool:
        """Return whether an order may still get another price: its approval has not ended."""
        return self._may_send() and self.venue.now() <= state.approved.deadline

    def take(self, events: Sequence[VenueEvent]) -> None:
        """Journal events and let the orders they are about know."""
        for event in events:
            self.page.saw(event)
            state = self.states.get(event.reference)
            if state is not None:
                self.states[event.reference] = advance(state, event, self.venue.now())

"""Everything that writes to Interactive Brokers: orders, their prices, their end, what-ifs.

The library's `placeOrder` keeps a trade of its own that errors mark as cancelled and that a
re-price would assert on; so orders go out through its client, and our record is the only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.brokers.ib.adaptive import AdaptiveMemory, may_adapt
from rebalancer.brokers.ib.efficiency import CANCEL, REVISION, SUBMIT, Tally, day_of, words_about
from rebalancer.brokers.ib.known import KnownOrder
from rebalancer.brokers.ib.preview import what_if
from rebalancer.brokers.ib.tickets import refusal, ticket
from rebalancer.brokers.ib.venue import IbVenue
from rebalancer.brokers.without_stops import HandsWithoutStops
from rebalancer.errors import ConnectError, DataError, OutcomeUnknown
from rebalancer.model.orders import (
    MarginPreview,
    OrderStatus,
    OrderType,
    Place,
    Replace,
    TimeInForce,
    VenueEvent,
    WorkingOrder,
)
from rebalancer.ports import Venue

MOMENT_SECONDS = 0.005
"""How long a broken connection on this machine takes to be noticed."""

PACE_SECONDS, MOST_MOMENTS = 0.02, 1500
"""How often, and how many times, is looked whether the library's queue is empty (30 s)."""


class IbHands(HandsWithoutStops):
    """A `ports.Hands` over a connected `IbVenue`."""

    sends = True

    def __init__(self, venue: Venue) -> None:
        if not isinstance(venue, IbVenue):
            raise TypeError(f"IbHands need an IbVenue, not a {type(venue).__name__}")
        self._venue = venue
        self._line = venue.line
        self._book = venue.book
        self._memory = AdaptiveMemory(venue.folder, venue.files)
        self._book.remember_refusal = lambda each: self._memory.remember(each, venue.now())
        self._tally = Tally(venue.folder, venue.files)
        self._messages: dict[str, int] = {}
        self._all_cancelled = False
        self._submitted = False
        venue.when_told = self._judge_efficiency

    # ------------------------------------------------------------------ new orders

    def submit(self, places: Sequence[Place]) -> tuple[VenueEvent, ...]:
        """Send new orders, each under an id above all that were seen; they are SENT.

        What cannot be put into IB's words is not sent; its refusal is news. Raises
        `OutcomeUnknown` when the wire broke meanwhile: an order that was under way then may
        be at the venue, and is looked up, never sent again.
        """
        self._book.require()
        told: list[VenueEvent] = []
        for number, place in enumerate(places):
            order = self._order_for(place)
            why = self._why_not(place)
            if why:
                self._book.refused_here(order, why)
                continue
            try:
                self._book.require()
                if self._venue.outdated:
                    told.append(_not_sent(place, self._venue.now()))
                    continue
                told.append(self._send(order, place.limit, SUBMIT))
                self._let_it_leave()
            except (ConnectError, ConnectionError) as error:
                self._line.throttle.forget()  # the run has given it up: it must not leave later
                raise OutcomeUnknown(
                    f"the connection broke after {number} of {len(places)} orders, while "
                    f"{place.reference} was sent: {error}"
                ) from error
        return tuple(told)

    def _order_for(self, place: Place) -> KnownOrder:
        now = self._venue.now()
        adaptive = may_adapt(place.instrument, place.order_type, place.time_in_force)
        if adaptive and self._memory.refused(place.instrument, now):
            adaptive = False
        market = place.order_type is OrderType.MARKET
        good_till = ""
        if place.time_in_force is TimeInForce.GTD and place.good_till is not None:
            good_till = f"{place.good_till.astimezone(UTC):%Y%m%d-%H:%M:%S}"
        return KnownOrder(
            reference=place.reference,
            instrument=place.instrument,
            quantity=place.quantity,
            limit=None if market else place.limit,
            time_in_force=place.time_in_force.value,
            client_id=self._line.ib.client.clientId,
            order_id=0,
            at=now,
            adaptive=str(self._line.settings.adaptive_priority) if adaptive else "",
            order_type="MKT" if market else "LMT",
            good_till=good_till,
        )

    def _why_not(self, place: Place) -> str:
        why = refusal(place)
        if why:
            return f"{why}; not sent"
        try:
            self._venue.contracts.contract(place.instrument)
        except DataError as error:
            return f"no such instrument at IB: {error}; not sent"
        return ""

    def _send(self, order: KnownOrder, limit: Decimal | None, what: str) -> WorkingOrder:
        """Hand an order to the wire; a new one gets its id now and is known from now on."""
        contract = self._venue.contracts.contract(order.instrument)
        client = self._line.ib.client
        if what == SUBMIT:
            order.order_id = client.getReqId()
            made = ticket(self._line.lib, order, self._line.account, limit)
            event = self._book.sent(order)
        else:
            made = ticket(self._line.lib, order, self._line.account, limit)
            event = self._book.told(order)
        client.placeOrder(order.order_id, contract, made)
        self._count(what)
        return event

    # ------------------------------------------------------------------ working orders

    def replace(self, replace: Replace) -> tuple[VenueEvent, ...]:
        """Move a working order's price: the whole order again, built anew, under its own id.

        What becomes of it is news. An order of another client cannot be moved: then its state
        comes back with the reason.
        """
        self._book.require()
        order = self._book.known("", replace.reference)
        if order is None:
            return ()
        if why := self._not_ours(order):
            order.message = f"its price was not moved: {why}"
            return (self._book.told(order),)
        if order.status is not OrderStatus.WORKING:  # ended, ending, or not taken up yet
            return (self._book.told(order),)
        order.moving_to = replace.limit
        event = self._send(order, replace.limit, REVISION)
        self._let_it_leave()
        return (event,)

    def cancel(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        """Ask for the end of an order; its death is told by the venue.

        Only the client that sent an order may cancel it. For one of another client the answer
        is its state with the reason, unless `global_cancel` is set: then all open orders of the
        login are cancelled, once, whoever sent them.
        """
        self._book.require()
        known = self._book.known(order.venue_id, order.reference)
        if known is None:
            return ()
        if known.status.terminal:
            return (self._book.told(known),)
        if why := self._not_ours(known):
            if not self._line.settings.global_cancel:
                known.message = f"not cancelled: {why}; TWS, or global_cancel, can end it"
                return (self._book.told(known),)
            if not self._all_cancelled:
                self._line.ib.client.reqGlobalCancel()
                self._all_cancelled = True
        else:
            self._line.ib.client.cancelOrder(known.order_id, "")
        known.asked_cancel = known.cancel_travels = True
        event = self._book.told(known)
        self._count(CANCEL)
        self._let_it_leave()
        return (event,)

    def preview(self, place: Place) -> MarginPreview:
        """Ask what an order would do to the margin; unknown amounts are None, with the reason."""
        self._book.require()
        if why := self._why_not(place):
            return MarginPreview(asked=True, message=why)
        order = self._order_for(place)
        contract = self._venue.contracts.contract(place.instrument)
        made = ticket(self._line.lib, order, self._line.account, order.limit)
        return what_if(self._book, contract, made, self._venue.base)

    def _not_ours(self, order: KnownOrder) -> str:
        mine = self._line.ib.client.clientId
        if order.order_id > 0 and order.client_id == mine:
            return ""
        if order.order_id <= 0:
            return "it was made by hand in TWS and has no order id of ours"
        return f"it belongs to client id {order.client_id}, this is client id {mine}"

    def _let_it_leave(self) -> None:
        """Run the loop until the library has handed everything to the wire, and a moment more.

        It sends at the allowed pace and keeps the rest, which a disconnect would lose; and only
        a running loop notices that the wire broke.
        """
        self._line.rest(MOMENT_SECONDS)
        for _ in range(MOST_MOMENTS):
            if not self._line.waiting_to_leave:
                break
            self._line.rest(PACE_SECONDS)
        try:
            self._book.require()
        except ConnectError:
            self._line.throttle.forget()
            raise

    def _count(self, what: str) -> None:
        now = self._venue.now()
        day = day_of(now)
        self._submitted = self._submitted or what == SUBMIT
        if day not in self._messages:
            self._messages = {day: self._tally.messages(day)}
        self._messages[day] += 1
        self._tally.count(what, now)

    def _judge_efficiency(self) -> None:
        """Flag a high ratio once what was sent could trade: while it goes out nothing has."""
        day = day_of(self._venue.now())
        messages = self._messages.get(day, 0) if self._submitted else 0
        if words := words_about(messages, self._book.orders_executed_on(day)):
            self._venue.page.flag("order-efficiency", words)


def _not_sent(place: Place, at: datetime) -> WorkingOrder:
    """Return an order that stays here: what it was decided on is not what is there any more."""
    return WorkingOrder(
        reference=place.reference,
        venue_id="",
        instrument=place.instrument,
        quantity=place.quantity,
        filled=Decimal(0),
        limit=place.limit,
        status=OrderStatus.NOT_SENT,
        at=at,
        message="the gateway lost Interactive Brokers after this was decided; the next run decides",
    )

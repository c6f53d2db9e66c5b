"""The simulated venue's engine: orders in, news out, time moved by hand.

It speaks no protocol: `brokers.paper` uses it in process, codecs put it behind a socket. All
that is still to happen stands in the books as a time; `advance` goes from one such time to the
next and stops at the first that has news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.model.fees import FeeSchedule
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.simulators.admission import Admission, Refusal, price_refusal
from rebalancer.simulators.books import Books, Execution, Order
from rebalancer.simulators.clock import VirtualClock, latency, next_minute
from rebalancer.simulators.faults import FaultKind, FaultScript
from rebalancer.simulators.market import Market
from rebalancer.simulators.matching import Matcher, carry
from rebalancer.simulators.news import Cause, NewOrder, News, OrderNews, TradeNews
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.worth import Valuer, Worth

__all__ = ["Cause", "Exchange", "NewOrder", "News", "OrderNews", "TradeNews"]

KEEP = timedelta(days=10)
"""How long the venue remembers an order that ended, and its executions."""

_MATCHES = frozenset({OrderStatus.WORKING, OrderStatus.PENDING_CANCEL})


class Exchange:
    """One simulated venue with one account."""

    def __init__(
        self,
        books: Books,
        market: Market,
        instruments: Mapping[InstrumentId, Instrument],
        settings: PaperSettings,
        fees: FeeSchedule,
        faults: FaultScript | None = None,
    ) -> None:
        self.books = books
        self.market = market
        self.instruments = instruments
        self.settings = settings
        self.fees = fees
        self.faults = faults or FaultScript()
        self.account = books.account
        self.clock = VirtualClock(self.account.now)
        self.valuer = Valuer(market, instruments, settings, self.account.base)
        self._admission = Admission(market, instruments, settings, self.valuer)
        self._matcher = Matcher(market, instruments, settings, fees, self.faults)
        self._live = [order for order in self.account.orders if order.live]
        self._untold = [e for e in self.account.executions if not e.told and e.tell_at]
        self._changed = False
        self.react: Callable[[], None] | None = None
        """What a codec does at once when something has happened, before anybody hears of it."""

    @property
    def now(self) -> datetime:
        """Return the simulated time."""
        return self.clock.now

    # ------------------------------------------------------------------ what a client may ask

    def place(self, wanted: Sequence[NewOrder]) -> tuple[Order, ...]:
        """Send orders on their way; return them as they are now. What becomes of them is news."""
        sent = tuple(self._send(each) for each in wanted)
        self.save()
        return tuple(replace(order) for order in sent)

    def cancel(self, order_id: int) -> Order | None:
        """Ask for an order's end; return it as it is now, None when there is no such order."""
        order = self._order(order_id)
        if order is None or order.status.terminal or order.cancel_at is not None:
            return None if order is None else replace(order)
        if self.faults.strikes(FaultKind.LOST_CANCEL, order.instrument):
            return replace(order)
        late = self.faults.strikes(FaultKind.LATE_CANCEL, order.instrument)
        refused = self.faults.strikes(FaultKind.REFUSED_CANCEL, order.instrument)
        delay = latency(
            self.settings.seed, f"cancel|{order.id}|{self.now}", self.settings.cancel_seconds
        )
        delay += timedelta(seconds=late.seconds if late else 0)
        order.cancel_at = max(self.now, order.acts_at or self.now) + delay
        if refused:
            order.cancel_refused = refused.message or "the cancel is refused"
        if order.status is OrderStatus.WORKING:
            order.status = OrderStatus.PENDING_CANCEL
        self.save()
        return replace(order)

    def move(
        self,
        order_id: int,
        limit: Decimal | None,
        *,
        quantity: Decimal | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> Order | None:
        """Ask for a new price (None: at market), signed quantity, time in force.

        Returns the order as it is now, None when there is no such order.
        """
        order = self._order(order_id)
        if order is None or order.status.terminal:
            return None if order is None else replace(order)
        delay = latency(
            self.settings.seed, f"move|{order.id}|{self.now}", self.settings.acknowledge_seconds
        )
        order.move_at = max(self.now, order.acts_at or self.now) + delay
        order.move_to, order.resize_to, order.retime_to = limit, quantity, time_in_force
        self.save()
        return replace(order)

    def release(self, order_id: int) -> None:
        """Send a held order on its way."""
        order = self._order(order_id)
        if order is not None and order.status is OrderStatus.SENT and order.acts_at is None:
            order.acts_at = self.now + latency(
                self.settings.seed, f"release|{order.id}", self.settings.acknowledge_seconds
            )
            self.save()

    def name_executions(self, name: Callable[[datetime, int], str]) -> None:
        """Let executions be called `name(time, number)` from now on."""
        self._matcher.execution_id = name

    def orders(self) -> tuple[Order, ...]:
        """Return every order that is remembered, oldest first (copies)."""
        return tuple(replace(order) for order in self.account.orders)

    def executions(self, since: datetime) -> tuple[Execution, ...]:
        """Return the remembered executions at or after `since`, oldest first (copies)."""
        return tuple(replace(e) for e in self.account.executions if e.at >= since)

    def worth(self) -> Worth:
        """Return what the account is worth now."""
        return self.valuer.worth(self.account, self.now)

    def initial_margin(self) -> Decimal:
        """Return the initial margin, base currency, if all orders traded."""
        return self.valuer.initial_with(self.account, self._live, self.now)

    def initial_margin_with(self, wanted: NewOrder) -> Decimal:
        """Return the initial margin, base currency, if this order and all others traded."""
        asked = self._order_of(wanted, 0)
        return self.valuer.initial_with(self.account, (*self._live, asked), self.now)

    def preview(self, wanted: NewOrder) -> tuple[Order, Refusal | None]:
        """Return an order as it would be, and why it would be refused (None: it would not)."""
        order = self._order_of(wanted, self.account.next_order)
        return order, self._refusal(order)

    # ------------------------------------------------------------------ time

    def advance(self, until: datetime) -> tuple[News, ...]:
        """Let time pass to `until`, or to the first instant before it that has news.

        Several things at one instant come together. What is returned has been saved.
        """
        if until < self.now:
            self.clock.advance_to(until)
        while (at := self._next_instant()) is not None and at <= until:
            self._set_clock(max(at, self.now))
            news = self._happen()
            if self._changed:
                if self.react is not None:
                    self.react()
                self.save()
            if news:
                return news
        self._set_clock(until)
        return ()

    def play_to(self, at: datetime) -> tuple[News, ...]:
        """Let time pass to `at`, whatever happens; return all the news, and save."""
        news: list[News] = []
        while self.now < at:
            news.extend(self.advance(at))
        self._forget()
        self.save()
        return tuple(news)

    def save(self) -> None:
        """Save the books."""
        self.books.save()
        self._changed = False

    def _set_clock(self, at: datetime) -> None:
        self.clock.advance_to(at)
        self.account.now = at

    def _next_instant(self) -> datetime | None:
        """Return when something may happen next, None when nothing can."""
        times = [e.tell_at for e in self._untold if e.tell_at is not None]
        matching: dict[str, datetime | None] = {}
        for order in self._live:
            due = (order.acts_at, order.cancel_at, order.move_at, order.expires_at)
            times.extend(at for at in due if at is not None)
            if order.status in _MATCHES:
                instrument = self.instruments[order.instrument]
                if instrument.kind not in matching:
                    matching[instrument.kind] = self._next_match(instrument)
        times.extend(at for at in matching.values() if at is not None)
        return min(times, default=None)

    def _next_match(self, instrument: Instrument) -> datetime | None:
        if self.market.session(instrument, self.now) is not None:
            return next_minute(self.now)
        if self.market.ended(self.now):
            return None
        session = self.market.next_session(instrument, self.now)
        return None if session is None else session.open

    # ------------------------------------------------------------------ what happens

    def _happen(self) -> tuple[News, ...]:
        """Do all that is due now, in the order in which a venue would; return the news."""
        now = self.now
        news: list[News] = []
        for order in self._due("acts_at"):
            news.extend(self._take_up(order))
        for order in self._due("move_at"):
            news.extend(self._take_move(order))
        for order in tuple(self._live):
            if order.status in _MATCHES:
                news.extend(self._match(order))
        for order in self._due("cancel_at"):
            news.extend(self._take_cancel(order))
        for order in self._due("expires_at"):
            news.extend(self._end(order, OrderStatus.EXPIRED, "its time was over"))
        for execution in [e for e in self._untold if e.tell_at is not None and e.tell_at <= now]:
            execution.told = self._changed = True
            news.append(TradeNews(replace(execution)))
        self._live = [order for order in self._live if order.live]
        self._untold = [e for e in self._untold if not e.told]
        return tuple(each for each in news if not self._is_silent(each))

    def _due(self, which: str) -> list[Order]:
        found = []
        for order in self._live:
            at = getattr(order, which)
            if order.live and at is not None and at <= self.now:
                found.append(order)
        return found

    def _take_up(self, order: Order) -> Iterable[News]:
        order.acts_at = None
        self._changed = True
        fault = self.faults.strikes(FaultKind.REJECT, order.instrument)
        refusal = self._refusal(order)
        if fault or refusal:
            order.refusal = "fault" if fault else refusal.code if refusal else ""
            said = (
                fault.message or fault.kind.value if fault else refusal.message if refusal else ""
            )
            return self._end(order, OrderStatus.REJECTED, said)
        pending = order.cancel_at is not None
        order.status = OrderStatus.PENDING_CANCEL if pending else OrderStatus.WORKING
        self._set_end(order)
        return (OrderNews(replace(order)),)

    def _refusal(self, order: Order) -> Refusal | None:
        others = [o for o in self._live if o is not order and o.status in _MATCHES]
        return self._admission.refusal(order, self.account, others, self.now)

    def _set_end(self, order: Order) -> None:
        instrument = self.instruments[order.instrument]
        if order.time_in_force is TimeInForce.IOC:
            order.expires_at = self.now
        elif order.time_in_force is TimeInForce.DAY:
            session = self.market.session(instrument, self.now)
            session = session or self.market.next_session(instrument, self.now)
            order.expires_at = None if session is None else session.close

    def _take_move(self, order: Order) -> Iterable[News]:
        asked = replace(order, limit=order.move_to, order_type=_type_at(order))
        size, force = order.resize_to or order.quantity, order.retime_to
        order.move_at = order.move_to = order.resize_to = order.retime_to = None
        self._changed = True
        refusal = price_refusal(self.instruments[order.instrument], asked)
        order.message = "" if refusal is None else refusal.message
        if refusal is not None or abs(size) <= abs(order.filled):
            return (OrderNews(replace(order), Cause.MOVE_REFUSED),)
        order.limit, order.order_type, order.taker = asked.limit, asked.order_type, None
        order.quantity = size
        if force is not None and force is not order.time_in_force:
            order.time_in_force, order.expires_at = force, None
            self._set_end(order)
        return (OrderNews(replace(order), Cause.MOVED),)

    def _match(self, order: Order) -> Iterable[News]:
        execution = self._matcher.match(self.account, order, self.now)
        if execution is None:
            return ()
        self._changed = True
        if execution.tell_at is not None:
            self._untold.append(execution)
        news: list[News] = [TradeNews(replace(execution)), OrderNews(replace(order), Cause.TRADED)]
        holding = self.account.holdings.get(order.instrument)
        if order.live and order.reduce_only and (holding is None or not holding.quantity):
            news.extend(self._end(order, OrderStatus.EXPIRED, "nothing is left to reduce"))
        return news

    def _take_cancel(self, order: Order) -> Iterable[News]:
        order.cancel_at = None
        self._changed = True
        if order.cancel_refused:
            order.status, order.message = OrderStatus.WORKING, order.cancel_refused
            order.cancel_refused = ""
            return (OrderNews(replace(order), Cause.CANCEL_REFUSED),)
        return self._end(order, OrderStatus.CANCELLED, order.message)

    def _end(self, order: Order, status: OrderStatus, message: str) -> Iterable[News]:
        order.status, order.message, order.ended_at = status, message, self.now
        order.acts_at = order.cancel_at = order.move_at = order.expires_at = None
        self._changed = True
        return (OrderNews(replace(order), Cause.ENDED),)

    # ------------------------------------------------------------------ orders

    def _send(self, wanted: NewOrder) -> Order:
        account = self.account
        order = self._order_of(wanted, account.next_order)
        account.next_order += 1
        if any(order.reference == other.reference for other in account.orders if order.reference):
            account.duplicate_references += 1
        if self.faults.strikes(FaultKind.LOST_ORDER, order.instrument):
            return order
        late = self.faults.strikes(FaultKind.LATE_ACKNOWLEDGEMENT, order.instrument)
        delay = latency(
            self.settings.seed, f"order|{order.id}", self.settings.acknowledge_seconds
        ) + timedelta(seconds=late.seconds if late else 0)
        order.acts_at = None if wanted.held else self.now + delay
        order.silent = bool(self.faults.strikes(FaultKind.LOST_ACKNOWLEDGEMENT, order.instrument))
        if self.faults.strikes(FaultKind.NO_FILL, order.instrument):
            order.cap = Decimal(0)
        elif self.faults.strikes(FaultKind.PARTIAL_ONLY, order.instrument):
            order.cap = self._half(order)
        account.orders += (order,)
        self._live.append(order)
        return order

    def _order_of(self, wanted: NewOrder, number: int) -> Order:
        market = wanted.order_type is OrderType.MARKET
        return Order(
            id=number,
            reference=wanted.reference,
            instrument=wanted.instrument,
            quantity=wanted.quantity,
            limit=None if market else wanted.limit,
            order_type=wanted.order_type,
            time_in_force=wanted.time_in_force,
            reduce_only=wanted.reduce_only,
            placed_at=self.now,
            expires_at=wanted.good_till if wanted.time_in_force is TimeInForce.GTD else None,
            tags=dict(wanted.tags),
        )

    def _half(self, order: Order) -> Decimal:
        """Return half of an order in whole lots, one lot at least."""
        instrument = self.instruments.get(order.instrument)
        step = instrument.rules.limit_step if instrument else Decimal(1)
        return max(abs(order.quantity) // (2 * step), Decimal(1)) * step

    def _order(self, order_id: int) -> Order | None:
        return next((order for order in self.account.orders if order.id == order_id), None)

    def _is_silent(self, news: News) -> bool:
        if isinstance(news, OrderNews):
            return news.order.silent
        order = self._order(news.execution.order)
        return order is not None and order.silent

    def _forget(self) -> None:
        """Let go of orders that ended long ago, carrying over what their trades came to."""
        account, old = self.account, self.now - KEEP
        gone = {o.id for o in account.orders if o.ended_at is not None and o.ended_at < old}
        for execution in account.executions:
            if execution.order in gone:
                carry(account, self.instruments[execution.instrument], execution)
        account.executions = tuple(e for e in account.executions if e.order not in gone)
        account.orders = tuple(o for o in account.orders if o.id not in gone)
        self._untold = [e for e in self._untold if e.order not in gone]


def _type_at(order: Order) -> OrderType:
    """Return the type of an order with its new price."""
    if order.move_to is None:
        return OrderType.MARKET
    return OrderType.LIMIT if order.order_type is OrderType.MARKET else order.order_type

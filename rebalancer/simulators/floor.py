"""What becomes of orders: taken up, changed, matched, cancelled, ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.simulators.admission import Admission, Refusal, post_only_refusal, price_refusal
from rebalancer.simulators.booking import carry
from rebalancer.simulators.books import Account, Order
from rebalancer.simulators.clock import latency, next_minute
from rebalancer.simulators.faults import FaultKind, FaultScript
from rebalancer.simulators.kinds import is_crypto, is_margined
from rebalancer.simulators.market import Market
from rebalancer.simulators.matching import Matcher
from rebalancer.simulators.news import Cause, NewOrder, News, OrderNews, TradeNews
from rebalancer.simulators.parameters import PaperSettings

KEEP = timedelta(days=10)
"""How long the venue remembers an order that ended, and its executions."""

_MATCHES = frozenset({OrderStatus.WORKING, OrderStatus.PENDING_CANCEL})


class Floor:
    """The orders of one account at one venue; the time is the account's.

    `changed` says whether anything has happened that is not saved yet.
    """

    def __init__(
        self,
        account: Account,
        market: Market,
        instruments: Mapping[InstrumentId, Instrument],
        settings: PaperSettings,
        admission: Admission,
        matcher: Matcher,
        faults: FaultScript,
    ) -> None:
        self.account = account
        self.market = market
        self.instruments = instruments
        self.settings = settings
        self.admission = admission
        self.matcher = matcher
        self.faults = faults
        self.live = [order for order in account.orders if order.live]
        self.untold = [e for e in account.executions if not e.told and e.tell_at]
        self.changed = False

    @property
    def now(self) -> datetime:
        """Return the simulated time."""
        return self.account.now

    def order(self, order_id: int) -> Order | None:
        """Return an order that is remembered; None when there is no such order."""
        return next((o for o in reversed(self.account.orders) if o.id == order_id), None)

    # ------------------------------------------------------------------ what is sent

    def send(self, wanted: NewOrder, *, at_once: bool) -> Order:
        """Take an order into the books, on its way; `at_once`: it has arrived already."""
        account = self.account
        order = order_of(wanted, account.next_order, self.now)
        account.next_order += 1
        self.changed = True
        if any(order.reference == other.reference for other in account.orders if order.reference):
            account.duplicate_references += 1
        if not wanted.forced:
            if self.faults.strikes(FaultKind.LOST_ORDER, order.instrument):
                return order
            self._troubles(order, at_once=at_once)
        elif at_once:
            order.acts_at = self.now
        if wanted.held:
            order.acts_at = None
        account.orders += (order,)
        self.live.append(order)
        if at_once and order.acts_at == self.now:
            self._act(order)
        return order

    def _troubles(self, order: Order, *, at_once: bool) -> None:
        """Set when a new order arrives, and which faults strike it."""
        late = self.faults.strikes(FaultKind.LATE_ACKNOWLEDGEMENT, order.instrument)
        delay = timedelta(0)
        if not at_once:
            longest = self.settings.acknowledge_seconds
            delay = latency(self.settings.seed, f"order|{order.id}", longest)
        order.acts_at = self.now + delay + timedelta(seconds=late.seconds if late else 0)
        order.silent = bool(self.faults.strikes(FaultKind.LOST_ACKNOWLEDGEMENT, order.instrument))
        if self.faults.strikes(FaultKind.NO_FILL, order.instrument):
            order.cap = Decimal(0)
        elif self.faults.strikes(FaultKind.PARTIAL_ONLY, order.instrument):
            order.cap = self._half(order)

    def cancel(self, order: Order, *, at_once: bool) -> None:
        """Send a cancel on its way; `at_once`: it has arrived already."""
        if self.faults.strikes(FaultKind.LOST_CANCEL, order.instrument):
            return
        late = self.faults.strikes(FaultKind.LATE_CANCEL, order.instrument)
        refused = self.faults.strikes(FaultKind.REFUSED_CANCEL, order.instrument)
        delay = timedelta(0)
        if not at_once:
            longest = self.settings.cancel_seconds
            delay = latency(self.settings.seed, f"cancel|{order.id}|{self.now}", longest)
        delay += timedelta(seconds=late.seconds if late else 0)
        order.cancel_at = max(self.now, order.acts_at or self.now) + delay
        self.changed = True
        if refused:
            order.cancel_refused = refused.message or "the cancel is refused"
        if order.status is OrderStatus.WORKING:
            order.status = OrderStatus.PENDING_CANCEL
        if at_once and order.cancel_at == self.now:
            self._take_cancel(order)
            self._tidy()

    def move(self, order: Order, wanted: tuple[Decimal | None, Decimal | None, TimeInForce | None],
             *, at_once: bool) -> None:  # fmt: skip
        """Send a new price, quantity and time in force on their way."""
        delay = timedelta(0)
        if not at_once:
            longest = self.settings.acknowledge_seconds
            delay = latency(self.settings.seed, f"move|{order.id}|{self.now}", longest)
        order.move_at = max(self.now, order.acts_at or self.now) + delay
        order.move_to, order.resize_to, order.retime_to = wanted
        self.changed = True
        if at_once and order.move_at == self.now:
            self._take_move(order)
            self._meet(order)

    def expire(self, order: Order, message: str) -> None:
        """End an order now."""
        self._end(order, OrderStatus.EXPIRED, message)
        self._tidy()

    def settle(self, wanted: NewOrder, price: Decimal) -> Order:
        """Trade an order in full at a price, whatever the market is."""
        order = order_of(wanted, self.account.next_order, self.now)
        self.account.next_order += 1
        order.taker = True
        self.account.orders += (order,)
        self.matcher.trade(self.account, order, order.quantity, price, self.now)
        self.changed = True
        return order

    def _act(self, order: Order) -> None:
        """Take up and match one order now."""
        self._take_up(order)
        self._meet(order)

    def _meet(self, order: Order) -> None:
        if order.status in _MATCHES:
            self._match(order)
        if order.live and order.expires_at is not None and order.expires_at <= self.now:
            self._end(order, OrderStatus.EXPIRED, "its time was over")
        self._tidy()

    def _half(self, order: Order) -> Decimal:
        """Return half of an order in whole lots, one lot at least."""
        instrument = self.instruments.get(order.instrument)
        step = instrument.rules.limit_step if instrument else Decimal(1)
        return max(abs(order.quantity) // (2 * step), Decimal(1)) * step

    # ------------------------------------------------------------------ when

    def next_instant(self) -> datetime | None:
        """Return when something may happen next, None when nothing can."""
        times = [e.tell_at for e in self.untold if e.tell_at is not None]
        matching: dict[str, datetime | None] = {}
        for order in self.live:
            due = (order.acts_at, order.cancel_at, order.move_at, order.expires_at)
            times.extend(at for at in due if at is not None)
            if order.status in _MATCHES:
                instrument = self.instruments[order.instrument]
                # Crypto stops symbol by symbol; the rest of a kind opens and closes together.
                group = instrument.id if is_crypto(instrument) else instrument.kind
                if group not in matching:
                    matching[group] = self._next_match(instrument)
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

    def happen(self) -> tuple[News, ...]:
        """Do all that is due now, in the order in which a venue would; return the news."""
        now = self.now
        news: list[News] = []
        for order in self._due("acts_at"):
            news.extend(self._take_up(order))
        for order in self._due("move_at"):
            news.extend(self._take_move(order))
        for order in tuple(self.live):
            if order.status in _MATCHES:
                news.extend(self._match(order))
        for order in self._due("cancel_at"):
            news.extend(self._take_cancel(order))
        for order in self._due("expires_at"):
            news.extend(self._end(order, OrderStatus.EXPIRED, "its time was over"))
        for execution in [e for e in self.untold if e.tell_at is not None and e.tell_at <= now]:
            execution.told = self.changed = True
            news.append(TradeNews(replace(execution)))
        self._tidy()
        return tuple(each for each in news if not self._is_silent(each))

    def _tidy(self) -> None:
        self.live = [order for order in self.live if order.live]
        self.untold = [e for e in self.untold if not e.told]

    def _due(self, which: str) -> list[Order]:
        found = []
        for order in self.live:
            at = getattr(order, which)
            if order.live and at is not None and at <= self.now:
                found.append(order)
        return found

    def _take_up(self, order: Order) -> Iterable[News]:
        order.acts_at = None
        self.changed = True
        fault = self.faults.strikes(FaultKind.REJECT, order.instrument)
        refusal = None if order.forced else self.refusal(order)
        if not order.forced and (fault or refusal):
            order.refusal = "fault" if fault else refusal.code if refusal else ""
            said = (
                fault.message or fault.kind.value if fault else refusal.message if refusal else ""
            )
            return self._end(order, OrderStatus.REJECTED, said)
        pending = order.cancel_at is not None
        order.status = OrderStatus.PENDING_CANCEL if pending else OrderStatus.WORKING
        if order.post_only:
            order.taker = False
        self._set_end(order)
        return (OrderNews(replace(order)),)

    def refusal(self, order: Order) -> Refusal | None:
        """Return why an order would be refused now, None when it would be taken."""
        others = [o for o in self.live if o is not order and o.status in _MATCHES]
        return self.admission.refusal(order, self.account, others, self.now)

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
        self.changed = True
        instrument = self.instruments[order.instrument]
        refusal = price_refusal(instrument, asked)
        if refusal is None and order.post_only:
            refusal = post_only_refusal(asked, self.market.touch(instrument, self.now))
        order.message = "" if refusal is None else refusal.message
        if refusal is not None or abs(size) <= abs(order.filled):
            return (OrderNews(replace(order), Cause.MOVE_REFUSED),)
        order.limit, order.order_type = asked.limit, asked.order_type
        order.taker = False if order.post_only else None
        order.quantity = size
        if force is not None and force is not order.time_in_force:
            order.time_in_force, order.expires_at = force, None
            self._set_end(order)
        return (OrderNews(replace(order), Cause.MOVED),)

    def _match(self, order: Order) -> Iterable[News]:
        execution = self.matcher.match(self.account, order, self.now)
        if execution is None:
            return ()
        self.changed = True
        if execution.tell_at is not None and not execution.told:
            self.untold.append(execution)
        news: list[News] = [TradeNews(replace(execution)), OrderNews(replace(order), Cause.TRADED)]
        holding = self.account.holdings.get(order.instrument)
        if order.live and order.reduce_only and (holding is None or not holding.quantity):
            news.extend(self._end(order, OrderStatus.EXPIRED, "nothing is left to reduce"))
        if is_margined(self.instruments[order.instrument]):
            news.extend(self._end_pointless(order))
        return news

    def _end_pointless(self, traded: Order) -> Iterable[News]:
        """End the reduce-only orders for which a trade has left nothing to reduce."""
        holding = self.account.holdings.get(traded.instrument)
        held = holding.quantity if holding else Decimal(0)
        for other in self.live:
            if (
                other.live
                and other is not traded
                and other.reduce_only
                and other.instrument == traded.instrument
                and other.status in _MATCHES
                and other.quantity * held >= 0
            ):
                yield from self._end(other, OrderStatus.EXPIRED, "nothing is left to reduce")

    def _take_cancel(self, order: Order) -> Iterable[News]:
        order.cancel_at = None
        self.changed = True
        if order.cancel_refused:
            order.status, order.message = OrderStatus.WORKING, order.cancel_refused
            order.cancel_refused = ""
            return (OrderNews(replace(order), Cause.CANCEL_REFUSED),)
        return self._end(order, OrderStatus.CANCELLED, order.message)

    def _end(self, order: Order, status: OrderStatus, message: str) -> Iterable[News]:
        order.status, order.message, order.ended_at = status, message, self.now
        order.acts_at = order.cancel_at = order.move_at = order.expires_at = None
        self.changed = True
        return (OrderNews(replace(order), Cause.ENDED),)

    def _is_silent(self, news: News) -> bool:
        if isinstance(news, OrderNews):
            return news.order.silent
        order = self.order(news.execution.order)
        return order is not None and order.silent

    def forget(self) -> None:
        """Let go of orders that ended long ago, carrying over what their trades came to."""
        account, old = self.account, self.now - KEEP
        gone = {o.id for o in account.orders if o.ended_at is not None and o.ended_at < old}
        for execution in account.executions:
            if execution.order in gone:
                carry(account, self.instruments[execution.instrument], execution)
        account.executions = tuple(e for e in account.executions if e.order not in gone)
        account.orders = tuple(o for o in account.orders if o.id not in gone)
        self.untold = [e for e in self.untold if e.order not in gone]


def order_of(wanted: NewOrder, number: int, at: datetime) -> Order:
    """Return the order of a number that somebody asks for at `at`."""
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
        placed_at=at,
        expires_at=wanted.good_till if wanted.time_in_force is TimeInForce.GTD else None,
        tags=dict(wanted.tags),
        post_only=wanted.post_only or wanted.order_type is OrderType.POST_ONLY,
        forced=wanted.forced,
    )


def _type_at(order: Order) -> OrderType:
    """Return the type of an order with its new price."""
    if order.move_to is None:
        return OrderType.MARKET
    return OrderType.LIMIT if order.order_type is OrderType.MARKET else order.order_type

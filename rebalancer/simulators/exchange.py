"""The simulated venue's engine: orders in, news out, time moved by hand.

It speaks no protocol: `brokers.paper` uses it in process, codecs put it behind a socket. All
that is still to happen stands in the books as a time; `advance` goes from one such time to the
next and stops at the first that has news.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from rebalancer.model.fees import FeeSchedule
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.orders import OrderStatus, TimeInForce
from rebalancer.simulators.admission import Admission, Refusal
from rebalancer.simulators.booking import add
from rebalancer.simulators.books import Books, Execution, Order
from rebalancer.simulators.clock import VirtualClock, latency
from rebalancer.simulators.faults import FaultScript
from rebalancer.simulators.floor import KEEP, Floor, order_of
from rebalancer.simulators.market import Market
from rebalancer.simulators.matching import Matcher
from rebalancer.simulators.news import Cause, NewOrder, News, OrderNews, TradeNews
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.timers import Timers
from rebalancer.simulators.worth import Valuer, Worth

__all__ = ["KEEP", "Cause", "Exchange", "NewOrder", "News", "OrderNews", "TradeNews"]


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
        admission = Admission(market, instruments, settings, self.valuer)
        self._matcher = Matcher(market, instruments, settings, fees, self.faults)
        self._floor = Floor(
            self.account, market, instruments, settings, admission, self._matcher, self.faults
        )
        self._timers = Timers()
        self.react: Callable[[], None] | None = None
        """What a codec does at once when something has happened, before anybody hears of it."""

    @property
    def now(self) -> datetime:
        """Return the simulated time."""
        return self.clock.now

    # ------------------------------------------------------------------ what a client may ask

    def place(self, wanted: Sequence[NewOrder], *, at_once: bool = False) -> tuple[Order, ...]:
        """Send orders on their way; return them as they are now. What becomes of them is news.

        `at_once`: each arrives, is judged and meets the market now, before the next; what is
        returned is as it is afterwards, and no news of it follows.
        """
        sent = [self._floor.send(each, at_once=at_once) for each in wanted]
        self.save()
        return tuple(replace(order) for order in sent)

    def cancel(self, order_id: int, *, at_once: bool = False) -> Order | None:
        """Ask for an order's end; return it as it is now, None when there is no such order."""
        order = self._floor.order(order_id)
        if order is None or order.status.terminal or order.cancel_at is not None:
            return None if order is None else replace(order)
        self._floor.cancel(order, at_once=at_once)
        if self._floor.changed:
            self.save()
        return replace(order)

    def move(
        self,
        order_id: int,
        limit: Decimal | None,
        *,
        quantity: Decimal | None = None,
        time_in_force: TimeInForce | None = None,
        at_once: bool = False,
    ) -> Order | None:
        """Ask for a new price (None: at market), signed quantity, time in force.

        Returns the order as it is now, None when there is no such order. What the venue says
        against it stands in its `message`.
        """
        order = self._floor.order(order_id)
        if order is None or order.status.terminal:
            return None if order is None else replace(order)
        self._floor.move(order, (limit, quantity, time_in_force), at_once=at_once)
        self.save()
        return replace(order)

    def release(self, order_id: int) -> None:
        """Send a held order on its way."""
        order = self._floor.order(order_id)
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

    @property
    def live(self) -> Sequence[Order]:
        """What can still trade, oldest first: the engine's own orders, for a codec to read."""
        return tuple(order for order in self._floor.live if order.live)

    def executions(self, since: datetime) -> tuple[Execution, ...]:
        """Return the remembered executions at or after `since`, oldest first (copies)."""
        return tuple(replace(e) for e in self.account.executions if e.at >= since)

    def worth(self) -> Worth:
        """Return what the account is worth now."""
        return self.valuer.worth(self.account, self.now)

    def initial_margin(self) -> Decimal:
        """Return the initial margin, base currency, if all orders traded."""
        return self.valuer.initial_with(self.account, self._floor.live, self.now)

    def initial_margin_with(self, wanted: NewOrder) -> Decimal:
        """Return the initial margin, base currency, if this order and all others traded."""
        asked = order_of(wanted, 0, self.now)
        return self.valuer.initial_with(self.account, (*self._floor.live, asked), self.now)

    def preview(self, wanted: NewOrder) -> tuple[Order, Refusal | None]:
        """Return an order as it would be, and why it would be refused (None: it would not)."""
        order = order_of(wanted, self.account.next_order, self.now)
        return order, self._floor.refusal(order)

    # ------------------------------------------------------------------ what a codec may do

    @property
    def leverage(self) -> Callable[[InstrumentId], Decimal]:
        """What tells how many times its initial margin a margined position may be worth."""
        return self.valuer.leverage

    @leverage.setter
    def leverage(self, rule: Callable[[InstrumentId], Decimal]) -> None:
        self.valuer.leverage = rule

    @property
    def maintenance(self) -> Callable[[InstrumentId, Decimal], Decimal]:
        """What tells the maintenance margin of a margined position, given its absolute notional."""
        return self.valuer.maintenance

    @maintenance.setter
    def maintenance(self, rule: Callable[[InstrumentId, Decimal], Decimal]) -> None:
        self.valuer.maintenance = rule

    def register(
        self,
        name: str,
        next_at: Callable[[datetime], datetime | None],
        act: Callable[[datetime], None],
    ) -> None:
        """Call `act` at the times that `next_at(now)` names, while time passes in `advance`.

        The times are in order, after what orders do at the same instant, and saved with it.
        `next_at` is asked anew whenever something has happened. `act` may place and cancel
        orders at once, and book cash.
        """
        self._timers.register(name, next_at, act)

    def expire(self, order_id: int, message: str) -> None:
        """End an open order now because the venue itself wants it to end."""
        order = self._floor.order(order_id)
        if order is not None and order.live:
            self._floor.expire(order, message)
            self.save()

    def settle(self, wanted: NewOrder, price: Decimal) -> Order:
        """Trade an order of the venue's own in full at a price that it names; return it."""
        order = self._floor.settle(wanted, price)
        self.save()
        return replace(order)

    def book_cash(self, asset: str, amount: Decimal) -> None:
        """Book money that comes (positive) or goes by no trade: funding, a transfer."""
        add(self.account.cash, asset, amount)
        add(self.account.carried_cash, asset, amount)
        self._floor.changed = True

    # ------------------------------------------------------------------ time

    def advance(self, until: datetime) -> tuple[News, ...]:
        """Let time pass to `until`, or to the first instant before it that has news.

        Several things at one instant come together. What is returned has been saved.
        """
        if until < self.now:
            self.clock.advance_to(until)
        while (at := self._next_instant()) is not None and at <= until:
            self._set_clock(max(at, self.now))
            news = self._floor.happen()
            if self._timers.act(self.now):
                self._floor.changed = True
            if self._floor.changed:
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
        self._floor.forget()
        self.save()
        return tuple(news)

    def save(self) -> None:
        """Save the books."""
        self.books.save()
        self._floor.changed = False
        self._timers.touch()

    def _set_clock(self, at: datetime) -> None:
        self.clock.advance_to(at)
        self.account.now = at

    def _next_instant(self) -> datetime | None:
        """Return when something may happen next, None when nothing can."""
        times = (self._floor.next_instant(), self._timers.next_at(self.now))
        return min((at for at in times if at is not None), default=None)

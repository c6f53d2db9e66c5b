"""What the exchange says of the account's orders and stops, and what has happened since."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rebalancer.brokers.binance.errors import RequestRefused, Treatment
from rebalancer.brokers.binance.executions import Executions
from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import rows
from rebalancer.brokers.binance.reading import Reading
from rebalancer.brokers.binance.told import order_of, stop_of
from rebalancer.errors import ConnectError, OutcomeUnknown
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import (
    Fill,
    OrderStatus,
    VenueEvent,
    WorkingOrder,
    instrument_code,
)
from rebalancer.model.stops import StopOrder

GRACE_SECONDS = 10.0
"""How long beyond its window an order may still be on its way inside the exchange."""

_PAGE = 1000
MANY: Mapping[Product, int] = {Product.USDM: 40, Product.SPOT: 20}
"""More orders than these are read as one list, which weighs 40 (spot: 80); each alone 1 (4)."""

_SKEW = timedelta(seconds=2)
"""Two clocks: a trade may be dated before its order was sent."""


class OrderBook:
    """The orders of one connection by reference, as they were last told.

    `told` are orders of this run; an order whose answer was lost stands there as SENT and is
    looked up by its reference only. Executions are the exchange's own list of trades.
    """

    def __init__(self, line: BinanceLine, reading: Reading) -> None:
        self._line = line
        self._usdm = line.product is Product.USDM
        self._codes = {instrument_code(each.id): each.id for each in line.universe}
        self._trades = Executions(line, reading)
        self.told: dict[str, WorkingOrder] = {}
        self._sent_at: dict[str, datetime] = {}
        self._refused: set[str] = set()
        self._news: list[VenueEvent] = []
        self._fills: set[str] = set()
        self._unheard: set[str] = set()
        """Orders that have traded, and whose trades could not be read yet."""
        self._strangers: tuple[WorkingOrder, ...] | None = None
        self._resting = self._waiting = True
        """Whether orders, and stops, were there when they were last listed (not yet: True)."""
        reading.trust_while(self._quiet)

    # ------------------------------------------------------------------ orders

    def open_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every order of the account that is not terminal and could open a position.

        Those are the ordinary ones, and others' stops that may do more than reduce.
        """
        alive = tuple(each for each in self._listed() if not each.status.terminal)
        return alive + self._stops_of_strangers()

    def find(self, reference: str) -> tuple[WorkingOrder, ...]:
        """Return the order with this reference; an empty tuple is a proof that there is none.

        Proved is: not known by its id after it could still arrive, and not in the list of
        all orders. Before that, and where the exchange does not answer, `OutcomeUnknown`.
        """
        if reference in self._refused:
            return ()
        instrument = self._instrument_in(reference)
        if instrument is None:
            raise OutcomeUnknown(f"{reference}: its instrument is not in the universe any more")
        symbol = self._line.symbol(instrument)
        path = "/fapi/v1/order" if self._usdm else "/api/v3/order"
        try:
            row = self._line.signed("GET", path, symbol=symbol, origClientOrderId=reference)
        except RequestRefused as error:
            if error.treatment is not Treatment.GONE:
                raise OutcomeUnknown(f"{reference}: {error}") from error
        except ConnectError as error:
            self._line.require()  # a connection that is gone says so itself
            raise OutcomeUnknown(f"{reference}: {error}") from error
        else:
            order = order_of(self._line, row)
            self._take(order)
            return (order,)
        sent = self._sent_at.get(reference)
        if sent is not None and self._line.now() < sent + self._patience():
            raise OutcomeUnknown(f"{reference}: not known there yet, and it may still arrive")
        return self._in_all_orders(reference, symbol)

    def executions(
        self, since: datetime, only: Collection[InstrumentId] | None = None
    ) -> tuple[Fill, ...]:
        """Return every execution at or after `since` (in `only` these), oldest first."""
        if only is not None:
            return self._trades.only(since, only)
        traded = {order.instrument for order in self.told.values() if order.filled}
        return self._trades.since(since, traded)

    # ------------------------------------------------------------------ what happens

    def going(self, reference: str) -> None:
        """Take note that an order is about to be sent."""
        self._sent_at[reference] = self._line.now()

    def answered(self, row: Mapping[str, Any], reference: str = "") -> WorkingOrder:
        """Return an order of ours as it was just answered; its trades are news of `events`.

        `reference`: where the answer has another client id (a spot cancel has its own).
        """
        order = order_of(self._line, row)
        if reference:
            order = replace(order, reference=reference)
        return self.remember(order)

    def remember(self, order: WorkingOrder) -> WorkingOrder:
        """Keep an order of ours as it is now.

        What it has traded since is read with the next events, not here: each reading weighs 5,
        and would slow down those that are still to be sent.
        """
        before = self.told.get(order.reference)
        self.told[order.reference] = order
        if order.filled and (before is None or order.filled != before.filled):
            self._unheard.add(order.reference)
        if order.status is OrderStatus.REJECTED or (
            order.status is OrderStatus.EXPIRED and not order.venue_id
        ):
            self._refused.add(order.reference)
        return order

    def events(self) -> tuple[VenueEvent, ...]:
        """Ask for each order of ours that can still change; return what has happened."""
        alive = [
            reference
            for reference, order in self.told.items()
            if not order.status.terminal and order.status is not OrderStatus.SENT
        ]
        listed: set[str] = set()
        if len(alive) > MANY[self._line.product]:
            try:
                listed = {order.reference for order in self._listed()}
            except ConnectError:  # with the next events, then
                self._line.require()
                alive = []
        for reference in alive:
            if reference in listed:
                continue
            try:
                self.find(reference)  # what is new of it becomes news
            except OutcomeUnknown:
                continue
        self._hear_trades()
        return self.news()

    def news(self) -> tuple[VenueEvent, ...]:
        """Return what has been heard and not been told yet."""
        news, self._news = tuple(self._news), []
        return news

    # ------------------------------------------------------------------ stops

    def stops(self) -> tuple[StopOrder, ...]:
        """Return every stop that waits for its trigger, ours or not."""
        return tuple(stop_of(self._line, row) for row in self._algo_rows())

    def find_stop(self, reference: str) -> tuple[StopOrder, ...]:
        """Return the stop with this reference, an ended one too; `OutcomeUnknown` as `find`."""
        if not self._usdm:
            return ()
        try:
            row = self._line.signed("GET", "/fapi/v1/algoOrder", clientAlgoId=reference)
        except RequestRefused as error:
            if error.treatment is not Treatment.GONE:
                raise OutcomeUnknown(f"{reference}: {error}") from error
            return ()
        except ConnectError as error:
            self._line.require()
            raise OutcomeUnknown(f"{reference}: {error}") from error
        return (stop_of(self._line, row),)

    # ------------------------------------------------------------------ inside

    def _algo_rows(self) -> list[dict[str, Any]]:
        if not self._usdm:
            return []
        path = "/fapi/v1/openAlgoOrders"
        answer = self._line.signed("GET", path)
        listed = answer.get("orders", []) if isinstance(answer, dict) else answer
        found = rows(listed, path)
        self._waiting = bool(found)
        return found

    def _quiet(self) -> bool:
        """Return whether nothing of the account's could trade, as far as was seen.

        What rests at the exchange, or waits for its trigger, trades while nobody sends anything.
        """
        alive = any(not order.status.terminal for order in self.told.values())
        return not (self._resting or self._waiting or alive)

    def _stops_of_strangers(self) -> tuple[WorkingOrder, ...]:
        """Return others' stops that could open a position, asked for once a connection."""
        if self._strangers is None:
            found = []
            for row in self._algo_rows():
                reduces = row.get("reduceOnly") is True or row.get("closePosition") is True
                stop = stop_of(self._line, row)
                if not reduces and self._instrument_in(stop.reference) is None:
                    found.append(_as_order(stop))
            self._strangers = tuple(found)
        return self._strangers

    def _listed(self) -> list[WorkingOrder]:
        """Return the list of open orders; what it says that is new of ours becomes news."""
        path = "/fapi/v1/openOrders" if self._usdm else "/api/v3/openOrders"
        found = [order_of(self._line, row) for row in rows(self._line.signed("GET", path), path)]
        for order in found:
            self._take(order)
        self._resting = bool(found)
        return found

    def _in_all_orders(self, reference: str, symbol: str) -> tuple[WorkingOrder, ...]:
        path = "/fapi/v1/allOrders" if self._usdm else "/api/v3/allOrders"
        try:
            answer = self._line.signed("GET", path, symbol=symbol, limit=str(_PAGE))
        except RequestRefused as error:
            raise OutcomeUnknown(f"{reference}: {error}") from error
        except ConnectError as error:
            self._line.require()
            raise OutcomeUnknown(f"{reference}: {error}") from error
        every = [order_of(self._line, row) for row in rows(answer, path)]
        return tuple(each for each in every if each.reference == reference)

    def _patience(self) -> timedelta:
        return timedelta(seconds=self._line.settings.recv_window_ms / 1000 + GRACE_SECONDS)

    def _take(self, order: WorkingOrder) -> None:
        """Compare an order with what was told of it; the difference is news."""
        self._trades.know(order.instrument, order.venue_id, order.reference)
        before = self.told.get(order.reference)
        if before is None:
            return
        self.told[order.reference] = order
        if order.filled != before.filled:
            self._unheard.add(order.reference)
        changed = (order.status, order.filled, order.limit)
        if changed != (before.status, before.filled, before.limit):
            self._news.append(order)

    def _hear_trades(self) -> None:
        """Let the trades of our orders be news, read once an instrument.

        What cannot be read now, and what the exchange's list of trades does not have yet though
        the order says that it traded, is read with the next events.
        """
        waiting: dict[InstrumentId, list[WorkingOrder]] = {}
        for reference in sorted(self._unheard):
            order = self.told[reference]
            self._trades.know(order.instrument, order.venue_id, reference)
            waiting.setdefault(order.instrument, []).append(order)
        for instrument, orders in waiting.items():
            since = min(self._sent_at.get(each.reference, each.at) for each in orders)
            try:
                fills = self._trades.of(instrument, since - _SKEW)
            except ConnectError:
                self._line.require()
                continue
            self._unheard -= {each.reference for each in orders if self._whole(each, fills)}
            for fill in fills:
                if fill.reference in self.told and fill.exec_id not in self._fills:
                    self._fills.add(fill.exec_id)
                    self._news.append(fill)

    def _whole(self, order: WorkingOrder, fills: Sequence[Fill]) -> bool:
        """Return whether an order's trades since it was sent are all that it says it traded."""
        if order.reference not in self._sent_at:
            return True  # an earlier run's: what it traded before was told before
        traded = sum(abs(each.quantity) for each in fills if each.reference == order.reference)
        return traded >= abs(order.filled)

    def _instrument_in(self, reference: str) -> InstrumentId | None:
        parts = reference.split(".")
        return self._codes.get(parts[2]) if len(parts) == 4 else None


def _as_order(stop: StopOrder) -> WorkingOrder:
    return WorkingOrder(
        reference=stop.reference,
        venue_id=stop.venue_id,
        instrument=stop.instrument,
        quantity=stop.quantity,
        filled=stop.quantity * 0,
        limit=stop.limit or stop.trigger,
        status=stop.status,
        at=stop.at,
    )

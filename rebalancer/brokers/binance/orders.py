"""What the exchange says of the account's orders, trades and stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.brokers.binance.errors import RequestRefused, Treatment
from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import milliseconds, moment, number, rows, whole
from rebalancer.brokers.binance.reading import Reading
from rebalancer.brokers.binance.statuses import order_status, stop_status
from rebalancer.errors import BlindError, DataError, OutcomeUnknown
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import (
    LIQUIDATION,
    Fill,
    OrderStatus,
    Place,
    VenueEvent,
    WorkingOrder,
    instrument_code,
)
from rebalancer.model.stops import StopOrder

FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-", "delivery_autoclose-")
"""How the client ids of the exchange's own orders begin: liquidation, deleveraging, settlement."""

GRACE_SECONDS = 10.0
_WEEK = timedelta(days=7) - timedelta(minutes=1)
_PAGE = 1000


class OrderBook:
    """Orders by reference as they were last told, and everything that can be asked about them."""

    def __init__(self, line: BinanceLine, reading: Reading) -> None:
        self._line, self._reading = line, reading
        self._usdm = line.product is Product.USDM
        self._codes = {instrument_code(each.id): each.id for each in line.universe}
        self.told: dict[str, WorkingOrder] = {}
        self.sent_at: dict[str, datetime] = {}
        self._news: list[VenueEvent] = []
        self._fills: set[str] = set()

    # ------------------------------------------------------------------ orders

    def open_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every ordinary order of the account that is not terminal."""
        path = "/fapi/v1/openOrders" if self._usdm else "/api/v3/openOrders"
        found = [self._order(row) for row in rows(self._line.signed("GET", path), path)]
        for order in found:
            if order.reference in self.told:
                self._take(order)
        return tuple(each for each in found if not each.status.terminal)

    def find(self, reference: str) -> tuple[WorkingOrder, ...]:
        """Return the orders with this reference; raises `OutcomeUnknown` while it may come."""
        instrument = self._instrument_in(reference)
        if instrument is None:
            return ()
        symbol = self._line.symbol(instrument)
        path = "/fapi/v1/order" if self._usdm else "/api/v3/order"
        try:
            row = self._line.signed("GET", path, symbol=symbol, origClientOrderId=reference)
        except RequestRefused as error:
            if error.treatment not in (Treatment.GONE, Treatment.SYMBOL):
                raise OutcomeUnknown(f"{reference}: {error}") from error
        except BlindError as error:
            raise OutcomeUnknown(f"{reference}: {error}") from error
        else:
            order = self._order(row)
            self._take(order)
            return (order,)
        sent = self.sent_at.get(reference)
        known = self.told.get(reference)
        if known is not None and known.status.terminal and not known.venue_id:
            return ()  # the exchange said no to it: it never had it
        patience = self._line.settings.recv_window_ms / 1000 + GRACE_SECONDS
        if sent is not None and self._line.now() < sent + timedelta(seconds=patience):
            raise OutcomeUnknown(f"{reference}: not found, and it may still arrive")
        every = self._all_orders(symbol)
        return tuple(each for each in every if each.reference == reference)

    def events(self) -> tuple[VenueEvent, ...]:
        """Return what has happened to our orders since the last call."""
        for reference, order in list(self.told.items()):
            if order.status.terminal or order.status is OrderStatus.SENT:
                continue
            try:
                self.find(reference)  # what is new of it becomes news
            except OutcomeUnknown:
                continue
        return self.news()

    def news(self) -> tuple[VenueEvent, ...]:
        """Return what has been heard and not been told yet."""
        news, self._news = tuple(self._news), []
        return news

    def remember(self, order: WorkingOrder) -> WorkingOrder:
        """Take an order of ours as it was just answered; its trades become news."""
        before = self.told.get(order.reference)
        self.told[order.reference] = order
        if order.filled and (before is None or order.filled != before.filled):
            self._hear_trades(order)
        return order

    def _note(self, before: WorkingOrder, order: WorkingOrder) -> None:
        if order.filled != before.filled:
            self._hear_trades(order)
        if (order.status, order.filled, order.limit) != (
            before.status,
            before.filled,
            before.limit,
        ):
            self._news.append(order)

    def _take(self, order: WorkingOrder) -> None:
        before = self.told.get(order.reference)
        if before is not None:
            self._note(before, order)
            self.told[order.reference] = order

    def _hear_trades(self, order: WorkingOrder) -> None:
        for fill in self._trades(order.instrument, order.at - _WEEK, orderId=order.venue_id):
            if fill.exec_id not in self._fills:
                self._fills.add(fill.exec_id)
                self._news.append(replace(fill, reference=order.reference))

    def _all_orders(self, symbol: str) -> list[WorkingOrder]:
        path = "/fapi/v1/allOrders" if self._usdm else "/api/v3/allOrders"
        answer = self._line.signed("GET", path, symbol=symbol, limit=str(_PAGE))
        return [self._order(row) for row in rows(answer, path)]

    def _order(self, row: Mapping[str, Any]) -> WorkingOrder:
        what = f"order {row.get('orderId')}"
        sign = 1 if row.get("side") == "BUY" else -1
        price = number(row.get("price", "0"), what)
        at = row.get("updateTime") or row.get("transactTime") or row.get("time") or 0
        return WorkingOrder(
            reference=str(row.get("clientOrderId", "")),
            venue_id=str(row["orderId"]),
            instrument=self._line.instrument_id(str(row["symbol"])),
            quantity=sign * number(row["origQty"], what),
            filled=sign * number(row["executedQty"], what),
            limit=price or None,
            status=order_status(row.get("status")),
            at=moment(at, what),
        )

    def _instrument_in(self, reference: str) -> InstrumentId | None:
        parts = reference.split(".")
        return self._codes.get(parts[2]) if len(parts) == 4 else None

    # ------------------------------------------------------------------ executions

    def executions(self, since: datetime) -> tuple[Fill, ...]:
        """Return every execution at or after `since`, oldest first."""
        names = {order.instrument for order in self.told.values() if order.filled}
        if self._usdm:
            for row in self._reading.income_rows(since):
                if row.get("incomeType") in ("COMMISSION", "REALIZED_PNL") and row.get("symbol"):
                    names.add(self._line.instrument_id(str(row["symbol"])))
        else:
            names |= {each.id for each in self._line.universe}
        found: list[Fill] = []
        for name in sorted(names):
            orders = {}
            fills = self._trades(name, since)
            if fills:
                every = self._all_orders(self._line.symbol(name))
                orders = {each.venue_id: each.reference for each in every}
            for fill in fills:
                reference = orders.get(fill.venue_order_id, "")
                forced = LIQUIDATION if reference.startswith(FORCED) else ""
                found.append(replace(fill, reference=reference, origin=forced))
        return tuple(sorted(found, key=lambda each: (each.at, each.exec_id)))

    def _trades(self, instrument: InstrumentId, since: datetime, **more: str) -> list[Fill]:
        symbol = self._line.symbol(instrument)
        path = "/fapi/v1/userTrades" if self._usdm else "/api/v3/myTrades"
        asked = {"symbol": symbol, "limit": str(_PAGE)} | more
        found: list[Mapping[str, Any]] = []
        start = since
        while True:
            words = dict(asked)
            if not more:
                words["startTime"] = str(milliseconds(start))
            page = rows(self._line.signed("GET", path, **words), path)
            known = {row["id"] for row in found}
            new = [row for row in page if row["id"] not in known]
            found += new
            if len(page) < _PAGE or not new:
                break
            start = moment(new[-1]["time"], path)
        fills = [self._fill(row) for row in found]
        return [fill for fill in fills if fill.at >= since]

    def _fill(self, row: Mapping[str, Any]) -> Fill:
        what = f"trade {row.get('id')}"
        buys = row["side"] == "BUY" if "side" in row else bool(row["isBuyer"])
        symbol = str(row["symbol"])
        instrument = self._line.instrument_id(symbol)
        known = self._line.instrument(symbol)
        maker = bool(row.get("maker", row.get("isMaker", False)))
        return Fill(
            exec_id=f"{symbol}-{whole(row['id'], what)}",
            reference="",
            venue_order_id=str(row["orderId"]),
            instrument=instrument,
            quantity=number(row["qty"], what) * (1 if buys else -1),
            price=number(row["price"], what),
            currency=known.currency if known is not None else "USDT",
            at=moment(row["time"], what),
            commission=number(row["commission"], what),
            commission_currency=str(row["commissionAsset"]),
            liquidity="maker" if maker else "taker",
        )

    # ------------------------------------------------------------------ stops

    def stops(self) -> tuple[StopOrder, ...]:
        """Return every stop that waits for its trigger, ours or not."""
        if not self._usdm:
            return ()
        path = "/fapi/v1/openAlgoOrders"
        answer = self._line.signed("GET", path)
        listed = answer.get("orders", []) if isinstance(answer, dict) else answer
        return tuple(self.stop(row) for row in rows(listed, path))

    def find_stop(self, reference: str) -> tuple[StopOrder, ...]:
        """Return the stops with this reference, ended ones too."""
        if not self._usdm:
            return ()
        try:
            row = self._line.signed("GET", "/fapi/v1/algoOrder", clientAlgoId=reference)
        except RequestRefused as error:
            if error.treatment is not Treatment.GONE:
                raise OutcomeUnknown(f"{reference}: {error}") from error
            return ()
        except BlindError as error:
            raise OutcomeUnknown(f"{reference}: {error}") from error
        return (self.stop(row),)

    def stop(self, row: Mapping[str, Any]) -> StopOrder:
        """Return a stop as an answer tells it."""
        what = f"algo order {row.get('algoId')}"
        sign = 1 if row.get("side") == "BUY" else -1
        price = number(row.get("price") or "0", what)
        at = row.get("updateTime") or row.get("createTime") or 0
        return StopOrder(
            reference=str(row.get("clientAlgoId", "")),
            venue_id=str(row["algoId"]),
            instrument=self._line.instrument_id(str(row["symbol"])),
            quantity=sign * number(row.get("quantity") or "0", what),
            trigger=number(row.get("triggerPrice") or "0", what),
            limit=price or None,
            status=stop_status(row.get("algoStatus")),
            at=moment(at, what),
            order_id=str(row.get("actualOrderId") or ""),
        )


def plain(value: Decimal) -> str:
    """Return a number as the exchange takes it: digits, never an exponent, never a minus."""
    if not value.is_finite() or value < 0:
        raise DataError(f"{value} cannot be sent")
    return f"{value.normalize():f}" if value else "0"


def sent_order(place: Place, at: datetime, status: OrderStatus, message: str = "") -> WorkingOrder:
    """Return an order as it is before the exchange has said anything of it."""
    return WorkingOrder(
        reference=place.reference,
        venue_id="",
        instrument=place.instrument,
        quantity=place.quantity,
        filled=Decimal(0),
        limit=place.limit,
        status=status,
        at=at,
        message=message,
    )

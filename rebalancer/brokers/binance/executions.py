"""Which trades there were: the symbols that traded first, then the trades of those alone.

Five hundred symbols cannot be asked one by one every hour. On USDⓈ-M each trade books a fee, so
the exchange's ledger names the symbols; an order of ours that traded names its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rebalancer.brokers.binance.errors import RequestRefused, Treatment
from rebalancer.brokers.binance.income import traded_symbols
from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import milliseconds, moment, rows
from rebalancer.brokers.binance.reading import Reading
from rebalancer.brokers.binance.told import fill_of, order_of
from rebalancer.errors import BlindError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import LIQUIDATION, Fill

FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-", "delivery_autoclose-")
"""How client ids of the exchange's own orders begin: liquidation, deleveraging, settlement."""

WINDOW = timedelta(days=7) - timedelta(seconds=1)
"""The longest time between start and end that the exchange answers for."""

PAGE = 1000
_MOST_PAGES = 500


class Executions:
    """The account's trades over one connection."""

    def __init__(self, line: BinanceLine, reading: Reading) -> None:
        self._line, self._reading = line, reading
        usdm = line.product is Product.USDM
        self._trades = "/fapi/v1/userTrades" if usdm else "/api/v3/myTrades"
        self._order = "/fapi/v1/order" if usdm else "/api/v3/order"
        self._usdm = usdm
        self._references: dict[tuple[InstrumentId, str], str] = {}

    def know(self, instrument: InstrumentId, order: str, reference: str) -> None:
        """Take note of an order's reference: its trades need not ask for it."""
        self._references[instrument, order] = reference

    def since(self, since: datetime, ours: Iterable[InstrumentId]) -> tuple[Fill, ...]:
        """Return every execution at or after `since`, oldest first.

        `ours` are instruments in which orders of this run have traded.
        """
        names = set(ours)
        if self._usdm:
            symbols = traded_symbols(self._reading.income_rows(since))
            names |= {self._line.instrument_id(symbol) for symbol in symbols}
        else:
            names |= {each.id for each in self._line.universe}
        return self.only(since, names)

    def only(self, since: datetime, names: Iterable[InstrumentId]) -> tuple[Fill, ...]:
        """Return the executions in these instruments at or after `since`, oldest first."""
        now = self._line.now()
        found = [fill for name in sorted(names) for fill in self._of(name, since, now)]
        return tuple(sorted(found, key=lambda each: (each.at, each.exec_id)))

    def of(self, instrument: InstrumentId, since: datetime) -> list[Fill]:
        """Return the executions in one instrument at or after `since`, oldest first."""
        found = self._of(instrument, since, self._line.now())
        return sorted(found, key=lambda each: (each.at, each.exec_id))

    def _of(self, instrument: InstrumentId, since: datetime, now: datetime) -> list[Fill]:
        """Return the executions in one instrument, window by window and page by page."""
        found: dict[str, Fill] = {}
        start = since
        for _ in range(_MOST_PAGES):
            asked = {
                "symbol": self._line.symbol(instrument),
                "startTime": str(milliseconds(start)),
                "limit": str(PAGE),
            }
            end = now + timedelta(seconds=1)
            if self._usdm:  # spot looks forward without an end
                end = min(start + WINDOW, end)
                asked["endTime"] = str(milliseconds(end))
            page = rows(self._asked(**asked), self._trades)
            new = [fill_of(self._line, row) for row in page]
            known = len(found)
            found |= {each.exec_id: self._with_reference(each) for each in new}
            if len(page) < PAGE:
                if end > now:
                    return [each for each in found.values() if each.at >= since]
                start = end
            elif len(found) == known:
                raise BlindError(f"{instrument}: {PAGE} trades or more in one millisecond")
            else:
                start = moment(page[-1].get("time"), self._trades)
        raise BlindError(f"{instrument}: its trades since {since:%Y-%m-%d} have no end")

    def _asked(self, **asked: str) -> Any:
        """Ask for trades; a question that the exchange refuses has left us without an answer."""
        try:
            return self._line.signed("GET", self._trades, **asked)
        except RequestRefused as error:
            raise BlindError(f"the trades in {asked['symbol']} are not told: {error}") from error

    def _with_reference(self, fill: Fill) -> Fill:
        """Return the execution with its order's reference, asked for once an order."""
        key = (fill.instrument, fill.venue_order_id)
        if key not in self._references:
            symbol = self._line.symbol(fill.instrument)
            try:
                answer = self._line.signed(
                    "GET", self._order, symbol=symbol, orderId=fill.venue_order_id
                )
            except RequestRefused as error:
                if error.treatment is not Treatment.GONE:
                    raise BlindError(f"order {fill.venue_order_id} is not told: {error}") from error
                return fill  # a trade without an order that one could ask for: nobody's we know
            self._references[key] = order_of(self._line, answer).reference
        reference = self._references[key]
        origin = LIQUIDATION if reference.startswith(FORCED) else ""
        return replace(fill, reference=reference, origin=origin)

"""Quotes for many symbols at once, looked up by symbol and never by place.

USDⓈ-M: best prices with their own time, and the mark price in the place of a last close.
Spot: best prices at the exchange's time, and the price a day before as last close.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.info_cache import ExchangeInfo
from rebalancer.brokers.binance.listing import trades
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import EPOCH, Questions, moment, number, rows, whole
from rebalancer.brokers.binance.volumes import Volumes, day_tickers
from rebalancer.errors import BlindError
from rebalancer.model.instrument import Instrument
from rebalancer.model.market import Freshness, MarketSnapshot, Quote

FEW = 2
"""Up to as many perpetuals weigh less one by one than all together."""

MARKS_LAST = timedelta(seconds=30)
"""How old mark prices may be; they bound limits and are no price to trade at."""

_LOG = logging.getLogger("rebalancer.brokers.binance")
_MINUTE = timedelta(minutes=1)
_BOOK, _MARKS = "/fapi/v1/ticker/bookTicker", "/fapi/v1/premiumIndex"
_SPOT = "ticker/24hr"

Rows = Mapping[str, Mapping[str, Any]]


class Quotes:
    """The quotes of one connection."""

    def __init__(self, line: Questions, info: ExchangeInfo, volumes: Volumes) -> None:
        self._line, self._info, self._volumes = line, info, volumes
        self._marks: dict[str, Mapping[str, Any]] = {}
        self._marks_at = EPOCH

    def market(self, instruments: Sequence[Instrument]) -> MarketSnapshot:
        """Return the quotes, asked for now; an instrument that has none is missing.

        Raises `ConnectError` when the exchange does not answer.
        """
        names = sorted({each.symbol for each in instruments})
        if not names:
            return MarketSnapshot(self._line.now(), {})
        usdm = self._line.product is Product.USDM
        names = [name for name in names if name in self._info.rows()]
        volumes = self._volumes.of(names) if usdm else {}
        if usdm:
            closes, best = self._marked(names), self._each_or_all(_BOOK, names)
        else:
            closes = best = _by_symbol(day_tickers(self._line, names), _SPOT)
            volumes = {name: number(row.get("volume"), _SPOT) for name, row in best.items()}
        at = self._line.now()
        found = {}
        for each in instruments:
            quote = self._quote(
                each, best.get(each.symbol), closes.get(each.symbol, {}), volumes, at
            )
            if quote is None:
                _LOG.info("%s: no quote", each.id)
            else:
                found[each.id] = quote
        return MarketSnapshot(at, found)

    def _quote(
        self,
        instrument: Instrument,
        best: Mapping[str, Any] | None,
        close: Mapping[str, Any],
        volumes: Mapping[str, Decimal],
        now: datetime,
    ) -> Quote | None:
        """Return a quote, None when there is neither bid nor ask; crossed ones stay crossed."""
        if best is None:
            return None
        bid, ask = _price(best, "bidPrice"), _price(best, "askPrice")
        if bid is None and ask is None:
            return None
        usdm = self._line.product is Product.USDM
        row = self._info.rows().get(instrument.symbol)
        return Quote(
            instrument=instrument.id,
            at=_time(best) if usdm else now,
            bid=bid,
            ask=ask,
            bid_size=None if bid is None else _price(best, "bidQty"),
            ask_size=None if ask is None else _price(best, "askQty"),
            close=_price(close, "markPrice" if usdm else "prevClosePrice"),
            freshness=Freshness.SYNTHETIC if self._line.passage.simulated else Freshness.LIVE,
            trading=trades(row, self._line.product),
            average_volume=volumes.get(instrument.symbol),
            next_funding=_next_funding(close) if usdm else None,
        )

    def _marked(self, names: Sequence[str]) -> Rows:
        """Return mark prices; what was asked for a moment ago is not asked for again."""
        now = self._line.now()
        if now - self._marks_at >= MARKS_LAST or not set(names) <= set(self._marks):
            self._marks = dict(self._each_or_all(_MARKS, names))
            self._marks_at = now
        return self._marks

    def _each_or_all(self, path: str, names: Sequence[str]) -> Rows:
        if len(names) > FEW:
            return _by_symbol(self._line.get(path), path)
        found: dict[str, Mapping[str, Any]] = {}
        for name in names:
            try:
                found |= _by_symbol([self._line.get(path, symbol=name)], path)
            except RequestRefused as error:
                _LOG.info("%s: no quote: %s", name, error)
        return found


def _by_symbol(answer: Any, what: str) -> Rows:
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows(answer, what):
        name = row.get("symbol")
        if not isinstance(name, str) or name in found:
            raise BlindError(f"{what}: symbol {name!r} is twice there or no name")
        found[name] = row
    return found


def _price(row: Mapping[str, Any], key: str) -> Decimal | None:
    """Return a number above zero; empty, zero or not there is unknown."""
    text = row.get(key)
    if text is None or text == "":
        return None
    found = number(text, key)
    return found if found > 0 else None


def _time(row: Mapping[str, Any]) -> datetime:
    """Return a perpetual's own time of its best prices."""
    return moment(row.get("time"), "bookTicker time")


def _next_funding(row: Mapping[str, Any]) -> datetime | None:
    """Return the next funding time on the full minute; the exchange's own jitters."""
    text = row.get("nextFundingTime")
    if text is None or whole(text, "nextFundingTime") <= 0:
        return None
    at = moment(text, "nextFundingTime") + _MINUTE / 2
    return at - (at - EPOCH) % _MINUTE

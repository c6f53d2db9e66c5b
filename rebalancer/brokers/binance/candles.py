"""The exchange's candles: what to ask for so that it weighs least, and what an answer says.

USDⓈ-M weighs a request by its limit: below 100 one, below 500 two, up to 1000 five; spot two,
whatever the limit up to 1000 (exchange documentation, klines). A candle is closed when the
exchange's own time is past its end, and settled when a later one is there or some seconds have
gone by.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import EPOCH, number, whole
from rebalancer.errors import BlindError
from rebalancer.model.universe import BarSize

SECONDS = {BarSize.HOUR: 3_600, BarSize.DAY: 86_400}
INTERVAL = {BarSize.HOUR: "1h", BarSize.DAY: "1d"}
PATH = {Product.USDM: "/fapi/v1/klines", Product.SPOT: "/api/v3/klines"}

SETTLED_SECONDS = 10
"""How long after its end a candle is taken for final though no later one is there."""

_PAGE = {Product.USDM: 499, Product.SPOT: 1000}
"""Candles of a page that weighs least for what it brings."""

_CLOSE, _VOLUME, _END = 4, 5, 6
_FIELDS = 7
_SECOND = timedelta(seconds=1)


class Candle(NamedTuple):
    """When it closed (seconds since 1970, whole), its close, and what was traded in units."""

    closed: int
    close: float
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Page:
    """One request: candles that begin at or after `start` and before `end`, in seconds.

    `open_end`: the one that is still forming is asked for too.
    """

    start: int
    end: int
    limit: int
    open_end: bool = False

    def parameters(self, symbol: str, size: BarSize) -> dict[str, str]:
        """Return the request in the exchange's words."""
        asked = {
            "symbol": symbol,
            "interval": INTERVAL[size],
            "startTime": str(self.start * 1000),
            "limit": str(self.limit),
        }
        return asked if self.open_end else asked | {"endTime": str(self.end * 1000 - 1)}


def span(since: datetime | None, now: datetime, size: BarSize, count: int) -> tuple[int, int]:
    """Return when the first wanted candle begins and the last closed one ends, in seconds.

    `since` None: `count` candles. Nothing is wanted when both are the same.
    """
    length = SECONDS[size]
    end = _seconds(now) // length * length
    start = end - count * length if since is None else _seconds(since) // length * length
    return max(min(start, end), 0), end


def pages(start: int, end: int, now: datetime, size: BarSize, product: Product) -> Iterator[Page]:
    """Yield the requests for candles from `start` to `end`, newest first, that weigh least."""
    length, most = SECONDS[size], _PAGE[product]
    fresh = is_fresh(end, now)
    while start < end:
        count = min((end - start) // length, most)
        if fresh and count == most:
            count -= 1
        first = end - count * length
        yield Page(first, end, max(count + fresh, 1), open_end=fresh)
        end, fresh = first, False


def is_fresh(end: int, now: datetime) -> bool:
    """Return whether the candle that ended at `end` may still change."""
    return now - EPOCH < (end + SETTLED_SECONDS) * _SECOND


def closed_candles(answer: Any, page: Page, size: BarSize, now: datetime) -> list[Candle]:
    """Return the closed and settled candles of an answer, oldest first.

    Raises `BlindError` when it is not what was asked for. A candle without a usable close is
    left out.
    """
    length = SECONDS[size]
    if not isinstance(answer, list):
        raise BlindError("klines: the exchange answered with something else than a list")
    found: list[Candle] = []
    last = -1
    begins: list[int] = []
    for row in answer:
        if not isinstance(row, Sequence) or isinstance(row, str) or len(row) < _FIELDS:
            raise BlindError("klines: a candle without all its fields")
        begin = whole(row[0], "klines")
        if begin % (length * 1000) or begin // 1000 <= last:
            raise BlindError(f"klines: a candle begins at {begin}, not on the grid or not in order")
        last = begin // 1000
        begins.append(last)
        if not page.start <= last < page.end:
            continue
        if whole(row[_END], "klines") // 1000 >= _seconds(now):
            continue
        close = float(number(row[_CLOSE], "klines"))
        if math.isfinite(close) and close > 0:
            found.append(Candle(last + length, close, number(row[_VOLUME], "klines")))
    return [each for each in found if _settled(each, begins, now)]


def _settled(candle: Candle, begins: Sequence[int], now: datetime) -> bool:
    later = begins[-1] >= candle.closed
    return later or _seconds(now) >= candle.closed + SETTLED_SECONDS


def _seconds(at: datetime) -> int:
    return (at - EPOCH) // _SECOND

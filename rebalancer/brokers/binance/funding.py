"""Funding that perpetuals have paid: rates by the full hour at which they were settled.

The times of real settlements miss the hour by some milliseconds. All requests for funding share
one limit of 500 in five minutes for the address; they weigh nothing else.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import (
    EPOCH,
    Questions,
    milliseconds,
    moment,
    number,
    rows,
    whole,
)
from rebalancer.errors import BlindError
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.panel import Panel, empty_panel

PATH = "/fapi/v1/fundingRate"
MOST_ROWS = 1000
REQUESTS, PERIOD = 450, timedelta(minutes=5)
"""What of the exchange's 500 requests in five minutes is used; others share the address."""

FEW = 5
"""Up to as many perpetuals are asked for one by one; more in one sweep over all symbols."""

LARGEST_JITTER = timedelta(minutes=1)
REGULAR = "regular"
"""The type of ordinary funding; `Special` is what a stock's dividend adds. Rows from before July
2026 carry no type."""

_LOG = logging.getLogger("rebalancer.brokers.binance")
_HOUR = timedelta(hours=1)


class Funding:
    """The funding history as one connection asks for it."""

    def __init__(self, line: Questions, most_rows: int = MOST_ROWS) -> None:
        self._line, self._most_rows = line, most_rows
        self._asked: deque[datetime] = deque()

    def funding(self, instruments: Sequence[Instrument], since: datetime | None) -> Panel:
        """Return 1 + rate, for each full hour at which any of them settled after `since`.

        `since` None: the newest thousand settlements of each. Above one: longs pay shorts. NaN
        where one did not settle. Raises `ConnectError` when the exchange does not answer.
        """
        names = [each.id for each in instruments]
        if self._line.product is not Product.USDM or not instruments:
            return empty_panel(names)
        ids = {each.symbol: each.id for each in instruments}
        if since is not None and len(ids) > FEW:
            told = self._sweep(since)
        else:
            told = [row for symbol in sorted(ids) for row in self._of(symbol, since)]
        return _panel(names, _rates(told, ids, since))

    def _of(self, symbol: str, since: datetime | None) -> list[dict[str, Any]]:
        """Return one symbol's settlements, oldest first."""
        if since is None:
            return self._ask(symbol=symbol)
        found: list[dict[str, Any]] = []
        start = milliseconds(since)
        while True:
            page = self._ask(symbol=symbol, startTime=str(start))
            found += page
            if len(page) < self._most_rows:
                return found
            start = _later(page, start)

    def _sweep(self, since: datetime) -> list[dict[str, Any]]:
        """Return all symbols' settlements since then in as few requests as there can be.

        A page that is full ends within a millisecond that may go on: it is asked for again, and
        what comes twice is the same settlement.
        """
        found: list[dict[str, Any]] = []
        start, end = milliseconds(since), milliseconds(self._line.now())
        while True:
            page = self._ask(startTime=str(start), endTime=str(end))
            found += page
            if len(page) < self._most_rows:
                return found
            start = _later(page, start)

    def _ask(self, **parameters: str) -> list[dict[str, Any]]:
        self._give_way()
        try:
            answer = self._line.get(PATH, limit=str(self._most_rows), **parameters)
        except RequestRefused as error:
            if "symbol" not in parameters:
                raise
            _LOG.info("%s: no funding: %s", parameters["symbol"], error)
            return []
        return rows([] if answer is None else answer, "fundingRate")

    def _give_way(self) -> None:
        """Wait until one more request fits into the shared limit."""
        now = self._line.now()
        while self._asked and now - self._asked[0] >= PERIOD:
            self._asked.popleft()
        if len(self._asked) >= REQUESTS:
            wait = (self._asked[0] + PERIOD - now).total_seconds()
            _LOG.info("funding: waiting %.0f s for the exchange's limit", wait)
            self._line.passage.pause(wait)
            self._asked.popleft()
            now = self._line.now()
        self._asked.append(now)


def _later(page: Sequence[Mapping[str, Any]], start: int) -> int:
    """Return from when the next page begins: the last time of this one, told again."""
    times = [whole(row.get("fundingTime"), "fundingRate") for row in page]
    if max(times) <= start:
        raise BlindError("fundingRate: a page holds one moment only, and more is not told")
    return max(times)


def _rates(
    told: Iterable[Mapping[str, Any]], ids: Mapping[str, InstrumentId], since: datetime | None
) -> dict[tuple[datetime, InstrumentId], Decimal]:
    """Return rates by full hour and instrument; what is no ordinary funding is said and left."""
    found: dict[tuple[datetime, InstrumentId], Decimal] = {}
    for row in told:
        name = ids.get(str(row.get("symbol")))
        if name is None:
            continue
        kind = str(row.get("rateType") or REGULAR)
        if kind.lower() != REGULAR:
            _LOG.warning("%s: funding of type %s is left out of its history", name, kind)
            continue
        at = _full_hour(moment(row.get("fundingTime"), "fundingRate"))
        if at is None:
            _LOG.warning("%s: a settlement at %s is on no full hour", name, row["fundingTime"])
            continue
        rate = number(row.get("fundingRate"), "fundingRate")
        if found.setdefault((at, name), rate) != rate:
            raise BlindError(f"fundingRate: {name} has two rates at {at:%Y-%m-%d %H:%M}")
    return {key: rate for key, rate in found.items() if since is None or key[0] > since}


def _full_hour(at: datetime) -> datetime | None:
    """Return the full hour that a settlement belongs to, None when it is not near any."""
    moved = at + _HOUR / 2
    hour = moved - (moved - EPOCH) % _HOUR
    return hour if abs(at - hour) <= LARGEST_JITTER else None


def _panel(
    names: Sequence[InstrumentId], rates: Mapping[tuple[datetime, InstrumentId], Decimal]
) -> Panel:
    hours = sorted({at for at, _ in rates})
    if not hours:
        return empty_panel(names)
    values = np.full((len(hours), len(names)), np.nan)
    row = {at: place for place, at in enumerate(hours)}
    column = {name: place for place, name in enumerate(names)}
    for (at, name), rate in rates.items():
        values[row[at], column[name]] = float(1 + rate)
    times = np.array([int(at.timestamp()) for at in hours], np.int64)
    return Panel(tuple(names), times, values)

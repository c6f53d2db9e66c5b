"""Closes of completed bars of many symbols, one request after the other, within the weight.

Where hourly bars are wanted anyway and reach far enough back, daily closes are those of the
last hour of each UTC day: the exchange makes both candles of the same trades, and one request
less is made for each symbol.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from rebalancer.brokers.binance.candles import (
    PATH,
    SECONDS,
    Candle,
    closed_candles,
    is_fresh,
    pages,
    span,
)
from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.questions import Questions
from rebalancer.brokers.binance.volumes import Volumes
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.universe import BarSize

TELL_EVERY = 100
"""After how many symbols a long read says in the log how far it is."""

_LOG = logging.getLogger("rebalancer.brokers.binance")
_HOURS_A_DAY = 24
_HOUR, _DAY = SECONDS[BarSize.HOUR], SECONDS[BarSize.DAY]


@dataclass(frozen=True, slots=True)
class _Read:
    """Candles of one symbol that this connection has read: all of them from `start` to `end`."""

    start: int
    end: int
    candles: tuple[Candle, ...]


class History:
    """The candles that one connection has asked for."""

    def __init__(self, line: Questions, volumes: Volumes) -> None:
        self._line, self._volumes = line, volumes
        self._hours: dict[str, _Read] = {}

    def bars(
        self,
        instruments: Sequence[Instrument],
        since: datetime | None,
        size: BarSize = BarSize.DAY,
    ) -> Panel:
        """Return closes of bars that closed after `since` (None: as many as a sleeve wants).

        Columns are in the order of `instruments`. A row for each bar of the grid from the
        first to the last that any of them has; NaN where the exchange has none (an outage, not
        listed yet). Raises `ConnectError` when it does not answer.
        """
        now = self._line.now()
        start, end = span(since, now, size, self._count(size))
        found: dict[InstrumentId, Mapping[int, float]] = {}
        for place, instrument in enumerate(instruments, 1):
            whole = since is None
            found[instrument.id] = self._closes(instrument.symbol, start, end, size, now, whole)
            if place % TELL_EVERY == 0:
                _LOG.info("history: %s bars of %d of %d symbols", size, place, len(instruments))
        some = sum(bool(each) for each in found.values())
        _LOG.info("history: %s bars of %d of %d instruments", size, some, len(instruments))
        return table([each.id for each in instruments], found, SECONDS[size])

    def _count(self, size: BarSize) -> int:
        settings = self._line.settings
        wanted = settings.history_hours if size is BarSize.HOUR else settings.history_days
        return max(wanted, 1)

    def _closes(
        self, symbol: str, start: int, end: int, size: BarSize, now: datetime, whole: bool
    ) -> Mapping[int, float]:
        """Return closes by closing time, of bars that begin in [start, end)."""
        if start >= end:
            return {}
        if size is BarSize.HOUR:
            return {each.closed: each.close for each in self._hourly(symbol, start, end, now)}
        newest = span(None, now, BarSize.HOUR, 1)[1]
        if (newest - start) // _HOUR <= self._line.settings.history_hours:
            if whole:
                wanted = self._count(BarSize.HOUR) * _HOUR
                self._hourly(symbol, min(start, max(newest - wanted, 0)), newest, now)
            return last_of_days(self._hourly(symbol, start, newest, now), end)
        candles = self._ask(symbol, start, end, BarSize.DAY, now)
        self._volumes.learn(symbol, [each.volume for each in candles], 1)
        return {each.closed: each.close for each in candles}

    def _hourly(self, symbol: str, start: int, end: int, now: datetime) -> list[Candle]:
        """Return hourly candles, from memory where they are; of a day at least, for its volume."""
        read = self._hours.get(symbol)
        if read is None or start < read.start or end > read.end:
            first = max(min(start, end - _HOURS_A_DAY * _HOUR), 0)
            candles = self._ask(symbol, first, end, BarSize.HOUR, now)
            self._volumes.learn(symbol, [each.volume for each in candles], _HOURS_A_DAY)
            read = _Read(first, end, tuple(candles))
            if not is_fresh(end, now) or (candles and candles[-1].closed == end):
                self._hours[symbol] = read
        return [each for each in read.candles if start < each.closed <= end]

    def _ask(self, symbol: str, start: int, end: int, size: BarSize, now: datetime) -> list[Candle]:
        """Return candles, page by page from the newest back until one is empty."""
        path, product = PATH[self._line.product], self._line.product
        found: list[Candle] = []
        for page in pages(start, end, now, size, product):
            try:
                answer = self._line.get(path, **page.parameters(symbol, size))
            except RequestRefused as error:
                _LOG.info("%s: no bars: %s", symbol, error)
                return []
            candles = closed_candles(answer, page, size, now)
            found = candles + found
            if not candles and not page.open_end:
                break
        return found


def last_of_days(hours: Sequence[Candle], end: int) -> Mapping[int, float]:
    """Return the close of each UTC day up to `end`: that of its newest hour, by the day's end.

    The last day is told once its last hour is there, or a later one.
    """
    told = hours[-1].closed if hours else 0
    days: dict[int, float] = {}
    for each in hours:
        day = (each.closed - _HOUR) // _DAY * _DAY + _DAY
        if day <= min(end, told):
            days[day] = each.close
    return days


def table(
    names: Sequence[InstrumentId], columns: Mapping[InstrumentId, Mapping[int, float]], length: int
) -> Panel:
    """Return closes by time as a panel on the grid of bars `length` seconds long."""
    times = [at for column in columns.values() for at in column]
    if not times:
        return empty_panel(names)
    first, last = min(times), max(times)
    grid = np.arange(first, last + 1, length, dtype=np.int64)
    values = np.full((len(grid), len(names)), np.nan)
    for column, name in enumerate(names):
        for at, close in columns[name].items():
            values[(at - first) // length, column] = close
    return Panel(tuple(names), grid, values)

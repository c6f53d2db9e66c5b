"""Recorded hourly candles and funding: small files inside the package."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import NamedTuple, Protocol

from rebalancer.errors import DataError
from rebalancer.simulators.recording import RECORDINGS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
UNIT = 100_000_000
"""Prices, volumes and turnovers are whole numbers of 1E-8."""

_FILE = "candles.csv.gz"
_FUNDING = "funding.csv.gz"


class HourRow(NamedTuple):
    """One hour: prices, volume in units, turnover in currency, all in 1E-8; number of trades.

    `trades` 0: it was not recorded.
    """

    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover: int
    trades: int


class Hours(Protocol):
    """The hours of one symbol, numbered since 1970; what is missing was never there.

    `grid` is the finest step of its prices, in 1E-8.
    """

    symbol: str
    first: int
    last: int
    grid: int

    def row(self, hour: int) -> HourRow | None:
        """Return an hour, None when it is missing."""


class RecordedHours:
    """Hours as they were recorded."""

    def __init__(self, symbol: str, rows: Mapping[int, HourRow]) -> None:
        self.symbol = symbol
        self.first, self.last = min(rows), max(rows)
        self.grid = _grid(price for row in rows.values() for price in row[:4])
        self._rows = rows

    def row(self, hour: int) -> HourRow | None:
        """Return an hour, None when it is missing."""
        return self._rows.get(hour)


class LikeHours:
    """A made-up symbol: another's hours, begun elsewhere, its prices by a power of ten.

    The hours are those of `like` turned by `turn` (what falls out at the end comes in at the
    beginning), its prices `10**power` times as high, on the grid; turnover stays.
    """

    def __init__(self, symbol: str, like: Hours, *, power: int, grid: int, turn: int) -> None:
        self.symbol = symbol
        self.first, self.last, self.grid = like.first, like.last, grid
        self._like, self._turn = like, turn
        self._up: int = 10 ** max(power, 0)
        self._down: int = 10 ** max(-power, 0)

    def row(self, hour: int) -> HourRow | None:
        """Return an hour, None when it is missing."""
        if not self.first <= hour <= self.last:
            return None
        count = self.last - self.first + 1
        row = self._like.row(self.first + (hour - self.first + self._turn) % count)
        if row is None:
            return None
        opens, high, low, close = (self._price(price) for price in row[:4])
        volume = row.volume * self._down // self._up
        return HourRow(opens, high, low, close, volume, row.turnover, row.trades)

    def _price(self, price: int) -> int:
        scaled = price * self._up // self._down
        return max((scaled + self.grid // 2) // self.grid, 1) * self.grid


@dataclass(frozen=True, eq=False)
class CandleRecording:
    """Hourly candles of several symbols, and the funding of those that are perpetuals.

    `products` says what trades at these prices: "usdm" (perpetuals), "spot", or both where
    the spot pairs have the perpetuals' prices. Funding times are as they were recorded, with
    the milliseconds by which the exchange is late.
    """

    name: str
    currency: str
    products: tuple[str, ...]
    hours: Mapping[str, Hours]
    funding: Mapping[str, Sequence[tuple[datetime, Decimal]]] = field(default_factory=dict)

    @property
    def start(self) -> datetime:
        """Return when the first hour begins."""
        return EPOCH + min(each.first for each in self.hours.values()) * HOUR

    @property
    def end(self) -> datetime:
        """Return when the last hour ends."""
        return EPOCH + (max(each.last for each in self.hours.values()) + 1) * HOUR

    def shift_to(self, at: datetime, *, part: Decimal = Decimal("0.6")) -> timedelta:
        """Return the whole days that bring `at` to a part of the way through the recording.

        Whole days keep the hours of funding where they belong.
        """
        wanted = self.start + (self.end - self.start) * float(part)
        return timedelta(days=(at - wanted).days)

    def with_more(self, more: Mapping[str, tuple[int, int]]) -> CandleRecording:
        """Return it with made-up perpetuals: symbol to (highest price level, grid), in 1E-8.

        Each is made from one of the recorded ones, in turn: see `LikeHours`. Its prices have
        as many digits as fit below the level.
        """
        models = [self.hours[name] for name in sorted(self.hours)]
        hours, funding = dict(self.hours), dict(self.funding)
        for place, (symbol, (level, grid)) in enumerate(more.items()):
            like = models[place % len(models)]
            row = like.row(like.first)
            power, price = 0, row.open if row else UNIT
            while price > level:
                power, price = power - 1, price // 10
            while price * 10 <= level:
                power, price = power + 1, price * 10
            turn = 24 * (1 + place // len(models)) + 5 * (place % len(models))
            hours[symbol] = LikeHours(symbol, like, power=power, grid=grid, turn=turn)
            funding[symbol] = self.funding.get(like.symbol, ())
        return replace(self, hours=hours, funding=funding)


def candle_recordings() -> tuple[str, ...]:
    """Return the names of the recordings that there are."""
    return tuple(sorted(path.parent.name for path in RECORDINGS.glob(f"*/{_FILE}")))


_KEPT: dict[str, CandleRecording] = {}


def keep_candles(made: CandleRecording) -> None:
    """Let a recording that was made up in this process be found by its name."""
    _KEPT[made.name] = made


@cache
def candle_recording(name: str) -> CandleRecording:
    """Return a recording of this package; raises `DataError` naming those there are."""
    if name in _KEPT:
        return _KEPT[name]
    if name not in candle_recordings():
        known = ", ".join(candle_recordings())
        raise DataError(f"paper.recording = {name!r}: there is no such; known: {known}")
    rows: dict[str, dict[int, HourRow]] = {}
    for line in _lines(name, _FILE):
        prices = [units(line[key]) for key in ("open", "high", "low", "close")]
        volume = units(line["volume"])
        turnover = units(line["turnover"]) if line.get("turnover") else _turnover(prices, volume)
        row = HourRow._make([*prices, volume, turnover, int(line.get("trades") or 0)])
        rows.setdefault(line["symbol"], {})[int(line["hour"])] = row
    funding: dict[str, list[tuple[datetime, Decimal]]] = {}
    if (RECORDINGS / name / _FUNDING).exists():
        for line in _lines(name, _FUNDING):
            at = EPOCH + timedelta(milliseconds=int(line["time"]))
            funding.setdefault(line["symbol"], []).append((at, Decimal(line["rate"])))
    return CandleRecording(
        name=name,
        currency="USDT",
        products=("spot", "usdm") if funding else ("spot",),
        hours={symbol: RecordedHours(symbol, found) for symbol, found in rows.items()},
        funding=funding,
    )


def units(text: str) -> int:
    """Return a number as whole 1E-8; what is finer is cut off."""
    return int(Decimal(text).scaleb(8))


def _turnover(prices: Sequence[int], volume: int) -> int:
    """Return volume at the mean of the four prices: what the recording does not have."""
    return sum(prices) * volume // (4 * UNIT)


def _lines(name: str, file: str) -> Iterator[dict[str, str]]:
    text = gzip.decompress((RECORDINGS / name / file).read_bytes()).decode("ascii")
    return iter(csv.DictReader(text.splitlines()))


def _grid(prices: Iterator[int]) -> int:
    """Return the largest power of ten (in 1E-8) that divides every price."""
    grid = UNIT
    for price in prices:
        while price % grid:
            grid //= 10
    return grid

"""Candles of every length, from the minutes of a path or the hours of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from rebalancer.simulators.candle_path import MINUTES, HourPath
from rebalancer.simulators.candle_recording import EPOCH, UNIT

MINUTE = timedelta(minutes=1)

INTERVALS: Mapping[str, int] = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360,
    "8h": 480, "12h": 720, "1d": 1440, "3d": 4320, "1w": 10_080, "1M": 0,
}  # fmt: skip
"""Lengths in minutes; a month (0) has its own."""

_MONDAY = 4 * 1440
"""Minutes from 1970-01-01, a Thursday, to the first Monday."""


class Candle(NamedTuple):
    """A candle: [opens, ends), prices, volume in units, turnover in currency, trades."""

    opens: datetime
    ends: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    trades: int


class Part(NamedTuple):
    """Some minutes of one hour, numbers in 1E-8."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover: int
    trades: int


def part_of(path: HourPath, start: int, stop: int, *, finished: bool = True) -> Part:
    """Return the minutes from `start` up to `stop` of an hour, at least one.

    A minute opens at its own price and closes at that of the next. Not `finished`: the last
    minute has just begun, its price is the last one, and nothing has been traded in it yet.
    """
    whole = stop if finished else stop - 1
    prices = path.points[start : whole + 1]
    if start == 0 and whole == MINUTES:
        high, low = path.row.high, path.row.low
    else:
        high, low = max(prices), min(prices)
    done = (path.volume(start, whole), path.turnover(start, whole), path.trades(start, whole))
    return Part(prices[0], high, low, prices[-1], *done)


def joined(opens: datetime, ends: datetime, parts: Iterable[Part]) -> Candle | None:
    """Return one candle of several parts, oldest first; None of none."""
    found = list(parts)
    if not found:
        return None
    if len(found) == 1:
        one = found[0]
        prices = (amount(one.open), amount(one.high), amount(one.low), amount(one.close))
        return Candle(opens, ends, *prices, amount(one.volume), amount(one.turnover), one.trades)
    sums = [sum(column) for column in zip(*(part[4:] for part in found), strict=True)]
    return Candle(
        opens,
        ends,
        amount(found[0].open),
        amount(max(part.high for part in found)),
        amount(min(part.low for part in found)),
        amount(found[-1].close),
        amount(sums[0]),
        amount(sums[1]),
        sums[2],
    )


def amount(units: int) -> Decimal:
    """Return a number of 1E-8 without zeros at its end."""
    whole, rest = divmod(units, UNIT)
    return Decimal(whole) if not rest else Decimal(units).scaleb(-8).normalize()


def bounds(interval: str, at: datetime) -> tuple[datetime, datetime]:
    """Return the candle of an interval that contains `at`; days, weeks and months are UTC."""
    length = INTERVALS[interval]
    if not length:
        opens = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return opens, (opens + timedelta(days=32)).replace(day=1)
    offset = _MONDAY if interval == "1w" else 0
    minute = ((at - EPOCH) // MINUTE - offset) // length * length + offset
    return EPOCH + minute * MINUTE, EPOCH + (minute + length) * MINUTE


def part_between(
    path: HourPath, hour: datetime, span: tuple[datetime, datetime], now: datetime
) -> Part:
    """Return what of an hour (which begins at `hour`) lies in a span, as far as `now`."""
    start = max((span[0] - hour) // MINUTE, 0)
    stop = min((span[1] - hour) // MINUTE, MINUTES)
    running = (now - hour) // MINUTE
    if running < stop:
        return part_of(path, start, running + 1, finished=False)
    return part_of(path, start, stop)

"""Made-up prices for what no recording has: a random walk, the same for the same seed.

Nothing about them is real but that they move; whoever uses them says so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from rebalancer.simulators.binance_server.symbol_table import USDM, Symbol, symbol_table
from rebalancer.simulators.candle_recording import (
    UNIT,
    CandleRecording,
    HourRow,
    RecordedHours,
    keep_candles,
    units,
)
from rebalancer.simulators.recording import Recording, keep_recording

A_DAY = 0.012
"""The standard deviation of a made-up day's return, about 19 % a year."""

AN_HOUR = 0.004
"""That of a made-up hour."""

_TURNOVER = 2_000_000
"""What is traded in a made-up hour, in its currency."""


def daily_walks(recorded: Recording, symbols: Sequence[str], *, currency: str, seed: int) -> str:
    """Keep a recording in which these symbols have made-up closes; return its name.

    Its other symbols are the recorded ones when `currency` is the recording's, else there are
    none. The days are the recording's.
    """
    same = currency == recorded.currency
    old = recorded.symbols if same else ()
    new = tuple(each for each in symbols if each not in old)
    columns = [recorded.closes] if same else []
    columns += [_closes(each, len(recorded.days), seed)[:, None] for each in new]
    name = f"{recorded.name}+{currency}+{seed}+{'+'.join(new)}"
    made = replace(
        recorded, name=name, currency=currency, symbols=(*old, *new), closes=np.hstack(columns)
    )
    keep_recording(made)
    return name


def hourly_walks(recorded: CandleRecording, symbols: Sequence[str], *, seed: int) -> str:
    """Keep a recording in which these symbols have made-up hours; return its name.

    A symbol that the simulated exchange does not know is left out. Funding is that of the
    recording's first symbol.
    """
    table = symbol_table()
    hours = dict(recorded.hours)
    first = next(iter(sorted(recorded.funding)), "")
    funding = dict(recorded.funding)
    for each in symbols:
        listed = next((table[p, each] for p in recorded.products if (p, each) in table), None)
        if listed is None or each in hours:
            continue
        hours[each] = _hours(listed, recorded, seed)
        if listed.product == USDM and first:
            funding[each] = recorded.funding[first]
    name = f"{recorded.name}+{seed}+{'+'.join(symbols)}"
    keep_candles(replace(recorded, name=name, hours=hours, funding=funding))
    return name


def _closes(symbol: str, days: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return closes in cents, between one and ten thousand."""
    dice = random.Random(f"{seed}|{symbol}|closes")
    price = dice.uniform(20.0, 200.0)
    found = []
    for _ in range(days):
        price = min(max(price * (1 + A_DAY * _bell(dice)), 1.0), 10_000.0)
        found.append(round(price, 2))
    return np.array(found, np.float64)


def _hours(symbol: Symbol, recorded: CandleRecording, seed: int) -> RecordedHours:
    dice = random.Random(f"{seed}|{symbol.symbol}|hours")
    like = recorded.hours[min(recorded.hours)]
    grid = units(str(symbol.tick))
    low, high = _bounds(symbol)
    price = int((low * high) ** 0.5)
    rows: dict[int, HourRow] = {}
    for hour in range(like.first, like.last + 1):
        close = min(max(int(price * (1 + AN_HOUR * _bell(dice))), low), high)
        prices = [_on(grid, each) for each in (price, max(price, close), min(price, close), close)]
        volume = max(_TURNOVER * UNIT // max(prices[3], 1), 1) * UNIT
        opens, top, bottom, end = prices
        rows[hour] = HourRow(opens, top, bottom, end, volume, _TURNOVER * UNIT, 1000)
        price = close
    return RecordedHours(symbol.symbol, rows)


def _bounds(symbol: Symbol) -> tuple[int, int]:
    """Return the lowest and highest made-up price, in 1E-8: on the grid, a lot costs little."""
    dearest = max(min(10_000 * symbol.tick, 1 / symbol.step, Decimal(1_000)), 100 * symbol.tick)
    lowest = max(dearest / 10, 20 * symbol.min_price)
    return units(str(lowest)), units(str(max(dearest, 2 * lowest)))


def _on(grid: int, price: int) -> int:
    return max((price + grid // 2) // grid, 1) * grid


def _bell(dice: random.Random) -> float:
    """Return a number around zero, its standard deviation one, never beyond 3.5."""
    return (sum(dice.random() for _ in range(4)) - 2.0) * math.sqrt(3.0)

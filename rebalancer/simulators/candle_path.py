"""Invented prices within a recorded hour: a whole-number path from its open to its close.

It begins at the open and ends at the close, reaches the low and the high, and never leaves
them. Which comes first: the low where the hour closed at or above its open, the high where it
closed below. The first extreme is reached in one of the minutes 1 to 29, the second in one of
31 to 59. Between two of these four points lies a midpoint-displacement bridge: its half-width
is a quarter of the hour's range and shrinks by 0.70711 with each halving; what would leave the
range is set onto its edge, and every price is on the grid of the recording. The randomness is
SHAKE-128 of (seed, symbol, hour); nothing is a floating-point number.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from rebalancer.simulators.candle_recording import HourRow

MINUTES = 60
_SHRINK = 70_711


class HourPath:
    """The prices of one symbol at the 61 whole minutes of an hour, in 1E-8."""

    def __init__(self, key: tuple[int, str, int], row: HourRow, grid: int) -> None:
        seed, symbol, hour = key
        text = f"{seed}|{symbol}|{hour}".encode("ascii")
        noise = hashlib.shake_128(text).digest(3 * (MINUTES + 1))
        self.row = row
        self._noise = noise
        self._grid = grid
        rises = row.close >= row.open
        first, second = (row.low, row.high) if rises else (row.high, row.low)
        early, late = 1 + noise[2] % 29, 31 + noise[3 * MINUTES + 2] % 29
        self.points = [row.open] * MINUTES + [row.close]
        self.points[early], self.points[late] = first, second
        width = (row.high - row.low) // 4
        for low, high in ((0, early), (early, late), (late, MINUTES)):
            self._bridge(low, high, width)
        weights = [50 + noise[3 * minute + 2] % 100 for minute in range(MINUTES)]
        self._shares = [0]
        for weight in weights:
            self._shares.append(self._shares[-1] + weight)

    def volume(self, start: int, stop: int) -> int:
        """Return the volume of the minutes from `start` up to `stop`, in 1E-8."""
        return self._part(self.row.volume, start, stop)

    def turnover(self, start: int, stop: int) -> int:
        """Return the turnover of the minutes from `start` up to `stop`, in 1E-8."""
        return self._part(self.row.turnover, start, stop)

    def trades(self, start: int, stop: int) -> int:
        """Return the trades of the minutes from `start` up to `stop`; 0 not recorded."""
        return self._part(self.row.trades, start, stop)

    def _part(self, whole: int, start: int, stop: int) -> int:
        """Return a part of what happened in the hour; the parts add up to the whole."""
        every = self._shares[MINUTES]
        return whole * self._shares[stop] // every - whole * self._shares[start] // every

    def _bridge(self, low: int, high: int, width: int) -> None:
        """Invent the minutes between two that are known."""
        if high - low < 2:
            return
        points, middle = self.points, (low + high) // 2
        line = (points[low] * (high - middle) + points[high] * (middle - low)) // (high - low)
        draw = int.from_bytes(self._noise[3 * middle : 3 * middle + 2], "big") - 32_768
        price = line + width * draw // 32_768
        price = (price + self._grid // 2) // self._grid * self._grid
        points[middle] = min(max(price, self.row.low), self.row.high)
        width = width * _SHRINK // 100_000
        self._bridge(low, middle, width)
        self._bridge(middle, high, width)


@lru_cache(maxsize=1024)
def hour_path(key: tuple[int, str, int], row: HourRow, grid: int) -> HourPath:
    """Return the path of an hour; the newest ones are kept, and shared: nothing changes them."""
    return HourPath(key, row, grid)

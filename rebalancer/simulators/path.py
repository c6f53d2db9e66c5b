"""Invented prices within a day: from the previous close to the day's close, by a stated rule.

A midpoint-displacement bridge in whole millionths, so that its bytes are the same on every
machine: no floating point, no transcendental function. Between two known minutes the price
in the middle is their straight line plus a displacement, uniform within a half-width that is
0.4 % of the previous close for the whole session and shrinks by 0.70711 with each halving.
The randomness is SHAKE-128 of (seed, symbol, date): every minute's is its own two bytes.
"""

from __future__ import annotations

import hashlib
from datetime import date

_WIDTH_MILLIONTHS = 4_000
_SHRINK = 70_711
_BYTES = 3


class DayPath:
    """The synthetic middle price of one symbol in one session, evaluated where it is asked.

    `opening` and `closing` are prices in millionths at minute 0 and at minute `minutes`.
    """

    def __init__(
        self, key: tuple[int, str, date], opening: int, closing: int, minutes: int
    ) -> None:
        seed, symbol, day = key
        text = f"{seed}|{symbol}|{day.isoformat()}".encode("ascii")
        self._noise = hashlib.shake_128(text).digest(_BYTES * (minutes + 1))
        self._known = {0: opening, minutes: closing}
        self._minutes = minutes
        self._floor = min(opening, closing) // 2

    def at(self, minute: int) -> int:
        """Return the price at a minute of the session (0 is its opening), in millionths."""
        known = self._known
        if minute in known:
            return known[minute]
        low, high = 0, self._minutes
        width = known[0] * _WIDTH_MILLIONTHS // 1_000_000
        while True:
            middle = (low + high) // 2
            if middle not in known:
                line = (known[low] * (high - middle) + known[high] * (middle - low)) // (high - low)
                place = _BYTES * middle
                draw = int.from_bytes(self._noise[place : place + 2], "big") - 32_768
                known[middle] = max(line + width * draw // 32_768, self._floor)
            if middle == minute:
                return known[minute]
            low, high = (low, middle) if minute < middle else (middle, high)
            width = width * _SHRINK // 100_000

    def depth_percent(self, minute: int) -> int:
        """Return how deep the book is in a minute, 50 to 149 per cent of the usual."""
        return 50 + self._noise[_BYTES * minute + 2] % 100

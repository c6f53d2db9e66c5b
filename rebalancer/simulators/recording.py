"""Recorded daily closes: small files inside the package, read in a few milliseconds."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rebalancer.errors import DataError

RECORDINGS = Path(__file__).parent / "recordings"
_MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, eq=False)
class Recording:
    """Daily closes of several symbols.

    `days` are days since 1970-01-01, increasing, shape (rows,); `closed` the recorded times
    of those closes, integer seconds since 1970 UTC; `closes` has shape (rows, symbols) in the
    recording's currency, with at most three decimals.
    """

    name: str
    currency: str
    symbols: tuple[str, ...]
    days: npt.NDArray[np.int64]
    closed: npt.NDArray[np.int64]
    closes: npt.NDArray[np.float64]

    def row(self, day: date) -> int | None:
        """Return the row of a date, None when the venue was closed (or nothing is recorded)."""
        number = (day - _EPOCH).days
        place = int(np.searchsorted(self.days, number))
        return place if place < len(self.days) and self.days[place] == number else None

    def close(self, row: int, symbol: str) -> Decimal:
        """Return a close exactly as it was recorded."""
        thousandths = round(float(self.closes[row, self.symbols.index(symbol)]) * 1000)
        return Decimal(thousandths).scaleb(-3)

    @property
    def last_day(self) -> date:
        """Return the date of the last row."""
        return _EPOCH + timedelta(days=int(self.days[-1]))


_KEPT: dict[str, Recording] = {}


def keep_recording(made: Recording) -> None:
    """Let a recording that was made up in this process be found by its name."""
    _KEPT[made.name] = made


@cache
def recording(name: str) -> Recording:
    """Return a recording of this package; raises `DataError` naming those there are."""
    if name in _KEPT:
        return _KEPT[name]
    known = sorted({path.parent.name for path in RECORDINGS.glob("*/stocks.csv.gz")})
    if name not in known:
        raise DataError(f"paper.recording = {name!r}: there is no such; known: {', '.join(known)}")
    parts = [_read(path) for path in sorted((RECORDINGS / name).glob("*.csv.gz"))]
    dates = parts[0][1]
    if any(part[1] != dates for part in parts):
        raise DataError(f"recording {name}: its files have different dates")
    days = np.array([(date.fromisoformat(text[:10]) - _EPOCH).days for text in dates], np.int64)
    minutes = np.array([int(text[11:13]) * 60 + int(text[14:16]) for text in dates], np.int64)
    return Recording(
        name=name,
        currency="USD",
        symbols=tuple(symbol for part in parts for symbol in part[0]),
        days=days,
        closed=days * 86_400 + minutes * 60,
        closes=np.hstack([part[2] for part in parts]),
    )


def _read(path: Path) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    """Return symbols, "date,close" texts and closes of one file."""
    head, *lines = gzip.decompress(path.read_bytes()).decode("ascii").split()
    numbers = [float(text) for line in lines for text in line[17:].split(",")]
    closes = np.array(numbers, np.float64).reshape(len(lines), -1)
    return head.split(",")[2:], [line[:16] for line in lines], closes


def time_of(seconds: int) -> datetime:
    """Return integer seconds since 1970 as an aware time."""
    return _MIDNIGHT + timedelta(seconds=seconds)

"""Prices over time as one table: rows are bars, columns are instruments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.universe import BarSize

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Panel:
    """Closing prices of completed bars, oldest first; arrays are made read-only.

    `times` has shape (bars,): the closing time of each bar, integer seconds since 1970 UTC,
    strictly increasing. `values` has shape (bars, instruments): price in the instrument's
    currency, split-adjusted; NaN where there was no bar. Raises `DataError` when the shapes
    do not fit, times do not increase, or a value is infinite or not positive.
    """

    instruments: tuple[InstrumentId, ...]
    times: Times
    values: Floats

    def __post_init__(self) -> None:
        """Check shapes and values once, then lock the arrays."""
        if self.values.shape != (len(self.times), len(self.instruments)):
            raise DataError(
                f"panel of shape {self.values.shape} does not fit "
                f"{len(self.times)} times and {len(self.instruments)} instruments"
            )
        if np.any(np.diff(self.times) <= 0):
            raise DataError("panel times must increase")
        bad = np.isinf(self.values) | (self.values <= 0)
        if bad.any():
            column = int(np.argmax(bad.any(axis=0)))
            raise DataError(f"panel has a price that is not positive: {self.instruments[column]}")
        self.times.setflags(write=False)
        self.values.setflags(write=False)

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.times)

    def up_to(self, at: datetime) -> Panel:
        """Return the bars that were closed at or before `at`."""
        stop = int(np.searchsorted(self.times, at.timestamp(), side="right"))
        return Panel(self.instruments, self.times[:stop].copy(), self.values[:stop].copy())

    def select(self, instruments: Sequence[InstrumentId]) -> Panel:
        """Return the columns of `instruments`, in that order; an unknown one is all NaN."""
        place = {identifier: column for column, identifier in enumerate(self.instruments)}
        values = np.full((len(self.times), len(instruments)), np.nan)
        for column, identifier in enumerate(instruments):
            if identifier in place:
                values[:, column] = self.values[:, place[identifier]]
        return Panel(tuple(instruments), self.times.copy(), values)

    def last_time(self) -> datetime | None:
        """Return the closing time of the newest bar; None when there is no bar."""
        return datetime.fromtimestamp(int(self.times[-1]), UTC) if len(self.times) else None

    def frame(self) -> pd.DataFrame:
        """Return a pandas copy: aware UTC index, one column per instrument. Loads pandas."""
        import pandas as pd  # noqa: PLC0415 - only for generators that ask for it

        index: Any = pd.to_datetime(self.times, unit="s", utc=True)
        return pd.DataFrame(self.values.copy(), index=index, columns=list(self.instruments))


@dataclass(frozen=True, eq=False)
class Histories:
    """What is known of the past of a universe: daily bars, and hourly ones where wanted."""

    day: Panel
    hour: Panel
    funding: Panel | None = None
    """One plus each funding rate (a panel's values are positive); None where none is wanted."""

    def of(self, size: BarSize) -> Panel:
        """Return the bars of one size."""
        return self.hour if size is BarSize.HOUR else self.day


def empty_panel(instruments: Sequence[InstrumentId]) -> Panel:
    """Return a panel without bars."""
    return Panel(tuple(instruments), np.zeros(0, np.int64), np.zeros((0, len(instruments))))

"""The store of completed bars: one file of numpy arrays for each portfolio and size of bar.

It can be fetched from the venue again, so a damaged file is put aside and made anew; what is in
it is nevertheless never changed bar by bar, because a past that changes is a corporate action or
bad data, and somebody should know. Only the whole history of an instrument can be replaced, by
who knows why.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np

from rebalancer.errors import DataError, NewerState, StateError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.records import SCHEMA
from rebalancer.store.atomic import Files
from rebalancer.store.schema import check_version

NAME = "bars.npz"
HOURLY = "bars-hourly.npz"
FUNDING = "funding.npz"
DAMAGED = ".damaged"
"""The ending of a file that was put aside."""


class CandleStore:
    """`<folder>/bars.npz` (or another `name`) behind `ports.Candles`.

    With `base` (a dry run), what this object has not written itself is read from there.
    `dropped` says in words that the file was damaged, '' while it was not.
    """

    def __init__(
        self, folder: Path, files: Files, base: CandleStore | None = None, name: str = NAME
    ) -> None:
        self._path, self._files, self._base = folder / name, files, base
        self._stored: Panel | None = None
        self._unusable = b""
        self._dropped = ""

    @property
    def dropped(self) -> str:
        """Return that the stored bars could not be used, '' when they could (or were not read)."""
        return self._dropped or ("" if self._base is None else self._base.dropped)

    def panel(self, instruments: Sequence[InstrumentId]) -> Panel:
        """Return the stored bars of `instruments`, in that order; all NaN where nothing is.

        Bars in which none of them has a price are left out. Raises `StateError`.
        """
        chosen = self.everything().select(instruments)
        some = ~np.isnan(chosen.values).all(axis=1)
        return Panel(chosen.instruments, chosen.times[some], chosen.values[some])

    def add(self, panel: Panel) -> None:
        """Add bars; a NaN adds nothing.

        Raises `DataError` naming the first bar that is stored with another price; nothing is
        stored then.
        """
        self._keep(merged(self.everything(), panel))

    def replace(self, panel: Panel) -> None:
        """Put the panel's bars in the place of all that is stored of its instruments.

        An instrument without any bar in it is forgotten.
        """
        old = self.everything()
        others = [name for name in old.instruments if name not in set(panel.instruments)]
        kept = merged(old.select(others), panel)
        some = ~np.isnan(kept.values)
        rows, columns = np.flatnonzero(some.any(axis=1)), np.flatnonzero(some.any(axis=0))
        names = tuple(kept.instruments[column] for column in columns.tolist())
        self._keep(Panel(names, kept.times[rows], kept.values[np.ix_(rows, columns)]))

    def _keep(self, new: Panel) -> None:
        if not _same(self.everything(), new):
            if self._unusable:
                aside = self._path.with_name(f"{self._path.name}{DAMAGED}")
                self._files.replace(aside, self._unusable)
                self._unusable = b""
            self._files.replace(self._path, _packed(new))
            self._stored = new

    def everything(self) -> Panel:
        """Return all that is stored, read once."""
        if self._stored is None:
            if self._base is not None:
                return self._base.everything()
            self._stored = self._read()
        return self._stored

    def _read(self) -> Panel:
        if not self._files.exists(self._path):
            return empty_panel(())
        content = self._files.read(self._path)
        try:
            with np.load(BytesIO(content), allow_pickle=False) as arrays:
                check_version(int(arrays["schema"]), self._path)
                names = tuple(InstrumentId(str(name)) for name in arrays["instruments"])
                times, values = arrays["times"], arrays["values"]
                return Panel(names, times.astype(np.int64), values.astype(np.float64))
        except (
            ValueError, KeyError, TypeError, EOFError, OSError, DataError, zipfile.BadZipFile,
            StateError, zlib.error, NotImplementedError, RuntimeError, MemoryError,
        ) as error:  # fmt: skip
            if isinstance(error, NewerState):
                raise
            self._unusable = content
            self._dropped = (
                f"{self._path} is damaged ({error}): its bars are fetched again, and the file is "
                f"kept as {self._path.name}{DAMAGED}"
            )
            return empty_panel(())


def merged(old: Panel, new: Panel) -> Panel:
    """Return the bars of both, instruments sorted; raises `DataError` where they disagree."""
    names = tuple(sorted({*old.instruments, *new.instruments}))
    times = np.union1d(old.times, new.times).astype(np.int64)
    values = np.full((len(times), len(names)), np.nan)
    place = {name: column for column, name in enumerate(names)}
    for panel in (old, new):
        rows = np.searchsorted(times, panel.times)
        columns = np.array([place[name] for name in panel.instruments], dtype=np.intp)
        target = np.ix_(rows, columns)
        there = values[target]
        differs = ~np.isnan(there) & ~np.isnan(panel.values) & (there != panel.values)
        if differs.any():
            row, column = (int(index) for index in np.argwhere(differs)[0])
            at = datetime.fromtimestamp(int(panel.times[row]), UTC)
            raise DataError(
                f"{panel.instruments[column]}: its bar of {at:%Y-%m-%d %H:%M} UTC is stored as "
                f"{float(there[row, column])!r} and now comes as "
                f"{float(panel.values[row, column])!r}"
            )
        values[target] = np.where(np.isnan(panel.values), there, panel.values)
    return Panel(names, times, values)


def _same(one: Panel, two: Panel) -> bool:
    return (
        one.instruments == two.instruments
        and np.array_equal(one.times, two.times)
        and np.array_equal(one.values, two.values, equal_nan=True)
    )


def _packed(panel: Panel) -> bytes:
    out = BytesIO()
    np.savez(
        out,
        schema=np.array(SCHEMA),
        instruments=np.array(panel.instruments, dtype=np.str_),
        times=panel.times,
        values=panel.values,
    )
    return out.getvalue()

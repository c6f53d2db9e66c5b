"""Do the venue's bars go on where the stored ones end? Pure comparison of two panels.

A venue that adjusts for splits and dividends multiplies its whole past by a constant: what is
stored and what comes then differ by one ratio everywhere. One ratio is a re-adjustment; a
newest bar that moved a little was corrected after the close; anything else is bad data, here
or there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Floats, Panel, Times

OVERLAP_BARS = 5
"""How many stored bars are asked for again, to see whether they are still the same."""

FARTHEST_BARS = 60
"""How far back the overlap may begin for the sake of an instrument that has fallen behind."""

CORRECTION = 0.02
"""The most by which a newest bar may be corrected without being bad data."""

_SECONDS_PER_DAY = 86_400


class Verdict(StrEnum):
    """What a comparison found; NEW: nothing is stored; APART: no bar in common."""

    NEW = "new"
    SAME = "same"
    ADJUSTED = "re-adjusted"
    CORRECTED = "corrected"
    APART = "apart"
    DISAGREES = "disagrees"


@dataclass(frozen=True, slots=True)
class Overlap:
    """How an instrument's bars compare; `ratio` is the venue's over ours, where there is one."""

    verdict: Verdict
    ratio: float = 1.0
    words: str = ""


def compare(stored: Panel, fresh: Panel) -> Mapping[InstrumentId, Overlap]:
    """Return how each instrument of `fresh` compares with what is stored of it."""
    names = fresh.instruments
    ours = stored.select(names)
    _times, mine, theirs = np.intersect1d(ours.times, fresh.times, return_indices=True)
    return {
        name: _judge(
            bool((~np.isnan(ours.values[:, column])).any()),
            ours.values[mine, column],
            fresh.values[theirs, column],
            bool((~np.isnan(fresh.values[:, column])).any()),
        )
        for column, name in enumerate(names)
    }


def _judge(known: bool, ours: Floats, theirs: Floats, arrived: bool) -> Overlap:
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    a, b = ours[both], theirs[both]
    if not known or not arrived:
        return Overlap(Verdict.NEW if not known else Verdict.SAME)
    if not len(a):
        return Overlap(Verdict.APART)
    if np.array_equal(a, b):
        return Overlap(Verdict.SAME)
    off = int(np.argmax(a != b))
    words = f"stored {float(a[off])!r}, the venue says {float(b[off])!r}"
    median = float(np.median(b / a))
    least, most = _ratios(a, b)
    ratio = min(max(median, least), most)
    if least <= most and len(a) > 1:
        return Overlap(Verdict.ADJUSTED, ratio, words)
    if np.array_equal(a[:-1], b[:-1]) and abs(b[-1] / a[-1] - 1) <= CORRECTION:
        return Overlap(Verdict.CORRECTED, float(b[-1] / a[-1]), words)
    if len(a) == 1:
        return Overlap(Verdict.ADJUSTED, ratio, words)
    return Overlap(Verdict.DISAGREES, median, words)


def _ratios(a: Floats, b: Floats) -> tuple[float, float]:
    """Return the least and the largest ratio that fits all bars; least > largest: none does.

    Both sides were rounded, each by its half of the last decimal: every bar leaves an interval.
    """
    off = _rounding(a, b)
    return float(np.max((b - off) / (a + off))), float(np.min((b + off) / (a - off)))


def _rounding(a: Floats, b: Floats) -> float:
    """Return the largest error that rounding to the decimals shown may have made."""
    places = 2
    for value in (*a.tolist(), *b.tolist()):
        text = f"{value:.8f}".rstrip("0")
        places = max(places, len(text.partition(".")[2]))
    return 0.5 * 10.0**-places + 1e-9


def overlap_start(stored: Panel) -> int | None:
    """Return the closing time from which bars are asked for again, None when there are none.

    Each instrument's own last bars are among them, so that a contradiction does not go away
    because others have newer bars.
    """
    if not len(stored):
        return None
    rows = [np.flatnonzero(~np.isnan(column))[-OVERLAP_BARS:] for column in stored.values.T]
    first = min((int(each[0]) for each in rows if len(each)), default=len(stored) - 1)
    return int(stored.times[max(first, len(stored) - FARTHEST_BARS)])


def without_stored(stored: Panel, fresh: Panel) -> Panel:
    """Return the bars of `fresh` that are not stored yet; the others are NaN."""
    ours = stored.select(fresh.instruments)
    values = fresh.values.copy()
    _times, mine, theirs = np.intersect1d(ours.times, fresh.times, return_indices=True)
    values[theirs] = np.where(np.isnan(ours.values[mine]), values[theirs], np.nan)
    return Panel(fresh.instruments, fresh.times.copy(), values)


def aligned(fresh: Panel, times: Times) -> Panel:
    """Return daily bars with the closing times that are stored for the same days.

    A venue's word about when an old session closed may differ from what was stored once.
    """
    known = {int(at) // _SECONDS_PER_DAY: int(at) for at in times.tolist()}
    moved = [known.get(int(at) // _SECONDS_PER_DAY, int(at)) for at in fresh.times.tolist()]
    row = np.array(moved, np.int64)
    if np.any(np.diff(row) <= 0):
        return fresh
    return Panel(fresh.instruments, row, fresh.values.copy())

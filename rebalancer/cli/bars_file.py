"""Bars from a CSV file: every cell that is wrong is named by file, line and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

import numpy as np

from rebalancer.config.values import nearest
from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel

MOST_PROBLEMS = 20
_LEFT_ALONE = ("open", "high", "low", "volume")


@dataclass(frozen=True)
class Known:
    """What a file is checked against.

    `names` has every instrument of the portfolio by its name and its short name, `moment` says
    when a bar named in the file closed (raises `DataError` with the reason when there is none
    such), `now` is the time that it is for the portfolio. `when` is the name of the column:
    `date` or `time`.
    """

    names: Mapping[str, InstrumentId]
    moment: Callable[[str], datetime]
    now: datetime
    when: str


@dataclass
class _Reading:
    """What was found so far: closes by instrument and time, and all that is wrong."""

    file: str
    known: Known
    closes: dict[InstrumentId, dict[int, float]] = field(default_factory=dict)
    lines: dict[tuple[InstrumentId, int], int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def bad(self, line: int, column: str, words: str) -> None:
        self.problems.append(f"{self.file}: line {line}, column {column}: {words}")

    def bar(self, line: int, name: InstrumentId, at: int | None, text: str, column: str) -> None:
        """Take one close."""
        close = _close(text)
        if close is None:
            self.bad(line, column, f"{text!r} is not a price above zero, like 171.25")
        elif at is not None and (name, at) in self.lines:
            earlier = self.lines[name, at]
            self.bad(line, column, f"{name} has its bar of that time in line {earlier} already")
        elif at is not None:
            self.lines[name, at] = line
            self.closes.setdefault(name, {})[at] = close

    def moment(self, line: int, text: str) -> int | None:
        """Return when a bar closed, None when that is wrong."""
        try:
            at = self.known.moment(text.strip())
        except DataError as error:
            self.bad(line, self.known.when, str(error))
            return None
        if at > self.known.now:
            self.bad(line, self.known.when, f"{text!r}: closes at {at:%Y-%m-%d %H:%M} UTC, and it "
                     f"is {self.known.now:%Y-%m-%d %H:%M} UTC for the portfolio")  # fmt: skip
            return None
        return int(at.timestamp())

    def name(self, line: int, column: str, text: str) -> InstrumentId | None:
        """Return an instrument of the portfolio, None when it is none."""
        found = self.known.names.get(text.strip())
        if found is None:
            hint = nearest(text.strip(), self.known.names)
            words = f"{text!r} is not an instrument of the portfolio"
            self.bad(line, column, f"{words} ({hint})" if hint else words)
        return found


def read_bars(content: bytes, file: str, known: Known) -> Panel:
    """Return the bars of a file; raises `DataError` naming every cell that is wrong."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: byte {error.start}: the file is not UTF-8 text") from error
    try:
        rows = [(line, row) for line, row in _numbered(text) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{file}: not a table: {error}") from error
    if not rows:
        raise DataError(f"{file}: line 1: the file is empty; expected a header line")
    reading = _Reading(file, known)
    (first, header), *body = rows
    heads = [cell.strip() for cell in header]
    if "instrument" in heads:
        _long(reading, first, heads, body)
    else:
        _wide(reading, first, heads, body)
    if reading.problems:
        shown = reading.problems[:MOST_PROBLEMS]
        more = len(reading.problems) - len(shown)
        raise DataError("\n".join([*shown, *([f"... and {more} more"] if more else [])]))
    if not reading.closes:
        raise DataError(f"{file}: no bar is in it")
    return _panel(reading.closes)


def _numbered(text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [(reader.line_num, row) for row in reader]


Rows = Sequence[tuple[int, list[str]]]


def _long(reading: _Reading, first: int, heads: list[str], body: Rows) -> None:
    """Read a line for each bar."""
    wanted = ("instrument", reading.known.when, "close")
    for head in heads:
        if head not in (*wanted, *_LEFT_ALONE):
            expected = ",".join(wanted)
            reading.bad(first, head or "(no name)", f"not known; the header is {expected}")
    for head in wanted:
        if heads.count(head) != 1:
            reading.bad(first, head, "must be in the header line, once")
    if reading.problems:
        return
    places = [heads.index(head) for head in wanted]
    for line, row in body:
        if len(row) != len(heads):
            reading.bad(line, "1", f"{len(row)} cells; the header has {len(heads)}")
            continue
        name, when, close = (row[place] for place in places)
        found, at = reading.name(line, "instrument", name), reading.moment(line, when)
        if found is not None:
            reading.bar(line, found, at, close, "close")


def _wide(reading: _Reading, first: int, heads: list[str], body: Rows) -> None:
    """Read a line for each time, with a column for each instrument; an empty cell is no bar."""
    when = reading.known.when
    if heads[0] != when or len(heads) < 2:
        words = f"expected {when} and instruments, or instrument,{when},close"
        reading.bad(first, heads[0] or "1", words)
        return
    names = [reading.name(first, str(place + 2), head) for place, head in enumerate(heads[1:])]
    seen: set[InstrumentId] = set()
    for place, name in enumerate(names):
        if name is not None and name in seen:
            reading.bad(first, str(place + 2), f"{name} has two columns")
        elif name is not None:
            seen.add(name)
    if reading.problems:
        return
    for line, row in body:
        if len(row) != len(heads):
            reading.bad(line, "1", f"{len(row)} cells; the header has {len(heads)}")
            continue
        at = reading.moment(line, row[0])
        for name, cell, head in zip(names, row[1:], heads[1:], strict=True):
            if name is not None and cell.strip():
                reading.bar(line, name, at, cell, head)


def _close(text: str) -> float | None:
    try:
        price = Decimal(text.strip())
    except InvalidOperation:
        return None
    return float(price) if price.is_finite() and 0 < price < Decimal("1E+30") else None


def read_date(text: str) -> date:
    """Return a date as it should be written; raises `DataError`."""
    try:
        if len(text) == len("2020-03-02"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise DataError(f"{text!r} is not a date, like 2020-03-02")


def read_moment(text: str) -> datetime:
    """Return a time with its zone, in UTC; raises `DataError`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise DataError(f"{text!r} is not a time with its zone, like 2020-03-02T16:00Z")
    return at.astimezone(UTC)


def _panel(closes: Mapping[InstrumentId, Mapping[int, float]]) -> Panel:
    names = tuple(sorted(closes))
    times = sorted({at for column in closes.values() for at in column})
    values = np.full((len(times), len(names)), np.nan)
    row = {at: place for place, at in enumerate(times)}
    for column, name in enumerate(names):
        for at, close in closes[name].items():
            values[row[at], column] = close
    return Panel(names, np.array(times, np.int64), values)

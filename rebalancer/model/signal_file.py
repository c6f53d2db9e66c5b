"""The signal file: what a sleeve wants, as text that other programs may write too.

Reading trusts nothing: whatever is not exactly as docs/SIGNALS.md says raises `DataError`
naming line and column, and the sleeve is held. CRLF line ends, a byte order mark, any order
of columns and blanks around a value are accepted.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.signals import CASH, Coverage, Signal, TargetWeights, Unit
from rebalancer.model.universe import Sleeve

REQUIRED = ("instrument", "target", "unit", "leverage", "as_of", "valid_until", "coverage")
OPTIONAL = ("generator", "fingerprint")
LARGEST_FILE = 2**20
"""Bytes; no signal file is longer."""

DIGITS = 12
"""Decimals of a weight that we write: no platform's arithmetic differs in them."""

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far in the future `as_of` may lie: another program's clock is not ours."""

_ROUNDING = Decimal("1e-9")
_LARGEST_LOTS = Decimal(2**53)
_LONGEST_TEXT = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NUMBER = re.compile(r"[+-]?(?:\d{1,30}\.?\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?", re.ASCII
)


class StaleSignal(DataError):
    """A signal file that is well-formed, but too old to act upon."""


def signal_file_name(sleeve: str) -> str:
    """Return the name of a sleeve's signal file; raises `DataError` for a name that is none."""
    if not _NAME.fullmatch(sleeve):
        raise DataError(f"sleeve {sleeve!r}: a name has letters, digits, - and _ only")
    return f"{sleeve}.csv"


def format_signal(signal: Signal) -> str:
    """Return the text of a signal file: one row an instrument, in id order; flat is CASH,1."""
    targets = signal.targets or {InstrumentId(CASH): Decimal(1)}
    same = [
        signal.unit.value,
        _text(signal.leverage),
        _time_text(signal.as_of),
        _time_text(signal.valid_until),
        signal.coverage.value,
        signal.generator,
        signal.fingerprint,
    ]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*REQUIRED, *OPTIONAL])
    writer.writerows([name, _text(targets[name]), *same] for name in sorted(targets))
    return out.getvalue()


def parse_signal(text: str, sleeve: Sleeve, now: datetime) -> Signal:
    """Return what a signal file says.

    Raises `StaleSignal` when it is well-formed but too old at `now`, `DataError` for
    everything else that is wrong, naming line and column. Weights are fractions of the
    sleeve's capital; a file in lots must have leverage 1 (its limit is judged with prices).
    """
    rows = _rows(text)
    first = rows[0]
    _same_in_all(rows)
    unit, coverage = _choice(Unit, first, "unit"), _choice(Coverage, first, "coverage")
    signal = Signal(
        sleeve=sleeve.name,
        targets=_targets(rows, frozenset(sleeve.universe), coverage),
        unit=unit,
        leverage=_number(first, "leverage"),
        as_of=_time(first, "as_of"),
        valid_until=_time(first, "valid_until"),
        coverage=coverage,
        generator=_short(first, "generator"),
        fingerprint=_short(first, "fingerprint"),
    )
    check_signal(signal, sleeve, now)
    return signal


def check_signal(signal: Signal, sleeve: Sleeve, now: datetime) -> None:
    """Raise `DataError` when a signal is over its sleeve's limits, `StaleSignal` when too old."""
    if signal.leverage <= 0:
        raise DataError(f"leverage {signal.leverage:f} is not positive")
    if signal.unit is Unit.LOTS:
        if signal.leverage != 1:
            raise DataError(f"leverage {signal.leverage:f}: targets in lots need leverage 1")
        for name, lots in signal.targets.items():
            if abs(lots) >= _LARGEST_LOTS:
                raise DataError(f"target {lots:f} of {name} is out of range")
    else:
        gross = sum((abs(weight) for weight in signal.targets.values()), Decimal(0))
        if gross * signal.leverage > sleeve.leverage_max * (1 + _ROUNDING):
            raise DataError(
                f"weights add up to {_shown(gross)} (without signs) x leverage "
                f"{_shown(signal.leverage)} = {_shown(gross * signal.leverage)}, over the "
                f"sleeve's leverage_max {sleeve.leverage_max:f}"
            )
    _check_times(signal, sleeve, now)


def signal_of(
    answer: TargetWeights, sleeve: Sleeve, now: datetime, *, generator: str, fingerprint: str
) -> Signal:
    """Return a generator's answer as a signal, checked.

    Weights are rounded to 12 decimals; with coverage COMPLETE every instrument that the
    answer leaves out gets an explicit zero. Raises `DataError` for an answer that nobody
    should act upon: no weights at all (say `{"CASH": 1}` to be flat), an instrument outside
    the sleeve's universe, NaN, infinite, over the leverage limit, already out of date.
    """
    weights = dict(answer.weights)
    if not weights:
        raise DataError('no weights at all; to be flat, answer {"CASH": 1.0}')
    finite = {name: _rounded(weight, f"weight of {name}") for name, weight in weights.items()}
    flat = finite.pop(CASH, None)
    if flat is not None and (finite or flat != 1 or answer.coverage is not Coverage.COMPLETE):
        raise DataError("CASH stands alone, with weight 1 and coverage complete")
    unknown = sorted(set(finite) - set(sleeve.universe))
    if unknown:
        raise DataError(f"{unknown[0]} is not in the universe of sleeve {sleeve.name}")
    if answer.coverage is Coverage.COMPLETE:
        finite = {name: finite.get(name, Decimal(0)) for name in sleeve.universe}
    longest = timedelta(seconds=sleeve.stale_after_seconds)
    valid_for = longest if answer.valid_for is None else min(answer.valid_for, longest)
    signal = Signal(
        sleeve=sleeve.name,
        targets={InstrumentId(name): finite[name] for name in sorted(finite)},
        unit=Unit.WEIGHT,
        leverage=_rounded(answer.leverage, "leverage"),
        as_of=now,
        valid_until=now + valid_for,
        coverage=answer.coverage,
        generator=generator,
        fingerprint=fingerprint,
    )
    check_signal(signal, sleeve, now)
    return signal


def _rounded(number: float, what: str) -> Decimal:
    value = Decimal(f"{number:.{DIGITS}f}")
    if not value.is_finite():
        raise DataError(f"{what} is {number}, not a finite number")
    return Decimal(_text(value))


def _check_times(signal: Signal, sleeve: Sleeve, now: datetime) -> None:
    if signal.as_of > now + CLOCK_TOLERANCE:
        raise DataError(f"as_of {_time_text(signal.as_of)} is after now, {_time_text(now)}")
    if signal.valid_until <= signal.as_of:
        raise DataError(f"valid_until {_time_text(signal.valid_until)} is not after as_of")
    if now > signal.valid_until:
        raise StaleSignal(f"it was valid until {_time_text(signal.valid_until)}")
    if now - signal.as_of > timedelta(seconds=sleeve.stale_after_seconds):
        raise StaleSignal(
            f"it is of {_time_text(signal.as_of)}, more than the sleeve's "
            f"stale_after_seconds {sleeve.stale_after_seconds:g} ago"
        )


class _Row:
    """One line's values by column, and where it stands."""

    __slots__ = ("line", "values")

    def __init__(self, line: int, values: dict[str, str]) -> None:
        self.line = line
        self.values = values

    def wrong(self, column: str, why: str) -> DataError:
        value = self.values.get(column, "")
        shown = repr(value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "...")
        return DataError(f"line {self.line}, column {column}: {shown} {why}")


def _rows(text: str) -> list[_Row]:
    """Return the rows below the header, at least one."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_FILE:
        raise DataError(f"it is longer than {LARGEST_FILE} bytes")
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise DataError("it is empty")
    if not text.endswith("\n"):
        raise DataError("its last line has no end: it was cut off")
    lines = [line.removesuffix("\r") for line in text.split("\n")[:-1]]
    header = [name.strip() for name in _cells(lines[0], 1)]
    _check_header(header)
    if len(lines) == 1:
        raise DataError(f"it has no rows; flat is the one row {CASH},1")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        cells = _cells(line, number)
        if len(cells) != len(header):
            raise DataError(f"line {number}: {len(cells)} values for {len(header)} columns")
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        rows.append(_Row(number, values))
    return rows


def _cells(line: str, number: int) -> list[str]:
    if not line.strip():
        raise DataError(f"line {number} is empty")
    if not line.replace("\t", " ").isprintable():
        raise DataError(f"line {number} has a character that cannot be printed")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise DataError(f"line {number}: {error}") from error


def _check_header(header: list[str]) -> None:
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"line 1: column {name} is there twice")
        if name not in REQUIRED and name not in OPTIONAL:
            raise DataError(
                f"line 1: unknown column {name!r}; there are {', '.join((*REQUIRED, *OPTIONAL))}"
            )
    for name in REQUIRED:
        if name not in header:
            raise DataError(f"line 1: column {name} is missing")


def _same_in_all(rows: list[_Row]) -> None:
    first = rows[0]
    for column in first.values:
        if column in ("instrument", "target"):
            continue
        said = first.values[column]
        for row in rows:
            if row.values[column] != said:
                raise row.wrong(column, f"differs from {said!r} in line {first.line}")


def _targets(
    rows: list[_Row], universe: frozenset[InstrumentId], coverage: Coverage
) -> dict[InstrumentId, Decimal]:
    targets: dict[InstrumentId, Decimal] = {}
    seen: dict[str, int] = {}
    for row in rows:
        name = row.values["instrument"]
        target = _number(row, "target")
        if name in seen:
            raise row.wrong("instrument", f"is in line {seen[name]} already")
        seen[name] = row.line
        if name == CASH:
            if len(rows) > 1 or target != 1:
                raise row.wrong("instrument", f"stands alone: flat is the one row {CASH},1")
            if coverage is not Coverage.COMPLETE:
                raise row.wrong("coverage", "does not fit: flat needs coverage complete")
            continue
        if name not in universe:
            raise row.wrong("instrument", "is not in the sleeve's universe")
        targets[InstrumentId(name)] = target
    return targets


def _number(row: _Row, column: str) -> Decimal:
    said = row.values[column]
    if _NUMBER.fullmatch(said):
        return Decimal(said)
    if said.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise row.wrong(column, "is not finite")
    raise row.wrong(column, "is not a number")


def _choice(kind: type[Any], row: _Row, column: str) -> Any:
    known = [choice.value for choice in kind]
    if row.values[column] not in known:
        raise row.wrong(column, f"is not one of {', '.join(known)}")
    return kind(row.values[column])


def _time(row: _Row, column: str) -> datetime:
    said = row.values[column]
    if not _TIME.fullmatch(said):
        raise row.wrong(column, "is not a time like 2026-01-05T15:05:00Z")
    try:
        at = datetime.fromisoformat(said)
    except ValueError as error:
        raise row.wrong(column, f"is not a time: {error}") from error
    if at.tzinfo is None:
        raise row.wrong(column, "has no zone; write 2026-01-05T15:05:00Z")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise row.wrong(column, "is not a time of ours") from error


def _short(row: _Row, column: str) -> str:
    said = row.values.get(column, "")
    if len(said) > _LONGEST_TEXT:
        raise row.wrong(column, f"is longer than {_LONGEST_TEXT} characters")
    return said


def _time_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _text(number: Decimal) -> str:
    return _without_zeros(f"{number:f}") if number else "0"


def _shown(number: Decimal) -> str:
    return _without_zeros(f"{number:.6f}")


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text

"""Sleeves netted into one wish per instrument: weights, lots, and what must be held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

import numpy as np

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.plan import Why
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve
from rebalancer.planning.columns import Floats, Ints, RuleColumns


@dataclass(frozen=True, eq=False)
class Part:
    """What one sleeve wants: `values` (weights, or units when `in_lots`) of some rows.

    `factor` turns a weight into a fraction of sizing capital (share x leverage). `amounts`
    is `values` as floats: such fractions, or integers of the size unit. `scaled`: the
    leverage cap scales it (a signal); otherwise it is remembered and stays as it is.
    """

    sleeve: str
    rows: Ints
    values: Sequence[Decimal]
    amounts: Floats
    factor: Fraction
    in_lots: bool
    scaled: bool

    @cached_property
    def place(self) -> Mapping[int, int]:
        """Return where each row stands in `values`."""
        return {row: n for n, row in enumerate(self.rows.tolist())}


@dataclass(frozen=True, eq=False)
class Blend:
    """All sleeves together; columns of shape (n,).

    `weight`: fractions of sizing capital wanted by signals; `lots`: size units wanted by
    signals in lots; `kept`: size units of sleeves without a signal; `sleeves`: how many
    sleeves have the instrument; `hold`: a `Why` code where it must not be traded, else 0.
    """

    parts: tuple[Part, ...]
    weight: Floats
    lots: Floats
    kept: Floats
    sleeves: Ints
    hold: Ints

    def exact_size(
        self, row: int, digits: int, capital: Fraction, exposure: Fraction, scale: Fraction
    ) -> Fraction:
        """Return the wanted size of one row in size units, without any rounding."""
        total = Fraction(0)
        for part in self.parts:
            place = part.place.get(row)
            if place is None:
                continue
            value = Fraction(part.values[place]) * (scale if part.scaled else 1)
            if part.in_lots:
                total += value * 10**digits
            else:
                total += value * part.factor * capital / exposure
        return total


def blend(
    rules: RuleColumns,
    sleeves: Sequence[Sleeve],
    signals: Mapping[str, Signal],
    sleeve_lots: Mapping[str, Mapping[InstrumentId, Decimal]],
) -> Blend:
    """Return what the sleeves want together.

    A sleeve without a signal keeps the lots that are remembered for it; what neither a
    signal nor memory speaks of is held, whatever other sleeves want of it. Raises
    `DataError` for an instrument that the universe does not have.
    """
    count = len(rules.universe)
    kept_where: Ints = np.zeros(count, np.int64)
    members: Ints = np.zeros(count, np.int64)
    parts: list[Part] = []
    for sleeve in sleeves:
        rows = _rows(rules, sleeve.name, sleeve.universe)
        members[rows] += 1
        signal = signals.get(sleeve.name)
        memory = sleeve_lots.get(sleeve.name, {})
        listed: Mapping[InstrumentId, Decimal] = {}
        if signal is not None:
            listed = signal.targets
            parts.append(_signalled(rules, sleeve, signal))
            if signal.coverage is Coverage.COMPLETE:
                continue
        left = [name for name in sleeve.universe if name not in listed]
        known = {name: memory[name] for name in left if name in memory}
        parts.append(_remembered(rules, sleeve.name, known))
        unknown = [name for name in left if name not in memory]
        why = Why.NO_SIGNAL if signal is None else Why.NOT_COVERED
        kept_where[_rows(rules, sleeve.name, unknown)] = why
    kept_where[members == 0] = Why.NO_SLEEVE
    weight, lots, kept = np.zeros(count), np.zeros(count), np.zeros(count)
    for part in parts:
        column = weight if not part.in_lots else lots if part.scaled else kept
        column[part.rows] += part.amounts
    return Blend(tuple(parts), weight, lots, kept, members, kept_where)


def _signalled(rules: RuleColumns, sleeve: Sleeve, signal: Signal) -> Part:
    rows = _rows(rules, sleeve.name, signal.targets)
    values = tuple(signal.targets.values())
    floats = np.array([float(value) for value in values], np.float64)
    if signal.unit is Unit.LOTS:
        amounts = floats * rules.size_unit[rows]
        return Part(sleeve.name, rows, values, amounts, Fraction(1), True, True)
    factor = Fraction(sleeve.share) * Fraction(signal.leverage)
    return Part(sleeve.name, rows, values, floats * float(factor), factor, False, True)


def _remembered(rules: RuleColumns, sleeve: str, known: Mapping[InstrumentId, Decimal]) -> Part:
    rows = _rows(rules, sleeve, known)
    values = tuple(known.values())
    amounts = np.array([float(value) for value in values], np.float64) * rules.size_unit[rows]
    return Part(sleeve, rows, values, amounts, Fraction(1), True, False)


def _rows(
    rules: RuleColumns, sleeve: str, names: Sequence[InstrumentId] | Mapping[InstrumentId, Decimal]
) -> Ints:
    index = rules.universe.index
    try:
        return np.array([index[name] for name in names], np.int64)
    except KeyError as error:
        raise DataError(f"sleeve {sleeve}: {error.args[0]} is not in the universe") from error

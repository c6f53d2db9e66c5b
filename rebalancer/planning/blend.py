"""Sleeves netted into one wish per instrument: weights, lots, and what must be held.

Bad input never trades. What is remembered of a sleeve that gives no signal for an instrument
was accepted once, but may never have been reached (refused, not funded, the session closed):
it is a reason to keep what is there, never one to get it. So

* what no sleeve with a signal speaks of is held as it is, whatever is remembered;
* where others with signals want x of it, anything from x to x and what is remembered is
  right: what is held is moved to the nearest of these. An order is then never larger than,
  nor the other way of, the one that the sleeves with signals alone would give, unless what is
  remembered meets the leverage cap: then the others are scaled down.

One thing is stronger than signals and their absence: what the venue closes (`leaving`) is wanted
at zero by everybody, from the first run that sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

import numpy as np

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.plan import UNTRADED, Why
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve
from rebalancer.planning.columns import Bools, Floats, Ints, RuleColumns


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
    signals in lots; `low` and `high`: size units that sleeves without a signal may keep
    below (<= 0) and above (>= 0) that; `sleeves`: how many sleeves have the instrument;
    `hold`: a `Why` code where it must not be traded, else 0; `leaving`: zero is wanted.
    """

    parts: tuple[Part, ...]
    weight: Floats
    lots: Floats
    low: Floats
    high: Floats
    sleeves: Ints
    hold: Ints
    leaving: Bools

    @cached_property
    def untraded(self) -> Bools:
        """Return which instruments the owner keeps as they are."""
        return np.isin(self.hold, [int(why) for why in UNTRADED])

    def exact_size(
        self,
        row: int,
        digits: int,
        capital: Fraction,
        exposure: Fraction,
        scale: Fraction,
        held: int,
    ) -> Fraction:
        """Return the wanted size of one row in size units, without any rounding."""
        total, low, high = Fraction(0), Fraction(0), Fraction(0)
        if int(self.hold[row]) in UNTRADED:
            return Fraction(held)
        if self.leaving[row]:
            return total
        for part in self.parts:
            place = part.place.get(row)
            if place is None:
                continue
            value = Fraction(part.values[place])
            if not part.scaled:
                low += min(value, Fraction(0)) * 10**digits
                high += max(value, Fraction(0)) * 10**digits
            elif part.in_lots:
                total += value * scale * 10**digits
            else:
                total += value * scale * part.factor * capital / exposure
        return min(max(Fraction(held), total + low), total + high)


def blend(
    rules: RuleColumns,
    sleeves: Sequence[Sleeve],
    signals: Mapping[str, Signal],
    sleeve_lots: Mapping[str, Mapping[InstrumentId, Decimal]],
) -> Blend:
    """Return what the sleeves want together.

    A sleeve without a signal may keep the lots that are remembered for it, but never gets
    them (see the module); what neither a signal nor memory speaks of is held, whatever other
    sleeves want of it. Raises `DataError` for an instrument that the universe does not have.
    """
    count = len(rules.universe)
    kept_where: Ints = np.zeros(count, np.int64)
    members: Ints = np.zeros(count, np.int64)
    spoken = np.zeros(count, np.bool_)
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
            complete = signal.coverage is Coverage.COMPLETE
            spoken[rows if complete else parts[-1].rows] = True
            if complete:
                continue
        left = [name for name in sleeve.universe if name not in listed]
        known = {name: memory[name] for name in left if name in memory}
        parts.append(_remembered(rules, sleeve.name, known))
        unknown = [name for name in left if name not in memory]
        why = Why.NO_SIGNAL if signal is None else Why.NOT_COVERED
        kept_where[_rows(rules, sleeve.name, unknown)] = why
    kept_where[(kept_where == 0) & ~spoken] = Why.KEPT
    kept_where[members == 0] = Why.NO_SLEEVE
    weight, lots, low, high = (np.zeros(count) for _ in range(4))
    for part in parts:
        if part.scaled:
            (lots if part.in_lots else weight)[part.rows] += part.amounts
        else:
            low[part.rows] += np.minimum(part.amounts, 0.0)
            high[part.rows] += np.maximum(part.amounts, 0.0)
    for column in (weight, lots, low, high, kept_where):
        column[rules.leaving] = 0
    return Blend(tuple(parts), weight, lots, low, high, members, kept_where, rules.leaving)


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

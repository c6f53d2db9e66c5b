"""A universe's rules as columns of exact integers, compiled once.

Every number that a venue checks is an integer count of a decimal unit of its instrument, and
smaller than 2^53 in magnitude, so that float64 holds it exactly too. A number that is not
stays outside: its instrument is held as out of range.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rebalancer.model.instrument import Instrument, Kind, PriceSign
from rebalancer.model.rules import TradingRules
from rebalancer.model.universe import Universe

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LARGEST = 2**53
"""Integers of columns are smaller than this, so that float64 holds them exactly."""

_NEVER = 2**62
_POWERS = np.array([float(10**k) for k in range(64)], np.float64)
_UNPAID = frozenset({Kind.FUTURE, Kind.PERPETUAL})


@dataclass(frozen=True, eq=False)
class RuleColumns:
    """What a universe's rules say, compiled once; see the fifteen lines of the architecture.

    Prices are integers of 10^-price_digits (one digit finer than every step and edge, so that
    a middle is exact too), sizes of 10^-size_digits. `worth` is multiplier / magnifier.
    `paid`: a position costs its notional in cash (futures and perpetuals do not). `leaving`:
    the venue closes it, so that zero is wanted of it whatever the signals say.
    """

    universe: Universe
    price_digits: Ints
    price_unit: Floats
    size_digits: Ints
    size_unit: Floats
    level_edge: Ints
    level_step: Ints
    limit_step: Ints
    market_step: Ints
    min_size: Ints
    max_size: Ints
    min_notional: Floats
    exempt: Bools
    positive: Bools
    worth: Floats
    currency: Ints
    currencies: tuple[str, ...]
    paid: Bools
    shortable: Bools
    leaving: Bools


@lru_cache(maxsize=4)
def compile_universe(universe: Universe) -> RuleColumns:
    """Return a universe's rules as columns; the same object for the same universe."""
    instruments = universe.instruments
    by_rules: dict[TradingRules, tuple[int, int]] = {}
    for instrument in instruments:
        if instrument.rules not in by_rules:
            by_rules[instrument.rules] = _rule_digits(instrument.rules)
    digits = [by_rules[i.rules] for i in instruments]
    price_digits = np.array([d[0] for d in digits], np.int64)
    size_digits = np.array([d[1] for d in digits], np.int64)
    edges, steps = _levels(instruments, price_digits.tolist())
    currencies = tuple(sorted({i.currency for i in instruments}))
    place = {currency: n for n, currency in enumerate(currencies)}
    sized = list(zip(instruments, size_digits.tolist(), strict=True))
    return RuleColumns(
        universe=universe,
        price_digits=price_digits,
        price_unit=_POWERS[price_digits],
        size_digits=size_digits,
        size_unit=_POWERS[size_digits],
        level_edge=edges,
        level_step=steps,
        limit_step=_ints(_whole(i.rules.limit_step, d) for i, d in sized),
        market_step=_ints(_whole(i.rules.market_step, d) for i, d in sized),
        min_size=_ints(_whole(i.rules.min_size, d) for i, d in sized),
        max_size=_ints(
            _NEVER if i.rules.max_size is None else int(i.rules.max_size.scaleb(d))
            for i, d in sized
        ),
        min_notional=np.array([float(i.rules.min_notional) for i in instruments], np.float64),
        exempt=np.array([i.rules.reduce_only_exempt for i in instruments], np.bool_),
        positive=np.array([i.price_sign is PriceSign.POSITIVE for i in instruments], np.bool_),
        worth=np.array([float(i.multiplier / i.magnifier) for i in instruments], np.float64),
        currency=np.array([place[i.currency] for i in instruments], np.int64),
        currencies=currencies,
        paid=np.array([i.kind not in _UNPAID for i in instruments], np.bool_),
        shortable=np.array(
            [i.shortable and i.kind is not Kind.SPOT for i in instruments], np.bool_
        ),
        leaving=np.array([bool(i.leaving) for i in instruments], np.bool_),
    )


def refined(rules: RuleColumns, finer: dict[int, int]) -> RuleColumns:
    """Return rules whose size unit of some rows has more digits (a fractional holding)."""
    extra = np.zeros(len(rules.universe), np.int64)
    extra[list(finer)] = list(finer.values())
    factor = 10 ** np.minimum(extra, 18)
    digits = rules.size_digits + extra

    def scaled(column: Ints) -> Ints:
        fits = column <= _NEVER // factor
        return np.where(fits, column * np.where(fits, factor, 1), _NEVER)

    return replace(
        rules,
        size_digits=digits,
        size_unit=_POWERS[np.minimum(digits, len(_POWERS) - 1)],
        limit_step=scaled(rules.limit_step),
        market_step=scaled(rules.market_step),
        min_size=scaled(rules.min_size),
        max_size=scaled(rules.max_size),
    )


def _levels(instruments: tuple[Instrument, ...], digits: list[int]) -> tuple[Ints, Ints]:
    most = max((len(i.rules.price_levels) for i in instruments), default=1)
    edges = np.full((len(instruments), most), _NEVER, np.int64)
    steps = np.ones((len(instruments), most), np.int64)
    for row, instrument in enumerate(instruments):
        for place, level in enumerate(instrument.rules.price_levels):
            edges[row, place] = _whole(level.edge, digits[row])
            steps[row, place] = _whole(level.step, digits[row])
    return edges, steps


def _rule_digits(rules: TradingRules) -> tuple[int, int]:
    prices = [number for level in rules.price_levels for number in (level.edge, level.step)]
    sizes = [rules.limit_step, rules.market_step, rules.min_size]
    # One digit more than the finest step: the middle of bid and ask is on the grid too.
    return max(map(digits_of, prices)) + 1, max(map(digits_of, sizes))


def digits_of(number: Decimal) -> int:
    """Return how many decimals a number has, zeros at the end not counted."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= 0:
        return 0
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _whole(number: Decimal, digits: int) -> int:
    return min(int(number.scaleb(digits)), _NEVER)


def _ints(values: Iterable[int]) -> Ints:
    return np.array([min(value, _NEVER) for value in values], np.int64)

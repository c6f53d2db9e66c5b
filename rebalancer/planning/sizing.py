"""Sizing capital, the leverage cap, and targets in whole lots."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import fsum

import numpy as np

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.plan import Why
from rebalancer.planning.blend import Blend
from rebalancer.planning.columns import LARGEST, Bools, Floats, Ints
from rebalancer.planning.live import LiveColumns
from rebalancer.planning.parameters import Funding, PlanParameters

_DIGITS = 10**12
NEAR = 1e-9
"""Within this (relative) distance of a threshold, exact fractions decide instead of floats."""


@dataclass(frozen=True, slots=True)
class Capital:
    """Sizing capital in base currency, and what had to be known for it.

    `investable` is net liquidation less unmanaged positions; `unvalued` names the unmanaged
    positions whose worth is not known: nothing was taken off for them.
    """

    sizing: Decimal
    investable: Decimal
    unvalued: tuple[str, ...]


def sizing_capital(
    account: AccountSnapshot, managed: Container[object], parameters: PlanParameters
) -> Capital:
    """Return min(capital_max, capital_share x (net liquidation - |unmanaged positions|)).

    A short position that is not ours is taken off like a long one: what it brought in cash
    is owed. A net liquidation that is not a finite number sizes nothing.
    """
    value = account.net_liquidation
    investable, unvalued = value if value.is_finite() else Decimal(0), []
    for position in account.positions:
        if position.instrument in managed or not position.quantity:
            continue
        known = position.value is not None and position.value.is_finite()
        if not known or not account.rates.knows(position.currency):
            unvalued.append(str(position.instrument))
            continue
        worth = position.value or Decimal(0)
        investable -= abs(worth) * account.rates.rate(position.currency)
    sizing = parameters.capital_share * investable
    if parameters.capital_max is not None:
        sizing = min(sizing, parameters.capital_max)
    return Capital(sizing, investable, tuple(sorted(unvalued)))


@dataclass(frozen=True, slots=True)
class Scale:
    """How far the signals' targets are scaled down (1: not at all), and why.

    Leverages are gross, fractions of sizing capital: `wanted` before, `reached` after.
    `capped` and `short_of_cash` say which bound was met; `reachable` is False where the
    sleeves that are held exceed the cap alone, or cannot be valued.
    """

    factor: Fraction
    wanted: float
    reached: float
    capped: bool
    short_of_cash: bool
    reachable: bool


def leverage_scale(
    blended: Blend, live: LiveColumns, capital: Capital, parameters: PlanParameters
) -> Scale:
    """Return the largest factor up to 1 at which the targets fit cap and cash.

    The cap bounds sum |target value|; cash bounds the long targets that are paid for: their
    sum <= what is investable, less the reserve (plus `borrow_limit` with funding BORROW).
    Only signals are scaled. An instrument that is not traded in this run counts as it is
    held; one of which a sleeve without a signal may keep something at the most that it may
    come to, so that the factor does not change with what the orders do.
    """
    size = float(capital.sizing)
    frozen = (blended.hold > 0) | ~live.known
    mark = np.where(np.isnan(live.mark), 0.0, live.mark) / size
    blind = frozen & np.isnan(live.mark) & (live.held != 0)
    lotted = (blended.lots != 0) | _may_keep(blended) | (blended.hold > 0)
    guess = np.where(blind, np.abs(blended.weight), 0.0)
    # Cash is there that a short of unknown worth owes: what is wanted of it says nothing of that.
    owing = live.rules.paid & (live.held < 0) & ~np.isnan(live.fx)
    valued = not bool(np.any(blind & (lotted | owing | (blended.weight == 0))))
    # |x + low| or |x + high|, whichever is more: |x + their middle| and half their distance
    middle, half = (blended.low + blended.high) / 2, (blended.high - blended.low) / 2
    fixed = np.where(frozen, live.held * mark + guess, middle * mark)
    spread = np.where(frozen, 0.0, half * np.abs(mark))
    slack = fsum(spread.tolist())
    moving = np.where(frozen, 0.0, blended.weight + blended.lots * mark)

    def gross(factor: float) -> float:
        # fsum: the same float whatever order a build of numpy adds in
        return fsum(np.abs(fixed + factor * moving).tolist()) + slack

    cap = float(parameters.leverage_cap)
    wanted = gross(1.0)
    factor = 1.0 if wanted <= cap * (1 + NEAR) else _largest_within(fixed, moving, cap - slack)
    capped, reachable = factor < 1.0, gross(factor) <= cap * (1 + NEAR) and valued
    paid = live.rules.paid.copy()
    most_long = fixed + spread
    paid &= most_long + factor * moving > 0
    have, ask = fsum(most_long[paid].tolist()), fsum(moving[paid].tolist())
    most = _payable(capital, parameters)
    short = reachable and ask > 0 and have + factor * ask > most * (1 + NEAR)
    if short:
        factor = max(0.0, (most - have) / ask)
    exact = Fraction(round(factor * _DIGITS), _DIGITS)
    return Scale(exact, wanted, gross(float(exact)), capped, short, reachable)


def _payable(capital: Capital, parameters: PlanParameters) -> float:
    most = float(capital.investable / capital.sizing - parameters.cash_reserve)
    if parameters.funding is Funding.BORROW:
        most += float(parameters.borrow_limit / capital.sizing)
    return most


def _largest_within(fixed: Floats, moving: Floats, cap: float) -> float:
    """Return the largest x in [0, 1] with sum |fixed + x moving| <= cap, else the best x.

    The sum is convex and piecewise linear in x; its corners are where a column changes sign.
    """
    turns = moving != 0
    if not turns.any():
        return 0.0
    if not fixed.any():
        return max(0.0, cap / fsum(np.abs(moving).tolist()))
    corners = -fixed[turns] / moving[turns]
    inside = np.unique(np.clip(corners, 0.0, 1.0))
    low, high = 0, len(inside) - 1

    def gross(x: float) -> float:
        return float(np.abs(fixed + x * moving).sum())

    while high - low > 0:  # the lowest corner of a convex function
        middle = (low + high) // 2
        if gross(float(inside[middle])) <= gross(float(inside[middle + 1])):
            high = middle
        else:
            low = middle + 1
    best = float(inside[low])
    if gross(best) > cap:
        return best
    near, far = best, 1.0
    for _ in range(60):
        middle_x = (near + far) / 2
        near, far = (middle_x, far) if gross(middle_x) <= cap else (near, middle_x)
    return near


@dataclass(frozen=True, eq=False)
class Targets:
    """What is wanted of each instrument; columns of shape (n,).

    `weight`: fraction of sizing capital, NaN where it is not known; `size`: whole lots in
    size units, half up; `exact`: the wish before rounding, float; `in_range`: False where
    `size` could not be held exactly.
    """

    weight: Floats
    size: Ints
    exact: Floats
    in_range: Bools


def targets(
    blended: Blend, live: LiveColumns, capital: Decimal, scale: Fraction, step: Ints
) -> Targets:
    """Return target sizes: sign x floor(|x| / step + 1/2) x step of the netted wish.

    What sleeves without a signal may keep is netted as far as it is held; see `blend`.
    """
    factor, size = float(scale), float(capital)
    usable = live.known & (live.exposure != 0)
    per_unit = np.where(usable, live.exposure, np.nan)
    asked = np.where(blended.weight == 0, 0.0, factor * blended.weight * size / per_unit)
    exact = asked + factor * blended.lots
    exact = np.clip(live.held, exact + blended.low, exact + blended.high)
    exact = np.where((blended.hold == Why.KEPT) | blended.untraded, live.held, exact)
    in_range = ~(np.abs(exact) >= LARGEST)
    lots = np.where(in_range & ~np.isnan(exact), np.abs(exact), 0.0) / step
    rounded = np.floor(lots + 0.5)
    close = np.abs(lots - np.floor(lots) - 0.5) <= NEAR * np.maximum(1.0, lots)
    for row in np.flatnonzero(close & usable).tolist():
        wish = exact_wish(blended, live, capital, scale, row)
        rounded[row] = (abs(wish) / int(step[row]) + Fraction(1, 2)) // 1
    whole = (np.sign(np.where(np.isnan(exact), 0.0, exact)) * rounded).astype(np.int64) * step
    weight = np.where(np.isnan(live.exposure), blended.weight * factor, exact * per_unit / size)
    other = (blended.lots != 0) | _may_keep(blended) | blended.untraded
    unpriced = np.isnan(live.exposure) & other
    return Targets(np.where(unpriced, np.nan, weight), whole, exact, in_range)


def exact_wish(
    blended: Blend, live: LiveColumns, capital: Decimal, scale: Fraction, row: int
) -> Fraction:
    """Return one row's wish in size units as an exact fraction."""
    return blended.exact_size(
        row,
        int(live.rules.size_digits[row]),
        Fraction(capital),
        live.exact_exposure(row),
        scale,
        int(live.held[row]),
    )


def _may_keep(blended: Blend) -> Bools:
    keep: Bools = (blended.low != 0) | (blended.high != 0)
    return keep

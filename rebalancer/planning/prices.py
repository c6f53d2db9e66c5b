"""Limit prices on the local step, in integers."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from rebalancer.planning.columns import LARGEST, Bools, Ints
from rebalancer.planning.live import LiveColumns
from rebalancer.planning.parameters import LimitStyle

# Offsets are exact to a hundred-thousandth of a basis point: products stay within 64 bits.
_FINEST = Decimal("0.00001")


def limit_prices(
    live: LiveColumns, rows: Ints, buys: Bools, style: LimitStyle, offset_bps: Decimal
) -> Ints:
    """Return the limit of each order as an integer price; shapes like `rows`.

    A limit starts at the own side (PASSIVE), the middle (MID) or the other side (MARKETABLE)
    and moves by `offset_bps` of that price, positive = more willing to pay. Then it is put
    on the step that holds at that price:

    * PASSIVE and MID round away from the market (a buy floors, a sell ceils) and never pass
      the best price of the other side.
    * MARKETABLE rounds towards it (a buy ceils, a sell floors), so that the offset is granted
      in full: the limit is beyond it by less than one step.

    A price that must be positive is at least one step.
    """
    rules = live.rules
    bid, ask, middle = live.bid[rows], live.ask[rows], live.reference[rows]
    own, other = np.where(buys, bid, ask), np.where(buys, ask, bid)
    start = {LimitStyle.PASSIVE: own, LimitStyle.MID: middle, LimitStyle.MARKETABLE: other}[style]
    direction = np.where(buys, 1, -1)
    moved, between = _offset(start, offset_bps, direction)
    # `moved` is the floor of the exact price; between: the exact price lies above it.
    eager = style is LimitStyle.MARKETABLE
    up = buys == eager
    step = _local_step(live, rows, moved)
    floor = moved // step * step
    exact = (floor == moved) & ~between
    limit = np.where(up & ~exact, floor + step, floor)
    if not eager:
        far_step = _local_step(live, rows, other)
        on_grid = np.where(buys, other // far_step, -(-other // far_step)) * far_step
        limit = np.where(buys, np.minimum(limit, on_grid), np.maximum(limit, on_grid))
    least = np.where(rules.positive[rows], rules.level_step[rows, 0], -LARGEST)
    return np.maximum(limit, least).astype(np.int64)


def _offset(price: Ints, bps: Decimal, direction: Ints) -> tuple[Ints, Bools]:
    """Return floor(price + direction x bps / 10,000 x |price|) and whether it was cut off.

    The product is split, so that no integer leaves 64 bits.
    """
    numerator, denominator = (bps.quantize(_FINEST) / 10_000).as_integer_ratio()
    if not numerator:
        return price, np.zeros(len(price), np.bool_)
    signed = direction * numerator
    size = np.abs(price)
    whole, rest = size // denominator, size % denominator
    product = rest * signed
    moved = price + whole * signed + product // denominator
    return moved.astype(np.int64), product % denominator != 0


def _local_step(live: LiveColumns, rows: Ints, price: Ints) -> Ints:
    """Return the step that holds at each price: that of the last level not above it."""
    edges = live.rules.level_edge[rows]
    level = np.count_nonzero(edges <= np.abs(price)[:, np.newaxis], axis=1) - 1
    step: Ints = live.rules.level_step[rows, level]
    return step

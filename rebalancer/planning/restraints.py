"""What a plan keeps to in single instruments, as columns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rebalancer.model.plan import Restraints, Why
from rebalancer.planning.blend import Blend
from rebalancer.planning.columns import LARGEST, Bools, Ints, RuleColumns


@dataclass(frozen=True, eq=False)
class RestraintColumns:
    """`Restraints` as columns of shape (n,).

    `hold`: the `Why` for which an instrument stays as it is, 0 for none. `largest`: in size
    units, `LARGEST` where nothing bounds a reduction.
    """

    hold: Ints
    reduced: Bools
    largest: Ints

    def kept(self, blended: Blend) -> Blend:
        """Return the blend with what stays as it is on hold: stronger than what is leaving."""
        mine = (self.hold > 0) & (blended.hold != Why.NO_SLEEVE)
        return replace(blended, hold=np.where(mine, self.hold, blended.hold))


def compile_restraints(rules: RuleColumns, restraints: Restraints) -> RestraintColumns:
    """Return the columns; what the universe does not have is left out."""
    count, index = len(rules.universe), rules.universe.index
    hold: Ints = np.zeros(count, np.int64)
    reduced: Bools = np.zeros(count, np.bool_)
    largest: Ints = np.full(count, LARGEST, np.int64)
    for name in restraints.untraded.keys() & index.keys():
        hold[index[name]] = restraints.untraded[name]
    for name in restraints.reduced & index.keys():
        reduced[index[name]] = True
    for name in restraints.largest.keys() & index.keys():
        size = restraints.largest[name].scaleb(int(rules.size_digits[index[name]]))
        largest[index[name]] = min(int(size), LARGEST)
    return RestraintColumns(hold, reduced, largest)


def pieces(size: Ints, largest: Ints, lot: Ints) -> Ints:
    """Return the first of equal pieces of each size, none larger than `largest`; 0: no lot fits.

    Equal but for whole lots, so that no remainder is too small to be sold.
    """
    most = largest // lot * lot
    count = -(-size // np.maximum(most, lot))
    piece: Ints = -(-size // np.maximum(count, 1) // lot) * lot
    return np.where(most > 0, piece, 0)

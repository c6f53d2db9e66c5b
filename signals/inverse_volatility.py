"""Inverse volatility: each instrument weighs as much as it is calm; long only.

    weight = (1 / volatility) / sum of (1 / volatility) x invested

Volatility is the standard deviation of the last `bars` log returns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rebalancer.errors import DataError
from rebalancer.model.signals import Context, TargetWeights


@dataclass(frozen=True)
class Parameters:
    """`bars`: how many returns; `invested`: the fraction of the sleeve's capital to use."""

    bars: int = 63
    invested: float = 1.0

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        if self.bars < 2:
            raise DataError("parameters.bars: needs at least 2 returns")
        if not 0 < self.invested < np.inf:
            raise DataError(f"parameters.invested: {self.invested} is not positive")


def generate(context: Context) -> TargetWeights:
    """Return weights that add up to `invested`.

    Each weight depends on every instrument, so one gap spoils them all: raises `DataError`,
    and the sleeve keeps what it holds, when any instrument lacks one of the bars or never
    moved.
    """
    parameters = Parameters(**context.parameters)
    closes = context.closes.values[-parameters.bars - 1 :]
    if len(closes) <= parameters.bars:
        raise DataError(f"{len(closes)} bars of history where {parameters.bars + 1} are needed")
    volatility = np.diff(np.log(closes), axis=0).std(axis=0, ddof=1)
    usable = volatility > 1e-9
    if not usable.all():
        name = context.universe[int(np.argmin(usable))]
        raise DataError(f"{name}: a close is missing in the last {len(closes)} bars, or all equal")
    calm = 1 / volatility
    weights = calm / calm.sum() * parameters.invested
    return TargetWeights(
        {
            name: round(float(weight), 12)
            for name, weight in zip(context.universe, weights, strict=True)
        }
    )

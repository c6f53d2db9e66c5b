"""Time-series momentum with volatility targeting.

An instrument whose price rose from `lookback` to `skip` bars ago is held long, one that fell
is held short (or not at all), each scaled so that its own volatility would be the same share
of the sleeve's:

    weight = sign(P[-1 - skip] / P[-1 - lookback] - 1) x target_volatility / (volatility x n)

Source: Moskowitz, Ooi and Pedersen, "Time series momentum", Journal of Financial Economics
104 (2012), equation 5, where the target is 40 %; here volatility is the plain standard
deviation of the last `volatility_bars` log returns (n - 1 in the denominator), annualised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rebalancer.errors import DataError
from rebalancer.model.signals import Context, Coverage, TargetWeights


@dataclass(frozen=True)
class Parameters:
    """What the configuration may say under `parameters`.

    `lookback`, `skip` and `volatility_bars` count bars; `target_volatility` is the sleeve's
    wanted yearly volatility if its instruments moved together (0.10 = 10 %); `cap` is the
    largest weight of one instrument and `gross_cap` of all together, both without signs;
    `short` allows negative weights.
    """

    lookback: int = 252
    skip: int = 21
    volatility_bars: int = 63
    target_volatility: float = 0.10
    cap: float = 0.25
    gross_cap: float = 1.0
    short: bool = False
    bars_per_year: float = 252.0

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        if not 0 <= self.skip < self.lookback:
            raise DataError(f"parameters.skip: {self.skip} must be from 0 to lookback - 1")
        if self.volatility_bars < 2:
            raise DataError("parameters.volatility_bars: needs at least 2 returns")
        for name in ("target_volatility", "cap", "gross_cap", "bars_per_year"):
            if not 0 < getattr(self, name) < np.inf:
                raise DataError(f"parameters.{name}: {getattr(self, name)} is not positive")


def generate(context: Context) -> TargetWeights:
    """Return a weight for each instrument whose history is complete.

    An instrument with a missing close among the bars it needs, or one that never moved, is
    left out with coverage partial: it is held as it is. It still counts in n, and with its
    `cap` towards `gross_cap`, so that missing data never makes the others larger. Raises
    `DataError` when no instrument has its history.
    """
    parameters = Parameters(**context.parameters)
    needed = max(parameters.lookback, parameters.volatility_bars) + 1
    closes = context.closes.values[-needed:]
    if len(closes) < needed:
        raise DataError(f"{len(closes)} bars of history where {needed} are needed")
    known = ~np.isnan(closes).any(axis=0)
    returns = np.diff(np.log(closes[-parameters.volatility_bars - 1 :]), axis=0)
    volatility = returns.std(axis=0, ddof=1) * np.sqrt(parameters.bars_per_year)
    known &= volatility > 1e-9
    if not known.any():
        raise DataError(f"no instrument has {needed} complete bars that move")
    trend = np.sign(closes[-1 - parameters.skip] / closes[-1 - parameters.lookback] - 1)
    if not parameters.short:
        trend = np.maximum(trend, 0.0)
    count = len(context.universe)
    size = parameters.target_volatility / (np.where(known, volatility, np.nan) * count)
    weights = trend * np.minimum(size, parameters.cap)
    gross = np.nansum(np.abs(weights)) + parameters.cap * np.count_nonzero(~known)
    weights *= min(1.0, parameters.gross_cap / gross) if gross > 0 else 1.0
    return TargetWeights(
        {
            name: round(float(weight), 12)
            for name, weight, there in zip(context.universe, weights, known, strict=True)
            if there
        },
        coverage=Coverage.COMPLETE if known.all() else Coverage.PARTIAL,
    )

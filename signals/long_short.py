"""Market-neutral selection: the strongest instruments long, the weakest short.

    score = return over `lookback` bars / volatility of the last `volatility_bars` log returns
            - carry x funding paid by a long over the last `funding_rows` settlements

The `longs` best share half of `gross` equally, the `shorts` worst the other half with the
other sign: the sleeve's net exposure is zero. A perpetual that pays its longs is bought more
readily, one that charges them less. Cross-sectional momentum: Jegadeesh and Titman, "Returns to
buying winners and selling losers", Journal of Finance 48 (1993); carry: Koijen, Moskowitz,
Pedersen and Vrugt, "Carry", Journal of Financial Economics 127 (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rebalancer.errors import DataError
from rebalancer.model.signals import Context, TargetWeights


@dataclass(frozen=True)
class Parameters:
    """What the configuration may say under `parameters`.

    `lookback` and `volatility_bars` count bars, `longs` and `shorts` instruments; `gross` is
    the sum of all weights without signs; `carry` weighs a summed funding rate against a score
    in volatilities (0 leaves funding out; else the sleeve needs `funding = true`).
    """

    lookback: int = 120
    volatility_bars: int = 120
    longs: int = 3
    shorts: int = 3
    gross: float = 1.0
    carry: float = 0.0
    funding_rows: int = 9

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        for name, least in (("lookback", 1), ("volatility_bars", 2), ("longs", 1), ("shorts", 1)):
            if getattr(self, name) < least:
                raise DataError(f"parameters.{name}: {getattr(self, name)} must be {least} or more")
        if self.funding_rows < 1:
            raise DataError("parameters.funding_rows: must be 1 or more")
        if not 0 < self.gross < np.inf:
            raise DataError(f"parameters.gross: {self.gross} is not positive")
        if not 0 <= self.carry < np.inf:
            raise DataError(f"parameters.carry: {self.carry} is negative")


def generate(context: Context) -> TargetWeights:
    """Return a weight for every instrument, zero for those in the middle.

    A rank depends on every instrument: raises `DataError`, and the sleeve keeps what it holds,
    when any lacks one of its bars (or its funding, where it counts), never moved, or when
    there are too few to be in one leg only. Of equal scores the first in order ranks higher.
    """
    parameters = Parameters(**context.parameters)
    chosen = parameters.longs + parameters.shorts
    if len(context.universe) < chosen:
        raise DataError(f"{len(context.universe)} instruments, {chosen} are to be chosen")
    score = _momentum(context, parameters)
    if parameters.carry:
        score = score - parameters.carry * _paid(context, parameters)
    order = np.argsort(-score, kind="stable")
    weights = np.zeros(len(score))
    weights[order[: parameters.longs]] = parameters.gross / 2 / parameters.longs
    weights[order[-parameters.shorts :]] = -parameters.gross / 2 / parameters.shorts
    return TargetWeights(
        {
            name: round(float(weight), 12)
            for name, weight in zip(context.universe, weights, strict=True)
        }
    )


def _momentum(context: Context, parameters: Parameters) -> npt.NDArray[np.float64]:
    needed = max(parameters.lookback, parameters.volatility_bars) + 1
    closes = context.closes.values[-needed:]
    if len(closes) < needed:
        raise DataError(f"{len(closes)} bars of history where {needed} are needed")
    returns = np.diff(np.log(closes[-parameters.volatility_bars - 1 :]), axis=0)
    volatility = returns.std(axis=0, ddof=1)
    usable = ~np.isnan(closes).any(axis=0) & (volatility > 1e-9)
    if not usable.all():
        name = context.universe[int(np.argmin(usable))]
        raise DataError(f"{name}: a close is missing in the last {needed} bars, or all are equal")
    score: npt.NDArray[np.float64] = closes[-1] / closes[-1 - parameters.lookback] - 1
    score /= volatility
    return score


def _paid(context: Context, parameters: Parameters) -> npt.NDArray[np.float64]:
    """Return what a long paid over the last settlements, a fraction of its value."""
    if context.funding is None:
        raise DataError("parameters.carry needs `funding = true` in its [[sleeve]]")
    rates = context.funding.values
    paid = np.zeros(len(context.universe))
    for column, name in enumerate(context.universe):
        settled = rates[:, column][~np.isnan(rates[:, column])][-parameters.funding_rows :]
        if len(settled) < parameters.funding_rows:
            raise DataError(f"{name}: {len(settled)} funding rates of {parameters.funding_rows}")
        paid[column] = settled.sum()
    return paid

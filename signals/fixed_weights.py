"""Fixed weights from the configuration; what they leave over stays in cash.

    [sleeve.parameters.weights]
    "SPY.STK.USD@IB" = 0.6
    "TLT.STK.USD@IB" = 0.4

(in the sleeve's own table, as portfolio.example.toml shows).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rebalancer.errors import DataError
from rebalancer.model.signals import Context, TargetWeights


@dataclass(frozen=True)
class Parameters:
    """`weights`: fractions of the sleeve's capital, signed; `leverage` scales them all."""

    weights: Mapping[str, float]
    leverage: float = 1.0


def generate(context: Context) -> TargetWeights:
    """Return the configured weights, and zero for every other instrument of the sleeve.

    Needs no history. Raises `DataError` for an instrument that is not in the sleeve's
    universe: a misspelt name must not become a zero.
    """
    parameters = Parameters(**context.parameters)
    unknown = sorted(set(parameters.weights) - set(context.universe))
    if unknown:
        raise DataError(f"parameters.weights: {unknown[0]} is not in the sleeve's universe")
    return TargetWeights(
        {name: round(parameters.weights.get(name, 0.0), 12) for name in context.universe},
        leverage=parameters.leverage,
    )

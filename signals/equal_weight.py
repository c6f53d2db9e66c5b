"""The smallest generator there is: every instrument of the sleeve gets the same weight."""

from __future__ import annotations

from rebalancer.model.signals import Context, TargetWeights


def generate(context: Context) -> TargetWeights:
    """Return 1/n for each of the sleeve's n instruments; needs no history."""
    weight = round(1 / len(context.universe), 12)
    return TargetWeights({name: weight for name in context.universe})

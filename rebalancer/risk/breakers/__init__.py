"""Step 4: what stops trading across runs, latched here and lifted here.

One file a family of breakers; each row of `BREAKERS` judges by itself, from the same facts, so
that their order does not matter.
"""

from rebalancer.risk.breakers.evaluate import (
    BREAKERS,
    StandingVerdict,
    evaluate_breakers,
    evaluate_plan,
    evaluate_refusals,
    moved_since,
    remember_plan,
)
from rebalancer.risk.breakers.latches import Breaker, as_run_flag, latch_key, trading_state

__all__ = [
    "BREAKERS",
    "Breaker",
    "StandingVerdict",
    "as_run_flag",
    "evaluate_breakers",
    "evaluate_plan",
    "evaluate_refusals",
    "latch_key",
    "moved_since",
    "remember_plan",
    "trading_state",
]

"""From targets to orders: pure, columnar, exact; `plan_rebalance` is the way in."""

from rebalancer.planning.flatten import in_chunks, plan_flatten
from rebalancer.planning.overrides import scaled_signals
from rebalancer.planning.parameters import BandRule, Funding, LimitStyle, PlanParameters
from rebalancer.planning.plan import plan_rebalance

__all__ = [
    "BandRule",
    "Funding",
    "LimitStyle",
    "PlanParameters",
    "in_chunks",
    "plan_flatten",
    "plan_rebalance",
    "scaled_signals",
]

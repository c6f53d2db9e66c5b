"""From targets to orders: pure, columnar, exact; `plan_rebalance` is the way in."""

from rebalancer.planning.parameters import BandRule, Funding, LimitStyle, PlanParameters
from rebalancer.planning.plan import plan_rebalance

__all__ = ["BandRule", "Funding", "LimitStyle", "PlanParameters", "plan_rebalance"]

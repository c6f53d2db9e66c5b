"""What may not happen: account proof, breakers, gates, margin, release; all pure.

`check_account` and `evaluate_breakers` judge step 4, `apply_gates` and `check_margin` step 7,
`release` each wave; `ladder` says which stops a position needs. Only this room builds
`ApprovedOrder` and `PlaceStop`.
"""

from rebalancer.risk.account import check_account
from rebalancer.risk.breakers import (
    BREAKERS,
    Breaker,
    StandingVerdict,
    as_run_flag,
    evaluate_breakers,
    evaluate_plan,
    evaluate_refusals,
    latch_key,
    moved_since,
    remember_plan,
    trading_state,
)
from rebalancer.risk.breakers.conduct import RECENT_RUNS
from rebalancer.risk.clearing import ALL, ClearingRule, clear, clearing_rules
from rebalancer.risk.gates import GATES, apply_gates
from rebalancer.risk.heir import heir_of, too_small
from rebalancer.risk.joint import JOINT_GATES
from rebalancer.risk.ladder import (
    Ladder,
    StopNames,
    best_group,
    ladder,
    stop_groups,
    unprotected,
)
from rebalancer.risk.largest import largest_order
from rebalancer.risk.margin import check_margin, critical
from rebalancer.risk.order_counts import too_many_orders
from rebalancer.risk.parameters import Limits, Override, ProtectParameters
from rebalancer.risk.release import Funding, Release, SentOrder, funding_of, release
from rebalancer.risk.restraints import Restraining
from rebalancer.risk.terms import Gate, GateInput, Verdicts
from rebalancer.risk.windows import RestartWindow, parse_restart_window

__all__ = [
    "ALL",
    "BREAKERS",
    "GATES",
    "JOINT_GATES",
    "RECENT_RUNS",
    "Breaker",
    "ClearingRule",
    "Funding",
    "Gate",
    "GateInput",
    "Ladder",
    "Limits",
    "Override",
    "ProtectParameters",
    "Release",
    "RestartWindow",
    "Restraining",
    "SentOrder",
    "StandingVerdict",
    "StopNames",
    "Verdicts",
    "apply_gates",
    "as_run_flag",
    "best_group",
    "check_account",
    "check_margin",
    "clear",
    "clearing_rules",
    "critical",
    "evaluate_breakers",
    "evaluate_plan",
    "evaluate_refusals",
    "funding_of",
    "heir_of",
    "ladder",
    "largest_order",
    "latch_key",
    "moved_since",
    "parse_restart_window",
    "release",
    "remember_plan",
    "stop_groups",
    "too_many_orders",
    "too_small",
    "trading_state",
    "unprotected",
]

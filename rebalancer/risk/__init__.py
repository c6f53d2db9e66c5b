"""What may not happen: account proof, breakers, gates, margin, release; all pure.

`check_account` and `evaluate_breakers` judge step 4, `apply_gates` and `check_margin` step 7,
`release` each wave. Only this room builds `ApprovedOrder`.
"""

from rebalancer.risk.account import check_account
from rebalancer.risk.breakers import (
    StandingVerdict,
    as_run_flag,
    evaluate_breakers,
    latch_key,
    trading_state,
)
from rebalancer.risk.clearing import ALL, ClearingRule, clear, clearing_rules
from rebalancer.risk.gates import GATES, apply_gates
from rebalancer.risk.joint import JOINT_GATES
from rebalancer.risk.margin import check_margin, critical
from rebalancer.risk.parameters import Limits
from rebalancer.risk.release import Funding, Release, SentOrder, funding_of, release
from rebalancer.risk.terms import Gate, GateInput, Verdicts
from rebalancer.risk.windows import RestartWindow, parse_restart_window

__all__ = [
    "ALL",
    "GATES",
    "JOINT_GATES",
    "ClearingRule",
    "Funding",
    "Gate",
    "GateInput",
    "Limits",
    "Release",
    "RestartWindow",
    "SentOrder",
    "StandingVerdict",
    "Verdicts",
    "apply_gates",
    "as_run_flag",
    "check_account",
    "check_margin",
    "clear",
    "clearing_rules",
    "critical",
    "evaluate_breakers",
    "funding_of",
    "latch_key",
    "parse_restart_window",
    "release",
    "trading_state",
]

"""Real processes over real sockets, killed by the simulated venue at a message of theirs."""

from rebalancer.rehearsal.kills.crew import run_kills, strike_every
from rebalancer.rehearsal.kills.house import House
from rebalancer.rehearsal.kills.summary import KillResult, KillSummary

__all__ = ["House", "KillResult", "KillSummary", "run_kills", "strike_every"]

"""The judge: what must hold after every schedule, seen from the venue's side."""

from rebalancer.rehearsal.observer.judge import INVARIANTS, judge
from rebalancer.rehearsal.observer.states import same_again

__all__ = ["INVARIANTS", "judge", "same_again"]

"""What worker processes of these tests play: found by its name in a new process."""

from __future__ import annotations

import os

from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.workers import Result

DEADLY = 3
BAD = 5


def some(venue: str, seed: int) -> Result:
    """Return a result; one seed kills the process, another breaks an invariant."""
    if seed == DEADLY:
        os._exit(17)
    violations = (Violation("every-cent", "a cent is missing"),) if seed == BAD else ()
    return Result(venue, seed, violations, runs=2)


def none(_venue: str, _seed: int) -> Result:
    """Die at once."""
    os._exit(18)

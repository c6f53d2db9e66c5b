"""All invariants, one after the other, over the evidence of one schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rebalancer.errors import DataError
from rebalancer.rehearsal.evidence import Evidence, Violation
from rebalancer.rehearsal.observer.breakers import breakers_obeyed, protected
from rebalancer.rehearsal.observer.by_hand import only_reduces
from rebalancer.rehearsal.observer.case import Case
from rebalancer.rehearsal.observer.convergence import convergence
from rebalancer.rehearsal.observer.money import every_cent, no_lost_fill
from rebalancer.rehearsal.observer.orders import (
    no_duplicate_order,
    no_order_without_intent,
    nothing_in_dry_run,
    unknown_is_not_failure,
)
from rebalancer.rehearsal.observer.report import truthful_report
from rebalancer.rehearsal.observer.states import (
    bounded_time,
    lock_free,
    monotone_states,
    single_flight,
)

Invariant = Callable[[Case], Iterator[Violation]]

INVARIANTS: tuple[Invariant, ...] = (
    no_duplicate_order,
    no_order_without_intent,
    no_lost_fill,
    every_cent,
    nothing_in_dry_run,
    unknown_is_not_failure,
    monotone_states,
    single_flight,
    convergence,
    truthful_report,
    bounded_time,
    breakers_obeyed,
    only_reduces,
    protected,
    lock_free,
)
"""What must hold after every schedule; each yields what does not."""


def judge(evidence: Evidence) -> tuple[Violation, ...]:
    """Return everything that must hold and does not, in the order of `INVARIANTS`.

    Reads the state folder and changes nothing. A file of ours that cannot be read after the
    calm runs is itself a violation.
    """
    case = Case(evidence)
    try:
        return tuple(violation for each in INVARIANTS for violation in each(case))
    except (DataError, KeyError, TypeError, UnicodeDecodeError) as error:
        words = f"what the runs left cannot be read: {type(error).__name__}: {error}"
        return (Violation("monotone-states", words),)

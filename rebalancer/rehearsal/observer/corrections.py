"""Executions that a venue corrects when it tells nothing of them any more."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from rebalancer.rehearsal.observer.case import Case
from rebalancer.simulators.books import Execution

CORRECTED = "execution-corrected"
"""The happening by which a venue corrects an execution."""

FEE_AT_MOST = Decimal("0.005")
"""The fraction of a trade that its fee may be, as long as nobody told it."""

UNSAID = Decimal("0.01")
"""Cash that moved by no more than this is nothing that a run has to speak of."""

_ZERO = Decimal(0)


def untold(case: Case, execution: Execution, since: datetime) -> bool:
    """Return whether no run that came to its end could hear of an execution from `since` on.

    A gateway tells the executions of its day only; an exchange tells them all.
    """
    if case.evidence.venue != "ib":
        return False
    looks = [slot for slot, record in case.ours.records.items() if record.after is not None]
    return not any(slot >= since and slot.date() == execution.at.date() for slot in looks)


def corrected_too_late(case: Case, execution: Execution) -> bool:
    """Return whether it was corrected when the venue told nothing of it any more.

    What is seen of it then is cash that moved, or a position that is not as it should be; the
    runs have to say so, unless it could be the fee of a trade whose commission never came, or
    no run had accepted any cash before.
    """
    hours = case.evidence.schedule.hours
    places = [
        n for n, hour in enumerate(hours) if any(h.what == CORRECTED for h in hour.happenings)
    ]
    # Where no run came of its hour it happened after the run before.
    times = [
        run.began if run.hour == max(places) else run.ended
        for run in case.evidence.runs
        if places and run.hour is not None and run.hour <= max(places)
    ]
    if not times or not untold(case, execution, max(times)):
        return False
    codes = {flag.code for record in case.ours.records.values() for flag in record.flags}
    said = bool(codes & {"unexplained-cash", "reconciliation-break", "books-adjusted"})
    accepted = any(
        record.after is not None and slot < max(times) for slot, record in case.ours.records.items()
    )
    return said or not accepted or _could_be_a_fee(case, execution)


def _could_be_a_fee(case: Case, execution: Execution) -> bool:
    """Return whether what a correction cost is no more than fees that nobody ever told."""
    fill = case.ours.standing.get(case.family(execution))
    if fill is None or fill.quantity != execution.quantity:
        return False
    cost = abs((execution.price - fill.price) * fill.quantity)
    untold_fees = sum(
        (
            abs(each.quantity * each.price) * FEE_AT_MOST
            for each in case.ours.standing.values()
            if each.commission is None and each.currency == fill.currency
        ),
        _ZERO,
    )
    return cost <= untold_fees + UNSAID

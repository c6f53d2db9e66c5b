"""How our books grow: each state once, each run closed once, one run at a time, all in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from rebalancer.model.orders import OrderStatus
from rebalancer.rehearsal.evidence import Evidence, RunEvidence, Violation
from rebalancer.rehearsal.observer.case import Case

MONOTONE, SINGLE = "monotone-states", "single-flight"
BOUNDED, FREE, SAME = "bounded-time", "lock-free", "determinism"

NO_TIME_PASSES = frozenset({"clock-skew", "quote-stale", "positions-stale", "account-stale"})
"""Faults whose seconds are how far a clock or an answer is off."""


def monotone_states(case: Case) -> Iterator[Violation]:
    """Yield states that left an end, runs closed twice, and slots without their record."""
    for slot, lines in case.ours.journals.items():
        last: dict[str, OrderStatus] = {}
        for line in lines:
            if line.get("kind") != "order" or not line["order"]["reference"]:
                continue
            reference, status = line["order"]["reference"], OrderStatus(line["order"]["status"])
            before = last.get(reference)
            if before is not None and before.terminal and status is OrderStatus.UNKNOWN:
                continue  # it was told both: in doubt until it is looked up
            if before is not None and before.terminal and status is not before:
                yield Violation(MONOTONE, f"{reference} was {before} and is {status} again")
            last[reference] = status
        ends = Counter(line["attempt"] for line in lines if line.get("kind") == "end")
        for attempt, count in sorted(ends.items()):
            if count > 1:
                yield Violation(
                    MONOTONE,
                    f"attempt {attempt} was closed {count} times",
                    case.run_of(slot, attempt),
                )
        if any(line.get("kind") == "begin" for line in lines) and slot not in case.ours.records:
            yield Violation(MONOTONE, f"the slot {slot:%Y-%m-%dT%H%MZ} has a journal and no record")
    yield from _records(case)


def _records(case: Case) -> Iterator[Violation]:
    records = case.ours.records
    for slot, record in records.items():
        if record.slot != slot:
            yield Violation(MONOTONE, f"the record of {slot} says that it is of {record.slot}")
        if record.entries > len(case.ours.entries):
            yield Violation(MONOTONE, f"the record of {slot} counts more fills than are logged")
        if slot not in case.ours.journals:
            yield Violation(MONOTONE, f"the slot {slot} has a record and no journal")
    rows = [row["slot"] for row in case.ours.equity]
    if any(one >= two for one, two in pairwise(rows)):
        yield Violation(MONOTONE, "equity.csv has a slot twice, or not in order")
    written = {slot.strftime("%Y-%m-%d %H:%M") for slot, r in records.items() if r.equity}
    missing = sorted(written - {row[:16].replace("T", " ") for row in rows})
    for slot_name in missing:
        yield Violation(MONOTONE, f"equity.csv has no row for {slot_name}")


def single_flight(case: Case) -> Iterator[Violation]:
    """Yield attempts that went on when the next had begun."""
    for slot, lines in case.ours.journals.items():
        attempts = [line["attempt"] for line in lines if "attempt" in line]
        if any(one > two for one, two in pairwise(attempts)):
            yield Violation(SINGLE, f"two attempts at {slot:%Y-%m-%dT%H%MZ} wrote at one time")
    for place, (one, two) in enumerate(pairwise(case.evidence.runs), 1):
        if two.began < one.ended:
            yield Violation(SINGLE, "it began before the run before it had ended", place)


def lock_free(case: Case) -> Iterator[Violation]:
    """Yield runs after which the next one could not have the lock."""
    for place, run in enumerate(case.evidence.runs):
        if not run.lock_free:
            yield Violation(FREE, "the lock was not free afterwards", place)


def bounded_time(case: Case) -> Iterator[Violation]:
    """Yield runs that took longer than their time, by the venue's clock.

    What a fault itself let pass is not held against them.
    """
    for place, run in enumerate(case.evidence.runs):
        took = (run.ended - run.began).total_seconds()
        most = case.evidence.run_seconds + _waited(case, run)
        if took > most:
            yield Violation(BOUNDED, f"it took {took:.0f} s of {most:.0f}", place)


def _waited(case: Case, run: RunEvidence) -> float:
    """Return how many seconds the faults of a run may have let pass, all together."""
    if run.hour is None:
        return 0.0
    troubles = case.evidence.schedule.hours[run.hour].troubles
    return sum(
        each.seconds * (each.count or 1) for each in troubles if each.fault not in NO_TIME_PASSES
    )


def same_again(one: Evidence, two: Evidence) -> tuple[Violation, ...]:
    """Return where two plays of one schedule differ on the wire: nowhere, or the run is unlike."""
    found = []
    for place, (first, second) in enumerate(zip(one.runs, two.runs, strict=False)):
        if first.trace != second.trace or first.killed != second.killed:
            found.append(Violation(SAME, "the same schedule had another wire trace", place))
            break
    if len(one.runs) != len(two.runs):
        found.append(Violation(SAME, f"{len(one.runs)} runs, then {len(two.runs)}"))
    return tuple(found)

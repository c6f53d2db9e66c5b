"""What the owner did by hand: a sale only reduces, a cancel only cancels, what is left is told."""

from __future__ import annotations

from collections.abc import Iterator

from rebalancer.model.flags import RUN, Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import RunRecord
from rebalancer.rehearsal.evidence import RunEvidence, Violation
from rebalancer.rehearsal.observer.case import Case
from rebalancer.simulators.books import Execution, Order
from rebalancer.simulators.faults.hours import CANCEL, FLATTEN
from rebalancer.simulators.kinds import is_pair

REDUCES = "only-reduces"


def only_reduces(case: Case) -> Iterator[Violation]:
    """Yield what a command of the owner's added or turned round, and what it left unsaid."""
    for name in case.evidence.universe.ids:
        yield from _each_execution(case, name)
    for place, run in enumerate(case.evidence.runs):
        if run.command == FLATTEN:
            found = (*_between(case, run), *_silently_held(case, run))
        elif run.command == CANCEL:
            found = tuple(_sent(run))
        else:
            continue
        for words in (*found, *_silently_working(case, run)):
            yield Violation(REDUCES, words, place)


def _each_execution(case: Case, name: InstrumentId) -> Iterator[Violation]:
    """Yield executions of a command's orders that did anything but bring a holding nearer zero.

    They count whenever they come. Whoever else trades in it while a command is at work is what
    no command can know of.
    """
    stranger: Execution | None = None
    for execution, after in case.path(name):
        run = _command_of(case, execution)
        if run is None or execution.reference in case.doubled:
            stranger = execution if not case.is_ours(execution.reference) else stranger
            continue
        if stranger is not None and stranger.at >= run.began:
            continue
        before = after - execution.quantity
        if before * execution.quantity >= 0 or before * after < 0:
            yield Violation(
                REDUCES,
                f"{execution.reference} carried {name} from {before:f} to {after:f}",
                case.evidence.runs.index(run),
            )


def _command_of(case: Case, execution: Execution) -> RunEvidence | None:
    """Return the command that an execution's order was sent by, None when it was no command."""
    intent = case.ours.intents.get(execution.reference)
    if intent is None or intent.order is None:
        return None
    place = case.run_of(intent.slot, intent.attempt)
    run = None if place is None else case.evidence.runs[place]
    return run if run is not None and run.command else None


def _between(case: Case, run: RunEvidence) -> Iterator[str]:
    """Yield holdings that are not between zero and what they were before, nobody else trading."""
    for name, before in sorted(run.held_before.items()):
        after = run.held_after.get(name, before)
        reduced = before * after >= 0 and abs(after) <= abs(before)
        if not reduced and not _others_traded(case, run, name):
            yield f"{name} was {before:f} before the sale and {after:f} after it"


def _others_traded(case: Case, run: RunEvidence, name: InstrumentId) -> bool:
    """Return whether any order but the command's own traded in it meanwhile."""
    return any(
        each.instrument == name
        and run.began <= each.at <= run.ended
        and _command_of(case, each) is not run
        for each in case.executions
    )


def _silently_held(case: Case, run: RunEvidence) -> Iterator[str]:
    """Yield what is still held after a sale that says that it went well."""
    if run.record is None or run.exit_code or run.killed:
        return
    for name, held in sorted(run.held_after.items()):
        coin = is_pair(case.evidence.universe[name])  # what is left of one may be less than a step
        if held and not coin and not _others_traded(case, run, name):
            yield f"{held:f} {name} are held after a sale that ended with 0"


def _sent(run: RunEvidence) -> Iterator[str]:
    """Yield what went out in a cancel but for the end of orders."""
    for arrival in run.arrivals:
        if arrival.verb in ("new", "change", "stop"):
            yield f"a cancel sent {arrival.message} {arrival.reference}"


def _silently_working(case: Case, run: RunEvidence) -> Iterator[str]:
    """Yield orders of ours that work at the venue after a command which says nothing of them."""
    record = run.record
    if record is None or run.killed:
        return
    for order in case.rebalancing:
        if not _works(order, run):
            continue
        if not _knows(record, run, order):
            yield f"{order.reference} ({order.quantity:f} {order.instrument}) still works, untold"
        elif not run.exit_code:
            yield f"{order.reference} still works, and the command ended with 0"


def _works(order: Order, run: RunEvidence) -> bool:
    """Return whether an order works at the venue when a command has ended."""
    ended = order.ended_at is not None and order.ended_at <= run.ended
    return order.placed_at <= run.ended and not ended


def _knows(record: RunRecord, run: RunEvidence, order: Order) -> bool:
    """Return whether a command tells of an order: as left, as not ended, or by a flag."""
    listed = {each.reference for each in (*record.orders, *record.cancelled)
              if not each.status.terminal}  # fmt: skip
    flagged = {flag.subject for flag in record.flags if flag.severity is not Severity.NOTE}
    told = order.reference in listed or order.reference in (run.told or ())
    return told or order.instrument in flagged or RUN in flagged

"""When nothing goes wrong any more, the account comes to its targets, or there is a reason."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rebalancer.model.flags import RUN, Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Action, OrderStatus, PlanLine
from rebalancer.model.plan import UNCHANGED, Why
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.observer.case import Case

CONVERGED = "convergence"
SETTLED = frozenset(why.sentence for why in UNCHANGED)
"""The reasons of an order file that say that an instrument is where it should be."""

REASONS = frozenset(why.sentence for why in Why) - SETTLED - {Why.ORDER.sentence}
"""The reasons of an order file that say why nothing is done though something is wanted."""

EXCUSED = frozenset({"halt-file", "not-adopted"})
"""HALTs that say by themselves why a run stopped; others must be latched."""

BROKEN = frozenset(
    {"run-failed", "blind", "cannot-connect", "deadline", "books-unwritten", "data-missing"}
)
"""HALTs that a run without any trouble must not end with."""


def convergence(case: Case) -> Iterator[Violation]:
    """Yield why the last calm run did not end well, and what is off its target for no reason."""
    runs = case.evidence.runs
    if len(runs) <= case.first_calm:
        yield Violation(CONVERGED, "there was no calm run")
        return
    place, run = len(runs) - 1, runs[-1]
    record = case.ours.records.get(run.slot)
    if run.killed or run.error or record is None:
        words = run.killed or run.error or "it left no record"
        yield Violation(CONVERGED, f"a run without any trouble broke off: {words}", place)
        return
    broken = [flag for flag in record.flags if flag.code in BROKEN]
    if record.outcome is Outcome.FAILED or broken:
        told = broken[0].message if broken else "it failed"
        yield Violation(CONVERGED, f"a run without any trouble ended badly: {told}", place)
        return
    yield from _stopped(case, record, place)
    yield from _each_instrument(case, record, place)
    yield from _nothing_unexplained(case, record, place)


def _stopped(case: Case, record: RunRecord, place: int) -> Iterator[Violation]:
    """Yield HALTs without a reason that lasts: a file, a latch, or what the account is."""
    latched = {flag.code for flag in record.standing.latched} if record.standing else set()
    about_the_account = {"net-liquidation-range", "net-liquidation-invalid"}
    for flag in record.flags:
        if flag.severity is not Severity.HALT:
            continue
        if flag.code not in latched | EXCUSED | about_the_account:
            yield Violation(
                CONVERGED, f"a calm run was halted by {flag.code}: {flag.message}", place
            )
    if record.exit_code not in (0, 3) and not latched:
        yield Violation(CONVERGED, f"a calm run ended with {record.exit_code}", place)


def _each_instrument(case: Case, record: RunRecord, place: int) -> Iterator[Violation]:
    """Yield instruments that are off their target at the venue, and nothing said why."""
    if any(flag.severity is Severity.HALT for flag in record.flags):
        return
    held = case.holdings()
    lines: dict[InstrumentId, list[PlanLine]] = {}
    for line in record.lines:
        lines.setdefault(line.instrument, []).append(line)
    for name in case.evidence.universe.ids:
        own = lines.get(name, [])
        if not own:
            yield Violation(CONVERGED, f"the order file has no row for {name}", place)
        elif all(line.action is Action.NOTHING for line in own):
            yield from _left_alone(case, record, own[0], held[name], place)
        else:
            yield from _wanted(case, record, own, held[name], place)


def _left_alone(
    case: Case, record: RunRecord, line: PlanLine, held: Decimal, place: int
) -> Iterator[Violation]:
    if line.reason in SETTLED:
        late = _since(case, record, line.instrument)
        if line.current_quantity != held - late:
            yield Violation(
                CONVERGED,
                f"{line.instrument} is left alone at {line.current_quantity:f} "
                f"({line.reason}); the venue has {held:f}",
                place,
            )
    elif line.reason not in REASONS:
        yield Violation(CONVERGED, f"{line.instrument}: {line.reason!r} is no reason", place)


def _wanted(
    case: Case, record: RunRecord, lines: list[PlanLine], held: Decimal, place: int
) -> Iterator[Violation]:
    """Yield a wanted order that neither traded nor works, and that nobody refused."""
    name = lines[0].instrument
    refused = any(each.intent.instrument == name for each in record.refused)
    flagged = any(
        flag.subject in (str(name), RUN) and flag.severity is not Severity.NOTE
        for flag in record.flags
    )
    ended = {"not-funded", "session-closed", "restart-window", "funding-window", "rate-stale"}
    told = any(flag.code in ended and flag.subject in (str(name), RUN) for flag in record.flags)
    if refused or flagged or told:
        return
    approved = approved_quantity(record, name)
    if approved is None:
        yield Violation(
            CONVERGED, f"an order in {name} was wanted, not approved, and not refused", place
        )
        return
    target = lines[0].current_quantity + approved
    tried = [each for each in record.orders if each.instrument == name]
    if held - _since(case, record, name) != target and not tried:
        yield Violation(
            CONVERGED, f"{name} is at {held:f}, {target:f} was approved, nothing was sent", place
        )


def approved_quantity(record: RunRecord, name: InstrumentId) -> Decimal | None:
    """Return what a run approved in an instrument, heirs of its orders apart; None: nothing."""
    first: dict[int, Decimal] = {}
    for each in record.approved:
        if each.instrument == name:
            first.setdefault(each.intent.part, each.quantity)
    return sum(first.values(), Decimal(0)) if first else None


def _since(case: Case, record: RunRecord, name: InstrumentId) -> Decimal:
    """Return what traded after the last run's last look."""
    looked = record.after.at if record.after is not None else record.now
    return sum(
        (
            each.quantity
            for each in case.executions
            if each.instrument == name and each.at >= looked
        ),
        Decimal(0),
    )


def _nothing_unexplained(case: Case, record: RunRecord, place: int) -> Iterator[Violation]:
    """Yield what of ours still works at the venue and the last run does not tell of."""
    left = {
        each.reference
        for each in (*record.orders, *record.cancelled)
        if each.status not in (OrderStatus.REJECTED, OrderStatus.NOT_SENT)
    }
    flagged = {flag.subject for flag in record.flags if flag.severity is not Severity.NOTE}
    for order in case.rebalancing:
        explained = order.reference in left or order.instrument in flagged or RUN in flagged
        if order.live and not explained:
            yield Violation(
                CONVERGED,
                f"{order.reference} ({order.remaining:f} {order.instrument}) still works and the "
                "last run does not say so",
                place,
            )

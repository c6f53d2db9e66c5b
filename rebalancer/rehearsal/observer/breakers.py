"""What was forbidden was not done: HALT files, flags, states, latches, protection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import NEVER, RUN, LatchedFlag, Severity, Step, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import LIQUIDATION
from rebalancer.model.records import EntryKind, RunRecord
from rebalancer.rehearsal.evidence import RunEvidence, Violation
from rebalancer.rehearsal.observer.case import Case
from rebalancer.rehearsal.observer.ours import Intent, Line
from rebalancer.rehearsal.observer.sizes import sizes_kept

RECENT = timedelta(days=4)
"""So long a run remembers at which prices it left, at least."""

OBEYED, PROTECTED = "breakers-obeyed", "protected"

VERDICTS = frozenset({"order-refused", "order-rejected", "protection-failed", "override"})
"""Flags that are said of one order, not of what may be sent in its instrument."""

LETS_OUT = frozenset(
    {"history-stale", "history-gap", "history-disagrees", "protection-missing", "symbol-loss"}
)
"""HOLDs that the way out of a position does not wait for."""

DOUBTS = frozenset({"unresolved-order", "reconciliation-break", "many-breaks", "corporate-action"})
"""Latched flags that say that it is not known what is held."""


def breakers_obeyed(case: Case) -> Iterator[Violation]:
    """Nothing is sent against a HALT file, a flag, a state or a size; what is latched stays."""
    yield from _against_halt_files(case)
    yield from _against_flags(case)
    yield from _against_states(case)
    yield from _forgotten(case)
    yield from _closed_by_the_venue(case)
    yield from _with_half_a_split(case)
    yield from sizes_kept(case)


def _against_halt_files(case: Case) -> Iterator[Violation]:
    """Yield what went out while a HALT file stood, but for the end of orders."""
    free: tuple[int, str] | None = None
    for place, run, arrival in case.arrivals("new", "change", "stop"):
        order, asked = (place, arrival.reference), arrival.message.startswith("hands.")
        # At Binance our hands ask at once; only the first message they were free to send may be
        # under way when the file comes.
        exact = asked or (case.evidence.venue == "binance" and order != free)
        free = order if asked and not arrival.halt else None
        # A message that was under way when the file came is not the program's fault; a stop
        # belongs to a ladder that was begun before.
        if arrival.halt and (run.halt or (exact and arrival.verb != "stop")):
            yield Violation(
                OBEYED,
                f"{arrival.message} {arrival.reference} went out while a HALT file stood",
                place,
            )


def _against_flags(case: Case) -> Iterator[Violation]:
    """Yield intents that were journaled and sent after a flag that forbids them."""
    for slot, lines in case.ours.journals.items():
        for place, line in enumerate(lines):
            if line.get("kind") != "intents":
                continue
            before = [
                each["flag"]
                for each in lines[:place]
                if each.get("kind") == "flag" and each["attempt"] == line["attempt"]
            ]
            for plain in line["orders"]:
                intent = case.ours.intents[plain["reference"]]
                if case.ours.command(slot, line["attempt"]):
                    before = [flag for flag in before if not _for_runs(flag["code"])]
                words = _forbidden(before, intent)
                if words and _went_out(case, intent):
                    yield Violation(
                        OBEYED,
                        f"{intent.reference} ({intent.quantity:f} {intent.instrument}) in spite "
                        f"of {words}",
                        case.run_of(slot, line["attempt"]),
                    )


def _for_runs(code: str) -> bool:
    """Return whether a flag stops runs and not the owner: breakers, what he expects of the value.

    What makes doubtful what is held stops him, too.
    """
    kind = FLAG_TABLE.get(code)
    latched = kind is not None and kind.latched
    return code not in DOUBTS and (latched or code in ("mode-kept", "net-liquidation-range"))


def _forbidden(flags: list[Line], intent: Intent) -> str:
    """Return the flag that forbids an intent, '' when none does."""
    order = intent.order
    if order is None:
        return ""
    subjects = {str(intent.instrument), f"currency:{order.intent.currency}"}
    for flag in flags:
        code, severity, subject = flag["code"], Severity(flag["severity"]), flag["subject"]
        if severity is Severity.HALT:
            return f"HALT {code}"
        if severity is not Severity.HOLD or code in VERDICTS:
            continue
        reduces = order.intent.reducing or order.reduce_only
        if subject in subjects and not (reduces and code in LETS_OUT):
            return f"HOLD {code} of {subject}"
        if subject == RUN and not reduces:
            return f"HOLD {code} of the run"
    return ""


def _went_out(case: Case, intent: Intent) -> bool:
    """Return whether an order was sent: at the venue, heard on the wire, or asked of our hands."""
    return any(each.reference == intent.reference for each in case.orders) or any(
        arrival.reference == intent.reference and arrival.verb == "new"
        for _, _, arrival in case.arrivals("new")
    )


def _against_states(case: Case) -> Iterator[Violation]:
    """Yield orders sent in HALTED, and those sent in REDUCING that do not reduce."""
    for place, run, arrival in case.arrivals("new"):
        record = case.ours.records.get(run.slot)
        if record is None or record.attempt != run.attempt or record.standing is None:
            continue
        if record.command or record.reached < Step.SUBMIT:
            continue
        state = _state_at_submit(record)
        if state is TradingState.HALTED:
            yield Violation(OBEYED, f"{arrival.reference} was sent in state HALTED", place)
        elif state is TradingState.REDUCING and arrival.held is not None:
            quantity = arrival.quantity or Decimal(0)
            if quantity * arrival.held >= 0 or abs(quantity) > abs(arrival.held):
                yield Violation(
                    OBEYED,
                    f"{arrival.reference}: {quantity:f} on {arrival.held:f} in state REDUCING",
                    place,
                )


def _state_at_submit(record: RunRecord) -> TradingState:
    """Return the state in which orders were sent, as far as flags of earlier steps say."""
    early = [flag for flag in record.flags if flag.step <= Step.NET_LIQUIDATION]
    if any(flag.severity is Severity.HALT for flag in early):
        return TradingState.HALTED
    if any(flag.severity is Severity.HOLD and flag.subject == RUN for flag in early):
        return TradingState.REDUCING
    return TradingState.ACTIVE


def _forgotten(case: Case) -> Iterator[Violation]:
    """Yield what only the owner ends and that is gone in the next record: he does nothing here."""
    for (_, one), (slot, two) in pairwise(case.ours.records.items()):
        if one.standing is None or two.standing is None:
            continue
        there = {(flag.code, flag.subject) for flag in two.standing.latched}
        for flag in one.standing.latched:
            # The record of a run that died was written by a later one, with what that one knew.
            if (
                flag.since <= one.now
                and _only_by_the_owner(flag)
                and (flag.code, flag.subject) not in there
            ):
                yield Violation(
                    OBEYED, f"{flag.code} was latched in {one.slot} and is not in {slot}"
                )


def _closed_by_the_venue(case: Case) -> Iterator[Violation]:
    """Yield what the venue itself traded and our books have, when no HALT is left of it."""
    last = case.ours.last
    if last is None or last.standing is None:
        return
    if any(flag.code == "liquidated" for flag in last.standing.latched):
        return
    for entry in case.ours.entries:
        if entry.kind is EntryKind.FILL and entry.fill.origin == LIQUIDATION:
            yield Violation(
                OBEYED,
                f"{entry.fill.exec_id}: the venue itself traded {entry.fill.quantity:f} "
                f"{entry.fill.instrument}, and nothing is latched for it",
            )


def _with_half_a_split(case: Case) -> Iterator[Violation]:
    """Yield what was sent in a share whose prices were split and whose position was not yet.

    The run before must have seen the position at its old price and found nothing amiss.
    """
    for ahead in case.evidence.ahead:
        before = [run for run in case.evidence.runs if not run.dry and run.ended <= ahead.since]
        if not before or not _accepted(before[-1], ahead.instrument):
            continue
        until = min(ahead.until, before[-1].ended + RECENT)
        for place, _, arrival in case.arrivals("new", "change"):
            if arrival.instrument == ahead.instrument and ahead.since < arrival.at < until:
                yield Violation(
                    OBEYED,
                    f"{arrival.reference} in {ahead.instrument}, of which only the prices were "
                    "split so far",
                    place,
                )


def _accepted(run: RunEvidence, name: InstrumentId) -> bool:
    """Return whether a run saw what was held of a share, with its price, and all was well."""
    record = run.record
    if record is None or record.before is None or run.exit_code or run.killed:
        return False
    return any(
        each.instrument == name and each.quantity and each.price is not None
        for each in record.before.positions
    )


def _only_by_the_owner(flag: LatchedFlag) -> bool:
    kind = FLAG_TABLE.get(flag.code)
    return kind is not None and kind.clears == NEVER


def protected(case: Case) -> Iterator[Violation]:
    """No position that had a confirmed stop was without one while it was held."""
    for place, run in enumerate(case.evidence.runs):
        for words in run.naked:
            yield Violation(PROTECTED, words, place)

"""What the owner is told is what happened: record, exit code, mails."""

from __future__ import annotations

from collections.abc import Iterator

from rebalancer.model.flags import RUN, Severity
from rebalancer.model.orders import execution_revision
from rebalancer.model.records import EntryKind, Outcome, RunRecord
from rebalancer.rehearsal.evidence import RunEvidence, Violation
from rebalancer.rehearsal.observer.case import Case
from rebalancer.rehearsal.observer.committed import uncommitted
from rebalancer.rehearsal.observer.mailed import DAILY, unbroken, untold
from rebalancer.reports.numbers import money

TRUE = "truthful-report"


def truthful_report(case: Case) -> Iterator[Violation]:
    """Yield where record, exit code and mails do not say what venue and books say."""
    for place, run in enumerate(case.evidence.runs):
        if run.killed or run.record is None or run.dry:
            continue
        for words in (*_record(case, run, run.record), *_code(run, run.record)):
            yield Violation(TRUE, words, place)
        for words in _mails(run, run.record):
            yield Violation(TRUE, words, place)
    for words in (*_silently(case), *uncommitted(case)):
        yield Violation(TRUE, words)
    for place, words in untold(case):
        yield Violation(TRUE, words, place)


def _silently(case: Case) -> Iterator[str]:
    """Yield positions that were booked as the venue has them, and nobody was told.

    The line that takes back an execution of an adjusted position stands beside that execution:
    nothing is the matter with it.
    """
    told = {
        (slot, flag["code"], flag["subject"])
        for slot, lines in case.ours.journals.items()
        for flag in (line["flag"] for line in lines if line.get("kind") == "flag")
    }
    told |= {
        (slot, flag.code, flag.subject)
        for slot, record in case.ours.records.items()
        for flag in record.flags
    }
    for entry in case.ours.entries:
        name = entry.fill.instrument
        adjusted = entry.kind is EntryKind.ADJUSTMENT and entry.fill.exec_id.startswith("adjust:")
        if adjusted and (entry.slot, "books-adjusted", name) not in told:
            yield f"{name} was adjusted by {entry.fill.quantity:f} in {entry.slot}, silently"
    for slot, record in case.ours.records.items():
        if record.standing is None or record.after is None or record.command:
            continue
        latched = {flag.subject for flag in record.standing.latched}
        for name in record.standing.gaps:
            named = {subject for at, _, subject in told if at == slot}
            if not {name, RUN} & (latched | named):
                yield f"{name} is not as the books say after {slot}, and nothing says so"


def _record(case: Case, run: RunEvidence, record: RunRecord) -> Iterator[str]:
    """Compare a record with the venue's executions and our books."""
    if (record.slot, record.portfolio) != (run.slot, case.evidence.portfolio):
        yield f"its record is of {record.portfolio} at {record.slot}"
    theirs = {case.family(each): each for each in case.executions}
    for fill in record.fills:
        execution = theirs.get(execution_revision(fill.exec_id)[0])
        if execution is None:
            yield f"its record has the execution {fill.exec_id}, the venue has not"
        elif execution.id == fill.exec_id and fill.quantity != execution.quantity:
            yield f"its record has {fill.quantity:f} for {fill.exec_id}"
    there = {each.reference for each in case.orders}
    for order in record.orders:
        if order.filled and order.reference not in there:
            yield f"its record has an order {order.reference} that traded and is not at the venue"
    seen, row = record.after, record.equity
    if seen is not None and row is not None and row.net_liquidation != seen.net_liquidation:
        yield "its equity row has another net liquidation than the account it saw"


def _code(run: RunEvidence, record: RunRecord) -> Iterator[str]:
    """Compare the exit code with what is in the record."""
    if run.exit_code is not None and run.exit_code != record.exit_code:
        yield f"the process ended with {run.exit_code}, its record says {record.exit_code}"
    halted = any(flag.severity is Severity.HALT for flag in record.flags)
    if halted and record.exit_code == 0 and not record.command:
        yield "it was halted and ended with 0"
    if record.outcome is Outcome.FINISHED and halted and not record.command:
        yield "it was halted and calls itself finished"
    if record.outcome is Outcome.FAILED and record.exit_code == 0 and record.reached < 10:
        yield "it failed and ended with 0"


def _mails(run: RunEvidence, record: RunRecord) -> Iterator[str]:
    """Yield daily mails of this run without the net liquidation of its record."""
    if not run.mails or record.after is None:
        return
    worth = money(record.after.net_liquidation, record.after.rates.base)
    stamp = unbroken(f"figures as of the run of {record.slot:%Y-%m-%d %H:%M} UTC")
    for subject, text in run.mails:
        if DAILY.search(subject) and stamp in unbroken(text) and worth not in text:
            yield f"the mail {subject!r} does not say {worth}"

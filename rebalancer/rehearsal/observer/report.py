"""What the owner is told is what happened: record, exit code, mails."""

from __future__ import annotations

from collections.abc import Iterator

from rebalancer.model.flags import Severity
from rebalancer.model.orders import execution_revision
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.rehearsal.evidence import RunEvidence, Violation
from rebalancer.rehearsal.observer.case import Case
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
    for subject, text in run.mails:
        stamp = f"{record.slot:%Y-%m-%d %H:%M}"
        if _is_daily(subject) and stamp in text and worth not in text:
            yield f"the mail {subject!r} does not say {worth}"


def _is_daily(subject: str) -> bool:
    return any(word in subject for word in ("start", "middle", "end"))

"""Steps 8 to 12: what happened goes to the books, to the owner and to the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rebalancer.errors import DeadlineExceeded, OutcomeUnknown, RebalancerError, RunHalted
from rebalancer.ledger import trade_records
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import ErrorFlag, Step, halted
from rebalancer.model.plan import Plan
from rebalancer.model.records import Mail, Outcome, RunRecord, Standing
from rebalancer.ports import Desk, Venue
from rebalancer.reports.alerts import alert_mails
from rebalancer.reports.daily import daily_mails
from rebalancer.reports.owed import owed_mails, passed_over
from rebalancer.working.bookkeeping import book_fills, slot_of
from rebalancer.working.books import marks_after, split_doubts, unaccepted
from rebalancer.working.conduct import plan_remembered
from rebalancer.working.counters import count_orders, count_trades
from rebalancer.working.due import commit_owed
from rebalancer.working.healing import find_gaps
from rebalancer.working.income import book_income
from rebalancer.working.lots import wanted_lots
from rebalancer.working.page import RunPage
from rebalancer.working.record import build_record, latch
from rebalancer.working.untraded import PATIENCE, find_untraded, untraded

MOST_LOOKS = 5
KEEP_UNPACKED = timedelta(days=90)
"""Runs older than this are packed once their session is in the database."""


def log_trades(desk: Desk, venue: Venue, page: RunPage) -> None:
    """Book what this run's orders traded.

    Their commissions are awaited for a moment, and executions that the venue's own word about
    an ended order promises.
    """
    until = venue.now() + PATIENCE
    for fill in venue.executions(page.slot):
        page.saw(fill)
    while venue.now() < until and (_unpaid(page) or untraded(desk, page)):
        for event in venue.wait(until):
            page.saw(event)
    find_untraded(desk, venue, page, until)
    book_fills(desk, page, tuple(page.fills.values()))
    if pending := _unpaid(page):
        page.flag("commission-late", f"{pending} executions are still without their commission")


def _unpaid(page: RunPage) -> int:
    """Return how many executions of this run are without their commission."""
    return sum(1 for fill in page.fills.values() if fill.commission is None)


def snapshot(desk: Desk, venue: Venue, page: RunPage) -> None:
    """Keep where the account stands now; a break between books and venue is latched."""
    after = page.keep(_settled_account(desk, venue, page))
    book_income(desk, venue, after, page)
    page.now = venue.now()
    for broken in find_gaps(desk, venue, after, page):
        message = (
            f"after the run the books say {broken.expected:f} of {broken.instrument}, "
            f"the venue {broken.found:f}; locked until they agree"
        )
        page.flag("reconciliation-break", message, broken.instrument)
        latch(page, "reconciliation-break", broken.instrument, message)
    close_record(desk, page, after)


def _settled_account(desk: Desk, venue: Venue, page: RunPage) -> AccountSnapshot:
    """Return the account with every execution that it shows in the books.

    An order left working may trade between the two looks; then both are taken again.
    """
    account = venue.account()
    for _ in range(MOST_LOOKS):
        known = set(page.fills)
        for fill in venue.executions(page.slot):
            page.saw(fill)
        if set(page.fills) == known:
            break
        book_fills(desk, page, tuple(page.fills.values()))
        account = venue.account()
    return account


def close_record(desk: Desk, page: RunPage, after: AccountSnapshot | None) -> None:
    """Latch what stays unknown, save what is remembered, then write the record."""
    latch_unresolved(page)
    failed, plan = page.failure is not None, page.last(Plan)
    lots = page.standing.sleeve_lots
    if plan is not None and not failed and not halted(page.flags):
        lots = wanted_lots(lots, plan.sleeve_lots, split_doubts(page.standing))
    failures = page.standing.failed_runs if page.command or failed else 0
    page.standing = replace(
        page.standing,
        sleeve_lots=lots,
        failed_runs=failures + 1 if failed and not page.command else failures,
    )
    page.standing = plan_remembered(desk, page)
    count_trades(desk, page, after or page.first_account)
    count_orders(page)
    if after is not None and all(amount.is_finite() for amount in after.cash.values()):
        page.standing = replace(
            page.standing,
            accepted_cash=dict(after.cash),
            accepted_entries=len(desk.books.entries()),
            marks=marks_after(page.standing, after),
        )
    if failed or halted(page.flags):
        page.standing = unaccepted(page)
    if page.halted:
        page.worsen(RunHalted.exit_code)
    if any(flag.code == "deadline" for flag in page.flags):
        page.worsen(DeadlineExceeded.exit_code)
    record = build_record(desk, page, after)
    page.remember()
    save(desk, page, record)
    page.record = record
    page.end()


def save(desk: Desk, page: RunPage, record: RunRecord) -> None:
    """Write a record, the trades view and the host's facts."""
    desk.books.save_record(record, dict(desk.host) | page.host, trade_records(desk.books.entries()))


def latch_unresolved(page: RunPage) -> None:
    """Latch every order of this run whose fate the venue has not told."""
    for reference in page.unacknowledged():
        order = page.intents[reference]
        message = (
            f"order {reference} ({order.quantity:f} {order.instrument}) may or may not be at the "
            "venue; nothing is sent in it until the venue proves its fate"
        )
        page.flag_quietly("unresolved-order", message, order.instrument)
        latch(page, "unresolved-order", order.instrument, message, evidence=f"{reference}|")
        page.worsen(OutcomeUnknown.exit_code)


def send_alert(desk: Desk, page: RunPage) -> None:
    """Mail what is new and grave, and what has ended; queued mails are tried again.

    A run that ended before its alert has it sent by the next one. A second alert of the same
    run (a report failed after the first) is a mail of its own.
    """
    flags: list[ErrorFlag] = []
    before = page.standing.alerts
    for record in (*page.untold, page.record):
        decision = alert_mails(record, _as_of(record, page))
        mails = tuple(_unsent(mail, page.mailed) for mail in decision.mails)
        raised = desk.post.send(mails)
        page.mailed |= {mail.key for mail in mails}
        flags += raised
        if not _lost(mails, raised):
            page.standing = replace(page.standing, alerts=decision.alerts)
    page.untold = ()  # told once more after this run's own alert, it would say that one is over
    # Only now what the disk may refuse: no alert is to wait for it.
    if page.standing.alerts != before:
        page.remember()
    _raise_all(page, flags)
    page.told()


def _as_of(record: RunRecord, page: RunPage) -> Standing:
    """Return what is remembered, with the latches that stood when a record was written.

    Else the alert of an earlier run, which may have gone out already, would tell for the first
    and last time what only this one saw.
    """
    if record is page.record or record.standing is None:
        return page.standing
    return replace(page.standing, latched=record.standing.latched)


def _lost(mails: Sequence[Mail], flags: Sequence[ErrorFlag]) -> set[str]:
    """Return the keys of mails that neither the server nor the disk took."""
    return {mail.key for mail in mails} & {flag.subject for flag in flags}


def _unsent(mail: Mail, sent: Collection[str]) -> Mail:
    """Return a mail under a key that none of this run's has: one key is sent once."""
    while mail.key in sent:
        mail = replace(mail, key=f"{mail.key}:again", name=f"{mail.name}-again")
    return mail


def send_daily(desk: Desk, page: RunPage) -> None:
    """Mail the session's start, middle and end when they are owed; a lost one is owed again."""
    owed = owed_mails(desk.sessions, page.standing, page.now, desk.session_mails)
    if not owed:
        return
    dates = sorted({each.session.date for each in owed})
    earlier = tuple(record for date in dates for record in desk.books.records(date))
    mails = daily_mails(
        page.record,
        earlier,
        desk.books.equity(),
        desk.sessions,
        page.standing,
        desk.session_mails,
        pictures=desk.pictures,
    )
    flags = desk.post.send(mails)
    _raise_all(page, flags)
    lost = _lost(mails, flags)
    taken = [mail.key.rpartition(":") for mail in mails if mail.key not in lost]
    marks = {kind: date for kind, _, date in taken}
    if lost:
        marks |= passed_over(desk.sessions, page.standing, page.now, desk.session_mails)
    page.remember(due=dict(page.standing.due) | marks)


def commit(desk: Desk, page: RunPage) -> None:
    """Commit the sessions that are owed to the database; what fails is owed again."""
    minutes = desk.commit_after_close_minutes
    closed = commit_owed(desk.sessions, page.standing, page.now, minutes)
    if closed is None:
        return
    flags = desk.database.catch_up(desk.books, desk.sessions, page.now)
    _raise_all(page, flags)
    if not flags:
        page.remember(due=dict(page.standing.due) | {"commit": closed.isoformat()})
        desk.books.pack(page.now - KEEP_UNPACKED, _still_needed(desk, page))


def _still_needed(desk: Desk, page: RunPage) -> frozenset[datetime]:
    """Return the slots whose journals tell of orders that are still unresolved."""
    references = [flag.evidence.partition("|")[0] for flag in page.standing.latched]
    slots = (slot_of(reference, desk.portfolio) for reference in references)
    return frozenset(slot for slot in slots if slot is not None)


def close_after_failure(desk: Desk, page: RunPage) -> None:
    """Do what steps 8 to 12 are for after an error, from what the page knows.

    Each part is tried whatever became of the one before; a record is always made, if only
    in memory, so that the caller can say what happened. It is written only when the executions
    are in the books: else the next run finishes this one from its journal and the venue.
    """
    if page.has_record:
        # A report that failed is a flag of its own; a step before it is the run's own failure.
        outcome = page.record.outcome if page.at_step >= Step.ALERT else Outcome.FAILED
        page.record = replace(
            page.record, outcome=outcome, flags=page.flags, exit_code=page.exit_code
        )
        _try(page, lambda: save(desk, page, page.record))
    else:
        if _try(page, lambda: book_fills(desk, page, tuple(page.fills.values()))):
            _try(page, lambda: close_record(desk, page, None))
        if not page.has_record:
            page.worsen(9)
            page.record = build_record(desk, page, None)
    if page.at_step < Step.ALERT:
        _try(page, lambda: send_alert(desk, page))
    if page.at_step < Step.DAILY_UPDATE:
        _try(page, lambda: send_daily(desk, page))
    if page.at_step < Step.DATABASE:
        _try(page, lambda: commit(desk, page))
    _try(page, lambda: send_alert(desk, page))  # what went wrong since, often nothing


def _try(page: RunPage, action: Callable[[], object]) -> bool:
    """Return whether something could be done; what stopped it is flagged."""
    try:
        action()
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        page.host.setdefault("troubles", []).append(words)
        page.flag_quietly("report-failed" if page.has_record else "books-unwritten", words)
        if isinstance(error, RebalancerError) and not page.has_record:
            page.worsen(error.exit_code)
        return False
    return True


def _raise_all(page: RunPage, flags: Iterable[ErrorFlag]) -> None:
    for flag in flags:
        page.raised(flag)

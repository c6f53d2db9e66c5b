"""Whether there is anything to do now; outside the session most hours there is not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Standing
from rebalancer.model.sessions import SessionTable
from rebalancer.ports import Books
from rebalancer.reports.owed import owed_mails

KEPT = timedelta(days=1)
"""So long after a close its executions are fetched: by then a midnight has passed, in whatever
zone the venue has it, and a venue that forgets them at midnight has none any more."""


def why_due(
    books: Books,
    sessions: SessionTable,
    now: datetime,
    *,
    mails: tuple[str, ...],
    commit_after_close_minutes: float,
) -> str | None:
    """Return what makes a run due at `now`, None when nothing does.

    Due: a session is open, a mail or a database commit is owed, an order is unresolved, an
    earlier run is unfinished, or orders were left working and may have traded since. These are
    due until a run has read the executions, however many could not connect meanwhile.
    """
    if sessions.current(now) is not None:
        return "the session is open"
    standing = books.standing()
    last = books.last_record()
    if books.unfinished():
        return "an earlier run is unfinished"
    if any(flag.code == "unresolved-order" for flag in standing.latched):
        return "an order is unresolved"
    if last is not None and any(not order.status.terminal for order in last.orders):
        return "orders were left working"
    if last is not None and owed_mails(sessions, standing, now, mails):
        return "a mail is owed"
    if last is not None and commit_owed(sessions, standing, now, commit_after_close_minutes):
        return "a database commit is owed"
    if _unread(books, sessions, standing, now):
        return "what orders traded that were left working has not been read since the close"
    return None


def _unread(books: Books, sessions: SessionTable, standing: Standing, now: datetime) -> bool:
    """Return whether the last session left orders working and no run read executions after it."""
    closed, read = sessions.last_closed(now), standing.executions_read
    if closed is None or now >= closed.close + KEPT or (read is not None and read >= closed.close):
        return False
    told: Mapping[str, OrderStatus] = {
        order.reference: order.status
        for record in books.records(closed.date)
        for order in (*record.cancelled, *record.orders)
    }
    return not all(status.terminal for status in told.values())


def commit_owed(
    sessions: SessionTable, standing: Standing, now: datetime, minutes: float
) -> date | None:
    """Return the date of the last closed session if its commit is owed at `now`, else None."""
    closed = sessions.last_closed(now - timedelta(minutes=minutes))
    if closed is None or standing.due.get("commit", "") >= closed.date.isoformat():
        return None
    return closed.date

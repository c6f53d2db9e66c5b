"""Which slot a paper run plays next when nobody says: market time is the recording's."""

from __future__ import annotations

from datetime import datetime, timedelta

from rebalancer.model.sessions import SessionTable

MOST_STEPS = 24 * 60
"""How many intervals are looked through before giving up (60 days of hours)."""


def next_paper_slot(
    after: datetime, interval: timedelta, sessions: SessionTable, commit_after_close: timedelta
) -> datetime | None:
    """Return the first slot after `after` on its grid in which a run is due by the clock.

    Due by the clock: a session is open, or it is the first slot after a session's commit
    time. None when the calendar ends before one is found.
    """
    slot = after
    for _ in range(MOST_STEPS):
        slot += interval
        try:
            latest = sessions.latest(slot)
        except LookupError:
            continue
        if latest.contains(slot):
            return slot
        commit_at = latest.close + commit_after_close
        if commit_at <= slot < commit_at + interval and not latest.always:
            return slot
    return None

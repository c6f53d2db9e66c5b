"""Trading sessions as values: when a market is open, and which date a time belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Session:
    """One trading session: its date and its opening and closing times (UTC).

    A venue that never closes has one session a UTC day, `always` True; its sessions meet
    (`close` of one is `open` of the next).
    """

    date: date
    open: datetime
    close: datetime
    always: bool = False
    half_day: bool = False

    @property
    def middle(self) -> datetime:
        """Return the time half-way between open and close."""
        return self.open + (self.close - self.open) / 2

    def contains(self, at: datetime) -> bool:
        """Return whether `at` is in [open, close)."""
        return self.open <= at < self.close


@dataclass(frozen=True, slots=True)
class SessionTable:
    """Consecutive sessions of one calendar, oldest first; answers questions about times.

    Raises `LookupError` when asked about a time before its first session.
    """

    calendar: str
    sessions: Sequence[Session]

    def current(self, at: datetime) -> Session | None:
        """Return the session that is open at `at`, or None."""
        latest = self.latest(at)
        return latest if latest.contains(at) else None

    def latest(self, at: datetime) -> Session:
        """Return the last session that opened at or before `at`."""
        low, high = 0, len(self.sessions)
        while low < high:
            middle = (low + high) // 2
            if self.sessions[middle].open <= at:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            raise LookupError(f"calendar {self.calendar}: no session at or before {at:%Y-%m-%d}")
        return self.sessions[low - 1]

    def last_closed(self, at: datetime) -> Session | None:
        """Return the last session that closed at or before `at`, or None."""
        closed = [session for session in self.sessions if session.close <= at]
        return closed[-1] if closed else None

    def next_open(self, at: datetime) -> Session | None:
        """Return the first session that opens after `at`, or None beyond the table."""
        return next((session for session in self.sessions if session.open > at), None)

    def between(self, first: date, last: date) -> tuple[Session, ...]:
        """Return the sessions with `first <= date <= last`."""
        return tuple(session for session in self.sessions if first <= session.date <= last)


@dataclass(frozen=True, slots=True)
class OrderWindow:
    """When orders may be sent within a session: not in its first and last minutes."""

    after_open: timedelta = timedelta(minutes=15)
    before_close: timedelta = timedelta(minutes=5)

    def is_open(self, session: Session | None, at: datetime) -> bool:
        """Return whether `at` is inside the window of `session` (None: closed)."""
        if session is None:
            return False
        if session.always:
            return session.contains(at)
        return session.open + self.after_open <= at < session.close - self.before_close

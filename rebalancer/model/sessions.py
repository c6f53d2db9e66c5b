"""Trading sessions as values: when a market is open, and which date a time belongs to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import overload

_FIRST_MINUTE = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_FIRST_DAY = _FIRST_MINUTE.date().toordinal()


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


class PackedSessions(Sequence[Session]):
    """Many sessions as columns of integers; a `Session` is made when one is looked at.

    `days` counts days and `opens` and `closes` minutes since 1970-01-01 UTC, increasing;
    `half_days` holds the days (as in `days`) that close early. `always` is for a venue
    that never closes.
    """

    __slots__ = ("_always", "_closes", "_days", "_half_days", "_opens")

    def __init__(
        self,
        days: Sequence[int],
        opens: Sequence[int],
        closes: Sequence[int],
        half_days: frozenset[int] = frozenset(),
        *,
        always: bool = False,
    ) -> None:
        self._days, self._opens, self._closes = days, opens, closes
        self._half_days, self._always = half_days, always

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self._days)

    @overload
    def __getitem__(self, place: int) -> Session: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Session]: ...
    def __getitem__(self, place: int | slice) -> Session | Sequence[Session]:
        """Return one session, or several."""
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self))))
        day = self._days[place]
        return Session(
            date=date.fromordinal(_FIRST_DAY + day),
            open=_FIRST_MINUTE + timedelta(minutes=self._opens[place]),
            close=_FIRST_MINUTE + timedelta(minutes=self._closes[place]),
            always=self._always,
            half_day=day in self._half_days,
        )

    def opened(self, at: datetime) -> int:
        """Return how many sessions opened at or before `at`, without unpacking any."""
        return bisect_right(self._opens, (at - _FIRST_MINUTE) // _MINUTE)

    def closed(self, at: datetime) -> int:
        """Return how many sessions closed at or before `at`, without unpacking any."""
        return bisect_right(self._closes, (at - _FIRST_MINUTE) // _MINUTE)


def day_number(day: date) -> int:
    """Return the days from 1970-01-01 to `day`, as `PackedSessions` counts them."""
    return day.toordinal() - _FIRST_DAY


def every_day(first: date, last: date) -> PackedSessions:
    """Return the sessions of a venue that never closes: UTC days, `first` and `last` included."""
    days = range(day_number(first), day_number(last) + 1)
    start, stop = days.start * 1440, days.stop * 1440
    return PackedSessions(
        days, range(start, stop, 1440), range(start + 1440, stop + 1440, 1440), always=True
    )


def _date(session: Session) -> date:
    return session.date


def _open(session: Session) -> datetime:
    return session.open


def _close(session: Session) -> datetime:
    return session.close


@dataclass(frozen=True, slots=True)
class SessionTable:
    """Consecutive sessions of one calendar, oldest first; answers questions about times.

    Dates, openings and closings all increase: every question is a bisection.
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
        opened = self._opened(at)
        if opened == 0:
            raise LookupError(f"calendar {self.calendar}: no session at or before {at:%Y-%m-%d}")
        return self.sessions[opened - 1]

    def last_closed(self, at: datetime) -> Session | None:
        """Return the last session that closed at or before `at`, or None."""
        if isinstance(self.sessions, PackedSessions):
            closed = self.sessions.closed(at)
        else:
            closed = bisect_right(self.sessions, at, key=_close)
        return self.sessions[closed - 1] if closed else None

    def next_open(self, at: datetime) -> Session | None:
        """Return the first session that opens after `at`, or None beyond the table."""
        opened = self._opened(at)
        return self.sessions[opened] if opened < len(self.sessions) else None

    def _opened(self, at: datetime) -> int:
        """Return how many sessions opened at or before `at`."""
        if isinstance(self.sessions, PackedSessions):
            return self.sessions.opened(at)
        return bisect_right(self.sessions, at, key=_open)

    def between(self, first: date, last: date) -> tuple[Session, ...]:
        """Return the sessions with `first <= date <= last`."""
        start = bisect_left(self.sessions, first, key=_date)
        stop = bisect_right(self.sessions, last, key=_date)
        return tuple(self.sessions[place] for place in range(start, stop))


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

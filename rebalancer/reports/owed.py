"""Which of the session's mails are owed now; cheap, because every hour asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rebalancer.model.records import Standing
from rebalancer.model.sessions import Session, SessionTable

KINDS = ("start", "middle", "end")
"""The session's mails, in the order of the day."""

LATE = timedelta(hours=2)
"""A mail that goes out later than this after its time says so."""


@dataclass(frozen=True, slots=True)
class OwedMail:
    """One mail that is owed: of which session, since when, and whether that is long ago."""

    kind: str
    session: Session
    since: datetime
    late: bool

    @property
    def mark(self) -> str:
        """Return the name under which `Standing.due` remembers it."""
        return f"mail:{self.kind}"

    @property
    def key(self) -> str:
        """Return what makes it one mail: `mail:start:2020-03-02`."""
        return f"{self.mark}:{self.session.date.isoformat()}"


def owed_mails(
    sessions: SessionTable, standing: Standing, now: datetime, kinds: Sequence[str] = KINDS
) -> tuple[OwedMail, ...]:
    """Return the mails that are owed at `now`, oldest first, often none.

    Of each kind only the newest session's is owed. A portfolio that never sent any owes the
    newest one only, and a kind that was never sent is not owed for what lies before the
    newest mail that was: nobody wants the mails of a time in which nothing ran. Raises
    `ValueError` for a kind that is none of `KINDS`.
    """
    due = _due(sessions, now, kinds)
    sent = [
        (standing.due[f"mail:{kind}"], place)
        for place, kind in enumerate(KINDS)
        if f"mail:{kind}" in standing.due
    ]
    if not sent:
        return tuple(due[-1:])
    return tuple(owed for owed in due if _is_owed(owed, standing, max(sent)))


def passed_over(
    sessions: SessionTable, standing: Standing, now: datetime, kinds: Sequence[str] = KINDS
) -> Mapping[str, str]:
    """Return the marks of what a portfolio that never sent any does not owe at `now`.

    With these among `Standing.due`, the one that it owes stays owed when it is lost, also when
    a newer one joins it. Empty for a portfolio that has sent one.
    """
    if any(f"mail:{kind}" in standing.due for kind in KINDS):
        return {}
    older = _due(sessions, now, kinds)[:-1]
    return {owed.mark: owed.session.date.isoformat() for owed in older}


def _due(sessions: SessionTable, now: datetime, kinds: Sequence[str]) -> list[OwedMail]:
    """Return the newest mail of each kind whose time has come, oldest first."""
    due = [owed for kind in kinds if (owed := _newest(sessions, kind, now)) is not None]
    return sorted(due, key=_rank)


def _is_owed(owed: OwedMail, standing: Standing, newest_sent: tuple[str, int]) -> bool:
    if owed.mark in standing.due:
        return standing.due[owed.mark] < owed.session.date.isoformat()
    return _rank(owed) > newest_sent


def _rank(owed: OwedMail) -> tuple[str, int]:
    return owed.session.date.isoformat(), KINDS.index(owed.kind)


def _newest(sessions: SessionTable, kind: str, now: datetime) -> OwedMail | None:
    """Return the newest mail of a kind whose time has come, None before the first session."""
    try:
        session = sessions.latest(now)
        if _time(session, kind) > now:
            session = sessions.latest(session.open - timedelta(microseconds=1))
    except LookupError:
        return None
    since = _time(session, kind)
    return OwedMail(kind, session, since, late=_late(sessions, session, since, now))


def _late(sessions: SessionTable, session: Session, since: datetime, now: datetime) -> bool:
    """Return whether two hours or the opening of a later session lie in between.

    Where sessions meet, the end of one is the opening of the next: that alone is not late.
    """
    following = sessions.next_open(session.open)
    next_began = following is not None and since < following.open <= now
    return now - since > LATE or next_began


def _time(session: Session, kind: str) -> datetime:
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no session mail; there are {', '.join(KINDS)}")
    return {"start": session.open, "middle": session.middle, "end": session.close}[kind]

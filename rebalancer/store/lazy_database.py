"""The door to the database: decides cheaply whether a commit is owed, and only then loads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from rebalancer.errors import StateError
from rebalancer.model.codec import to_json
from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step
from rebalancer.model.records import SCHEMA, Entry, TradeRecord
from rebalancer.model.sessions import Session, SessionTable
from rebalancer.ports import Books, Database
from rebalancer.store.atomic import Files
from rebalancer.store.schema import read_object

MARKER = "committed"
DATABASE = "rebalancer.db"


def owed_sessions(
    sessions: SessionTable, committed_until: date | None, now: datetime, minutes: float
) -> tuple[Session, ...]:
    """Return the sessions whose commit is owed at `now`, oldest first, often none.

    A session is owed from `minutes` after its close. With nothing committed so far
    (None) the last one stands for all.
    """
    closed = sessions.last_closed(now - timedelta(minutes=minutes))
    if closed is None or (committed_until is not None and committed_until >= closed.date):
        return ()
    if committed_until is None:
        return (closed,)
    return sessions.between(committed_until + timedelta(days=1), closed.date)


class LazyDatabase:
    """`ports.Database` that loads SQLAlchemy only when a session is owed.

    `url` None: a SQLite file in `folder`, for its owner alone. `view` makes trades of the
    lines of `fills.jsonl` (`ledger.trade_records`). The file `committed` remembers until when
    which database has everything; without it the database itself is asked.
    """

    def __init__(
        self,
        folder: Path,
        files: Files,
        portfolio: str,
        view: Callable[[Sequence[Entry]], Sequence[TradeRecord]],
        *,
        url: str | None = None,
        minutes: float = 20.0,
    ) -> None:
        self._folder, self._files, self._portfolio = folder, files, portfolio
        self._view, self._minutes = view, minutes
        self._local = folder / DATABASE if url is None else None
        self._url = url or f"sqlite:///{(folder / DATABASE).absolute()}"

    def catch_up(
        self, books: Books, sessions: SessionTable, now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Commit every session that is owed at `now`; a NOTE says what is late and why."""
        try:
            owed = owed_sessions(sessions, self._committed_until(), now, self._minutes)
            if not owed:
                return ()
            if self._local is not None:  # made by us, so that nobody else may read it
                self._files.append(self._local, b"", durable=False)
            flags = self._load().catch_up(books, sessions, now)
            if not flags:
                self._remember(owed[-1].date)
        except StateError as error:
            message = f"the database commit waits for the next run: {error}"
            return (ErrorFlag(Step.DATABASE, "database-late", RUN, Severity.NOTE, message),)
        return flags

    def _load(self) -> Database:
        from rebalancer.store.sql.database import SqlDatabase  # noqa: PLC0415 - loads SQLAlchemy

        return SqlDatabase(self._url, self._portfolio, self._view, minutes=self._minutes)

    def _committed_until(self) -> date | None:
        """Return until when this very database has everything; None when that is not known."""
        path = self._folder / MARKER
        try:
            plain = read_object(self._files, path, keep=False)
            if plain["database"] != self._fingerprint() or not self._is_there():
                return None
            return date.fromisoformat(plain["session"])
        except (StateError, KeyError, TypeError, ValueError):
            return None

    def _remember(self, session: date) -> None:
        marker = {"schema": SCHEMA, "database": self._fingerprint(), "session": session}
        self._files.replace(self._folder / MARKER, f"{to_json(marker)}\n".encode("ascii"))

    def _fingerprint(self) -> str:
        """Return which database it is, without saying so: the URL may hold a password."""
        return sha256(self._url.encode()).hexdigest()[:16]

    def _is_there(self) -> bool:
        return self._local is None or self._files.exists(self._local)


class NoDatabase:
    """A `ports.Database` that commits nothing: a dry run's."""

    def catch_up(
        self, _books: Books, _sessions: SessionTable, _now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Commit nothing."""
        return ()

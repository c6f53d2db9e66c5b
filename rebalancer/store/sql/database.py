"""Commits closed sessions: one transaction, written day by day, each day anew in one piece."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    create_engine,
    delete,
    event,
    func,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError

from rebalancer.errors import ConfigError, DeadlineExceeded, Interrupted, Problem, StateError
from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step
from rebalancer.model.records import Entry, TradeRecord
from rebalancer.model.sessions import SessionTable
from rebalancer.ports import Books
from rebalancer.store.sql.rows import Day, day_rows
from rebalancer.store.sql.tables import (
    OF_A_DAY,
    VERSION,
    commits,
    metadata,
    schema_version,
    trades,
)

TradeView = Callable[[Sequence[Entry]], Sequence[TradeRecord]]

CORRECTED_SESSIONS = 10
"""How many of the newest sessions are written again: corrections arrive late."""

_CONNECT_SECONDS = 5
_LOCK_SECONDS = 5
_SILENCE_SECONDS = 10
_ADVISORY_LOCK = 7_246_325
"""An arbitrary number by which our commits to one PostgreSQL database wait for each other."""


class OutOfTime(Exception):
    """The budget is used up; nothing of this transaction stays."""


class SqlDatabase:
    """`ports.Database` on a SQLAlchemy URL of SQLite or PostgreSQL.

    `view` makes trades of the lines of `fills.jsonl`. A session is owed from `minutes` after
    its close; `budget_seconds` bounds everything that a call does.
    """

    def __init__(
        self,
        url: str,
        portfolio: str,
        view: TradeView,
        *,
        minutes: float = 20.0,
        budget_seconds: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._portfolio, self._view = url, portfolio, view
        self._after_close = timedelta(minutes=minutes)
        self._budget, self._monotonic = budget_seconds, monotonic
        self._end = 0.0

    def catch_up(
        self, books: Books, sessions: SessionTable, now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Commit the sessions that are owed, and the newest ten again; a NOTE when it cannot.

        Only the process's own end (`Interrupted`, `DeadlineExceeded`) is raised. What does not
        fit into the budget is left for the next call, and the NOTE says so.
        """
        self._end = self._monotonic() + self._budget
        try:
            left = self._commit(books, sessions, now)
        except (Interrupted, DeadlineExceeded):
            raise
        except Exception as error:
            return (_late(safe_reason(error, self._url)),)
        return (_late(f"{left} older sessions are left to commit"),) if left else ()

    def _commit(self, books: Books, sessions: SessionTable, now: datetime) -> int:
        """Return how many sessions are left."""
        closed = sessions.last_closed(now - self._after_close)
        if closed is None:
            return 0
        with _engine(parsed_url(self._url), self._budget) as engine, engine.begin() as connection:
            self._open(connection)
            done = set(
                connection.scalars(
                    select(commits.c.session).where(commits.c.portfolio == self._portfolio)
                )
            )
            dates = _dates(books, sessions, closed.date)
            missing = [day for day in dates if day not in done]
            again = [day for day in dates[-CORRECTED_SESSIONS:] if day in done]
            written = self._write(connection, books, sessions, [*missing, *again], now)
            self._bound(connection)
        return max(0, len(missing) - written)

    def _open(self, connection: Connection) -> None:
        """Make the tables where they are missing; refuse those of a newer version."""
        self._bound(connection)
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        metadata.create_all(connection)
        version = connection.scalar(select(func.max(schema_version.c.version)))
        if version is None:
            connection.execute(insert(schema_version).values(version=VERSION))
        elif version != VERSION:
            raise StateError(
                f"its tables are of version {version}, this program writes version {VERSION}"
            )

    def _write(
        self,
        connection: Connection,
        books: Books,
        sessions: SessionTable,
        owed: Sequence[date],
        now: datetime,
    ) -> int:
        """Write days while at least a third of the time is left, one at least; how many."""
        by_day = defaultdict(list)
        for trade in self._view(books.entries()):
            by_day[_session_of(sessions, trade.at)].append(trade)
        points = defaultdict(list)
        for point in books.equity():
            points[point.session].append(point)
        for place, session in enumerate(owed):
            if place and self._left() < self._budget / 3:
                return place
            self._bound(connection)
            day = Day(session, books.records(session), by_day[session], points[session])
            self._write_day(connection, day, now)
        return len(owed)

    def _write_day(self, connection: Connection, day: Day, now: datetime) -> None:
        rows = day_rows(day, self._portfolio)
        for table in OF_A_DAY:
            ours = table.c.portfolio == self._portfolio
            connection.execute(delete(table).where(ours, table.c.session == day.session))
        names = [trade.exec_id for trade in day.trades]
        ours = trades.c.portfolio == self._portfolio  # an execution whose day was corrected
        connection.execute(delete(trades).where(ours, trades.c.exec_id.in_(names)))
        for table in OF_A_DAY:
            if rows[table.name]:
                connection.execute(insert(table), rows[table.name])
        key = {"portfolio": self._portfolio, "session": day.session}
        connection.execute(delete(commits).filter_by(**key))
        connection.execute(insert(commits).values(**key, committed_at=now))

    def _left(self) -> float:
        return self._end - self._monotonic()

    def _bound(self, connection: Connection) -> None:
        """Let no statement from here on take longer than what is left of the budget."""
        left = self._left()
        if left <= 0:
            raise OutOfTime(f"it took longer than {self._budget:g} s")
        if connection.dialect.name == "postgresql":
            milliseconds = max(1, int(left * 1000))
            connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))


def parsed_url(url: str) -> URL:
    """Return a database URL; raises `ConfigError` (without the URL: it may have a password)."""
    problem = Problem(
        "configuration", "database.url", "", "is no URL of SQLite or PostgreSQL",
        "postgresql://user@host/name or sqlite:////folder/name.db",
    )  # fmt: skip
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError) as error:
        raise ConfigError([problem]) from error
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg2")
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError([problem])
    return parsed


def safe_reason(error: Exception, url: str) -> str:
    """Return an error in one line, without the password of `url`."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    reason = "; ".join(lines[:2]) or type(cause).__name__
    try:
        password = make_url(url).password
    except (ArgumentError, ValueError):
        return reason
    for spelling in (str(password), quote(str(password), safe="")) if password else ():
        reason = reason.replace(spelling, "***")
    return reason


@contextmanager
def _engine(url: URL, budget: float) -> Iterator[Engine]:
    sqlite = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = (
        {"timeout": min(_LOCK_SECONDS, budget)}
        if sqlite
        else {
            "connect_timeout": _CONNECT_SECONDS,
            "tcp_user_timeout": _SILENCE_SECONDS * 1000,
            "options": f"-c lock_timeout={_LOCK_SECONDS * 1000} -c timezone=UTC",
            "application_name": "rebalancer",
        }
    )
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    if sqlite:
        event.listen(engine, "connect", _own_transactions)
        event.listen(engine, "begin", _begin)
    try:
        yield engine
    finally:
        engine.dispose()


def _own_transactions(connection: Any, _record: Any) -> None:
    """Keep sqlite3 from opening and closing transactions by itself: tables are made in ours."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _dates(books: Books, sessions: SessionTable, last: date) -> list[date]:
    """Return the session dates from the first run on up to `last`."""
    known = {point.session for point in books.equity()}
    known |= {_session_of(sessions, entry.slot) for entry in books.entries()[:1]}
    if not known:
        record = books.last_record()
        known = set() if record is None or record.session is None else {record.session}
    if not known:
        return []
    known |= {session.date for session in sessions.between(min(known), last)}
    return sorted(day for day in known if day <= last)


def _session_of(sessions: SessionTable, at: datetime) -> date:
    """Return the session date of a time; its own date when it lies before the calendar."""
    try:
        return sessions.latest(at).date
    except LookupError:
        return at.date()


def _late(reason: str) -> ErrorFlag:
    message = f"the database commit waits for the next run: {reason}"
    return ErrorFlag(Step.DATABASE, "database-late", RUN, Severity.NOTE, message)

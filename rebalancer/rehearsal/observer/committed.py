"""The database has what our files have: every committed session, each trade and point once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.model.orders import Fill, execution_revision
from rebalancer.model.records import RunRecord
from rebalancer.rehearsal.evidence import RunEvidence
from rebalancer.rehearsal.observer.case import Case
from rebalancer.rehearsal.observer.ours import standing_of

DATABASE = "rebalancer.db"
LATE = frozenset({"database-late", "report-failed"})
"""Flags of a run that says itself that a commit is not done."""

Row = Mapping[str, Any]


def uncommitted(case: Case) -> Iterator[str]:
    """Yield where the database and our files differ about sessions that are, or must be, in it.

    Only where there is a database. What was booked after a session's last commit is not asked
    for: the next commit has it.
    """
    sessions = case.evidence.sessions
    if not case.evidence.schedule.post or sessions is None:
        return
    commits = {
        date.fromisoformat(row["session"]): datetime.fromisoformat(row["committed_at"])
        for row in _rows(case, "commits")
    }
    for day in sorted(_owed(case) - commits.keys()):
        yield f"the session of {day} is over and not in the database"
    yield from _trades(case, commits)
    yield from _equity(case, commits)


def _rows(case: Case, table: str) -> list[Row]:
    """Return the rows of a table, [] where there is none."""
    path = case.evidence.state / DATABASE
    if not path.is_file():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        known = connection.execute("SELECT name FROM sqlite_master WHERE name = ?", (table,))
        if known.fetchone() is None:
            return []
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608


def _owed(case: Case) -> set[date]:
    """Return the sessions with a run of ours that a later run had to commit, and says nothing."""
    minutes, sessions = timedelta(minutes=case.evidence.commit_minutes), case.evidence.sessions
    owed: set[date] = set()
    seen: set[date] = set()
    for run in case.evidence.runs:
        record = run.record
        if run.dry or run.killed or record is None or sessions is None:
            continue
        closed = sessions.last_closed(run.slot - minutes)
        if closed is not None and not _says_late(case, run, record):
            owed |= {day for day in seen if day <= closed.date}
        if record.session is not None and record.equity is not None:
            seen.add(record.session)
    return owed


def _says_late(case: Case, run: RunEvidence, record: RunRecord) -> bool:
    told = {
        line["flag"]["code"]
        for line in case.ours.journals.get(run.slot, ())
        if line.get("kind") == "flag" and line["attempt"] == run.attempt
    }
    return bool(LATE & (told | {flag.code for flag in record.flags}))


def _trades(case: Case, commits: Mapping[date, datetime]) -> Iterator[str]:
    """Compare trades: each of ours once as it was then, and none that we do not have."""
    if not commits:
        return
    found: dict[str, list[Row]] = {}
    for row in _rows(case, "trades"):
        found.setdefault(execution_revision(row["exec_id"])[0], []).append(row)
    ours = {execution_revision(each.fill.exec_id)[0] for each in case.ours.entries}
    for family, rows in sorted(found.items()):
        if len(rows) > 1:
            yield f"{family} is in the database {len(rows)} times"
        if family not in ours:
            yield f"{family} is in the database and not in fills.jsonl"
    for day, at in sorted(commits.items()):
        then = standing_of([each for each in case.ours.entries if each.slot <= at])
        for family, fill in then.items():
            if _session_of(case, fill.at) == day:
                yield from _as_booked(fill, found.get(family, []), day)


def _as_booked(fill: Fill, rows: Sequence[Row], day: date) -> Iterator[str]:
    if not rows:
        yield f"{fill.exec_id} is of {day}, which is committed, and not in the database"
    elif Decimal(rows[0]["quantity"]) != fill.quantity:
        told = rows[0]["quantity"]
        yield f"{fill.exec_id}: the database says {told}, our books {fill.quantity:f}"


def _session_of(case: Case, at: datetime) -> date | None:
    sessions = case.evidence.sessions
    try:
        return None if sessions is None else sessions.latest(at).date
    except LookupError:
        return None


def _equity(case: Case, commits: Mapping[date, datetime]) -> Iterator[str]:
    """Compare the points of equity.csv of the committed sessions with the database's."""
    theirs = {datetime.fromisoformat(row["slot"]): row for row in _rows(case, "equity")}
    for record in case.ours.records.values():
        point = record.equity
        if point is None or point.session not in commits or point.slot > commits[point.session]:
            continue
        row = theirs.get(point.slot)
        if row is None:
            yield f"the equity of {point.slot} is not in the database; its session is"
        elif Decimal(row["net_liquidation"]) != point.net_liquidation:
            yield f"the equity of {point.slot} is {row['net_liquidation']} in the database"

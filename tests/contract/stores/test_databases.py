"""One suite for every database: what is committed, once and exactly, and what trouble does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from rebalancer.errors import DeadlineExceeded, Interrupted, StateError
from rebalancer.model.flags import ErrorFlag, Severity, Step
from rebalancer.model.orders import Action
from rebalancer.model.records import Entry, RunRecord, TradeRecord
from rebalancer.model.sessions import Session, SessionTable
from rebalancer.store.books import StateFolder
from rebalancer.store.sql.database import SqlDatabase, parsed_url
from tests.contract.stores.conftest import Server
from tests.unit.store.samples import (
    HOUR,
    MONDAY,
    SLOT,
    entry,
    folder,
    line,
    point,
    record,
    run,
    trade,
    trades_of,
)

DAY = timedelta(days=1)


def weekdays(first: date, last: date) -> SessionTable:
    days = [first + n * DAY for n in range((last - first).days + 1)]
    return SessionTable(
        "XNYS",
        [
            Session(day, midnight + 14.5 * HOUR, midnight + 21 * HOUR)
            for day in days
            if day.weekday() < 5
            for midnight in [datetime(day.year, day.month, day.day, tzinfo=UTC)]
        ],
    )


SESSIONS = weekdays(date(2020, 2, 3), date(2020, 5, 1))
AFTER_CLOSE = datetime(2020, 3, 2, 21, 20, tzinfo=UTC)


@dataclass
class Place:
    """A database and a way to look into it that is not ours."""

    url: str

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query gives."""
        engine = create_engine(parsed_url(self.url), poolclass=NullPool)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()

    def execute(self, *statements: str) -> None:
        """Change something behind our back."""
        engine = create_engine(parsed_url(self.url), poolclass=NullPool)
        try:
            with engine.begin() as connection:
                for statement in statements:
                    connection.execute(text(statement))
        finally:
            engine.dispose()

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 - our own

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of all tables."""
        names = ("commits", "runs", "orders", "trades", "positions", "equity", "flags")
        return {
            name: sorted(self.rows(f"SELECT * FROM {name}"), key=repr)  # noqa: S608 - our own
            for name in names
        }


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return an empty database of each kind."""
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path / 'rebalancer.db'}")
    server: Server = request.getfixturevalue("server")
    return Place(server.new_database())


def view(entries: Sequence[Entry]) -> Sequence[TradeRecord]:
    return trades_of(tuple(entries))


def database(place: Place, portfolio: str = "demo", **more: Any) -> SqlDatabase:
    return SqlDatabase(place.url, portfolio, view, **more)


def refused(flags: tuple[ErrorFlag, ...]) -> str:
    """Return the message of the one flag that trouble leaves."""
    (flag,) = flags
    assert (flag.step, flag.code, flag.severity) == (Step.DATABASE, "database-late", Severity.NOTE)
    return flag.message


def hours(books: StateFolder, days: int, start: datetime = SLOT) -> None:
    """Leave one run on each of so many weekdays."""
    slots = [start + n * DAY for n in range(days) if (start + n * DAY).weekday() < 5]
    for slot in slots:
        run(books, slot, f"E{slot:%m%d}")


def test_a_session_is_owed_from_twenty_minutes_after_its_close(
    place: Place, tmp_path: Path
) -> None:
    books = folder(tmp_path)
    run(books)
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE - timedelta(seconds=1)) == ()
    assert place.count("commits") == 0
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE) == ()
    assert place.count("commits") == 1


def test_a_day_is_committed_with_everything_that_belongs_to_it(
    place: Place, tmp_path: Path
) -> None:
    books = folder(tmp_path)
    run(books)
    run(books, SLOT + HOUR, "E2")
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE) == ()
    counts = {name: len(rows) for name, rows in place.everything().items()}
    assert counts == {
        "commits": 1, "runs": 2, "orders": 2, "trades": 2, "positions": 1, "equity": 2, "flags": 2,
    }  # fmt: skip
    assert place.rows("SELECT exec_id, side, instrument FROM trades ORDER BY exec_id") == [
        ("E1", "BUY", "AAPL.STK.USD@IB"),
        ("E2", "BUY", "AAPL.STK.USD@IB"),
    ]
    assert place.rows("SELECT message FROM flags")[0] == ("it's a note",)
    assert place.rows("SELECT DISTINCT portfolio, reason FROM orders") == [
        ("demo", "outside its band")
    ]


def test_amounts_are_exact_to_the_last_digit(place: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    run(books)
    database(place).catch_up(books, SESSIONS, AFTER_CLOSE)
    worth = place.rows("SELECT net_liquidation FROM equity")[0][0]
    assert Decimal(worth) == Decimal("100000.123456789012345678")
    price, fee = place.rows("SELECT price, commission FROM trades")[0]
    assert (str(price), str(fee)) == ("300.10", "1.005")


def test_an_unknown_commission_is_null(place: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    run(books)
    unknown = SqlDatabase(place.url, "demo", lambda _: [trade("E1", commission=None)])
    assert unknown.catch_up(books, SESSIONS, AFTER_CLOSE) == ()
    assert place.rows("SELECT commission FROM trades") == [(None,)]


def test_committing_again_changes_nothing(place: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    hours(books, 5)
    now = AFTER_CLOSE + 4 * DAY
    assert database(place).catch_up(books, SESSIONS, now) == ()
    first = place.everything()
    assert len(first["commits"]) == 5
    assert database(place).catch_up(books, SESSIONS, now) == ()
    assert place.everything() == first


def test_what_is_missing_is_caught_up_to_the_first_run(place: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    hours(books, 30)
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE + 4 * DAY) == ()
    assert place.count("commits") == 5
    # 2 March to 31 March 2020 has 22 weekdays.
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE + 29 * DAY) == ()
    assert place.count("commits") == 22
    assert place.count("trades") == 22


def test_a_session_in_which_nothing_ran_is_committed_as_such(place: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    run(books)
    run(books, SLOT + 2 * DAY, "E2")
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE + 3 * DAY) == ()
    sessions = [str(row[0]) for row in place.rows("SELECT session FROM commits ORDER BY session")]
    assert sessions == ["2020-03-02", "2020-03-03", "2020-03-04", "2020-03-05"]
    assert place.count("runs") == 2


@dataclass
class Corrected:
    """A view of the trades in which somebody changed his mind."""

    rows: list[TradeRecord]

    def __call__(self, entries: Sequence[Entry]) -> Sequence[TradeRecord]:
        """Return the trades as they stand now."""
        return self.rows


def test_corrections_of_the_last_ten_sessions_arrive_and_older_ones_stay(
    place: Place, tmp_path: Path
) -> None:
    books = folder(tmp_path)
    hours(books, 12)  # ten weekdays: 2 to 13 March
    now = AFTER_CLOSE + 11 * DAY
    now_trades = Corrected([trade(f"E{n}", SLOT + n * DAY) for n in (0, 1, 2)])
    assert SqlDatabase(place.url, "demo", now_trades).catch_up(books, SESSIONS, now) == ()
    now_trades.rows = [  # a day later: E1 was a mistake of the exchange, the prices were others
        replace(trade("E0", SLOT), price=Decimal(1)),
        replace(trade("E2", SLOT + 2 * DAY), price=Decimal(2)),
    ]
    later = now + 3 * DAY  # Monday the 16th: the 2nd is the eleventh session back
    assert SqlDatabase(place.url, "demo", now_trades).catch_up(books, SESSIONS, later) == ()
    assert [
        (name, Decimal(price))
        for name, price in place.rows("SELECT exec_id, price FROM trades ORDER BY exec_id")
    ] == [("E0", Decimal("300.10")), ("E2", Decimal(2))]


def test_portfolios_share_a_database_and_do_not_touch_each_other(
    place: Place, tmp_path: Path
) -> None:
    one, two = folder(tmp_path / "1"), folder(tmp_path / "2")
    run(one)
    run(two)
    assert database(place, "one").catch_up(one, SESSIONS, AFTER_CLOSE) == ()
    before = place.rows("SELECT * FROM trades WHERE portfolio = 'one'")
    assert database(place, "two").catch_up(two, SESSIONS, AFTER_CLOSE) == ()
    assert place.rows("SELECT * FROM trades WHERE portfolio = 'one'") == before
    assert place.count("trades") == 2


def test_orders_carry_their_fate_and_lines_without_a_wish_are_left_out(
    place: Place, tmp_path: Path
) -> None:
    books = folder(tmp_path)
    lines = (line(Action.NOTHING, "inside its band"), line(reason="wanted, then the run halted"))
    books.save_record(record(lines=lines), {}, ())
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE) == ()
    found = place.rows("SELECT line, reason, reference, status, refused_by FROM orders")
    assert found == [(1, "wanted, then the run halted", None, None, None)]


def test_tables_of_a_newer_version_are_left_alone(place: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    run(books)
    database(place).catch_up(books, SESSIONS, AFTER_CLOSE)
    place.execute("DELETE FROM schema_version", "INSERT INTO schema_version VALUES (2)")
    before = place.everything()
    said = refused(database(place).catch_up(books, SESSIONS, AFTER_CLOSE + DAY))
    assert "tables are of version 2, this program writes version 1" in said
    assert place.everything() == before


class Torn(StateFolder):
    """Books in which something happens when the records of a day are read."""

    def __init__(self, root: Path, happens: Any) -> None:
        super().__init__(root, _files())
        self._happens, self.reads = happens, 0

    def records(self, session: date) -> tuple[RunRecord, ...]:
        """Read a day; from the third on, something happens first."""
        self.reads += 1
        if self.reads >= 3:
            self._happens()
        return super().records(session)


def _files() -> Any:
    from rebalancer.store.atomic import Files

    return Files()


def five_days(tmp_path: Path, happens: Any) -> tuple[Torn, StateFolder, datetime]:
    """Return books that break at the third of five days, the same books whole, and the time."""
    books = folder(tmp_path)
    hours(books, 5)
    return Torn(books.root, happens), books, AFTER_CLOSE + 4 * DAY


def test_damaged_books_are_a_flag_and_nothing_is_half_committed(
    place: Place, tmp_path: Path
) -> None:
    def happens() -> None:
        raise StateError("record.json is damaged")

    torn, whole, now = five_days(tmp_path, happens)
    database(place).catch_up(folder(tmp_path / "x"), SESSIONS, AFTER_CLOSE)  # tables only
    said = refused(database(place).catch_up(torn, SESSIONS, now))
    assert "record.json is damaged" in said
    assert place.count("commits") == 0
    assert database(place).catch_up(whole, SESSIONS, now) == ()
    assert place.count("commits") == 5


@pytest.mark.parametrize("kind", [Interrupted, DeadlineExceeded])
def test_the_end_of_the_process_is_not_swallowed(
    place: Place, tmp_path: Path, kind: type[Exception]
) -> None:
    def happens() -> None:
        raise kind("asked to end")

    torn, whole, now = five_days(tmp_path, happens)
    with pytest.raises(kind):
        database(place).catch_up(torn, SESSIONS, now)
    assert database(place).catch_up(whole, SESSIONS, now) == ()
    assert place.count("commits") == 5


class Ticking:
    """A clock that is some seconds later each time somebody looks."""

    def __init__(self, seconds: float) -> None:
        self.now, self._seconds = 0.0, seconds

    def __call__(self) -> float:
        """Return the time."""
        self.now += self._seconds
        return self.now


def test_what_does_not_fit_into_the_time_is_committed_by_the_next_runs(
    place: Place, tmp_path: Path
) -> None:
    books = folder(tmp_path)
    hours(books, 30)
    now = AFTER_CLOSE + 29 * DAY
    said = refused(database(place, monotonic=Ticking(2.0)).catch_up(books, SESSIONS, now))
    assert "older sessions are left to commit" in said
    done = place.count("commits")
    assert 0 < done < 22
    for _ in range(20):
        if not database(place, monotonic=Ticking(2.0)).catch_up(books, SESSIONS, now):
            break
    assert place.count("commits") == 22


def test_a_portfolio_that_never_ran_commits_nothing(place: Place, tmp_path: Path) -> None:
    assert database(place).catch_up(folder(tmp_path), SESSIONS, AFTER_CLOSE) == ()
    assert place.count("commits") == 0


def test_a_run_without_an_account_is_committed_too(place: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    books.book([entry("E1")])
    failed = record(entries=1, after=None, equity=None, lines=(), session=MONDAY)
    books.save_record(failed, {}, ())
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE) == ()
    assert place.rows("SELECT net_liquidation FROM runs") == [(None,)]
    assert place.count("positions") == 0


def test_equity_of_a_day_is_found_by_its_session(place: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    late = replace(point(SLOT + 10 * HOUR), session=MONDAY)  # 01:05 UTC of the next day
    books.save_record(record(SLOT + 10 * HOUR, session=MONDAY, equity=late), {}, ())
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE + DAY) == ()
    assert [str(row[0]) for row in place.rows("SELECT session FROM equity")] == ["2020-03-02"]

"""What only one kind of database can do to us, and that the next run puts it right."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest

from rebalancer.errors import ConfigError
from rebalancer.store.atomic import Files
from rebalancer.store.lazy_database import LazyDatabase, owed_sessions
from rebalancer.store.sql.database import SqlDatabase, parsed_url, safe_reason
from tests.contract.stores.conftest import Server
from tests.contract.stores.test_databases import (
    AFTER_CLOSE,
    DAY,
    SESSIONS,
    Place,
    database,
    five_days,
    hours,
    refused,
    view,
)
from tests.unit.store.samples import SLOT, folder, run

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def postgres(server: Server) -> Iterator[Place]:
    """Return an empty database; the server is up again afterwards."""
    yield Place(server.new_database())
    server.start_again()


def name_of(place: Place) -> str:
    name = parsed_url(place.url).database
    assert name is not None
    return name


# ------------------------------------------------------------------------------- PostgreSQL


@pytest.mark.postgres
def test_a_server_that_is_down_is_a_note_and_the_next_run_completes(
    server: Server, postgres: Place, tmp_path: Path
) -> None:
    books = folder(tmp_path)
    run(books)
    server.stop()
    assert "waits for the next run" in refused(
        database(postgres).catch_up(books, SESSIONS, AFTER_CLOSE)
    )
    server.start()
    assert database(postgres).catch_up(books, SESSIONS, AFTER_CLOSE) == ()
    assert postgres.count("commits") == 1


@pytest.mark.postgres
def test_a_server_killed_in_the_middle_leaves_nothing_half(
    server: Server, postgres: Place, tmp_path: Path
) -> None:
    torn, whole, now = five_days(tmp_path, server.stop_if_up)
    database(postgres).catch_up(folder(tmp_path / "x"), SESSIONS, now)  # tables only
    refused(database(postgres).catch_up(torn, SESSIONS, now))
    server.start()
    assert {name: len(rows) for name, rows in postgres.everything().items() if rows} == {}
    assert database(postgres).catch_up(whole, SESSIONS, now) == ()
    assert postgres.count("trades") == 5


@pytest.mark.postgres
def test_a_connection_ended_by_the_administrator_is_a_note(
    server: Server, postgres: Place, tmp_path: Path
) -> None:
    def happens() -> None:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'rebalancer'"
        )

    torn, whole, now = five_days(tmp_path, happens)
    assert "connection" in refused(database(postgres).catch_up(torn, SESSIONS, now))
    assert database(postgres).catch_up(whole, SESSIONS, now) == ()
    assert postgres.count("commits") == 5


TRIGGER = """
CREATE FUNCTION trouble() RETURNS trigger AS $$ BEGIN {body} RETURN NULL; END $$ LANGUAGE plpgsql;
CREATE CONSTRAINT TRIGGER trouble AFTER INSERT ON {table} DEFERRABLE INITIALLY {when}
FOR EACH ROW EXECUTE FUNCTION trouble();
"""


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("table", "when", "body", "words"),
    [
        ("trades", "IMMEDIATE", "RAISE 'no space left' USING ERRCODE = '53100';", "no space left"),
        ("commits", "DEFERRED", "RAISE 'no space left' USING ERRCODE = '53100';", "no space left"),
        ("commits", "DEFERRED", "PERFORM pg_terminate_backend(pg_backend_pid());", "connection"),
    ],
    ids=["disk full", "disk full at commit", "ended at commit"],
)
def test_trouble_in_a_statement_or_at_the_commit_itself_is_a_note(
    server: Server,
    postgres: Place,
    tmp_path: Path,
    table: str,
    when: str,
    body: str,
    words: str,
) -> None:
    books = folder(tmp_path)
    hours(books, 5)
    now = AFTER_CLOSE + 4 * DAY
    database(postgres).catch_up(folder(tmp_path / "x"), SESSIONS, now)  # tables only
    server.execute(TRIGGER.format(table=table, when=when, body=body), name_of(postgres))
    assert words in refused(database(postgres).catch_up(books, SESSIONS, now))
    assert postgres.count("commits") == 0
    server.execute(f"DROP TRIGGER trouble ON {table}", name_of(postgres))
    assert database(postgres).catch_up(books, SESSIONS, now) == ()
    assert postgres.count("commits") == 5


@pytest.mark.postgres
def test_a_table_that_somebody_locked_does_not_hold_the_run_up(
    server: Server, postgres: Place, tmp_path: Path
) -> None:
    books = folder(tmp_path)
    run(books)
    database(postgres).catch_up(books, SESSIONS, AFTER_CLOSE)
    with server.session(name_of(postgres)) as other, other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE runs")
        late = database(postgres, budget_seconds=0.5)
        said = refused(late.catch_up(books, SESSIONS, AFTER_CLOSE + DAY))
    assert "canceling statement due to statement timeout" in said
    assert database(postgres).catch_up(books, SESSIONS, AFTER_CLOSE + DAY) == ()


@pytest.mark.postgres
def test_amounts_are_numeric_and_times_have_a_zone(postgres: Place, tmp_path: Path) -> None:
    books = folder(tmp_path)
    run(books)
    database(postgres).catch_up(books, SESSIONS, AFTER_CLOSE)
    doubled = Decimal("200000.246913578024691356")  # 2 x 100000.123456789012345678
    assert postgres.rows("SELECT net_liquidation * 2, slot FROM equity") == [(doubled, SLOT)]


# ----------------------------------------------------------------------------------- SQLite


def test_a_file_that_somebody_writes_is_a_note_and_not_a_wait(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path / 'rebalancer.db'}")
    books = folder(tmp_path)
    run(books)
    database(place).catch_up(books, SESSIONS, AFTER_CLOSE)
    other = sqlite3.connect(tmp_path / "rebalancer.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    late = database(place, budget_seconds=0.2)
    assert "database is locked" in refused(late.catch_up(books, SESSIONS, AFTER_CLOSE + DAY))
    other.close()
    assert database(place).catch_up(books, SESSIONS, AFTER_CLOSE + DAY) == ()


def test_a_damaged_file_is_a_note_and_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rebalancer.db"
    path.write_bytes(b"not a database at all" * 100)
    books = folder(tmp_path)
    run(books)
    said = refused(database(Place(f"sqlite:///{path}")).catch_up(books, SESSIONS, AFTER_CLOSE))
    assert "file is not a database" in said
    assert path.read_bytes() == b"not a database at all" * 100


def test_a_folder_that_is_not_there_is_a_note(tmp_path: Path) -> None:
    books = folder(tmp_path)
    run(books)
    place = Place(f"sqlite:///{tmp_path / 'nowhere' / 'rebalancer.db'}")
    assert "unable to open" in refused(database(place).catch_up(books, SESSIONS, AFTER_CLOSE))


# ---------------------------------------------------------------------------------- the URL


@pytest.mark.parametrize("password", ["hunter2", "p%40ss%2Fword"])
def test_a_password_is_never_told(tmp_path: Path, password: str) -> None:
    books = folder(tmp_path)
    run(books)
    url = f"postgresql://me:{password}@127.0.0.1:1/books"
    said = refused(SqlDatabase(url, "demo", view).catch_up(books, SESSIONS, AFTER_CLOSE))
    assert "refused" in said
    for secret in (unquote(password), password):
        assert secret not in said
        assert secret not in safe_reason(ValueError(f"no {secret} here"), url)


@pytest.mark.parametrize("url", ["mysql://me:hunter2@host/x", "hunter2", "postgresql://:hunter2:x"])
def test_a_url_of_another_kind_is_refused_without_telling_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url") as caught:
        parsed_url(url)
    assert "hunter2" not in str(caught.value)
    said = refused(SqlDatabase(url, "demo", view).catch_up(folder(tmp_path), SESSIONS, AFTER_CLOSE))
    assert "hunter2" not in said


def test_both_spellings_of_postgresql_are_understood() -> None:
    for url in ("postgres://me@host/x", "postgresql://me@host/x"):
        assert parsed_url(url).drivername == "postgresql+psycopg2"


# ---------------------------------------------------------------------------- the lazy door


def lazy(root: Path, url: str | None = None) -> LazyDatabase:
    return LazyDatabase(root, Files(), "demo", view, url=url)


def test_sessions_are_owed_by_date_and_never_twice() -> None:
    def owed(until: date | None) -> list[str]:
        return [str(s.date) for s in owed_sessions(SESSIONS, until, AFTER_CLOSE, 20)]

    assert owed(date(2020, 2, 27)) == ["2020-02-28", "2020-03-02"]
    assert owed(date(2020, 2, 28)) == ["2020-03-02"]
    assert owed(date(2020, 3, 2)) == owed(date(2020, 3, 9)) == []
    assert owed(None) == ["2020-03-02"]


def test_the_default_database_is_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    books = folder(tmp_path)
    run(books)
    assert lazy(books.root).catch_up(books, SESSIONS, AFTER_CLOSE) == ()
    for name in ("rebalancer.db", "committed"):
        assert stat.S_IMODE((books.root / name).stat().st_mode) == 0o600
    assert Place(f"sqlite:///{books.root / 'rebalancer.db'}").count("commits") == 1


def test_a_lost_or_another_database_is_filled_again(tmp_path: Path) -> None:
    books = folder(tmp_path)
    hours(books, 5)
    now = AFTER_CLOSE + 4 * DAY
    assert lazy(books.root).catch_up(books, SESSIONS, now) == ()
    (books.root / "rebalancer.db").unlink()
    other = f"sqlite:///{tmp_path / 'other.db'}"
    for url, place in ((None, books.root / "rebalancer.db"), (other, tmp_path / "other.db")):
        assert lazy(books.root, url).catch_up(books, SESSIONS, now) == ()
        assert Place(f"sqlite:///{place}").count("commits") == 5


def test_a_damaged_marker_is_asked_of_the_database(tmp_path: Path) -> None:
    books = folder(tmp_path)
    run(books)
    (books.root / "committed").write_text("{")
    assert lazy(books.root).catch_up(books, SESSIONS, AFTER_CLOSE) == ()
    assert "2020-03-02" in (books.root / "committed").read_text()


def test_a_full_disk_is_a_note(tmp_path: Path) -> None:
    class Full(Files):
        def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
            super().append(Path("/dev/full"), b"x", durable=False)

    books = folder(tmp_path)
    run(books)
    full = LazyDatabase(books.root, Full(), "demo", view)
    assert "the disk is full" in refused(full.catch_up(books, SESSIONS, AFTER_CLOSE))


def test_sqlalchemy_is_loaded_only_when_a_commit_is_owed(tmp_path: Path) -> None:
    script = """
        import sys
        from datetime import timedelta
        from pathlib import Path
        from rebalancer.store.atomic import Files
        from rebalancer.store.lazy_database import LazyDatabase
        from rebalancer.model.sessions import Session, SessionTable
        sys.path.insert(0, "tests/unit/store")
        from samples import HOUR, MONDAY, SLOT, folder, run, trades_of
        books = folder(Path(sys.argv[1]))
        run(books)
        sessions = SessionTable("XNYS", [Session(MONDAY, SLOT, SLOT + HOUR)])
        door = LazyDatabase(books.root, Files(), "demo", trades_of)
        loaded = []
        for minutes in (60, 79, 80, 81):
            assert door.catch_up(books, sessions, SLOT + timedelta(minutes=minutes)) == ()
            loaded.append("sqlalchemy" in sys.modules)
        print(loaded)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "[False, False, True, True]\n", done.stderr

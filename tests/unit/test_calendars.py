"""Calendars say what the exchanges published, from small files that the library wrote once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rebalancer.calendars import session_table
from rebalancer.errors import DataError
from rebalancer.model.sessions import OrderWindow, Session, SessionTable

AROUND = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
WALL = datetime(2026, 11, 21, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


class CountingFiles:
    """Writes files and remembers their names."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def replace(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        self.written.append(path.name)


def table(
    folder: Path, name: str = "XNYS", around: datetime = AROUND, wall: datetime = WALL
) -> SessionTable:
    return session_table(name, around, folder, CountingFiles(), wall)


def written(folder: Path, name: str, around: datetime, wall: datetime) -> list[str]:
    """Return which files asking once more writes."""
    files = CountingFiles()
    session_table(name, around, folder, files, wall)
    return files.written


@pytest.fixture(scope="module")
def new_york(tmp_path_factory: pytest.TempPathFactory) -> SessionTable:
    return table(tmp_path_factory.mktemp("calendars"))


# NYSE's own notices: 9:30 to 16:00 in New York, UTC-5 until 2020-03-07 and UTC-4 after it;
# 13:00 on the day after Thanksgiving.
@pytest.mark.parametrize(
    ("day", "opens", "closes", "half"),
    [
        (date(2020, 3, 2), "14:30", "21:00", False),
        (date(2020, 3, 6), "14:30", "21:00", False),
        (date(2020, 3, 9), "13:30", "20:00", False),
        (date(2019, 11, 29), "14:30", "18:00", True),
        (date(2019, 7, 3), "13:30", "17:00", True),
    ],
)
def test_new_york_opens_and_closes(
    new_york: SessionTable, day: date, opens: str, closes: str, half: bool
) -> None:
    (session,) = new_york.between(day, day)
    assert (f"{session.open:%H:%M}", f"{session.close:%H:%M}") == (opens, closes)
    assert session.open.date() == session.close.date() == day
    assert session.open.tzinfo is UTC
    assert (session.half_day, session.always) == (half, False)


@pytest.mark.parametrize(
    "closed", [date(2020, 3, 7), date(2020, 1, 1), date(2019, 12, 25), date(2020, 4, 10)]
)
def test_new_york_is_closed(new_york: SessionTable, closed: date) -> None:
    assert new_york.between(closed, closed) == ()


def test_independence_day_on_a_saturday_closes_the_friday(tmp_path: Path) -> None:
    summer = table(tmp_path, around=datetime(2020, 7, 2, 15, tzinfo=UTC))
    assert summer.between(date(2020, 7, 3), date(2020, 7, 3)) == ()
    after = summer.next_open(datetime(2020, 7, 3, 15, tzinfo=UTC))
    assert after is not None
    assert after.date == date(2020, 7, 6)


def test_a_table_reaches_400_days_back_and_60_ahead(new_york: SessionTable) -> None:
    assert new_york.latest(AROUND - timedelta(days=400)).date == date(2019, 1, 25)
    ahead = new_york.next_open(AROUND + timedelta(days=60))
    assert ahead is not None
    # NYSE: 252 sessions in 2019, 253 in 2020.
    assert len(new_york.sessions) == 252 + 253


def test_questions_about_times_are_answered(new_york: SessionTable) -> None:
    second, third = new_york.between(date(2020, 3, 2), date(2020, 3, 3))
    inside = datetime(2020, 3, 2, 20, 59, 59, tzinfo=UTC)
    at_close = datetime(2020, 3, 2, 21, tzinfo=UTC)
    assert new_york.current(second.open) == second
    assert new_york.current(inside) == second
    assert new_york.current(at_close) is None
    assert new_york.latest(at_close) == second
    assert new_york.last_closed(inside) == new_york.latest(second.open - timedelta(days=1))
    assert new_york.last_closed(at_close) == second
    assert new_york.next_open(second.open) == third
    assert new_york.next_open(second.open - timedelta(seconds=1)) == second
    assert second.middle == datetime(2020, 3, 2, 17, 45, tzinfo=UTC)


def test_beyond_the_table_there_is_no_answer(new_york: SessionTable) -> None:
    assert new_york.next_open(datetime(2021, 1, 1, tzinfo=UTC)) is None
    assert new_york.last_closed(datetime(2019, 1, 1, tzinfo=UTC)) is None
    with pytest.raises(LookupError, match="calendar XNYS: no session at or before 2019-01-01"):
        new_york.latest(datetime(2019, 1, 1, tzinfo=UTC))


def test_sessions_can_be_sliced_and_counted_from_the_end(new_york: SessionTable) -> None:
    assert new_york.sessions[-1].date == date(2020, 12, 31)
    assert [session.date for session in new_york.sessions[:2]] == [
        date(2019, 1, 2), date(2019, 1, 3),
    ]  # fmt: skip
    with pytest.raises(IndexError):
        new_york.sessions[505]


def test_a_venue_that_never_closes_needs_no_file(tmp_path: Path) -> None:
    always = table(tmp_path / "missing", "24/7")
    assert always.current(AROUND) == Session(
        date(2020, 3, 2),
        datetime(2020, 3, 2, tzinfo=UTC),
        datetime(2020, 3, 3, tzinfo=UTC),
        always=True,
    )
    midnight = datetime(2020, 3, 3, tzinfo=UTC)
    closed, opened = always.last_closed(midnight), always.current(midnight)
    assert closed is not None
    assert opened is not None
    assert (closed.date, opened.date) == (date(2020, 3, 2), date(2020, 3, 3))
    # 400 days before, 60 after, and the day itself.
    assert len(always.sessions) == 461
    assert OrderWindow().is_open(opened, midnight)


def test_currencies_trade_on_weekdays(tmp_path: Path) -> None:
    week = table(tmp_path, "24/5")
    assert week.current(datetime(2020, 3, 7, 12, tzinfo=UTC)) is None
    friday = week.current(datetime(2020, 3, 6, 23, 59, tzinfo=UTC))
    assert friday is not None
    assert not friday.always


def test_a_session_may_begin_the_evening_before(tmp_path: Path) -> None:
    # CME: Monday's session begins on Sunday at 17:00 in Chicago.
    session = table(tmp_path, "CMES").current(datetime(2020, 3, 1, 23, 30, tzinfo=UTC))
    assert session is not None
    assert (session.date, session.open.hour) == (date(2020, 3, 2), 23)


def test_a_compiled_year_is_not_compiled_again(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "calendars"
    assert written(folder, "XNYS", AROUND, WALL) == ["XNYS-2019.json", "XNYS-2020.json"]
    assert written(folder, "XNYS", AROUND, WALL + timedelta(days=1000)) == []


def test_a_year_that_was_not_over_is_renewed_each_month(tmp_path: Path) -> None:
    around = wall = datetime(2020, 10, 1, 15, tzinfo=UTC)
    everything = ["XNYS-2019.json", "XNYS-2020.json"]
    assert written(tmp_path, "XNYS", around, wall) == everything
    assert written(tmp_path, "XNYS", around, wall + timedelta(days=30)) == []
    assert written(tmp_path, "XNYS", around, wall + timedelta(days=31)) == everything[1:]
    # Compiled on 2020-11-01, the year not over: once more when it is.
    assert written(tmp_path, "XNYS", around, datetime(2021, 3, 1, tzinfo=UTC)) == everything[1:]
    assert written(tmp_path, "XNYS", around, datetime(2022, 3, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"schema":1}', b"\xff"])
def test_a_damaged_file_is_compiled_again(tmp_path: Path, damage: bytes) -> None:
    table(tmp_path)
    (tmp_path / "XNYS-2020.json").write_bytes(damage)
    assert written(tmp_path, "XNYS", AROUND, WALL) == ["XNYS-2020.json"]
    assert json.loads((tmp_path / "XNYS-2020.json").read_text())["year"] == 2020


def test_a_file_of_columns_that_do_not_fit_is_compiled_again(tmp_path: Path) -> None:
    table(tmp_path)
    path = tmp_path / "XNYS-2020.json"
    content = json.loads(path.read_text())
    content["opens"].pop()
    path.write_text(json.dumps(content))
    assert written(tmp_path, "XNYS", AROUND, WALL) == ["XNYS-2020.json"]


def _never_opens(content: dict[str, Any]) -> None:
    content["opens"][7] = content["closes"][7]


def _opens_far_away(content: dict[str, Any]) -> None:
    content["opens"][0] -= 10_000


def _is_of_no_day(content: dict[str, Any]) -> None:
    content["days"][3] = 9_223_372_036_854_775_807


def _is_of_another_year(content: dict[str, Any]) -> None:
    content["days"][-1] += 1


def _goes_back(content: dict[str, Any]) -> None:
    for name in ("days", "opens", "closes"):
        content[name][4] = content[name][2]


def _has_no_numbers(content: dict[str, Any]) -> None:
    content["closes"] = [str(each) for each in content["closes"]]


def _has_a_half(content: dict[str, Any]) -> None:
    content["days"][3] += 0.5


def _is_short_on_a_day_off(content: dict[str, Any]) -> None:
    content["half_days"].append(content["days"][0] - 1)


def _is_of_another_market(content: dict[str, Any]) -> None:
    content["calendar"] = "XLON"


def _has_no_name(content: dict[str, Any]) -> None:
    content["calendar"] = 7


@pytest.mark.parametrize(
    "damage",
    [_never_opens, _opens_far_away, _is_of_no_day, _is_of_another_year, _goes_back,
     _has_no_numbers, _has_a_half, _is_short_on_a_day_off, _is_of_another_market, _has_no_name],
)  # fmt: skip
def test_a_file_of_days_that_cannot_be_is_compiled_again(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None]
) -> None:
    table(tmp_path)
    path = tmp_path / "XNYS-2020.json"
    sound = path.read_text()
    content = json.loads(sound)
    damage(content)
    path.write_text(json.dumps(content))
    assert written(tmp_path, "XNYS", AROUND, WALL) == ["XNYS-2020.json"]
    assert path.read_text() == sound


def test_the_file_of_another_year_is_compiled_again(tmp_path: Path) -> None:
    table(tmp_path)
    (tmp_path / "XNYS-2020.json").write_bytes((tmp_path / "XNYS-2019.json").read_bytes())
    assert written(tmp_path, "XNYS", AROUND, WALL) == ["XNYS-2020.json"]


def test_next_year_may_not_be_proclaimed_yet(tmp_path: Path) -> None:
    # exchange_calendars records Bombay's holidays up to a last year; 60 days before its end
    # the table ends with it, and beyond it there is none.
    from exchange_calendars.exchange_calendar_xbom import XBOMExchangeCalendar

    last = XBOMExchangeCalendar.bound_max()
    november = datetime(last.year, 11, 21, 5, tzinfo=UTC)
    known = table(tmp_path, "XBOM", november, november)
    assert known.sessions[-1].date.year == last.year
    assert written(tmp_path, "XBOM", november, november) == []
    with pytest.raises(DataError, match="calendar 'XBOM': not known from"):
        table(tmp_path, "XBOM", november + timedelta(days=60), november)


@pytest.mark.parametrize(
    ("name", "near"), [("XNYX", "XNYS"), ("xnys", "XNYS"), ("NASDQ", "NASDAQ"), ("24-7", "24/7")]
)
def test_an_unknown_calendar_is_named_with_its_neighbours(
    tmp_path: Path, name: str, near: str
) -> None:
    with pytest.raises(DataError, match=f"calendar '{name}': there is no such calendar") as error:
        table(tmp_path, name)
    assert near in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "/etc", "X" * 40, "XNYS\n"])
def test_a_calendar_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="not a calendar's name"):
        table(tmp_path, name)


def test_a_compiled_calendar_loads_no_library(tmp_path: Path) -> None:
    table(tmp_path)
    code = (
        "import sys, pathlib, datetime as d; from rebalancer.calendars import session_table; "
        "at = d.datetime(2020, 3, 2, 15, tzinfo=d.timezone.utc); "
        "t = session_table('XNYS', at, pathlib.Path(sys.argv[1]), None, at); "
        "print(t.current(at).date, 'exchange_calendars' in sys.modules, 'pandas' in sys.modules, "
        "'numpy' in sys.modules)"
    )
    # The wall clock of that process is in 2020, when both files, of 2026, look fresh or final.
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["2020-03-02", "False", "False", "False"], done.stderr

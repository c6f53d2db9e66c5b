"""Bars by command: every wrong cell is named, and nothing is stored unless asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rebalancer.cli import main
from rebalancer.model.instrument import InstrumentId
from rebalancer.store.atomic import Files
from rebalancer.store.candles import HOURLY, NAME, CandleStore
from tests.portfolios import World, make_world, stock

AAPL, KO = InstrumentId(stock("AAPL")), InstrumentId(stock("KO"))
LONG = f"""instrument,date,open,close
{AAPL},2020-02-27,68.0,68.379
{KO},2020-02-27,56.0,55.1
{AAPL},2020-02-28,66.0,68.34
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, symbols=("AAPL", "KO"), extra=f'\n[aliases]\napple = "{AAPL}"\n')


def bars(world: World, *words: str) -> int:
    return main(["bars", *words, "--config", str(world.path)])


def bring(world: World, text: str, *options: str) -> int:
    path = world.folder / "closes.csv"
    path.write_text(text, encoding="utf-8")
    return bars(world, "import", str(path), *options)


def stored(world: World, name: str = NAME) -> dict[str, dict[str, float]]:
    panel = CandleStore(world.state / "candles", Files(), name=name).everything()
    return {
        instrument: {
            np.datetime_as_string(np.datetime64(int(at), "s"), "m"): float(close)
            for at, close in zip(panel.times, panel.values[:, column], strict=True)
            if not np.isnan(close)
        }
        for column, instrument in enumerate(panel.instruments)
    }


def test_an_import_only_shows_what_it_would_do(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bring(world, LONG) == 0
    out = capsys.readouterr().out
    assert "Nothing was stored" in out
    assert out.splitlines()[1].split() == [
        AAPL, "2", "2", "0", "0", "2020-02-27", "21:00", "2020-02-28", "21:00",
    ]  # fmt: skip
    assert stored(world) == {}


def test_daily_bars_are_stored_at_the_close_of_their_session(world: World) -> None:
    assert bring(world, LONG, "--write") == 0
    assert stored(world) == {
        AAPL: {"2020-02-27T21:00": 68.379, "2020-02-28T21:00": 68.34},
        KO: {"2020-02-27T21:00": 55.1},
    }


def test_a_column_for_each_instrument_is_read_too_by_short_name_and_with_holes(
    world: World,
) -> None:
    text = f"\ufeffdate,apple,{KO}\n2019-07-03,51.1,\n2019-07-05,51.0,47.3\n\n"
    assert bring(world, text, "--write") == 0
    # The day before the Fourth of July closes at 13:00 in New York, 17:00 UTC in summer.
    assert stored(world) == {
        AAPL: {"2019-07-03T17:00": 51.1, "2019-07-05T20:00": 51.0},
        KO: {"2019-07-05T20:00": 47.3},
    }


def test_hourly_bars_have_a_time_with_its_zone(world: World) -> None:
    text = f"instrument,time,close\n{AAPL},2020-02-28T10:00-05:00,66.5\n"
    assert bring(world, text, "--write", "--size", "hour") == 0
    assert stored(world, HOURLY) == {AAPL: {"2020-02-28T15:00": 66.5}}
    assert stored(world) == {}


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        (f"{AAPL},2020-02-30,1", "line 2, column date", "is not a date"),
        (f"{AAPL},28.02.2020,1", "line 2, column date", "'28.02.2020' is not a date"),
        (f"{AAPL},2020-02-29,1", "line 2, column date", "had no session"),
        (f"{AAPL},2020-03-02,1", "line 2, column date", "closes at 2020-03-02 21:00 UTC"),
        (f"{AAPL},2020-02-28,1.2.3", "line 2, column close", "'1.2.3' is not a price"),
        (f"{AAPL},2020-02-28,", "line 2, column close", "'' is not a price"),
        (f"{AAPL},2020-02-28,0", "line 2, column close", "'0' is not a price"),
        (f"{AAPL},2020-02-28,-3", "line 2, column close", "'-3' is not a price"),
        (f"{AAPL},2020-02-28,nan", "line 2, column close", "'nan' is not a price"),
        ("APPL.STK.USD@IB,2020-02-28,1", "line 2, column instrument", f"did you mean {AAPL}"),
        (f"{AAPL},2020-02-28", "line 2, column 1", "2 cells; the header has 3"),
        (f"{AAPL},2020-02-28,1\n{AAPL},2020-02-28,1", "line 3, column close", "line 2 already"),
    ],
)
def test_a_wrong_cell_is_named_by_file_line_and_column(
    world: World, capsys: pytest.CaptureFixture[str], line: str, place: str, words: str
) -> None:
    assert bring(world, f"instrument,date,close\n{line}\n", "--write") == 3
    told = capsys.readouterr().err
    assert f"closes.csv: {place}: " in told
    assert words in told
    assert stored(world) == {}


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("instrument;date;close", "line 1, column instrument;date;close: expected date"),
        ("instrument,date,close,close", "line 1, column close: must be in the header line, once"),
        ("instrument,date,price", "line 1, column price: not known"),
        (f"date,{AAPL},apple", f"line 1, column 3: {AAPL} has two columns"),
        ("time,apple", "line 1, column time: expected date"),
        ("", "the file is empty"),
        ("date,apple", "no bar is in it"),
    ],
)
def test_a_wrong_header_is_named(
    world: World, capsys: pytest.CaptureFixture[str], head: str, words: str
) -> None:
    assert bring(world, head + "\n") == 3
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("2020-02-28T15:00", "is not a time with its zone"),
        ("2020-02-28T04:00Z", "had no session then"),
        ("2020-02-28T14:30Z", "had no session then"),
    ],
)
def test_an_hour_without_zone_or_session_is_refused(
    world: World, capsys: pytest.CaptureFixture[str], time: str, words: str
) -> None:
    assert bring(world, f"time,apple\n{time},5\n", "--size", "hour") == 3
    assert words in capsys.readouterr().err


def test_a_file_that_is_not_there_or_not_text_is_said_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bars(world, "import", "nowhere.csv") == 2
    assert "nowhere.csv: No such file" in capsys.readouterr().err
    (world.folder / "closes.csv").write_bytes(b"date,apple\n\xff\xfe")
    assert bars(world, "import", str(world.folder / "closes.csv")) == 3
    assert "byte 11: the file is not UTF-8" in capsys.readouterr().err


def test_a_bar_that_is_stored_otherwise_stops_the_import_unless_it_replaces(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bring(world, LONG, "--write") == 0
    changed = f"instrument,date,close\n{AAPL},2020-02-28,17.085\n"
    assert bring(world, changed, "--write") == 3
    assert "1 bars are stored with another close" in capsys.readouterr().err
    assert stored(world)[AAPL]["2020-02-28T21:00"] == 68.34
    assert bring(world, changed, "--write", "--replace") == 0
    assert stored(world) == {AAPL: {"2020-02-28T21:00": 17.085}, KO: {"2020-02-27T21:00": 55.1}}


def test_what_is_stored_can_be_seen_and_forgotten(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(world, LONG, "--write")
    capsys.readouterr()
    assert bars(world, "show", "--json") == 0
    shown = json.loads(capsys.readouterr().out)["instruments"]
    assert [(row["instrument"], row["bars"], row["last"]) for row in shown] == [
        (AAPL, 2, "2020-02-28 21:00"),
        (KO, 1, "2020-02-27 21:00"),
    ]
    assert bars(world, "show", "apple") == 0
    assert KO not in capsys.readouterr().out
    assert bars(world, "forget", "apple") == 2  # nobody is there to confirm it
    assert bars(world, "forget", "apple", "--yes") == 0
    assert stored(world) == {KO: {"2020-02-27T21:00": 55.1}}
    assert bars(world, "forget", "apple", "--yes") == 0
    assert "Nothing is stored" in capsys.readouterr().out
    assert bars(world, "show", "nonsense") == 2

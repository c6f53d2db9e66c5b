"""Bars are of closed sessions, in the rows of our sessions, and unknown where none came."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rebalancer.brokers.ib.history import bars, duration
from rebalancer.errors import ConnectError, DataError
from rebalancer.model.instrument import Instrument
from rebalancer.model.panel import Panel
from rebalancer.model.sessions import PackedSessions, SessionTable, day_number
from tests.unit.ib.contracts.scripted_details import details, end
from tests.unit.ib.contracts.test_contracts import AAPL, KO, MSFT, NUMBERS, Venue, thing
from tests.unit.ib.quotes.scripted_wire import NOW, Frames, error

EURUSD = thing("EUR.USD.FX@IB")
CLOSE = datetime(2026, 11, 20, 21, tzinfo=UTC)
"""Friday's close in New York; `NOW` is Monday."""

DAYS = [date(2026, 11, day) for day in (16, 17, 18, 19, 20, 23, 24, 25, 27)]


def sessions() -> SessionTable:
    """Return a fortnight of New York; the 27th closes at 13:00."""
    days = [day_number(day) for day in DAYS]
    opens = [day * 1440 + 14 * 60 + 30 for day in days]
    closes = [day * 1440 + (18 if day == days[-1] else 21) * 60 for day in days]
    return SessionTable("XNYS", PackedSessions(days, opens, closes, frozenset(days[-1:])))


def answer(request: str, rows: Sequence[tuple[object, object]]) -> Sequence[object]:
    """Return a `historicalData` frame: date, open, high, low, close, volume, average, count."""
    fields: list[object] = [17, request, "from", "to", len(rows)]
    for begins, close in rows:
        fields += [begins, close, close, close, close, 1000, close, 10]
    return fields


class Desk:
    """A connected line and what each contract answers to `reqHistoricalData`."""

    def __init__(self, tmp_path: Path, *instruments: Instrument) -> None:
        self.venue = Venue(tmp_path, *instruments)
        self.contracts = self.venue.connect()
        self.line, self.instruments = self.venue.line, instruments
        self.line.passage.tick = timedelta()
        self.script: dict[int, Callable[[str], Frames]] = {}
        self.line.wire.answers["reqHistoricalData"] = self._answer

    def _answer(self, fields: list[str]) -> Frames:
        return self.script[int(fields[2])](fields[1])

    def gives(self, symbol: str, *rows: tuple[object, object]) -> None:
        self.script[NUMBERS.get(symbol, 12087792)] = lambda request: [answer(request, rows)]

    def bars(self, since: datetime | None = None, size: str = "day") -> Panel:
        return bars(
            cast("Any", self.line),
            self.contracts,
            self.instruments,
            since,
            size=size,
            sessions=sessions(),
        )

    def asked(self) -> list[list[str]]:
        return [fields for name, fields in self.line.wire.sent if name == "reqHistoricalData"]


def rows_of(panel: Panel) -> dict[str, list[float | None]]:
    return {
        f"{datetime.fromtimestamp(int(at), UTC):%d %H:%M}": [
            None if np.isnan(value) else float(value) for value in row
        ]
        for at, row in zip(panel.times, panel.values, strict=True)
    }


def test_daily_bars_stand_at_the_close_of_our_session_of_their_date(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL, KO)
    desk.gives("AAPL", ("20261119", 170.25), ("20261120", 171.5))
    desk.gives("KO", ("20261118", 60.0), ("20261120", 61.0))
    panel = desk.bars()
    assert panel.instruments == (AAPL.id, KO.id)
    assert rows_of(panel) == {
        "18 21:00": [None, 60.0],
        "19 21:00": [170.25, None],
        "20 21:00": [171.5, 61.0],
    }


def test_the_bar_of_a_session_that_is_still_open_is_dropped(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)
    desk.gives("AAPL", ("20261120", 171.5), ("20261123", 172.0))
    assert list(rows_of(desk.bars())) == ["20 21:00"]
    desk.line.passage.at = datetime(2026, 11, 23, 20, 59, 59, tzinfo=UTC)
    assert list(rows_of(desk.bars())) == ["20 21:00"]
    desk.line.passage.at = datetime(2026, 11, 23, 21, tzinfo=UTC)
    assert list(rows_of(desk.bars())) == ["20 21:00", "23 21:00"]


def test_a_half_day_closes_when_our_calendar_says(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)
    desk.gives("AAPL", ("20261127", 180.0))
    desk.line.passage.at = datetime(2026, 11, 27, 18, tzinfo=UTC)
    assert rows_of(desk.bars()) == {"27 18:00": [180.0]}


def test_a_date_that_is_no_session_of_ours_is_left_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)
    desk.gives("AAPL", ("20261120", 171.5), ("20261121", 999.0))
    assert list(rows_of(desk.bars())) == ["20 21:00"]


def test_a_currency_pairs_bar_waits_for_its_own_session_to_end(tmp_path: Path) -> None:
    """New York closes at 16:00, the pair's day at 17:00: between them its bar still forms."""
    desk = Desk(tmp_path, EURUSD)
    text = "20261122:1715-20261123:1700;20261123:1715-20261124:1700"
    desk.venue.known["EUR"] = lambda request: [
        details(
            request, symbol="EUR", secType="CASH", exchange="IDEALPRO", conId=12087792,
            validExchanges="IDEALPRO", hours=text, liquid=text, rules="26",
        ),
        end(request),
    ]  # fmt: skip
    desk.gives("EUR", ("20261120", 1.0832), ("20261123", 1.0845))
    desk.line.passage.at = datetime(2026, 11, 23, 21, 30, tzinfo=UTC)
    assert list(rows_of(desk.bars())) == ["20 21:00"]
    desk.line.passage.at = datetime(2026, 11, 23, 22, tzinfo=UTC)
    assert rows_of(desk.bars()) == {"20 21:00": [1.0832], "23 21:00": [1.0845]}
    assert desk.asked()[0][19] == "MIDPOINT"


def test_bars_before_our_table_close_as_sessions_do_at_that_time_of_the_year(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path, AAPL)
    desk.gives("AAPL", ("20241119", 150.0), ("20241127", 151.0), ("20261120", 171.5))
    found = [datetime.fromtimestamp(int(at), UTC) for at in desk.bars().times]
    # Two years of 52 weeks later are the 17th and the 25th: both close at 21:00.
    assert found == [
        datetime(2024, 11, 19, 21, tzinfo=UTC),
        datetime(2024, 11, 27, 21, tzinfo=UTC),
        CLOSE,
    ]


def test_only_bars_after_since_are_returned(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)
    desk.gives("AAPL", ("20261119", 170.25), ("20261120", 171.5))
    assert list(rows_of(desk.bars(CLOSE - timedelta(hours=1)))) == ["20 21:00"]
    assert len(desk.bars(CLOSE)) == 0


def test_stocks_are_asked_for_split_adjusted_in_regular_hours_with_times_in_seconds(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path, AAPL)
    desk.gives("AAPL", ("20261120", 171.5))
    desk.bars(CLOSE - timedelta(days=3))
    (fields,) = desk.asked()
    # contract 2..13, then: expired, end, size of bar, length, regular hours, what, form of date
    assert fields[14:21] == ["0", "", "1 day", "7 D", "1", "TRADES", "2"]
    assert fields[2] == "265598"


@pytest.mark.parametrize(
    ("days", "size", "count", "words"),
    [
        (3, "day", 1300, "5 D"),
        (363, "day", 1300, "365 D"),
        (364, "day", 1300, "2 Y"),
        (None, "day", 250, "2 Y"),  # 250 sessions are a year, and a week more
        (None, "day", 1250, "6 Y"),
        (None, "hour", 1400, "299 D"),  # 1400 hours are 200 sessions: 292 days, and a week
    ],
)
def test_the_length_asked_for_is_in_the_venues_words(
    days: int | None, size: str, count: int, words: str
) -> None:
    since = None if days is None else NOW - timedelta(days=days)
    assert duration(since, NOW, size, count) == words


@pytest.mark.parametrize("code", [162, 165, 366, 321, 10314])
def test_an_empty_answer_is_asked_for_once_more_and_is_then_unknown(
    tmp_path: Path, code: int
) -> None:
    desk = Desk(tmp_path, AAPL, KO)
    desk.gives("KO", ("20261120", 61.0))
    times: list[str] = []

    def refuse(request: str) -> Frames:
        times.append(request)
        return [answer(request, ())] if code == 165 else [error(request, code, "no data")]

    desk.script[NUMBERS["AAPL"]] = refuse
    assert rows_of(desk.bars()) == {"20 21:00": [None, 61.0]}
    assert len(times) == 2
    assert len(set(times)) == 2


def test_a_second_try_may_bring_what_the_first_did_not(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)
    tries: list[str] = []

    def second(request: str) -> Frames:
        tries.append(request)
        if len(tries) == 1:
            return [error(request, 162, "Historical Market Data Service error: pacing violation")]
        return [answer(request, [("20261120", 171.5)])]

    desk.script[NUMBERS["AAPL"]] = second
    assert rows_of(desk.bars()) == {"20 21:00": [171.5]}


def test_silence_of_one_costs_only_its_own_bars(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL, KO)
    desk.script[NUMBERS["AAPL"]] = lambda _request: []
    desk.gives("KO", ("20261120", 61.0))
    assert rows_of(desk.bars()) == {"20 21:00": [None, 61.0]}
    assert desk.line.wire.names().count("cancelHistoricalData") == 2


def test_no_more_requests_are_open_than_allowed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL, KO, MSFT)
    desk.line.settings.history_requests = 2
    waiting: list[str] = []

    def pair(request: str) -> Frames:
        waiting.append(request)
        if len(waiting) < 2:
            return []
        return [answer(each, [("20261120", 1.5)]) for each in waiting]

    for symbol in ("AAPL", "KO"):
        desk.script[NUMBERS[symbol]] = pair
    desk.script[NUMBERS["MSFT"]] = lambda r: (
        [answer(r, [("20261120", 2.5)])] if len(waiting) == 2 else []
    )
    assert rows_of(desk.bars()) == {"20 21:00": [1.5, 1.5, 2.5]}


def test_what_is_no_price_is_unknown(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)
    desk.gives("AAPL", ("20261118", -1), ("20261119", 0), ("20261120", "nan"), ("20261117", 5))
    assert rows_of(desk.bars()) == {"17 21:00": [5.0]}


def test_hourly_bars_close_at_the_full_hour_or_with_the_session(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)
    begins = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
    starts = [begins, *(begins.replace(hour=h, minute=0) for h in (15, 16, 20)), NOW]
    desk.gives("AAPL", *((int(at.timestamp()), 100 + n) for n, at in enumerate(starts)))
    panel = desk.bars(size="hour")
    assert rows_of(panel) == {
        "20 15:00": [100.0],
        "20 16:00": [101.0],
        "20 17:00": [102.0],
        "20 21:00": [103.0],
    }
    assert desk.asked()[0][16:17] == ["1 hour"]


def test_an_hour_outside_our_sessions_is_left_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)
    early = datetime(2026, 11, 20, 9, tzinfo=UTC)
    desk.gives("AAPL", (int(early.timestamp()), 99.0))
    assert len(desk.bars(size="hour")) == 0


def test_another_size_of_bar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected one of day, hour"):
        Desk(tmp_path, AAPL).bars(size="minute")


def test_a_wire_that_breaks_is_no_empty_history(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL)

    def broken(request: str) -> Frames:
        desk.line.ib.wrapper.connectionClosed()
        return []

    desk.script[NUMBERS["AAPL"]] = broken
    with pytest.raises(ConnectError):
        desk.bars()


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
def test_the_hosts_time_zone_changes_nothing(zone: str) -> None:
    names = "test_daily_bars_stand or test_hourly_bars or test_the_bar_of or test_a_half_day"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-n0", "-k", names, "-p", "no:cacheprovider"],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout.decode()

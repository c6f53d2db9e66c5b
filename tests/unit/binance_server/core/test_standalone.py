"""The exchange alone: its time, its re-dated recording, its words."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from rebalancer.clock import SystemClock
from rebalancer.errors import DataError
from rebalancer.simulators.binance_server.auth import signature
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.binance_server.faults_file import FaultPlan, read_faults
from rebalancer.simulators.binance_server.spec import KEY, SECRET
from rebalancer.simulators.binance_server.standalone import (
    SHIFT,
    Alone,
    WallTime,
    keep_up,
    redated,
    start_of,
)
from rebalancer.simulators.candles import candle_recording
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.store.atomic import Files
from tests.binance_servers import START, server, spec

ROOT = Path(__file__).resolve().parents[4]
NOW = datetime(2026, 11, 21, 10, 7, 30, tzinfo=UTC)


def test_the_middle_of_the_recording_is_now_at_the_same_time_of_day() -> None:
    made = redated(Alone(spec()), Files(), NOW)
    recorded = candle_recording("binance_perps_2025")
    then = NOW - timedelta(hours=made.shift_hours)
    assert made.shift_hours % 24 == 0, "funding stays at its hours"
    middle = recorded.start + (recorded.end - recorded.start) / 2
    assert abs(then - middle) <= timedelta(days=1)
    assert made.settings.start == NOW, "a new account opens now"


def test_any_recorded_time_can_be_now_to_the_hour() -> None:
    at = datetime(2025, 4, 1, 0, 0, tzinfo=UTC)
    made = redated(Alone(spec(), at=at), Files(), NOW)
    assert timedelta(0) <= NOW - timedelta(hours=made.shift_hours) - at < timedelta(hours=1)
    with pytest.raises(DataError, match=r"--at 2024-04-01T00:00Z: recording .* has 2025-03-06T11"):
        redated(Alone(spec(), at=at.replace(year=2024)), Files(), NOW)


def test_books_keep_the_date_that_their_recording_got(tmp_path: Path) -> None:
    alone = Alone(spec(folder=str(tmp_path)))
    first = redated(alone, Files(), NOW)
    venue = server(folder=str(tmp_path), shift_hours=first.shift_hours, settings={"start": NOW})
    venue.exchange.account.codec[SHIFT] = str(first.shift_hours)
    venue.exchange.save()
    later = redated(alone, Files(), NOW + timedelta(days=3))
    assert later.shift_hours == first.shift_hours


def test_a_portfolios_own_books_are_not_played_with(tmp_path: Path) -> None:
    server(folder=str(tmp_path)).exchange.save()
    with pytest.raises(DataError, match="the books there are a portfolio's"):
        redated(Alone(spec(folder=str(tmp_path))), Files(), NOW)


def test_time_follows_the_wall_or_runs_ahead_of_it() -> None:
    seconds = [0.0]
    fast = WallTime(START, 60, lambda: NOW, lambda: seconds[0])
    seconds[0] = 2.0
    assert fast.now() == START + timedelta(minutes=2)
    assert WallTime(START, 1, lambda: NOW, lambda: seconds[0]).now() == NOW


def test_a_wall_clock_that_is_set_back_is_waited_for() -> None:
    venue = server(latency_seconds=0.0)
    told = [START + timedelta(seconds=5)]
    wall = WallTime(START, 1, lambda: told[0])
    keep_up(venue, wall)
    assert venue.now == START + timedelta(seconds=5)
    told[0] = START
    keep_up(venue, wall)
    assert venue.now == START + timedelta(seconds=5)


@pytest.mark.parametrize("text", ["yesterday", "2025-04-01", "2025-04-01T00:00"])
def test_a_time_needs_its_zone(text: str) -> None:
    with pytest.raises(DataError, match="write a time with its zone"):
        start_of(text)


# ------------------------------------------------------------------ the command


@contextmanager
def alone(folder: Path, *more: str) -> Iterator[tuple[str, list[str]]]:
    """Start `rebalancer simulate binance`; give its address and what it says until it ends."""
    words = [sys.executable, str(ROOT / "run.py"), "simulate", "binance", "--port", "0", *more]
    said: list[str] = []
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C ends it"):
                break
        found = re.search(r"127\.0\.0\.1:\d+", said[0])
        assert found, said
        try:
            yield f"http://{found[0]}", said
        finally:
            process.send_signal(signal.SIGTERM)
            said.append(process.stdout.read())
            assert process.wait(20) == 0


def heard(address: str, *, key: str = "", method: str = "GET") -> Any:
    with requests.Session() as session:
        session.trust_env = False
        headers = {"X-MBX-APIKEY": key} if key else {}
        answer = session.request(method, address, headers=headers, timeout=10)
    answer.raise_for_status()
    return answer.json()


def signed(query: str) -> str:
    query += f"&timestamp={round(SystemClock().now().timestamp() * 1000)}"
    return f"{query}&signature={signature(SECRET, query)}"


def test_a_client_with_its_own_clock_can_trade_and_go_on_later(tmp_path: Path) -> None:
    order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01"
    log = tmp_path / "wire"
    with alone(tmp_path, "--state", "books", "--cash", "USDT=5000", "--wire-log", str(log)) as (
        base,
        said,
    ):
        text = "".join(said)
        assert KEY in text
        assert SECRET in text
        assert f"{base}/fapi" in text
        assert heard(f"{base}/fapi/v1/order?{signed(order)}", key=KEY, method="POST")["orderId"]
        hours = heard(f"{base}/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=200")
        assert len(hours) == 200
    assert "The exchange has ended" in said[-1]
    assert "POST /fapi/v1/order?symbol=BTCUSDT" in log.read_text()
    with alone(tmp_path, "--state", "books") as (base, _):
        rows = heard(f"{base}/fapi/v3/positionRisk?{signed('symbol=BTCUSDT')}", key=KEY)
        assert rows[0]["positionAmt"] == "0.010"


def test_the_example_that_is_shown_runs_as_it_is(tmp_path: Path) -> None:
    with alone(tmp_path, "--cash", "USDT=1234") as (_, said):
        lines = [line.removeprefix("  ") for line in "".join(said).splitlines()]
        words = next(line for line in lines if line.startswith("key, secret ="))
        first = lines.index("from binance.client import Client")
        code = "\n".join([words, *lines[first : lines.index("", first)]])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert "'asset': 'USDT', 'balance': '1234.00000000'" in done.stdout


def test_bad_words_are_explained(tmp_path: Path) -> None:
    for words, told in (
        (["--cash", "USDT"], "write an asset and its balance"),
        (["--account", "DU1"], "a uid is a number"),
        (["--fault", "where=GET /nothing,do=html"], "where 'GET /nothing' is not known"),
        (["--at", "2024-01-01T00:00Z"], "recording binance_perps_2025 has"),
    ):
        done = subprocess.run(
            [sys.executable, str(ROOT / "run.py"), "simulate", "binance", "--port", "0", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in (2, 3), done
        assert told in done.stderr + done.stdout


# ------------------------------------------------------------------ faults in words


def test_a_word_is_a_fault_of_a_request() -> None:
    plan = read_faults("where=POST /fapi/v1/order, do=status-after, code=-1000, lasts=1.5")
    fault = HttpFault("POST /fapi/v1/order", Do.STATUS_AFTER, code=-1000, lasts=1.5)
    assert plan == FaultPlan(wire=(fault,))
    assert read_faults("on=*,do=html,count=all").wire == (HttpFault("*", Do.HTML, count=None),)
    assert read_faults("kind=NO_FILL").venue == (Fault(FaultKind.NO_FILL),)


def test_a_file_has_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(
        '[[wire]]\nwhere = "GET /fapi/v1/*"\ndo = "truncate"\nnth = 3\n'
        '[[venue]]\nkind = "PARTIAL_ONLY"\ncount = "all"\n'
        '[seeded]\nseed = 4\n[[seeded.rates]]\nwhere = "*"\ndo = "cut-after"\nrate = 0.1\n'
    )
    plan = read_faults(str(path))
    assert plan.wire == (HttpFault("GET /fapi/v1/*", Do.TRUNCATE, nth=3),)
    assert plan.venue[0].count is None
    assert (plan.rates[0].fault.do, plan.rates[0].rate, plan.seed) == (Do.CUT_AFTER, 0.1, 4)
    both = plan.with_more(read_faults("kind=REJECT"))
    assert (len(both.venue), both.seed) == (2, 4)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("where=POST /fapi/v1/ordr,do=cut-after", "did you mean POST /fapi/v1/order"),
        ("where=*,do=cutt-after", "did you mean cut-after"),
        ("do=html", "where is missing"),
        ("where=*", "do is missing"),
        ("where=*,do=html,secs=1", "did you mean seconds|key 'secs' is not known"),
        ("where=*,do=html,lasts=-1", "cannot be negative"),
        ("where=*,do=html,code=abc", "code = 'abc': expected int"),
    ],
)
def test_a_bad_word_is_explained(word: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_faults(word)

"""`rebalancer simulate ib`, as a person starts it, and the real client at its port."""

from __future__ import annotations

import asyncio
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Running:
    """The command at work, and what it has printed."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), "simulate", "ib", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.printed = ""
        self.port = int(self.until(r"listens at 127\.0\.0\.1:(\d+)")[1])
        self.until("Ctrl-C ends it")

    def until(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Wait until something was printed."""
        assert self.process.stdout is not None
        end = monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not (found := re.search(pattern, self.printed)):
                left = end - monotonic()
                if left <= 0 or not selector.select(left):
                    raise AssertionError(f"no {pattern!r} in {self.printed!r}")
                piece = os.read(self.process.stdout.fileno(), 65_536)
                if not piece:
                    assert self.process.stderr is not None
                    raise AssertionError(self.process.stderr.read().decode())
                self.printed += piece.decode()
        return found

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        self.printed += out.decode()
        assert err == b"", err.decode()
        return self.process.returncode


@contextmanager
def simulating(folder: Path, *words: str) -> Iterator[Running]:
    running = Running(["--port", "0", *words], folder)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


@contextmanager
def client(port: int) -> Iterator[tuple[Any, Any]]:
    """Yield the library of this environment and a connected client."""
    lib = import_module("ib_insync" if find_spec("ib_insync") else "ib_async")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    ib = lib.IB()
    ib.RequestTimeout = 20
    ib.connect("127.0.0.1", port, clientId=1, timeout=20)
    try:
        yield lib, ib
    finally:
        ib.disconnect()
        ib.sleep(0.05)
        loop.close()
        asyncio.set_event_loop(None)


def test_it_says_how_to_connect_and_ends_cleanly(tmp_path: Path) -> None:
    with simulating(tmp_path) as running:
        assert f'connect("127.0.0.1", {running.port}, clientId=1)' in running.printed
        assert "means nothing" in running.printed
        assert running.interrupt() == 0
        assert "The gateway has ended" in running.printed
    assert list(tmp_path.iterdir()) == []


def test_the_three_lines_that_it_prints_work(tmp_path: Path) -> None:
    with simulating(tmp_path, "--account", "DU7654321") as running:
        lines = re.findall(r"^  (import ib_insync|ib = .*|print\(.*)$", running.printed, re.M)
        assert len(lines) == 3
        code = "\n".join(lines)
        if not find_spec("ib_insync"):
            code = code.replace("ib_insync", "ib_async")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "DU7654321" in done.stdout


def test_stocks_a_currency_pair_and_a_future_are_there_and_an_order_trades(tmp_path: Path) -> None:
    with simulating(tmp_path, "--speed", "60") as running, client(running.port) as (lib, ib):
        contracts = [
            lib.Stock("AAPL", "SMART", "USD"),
            lib.Forex("EURUSD"),
            lib.Future("ES", "202006", "CME"),
        ]
        assert len(ib.qualifyContracts(*contracts)) == 3
        apple, euro, future = ib.reqTickers(*contracts)
        assert 0 < apple.bid < apple.ask
        assert 1.0 < euro.bid <= euro.ask < 1.2
        assert 2000 < future.bid < future.ask < 5000
        order = lib.LimitOrder("BUY", 5, apple.ask + 1, tif="DAY")
        trade = ib.placeOrder(contracts[0], order)
        for _ in range(200):
            ib.sleep(0.05)
            if trade.orderStatus.status == "Filled":
                break
        assert trade.orderStatus.status == "Filled"
        assert running.interrupt() == 0


def test_the_clock_runs_and_nights_are_skipped(tmp_path: Path) -> None:
    # Ten minutes before the close of a Friday; an hour a second.
    at = "2020-03-06T20:50Z"
    with simulating(tmp_path, "--at", at, "--speed", "3600") as running:
        with client(running.port) as (_, ib):
            now = ib.reqCurrentTime()
            for _ in range(200):
                now = ib.reqCurrentTime()
                if now.day == 9:
                    break
                ib.sleep(0.05)
        assert running.interrupt() == 0
    assert now >= datetime(2020, 3, 9, 13, 30, tzinfo=UTC), "Monday's opening, in summer time"


def test_nights_can_be_kept(tmp_path: Path) -> None:
    words = ("--at", "2020-03-06T22:00Z", "--nights")
    with simulating(tmp_path, *words) as running, client(running.port) as (_, ib):
        now = ib.reqCurrentTime()
    begin = datetime(2020, 3, 6, 22, 0, tzinfo=UTC)
    assert begin <= now < begin + timedelta(minutes=5)


def test_the_books_are_kept_and_gone_on_with(tmp_path: Path) -> None:
    words = ("--state", "books", "--speed", "60")
    with simulating(tmp_path, *words) as running:
        with client(running.port) as (lib, ib):
            (contract,) = ib.qualifyContracts(lib.Stock("KO", "SMART", "USD"))
            ib.placeOrder(contract, lib.LimitOrder("BUY", 5, 1.0, tif="GTC", orderRef="mine"))
            ib.sleep(0.3)
        assert running.interrupt() == 0
    saved = json.loads((tmp_path / "books" / "books.json").read_text())
    assert [order["reference"] for order in saved["orders"]] == ["mine"]
    with simulating(tmp_path, *words) as running, client(running.port) as (_, ib):
        assert [trade.order.orderRef for trade in ib.reqAllOpenOrders()] == ["mine"]


def test_the_wire_log_is_readable(tmp_path: Path) -> None:
    with simulating(tmp_path, "--wire-log", "-") as running:
        with client(running.port):
            running.until(r"-> reqPositions ")
        assert re.search(r"-> handshake +v157\.\.17[68]", running.printed)
        assert "<- positionEnd" in running.printed
    with simulating(tmp_path, "--wire-log", "wire.txt") as running:
        with client(running.port):
            pass
        assert running.interrupt() == 0
    assert "-> startApi" in (tmp_path / "wire.txt").read_text()


def test_faults_are_said_on_the_command_line(tmp_path: Path) -> None:
    words = ("--fault", "on=placeOrder,do=error,code=201,text=not today")
    with simulating(tmp_path, *words) as running, client(running.port) as (lib, ib):
        (contract,) = ib.qualifyContracts(lib.Stock("KO", "SMART", "USD"))
        trade = ib.placeOrder(contract, lib.LimitOrder("BUY", 5, 1.0, tif="DAY"))
        for _ in range(100):
            ib.sleep(0.02)
            if len(trade.log) > 1:
                break
        assert any("not today" in entry.message for entry in trade.log)


def refused(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "simulate", "ib", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (2, 3), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is in use" in refused(tmp_path, "--port", port)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--at", "yesterday"), "--at 'yesterday': write a time with its zone"),
        (("--fault", "on=placeOrdr,do=cut"), "did you mean placeOrder"),
        (("--fault", "none.toml"), "none.toml: cannot read it"),
        (("--recording", "nothing"), "there is no such"),
        (("--symbols", "AAPL,NOPE"), "--symbols NOPE: recording us_equities has"),
        (("--wire-log", "no/such/folder/log"), "--wire-log no/such/folder/log: cannot write"),
        (("--server-version", "300"), "invalid choice"),
        (("--port", "99999"), "99999 is no port"),
        (("--speed", "0"), "more than 0"),
    ],
)
def test_bad_words_are_explained(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    assert message in refused(tmp_path, "--port", "0", *words)

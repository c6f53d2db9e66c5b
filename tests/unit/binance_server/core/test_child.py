"""The exchange as a child process, with real kills. What all children share is tested with IB's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest
import requests

from rebalancer.errors import ConnectError, DataError, RebalancerError, StateError, UsageError
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.binance_server.launch import ChildServer
from rebalancer.simulators.binance_server.spec import BinanceSpec, spec_to_json
from tests.binance_servers import START, request, spec

ROOT = Path(__file__).resolve().parents[4]
Start = Callable[[BinanceSpec], ChildServer]


@pytest.fixture
def kept(tmp_path: Path) -> BinanceSpec:
    return spec(folder=str(tmp_path / "paper"))


@pytest.fixture
def books(tmp_path: Path) -> Path:
    return tmp_path / "paper" / "books.json"


@pytest.fixture
def start() -> Iterator[Start]:
    """Return how children are started that a failing test must not leave behind."""
    started: list[ChildServer] = []

    def begin(spec: BinanceSpec) -> ChildServer:
        started.append(ChildServer(spec))
        return started[-1]

    yield begin
    for child in started:
        child.close()


class _Clock:
    def __init__(self, child: ChildServer) -> None:
        self.now = child.now()


def sent(child: ChildServer, method: str, path: str, **parameters: str) -> requests.Response:
    made = request(_Clock(child), method, path, True, **parameters)  # type: ignore[arg-type]
    address = f"http://{child.host}:{child.port}{path}?{made.query}"
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, address, headers=dict(made.headers), timeout=5)


def bid(child: ChildServer, reference: str) -> requests.Response:
    return sent(
        child, "POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="LIMIT",
        quantity="0.01", price="80000", timeInForce="GTC", newClientOrderId=reference,
    )  # fmt: skip


def gone(pid: int, seconds: float = 20) -> bool:
    """Wait until a process is gone; return whether it is."""
    end = monotonic() + seconds
    while monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        sleep(0.02)
    return False


def references(books: Path) -> list[str]:
    return [order["reference"] for order in json.loads(books.read_text())["orders"]]


def test_it_is_steered_beside_the_wire(start: Start, kept: BinanceSpec) -> None:
    child = start(kept)
    child.open(START, 1)
    until = START + timedelta(minutes=7)
    assert child.advance(until) == until == child.now()
    assert not child.ended(until)
    assert child.ended(until + timedelta(days=40))
    assert bid(child, "r.1").status_code == 200
    assert child.counts() == {"POST /fapi/v1/order": 1}
    assert child.used_weight()["usdm-orders-10S-peak"] == 1
    child.inject(HttpFault("GET *", Do.STATUS_BEFORE))
    assert sent(child, "GET", "/fapi/v1/openOrders").status_code == 503
    assert len(child.trace()) == 64
    child.arm()


def test_the_books_are_saved_at_the_end(start: Start, kept: BinanceSpec, books: Path) -> None:
    child = start(kept)
    child.open(START, 1)
    bid(child, "r.1")
    child.close()
    assert references(books) == ["r.1"]
    with pytest.raises(ConnectError, match="the simulated exchange was closed"):
        child.now()


def test_a_dry_run_saves_nothing(start: Start, kept: BinanceSpec, books: Path) -> None:
    child = start(replace(kept, keep=False))
    child.open(START, 1)
    bid(child, "r.1")
    child.close()
    assert not books.exists()


def test_what_was_answered_outlives_a_kill(start: Start, kept: BinanceSpec, books: Path) -> None:
    child = start(kept)
    child.open(START, 1)
    for number in range(3):
        assert bid(child, f"r.{number}").status_code == 200
    os.kill(child.pid, signal.SIGKILL)
    assert gone(child.pid)
    with pytest.raises(ConnectError, match="killed by SIGKILL"):
        child.now()
    assert references(books) == ["r.0", "r.1", "r.2"]
    other = start(kept)
    other.open(START + timedelta(minutes=1), 1)
    found = sent(other, "GET", "/fapi/v1/openOrders").json()
    assert [order["clientOrderId"] for order in found] == ["r.0", "r.1", "r.2"]


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"settings": {"recording": "nothing"}}, DataError, "nothing"),
        ({"crowd": 100_000}, DataError, "crowd = 100000"),
        ({"fee_schedule": "free"}, DataError, "fees 'free'"),
    ],
)
def test_a_spec_that_cannot_be_is_the_same_error_as_in_process(
    changes: dict[str, object], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        ChildServer(spec(**changes))


@pytest.mark.parametrize("content", ["{not json", "[" * 100_000])
def test_damaged_books_are_a_state_error(kept: BinanceSpec, books: Path, content: str) -> None:
    books.parent.mkdir()
    books.write_text(content)
    with pytest.raises(StateError, match="books are damaged"):
        ChildServer(kept)


def test_a_slot_in_the_past_is_a_usage_error(start: Start, kept: BinanceSpec) -> None:
    child = start(kept)
    child.open(START + timedelta(hours=1), 1)
    with pytest.raises(UsageError, match="forward only"):
        child.open(START, 1)
    with pytest.raises(UsageError, match="cannot 'dance'"):
        child._ask("dance")


def test_a_bug_in_the_child_is_a_bug_with_its_traceback(start: Start, kept: BinanceSpec) -> None:
    with pytest.raises(RebalancerError, match="KeyError: 'slot'"):
        start(kept)._ask("open")


PARENT = """
import sys, time
from datetime import datetime, UTC
from rebalancer.simulators.binance_server.launch import ChildServer
from rebalancer.simulators.binance_server.spec import spec_from_json
child = ChildServer(spec_from_json(sys.stdin.readline()))
child.open(datetime(2025, 3, 20, 16, 0, tzinfo=UTC), 1)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_parent_whatever_kills_that(
    kept: BinanceSpec, books: Path, number: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(spec_to_json(kept) + "\n")
        parent.stdin.flush()
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait(20)
        assert gone(pid), "the child outlived its parent"
    assert json.loads(books.read_text())["now"] == "2025-03-20T16:00:00Z"


def test_the_child_loads_numpy_and_no_other_library() -> None:
    code = "import sys, rebalancer.simulators.binance_server.child; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "numpy" in loaded
    assert not loaded & {"pandas", "pydantic", "binance", "requests", "rich", "sqlalchemy"}


def test_the_wire_log_can_be_a_file(start: Start, kept: BinanceSpec, tmp_path: Path) -> None:
    log = tmp_path / "wire.log"
    child = start(replace(kept, wire_log=str(log)))
    child.open(START, 1)
    bid(child, "r.1")
    child.close()
    assert "POST /fapi/v1/order?symbol=BTCUSDT" in log.read_text()

"""The gateway as a child process, with real kills."""

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
from typing import Any

import pytest

from rebalancer.errors import (
    ConnectError,
    DataError,
    NewerState,
    RebalancerError,
    StateError,
    UsageError,
)
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.launch import ChildGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec, spec_to_json
from tests.unit.ib_gateway.clients import ACCOUNT, SLOT, SPEC, buy, connected

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[2]


@pytest.fixture
def spec(tmp_path: Path) -> GatewaySpec:
    return replace(SPEC, folder=str(tmp_path / "paper"))


@pytest.fixture
def books(tmp_path: Path) -> Path:
    return tmp_path / "paper" / "books.json"


@pytest.fixture
def start() -> Iterator[Callable[[GatewaySpec], ChildGateway]]:
    """Return how children are started that a failing test must not leave behind."""
    started: list[ChildGateway] = []

    def begin(spec: GatewaySpec) -> ChildGateway:
        started.append(ChildGateway(spec))
        return started[-1]

    yield begin
    for child in started:
        child.close()


def gone(pid: int, seconds: float = 20) -> bool:
    """Wait until a process is gone; return whether it is."""
    end = monotonic() + seconds
    while monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # A zombie whose parent was killed is somebody else's to reap.
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        sleep(0.02)
    return False


def test_time_moves_as_it_is_told_and_no_other_way(start: Any, spec: GatewaySpec) -> None:
    child = start(spec)
    assert child.port > 0
    child.open(SLOT, 1)
    assert child.now() == SLOT
    until = SLOT + timedelta(minutes=7)
    assert child.advance(until) == until
    assert child.advance(SLOT) == until, "never back"
    assert child.now() == until
    assert not child.ended(until)
    assert child.ended(until.replace(year=2030))


def test_the_books_are_saved_at_the_end(start: Any, spec: GatewaySpec, books: Path) -> None:
    child = start(spec)
    child.open(SLOT, 1)
    child.close()
    assert json.loads(books.read_text())["now"] == "2020-03-02T15:05:00Z"
    with pytest.raises(ConnectError, match="was closed"):
        child.now()
    child.close()  # once more is fine


def test_a_dry_run_saves_nothing(start: Any, spec: GatewaySpec, books: Path) -> None:
    child = start(replace(spec, keep=False))
    child.open(SLOT, 1)
    child.close()
    assert not books.exists()


def test_a_slot_in_the_past_is_the_same_error_as_in_process(start: Any, spec: GatewaySpec) -> None:
    child = start(spec)
    child.open(SLOT, 1)
    with pytest.raises(UsageError, match="forward only: it is 2020-03-02T15:05:00Z already"):
        child.open(SLOT - timedelta(hours=1), 1)
    assert child.now() == SLOT, "it goes on"


def test_damaged_books_are_a_state_error(spec: GatewaySpec, books: Path) -> None:
    books.parent.mkdir()
    books.write_text("{not json")
    with pytest.raises(StateError, match="books are damaged") as raised:
        ChildGateway(spec)
    assert str(books) in str(raised.value)


def test_books_of_a_newer_version_are_told_apart(spec: GatewaySpec, books: Path) -> None:
    books.parent.mkdir()
    books.write_text('{"schema": 99}')
    with pytest.raises(NewerState, match="schema 99"):
        ChildGateway(spec)


def test_an_unknown_recording_is_a_data_error(spec: GatewaySpec) -> None:
    settings = replace(spec.settings, recording="nothing")
    with pytest.raises(DataError, match=r"paper.recording = 'nothing': there is no such"):
        ChildGateway(replace(spec, settings=settings))


def test_a_taken_port_is_a_usage_error(start: Any, spec: GatewaySpec) -> None:
    child = start(spec)
    with pytest.raises(UsageError, match=f"port {child.port} .* is in use"):
        ChildGateway(replace(spec, folder=None, port=child.port))


def test_a_bug_in_the_child_is_a_bug_with_its_traceback(start: Any, spec: GatewaySpec) -> None:
    child = start(spec)
    with pytest.raises(RebalancerError, match="KeyError: 'slot'") as raised:
        child._ask("open")
    assert raised.value.exit_code == 70
    with pytest.raises(ConnectError, match="code 70"):
        child.now()


def test_an_order_that_it_does_not_know_is_refused(start: Any, spec: GatewaySpec) -> None:
    with pytest.raises(UsageError, match="cannot 'dance'"):
        start(spec)._ask("dance")


def test_a_child_that_was_killed_is_a_broken_wire(start: Any, spec: GatewaySpec) -> None:
    child = start(spec)
    child.open(SLOT, 1)
    with pytest.raises((ConnectionError, ConnectError)), connected(child) as ib:
        os.kill(child.pid, signal.SIGKILL)
        for _ in range(100):
            ib.reqCurrentTime()
    with pytest.raises(ConnectError, match="killed by SIGKILL"):
        child.now()
    with pytest.raises(ConnectError, match="killed by SIGKILL"):
        child.advance(SLOT + timedelta(minutes=1))
    child.close()


def test_another_child_goes_on_where_the_killed_one_was(
    start: Any, spec: GatewaySpec, books: Path
) -> None:
    child = start(spec)
    child.open(SLOT, 1)
    with suppress(ConnectionError), connected(child) as ib:
        buy(ib, "r.1")
        child.advance(SLOT + timedelta(seconds=30))
        buy(ib, "r.2")
        os.kill(child.pid, signal.SIGKILL)
        assert gone(child.pid)
    saved = json.loads(books.read_text())
    assert [order["reference"] for order in saved["orders"]] == ["r.1", "r.2"]
    other = start(spec)
    other.open(SLOT + timedelta(hours=1), 1)
    with connected(other) as ib:
        found = {trade.order.orderRef: trade.orderStatus.status for trade in ib.reqAllOpenOrders()}
    assert set(found) == {"r.1", "r.2"}


PARENT = """
import sys, time
from pathlib import Path
from rebalancer.simulators.ib_gateway.launch import ChildGateway
from rebalancer.simulators.ib_gateway.spec import spec_from_json
sys.path.insert(0, sys.argv[1])
from clients import SLOT, buy, connected
child = ChildGateway(spec_from_json(sys.stdin.readline()))
child.open(SLOT, 1)
with connected(child) as ib:
    buy(ib, "r.1")
    print(child.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent_whatever_kills_it(
    spec: GatewaySpec, books: Path, number: int, start: Any
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PARENT, str(HERE)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(spec_to_json(spec) + "\n")
        parent.stdin.flush()
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait(20)
        assert gone(pid), "the child outlived its parent"
    saved = json.loads(books.read_text())
    assert [order["reference"] for order in saved["orders"]] == ["r.1"]
    other = start(spec)
    other.open(SLOT + timedelta(hours=1), 1)
    with connected(other) as ib:
        assert [trade.order.orderRef for trade in ib.reqAllOpenOrders()] == ["r.1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_child_that_is_asked_to_end_saves(
    start: Any, spec: GatewaySpec, books: Path, number: int
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("these tests run under nohup, and so does the child")
    child = start(spec)
    child.open(SLOT, 1)
    before = books.read_bytes() if books.exists() else b""
    os.kill(child.pid, number)
    assert gone(child.pid)
    if number == signal.SIGTERM:
        assert books.exists()
    assert before in (b"", books.read_bytes() if books.exists() else b"")


def test_the_terminals_interrupt_is_not_the_childs(start: Any, spec: GatewaySpec) -> None:
    child = start(spec)
    os.kill(child.pid, signal.SIGINT)
    child.open(SLOT, 1)
    assert child.now() == SLOT
    assert os.getsid(child.pid) != os.getsid(0)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_child_sees_no_secret(
    start: Any, spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    child = start(spec)
    seen = Path(f"/proc/{child.pid}/environ").read_text()
    assert "hunter2" not in seen
    assert "TZ=UTC" in seen


def test_the_child_loads_numpy_and_no_other_library() -> None:
    code = "import sys, rebalancer.simulators.ib_gateway.child; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "numpy" in loaded
    assert not loaded & {"pandas", "pydantic", "ib_insync", "ib_async", "rich", "sqlalchemy"}


def test_faults_can_be_injected_and_messages_counted(start: Any, spec: GatewaySpec) -> None:
    child = start(spec)
    child.open(SLOT, 1)
    with connected(child, timeout=1) as ib:
        child.inject(WireFault("reqPositions", Do.LOSE))
        with pytest.raises(TimeoutError):
            ib.reqPositions()
        ib.reqAllOpenOrders()
    counts = child.counts()
    assert counts["startApi"] == 1
    assert counts["reqPositions"] == 2, "connect's own, and the lost one: it was heard"
    assert child.violations() == 0
    assert len(child.trace()) == 64


def test_the_wire_log_can_be_a_file(start: Any, spec: GatewaySpec, tmp_path: Path) -> None:
    log = tmp_path / "wire.log"
    child = start(replace(spec, wire_log=str(log)))
    child.open(SLOT, 1)
    with connected(child):
        pass
    child.close()
    lines = log.read_text().splitlines()
    assert " -> handshake " in lines[0]
    assert any(" <- managedAccounts " in line and ACCOUNT in line for line in lines)


def test_a_refused_connection_is_refused_by_the_port_itself(start: Any, spec: GatewaySpec) -> None:
    from rebalancer.simulators.faults import Fault, FaultKind

    child = start(replace(spec, faults=(Fault(FaultKind.REFUSED_CONNECTION),)))
    child.open(SLOT, 1)
    with pytest.raises(ConnectionRefusedError), connected(child):
        pass
    child.open(SLOT, 1)
    with connected(child) as ib:
        assert ib.managedAccounts() == [ACCOUNT]

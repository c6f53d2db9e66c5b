"""The real client and the gateway in one process, on virtual time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from rebalancer.errors import UsageError
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from tests.unit.ib_gateway.clients import (
    ACCOUNT,
    SLOT,
    connected,
    library,
    local,
    on_loop,
    trace,
)

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[2]


def test_an_hour_of_the_real_client_without_a_socket() -> None:
    _, ends = trace()
    assert ends == ["Cancelled", "Filled", "Filled"]


def test_the_same_seed_has_the_same_wire_and_another_seed_another() -> None:
    assert trace() == trace()
    assert trace()[0] != trace(seed=8)[0]


def test_other_delays_are_another_wire() -> None:
    assert trace()[0] != trace(latency_seconds=0.05)[0]


def test_another_process_has_the_same_wire() -> None:
    # Not by its dotted name: another package of that name may be installed.
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import clients; print(clients.trace()[0])"
    )
    seen = set()
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout.strip())
    assert seen == {trace()[0]}


def test_virtual_time_passes_and_wall_time_does_not() -> None:
    gateway = local()
    gateway.inject(WireFault("reqPositions", Do.DELAY, seconds=3000))
    with connected(gateway, timeout=0) as ib:
        loop = asyncio.get_event_loop_policy().get_event_loop()
        assert loop.time() > 2999
        assert ib.positions() == []


def test_an_answer_that_never_comes_without_a_limit_is_a_clear_error() -> None:
    gateway = local()
    with connected(gateway) as ib:
        gateway.inject(WireFault("reqPositions", Do.LOSE))
        ib.RequestTimeout = 0
        with pytest.raises(RuntimeError, match="without a time limit"):
            ib.reqPositions()


def test_several_clients_share_a_loop() -> None:
    gateway = local()
    loop = gateway.loop()
    with (
        connected(gateway, client_id=1, loop=loop) as one,
        connected(gateway, client_id=2, loop=loop) as two,
    ):
        assert one.managedAccounts() == two.managedAccounts() == [ACCOUNT]
    loop.close()


def test_a_port_where_nobody_is_refuses() -> None:
    gateway = local()
    gateway.port += 1
    with pytest.raises(ConnectionRefusedError):
        gateway.port -= 1
        with on_loop(gateway.loop()):
            library().IB().connect("127.0.0.1", gateway.port + 1, clientId=1)


def test_a_new_loop_breaks_the_connections_of_the_old_one_and_goes_on_with_its_time() -> None:
    gateway = local()
    with connected(gateway) as ib:
        ib.sleep(5)
        before = asyncio.get_event_loop_policy().get_event_loop().time()
        later = gateway.loop()
        assert gateway.gateway.sessions == {}
        assert later.time() == before
        later.close()


def test_time_in_the_market_is_the_controls() -> None:
    gateway = local()
    with connected(gateway) as ib:
        assert ib.reqCurrentTime() == SLOT
        ib.sleep(600)
        assert ib.reqCurrentTime() == SLOT, "the wire's seconds are not the market's"
        gateway.advance(SLOT + timedelta(minutes=3))
        assert ib.reqCurrentTime() == SLOT + timedelta(minutes=3)
    with pytest.raises(UsageError, match="forward only"):
        gateway.open(SLOT, 1)


def test_a_bug_of_the_gateway_is_raised_by_the_next_call_of_its_control() -> None:
    gateway = local()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("planted")

    with connected(gateway, timeout=1) as ib:
        session = next(iter(gateway.gateway.sessions.values()))
        session.receive = broken  # type: ignore[method-assign, assignment]
        with pytest.raises((ConnectionError, TimeoutError)):
            ib.reqPositions()
        with pytest.raises(ZeroDivisionError, match="planted"):
            gateway.now()
        gateway.now()


def test_every_frame_arrives_in_the_order_it_was_sent() -> None:
    gateway = local(latency_seconds=0.5)
    with connected(gateway, timeout=60) as ib:
        for _ in range(5):
            ib.reqPositions()
            ib.reqAllOpenOrders()
        heard = [entry for entry in gateway.gateway.log.entries if entry.heard]
    asked = [entry.name for entry in heard if entry.name in ("reqPositions", "reqAllOpenOrders")]
    assert asked[-10:] == ["reqPositions", "reqAllOpenOrders"] * 5
    times = [entry.microseconds for entry in heard]
    assert times == sorted(times)

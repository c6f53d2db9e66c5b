"""How many hours of the real client a minute holds, without sockets and on virtual time.

`python -m benchmarks.gateway_hours [HOURS [SEED]]` counts them in a loop of its own.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter, process_time
from typing import Any

from benchmarks import Benchmark
from rebalancer.simulators.ib_gateway.launch import ChildGateway
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.ib_gateway.standalone import recorded_sessions
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.recording import recording
from rebalancer.store.atomic import Files

SLOT = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
SYMBOLS = ("AAPL", "KO", "MSFT", "JNJ", "PG")


@cache
def spec() -> GatewaySpec:
    """Return the gateway of every hour."""
    sessions = recorded_sessions(recording("us_equities"))
    return GatewaySpec(account="DU1", base="USD", folder=None, sessions=sessions)


@cache
def library() -> Any:
    """Return ib_insync or ib_async, silent."""
    logging.disable(logging.CRITICAL)
    return import_module("ib_insync" if find_spec("ib_insync") else "ib_async")


def hour(seed: int = 1) -> tuple[str, int]:
    """Connect, ask 20 times, send and cancel five orders, disconnect.

    Returns the digest of the wire and the number of messages the client sent.
    """
    lib = library()
    gateway = LocalGateway(replace(spec(), settings=PaperSettings(seed=seed)), Files())
    gateway.open(SLOT, 1)
    loop = gateway.loop()
    asyncio.set_event_loop(loop)
    ib = lib.IB()
    ib.RequestTimeout = 30
    ib.connect(gateway.host, gateway.port, clientId=1, timeout=30)
    contracts = [lib.Stock(symbol, "SMART", "USD") for symbol in SYMBOLS]
    ib.qualifyContracts(*contracts)
    for ask in (ib.reqPositions, ib.reqAllOpenOrders, ib.reqExecutions, ib.reqCurrentTime):
        ask()
    tickers = ib.reqTickers(*contracts)
    trades = [
        ib.placeOrder(contract, lib.LimitOrder("BUY", 10, round(t.bid * 0.9, 2), tif="DAY"))
        for contract, t in zip(contracts, tickers, strict=True)
    ]
    _pass(gateway, ib)
    for trade in trades:
        ib.cancelOrder(trade.order)
    _pass(gateway, ib)
    ib.reqPositions()
    ib.disconnect()
    ib.sleep(1)
    counted = sum(gateway.counts().values())
    loop.close()
    return gateway.trace(), counted


def _pass(gateway: LocalGateway, ib: Any) -> None:
    for _ in range(2):
        gateway.advance(gateway.now() + timedelta(seconds=30))
        ib.reqCurrentTime()


def child() -> None:
    """Start a gateway in a process of its own and end it."""
    with ChildGateway(spec()) as gateway:
        gateway.now()


def benchmarks() -> list[Benchmark]:
    """Return the claims: a thousand client hours a minute, a child that is soon there."""
    return [
        Benchmark(
            name="client hour in process",
            run=hour,
            yardstick_name="building GatewaySpec's sessions",
            yardstick=lambda: recorded_sessions(recording("us_equities")),
            most_milliseconds=60,
        ),
        Benchmark(
            name="gateway as a child process",
            run=child,
            yardstick_name="a process that imports numpy and asyncio",
            yardstick=lambda: _process("import numpy, asyncio"),
            most_ratio=4,
            rounds=7,
        ),
    ]


def _process(code: str) -> None:
    from benchmarks.processes import process

    process(["-c", code])


def main() -> None:
    """Count hours."""
    hours = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    hour()
    began, busy = perf_counter(), process_time()
    found = Counter(hour(seed) for seed in range(first, first + hours))
    took, busy = perf_counter() - began, process_time() - busy
    sent = sum(count * times for (_, count), times in found.items())
    print(
        f"{library().__name__}: {hours} client hours in {took:.1f} s = {hours / took * 60:.0f} a "
        f"minute ({hours / busy * 60:.0f} a minute of processor time), {sent} messages sent, "
        f"{len(found)} different wires"
    )
    print(f"the same seed, the same wire: {hour(first)[0] == hour(first)[0]}")


if __name__ == "__main__":
    main()

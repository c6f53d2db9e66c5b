"""The real client library of this environment, and gateways for it to talk to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.simulators.ib_gateway.control import Control
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.ib_gateway.standalone import recorded_sessions
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.recording import recording
from rebalancer.store.atomic import Files

SLOT = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
"""A Monday, thirty-five minutes after the opening in New York."""

ACCOUNT = "DU1234567"
SPEC = GatewaySpec(
    account=ACCOUNT,
    base="USD",
    folder=None,
    settings=PaperSettings(seed=7, fx={"EUR": Decimal("1.10")}),
    sessions=recorded_sessions(recording("us_equities")),
)


def stock(symbol: str) -> Instrument:
    """Return a US stock."""
    return Instrument(InstrumentId(f"{symbol}.STK.USD@IB"), Kind.STOCK, symbol, "USD", "XNYS")


def library() -> Any:
    """Return ib_insync or ib_async: whichever this environment has."""
    return import_module("ib_insync" if find_spec("ib_insync") else "ib_async")


def local(**changes: Any) -> LocalGateway:
    """Return a gateway in this process, at the slot, its faults armed."""
    gateway = LocalGateway(replace(SPEC, **changes), Files())
    gateway.open(SLOT, 1)
    gateway.arm()
    return gateway


@contextmanager
def connected(
    gateway: Control, *, client_id: int = 7, timeout: float = 4.0, loop: Any = None
) -> Iterator[Any]:
    """Yield a connected `IB`; afterwards it is disconnected, and its loop closed."""
    with on_loop(loop or gateway.loop(), close=loop is None):
        ib = library().IB()
        try:
            ib.connect(gateway.host, gateway.port, clientId=client_id, timeout=timeout)
            ib.RequestTimeout = timeout
            ib.RaiseRequestErrors = True
            yield ib
        finally:
            ib.disconnect()
            ib.sleep(0.1)


@contextmanager
def on_loop(loop: asyncio.AbstractEventLoop, *, close: bool = True) -> Iterator[None]:
    """Let a loop be the current one; whatever still runs on it is cancelled at the end."""
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        if close:
            loop.close()
            asyncio.set_event_loop(None)


def buy(ib: Any, reference: str, quantity: int = 10, limit: float = 10.0) -> Any:
    """Send a limit order for Apple; return its trade."""
    lib = library()
    contract = lib.Stock("AAPL", "SMART", "USD")
    order = lib.LimitOrder("BUY", quantity, limit, orderRef=reference, tif="GTC", account=ACCOUNT)
    trade = ib.placeOrder(contract, order)
    ib.reqCurrentTime()
    return trade


def an_hour(gateway: LocalGateway, ib: Any) -> list[str]:
    """Do what a run does: read, quote, order, wait, cancel; return what became of the orders."""
    lib = library()
    ib.reqPositions()
    ib.reqAllOpenOrders()
    ib.reqExecutions()
    ib.reqCompletedOrders(False)
    contracts = [lib.Stock(symbol, "SMART", "USD") for symbol in ("AAPL", "KO", "MSFT")]
    ib.qualifyContracts(*contracts)
    tickers = ib.reqTickers(*contracts)
    trades = []
    for number, (contract, ticker) in enumerate(zip(contracts, tickers, strict=True)):
        limit = ticker.ask if number else round(ticker.ask * 0.9, 2)
        order = lib.LimitOrder("BUY", 10, limit, tif="DAY", orderRef=f"r.{number}", account=ACCOUNT)
        trades.append(ib.placeOrder(contract, order))
    for _ in range(3):
        gateway.advance(gateway.now() + timedelta(seconds=20))
        ib.reqCurrentTime()
    ib.cancelOrder(trades[0].order)
    ib.reqCurrentTime()
    for _ in range(3):
        gateway.advance(gateway.now() + timedelta(seconds=20))
        ib.reqCurrentTime()
    ib.reqPositions()
    return [trade.orderStatus.status for trade in trades]


def trace(seed: int = 7, **changes: Any) -> tuple[str, list[str]]:
    """Return the digest of an hour's wire, and what became of its orders."""
    gateway = local(settings=replace(SPEC.settings, seed=seed), **changes)
    with connected(gateway) as ib:
        ends = an_hour(gateway, ib)
    return gateway.trace(), ends

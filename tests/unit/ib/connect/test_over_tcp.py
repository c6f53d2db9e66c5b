"""The same over real sockets: how it ends, and how fast messages may leave."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.brokers.ib.broker import IbBroker
from rebalancer.brokers.ib.hands import IbHands
from rebalancer.brokers.ib.passage import at_gateway, at_simulator
from rebalancer.errors import ConnectError
from rebalancer.model.universe import Universe
from rebalancer.simulators.ib_gateway.launch import ChildGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.contract.brokers.rig import AAPL, KO, MSFT, SLOT, ask, us_sessions
from tests.unit.ib.connect.rig import ACCOUNT, QUICK, FlaggedPage, Scene


@pytest.fixture
def broker(tmp_path: Path) -> IbBroker:
    return replace(Scene(tmp_path).broker(), settings=replace(QUICK, request_seconds=0.3))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def test_a_port_at_which_nobody_listens_is_said(broker: IbBroker, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    broker = replace(broker, passage=at_gateway("127.0.0.1", port))
    with (
        pytest.raises(ConnectError, match=rf"127\.0\.0\.1:{port}.*start IB Gateway"),
        broker.connect(FlaggedPage()),
    ):
        pytest.fail("connected")


def test_a_socket_that_accepts_and_never_reads_is_left(
    broker: IbBroker, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    broker = replace(broker, passage=at_gateway("127.0.0.1", port))
    with (
        pytest.raises(ConnectError, match="accepts connections and does not answer"),
        broker.connect(FlaggedPage()),
    ):
        pytest.fail("connected")


@pytest.mark.slow
def test_500_orders_leave_at_the_allowed_pace(tmp_path: Path) -> None:
    """Counted by the other side of the socket; the pace itself is tested on virtual time.

    A machine that stands still for a moment hands the other side two seconds' messages at once;
    without any pace there would be one violation for every 50 messages, and a cut after three.
    """
    stocks = (AAPL, MSFT, KO)
    spec = GatewaySpec(
        account=ACCOUNT,
        base="USD",
        folder=str(tmp_path / "books"),
        settings=PaperSettings(seed=7, cash={"USD": Decimal(10_000_000)}),
        sessions=us_sessions().sessions,
    )
    gateways: list[ChildGateway] = []

    def start() -> ChildGateway:
        gateways.append(ChildGateway(spec))
        return gateways[0]

    broker = IbBroker(
        settings=replace(QUICK, request_seconds=30.0),
        account=ACCOUNT,
        base="USD",
        universe=Universe(stocks),
        sessions=us_sessions(),
        folder=tmp_path / "ib",
        files=Files(),
        passage=at_simulator(start),
    )
    orders = Scene(tmp_path).orders
    with broker.connect(FlaggedPage(SLOT, 1)) as venue:
        price = ask(venue, AAPL)
        places = [orders.order(AAPL, 1, price - 20) for _ in range(500)]
        IbHands(venue).submit(places)
        assert gateways[0].violations() <= 2
        assert gateways[0].counts()["placeOrder"] == 500

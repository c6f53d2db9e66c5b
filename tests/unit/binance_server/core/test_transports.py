"""The same exchange in this process and behind a socket; the wire log; the port."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import requests

from rebalancer.errors import DataError, UsageError
from rebalancer.model.instrument import Kind
from rebalancer.simulators.binance_server.control import Control
from rebalancer.simulators.binance_server.faults import Do, HttpFault, HttpRate
from rebalancer.simulators.binance_server.fees import fees_of
from rebalancer.simulators.binance_server.http import HttpServer
from rebalancer.simulators.binance_server.launch import ChildServer
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.spec import BinanceSpec, spec_from_json, spec_to_json
from rebalancer.simulators.binance_server.symbols import delisted
from rebalancer.simulators.binance_server.transfers import Transfer
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.store.atomic import Files
from tests.binance_servers import START, request, server, spec


@pytest.fixture
def child() -> Iterator[ChildServer]:
    with ChildServer(spec()) as made:
        yield made


def an_hour(control: Control) -> str:
    """Trade a little, let time pass, look; return the digest of all that was said."""
    session = requests.Session()
    session.trust_env = False
    control.mount(session)
    base = f"http://{control.host}:{control.port}"
    double = type("Clock", (), {"now": property(lambda _: control.now())})()

    def ask(method: str, path: str, **parameters: str) -> requests.Response:
        made = request(double, method, path, True, **parameters)
        return session.request(method, f"{base}{path}?{made.query}", headers=dict(made.headers))

    control.open(START, 1)
    control.inject(HttpFault("GET /fapi/v3/account", Do.HTML))
    buy = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1"}
    ask("POST", "/fapi/v1/order", **buy, price="1990", timeInForce="GTC", newClientOrderId="a.1")
    ask("POST", "/fapi/v1/order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.01")
    until = START + timedelta(hours=1)
    while control.now() < until:
        control.advance(until)
    for path in ("/fapi/v3/account", "/fapi/v3/account", "/fapi/v1/openOrders", "/fapi/v1/income"):
        ask("GET", path)
    return control.trace()


def test_the_same_client_has_the_same_trace_in_both(child: ChildServer) -> None:
    first, again = (an_hour(LocalServer(spec(), Files())) for _ in range(2))
    assert first == again
    assert an_hour(child) == first
    other = an_hour(LocalServer(spec(settings={"seed": 8}), Files()))
    assert other != first


def test_the_trace_has_neither_the_clients_clock_nor_its_signature() -> None:
    lines: list[str] = []
    local = LocalServer(spec(), Files(), lines.append)
    asked = request(local.server, "GET", "/fapi/v3/balance", recvWindow="3000")
    local.server.handle(asked)
    assert "signature" not in lines[0]
    assert "timestamp" not in lines[0]
    assert lines[0].startswith("2025-03-20 15:05:00.020 GET /fapi/v3/balance?recvWindow=3000 <- ")
    assert "200 [5] [{" in lines[0]


def test_a_line_says_what_a_fault_did() -> None:
    lines: list[str] = []
    local = LocalServer(spec(), Files(), lines.append)
    local.inject(HttpFault("GET /fapi/v1/time", Do.STATUS_BEFORE, code=-1001))
    local.server.handle(request(local.server, "GET", "/fapi/v1/time", sign=False))
    assert lines[0].rstrip().endswith("** fault: status-before -1001")
    assert "\n" not in lines[0][:-1]


def test_the_log_keeps_names_and_counts() -> None:
    venue = server()
    for path in ("/fapi/v1/time", "/fapi/v1/ping", "/fapi/v1/time"):
        venue.handle(request(venue, "GET", path, sign=False))
    assert venue.log.heard["GET /fapi/v1/time"] == 2
    assert venue.log.names()[1] == "GET /fapi/v1/ping"


# ------------------------------------------------------------------ HTTP


def test_a_connection_stays_for_many_requests(child: ChildServer) -> None:
    line = http.client.HTTPConnection(child.host, child.port, timeout=5)
    line.connect()
    first = line.sock
    for _ in range(5):
        line.request("GET", "/fapi/v1/time")
        assert line.getresponse().read().startswith(b'{"serverTime"')
        assert line.sock is first
    line.request("GET", "/fapi/v1/time", headers={"Connection": "close"})
    answer = line.getresponse()
    assert answer.read()
    assert answer.headers["Connection"] == "close"
    line.close()


def said(child: ChildServer, data: bytes, *, pieces: int = 1) -> bytes:
    """Return all that is answered to some bytes, sent in pieces, until the exchange hangs up."""
    with socket.create_connection((child.host, child.port), timeout=5) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = -(-len(data) // pieces)
        for place in range(0, len(data), size):
            line.sendall(data[place : place + size])
        heard = b""
        while piece := line.recv(65_536):
            heard += piece
        return heard


GET = b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x\r\n"
LAST = GET + b"Connection: close\r\n\r\n"


@pytest.mark.parametrize("pieces", [1, 7, 60])
def test_requests_may_come_in_pieces_and_several_at_once(child: ChildServer, pieces: int) -> None:
    heard = said(child, GET + b"\r\n" + LAST, pieces=pieces)
    assert heard.count(b"HTTP/1.1 200 OK") == 2
    assert heard.endswith(b"\r\n\r\n{}")


def test_a_body_may_come_in_chunks(child: ChildServer) -> None:
    head = (
        b"POST /fapi/v1/order HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    heard = said(child, head + b"7\r\nsymbol=\r\n7\r\nBTCUSDT\r\n0\r\n\r\n", pieces=9)
    assert b'"code":-2014' in heard, "understood, and refused for want of a key"


def test_who_asks_whether_to_go_on_is_told_to(child: ChildServer) -> None:
    head = b"POST /fapi/v1/order HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((child.host, child.port), timeout=5) as line:
        line.sendall(head)
        assert line.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"a=b")
        assert line.recv(1000).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /x SPDY/3\r\n\r\n",
        b"GET /x HTTP/1.1\r\nContent-Length: -3\r\n\r\n",
        b"GET /x HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00" + b"\x00" * 70_000,
    ],
)
def test_what_is_no_http_is_hung_up_on(child: ChildServer, data: bytes) -> None:
    try:
        heard = said(child, data)
    except ConnectionError:
        heard = b"HTTP/1.1 400"
    assert heard.startswith(b"HTTP/1.1 400")
    assert said(child, LAST).startswith(b"HTTP/1.1 200"), "others are served"


def test_letters_of_any_kind_do_not_end_the_exchange(child: ChildServer) -> None:
    raw = "GET /fapi/v1/depth?symbol=我踏马来了USDT HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert b'"code":-1121' in said(child, raw.encode())
    assert b'"code":-1121' in said(child, raw.replace("我踏", "%FF%fe").encode("utf-8"))
    assert b"404" in said(child, raw.replace("depth", "дa").encode())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.org", "::"])  # noqa: S104
def test_others_cannot_reach_it(host: str) -> None:
    with pytest.raises(UsageError, match="the simulated exchange listens on loopback only"):
        HttpServer(server(), host)


def test_a_taken_port_is_a_usage_error(child: ChildServer) -> None:
    with pytest.raises(UsageError, match=rf"port {child.port} .* \(another exchange\?\)"):
        ChildServer(spec(port=child.port))


# ------------------------------------------------------------------ its spec, its fees


def test_a_spec_travels_as_json() -> None:
    made = spec(
        faults=(HttpFault("GET /x", Do.SKEW, nth=2, count=None, seconds=1.5),),
        rates=(HttpRate(HttpFault("*", Do.HTML), 0.1),),
        engine_faults=(Fault(FaultKind.NO_FILL, subject="BTCUSDT.PERP@BINANCE"),),
        changes=delisted("ADAUSDT", START, START + timedelta(hours=5)),
        transfers=(Transfer(START, "USDT", Decimal("-1.5")),),
        settings={"cash": {"USDT": Decimal("5.50")}},
    )
    text = spec_to_json(made)
    assert "\n" not in text
    assert spec_from_json(text) == made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "spec: not JSON"),
        ("[]", "expected an object"),
        ('{"base": "USDT"}', "spec.account: missing"),
        ('{"account": "1", "base": "USDT", "folder": null, "nothing": 1}', "spec.nothing: unknown"),
    ],
)
def test_a_bad_spec_is_explained(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        spec_from_json(text)


def test_each_product_has_its_own_fees() -> None:
    fees = fees_of("binance", {})
    perpetual = server().exchange.instruments
    by_kind = {each.kind: each for each in perpetual.values() if each.symbol == "BTCUSDT"}
    amount = Decimal(10)
    taken = {
        kind: fees.order_fee(each, amount, Decimal(100)).amount for kind, each in by_kind.items()
    }
    # Of 1000: 0.1 % at spot, 0.05 % for a taker of a perpetual.
    assert taken == {Kind.SPOT: Decimal(1), Kind.PERPETUAL: Decimal("0.5")}


def test_books_and_spec_go_on_together(tmp_path: Path) -> None:
    made: BinanceSpec = replace(spec(), folder=str(tmp_path))
    local = LocalServer(made, Files())
    an_hour(local)
    held = local.server.exchange.account.holdings
    local.close()
    later = LocalServer(made, Files())
    assert later.server.exchange.account.holdings == held
    assert later.now() == local.now()

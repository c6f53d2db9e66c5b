"""Each trap of python-binance that the facts name: what it would do, and that it cannot."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import logging
import traceback
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from binance.client import Client

from rebalancer.brokers.binance.client import PointedClient
from rebalancer.brokers.binance.errors import RequestRefused, WriteForbidden
from rebalancer.brokers.binance.questions import milliseconds
from rebalancer.errors import BlindError, ConnectError, DataError, OutcomeUnknown
from rebalancer.model.secret import Secret
from tests.unit.binance.core.wire import KEY, NOW, SECRET, Answer, Wire, line_on

ORDER = "POST /fapi/v1/order"
GIVEN = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.001"}


def client_for(wire: Wire, **changes: Any) -> PointedClient:
    words: dict[str, Any] = {"recv_window_ms": 3000, "seconds": 5.0} | changes
    secret = Secret(words.pop("secret", SECRET))
    client = PointedClient(wire.base_url, wire.account_url, Secret(KEY), secret, wire.now, **words)
    wire.mount(client.session)
    return client


def test_no_ping_leaves_when_the_client_is_made() -> None:
    wire = Wire()
    client_for(wire)
    line_on(wire)
    assert wire.heard == []


def test_every_address_is_ours_although_the_library_points_at_the_live_exchange() -> None:
    live = [
        name for name in dir(Client) if name.endswith("_URL") and "binance" in getattr(Client, name)
    ]
    assert len(live) > 10
    client = client_for(Wire("https://fapi.example", "https://api.example"))
    rest = [n for n in live if "WS" not in n and "TESTNET" not in n and "DEMO" not in n]
    assert {getattr(client, name).split("/")[2] for name in rest} == {"fapi.example", "api.example"}


def test_a_call_to_another_host_raises_before_it_leaves() -> None:
    wire = Wire()
    line = line_on(wire)
    line.client.FUTURES_URL = "https://fapi.binance.com/fapi"
    with pytest.raises(ConnectError, match=r"fapi\.binance\.com was about to leave"):
        line.signed("GET", "/fapi/v3/account")
    assert wire.heard == []


@pytest.mark.parametrize("flag", ["testnet", "demo"])
def test_the_flags_that_win_over_our_address_lead_nowhere(flag: str) -> None:
    wire = Wire()
    line = line_on(wire)
    setattr(line.client, flag, True)
    with pytest.raises(ConnectError, match="was about to leave"):
        line.signed("GET", "/fapi/v3/account")
    assert wire.heard == []
    assert flag not in inspect.signature(PointedClient.__init__).parameters


def test_http_instead_of_https_is_another_place() -> None:
    wire = Wire()
    line = line_on(wire)
    line.client.FUTURES_URL = "http://fapi.example/fapi"
    with pytest.raises(ConnectError, match="was about to leave"):
        line.get("/fapi/v1/time")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    wire = Wire()
    wire.replies[ORDER] = Answer(
        {}, status, {"Location": "https://elsewhere.example/fapi/v1/order"}
    )
    wire.replies["GET /fapi/v3/account"] = wire.replies[ORDER]
    line = line_on(wire)
    with pytest.raises(OutcomeUnknown):
        line.signed("POST", "/fapi/v1/order", **GIVEN)
    with pytest.raises(BlindError):
        line.signed("GET", "/fapi/v3/account")
    assert {each.url.split("/")[2] for each in wire.heard} == {"fapi.example"}


def test_surroundings_do_not_reach_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    session = line_on(Wire()).client.session
    assert session.trust_env is False
    assert (
        session.merge_environment_settings("https://fapi.example", {}, None, None, None)["proxies"]
        == {}
    )


def test_our_receive_window_is_in_force_where_the_library_has_ten_seconds() -> None:
    assert Client.REQUEST_RECVWINDOW == 10_000
    wire = Wire()
    wire.replies["GET /fapi/v3/account"] = {}
    line_on(wire, recv_window_ms=2500).signed("GET", "/fapi/v3/account")
    assert wire.heard[0].parameters["recvWindow"] == "2500"


@pytest.mark.parametrize("name", ["recvWindow", "timestamp", "signature", "version", "headers"])
def test_words_that_the_library_takes_for_its_own_are_refused(name: str) -> None:
    wire = Wire()
    with pytest.raises(DataError, match=name):
        line_on(wire).signed("GET", "/fapi/v3/account", **{name: "5"})
    assert wire.heard == []


def test_the_timestamp_is_the_exchanges_time_though_the_library_never_syncs() -> None:
    wire = Wire()
    wire.ahead = timedelta(seconds=90)
    wire.replies["GET /fapi/v3/account"] = {}
    line = line_on(wire)
    line.measure()
    line.signed("GET", "/fapi/v3/account")
    told = int(wire.heard[-1].parameters["timestamp"])
    assert told == milliseconds(NOW) + 90_000
    assert line.client.timestamp_offset != 0


def test_the_same_call_at_the_same_time_is_the_same_bytes() -> None:
    texts = set()
    for _ in range(5):
        wire = Wire()
        wire.replies[ORDER] = {}
        line_on(wire).signed("POST", "/fapi/v1/order", **GIVEN)
        texts.add(wire.heard[0].raw)
    assert len(texts) == 1


@pytest.mark.parametrize("value", [0.00001, 1, Decimal("0.001"), True, None])
def test_what_is_no_text_never_reaches_the_library(value: Any) -> None:
    wire = Wire()
    with pytest.raises(DataError, match="quantity"):
        line_on(wire).signed("POST", "/fapi/v1/order", **GIVEN | {"quantity": value})
    assert wire.heard == []


@pytest.mark.parametrize(
    "value", ["1e-05", "1E+3", "-1", "+1", ".5", "NaN", "1,000", "", "0x1", "٣"]
)
@pytest.mark.parametrize("name", ["quantity", "price", "triggerPrice"])
def test_numbers_are_plain_decimals(name: str, value: str) -> None:
    wire = Wire()
    with pytest.raises(DataError, match="plain decimal"):
        line_on(wire).signed("POST", "/fapi/v1/order", **GIVEN | {name: value})
    assert wire.heard == []


@pytest.mark.parametrize("value", ["a:b", "a/b", "a b", "ä", "", "x" * 37])
@pytest.mark.parametrize("name", ["newClientOrderId", "clientAlgoId", "origClientOrderId"])
def test_an_id_that_would_be_sent_otherwise_than_signed_is_refused(name: str, value: str) -> None:
    wire = Wire()
    with pytest.raises(DataError, match=name):
        line_on(wire).signed("POST", "/fapi/v1/order", **GIVEN | {name: value})
    assert wire.heard == []


@pytest.mark.parametrize("value", ["a+b", "[1]", "50%", 'x"y'])
def test_any_other_word_that_would_be_encoded_is_refused_when_signed(value: str) -> None:
    with pytest.raises(DataError, match="signed as it is sent"):
        line_on(Wire()).signed("GET", "/fapi/v1/order", orderId=value)


def test_our_own_order_id_arrives_unchanged() -> None:
    wire = Wire()
    wire.replies[ORDER] = wire.replies["POST /fapi/v1/algoOrder"] = {}
    line = line_on(wire)
    line.signed("POST", "/fapi/v1/order", **GIVEN, newClientOrderId="rb.2-x_9")
    line.signed("POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", clientAlgoId="rb.2-p_9")
    assert wire.heard[0].parameters["newClientOrderId"] == "rb.2-x_9"
    assert wire.heard[1].parameters["clientAlgoId"] == "rb.2-p_9"
    assert wire.names() == [ORDER, "POST /fapi/v1/algoOrder"]


def test_a_symbol_that_is_not_ascii_is_signed_as_it_is_sent() -> None:
    wire = Wire()
    wire.replies["GET /fapi/v1/order"] = wire.replies["DELETE /fapi/v1/order"] = {}
    line = line_on(wire)
    for method in ("GET", "DELETE"):
        line.signed(method, "/fapi/v1/order", symbol="币安人生USDT", origClientOrderId="x")
        payload, _, signature = wire.heard[-1].raw.partition("&signature=")
        assert "%E5%B8%81" in payload
        wanted = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
        assert signature == wanted


@pytest.mark.parametrize("error", [requests.ConnectionError, requests.ReadTimeout])
def test_errors_of_the_network_say_nothing_of_address_and_signature(
    error: type[requests.RequestException], caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire()
    wire.replies["GET /fapi/v1/order"] = wire.replies["DELETE /fapi/v1/order"] = Answer(error=error)
    line = line_on(wire)
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(ConnectError) as read:
            line.signed("GET", "/fapi/v1/order", symbol="BTCUSDT")
        with pytest.raises(OutcomeUnknown) as written:
            line.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT")
    signature = wire.heard[0].parameters["signature"]
    for caught in (read, written):
        told = "".join(traceback.format_exception(caught.value))
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
        assert "signature=" not in told
        assert signature not in told
    for secret in (KEY, SECRET, signature):
        assert secret not in caplog.text
    assert wire.heard[0].headers["X-MBX-APIKEY"] == KEY


def test_neither_key_nor_secret_shows_in_a_repr_or_in_what_the_client_keeps() -> None:
    line = line_on(Wire())
    shown = repr(line.client) + str(vars(line.client)) + repr(vars(line))
    assert SECRET not in shown
    assert "sha" not in repr(line.client)
    assert Secret(SECRET) == line.client._secret


def test_an_error_that_is_no_json_is_unknown_and_not_a_refusal() -> None:
    wire = Wire()
    page = Answer(b"<html><h1>503 Service Unavailable</h1></html>", 503)
    wire.replies[ORDER] = page
    with pytest.raises(OutcomeUnknown):
        line_on(wire).signed("POST", "/fapi/v1/order", **GIVEN)


@pytest.mark.parametrize("body", [b"[]", b'"maintenance"', b"17", b"null"])
@pytest.mark.parametrize("status", [400, 503])
def test_an_error_whose_json_is_no_object_is_unknown_though_the_library_stumbles(
    body: bytes, status: int
) -> None:
    wire = Wire()
    wire.replies[ORDER] = Answer(body, status)
    wire.replies["GET /fapi/v1/order"] = Answer(body, status)
    line = line_on(wire)
    with pytest.raises(OutcomeUnknown):
        line.signed("POST", "/fapi/v1/order", **GIVEN)
    with pytest.raises(BlindError):
        line.signed("GET", "/fapi/v1/order", symbol="BTCUSDT")


@pytest.mark.parametrize("body", [b"", b'{"orderId": 1', b"<html></html>"])
def test_a_good_answer_that_is_empty_cut_or_html_is_unknown(body: bytes) -> None:
    wire = Wire()
    wire.replies[ORDER] = wire.replies["GET /fapi/v1/order"] = Answer(body)
    line = line_on(wire)
    with pytest.raises(OutcomeUnknown):
        line.signed("POST", "/fapi/v1/order", **GIVEN)
    with pytest.raises(BlindError):
        line.signed("GET", "/fapi/v1/order", symbol="BTCUSDT")


def test_a_refusal_that_comes_with_status_200_is_a_refusal() -> None:
    wire = Wire()
    wire.replies[ORDER] = {"code": -2019, "msg": "Margin is insufficient."}
    with pytest.raises(RequestRefused) as refusal:
        line_on(wire).signed("POST", "/fapi/v1/order", **GIVEN)
    assert refusal.value.code == -2019


def test_the_time_out_is_ours() -> None:
    assert Client.REQUEST_TIMEOUT == 10
    assert line_on(Wire(), request_seconds=4.5).client.REQUEST_TIMEOUT == 4.5


def test_no_event_loop_is_left_behind() -> None:
    import asyncio

    line = line_on(Wire())
    assert line.client.loop.is_closed()
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_a_client_that_only_reads_lets_nothing_pass_that_writes() -> None:
    wire = Wire()
    client = client_for(wire, read_only=True)
    for method in ("POST", "PUT", "DELETE"):
        with pytest.raises(WriteForbidden):
            client.call(method, "/fapi/v1/order", GIVEN, signed=True)
    with pytest.raises(WriteForbidden):
        client.futures_create_order(**GIVEN)
    assert wire.heard == []


def test_the_signature_is_the_one_that_the_futures_pages_publish() -> None:
    """The exchange's own example; its parameters stand in the order in which they are listed."""
    client = client_for(
        Wire(), secret="2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    )
    payload = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
        "&recvWindow=5000&timestamp=1591702613943"
    )
    assert (
        client._hmac_signature(payload)
        == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    )


def test_the_signature_is_the_one_that_the_spot_pages_publish() -> None:
    client = client_for(
        Wire(), secret="NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    )
    ascii_payload = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        "&recvWindow=5000&timestamp=1499827319559"
    )
    assert (
        client._hmac_signature(ascii_payload)
        == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    )
    encoded = (
        "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT"
        "&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    )
    assert (
        client._hmac_signature(encoded)
        == "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"
    )


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_what_is_sent_is_what_was_signed(method: str) -> None:
    wire = Wire()
    wire.replies[f"{method} /fapi/v1/order"] = {}
    line_on(wire).signed(method, "/fapi/v1/order", **GIVEN, newClientOrderId="A.b_c-1")
    payload, _, signature = wire.heard[0].raw.partition("&signature=")
    assert signature == hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()

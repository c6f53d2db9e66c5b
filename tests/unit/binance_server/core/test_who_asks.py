"""Keys, times and signatures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from rebalancer.simulators.binance_server.auth import signature, signed_part
from rebalancer.simulators.binance_server.call import ApiError, Request
from rebalancer.simulators.binance_server.server import BinanceServer
from rebalancer.simulators.binance_server.spec import KEY, SECRET
from tests.binance_servers import call, parsed, request, server, stamp

FUTURES_SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
SPOT_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
"""Demo secrets of the exchange's own documentation; they open nothing."""

SPOT = (
    "symbol={}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    "&timestamp=1499827319559"
)
FULL_WIDTH = "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96"


@pytest.mark.parametrize(
    ("secret", "payload", "published"),
    [
        (
            FUTURES_SECRET,
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
            "&recvWindow=5000&timestamp=1591702613943",
            "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
        ),
        (
            SPOT_SECRET,
            SPOT.format("LTCBTC"),
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            SPOT_SECRET,
            SPOT.format(FULL_WIDTH),
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
    ],
)
def test_signatures_are_those_that_the_exchange_published(
    secret: str, payload: str, published: str
) -> None:
    assert signature(secret, payload) == published


def test_between_query_and_body_nothing_is_signed() -> None:
    # The documentation's example of both: "...timeInForce=GTCquantity=1...".
    mixed = Request("POST", "/api/v3/order", "a=1&timeInForce=GTC", "quantity=1&signature=x")
    assert signed_part(mixed) == "a=1&timeInForce=GTCquantity=1"


def sent(
    venue: BinanceServer,
    query: str,
    body: str = "",
    *,
    path: str = "/fapi/v3/balance",
    method: str = "GET",
    key: str = KEY,
) -> Any:
    headers = {"x-mbx-apikey": key} if key else {}
    return parsed(venue.handle(Request(method, path, query, body, headers)))


def signed(*parts: str) -> str:
    return f"&signature={signature(SECRET, ''.join(parts))}"


def refused(venue: BinanceServer, query: str, body: str = "", **words: str) -> tuple[int, int]:
    with pytest.raises(ApiError) as raised:
        sent(venue, query, body, **words)
    return raised.value.code, raised.value.status


@pytest.mark.parametrize("upper", [False, True])
def test_a_signature_may_be_written_in_either_case(upper: bool) -> None:
    venue = server()
    query = f"timestamp={stamp(venue)}"
    proof = signature(SECRET, query)
    assert sent(venue, f"{query}&signature={proof.upper() if upper else proof}")


def test_parameters_may_be_in_the_query_in_the_body_or_in_both() -> None:
    venue = server()
    order = "symbol=BTCUSDT&side=BUY&type=MARKET"
    size = f"quantity=0.01&timestamp={stamp(venue)}"
    whole = f"{order}&{size}"
    for query, body in ((whole, ""), ("", whole), (order, size)):
        proof = signed(query, body)
        sides = (query, body + proof) if body else (query + proof, "")
        answer = sent(venue, *sides, path="/fapi/v1/order", method="POST")
        assert answer["origQty"] == "0.010"


def test_what_is_in_query_and_body_counts_as_the_query_has_it() -> None:
    venue = server()
    query, body = "symbol=BTCUSDT", f"symbol=ETHUSDT&leverage=7&timestamp={stamp(venue)}"
    body += signed(query, body)
    answer = sent(venue, query, body, path="/fapi/v1/leverage", method="POST")
    assert answer["symbol"] == "BTCUSDT"


def test_a_parameter_that_comes_twice_is_refused() -> None:
    venue = server()
    query = f"symbol=BTCUSDT&symbol=ETHUSDT&timestamp={stamp(venue)}"
    assert refused(venue, query + signed(query)) == (-1101, 400)


@pytest.mark.parametrize(
    ("key", "code"), [("", -2014), ("abc", -2014), ("x" * 63 + "-", -2014), ("x" * 64, -2015)]
)
def test_a_wrong_key_is_told_apart_from_one_that_is_none(key: str, code: int) -> None:
    venue = server()
    query = f"timestamp={stamp(venue)}"
    assert refused(venue, query + signed(query), key=key) == (code, 401)


def test_a_signature_with_another_secret_is_refused() -> None:
    venue = server()
    query = f"timestamp={stamp(venue)}"
    proof = signature(SECRET[::-1], query)
    assert refused(venue, f"{query}&signature={proof}") == (-1022, 400)
    assert refused(venue, f"{query}&signature=") == (-1102, 400)
    assert refused(venue, query) == (-1102, 400)


def test_a_changed_parameter_breaks_the_signature() -> None:
    venue = server()
    query = f"recvWindow=5000&timestamp={stamp(venue)}"
    altered = query.replace("5000", "5001")
    assert refused(venue, altered + signed(query)) == (-1022, 400)


@pytest.mark.parametrize("missing", ["", "timestamp=", "timestamp=abc", "timestamp=-5"])
def test_a_request_without_its_time_is_refused(missing: str) -> None:
    venue = server()
    assert refused(venue, missing + signed(missing)) == (-1102, 400)


@pytest.mark.parametrize(
    ("behind", "window", "accepted"),
    [
        (5000, "", True),  # server - timestamp <= recvWindow, 5000 when not sent
        (5001, "", False),
        (3000, "3000", True),
        (3001, "3000", False),
        (60_000, "60000", True),
        (-999, "", True),  # timestamp < server + 1000
        (-1000, "60000", False),
    ],
)
def test_a_request_must_be_neither_old_nor_from_the_future(
    behind: int, window: str, accepted: bool
) -> None:
    venue = server(latency_seconds=0.0)
    query = f"timestamp={int(stamp(venue)) - behind}"
    query += f"&recvWindow={window}" if window else ""
    if accepted:
        assert sent(venue, query + signed(query))
    else:
        assert refused(venue, query + signed(query)) == (-1021, 400)


@pytest.mark.parametrize(("window", "code"), [("60001", -1131), ("abc", -1102), ("-1", -1102)])
def test_a_window_has_its_bounds(window: str, code: int) -> None:
    venue = server()
    query = f"timestamp={stamp(venue)}&recvWindow={window}"
    assert refused(venue, query + signed(query))[0] == code


def test_spot_takes_microseconds_and_parts_of_milliseconds() -> None:
    venue = server(latency_seconds=0.0)
    query = f"timestamp={stamp(venue)}000&recvWindow=0.5"
    assert sent(venue, query + signed(query), path="/api/v3/account")["accountType"] == "SPOT"
    assert refused(venue, query + signed(query), path="/fapi/v3/balance")[0] in (-1021, -1102)


def test_a_clock_that_is_ahead_refuses_and_says_so() -> None:
    venue = server()
    venue.skew = timedelta(seconds=30)
    query = f"timestamp={stamp(venue)}"
    assert refused(venue, query + signed(query)) == (-1021, 400)
    told = parsed(venue.handle(request(venue, "GET", "/fapi/v1/time", sign=False)))["serverTime"]
    assert told == round(venue.now.timestamp() * 1000) + 30_000


@pytest.mark.parametrize(("path", "code"), [("/api/v3/order", -1121), ("/fapi/v1/order", -1121)])
def test_a_symbol_of_other_letters_is_only_unknown(path: str, code: int) -> None:
    venue = server()
    fields = {"symbol": "我踏马来了USDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    query = urlencode({**fields, "timestamp": stamp(venue)}, quote_via=quote)
    assert refused(venue, query + signed(query), path=path, method="POST") == (code, 400)


@pytest.mark.parametrize("raw", ["symbol=我USDT", "newClientOrderId=a b", "symbol=%E6%8"])
def test_spot_refuses_what_was_signed_before_it_was_encoded(raw: str) -> None:
    venue = server()
    query = f"{raw}&timestamp={stamp(venue)}"
    assert refused(venue, query + signed(query), path="/api/v3/account") == (-1022, 400)


def test_what_is_signed_plainly_and_sent_encoded_does_not_fit() -> None:
    # The library's way with every value but the symbol: an id with a colon.
    venue = server()
    plain = f"newClientOrderId=a:b&timestamp={stamp(venue)}"
    encoded = plain.replace(":", "%3A")
    assert refused(venue, encoded + signed(plain), path="/fapi/v1/order", method="POST")[0] == -1022


def test_public_questions_need_neither_key_nor_time() -> None:
    assert call(server(), "GET", "/fapi/v1/ping", sign=False) == {}


def test_an_unknown_path_is_said_in_the_products_way() -> None:
    venue = server()
    with pytest.raises(ApiError, match="Path /fapi/v1/nothing, Method GET is invalid") as raised:
        call(venue, "GET", "/fapi/v1/nothing", sign=False)
    assert (raised.value.code, raised.value.status) == (-5000, 404)
    answer = venue.handle(Request("GET", "/api/v3/nothing"))
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html")


def test_answers_are_compact_json() -> None:
    venue = server()
    answer = venue.handle(request(venue, "GET", "/fapi/v1/time", sign=False))
    assert answer.body == b'{"serverTime":1742483100020}'  # 2025-03-20 15:05 and 20 ms
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"

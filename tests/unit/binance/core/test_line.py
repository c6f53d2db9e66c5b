"""What a call may come to, what is asked again, and what never is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError

from rebalancer.brokers.binance.errors import (
    FinalRefusal,
    RequestRefused,
    Treatment,
    WriteForbidden,
)
from rebalancer.brokers.binance.line import AGAIN
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import milliseconds
from rebalancer.errors import BlindError, ConnectError, OutcomeUnknown
from tests.unit.binance.core.wire import NOW, TIME, Answer, Wire, line_on, pair, perp, refused

READ, WRITE = "GET /fapi/v1/order", "POST /fapi/v1/order"
UNKNOWN_WORDS = "Unknown error, please check your request or try again later."

AMBIGUOUS: dict[str, Answer] = {
    "cut": Answer(error=requests.ConnectionError),
    "time-out": Answer(error=requests.ReadTimeout),
    "cut in the answer": Answer(error=requests.exceptions.ChunkedEncodingError),
    "500": Answer(b"", 500),
    "502 page": Answer(b"<html></html>", 502),
    "504": Answer(b"", 504),
    "503 unknown": Answer({"code": -1000, "msg": UNKNOWN_WORDS}, 503),
    "503 unknown without a code": Answer({"msg": UNKNOWN_WORDS}, 503),
    "503 -1007": refused(-1007, "Timeout waiting for response from backend server.", 503),
    "400 -1006": refused(-1006, "An unexpected response was received from the message bus.", 400),
    "400 -1000": refused(-1000, "An unknown error occurred while processing the request.", 400),
    "408": Answer({"code": -1007, "msg": "Timeout"}, 408),
    "409": Answer({"code": -2021, "msg": "Order cancel-replace partially failed."}, 409),
    "404 page": Answer(b"<html></html>", 404),
}
"""Answers of which nobody knows whether the order is there (facts 3.5)."""

FAILED: dict[str, Answer] = {
    "503 unavailable": Answer({"code": 0, "msg": "Service Unavailable."}, 503),
    "503 -1001": refused(-1001, "Internal error; unable to process your request.", 503),
    "400 -1001": refused(-1001, "Internal error; unable to process your request.", 400),
    "503 -1008": refused(-1008, "Server is currently overloaded with other requests.", 503),
    "never connected": Answer(error=requests.ConnectTimeout),
}
"""Answers that certainly mean that nothing happened, and that may pass."""


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_answer_to_a_write_is_an_unknown_outcome_and_is_never_sent_again(
    name: str,
) -> None:
    wire = Wire()
    wire.replies[WRITE] = AMBIGUOUS[name]
    with pytest.raises(OutcomeUnknown, match="POST /fapi/v1/order"):
        line_on(wire).signed("POST", "/fapi/v1/order", symbol="BTCUSDT")
    assert wire.names() == [WRITE]


@pytest.mark.parametrize("name", FAILED)
def test_a_write_that_certainly_failed_is_refused_and_not_sent_again(name: str) -> None:
    wire = Wire()
    wire.replies[WRITE] = FAILED[name]
    with pytest.raises(RequestRefused) as refusal:
        line_on(wire).signed("POST", "/fapi/v1/order", symbol="BTCUSDT")
    assert refusal.value.treatment is Treatment.AGAIN
    assert wire.names() == [WRITE]


@pytest.mark.parametrize("answer", [*AMBIGUOUS.values(), *FAILED.values()])
def test_a_read_without_an_answer_is_asked_again_three_times_with_growing_pauses(
    answer: Answer,
) -> None:
    wire = Wire()
    wire.replies[READ] = answer
    with pytest.raises(ConnectError):
        line_on(wire).signed("GET", "/fapi/v1/order", symbol="BTCUSDT")
    assert wire.names() == [READ] * 4
    assert wire.paused == [0.2, 0.4, 0.8] == list(AGAIN)


@pytest.mark.parametrize("answer", [*AMBIGUOUS.values(), *FAILED.values()])
def test_a_read_that_is_answered_at_last_is_answered(answer: Answer) -> None:
    wire = Wire()
    wire.replies[READ] = [answer, answer, Answer({"orderId": 7})]
    assert line_on(wire).signed("GET", "/fapi/v1/order", symbol="BTCUSDT") == {"orderId": 7}


def test_rubbish_makes_blind_and_silence_is_no_connection() -> None:
    wire = Wire()
    wire.replies[READ] = Answer(b"<html></html>", 502)
    with pytest.raises(BlindError):
        line_on(wire).signed("GET", "/fapi/v1/order")
    wire.replies[READ] = Answer(error=requests.ConnectionError)
    with pytest.raises(ConnectError) as silence:
        line_on(wire).signed("GET", "/fapi/v1/order")
    assert not isinstance(silence.value, BlindError)


def test_a_connection_that_was_never_made_cannot_have_carried_an_order() -> None:
    pool = HTTPConnectionPool("fapi.example")
    inner = MaxRetryError(pool, "/", NewConnectionError(pool, "refused"))  # type: ignore[arg-type]

    class Refused(requests.ConnectionError):
        def __init__(self, *_: Any) -> None:
            super().__init__(inner)

    wire = Wire()
    wire.replies[WRITE] = Answer(error=Refused)
    with pytest.raises(RequestRefused):
        line_on(wire).signed("POST", "/fapi/v1/order")


def test_a_refusal_is_told_with_code_words_and_treatment_and_not_asked_again() -> None:
    wire = Wire()
    wire.replies[READ] = refused(-2013, "Order does not exist.")
    with pytest.raises(RequestRefused) as refusal:
        line_on(wire).signed("GET", "/fapi/v1/order")
    assert (refusal.value.code, refusal.value.message) == (-2013, "Order does not exist.")
    assert refusal.value.treatment is Treatment.GONE
    assert len(wire.heard) == 1


def test_a_code_that_nobody_has_listed_is_a_refusal_all_the_same() -> None:
    wire = Wire()
    wire.replies[WRITE] = refused(-9876, "Something new.")
    with pytest.raises(RequestRefused) as refusal:
        line_on(wire).signed("POST", "/fapi/v1/order")
    assert refusal.value.treatment is Treatment.UNLISTED


@pytest.mark.parametrize("code", [-1021, -5028])
@pytest.mark.parametrize("name", [READ, WRITE])
def test_a_wrong_time_is_measured_anew_and_the_call_signed_again_once(code: int, name: str) -> None:
    wire = Wire()
    wire.ahead = timedelta(seconds=30)
    wire.replies[name] = [refused(code), Answer({"orderId": 7})]
    line = line_on(wire)
    assert line.signed(name.split(maxsplit=1)[0], "/fapi/v1/order") == {"orderId": 7}
    assert wire.names() == [name, TIME, name]
    first, second = wire.heard[0].parameters, wire.heard[2].parameters
    assert int(second["timestamp"]) - int(first["timestamp"]) == 30_000
    assert first["signature"] != second["signature"]


@pytest.mark.parametrize("name", [READ, WRITE])
def test_a_time_that_stays_wrong_is_signed_again_once_only(name: str) -> None:
    wire = Wire()
    wire.replies[name] = refused(-1021, "Timestamp for this request is outside of the recvWindow.")
    kind: type[Exception] = RequestRefused if name == WRITE else ConnectError
    with pytest.raises(kind):
        line_on(wire).signed(name.split(maxsplit=1)[0], "/fapi/v1/order")
    assert wire.names() == [name, TIME, name]


def test_a_write_refused_for_its_time_stays_refused_when_the_time_cannot_be_measured() -> None:
    wire = Wire()
    wire.replies[WRITE] = refused(-1021)
    wire.replies[TIME] = Answer(error=requests.ConnectionError)
    with pytest.raises(RequestRefused) as refusal:
        line_on(wire).signed("POST", "/fapi/v1/order")
    assert refusal.value.treatment is Treatment.TIME
    assert wire.names().count(WRITE) == 1


@pytest.mark.parametrize("code", [-2015, -2014, -1022, -4109])
def test_a_key_that_is_refused_ends_it_with_clear_words(code: int) -> None:
    wire = Wire()
    wire.replies[READ] = refused(code, "Invalid API-key, IP, or permissions for action.", 401)
    with pytest.raises(FinalRefusal, match=r"Invalid API-key, IP"):
        line_on(wire).signed("GET", "/fapi/v1/order")
    assert len(wire.heard) == 1


def test_too_many_calls_wait_as_long_as_the_exchange_says_and_are_asked_again() -> None:
    wire = Wire()
    limit = refused(-1003, "Too many requests.", 429, **{"Retry-After": "17"})
    wire.replies[READ] = [limit, Answer({"orderId": 7})]
    assert line_on(wire).signed("GET", "/fapi/v1/order") == {"orderId": 7}
    assert sum(wire.paused) == 17
    assert wire.heard[1].at - wire.heard[0].at == timedelta(seconds=17)


def test_nothing_else_leaves_before_the_time_that_the_exchange_said() -> None:
    wire = Wire()
    wire.replies[WRITE] = refused(-1003, "Too many requests.", 429, **{"Retry-After": "9"})
    wire.replies[READ] = {}
    line = line_on(wire)
    with pytest.raises(RequestRefused) as refusal:
        line.signed("POST", "/fapi/v1/order")
    assert refusal.value.treatment is Treatment.LIMIT
    line.signed("GET", "/fapi/v1/order")
    assert wire.heard[1].at == NOW + timedelta(seconds=9)


def test_too_many_calls_again_and_again_end_it() -> None:
    wire = Wire()
    wire.replies[READ] = refused(-1003, "Too many requests.", 429, **{"Retry-After": "5"})
    with pytest.raises(ConnectError):
        line_on(wire).signed("GET", "/fapi/v1/order")
    assert len(wire.heard) == 3


def test_a_wait_of_ten_minutes_is_not_waited_for() -> None:
    wire = Wire()
    wire.replies[READ] = refused(-1003, "Too many requests.", 429, **{"Retry-After": "600"})
    with pytest.raises(ConnectError):
        line_on(wire).signed("GET", "/fapi/v1/order")
    assert wire.time == NOW


def test_a_wait_without_end_is_told_as_one_and_not_waited_for() -> None:
    wire = Wire()
    endless = {"Retry-After": "9" * 5000}
    wire.replies[WRITE] = refused(-1003, "Too many requests.", 429, **endless)
    line = line_on(wire)
    with pytest.raises(RequestRefused) as refusal:
        line.signed("POST", "/fapi/v1/order")
    assert refusal.value.treatment is Treatment.LIMIT
    assert wire.time == NOW


def test_without_retry_after_the_next_minute_is_waited_for() -> None:
    wire = Wire()
    wire.time = NOW + timedelta(seconds=42)
    wire.replies[READ] = [refused(-1003, "Too many requests.", 429), Answer({})]
    line_on(wire).signed("GET", "/fapi/v1/order")
    assert wire.heard[1].at == NOW + timedelta(seconds=60)


def test_too_many_orders_hold_the_next_one_until_the_window_is_over() -> None:
    wire = Wire()
    wire.time = NOW + timedelta(seconds=3)
    wire.replies[WRITE] = [refused(-1015, "Too many new orders.", 429), Answer({})]
    line = line_on(wire)
    with pytest.raises(RequestRefused) as refusal:
        line.signed("POST", "/fapi/v1/order")
    assert refusal.value.treatment is Treatment.LIMIT
    line.signed("POST", "/fapi/v1/order")
    assert wire.heard[1].at == NOW + timedelta(seconds=10)


@pytest.mark.parametrize("status", [418, 403])
def test_a_ban_or_the_firewall_ends_the_run_and_nothing_leaves_any_more(status: int) -> None:
    wire = Wire()
    wire.replies[READ] = Answer(b"<html></html>", status, {"Retry-After": "120"})
    line = line_on(wire)
    with pytest.raises(ConnectError, match=str(status)):
        line.signed("GET", "/fapi/v1/order")
    with pytest.raises(ConnectError, match=r"banned|firewall"):
        line.get("/fapi/v1/time")
    with pytest.raises(RequestRefused, match="not sent") as refusal:
        line.signed("POST", "/fapi/v1/order")
    assert refusal.value.treatment is Treatment.STOP
    assert len(wire.heard) == 1


@pytest.mark.parametrize("status", [418, 403])
def test_an_order_that_meets_a_ban_is_certainly_not_there(status: int) -> None:
    wire = Wire()
    wire.replies[WRITE] = refused(-1003, "Way too many requests; IP banned.", status)
    with pytest.raises(RequestRefused) as refusal:
        line_on(wire).signed("POST", "/fapi/v1/order")
    assert refusal.value.treatment is Treatment.STOP


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "post"])
def test_in_a_dry_run_nothing_signed_that_writes_leaves(method: str) -> None:
    wire = Wire()
    wire.replies["GET /fapi/v3/account"] = {}
    line = line_on(wire, read_only=True)
    with pytest.raises(WriteForbidden):
        line.signed(method, "/fapi/v1/order", symbol="BTCUSDT")
    with pytest.raises(WriteForbidden):
        line.signed(method, "/fapi/v1/order/test", symbol="BTCUSDT")
    assert wire.heard == []
    line.signed("GET", "/fapi/v3/account")
    assert wire.names() == ["GET /fapi/v3/account"]


def test_a_closed_line_sends_nothing() -> None:
    wire = Wire()
    line = line_on(wire)
    line.close()
    line.close()
    with pytest.raises(ConnectError, match="closed"):
        line.get("/fapi/v1/time")
    assert wire.heard == []


@pytest.mark.parametrize("ahead", [-75.0, -3.0, 0.0, 3.0, 75.0])
def test_the_clocks_offset_is_measured_within_the_time_that_the_answer_took(ahead: float) -> None:
    wire = Wire()
    wire.ahead = timedelta(seconds=ahead)

    def slow(_heard: Any) -> Answer:
        at = wire.time + wire.ahead + timedelta(seconds=0.2)
        return Answer({"serverTime": milliseconds(at)}, seconds=0.4)

    wire.replies[TIME] = slow
    line = line_on(wire)
    assert line.measure() == pytest.approx(ahead, abs=0.202)
    assert line.now() == wire.time + line.offset
    if not ahead:
        assert line.offset == timedelta(0)


def test_of_slow_answers_about_the_time_the_quickest_counts() -> None:
    wire = Wire()
    took = iter((5.0, 2.0, 3.0))
    seen: list[float] = []

    def slow(_heard: Any) -> Answer:
        seconds = next(took)
        seen.append(seconds)
        return Answer({"serverTime": milliseconds(wire.time) + 10_000}, seconds=seconds)

    wire.replies[TIME] = slow
    line = line_on(wire)
    # It is at least what is missing after the answer: 10 s less the 2 s that the quickest took.
    assert line.measure() == 8.0
    assert seen == [5.0, 2.0, 3.0]


def test_names_go_both_ways_and_strangers_get_one_of_their_own() -> None:
    line = line_on(Wire(), perp("BTCUSDT"), perp("ETHUSDT"))
    assert line.symbol(perp("ETHUSDT").id) == "ETHUSDT"
    assert line.instrument_id("BTCUSDT") == "BTCUSDT.PERP@BINANCE"
    assert line.instrument_id("XRPUSDT") == "XRPUSDT.PERP@BINANCE"
    assert line.symbol(line.instrument_id("XRPUSDT")) == "XRPUSDT"
    assert line.instrument("XRPUSDT") is None
    assert line.instrument_id("币USDT") == "U5E01USDT.PERP@BINANCE"
    spot = line_on(Wire(), pair("ETHUSDT"), product=Product.SPOT)
    assert spot.instrument_id("BTCUSDT") == "BTCUSDT.SPOT@BINANCE"


def test_spots_questions_go_to_spots_host_whatever_the_product() -> None:
    wire = Wire("https://fapi.example", "https://api.example")
    for name in (
        "GET /api/v3/account",
        "GET /sapi/v1/account/apiRestrictions",
        "GET /fapi/v3/account",
    ):
        wire.replies[name] = {}
    line = line_on(wire)
    line.signed("GET", "/api/v3/account")
    line.signed("GET", "/sapi/v1/account/apiRestrictions")
    line.signed("GET", "/fapi/v3/account")
    hosts = [each.url.split("/")[2] for each in wire.heard]
    assert hosts == ["api.example", "api.example", "fapi.example"]

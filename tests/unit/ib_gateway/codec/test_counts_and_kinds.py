"""Our frames look like a real gateway's: how many fields, and of which kind each of them is.

The counts and kinds restate what frames of a real paper account have (captured at a version
without the five fields of 170; later versions by IBKR's own decoders). 9 is a number, a is a
text, a point is an empty field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rebalancer.brokers.ib.client import library
from rebalancer.simulators.ib_gateway.codec import encode, parse
from tests.unit.ib_gateway.codec.peer import (
    ADAPTIVE,
    PLAIN_ORDER,
    frame_of,
    plain_completed,
    versions,
)

_OPEN = (
    "999aa.9a.aaaaa9a99a.a.9.99999.........",
    ".9.99.....9999.999.99.9a.9...a99.99.....99999..9.a99.99a999999999.....999a9999999...99999",
)
"""openOrder up to faProfile and after it, as version 157 has it."""

_COMPLETED = (
    "99aa.9a.aaaaa9a99a.a.9.9999........",
    ".9.9.....999.99.9a.999.99...99999...a99.9a99999999.999a999aa",
)


def kinds(fields: tuple[str, ...]) -> str:
    """Return a letter for each field."""
    return "".join("." if not field else "9" if _is_number(field) else "a" for field in fields)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("version", "count", "expected"),
    [
        (157, 128, ".".join(_OPEN)),
        (159, 129, ".".join(_OPEN) + "."),
        (160, 130, ".".join(_OPEN) + ".."),
        (162, 131, ".".join(_OPEN) + "..9"),
        (170, 136, ".".join(_OPEN) + "..9....."),
        (176, 136, ".".join(_OPEN) + "..9....."),
        (177, 135, "".join(_OPEN) + "..9....."),
        (178, 135, "".join(_OPEN) + "..9....."),
    ],
)
def test_open_order_has_the_fields_of_a_real_one(version: int, count: int, expected: str) -> None:
    fields = encode("openOrder", version, **PLAIN_ORDER)
    assert len(fields) == count
    assert kinds(fields) == expected


@pytest.mark.parametrize(
    ("version", "count", "expected"),
    [
        (157, 96, ".".join(_COMPLETED)),
        (169, 96, ".".join(_COMPLETED)),
        (170, 101, ".".join(_COMPLETED) + "....."),
        (176, 101, ".".join(_COMPLETED) + "....."),
        (178, 100, "".join(_COMPLETED) + "....."),
    ],
)
def test_completed_order_has_the_fields_of_a_real_one(
    version: int, count: int, expected: str
) -> None:
    fields = encode("completedOrder", version, **plain_completed())
    assert len(fields) == count
    assert kinds(fields) == expected


@pytest.mark.parametrize(("version", "count"), [(157, 131), (176, 139), (178, 138)])
def test_an_adaptive_order_has_three_fields_more(version: int, count: int) -> None:
    assert len(encode("openOrder", version, **PLAIN_ORDER, **ADAPTIVE)) == count
    completed = encode("completedOrder", version, **plain_completed(**ADAPTIVE))
    assert len(completed) == len(encode("completedOrder", version, **plain_completed())) + 3


def test_the_literal_words_of_a_real_gateway_are_there() -> None:
    fields = encode("openOrder", 176, **PLAIN_ORDER)
    assert fields[7] == "?"
    assert fields.count("None") == 2  # deltaNeutralOrderType and adjustedOrderType
    assert fields.count("1.7976931348623157E308") == 9 + 6  # margins; the adjusted prices
    assert fields.count("2147483647") == 3  # displaySize, the two scale sizes
    assert "IB" in fields
    completed = encode("completedOrder", 176, **plain_completed())
    assert "Not an insider or substantial shareholder" in completed


_STATUS: Mapping[str, Any] = {
    "orderId": 7,
    "status": "Filled",
    "filled": 100,
    "remaining": 0,
    "permId": 1376327563,
    "clientId": 100,
}
_EXECUTION: Mapping[str, Any] = {
    "reqId": -1,
    "orderId": 7,
    "conId": 265598,
    "symbol": "AAPL",
    "secType": "STK",
    "exchange": "ISLAND",
    "currency": "USD",
    "localSymbol": "AAPL",
    "tradingClass": "NMS",
    "execId": "00025b46.63f8f39c.01.01",
    "time": "20230224 12:04:56 US/Eastern",
    "account": "DU1234567",
    "execExchange": "ISLAND",
    "side": "BOT",
    "shares": 100,
    "price": "196.52",
    "permId": 1376327563,
    "clientId": 100,
    "cumQty": 100,
    "avgPrice": "196.52",
    "lastLiquidity": 2,
}
_COMMISSION: Mapping[str, Any] = {
    "execId": "00025b46.63f8f39c.01.01",
    "commission": 1,
    "currency": "USD",
}


@pytest.mark.parametrize(
    ("name", "values", "version", "expected"),
    [
        ("orderStatus", _STATUS, 157, "99a9999999.9"),
        ("orderStatus", _STATUS, 178, "99a9999999.9"),
        ("execDetails", _EXECUTION, 157, "9999aa.9..aaaaaaaaa9999999....9"),
        ("execDetails", _EXECUTION, 176, "9999aa.9..aaaaaaaaa9999999....9"),
        ("commissionReport", _COMMISSION, 176, "99a9a99."),
    ],
)
def test_what_becomes_of_an_order_has_the_fields_of_a_real_one(
    name: str, values: Mapping[str, Any], version: int, expected: str
) -> None:
    assert kinds(encode(name, version, **values)) == expected


def test_place_order_has_as_many_fields_as_the_clients_send() -> None:
    lib = library()
    for version, count in ((157, 110), (176, 115), (178, 114)):
        if version in versions():
            contract, order = lib.Stock("AAPL", "SMART", "USD"), lib.LimitOrder("BUY", 1, 2.0)
            plain = frame_of(version, "placeOrder", 1, contract, order)
            order.algoStrategy = "Adaptive"
            order.algoParams = [lib.TagValue("adaptivePriority", "Normal")]
            adaptive = frame_of(version, "placeOrder", 1, contract, order)
            assert (len(plain), len(adaptive)) == (count, count + 3)
            assert parse(plain, version).name == parse(adaptive, version).name == "placeOrder"

"""Changing open orders, and several orders with one request."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.binance_server.trading.stand import Stand, refusal

AMEND = "PUT /fapi/v1/order"


def asked(**changes: Any) -> dict[str, Any]:
    """Return what a change of the first order asks for."""
    usual = {"symbol": "BTCUSDT", "orderId": 1, "side": "BUY", "quantity": "0.010"}
    return usual | {"price": "79500"} | changes


def test_an_open_order_is_changed_and_keeps_its_number(stand: Stand) -> None:
    stand.order(price="79000", newClientOrderId="me.1")

    answer = stand.call(AMEND, **asked(quantity="0.020"))

    assert (answer["orderId"], answer["clientOrderId"]) == (1, "me.1")
    assert (answer["price"], answer["origQty"], answer["status"]) == ("79500.00", "0.020", "NEW")


def test_a_change_may_take_at_once(stand: Stand) -> None:
    stand.order(price="79000")

    assert stand.call(AMEND, **asked(price="80001"))["status"] == "FILLED"
    assert stand.held() == Decimal("0.010")


def test_a_change_that_changes_nothing_or_too_much_is_refused(stand: Stand) -> None:
    stand.order(price="79000")

    assert refusal(stand, AMEND, **asked(price="79000")) == (-5027, "No need to modify the order.")
    assert refusal(stand, AMEND, **asked(price="84000.2"))[0] == -4016
    assert refusal(stand, AMEND, **asked(price="79000.05"))[0] == -4014
    assert refusal(stand, AMEND, **asked(reduceOnly="true"))[0] == -5047
    assert refusal(stand, AMEND, **asked(orderId=9))[0] == -2013
    assert refusal(stand, AMEND, **asked(side="SELL"))[0] == -2013
    # What was refused has changed nothing.
    assert stand.call("GET /fapi/v1/openOrders")[0]["price"] == "79000.00"


def test_only_limit_orders_of_trading_symbols_are_changed_and_not_for_ever(stand: Stand) -> None:
    stand.order(price="79000")
    order = stand.exchange.account.orders[0]
    order.tags["amendments"] = "10000"
    assert refusal(stand, AMEND, **asked()) == (-5026, "Exceed maximum modify order limit.")
    order.tags["type"] = "MARKET"
    assert refusal(stand, AMEND, **asked()) == (-5025, "Only limit order is supported.")
    stand.symbol("BTCUSDT").status = "PRE_SETTLE"
    assert refusal(stand, AMEND, **asked()) == (
        -5024,
        "Symbol is not in trading status. Order amendment is not permitted.",
    )


def test_a_post_only_order_that_would_take_at_its_new_price_is_cancelled(stand: Stand) -> None:
    stand.order(price="79000", timeInForce="GTX")

    assert stand.call(AMEND, **asked(price="80000.1"))["status"] == "CANCELED"
    assert stand.held() == 0


def test_a_change_to_less_than_what_has_traded_cancels_the_rest(stand: Stand) -> None:
    stand.depth("BTCUSDT", "0.004")
    stand.order(price="79000")
    stand.price("BTCUSDT", "78999.9")
    stand.later(minutes=1)

    answer = stand.call(AMEND, **asked(quantity="0.004"))

    assert (answer["status"], answer["executedQty"]) == ("CANCELED", "0.004")


def leg(**changes: str) -> dict[str, str]:
    """Return one order of a batch."""
    usual = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    return usual | {"quantity": "0.010", "price": "79000"} | changes


def test_one_refused_leg_of_a_batch_says_so_in_its_place(stand: Stand) -> None:
    legs = [
        leg(newClientOrderId="a"),
        leg(price="1"),
        leg(symbol="ETHUSDT", quantity="0.1", price="1990", newClientOrderId="c"),
    ]

    answers = stand.call("POST /fapi/v1/batchOrders", batchOrders=json.dumps(legs))

    assert [each.get("clientOrderId") for each in answers] == ["a", None, "c"]
    # 0.010 * 1 is below 50.
    assert answers[1]["code"] == -4164
    assert set(answers[1]) == {"code", "msg"}
    assert len(stand.call("GET /fapi/v1/openOrders")) == 2


@pytest.mark.parametrize("legs", ["[]", "{}", "[1]", "not json", ""])
def test_a_batch_has_to_be_a_list_of_orders(stand: Stand, legs: str) -> None:
    code, _ = refusal(stand, "POST /fapi/v1/batchOrders", batchOrders=legs)

    assert code in (-1130, -1102, -4082)


def test_a_batch_has_at_most_five_orders(stand: Stand) -> None:
    legs = json.dumps([leg()] * 6)

    assert refusal(stand, "POST /fapi/v1/batchOrders", batchOrders=legs) == (
        -4082,
        "Invalid number of batch place orders: 6",
    )
    assert stand.call("GET /fapi/v1/openOrders") == []


def test_numbers_of_a_batch_are_read_as_they_are_written(stand: Stand) -> None:
    legs = '[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":0.010,'
    legs += '"price":79000.1},{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":1e-2}]'

    first, second = stand.call("POST /fapi/v1/batchOrders", batchOrders=legs)

    assert (first["price"], first["origQty"]) == ("79000.10", "0.010")
    assert second["code"] == -1100


def test_several_orders_are_cancelled_or_changed_with_one_request(stand: Stand) -> None:
    for name in ("a", "b", "c"):
        stand.order(price="79000", newClientOrderId=name)

    changed = stand.call(
        "PUT /fapi/v1/batchOrders", batchOrders=json.dumps([asked(), asked(orderId=8)])
    )
    assert (changed[0]["price"], changed[1]["code"]) == ("79500.00", -2013)
    by_name = stand.call(
        "DELETE /fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList='["a","no"]'
    )
    assert (by_name[0]["status"], by_name[1]["code"]) == ("CANCELED", -2011)
    by_number = stand.call("DELETE /fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList="[2,3]")
    assert [each["status"] for each in by_number] == ["CANCELED", "CANCELED"]
    for legs in ("[]", "{}", "7", "[1"):
        asked_for = {"symbol": "BTCUSDT", "orderIdList": legs}
        assert refusal(stand, "DELETE /fapi/v1/batchOrders", **asked_for)[0] == -1130
    many = str(list(range(11)))
    assert (
        refusal(stand, "DELETE /fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=many)[0]
        == -4032
    )

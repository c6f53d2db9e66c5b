"""The algo service: stops wait apart from orders, trigger by price, and become orders."""

import json
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.codec import from_plain
from rebalancer.simulators.binance_server.algo_kept import all_algos
from rebalancer.simulators.books import Account, Books
from tests.unit.binance_server.trading.stand import (
    MARKET,
    Stand,
    refusal,
    stop_refusal,
)

GET = "GET /fapi/v1/algoOrder"
OPEN = "GET /fapi/v1/openAlgoOrders"


def status(stand: Stand, name: str = "stop1") -> str:
    """Return what the exchange says of a conditional order."""
    return str(stand.call(GET, clientAlgoId=name)["algoStatus"])


def test_a_stop_waits_apart_from_ordinary_orders(stand: Stand) -> None:
    stand.order(**MARKET)

    answer = stand.stop()

    assert answer == {
        "algoId": 2_000_000_001,
        "clientAlgoId": "stop1",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": "0.010",
        "algoStatus": "NEW",
        "triggerPrice": "78000.00",
        "price": "0.00",
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "MARK_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": True,
        "activatePrice": "",
        "callbackRate": "",
        "createTime": stand.ms(),
        "updateTime": stand.ms(),
        "triggerTime": 0,
        "goodTillDate": 0,
    }
    assert [row["clientAlgoId"] for row in stand.call(OPEN)] == ["stop1"]
    assert stand.call("GET /fapi/v1/openOrders") == []
    stand.call("DELETE /fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert status(stand) == "NEW"


def test_a_stop_triggers_in_the_minute_in_which_the_mark_reaches_it(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop()

    stand.price("BTCUSDT", "78000.1")
    stand.later(minutes=1)
    assert (status(stand), stand.held()) == ("NEW", Decimal("0.010"))
    stand.price("BTCUSDT", "78000.0")
    stand.later(minutes=1)

    told = stand.call(GET, clientAlgoId="stop1")
    assert (told["algoStatus"], told["actualOrderId"]) == ("FINISHED", "2")
    assert (told["actualPrice"], told["actualQty"]) == ("78000.00000", "0.010")
    assert told["actualType"] == "MARKET"
    assert told["triggerTime"] == stand.ms()
    assert stand.held() == 0
    order = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", orderId=2)
    assert (order["status"], order["type"], order["origType"]) == (
        "FILLED",
        "MARKET",
        "STOP_MARKET",
    )
    assert (order["clientOrderId"], order["stopPrice"]) == ("stop1", "78000.00")
    assert order["reduceOnly"] is True
    assert stand.call(OPEN) == []


def test_a_ladder_triggers_step_by_step(stand: Stand) -> None:
    stand.order(**MARKET, quantity="0.030")
    for step, trigger in enumerate(("79000", "78000", "77000"), 1):
        stand.stop(clientAlgoId=f"step{step}", triggerPrice=trigger)

    held = []
    for price in ("79000.5", "78999.9", "77500.0", "70000.0"):
        stand.price("BTCUSDT", price)
        stand.later(minutes=1)
        held.append(stand.held())

    # Steps of 0.010 at 79,000, 78,000 and 77,000.
    assert held == [Decimal("0.030"), Decimal("0.020"), Decimal("0.010"), 0]
    assert {status(stand, f"step{step}") for step in (1, 2, 3)} == {"FINISHED"}


def test_a_fired_stop_closes_all_of_it_even_when_the_book_is_thin(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop()
    stand.depth("BTCUSDT", "0.004")
    stand.price("BTCUSDT", "77000.0")

    stand.later(minutes=1)
    assert (status(stand), stand.held()) == ("TRIGGERED", Decimal("0.006"))
    stand.later(minutes=2)

    assert (status(stand), stand.held()) == ("FINISHED", Decimal(0))


def test_a_stop_of_a_position_that_is_gone_waits_and_expires_at_its_trigger(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop()
    stand.order(**MARKET, side="SELL")
    stand.later(minutes=5)
    assert status(stand) == "NEW"

    stand.price("BTCUSDT", "70000.0")
    stand.later(minutes=1)

    assert status(stand) == "EXPIRED"
    assert stand.held() == 0
    assert stand.call(GET, clientAlgoId="stop1")["actualOrderId"] == ""


def test_a_stop_that_is_larger_than_what_is_left_closes_what_is_left(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop()
    stand.order(**MARKET, side="SELL", quantity="0.007")

    stand.price("BTCUSDT", "77000.0")
    stand.later(minutes=1)

    assert stand.held() == 0
    assert stand.call(GET, clientAlgoId="stop1")["actualQty"] == "0.003"


def test_a_stop_that_depends_on_the_position_ends_with_it(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop(timeInForce="GTE_GTC")
    stand.order(**MARKET, side="SELL")

    stand.later(minutes=1)

    assert status(stand) == "EXPIRED"


def test_a_stop_for_the_whole_position_takes_no_quantity(stand: Stand) -> None:
    whole = {"closePosition": "true", "reduceOnly": "", "quantity": ""}
    assert stop_refusal(stand, closePosition="true", reduceOnly="") == (
        -4137,
        "Quantity must be zero with closePosition equals true",
    )
    assert stop_refusal(stand, **whole | {"reduceOnly": "true"})[0] == -1106
    assert stop_refusal(stand, **whole, type="STOP", price="77000")[0] == -4136
    stand.order(**MARKET, quantity="0.025")
    answer = stand.stop(**whole)
    assert (answer["closePosition"], answer["quantity"]) == (True, "0.000")
    assert stop_refusal(stand, **whole, clientAlgoId="other")[0] == -4130

    stand.price("BTCUSDT", "77000.0")
    stand.later(minutes=1)

    assert stand.held() == 0
    order = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", orderId=2)
    assert (order["closePosition"], order["executedQty"]) == (True, "0.025")


def test_a_stop_with_a_limit_becomes_a_limit_order(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop(type="STOP", price="78500")

    stand.price("BTCUSDT", "77900.0")
    stand.later(minutes=1)

    assert status(stand) == "TRIGGERED"
    resting = stand.call("GET /fapi/v1/openOrders")[0]
    assert (resting["type"], resting["price"], resting["origType"]) == (
        "LIMIT",
        "78500.00",
        "STOP",
    )
    stand.price("BTCUSDT", "78500.0")
    stand.later(minutes=1)
    assert status(stand) == "FINISHED"


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "price"),
    [
        ("STOP_MARKET", "SELL", "78000", "78000.0"),
        ("STOP_MARKET", "BUY", "82000", "82000.0"),
        ("TAKE_PROFIT_MARKET", "SELL", "82000", "82000.0"),
        ("TAKE_PROFIT_MARKET", "BUY", "78000", "78000.0"),
    ],
)
def test_each_kind_triggers_on_its_own_side(
    stand: Stand, kind: str, side: str, trigger: str, price: str
) -> None:
    stand.order(**MARKET, side="BUY" if side == "SELL" else "SELL")
    beyond = "70000" if Decimal(trigger) > 80_000 else "90000"
    asked: dict[str, Any] = {"type": kind, "side": side}
    assert stop_refusal(stand, **asked, triggerPrice=beyond) == (
        -2021,
        "Order would immediately trigger.",
    )
    stand.stop(**asked, triggerPrice=trigger)
    stand.later(minutes=3)
    assert status(stand) == "NEW"

    stand.price("BTCUSDT", price)
    stand.later(minutes=1)

    assert (status(stand), stand.held()) == ("FINISHED", Decimal(0))


def test_a_trailing_stop_follows_the_best_price(stand: Stand) -> None:
    stand.order(**MARKET)
    trailing = {"type": "TRAILING_STOP_MARKET", "triggerPrice": ""}
    assert stop_refusal(stand, **trailing)[0] == -1102
    assert stop_refusal(stand, **trailing, callbackRate="20.1")[0] == -1130
    assert stop_refusal(stand, **trailing, callbackRate="1", activatePrice="79000")[0] == -2021
    answer = stand.stop(**trailing, callbackRate="1", activatePrice="81000")
    assert (answer["callbackRate"], answer["activatePrice"]) == ("1", "81000.00")

    # Not active below 81,000; then the best is 82,000, and 1 % below it is 81,180.
    for price in ("80500.0", "79000.0", "81000.0", "82000.0", "81180.1"):
        stand.price("BTCUSDT", price)
        stand.later(minutes=1)
        assert status(stand) == "NEW"
    stand.price("BTCUSDT", "81180.0")
    stand.later(minutes=1)

    assert (status(stand), stand.held()) == ("FINISHED", Decimal(0))


def test_a_trailing_buy_follows_the_lowest_price(stand: Stand) -> None:
    stand.order(**MARKET, side="SELL")
    stand.stop(type="TRAILING_STOP_MARKET", side="BUY", triggerPrice="", callbackRate="2")

    # 2 % above 78,000 is 79,560.
    for price in ("80500.0", "78000.0", "79559.9"):
        stand.price("BTCUSDT", price)
        stand.later(minutes=1)
        assert status(stand) == "NEW"
    stand.price("BTCUSDT", "79560.0")
    stand.later(minutes=1)

    assert status(stand) == "FINISHED"


def test_a_stop_with_a_good_till_date_expires(stand: Stand) -> None:
    stand.stop(timeInForce="GTD", goodTillDate=stand.ms(minutes=11))

    stand.later(minutes=10, seconds=59)
    assert status(stand) == "NEW"
    stand.later(seconds=1)

    assert status(stand) == "EXPIRED"


def test_a_protected_stop_does_not_believe_a_price_far_from_the_mark(stand: Stand) -> None:
    stand.order(**MARKET)
    last = {"workingType": "CONTRACT_PRICE", "priceProtect": "true"}
    stand.stop(**last)
    stand.market.marks[stand.symbol("BTCUSDT").id] = Decimal(80_000)
    # 5 % below the mark is 76,000: 75,990 is too far, 76,010 is not.
    stand.price("BTCUSDT", "75990.0")
    stand.later(minutes=1)
    assert status(stand) == "NEW"

    stand.price("BTCUSDT", "76010.0")
    stand.later(minutes=1)

    assert status(stand) == "FINISHED"


def test_a_stop_on_the_mark_price_does_not_look_at_the_last(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop()
    stand.stop(clientAlgoId="last", workingType="CONTRACT_PRICE")
    stand.market.marks[stand.symbol("BTCUSDT").id] = Decimal(80_000)
    stand.price("BTCUSDT", "77000.0")

    stand.later(minutes=1)

    assert (status(stand), status(stand, "last")) == ("NEW", "FINISHED")


def test_a_cancelled_stop_triggers_no_more(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop()

    answer = stand.call("DELETE /fapi/v1/algoOrder", clientAlgoId="stop1")
    stand.price("BTCUSDT", "70000.0")
    stand.later(minutes=1)

    assert answer == {
        "algoId": 2_000_000_001,
        "clientAlgoId": "stop1",
        "code": "200",
        "msg": "success",
    }
    assert (status(stand), stand.held()) == ("CANCELED", Decimal("0.010"))
    assert refusal(stand, "DELETE /fapi/v1/algoOrder", clientAlgoId="stop1") == (
        -2011,
        "Unknown order sent.",
    )
    assert refusal(stand, GET, clientAlgoId="no") == (-2013, "Order does not exist.")
    assert refusal(stand, GET)[0] == -1102


def test_all_stops_of_a_symbol_are_cancelled_at_once(stand: Stand) -> None:
    stand.stop()
    stand.stop(clientAlgoId="stop2", triggerPrice="77000")
    stand.stop(symbol="ETHUSDT", clientAlgoId="eth", triggerPrice="1900", quantity="0.1")

    one = stand.call(OPEN, algoId=2_000_000_002, algoType="CONDITIONAL")
    assert [row["clientAlgoId"] for row in one] == ["stop2"]
    assert stand.call(OPEN, algoType="VP") == []

    answer = stand.call("DELETE /fapi/v1/algoOpenOrders", symbol="BTCUSDT")

    assert answer == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert [row["clientAlgoId"] for row in stand.call(OPEN)] == ["eth"]
    rows = stand.call("GET /fapi/v1/allAlgoOrders", symbol="BTCUSDT")
    assert [row["algoStatus"] for row in rows] == ["CANCELED", "CANCELED"]
    later = stand.call("GET /fapi/v1/allAlgoOrders", symbol="BTCUSDT", algoId=rows[1]["algoId"])
    assert later == rows[1:]


def test_an_id_of_a_stop_is_its_own_while_it_waits(stand: Stand) -> None:
    stand.stop()
    assert stop_refusal(stand, triggerPrice="77000") == (-4116, "ClientOrderId is duplicated.")
    stand.call("DELETE /fapi/v1/algoOrder", algoId=2_000_000_001)

    again = stand.stop(triggerPrice="77000")

    assert stand.call(GET, clientAlgoId="stop1")["algoId"] == again["algoId"] == 2_000_000_002


def test_two_hundred_stops_wait_and_no_more(stand: Stand) -> None:
    for number in range(200):
        symbol = ("BTCUSDT", "78000", "0.010") if number % 2 else ("ETHUSDT", "1900", "0.1")
        stand.stop(
            clientAlgoId=f"s{number}",
            symbol=symbol[0],
            triggerPrice=symbol[1],
            quantity=symbol[2],
        )

    assert stop_refusal(stand) == (-4045, "Reach max stop order limit.")
    stand.call("DELETE /fapi/v1/algoOrder", clientAlgoId="s7")
    assert stand.stop()["algoStatus"] == "NEW"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"algoType": "VP"}, -1130),
        ({"algoType": ""}, -1102),
        ({"type": "LIMIT"}, -1116),
        ({"side": ""}, -1102),
        ({"triggerPrice": ""}, -1102),
        ({"triggerPrice": "78000.05"}, -4014),
        ({"triggerPrice": "7.8e4"}, -1100),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"workingType": "LAST"}, -1130),
        ({"clientAlgoId": "x y"}, -4015),
        ({"reduceOnly": "", "quantity": "0.001", "triggerPrice": "40000"}, -4164),
        ({"positionSide": "LONG"}, -4061),
        ({"timeInForce": "GTD"}, -1102),
        ({"type": "STOP"}, -1102),
    ],
)
def test_a_stop_is_refused_by_its_own_words(stand: Stand, asked: dict[str, str], code: int) -> None:
    # 0.001 * 40,000 is below the least notional of 50.
    assert stop_refusal(stand, **asked)[0] == code
    assert stand.call(OPEN) == []


def test_a_stop_of_just_the_least_notional_is_taken(stand: Stand) -> None:
    # 0.001 * 50,000 is 50.
    assert stand.stop(reduceOnly="", quantity="0.001", triggerPrice="50000")["quantity"] == "0.001"


def test_a_stop_needs_no_margin_before_its_trigger_and_is_rejected_without_it_then(
    stand: Stand,
) -> None:
    # 3 BTC are 240,000, of which a twentieth is more than the 10,000 there are.
    stand.stop(side="BUY", triggerPrice="81000", reduceOnly="", quantity="3")

    stand.price("BTCUSDT", "81000.0")
    stand.later(minutes=1)

    assert status(stand) == "REJECTED"
    assert stand.held() == 0


def test_nothing_triggers_while_a_symbol_does_not_trade(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.stop()
    stand.market.shut.add(stand.symbol("BTCUSDT").id)
    stand.price("BTCUSDT", "70000.0")

    stand.later(minutes=2)
    assert status(stand) == "NEW"
    stand.market.shut.clear()
    stand.later(minutes=1)

    assert stand.held() == 0


def test_the_stops_of_a_symbol_that_is_closed_expire(stand: Stand) -> None:
    stand.stop()
    stand.symbol("BTCUSDT").status = "SETTLING"
    stand.price("BTCUSDT", "70000.0")

    stand.later(minutes=1)

    assert status(stand) == "EXPIRED"
    assert stop_refusal(stand) == (-4141, "Symbol is closed.")


def test_stops_are_kept_with_the_books(stand: Stand) -> None:
    stand.stop()
    stand.stop(type="TRAILING_STOP_MARKET", triggerPrice="", callbackRate="1", clientAlgoId="t")
    content = Books(stand.exchange.account, None, None).content()

    read = from_plain(Account, json.loads(content))

    assert all_algos(read) == all_algos(stand.exchange.account)


def test_stops_that_ended_are_forgotten_after_three_days(stand: Stand) -> None:
    stand.stop()
    stand.call("DELETE /fapi/v1/algoOrder", clientAlgoId="stop1")
    stand.later(days=3, seconds=1)
    stand.stop(clientAlgoId="new")
    stand.stop(clientAlgoId="newer")

    assert refusal(stand, GET, clientAlgoId="stop1")[0] == -2013
    assert stand.call(GET, clientAlgoId="newer")["algoId"] == 2_000_000_003

"""Orders on perpetuals from placing to their end, as each route tells them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.simulators.binance_server.call import ApiError
from rebalancer.simulators.faults import Fault, FaultKind
from tests.unit.binance_server.trading.stand import (
    MARKET,
    Stand,
    make_stand,
    order_refusal,
    refusal,
)


def test_an_order_at_market_is_filled_in_its_answer(stand: Stand) -> None:
    answer = stand.order(**MARKET, newClientOrderId="me.1")

    assert answer == {
        "orderId": 1,
        "symbol": "BTCUSDT",
        "status": "FILLED",
        "clientOrderId": "me.1",
        "price": "0.00",
        "avgPrice": "80000.10000",
        "origQty": "0.010",
        "executedQty": "0.010",
        "cumQty": "0.010",
        "cumQuote": "800.00100",
        "timeInForce": "GTC",
        "type": "MARKET",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": "MARKET",
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "updateTime": stand.ms(),
    }
    assert stand.held() == Decimal("0.010")
    # The taker's fee: 0.05 % of 800.001.
    assert stand.exchange.account.cash["USDT"] == 10_000 - Decimal("0.4000005")


def test_an_answer_of_type_ack_says_nothing_of_the_trade(stand: Stand) -> None:
    answer = stand.order(**MARKET, newOrderRespType="ACK")
    usual = stand.order(**MARKET, newOrderRespType="")

    for each in (answer, usual):
        assert (each["status"], each["executedQty"], each["cumQty"]) == ("NEW", "0.000", "0.000")
        assert (each["avgPrice"], each["cumQuote"]) == ("0.00", "0.00000")
    told = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", orderId=answer["orderId"])
    assert told["status"] == "FILLED"


def test_averages_may_be_left_out_of_answers_but_not_of_queries(stand: Stand) -> None:
    stand.server.spec.averages_in_answers = False

    answer = stand.order(**MARKET)

    assert {"avgPrice", "cumQuote"}.isdisjoint(answer)
    told = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", orderId=answer["orderId"])
    assert (told["avgPrice"], told["cumQuote"]) == ("80000.10000", "800.00100")


def test_an_order_rests_is_filled_in_parts_and_then_whole(stand: Stand) -> None:
    stand.depth("BTCUSDT", "0.004")
    answer = stand.order(price="79000", newClientOrderId="me.2")
    assert (answer["status"], answer["executedQty"]) == ("NEW", "0.000")

    stand.price("BTCUSDT", "78999.9")
    stand.later(minutes=1)
    told = stand.call("GET /fapi/v1/openOrder", symbol="BTCUSDT", origClientOrderId="me.2")
    assert (told["status"], told["executedQty"]) == ("PARTIALLY_FILLED", "0.004")
    stand.later(minutes=1)
    assert stand.call("GET /fapi/v1/openOrders")[0]["executedQty"] == "0.008"
    stand.later(minutes=1)
    told = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", origClientOrderId="me.2")

    assert (told["status"], told["executedQty"]) == ("FILLED", "0.010")
    assert (told["avgPrice"], told["cumQuote"]) == ("79000.00000", "790.00000")
    assert told["time"] < told["updateTime"]
    assert stand.call("GET /fapi/v1/openOrders") == []
    assert refusal(stand, "GET /fapi/v1/openOrder", symbol="BTCUSDT", orderId=1) == (
        -2013,
        "Order does not exist.",
    )
    rows = stand.call("GET /fapi/v1/userTrades", symbol="BTCUSDT")
    assert [row["qty"] for row in rows] == ["0.004", "0.004", "0.002"]
    assert all(row["maker"] and row["buyer"] for row in rows)


def test_what_a_minute_does_not_show_of_an_order_at_market_trades_in_the_next(
    stand: Stand,
) -> None:
    stand.depth("BTCUSDT", "0.006")

    assert stand.order(**MARKET)["status"] == "PARTIALLY_FILLED"
    stand.later(minutes=1)

    assert stand.held() == Decimal("0.010")


def test_ioc_takes_what_is_there_and_fok_all_or_nothing(stand: Stand) -> None:
    stand.depth("BTCUSDT", "0.004")
    part = stand.order(price="80001", timeInForce="IOC")
    assert (part["status"], part["executedQty"]) == ("EXPIRED", "0.004")
    stand.later(minutes=1)

    assert order_refusal(stand, price="80001", timeInForce="FOK")[0] == -5021
    whole = stand.order(price="80001", timeInForce="FOK", quantity="0.004")
    assert (whole["status"], whole["timeInForce"]) == ("FILLED", "FOK")
    # The minute's depth is used up now.
    assert order_refusal(stand, price="80001", timeInForce="FOK", quantity="0.001")[0] == -5021


def test_a_post_only_order_rests_and_trades_as_maker(stand: Stand) -> None:
    answer = stand.order(price="80000", timeInForce="GTX")
    assert (answer["status"], answer["timeInForce"], answer["type"]) == ("NEW", "GTX", "LIMIT")

    stand.price("BTCUSDT", "79999.8")
    stand.later(minutes=1)

    row = stand.call("GET /fapi/v1/userTrades", symbol="BTCUSDT")[0]
    assert (row["maker"], row["price"]) == (True, "80000.00")
    # The maker's fee: 0.02 % of 800.
    assert row["commission"] == "0.16000000"


def test_a_good_till_date_ends_an_order(stand: Stand) -> None:
    stand.order(price="79000", timeInForce="GTD", goodTillDate=stand.ms(seconds=700))

    stand.later(seconds=699)
    assert len(stand.call("GET /fapi/v1/openOrders")) == 1
    stand.later(seconds=2)

    told = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", orderId=1)
    assert (told["status"], told["timeInForce"]) == ("EXPIRED", "GTD")


def test_a_cancelled_order_is_told_and_cannot_be_cancelled_again(stand: Stand) -> None:
    stand.order(price="79000", newClientOrderId="me.3")

    answer = stand.call("DELETE /fapi/v1/order", symbol="BTCUSDT", origClientOrderId="me.3")

    assert (answer["status"], answer["clientOrderId"]) == ("CANCELED", "me.3")
    assert refusal(stand, "DELETE /fapi/v1/order", symbol="BTCUSDT", orderId=1) == (
        -2011,
        "Unknown order sent.",
    )
    assert refusal(stand, "DELETE /fapi/v1/order", symbol="BTCUSDT")[0] == -1102


def test_an_id_may_be_used_again_once_its_order_is_over(stand: Stand) -> None:
    stand.order(price="79000", newClientOrderId="again")
    assert order_refusal(stand, newClientOrderId="again") == (
        -4116,
        "ClientOrderId is duplicated.",
    )
    stand.call("DELETE /fapi/v1/order", symbol="BTCUSDT", origClientOrderId="again")
    assert stand.order(**MARKET, newClientOrderId="again")["status"] == "FILLED"
    # The exchange does not keep a client from doing it twice: this is a second order.
    assert stand.order(**MARKET, newClientOrderId="again")["status"] == "FILLED"

    assert stand.held() == Decimal("0.020")
    told = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", origClientOrderId="again")
    assert told["orderId"] == 3


def test_orders_are_forgotten_after_three_days_or_ninety(stand: Stand) -> None:
    stand.order(price="79000", newClientOrderId="nothing")
    stand.call("DELETE /fapi/v1/order", symbol="BTCUSDT", orderId=1)
    stand.order(**MARKET, newClientOrderId="something")
    stand.exchange.account.now += timedelta(days=3, seconds=1)
    stand.exchange.clock.advance_to(stand.exchange.account.now)

    asked = {"symbol": "BTCUSDT"}
    assert refusal(stand, "GET /fapi/v1/order", **asked, origClientOrderId="nothing")[0] == -2013
    assert stand.call("GET /fapi/v1/order", **asked, origClientOrderId="something")

    stand.exchange.account.now += timedelta(days=87)
    stand.exchange.clock.advance_to(stand.exchange.account.now)
    assert refusal(stand, "GET /fapi/v1/order", **asked, origClientOrderId="something")[0] == -2013


def test_all_open_orders_of_a_symbol_are_cancelled_and_no_others(stand: Stand) -> None:
    for number in range(3):
        stand.order(price="79000", newClientOrderId=f"b{number}")
    stand.order(symbol="ETHUSDT", quantity="0.1", price="1990")

    answer = stand.call("DELETE /fapi/v1/allOpenOrders", symbol="BTCUSDT")

    assert answer == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert [row["symbol"] for row in stand.call("GET /fapi/v1/openOrders")] == ["ETHUSDT"]


def test_all_orders_are_listed_from_a_number_or_of_a_week(stand: Stand) -> None:
    for number in range(3):
        stand.order(price="79000", newClientOrderId=f"b{number}")
        stand.later(minutes=1)
    stand.order(symbol="ETHUSDT", quantity="0.1", price="1990")
    ids = [row["orderId"] for row in stand.call("GET /fapi/v1/allOrders", symbol="BTCUSDT")]
    assert ids == [1, 2, 3]

    def asked(**parameters: object) -> list[int]:
        rows = stand.call("GET /fapi/v1/allOrders", **parameters)
        return [row["orderId"] for row in rows]

    assert asked(symbol="BTCUSDT", orderId=2) == [2, 3]
    assert asked(symbol="BTCUSDT", limit=1) == [3]
    assert asked(symbol="BTCUSDT", startTime=stand.ms(minutes=-2, seconds=-1)) == [2, 3]
    # The symbol is no longer mandatory (2026-08-25).
    assert asked() == [1, 2, 3, 4]
    week = {"startTime": stand.ms(days=-8), "endTime": stand.ms()}
    assert refusal(stand, "GET /fapi/v1/allOrders", **week) == (
        -4165,
        "Maximum time interval is 7 days.",
    )
    assert refusal(stand, "GET /fapi/v1/allOrders", startTime=stand.ms(days=-91))[0] == -4166


def test_an_order_that_is_only_tried_changes_nothing(stand: Stand) -> None:
    answer = stand.call(
        "POST /fapi/v1/order/test",
        symbol="BTCUSDT",
        side="BUY",
        type="MARKET",
        quantity="0.010",
    )

    assert (answer["orderId"], answer["status"]) == (0, "NEW")
    assert stand.held() == 0
    code, _ = refusal(
        stand,
        "POST /fapi/v1/order/test",
        symbol="BTCUSDT",
        side="BUY",
        type="MARKET",
        quantity="4",
    )
    assert code == -2019


def test_a_reduce_only_order_ends_when_the_position_is_gone(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.order(side="SELL", price="81000", reduceOnly="true")
    stand.order(**MARKET, side="SELL")

    told = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", orderId=2)
    assert (told["status"], told["reduceOnly"]) == ("EXPIRED", True)


def test_a_price_may_be_the_books(stand: Stand) -> None:
    joins = stand.order(price="", priceMatch="QUEUE")
    takes = stand.order(price="", priceMatch="OPPONENT", quantity="0.002")

    assert (joins["price"], joins["status"], joins["priceMatch"]) == ("80000.00", "NEW", "QUEUE")
    assert (takes["status"], takes["avgPrice"]) == ("FILLED", "80000.10000")
    assert order_refusal(stand, priceMatch="QUEUE")[0] == -1106
    # Five levels of 0.10 deep: four ticks behind the best.
    behind = {"price": "", "priceMatch": "QUEUE_5"}
    assert stand.order(**behind)["price"] == "79999.60"
    assert stand.order(**behind, side="SELL")["price"] == "80000.50"
    deep = {"price": "", "priceMatch": "OPPONENT_5"}
    assert stand.order(**deep)["price"] == "80000.50"
    assert stand.order(**deep, side="SELL")["price"] == "79999.60"


def test_the_exchanges_own_orders_are_told_apart_by_their_ids(stand: Stand) -> None:
    stand.order(**MARKET, newClientOrderId="mine")
    stand.order(**MARKET, side="SELL", newClientOrderId="autoclose-1742482800000123")

    rows = stand.call("GET /fapi/v1/forceOrders", autoCloseType="LIQUIDATION")

    assert [row["clientOrderId"] for row in rows] == ["autoclose-1742482800000123"]
    assert stand.call("GET /fapi/v1/forceOrders", autoCloseType="ADL") == []


def test_trades_carry_profit_fee_and_number(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.price("BTCUSDT", "81000.0")
    stand.order(**MARKET, side="SELL", quantity="0.004")

    first, second = stand.call("GET /fapi/v1/userTrades", symbol="BTCUSDT")

    assert first["realizedPnl"] == "0"
    # 0.004 * (81,000 - 80,000.1) = 3.9996; the fee is 0.05 % of 324.
    assert second == {
        "symbol": "BTCUSDT",
        "id": first["id"] + 1,
        "orderId": 2,
        "side": "SELL",
        "price": "81000.00",
        "qty": "0.004",
        "realizedPnl": "3.99960000",
        "quoteQty": "324",
        "commission": "0.16200000",
        "commissionAsset": "USDT",
        "time": stand.ms(),
        "positionSide": "BOTH",
        "buyer": False,
        "maker": False,
    }
    asked = {"symbol": "BTCUSDT"}
    assert stand.call("GET /fapi/v1/userTrades", **asked, fromId=second["id"]) == [second]
    assert stand.call("GET /fapi/v1/userTrades", **asked, orderId=1) == [first]
    assert stand.call("GET /fapi/v1/userTrades", **asked, limit=1) == [second]
    assert refusal(stand, "GET /fapi/v1/userTrades")[0] == -1102
    both = {"fromId": 1, "startTime": stand.ms(days=-1)}
    assert refusal(stand, "GET /fapi/v1/userTrades", **asked, **both)[0] == -1128
    week = {"startTime": stand.ms(days=-7), "endTime": stand.ms(seconds=1)}
    assert refusal(stand, "GET /fapi/v1/userTrades", **asked, **week)[0] == -4165
    assert refusal(stand, "GET /fapi/v1/userTrades", **asked, startTime=stand.ms(days=-91)) == (
        -4166,
        "Search window is restricted to recent 90 days only.",
    )


@pytest.mark.parametrize(
    ("kind", "code"), [(FaultKind.REFUSED_CANCEL, -2011), (FaultKind.LOST_CANCEL, -1007)]
)
def test_a_cancel_that_fails_leaves_the_order_open(kind: FaultKind, code: int) -> None:
    stand = make_stand(faults=[Fault(kind)])
    stand.order(price="79000")

    with pytest.raises(ApiError) as caught:
        stand.call("DELETE /fapi/v1/order", symbol="BTCUSDT", orderId=1)

    assert caught.value.code == code
    assert len(stand.call("GET /fapi/v1/openOrders")) == 1


def test_a_countdown_cancels_what_is_open_of_its_symbol(stand: Stand) -> None:
    stand.order(price="79000")
    stand.order(symbol="ETHUSDT", quantity="0.1", price="1990")
    asked = {"symbol": "BTCUSDT", "countdownTime": 120_000}
    assert stand.call("POST /fapi/v1/countdownCancelAll", **asked) == {
        "symbol": "BTCUSDT",
        "countdownTime": "120000",
    }
    stand.later(seconds=100)
    stand.call("POST /fapi/v1/countdownCancelAll", **asked)
    stand.later(seconds=119)
    assert len(stand.call("GET /fapi/v1/openOrders")) == 2
    stand.later(seconds=2)

    assert [row["symbol"] for row in stand.call("GET /fapi/v1/openOrders")] == ["ETHUSDT"]
    told = stand.call("GET /fapi/v1/order", symbol="BTCUSDT", orderId=1)
    assert told["status"] == "CANCELED"


def test_a_countdown_of_zero_is_none(stand: Stand) -> None:
    stand.order(price="79000")
    for countdown in (60_000, 0):
        stand.call("POST /fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=countdown)

    stand.later(minutes=5)

    assert len(stand.call("GET /fapi/v1/openOrders")) == 1

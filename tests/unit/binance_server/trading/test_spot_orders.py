"""Spot orders: answers by detail, life cycles, lists, refusals."""

from decimal import Decimal
from typing import Any

import pytest

from rebalancer.simulators.binance_server.order_words import PartlyRefused
from tests.unit.binance_server.trading.stand import (
    MARKET,
    Stand,
    make_stand,
    refusal,
    spot_refusal,
)


@pytest.fixture
def spot() -> Stand:
    """Return a spot account of 10,000 USDT and 0.1 BTC; BTC's bid is 80,000.00."""
    return make_stand(product="spot", cash={"USDT": "10000", "BTC": "0.1"})


def balance(stand: Stand, asset: str) -> Decimal:
    """Return how much of an asset there is."""
    return stand.exchange.account.cash[asset]


ACK = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
RESULT = ACK | {
    "price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status",
    "timeInForce", "type", "side", "workingTime", "selfTradePreventionMode",
}  # fmt: skip


def test_the_answer_has_the_detail_that_was_asked_for(spot: Stand) -> None:
    assert set(spot.spot(newOrderRespType="ACK")) == ACK
    assert set(spot.spot(newOrderRespType="RESULT")) == RESULT
    assert set(spot.spot(newOrderRespType="FULL")) == RESULT | {"fills"}
    # Without a wish: FULL for limit and market orders, ACK for post-only ones.
    assert set(spot.spot(newOrderRespType="")) == RESULT | {"fills"}
    assert set(spot.spot(type="LIMIT_MAKER", timeInForce="", newOrderRespType="")) == ACK


def test_an_order_at_market_tells_its_fills_and_its_fee_in_the_base_asset(spot: Stand) -> None:
    answer = spot.spot(**MARKET, newClientOrderId="me")

    assert answer["status"] == "FILLED"
    assert (answer["executedQty"], answer["cummulativeQuoteQty"]) == ("0.00100000", "80.00001000")
    # 0.1 % of 0.001 BTC.
    assert answer["fills"] == [
        {
            "price": "80000.01000000",
            "qty": "0.00100000",
            "commission": "0.00000100",
            "commissionAsset": "BTC",
            "tradeId": 1,
        }
    ]
    assert balance(spot, "BTC") == Decimal("0.100999")
    assert balance(spot, "USDT") == Decimal("9919.99999")


def test_an_order_may_spend_so_much_of_the_quote_asset(spot: Stand) -> None:
    answer = spot.spot(**MARKET, quantity="", quoteOrderQty="100")

    # 100 / 80,000.01 is 0.00124999, floored to 0.00124.
    assert (answer["origQty"], answer["origQuoteOrderQty"]) == ("0.00124000", "100.00000000")
    assert spot_refusal(spot, **MARKET, quantity="", quoteOrderQty="4")[1] == (
        "Filter failure: NOTIONAL"
    )
    assert spot_refusal(spot, **MARKET, quoteOrderQty="100")[0] == -1106
    assert spot_refusal(spot, **MARKET, quantity="")[0] == -1102


def test_a_post_only_order_is_refused_rather_than_taken(spot: Stand) -> None:
    maker = {"type": "LIMIT_MAKER", "timeInForce": ""}

    assert spot_refusal(spot, **maker, price="80000.01") == (
        -2010,
        "Order would immediately match and take.",
    )
    assert spot.spot(**maker, price="80000", newOrderRespType="RESULT")["status"] == "NEW"


def test_fill_or_kill_that_cannot_fill_is_expired(spot: Stand) -> None:
    spot.depth("BTCUSDT", "0.00050", "spot")

    for price in ("80001", "79000"):
        answer = spot.spot(timeInForce="FOK", price=price)
        assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "0.00000000")

    told = spot.call("GET /api/v3/order", symbol="BTCUSDT", orderId=1)
    assert (told["status"], told["timeInForce"]) == ("EXPIRED", "FOK")
    assert balance(spot, "USDT") == 10_000


def test_ioc_takes_what_is_there(spot: Stand) -> None:
    spot.depth("BTCUSDT", "0.00050", "spot")

    answer = spot.spot(timeInForce="IOC", price="80001")

    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "0.00050000")


# BTCUSDT: bid 80,000.00; tick 0.01, step 0.00001, notional 5 at least, 5 % around the price.
@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"price": "80000.005"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "2000000"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "84000.01"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"price": "75999.99"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.000011"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "1000.00001"}, -1013, "Filter failure: LOT_SIZE"),
        (MARKET | {"quantity": "121"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
        ({"quantity": "0.00006"}, -1013, "Filter failure: NOTIONAL"),
        ({"quantity": "0"}, -1013, "Invalid quantity."),
        ({"price": "0"}, -1013, "Invalid price."),
        (
            {"quantity": "0.2"},
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        (
            {"side": "SELL", "quantity": "0.10001"},
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        ({"side": "NO"}, -1117, "Invalid side."),
        ({"type": "NO"}, -1116, "Invalid orderType."),
        ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({"newOrderRespType": "NO"}, -1136, "Invalid newOrderRespType."),
        (
            {"newClientOrderId": "a b"},
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is "
            r"'^[\.A-Z\:/a-z0-9_-]{1,36}$'.",
        ),
        (MARKET | {"timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"symbol": "NOUSDT"}, -1121, "Invalid symbol."),
    ],
)
def test_an_order_is_refused_in_the_exchanges_words(
    spot: Stand, asked: dict[str, str], code: int, words: str
) -> None:
    assert spot_refusal(spot, **asked) == (code, words)
    assert spot.call("GET /api/v3/allOrders", symbol="BTCUSDT") == []


@pytest.mark.parametrize("number", ["1e-05", "1E3", "0,001"])
def test_scientific_notation_is_refused(spot: Stand, number: str) -> None:
    assert spot_refusal(spot, quantity=number)[0] == -1100


def test_what_open_orders_hold_cannot_be_spent_twice(spot: Stand) -> None:
    spot.spot(price="79000", quantity="0.1")

    # 10,000 less 7,900 is 2,100, below 0.03 * 79,000.
    assert spot_refusal(spot, price="79000", quantity="0.03")[0] == -2010


def test_limits_of_number_and_position_are_held(spot: Stand) -> None:
    symbol = spot.symbol("BTCUSDT", "spot")
    symbol.max_position = Decimal("0.102")
    spot.spot(price="79000")
    assert spot_refusal(spot, price="79000", quantity="0.00101") == (
        -1013,
        "Filter failure: MAX_POSITION",
    )
    symbol.max_orders = 1

    assert spot_refusal(spot, price="79000")[1] == "Filter failure: MAX_NUM_ORDERS"


def test_a_symbol_that_does_not_trade_takes_nothing(spot: Stand) -> None:
    spot.symbol("BTCUSDT", "spot").status = "BREAK"

    assert spot_refusal(spot) == (-1013, "Market is closed.")


def test_an_id_is_its_own_only_while_its_order_is_open(spot: Stand) -> None:
    spot.spot(price="79000", newClientOrderId="again")
    assert spot_refusal(spot, price="79000", newClientOrderId="again") == (
        -2010,
        "Duplicate order sent.",
    )
    spot.call("DELETE /api/v3/order", symbol="BTCUSDT", origClientOrderId="again")

    assert spot.spot(**MARKET, newClientOrderId="again")["status"] == "FILLED"
    assert spot.spot(**MARKET, newClientOrderId="again")["status"] == "FILLED"
    told = spot.call("GET /api/v3/order", symbol="BTCUSDT", origClientOrderId="again")
    assert told["orderId"] == 3


def test_an_order_is_cancelled_under_an_id_of_the_cancels_own(spot: Stand) -> None:
    spot.spot(price="79000", newClientOrderId="me")

    answer = spot.call(
        "DELETE /api/v3/order",
        symbol="BTCUSDT",
        origClientOrderId="me",
        newClientOrderId="end-of-me",
    )

    assert answer == {
        "symbol": "BTCUSDT",
        "origClientOrderId": "me",
        "orderId": 1,
        "orderListId": -1,
        "clientOrderId": "end-of-me",
        "transactTime": spot.ms(),
        "price": "79000.00000000",
        "origQty": "0.00100000",
        "executedQty": "0.00000000",
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "CANCELED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    asked = {"symbol": "BTCUSDT", "orderId": 1}
    assert refusal(spot, "DELETE /api/v3/order", **asked) == (-2011, "Unknown order sent.")
    assert refusal(spot, "GET /api/v3/order", symbol="BTCUSDT", orderId=2)[0] == -2013


def test_a_cancel_may_be_limited_to_orders_that_have_not_traded(spot: Stand) -> None:
    spot.depth("BTCUSDT", "0.00040", "spot")
    spot.spot(price="80001")
    asked = {"symbol": "BTCUSDT", "orderId": 1}

    code, _ = refusal(spot, "DELETE /api/v3/order", **asked, cancelRestrictions="ONLY_NEW")
    assert code == -2011
    answer = spot.call("DELETE /api/v3/order", **asked, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert (answer["status"], answer["executedQty"]) == ("CANCELED", "0.00040000")


def test_all_open_orders_of_a_symbol_are_cancelled(spot: Stand) -> None:
    spot.spot(price="79000")
    spot.spot(price="79001")

    answer = spot.call("DELETE /api/v3/openOrders", symbol="BTCUSDT")

    assert [each["status"] for each in answer] == ["CANCELED", "CANCELED"]
    assert spot.call("GET /api/v3/openOrders") == []
    assert refusal(spot, "DELETE /api/v3/openOrders", symbol="BTCUSDT")[0] == -2011


def test_an_order_that_is_only_tried_changes_nothing(spot: Stand) -> None:
    asked = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}

    assert spot.call("POST /api/v3/order/test", **asked, quantity="0.001") == {}
    assert refusal(spot, "POST /api/v3/order/test", **asked, quantity="1")[0] == -2010
    assert balance(spot, "USDT") == 10_000


def replaced(**changes: Any) -> dict[str, Any]:
    """Return a request that cancels the first order and places another."""
    usual: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.001",
        "price": "79500",
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrderId": 1,
    }
    return usual | changes


def test_an_order_is_replaced_by_another(spot: Stand) -> None:
    spot.spot(price="79000")

    answer = spot.call("POST /api/v3/order/cancelReplace", **replaced())

    assert (answer["cancelResult"], answer["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert answer["cancelResponse"]["status"] == "CANCELED"
    assert answer["newOrderResponse"]["orderId"] == 2
    assert [row["price"] for row in spot.call("GET /api/v3/openOrders")] == ["79500.00000000"]


@pytest.mark.parametrize(
    ("changes", "status", "code", "results"),
    [
        ({"quantity": "1"}, 409, -2021, ("SUCCESS", "FAILURE")),
        ({"cancelOrderId": 9}, 400, -2022, ("FAILURE", "NOT_ATTEMPTED")),
        (
            {"cancelOrderId": 9, "cancelReplaceMode": "ALLOW_FAILURE"},
            409,
            -2021,
            ("FAILURE", "SUCCESS"),
        ),
        (
            {"cancelOrderId": 9, "cancelReplaceMode": "ALLOW_FAILURE", "quantity": "1"},
            400,
            -2022,
            ("FAILURE", "FAILURE"),
        ),
    ],
)
def test_a_replacement_that_is_half_done_says_which_half(
    spot: Stand, changes: dict[str, Any], status: int, code: int, results: tuple[str, str]
) -> None:
    spot.spot(price="79000")

    with pytest.raises(PartlyRefused) as caught:
        spot.call("POST /api/v3/order/cancelReplace", **replaced(**changes))

    error = caught.value
    assert (error.status, error.code) == (status, code)
    assert (error.data["cancelResult"], error.data["newOrderResult"]) == results
    refused = [error.data["cancelResponse"], error.data["newOrderResponse"]]
    words = [each["code"] for each in refused if each and "code" in each]
    expected = {"cancelResponse": -2011, "newOrderResponse": -2010}
    assert words == [
        wanted
        for (_, wanted), result in zip(expected.items(), results, strict=True)
        if result == "FAILURE"
    ]


def test_all_orders_and_trades_are_listed(spot: Stand) -> None:
    spot.spot(price="79000")
    spot.spot(**MARKET)
    spot.spot(**MARKET, side="SELL")
    asked = {"symbol": "BTCUSDT"}

    rows = spot.call("GET /api/v3/allOrders", **asked)
    assert [row["status"] for row in rows] == ["NEW", "FILLED", "FILLED"]
    assert spot.call("GET /api/v3/allOrders", **asked, orderId=2) == rows[1:]
    assert spot.call("GET /api/v3/allOrders", **asked, limit=1) == rows[2:]
    bought, sold = spot.call("GET /api/v3/myTrades", **asked)
    # Sold at the bid, with a fee of 0.1 % of 80.
    assert sold == {
        "symbol": "BTCUSDT",
        "id": 2,
        "orderId": 3,
        "orderListId": -1,
        "price": "80000.00000000",
        "qty": "0.00100000",
        "quoteQty": "80.00000000",
        "commission": "0.08000000",
        "commissionAsset": "USDT",
        "time": spot.ms(),
        "isBuyer": False,
        "isMaker": False,
        "isBestMatch": True,
    }
    assert (bought["commissionAsset"], bought["isBuyer"]) == ("BTC", True)
    assert spot.call("GET /api/v3/myTrades", **asked, orderId=2) == [bought]
    assert spot.call("GET /api/v3/myTrades", **asked, fromId=2) == [sold]
    both = {"fromId": 1, "startTime": spot.ms()}
    assert refusal(spot, "GET /api/v3/myTrades", **asked, **both)[0] == -1128
    assert refusal(spot, "GET /api/v3/myTrades")[0] == -1102
    day = {"startTime": spot.ms(days=-2), "endTime": spot.ms()}
    assert refusal(spot, "GET /api/v3/myTrades", **asked, **day)[0] == -1127


def test_lists_of_a_time_begin_with_its_oldest(spot: Stand) -> None:
    for _ in range(4):
        spot.spot(**MARKET)
        spot.later(minutes=10)
    asked = {"symbol": "BTCUSDT", "startTime": spot.ms(minutes=-30), "limit": 2}

    # Orders at 40, 30, 20 and 10 minutes ago: the first two since 30 minutes ago.
    orders = spot.call("GET /api/v3/allOrders", **asked)
    assert [row["orderId"] for row in orders] == [2, 3]
    trades = spot.call("GET /api/v3/myTrades", **asked)
    assert [row["orderId"] for row in trades] == [2, 3]
    ended = asked | {"endTime": spot.ms(minutes=-20) - 1, "limit": 9}
    assert [row["orderId"] for row in spot.call("GET /api/v3/allOrders", **ended)] == [2]
    assert [row["orderId"] for row in spot.call("GET /api/v3/myTrades", **ended)] == [2]
    newest = spot.call("GET /api/v3/myTrades", symbol="BTCUSDT", limit=1)
    assert [row["orderId"] for row in newest] == [4]
    # A start alone, or an end alone, may be of any time.
    assert len(spot.call("GET /api/v3/allOrders", symbol="BTCUSDT", startTime=1)) == 4
    assert len(spot.call("GET /api/v3/allOrders", symbol="BTCUSDT", endTime=spot.ms())) == 4
    day = asked | {"endTime": spot.ms(days=2)}
    assert refusal(spot, "GET /api/v3/allOrders", **day)[0] == -1127
    assert refusal(spot, "GET /api/v3/allOrders", **(asked | {"limit": 0}))[0] == -1130

"""Every code by which an order on a perpetual is refused, with the exchange's words."""

from decimal import Decimal

import pytest

from rebalancer.simulators.faults import Fault, FaultKind
from tests.unit.binance_server.trading.stand import MARKET, Stand, make_stand, order_refusal

# BTCUSDT: bid 80,000.0, ask 80,000.1, mark 80,000; tick 0.10, step 0.001, 1000 at most (120 at
# market), notional 50 at least, prices within 5 % of the mark; ten thousand USDT, leverage 20.
CASES = [
    ({"quantity": "0"}, -4003, "Quantity less than or equal to zero."),
    ({"quantity": "0.0015"}, -1111, "Precision is over the maximum defined for this asset."),
    ({"quantity": "1000.001"}, -4005, "Quantity greater than max quantity."),
    (MARKET | {"quantity": "120.001"}, -4005, "Quantity greater than max quantity."),
    ({"price": "80000.05"}, -4014, "Price not increased by tick size."),
    ({"price": "80000.005"}, -1111, "Precision is over the maximum defined for this asset."),
    ({"price": "0"}, -4013, "Price less than min price."),
    ({"price": "1000000.1"}, -4002, "Price greater than max price."),
    ({"price": "84000.1"}, -4016, "Limit price can't be higher than 84000.00."),
    ({"side": "SELL", "price": "75999.9"}, -4024, "Limit price can't be lower than 76000.00."),
    (
        {"quantity": "0.001", "price": "49999"},
        -4164,
        "Order's notional must be no smaller than 50 (unless you choose reduce only).",
    ),
    ({"reduceOnly": "true"}, -2022, "ReduceOnly Order is rejected."),
    ({"quantity": "3"}, -2019, "Margin is insufficient."),
    ({"quantity": "900"}, -2027, "Exceeded the maximum allowable position at current leverage."),
    (
        {"timeInForce": "GTX", "price": "80000.1"},
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    (
        {"timeInForce": "FOK", "price": "79999"},
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. The "
        "order will not be recorded in the order history",
    ),
    ({"newClientOrderId": "a b"}, -4015, "Client order id is not valid."),
    (
        {"newClientOrderId": "x" * 37},
        -4015,
        "Client order id length should not be more than 36 chars",
    ),
    (
        {"positionSide": "LONG"},
        -4061,
        "Order's position side does not match user's setting.",
    ),
    ({"positionSide": "UP"}, -1130, "Data sent for parameter 'positionSide' is not valid."),
    ({"side": "HOLD"}, -1117, "Invalid side."),
    ({"type": "BEST"}, -1116, "Invalid orderType."),
    ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
    ({"newOrderRespType": "FULL"}, -1136, "Invalid newOrderRespType."),
    ({"symbol": "NOUSDT"}, -1121, "Invalid symbol."),
    (
        {"timeInForce": ""},
        -1102,
        "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
    ),
    (
        {"quantity": ""},
        -1102,
        "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.",
    ),
    (MARKET | {"price": "80000"}, -1106, "Parameter 'price' sent when not required."),
    (
        MARKET | {"timeInForce": "GTC"},
        -1106,
        "Parameter 'timeInForce' sent when not required.",
    ),
    (
        {"type": "STOP_MARKET"},
        -4120,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
        "instead.",
    ),
    (
        MARKET | {"priceMatch": "QUEUE"},
        -5038,
        "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT",
    ),
]


@pytest.mark.parametrize(("asked", "code", "words"), CASES)
def test_an_order_is_refused_in_the_exchanges_words(
    stand: Stand, asked: dict[str, str], code: int, words: str
) -> None:
    # -2027: 900 * 80,000 = 72 million, above the 40 million of BTC's bracket at leverage 20.
    assert order_refusal(stand, **asked) == (code, words)
    assert stand.call("GET /fapi/v1/allOrders", symbol="BTCUSDT") == []
    assert stand.held() == 0


@pytest.mark.parametrize("kind", ["STOP", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "STOP_MARKET"])
def test_every_conditional_type_is_sent_to_the_algo_service(stand: Stand, kind: str) -> None:
    assert order_refusal(stand, type=kind)[0] == -4120
    assert order_refusal(stand, type="TRAILING_STOP_MARKET")[0] == -4120


@pytest.mark.parametrize("number", ["1e-05", "1E3", "0,5", "abc", "--1", ".5"])
def test_a_number_in_any_but_plain_digits_is_refused(stand: Stand, number: str) -> None:
    code, words = order_refusal(stand, quantity=number)

    assert code == -1100
    assert words.startswith("Illegal characters found in parameter 'quantity'; legal range is")


def test_a_quantity_between_two_steps_is_refused_by_step_not_by_precision(stand: Stand) -> None:
    stand.symbol("BTCUSDT").step = Decimal("0.005")

    assert order_refusal(stand, quantity="0.012") == (-4023, "Qty not increased by step size.")


def test_less_than_the_least_quantity_is_refused(stand: Stand) -> None:
    stand.symbol("BTCUSDT").min_qty = Decimal("0.002")

    assert order_refusal(stand, quantity="0.001")[0] == -4004
    assert stand.order(quantity="0.002")["origQty"] == "0.002"


def test_an_order_at_market_is_refused_when_the_touch_is_out_of_band(stand: Stand) -> None:
    stand.symbol("BTCUSDT").multiplier_up = Decimal(1)

    code, words = order_refusal(stand, **MARKET)

    assert code == -4131
    assert words == "The counterparty's best price does not meet the PERCENT_PRICE filter limit."


def test_a_symbol_that_leaves_takes_only_what_reduces(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.symbol("BTCUSDT").status = "PRE_SETTLE"

    assert order_refusal(stand, **MARKET) == (
        -4140,
        "Invalid symbol status for opening position.",
    )
    closed = stand.order(**MARKET, side="SELL", reduceOnly="true")
    assert closed["status"] == "FILLED"
    stand.symbol("BTCUSDT").status = "SETTLING"
    assert order_refusal(stand, **MARKET, reduceOnly="true") == (-4141, "Symbol is closed.")


def test_the_limit_of_open_orders_is_held(stand: Stand) -> None:
    stand.symbol("BTCUSDT").max_orders = 2
    for number in range(2):
        stand.order(price="79000", newClientOrderId=f"o{number}", quantity="0.001")

    assert order_refusal(stand, price="79000") == (-2025, "Reach max open order limit.")


def test_a_good_till_date_needs_ten_minutes(stand: Stand) -> None:
    asked = {"timeInForce": "GTD", "price": "79000"}

    assert order_refusal(stand, **asked)[0] == -1102
    soon = order_refusal(stand, **asked, goodTillDate=stand.ms(seconds=600))
    assert soon[0] == -5040
    late = stand.order(**asked, goodTillDate=stand.ms(seconds=601.5))
    # Milliseconds are cut to the second.
    assert late["goodTillDate"] == stand.ms(seconds=601)


def test_hedge_mode_wants_a_position_side_and_no_reduce_only(stand: Stand) -> None:
    stand.server.spec.hedge = True

    assert order_refusal(stand)[0] == -4061
    assert order_refusal(stand, positionSide="LONG", reduceOnly="true") == (
        -1106,
        "Parameter 'reduceonly' sent when not required.",
    )
    assert stand.order(positionSide="LONG")["positionSide"] == "LONG"


def test_an_order_that_only_reduces_needs_no_least_notional(stand: Stand) -> None:
    stand.price("BTCUSDT", "40000.0")
    stand.order(**MARKET, quantity="0.002")

    # 0.001 * 40,000.1 is 40, below 50.
    assert order_refusal(stand, **MARKET, side="SELL", quantity="0.001")[0] == -4164
    closed = stand.order(**MARKET, side="SELL", quantity="0.001", reduceOnly="true")
    assert closed["status"] == "FILLED"


def test_open_orders_that_reduce_take_the_position_away_from_others(stand: Stand) -> None:
    stand.order(**MARKET)
    reduces = {"side": "SELL", "reduceOnly": "true", "price": "81000"}
    stand.order(**reduces, quantity="0.006")

    words = "ReduceOnly Order Failed. Please check your existing position and open orders"
    assert order_refusal(stand, **reduces, quantity="0.005") == (-4118, words)
    assert stand.order(**reduces, quantity="0.004")["status"] == "NEW"
    assert order_refusal(stand, **reduces, quantity="0.001") == (-4118, words)


def test_only_orders_that_must_reduce_take_the_position_away(stand: Stand) -> None:
    stand.order(**MARKET)
    stand.order(side="SELL", price="81000")
    stand.order(price="79000")

    assert stand.order(side="SELL", reduceOnly="true", price="82000")["status"] == "NEW"


def test_an_order_that_reduces_never_turns_the_position(stand: Stand) -> None:
    stand.order(**MARKET)

    stand.order(**MARKET, side="SELL", quantity="0.025", reduceOnly="true")

    assert stand.held() == 0


def test_engine_faults_are_told_as_the_exchange_would() -> None:
    stand = make_stand(faults=[Fault(FaultKind.REJECT, message="no")])
    assert order_refusal(stand) == (-2010, "no")
    lost = make_stand(faults=[Fault(FaultKind.LOST_ORDER)])
    assert order_refusal(lost)[0] == -1007
    assert lost.call("GET /fapi/v1/openOrders") == []
    silent = make_stand(faults=[Fault(FaultKind.LOST_ACKNOWLEDGEMENT)])
    assert order_refusal(silent, price="79000")[0] == -1007
    assert len(silent.call("GET /fapi/v1/openOrders")) == 1

"""The keys and JSON types of every answer: the documented ones, held against the record."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.binance_server.trading.stand import MARKET, Stand, make_stand

RECORDED = json.loads(
    (Path(__file__).resolve().parents[3] / "answers" / "binance_shapes.json").read_text("utf-8")
)["routes"]

SINCE = {
    "orderListId", "origQuoteOrderQty", "workingTime", "selfTradePreventionMode", "fills",
}  # fmt: skip
"""Keys of spot orders that came after the record (2018): order lists and later."""

USDM_NEW = {
    "clientOrderId", "cumQty", "cumQuote", "executedQty", "orderId", "avgPrice", "origQty",
    "price", "reduceOnly", "side", "positionSide", "status", "stopPrice", "closePosition",
    "symbol", "timeInForce", "type", "origType", "updateTime", "workingType", "priceProtect",
    "priceMatch", "selfTradePreventionMode", "goodTillDate",
}  # fmt: skip
USDM_ROW = USDM_NEW - {"cumQty"} | {"time"}
ALGO_NEW = {
    "algoId", "clientAlgoId", "algoType", "orderType", "symbol", "side", "positionSide",
    "timeInForce", "quantity", "algoStatus", "triggerPrice", "price", "icebergQuantity",
    "selfTradePreventionMode", "workingType", "priceMatch", "closePosition", "priceProtect",
    "reduceOnly", "activatePrice", "callbackRate", "createTime", "updateTime", "triggerTime",
    "goodTillDate",
}  # fmt: skip
ALGO_GET = ALGO_NEW - {"activatePrice", "callbackRate"} | {
    "actualOrderId", "actualPrice", "actualType", "actualQty", "tpOrderType",
}  # fmt: skip
ALGO_LISTED = ALGO_GET - {"actualType", "actualQty"} | {
    "tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice",
}  # fmt: skip
# The lists above are the models of the exchange's own Python SDK (18.0.1), and avgPrice,
# cumQuote of the answers before 2026-07-15.


def types(row: dict[str, Any]) -> dict[str, str]:
    """Return the JSON type of each key."""
    return {name: type(value).__name__ for name, value in row.items()}


@pytest.mark.parametrize(
    "route",
    ["DELETE /api/v3/order", "GET /api/v3/order", "GET /api/v3/openOrders",
     "GET /api/v3/allOrders"],
)  # fmt: skip
def test_spot_orders_have_the_keys_and_types_of_the_record(route: str) -> None:
    spot = make_stand(product="spot")
    spot.spot(price="79000")
    ours = spot.call(route, symbol="BTCUSDT", orderId=1)
    ours = ours[0] if isinstance(ours, list) else ours

    for answer in RECORDED[route]:
        data = answer["data"]
        real = types(data[0] if isinstance(data, list) else data)
        assert {name: kind for name, kind in types(ours).items() if name not in SINCE} == real


def test_orders_on_perpetuals_have_the_documented_keys(stand: Stand) -> None:
    btc = {"symbol": "BTCUSDT"}
    assert set(stand.order(price="79000")) == USDM_NEW
    assert set(stand.order(**MARKET, newOrderRespType="ACK")) == USDM_NEW
    tried = stand.call(
        "POST /fapi/v1/order/test", **btc, side="BUY", type="MARKET", quantity="0.01"
    )
    assert set(tried) == USDM_NEW
    assert set(stand.call("GET /fapi/v1/order", **btc, orderId=1)) == USDM_ROW
    assert set(stand.call("GET /fapi/v1/openOrder", **btc, orderId=1)) == USDM_ROW
    for route in ("GET /fapi/v1/openOrders", "GET /fapi/v1/allOrders"):
        assert set(stand.call(route, **btc)[0]) == USDM_ROW
    amended = stand.call(
        "PUT /fapi/v1/order", **btc, orderId=1, side="BUY", quantity="0.01", price="78000"
    )
    assert set(amended) == USDM_NEW
    assert set(stand.call("DELETE /fapi/v1/order", **btc, orderId=1)) == USDM_NEW


def test_conditional_orders_have_the_documented_keys(stand: Stand) -> None:
    assert set(stand.stop()) == ALGO_NEW
    assert set(stand.call("GET /fapi/v1/algoOrder", clientAlgoId="stop1")) == ALGO_GET
    for route in ("GET /fapi/v1/openAlgoOrders", "GET /fapi/v1/allAlgoOrders"):
        assert set(stand.call(route, symbol="BTCUSDT")[0]) == ALGO_LISTED


def test_small_numbers_are_written_out(stand: Stand) -> None:
    stand.price("BTCUSDT", "0.1")
    stand.symbol("BTCUSDT").market_max_qty = Decimal(1000)
    stand.symbol("BTCUSDT").multiplier_up = Decimal(3)
    row = stand.order(price="0.1", quantity="600", type="LIMIT")
    stand.order(**MARKET, quantity="600")
    trade = stand.call("GET /fapi/v1/userTrades", symbol="BTCUSDT")[0]

    assert (row["price"], row["origQty"], row["cumQuote"]) == ("0.10", "600.000", "0.00000")
    # 0.05 % of 600 * 0.2.
    assert (trade["commission"], trade["quoteQty"]) == ("0.06000000", "120")

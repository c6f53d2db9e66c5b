"""What the gateway itself refuses: an error at once, and no trace of the order afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from rebalancer.simulators.ib_gateway.order_rules import OrderOptions
from tests.unit.ib_gateway.trading.scene import AAPL, connect, names, open_scene, price, wait

_URGENT = ({"tag": "adaptivePriority", "value": "Urgent"},)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"lmtPrice": "60.005"}, 110, "minimum price variation"),
        ({"lmtPrice": "-1"}, 321, "positive price"),
        ({"lmtPrice": None}, 321, "positive price"),
        ({"totalQuantity": 0}, 434, "cannot be zero"),
        ({"totalQuantity": "1.5"}, 10243, "Fractional-sized order cannot be placed via API"),
        ({"totalQuantity": "-3"}, 321, "must be positive"),
        ({"symbol": "NOPE"}, 200, "No security definition has been found"),
        ({"orderType": "FEELINGS"}, 321, "Invalid order type was entered"),
        ({"orderType": "STP LMT"}, 387, "Unsupported order type"),
        ({"action": "SSHORT"}, 321, "Invalid order action"),
        ({"tif": "FOK"}, 201, "The time-in-force FOK is invalid"),
        ({"tif": "GTD", "goodTillDate": "tomorrow"}, 391, "valid expiration time"),
        ({"tif": "GTD", "goodTillDate": "20200302 09:00:00 US/Eastern"}, 201, "already expired"),
        ({"account": "DU7654321"}, 321, "Invalid account code 'DU7654321'"),
        ({"cashQty": 100}, 10244, "Cash Quantity"),
        ({"conditions": ({"type": 1},)}, 10268, "'Conditions'"),
        ({"allOrNone": True}, 10268, "'AllOrNone'"),
        ({"secType": "BAG"}, 201, "Combination orders"),
        ({"algoStrategy": "Twap"}, 439, "Algorithm definition not found"),
        ({"algoStrategy": "Adaptive"}, 442, "not allowed for this order"),
        ({"algoStrategy": "Adaptive", "algoParams": _URGENT, "tif": "GTC"}, 442, "not allowed"),
        (
            {"algoStrategy": "Adaptive", "algoParams": ({"tag": "speed", "value": "1"},)},
            443,
            "Unknown algo attribute:speed",
        ),
        ({"parentId": 44}, 135, "Can't find order with id =44"),
        ({"orderId": 0}, 10149, "Invalid order id: 0"),
    ],
)
def test_a_bad_order_is_refused_at_once(changes: dict[str, Any], code: int, words: str) -> None:
    gateway = open_scene()
    ear = connect(gateway)
    number = changes.pop("orderId", 1)
    answer = ear.place(number, **{"lmtPrice": "60", **changes})
    assert names(answer) == [f"errMsg {code}"]
    assert answer[0][1]["id"] == number
    assert words in answer[0][1]["text"]
    wait(gateway, 60)
    assert len(ear.heard) == 1, "neither openOrder nor orderStatus follows"
    assert gateway.exchange.orders() == ()
    assert names(ear.ask("reqCompletedOrders", apiOnly=False)) == ["completedOrdersEnd"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (OrderOptions(not_permitted=(AAPL,)), 460),
        (OrderOptions(no_adaptive=(AAPL,)), 442),
    ],
)
def test_what_an_account_may_not_do_is_an_option(options: OrderOptions, code: int) -> None:
    ear = connect(open_scene(orders=options))
    ear.place(1, lmtPrice="60", algoStrategy="Adaptive", algoParams=_URGENT)
    assert ear.errors() == [(1, code)]
    ear.place(1, lmtPrice="60", symbol="KO")
    assert len(ear.errors()) == 1


def test_precautions_of_the_preset_refuse_large_orders() -> None:
    options = OrderOptions(size_limit=100, value_limit=5000)  # type: ignore[arg-type]
    ear = connect(open_scene(orders=options))
    ear.place(1, lmtPrice="10", totalQuantity=101)
    ear.place(1, lmtPrice="60", totalQuantity=84)  # 60 x 84 = 5040
    ear.place(1, lmtPrice="50", totalQuantity=100)
    assert ear.errors() == [(1, 383), (1, 451)]


def test_an_order_without_time_in_force_gets_day_and_notice_10349() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10", tif="")
    wait(gateway, 5)
    assert ear.words() == ["errMsg 10349", "openOrder Submitted", "orderStatus Submitted"]
    assert ear.heard[0][1]["text"] == "Order TIF was set to DAY based on order preset."
    assert ear.last("openOrder")["tif"] == "DAY"


def test_a_newer_gateway_refuses_an_order_without_time_in_force() -> None:
    ear = connect(open_scene(orders=OrderOptions(empty_tif="refuse")))
    ear.place(1, lmtPrice="10", tif="")
    assert ear.errors() == [(1, 10052)]


def test_adaptive_ignores_hours_outside_the_session_with_a_notice() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    adaptive = {"algoStrategy": "Adaptive", "algoParams": _URGENT, "outsideRth": True}
    ear.place(1, lmtPrice=str(price(gateway, AAPL)), **adaptive)
    wait(gateway, 5)
    assert ear.errors() == [(1, 2109)]
    assert ear.last("orderStatus")["status"] == "Filled"


def test_a_read_only_gateway_refuses_orders_and_their_lists() -> None:
    ear = connect(open_scene(read_only_api=True))
    ear.place(5, lmtPrice="10")
    ear.ask("cancelOrder", orderId=5)
    ear.ask("reqGlobalCancel")
    ear.ask("reqOpenOrders")
    ear.ask("reqAllOpenOrders")
    ear.ask("reqCompletedOrders", apiOnly=True)
    assert ear.errors() == [(5, 321), (5, 321), (-1, 321), (-1, 321), (-1, 321), (-1, 321)]
    assert "The API interface is currently in Read-Only mode." in ear.last("errMsg")["text"]
    found = ear.ask("reqExecutions", reqId=3, clientId=0, acctCode="", time="")
    assert names(found) == ["execDetailsEnd"]


def test_with_several_accounts_an_order_must_name_its_own() -> None:
    ear = connect(open_scene(other_accounts=("DU7654321",)))
    ear.place(1, lmtPrice="10")
    ear.place(1, lmtPrice="10", account="DU7654321")
    ear.place(1, lmtPrice="10", account="DU1234567")
    assert ear.errors() == [(1, 435), (1, 201)]


def test_no_more_than_twenty_orders_are_active_in_one_contract_and_direction() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    for number in range(1, 21):
        ear.place(number, lmtPrice="1", totalQuantity=1)
    ear.place(21, lmtPrice="1", totalQuantity=1)
    assert ear.errors() == [(21, 201)]
    ear.place(21, lmtPrice="1", totalQuantity=1, symbol="KO")
    assert len(ear.errors()) == 1

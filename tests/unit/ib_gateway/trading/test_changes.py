"""Changing, cancelling and keeping back orders; orders that hang together."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.model.orders import OrderStatus, TimeInForce
from tests.unit.ib_gateway.trading.scene import AAPL, connect, names, open_scene, price, wait


def test_the_same_id_again_changes_the_price() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    wait(gateway, 5)
    before = len(ear.heard)
    assert ear.place(1, lmtPrice="11") == []
    wait(gateway, 5)
    assert ear.words(before) == ["openOrder Submitted", "orderStatus Submitted"]
    assert ear.last("openOrder")["lmtPrice"] == "11"
    assert len(gateway.exchange.orders()) == 1


def test_size_type_and_time_in_force_can_be_changed_too() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10", tif="GTC")
    wait(gateway, 5)
    ear.place(1, lmtPrice="10", tif="", totalQuantity=25)
    wait(gateway, 5)
    (order,) = gateway.exchange.orders()
    assert order.quantity == 25
    assert ear.errors() == [(1, 10349)]
    assert order.time_in_force is TimeInForce.DAY, "a change without tif takes the preset's"
    assert order.expires_at is not None
    ear.place(1, orderType="MKT", totalQuantity=25)
    wait(gateway, 5)
    assert ear.last("orderStatus")["filled"] == "25"


def test_a_change_to_a_bad_price_leaves_the_order_as_it_was() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    wait(gateway, 5)
    before = len(ear.heard)
    ear.place(1, lmtPrice="10.001")
    wait(gateway, 5)
    assert ear.words(before) == ["errMsg 110"]
    assert ear.ask("reqOpenOrders")[0][1]["lmtPrice"] == "10"


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"action": "SELL"}, 105), ({"symbol": "KO"}, 105), ({"totalQuantity": 3}, 201)],
)
def test_what_cannot_be_changed_is_refused(changes: dict[str, object], code: int) -> None:
    gateway = open_scene(settings={"depth": Decimal(4)})
    ear = connect(gateway)
    high = str(price(gateway, AAPL) + 1)
    ear.place(1, lmtPrice=high, totalQuantity=100)
    wait(gateway, 120)
    assert gateway.exchange.orders()[0].filled > 3
    before = len(ear.heard)
    ear.place(1, **{"lmtPrice": high, "totalQuantity": 100, **changes})
    assert ear.words(before) == [f"errMsg {code}"]


def test_the_same_order_twice_is_one_order() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    ear.place(1, lmtPrice="10")
    wait(gateway, 5)
    assert len(gateway.exchange.orders()) == 1
    assert ear.words() == ["openOrder Submitted", "orderStatus Submitted"]


def test_an_algorithm_cannot_be_changed() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    wait(gateway, 5)
    params = ({"tag": "adaptivePriority", "value": "Normal"},)
    ear.place(1, lmtPrice="10", algoStrategy="Adaptive", algoParams=params)
    assert ear.errors() == [(1, 440)]


def test_cancels_that_come_to_nothing_say_why() -> None:
    gateway = open_scene()
    ear, other = connect(gateway), connect(gateway, 8)
    ear.place(1, orderType="MKT")
    ear.place(2, lmtPrice="10")
    wait(gateway, 5)
    ear.ask("cancelOrder", orderId=1)
    assert ear.last("errMsg")["text"] == (
        "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled."
    )
    other.ask("cancelOrder", orderId=2)
    assert other.last("errMsg") == {
        "id": 2,
        "code": 10147,
        "text": "OrderId 2 that needs to be cancelled is not found.",
    }
    ear.ask("cancelOrder", orderId=2)
    ear.ask("cancelOrder", orderId=2)
    assert ear.last("errMsg")["code"] == 10148
    assert ear.last("errMsg")["text"].endswith("state: PendingCancel.")


def test_a_global_cancel_ends_everybodys_orders() -> None:
    gateway = open_scene()
    ear, other = connect(gateway), connect(gateway, 8)
    ear.place(1, lmtPrice="10")
    other.place(1, lmtPrice="10")
    wait(gateway, 5)
    ear.ask("reqGlobalCancel")
    wait(gateway, 5)
    assert ear.words()[-2:] == other.words()[-2:] == ["orderStatus Cancelled", "errMsg 202"]
    assert names(ear.ask("reqAllOpenOrders")) == ["openOrderEnd"]


def test_an_order_that_is_not_transmitted_waits_at_the_gateway() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    assert ear.place(1, lmtPrice="10", transmit=False) == []
    wait(gateway, 60)
    assert ear.heard == []
    assert gateway.exchange.orders() == ()
    ear.place(1, lmtPrice="11")
    wait(gateway, 5)
    assert ear.last("openOrder")["lmtPrice"] == "11"
    ear.place(2, lmtPrice="10", transmit=False)
    ear.ask("cancelOrder", orderId=2)
    assert ear.errors() == [(2, 202)]


def test_a_bracket_goes_out_together_and_its_children_wait_for_the_parent() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    low = price(gateway, AAPL) - 5
    ear.place(1, lmtPrice=str(low), transmit=False)
    ear.place(2, lmtPrice="200", action="SELL", parentId=1, ocaGroup="b", transmit=False)
    ear.place(3, lmtPrice="300", action="SELL", parentId=1, ocaGroup="b")
    wait(gateway, 5)
    parent, first, second = gateway.exchange.orders()
    assert [o.status for o in (parent, first, second)] == [
        OrderStatus.WORKING,
        OrderStatus.SENT,
        OrderStatus.SENT,
    ]
    said = ear.ask("reqOpenOrders")
    assert names(said)[2:6:2] == ["openOrder PreSubmitted"] * 2
    assert said[2][1]["parentId"] == "1"
    ear.place(1, orderType="MKT")
    wait(gateway, 10)
    parent, first, second = gateway.exchange.orders()
    assert parent.status is OrderStatus.FILLED
    assert first.status is second.status is OrderStatus.WORKING


def test_when_a_parent_dies_its_children_die() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10", transmit=False)
    ear.place(2, lmtPrice="200", action="SELL", parentId=1)
    wait(gateway, 5)
    ear.ask("cancelOrder", orderId=1)
    wait(gateway, 10)
    assert {o.status for o in gateway.exchange.orders()} == {OrderStatus.CANCELLED}


def test_one_fill_of_a_group_cancels_the_others() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10", ocaGroup="one")
    ear.place(2, lmtPrice="10", ocaGroup="other")
    wait(gateway, 5)
    ear.place(3, orderType="MKT", symbol="KO", ocaGroup="one")
    wait(gateway, 10)
    statuses = [o.status for o in gateway.exchange.orders()]
    assert statuses == [OrderStatus.CANCELLED, OrderStatus.WORKING, OrderStatus.FILLED]

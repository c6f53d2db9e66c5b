"""Order ids of clients, ids of the account, and what survives what."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.model.orders import execution_revision
from rebalancer.simulators.ib_gateway.orders_state import next_valid_id
from rebalancer.simulators.ib_gateway.spec import open_gateway
from rebalancer.store.atomic import Files
from tests.unit.ib_gateway.trading.scene import connect, names, open_scene, spec, wait


def test_ids_begin_at_one_for_each_client_and_rise() -> None:
    gateway = open_scene()
    ear = connect(gateway, 7)
    assert (next_valid_id(gateway, 7), next_valid_id(gateway, 8)) == (1, 1)
    ear.place(4, lmtPrice="10")
    assert (next_valid_id(gateway, 7), next_valid_id(gateway, 8)) == (5, 1)


@pytest.mark.parametrize(("ended", "code"), [("filled", 104), ("cancelled", 103), ("never", 103)])
def test_an_id_that_was_used_is_refused(ended: str, code: int) -> None:
    gateway = open_scene()
    ear = connect(gateway)
    if ended == "never":
        ear.place(9, lmtPrice="10", symbol="KO")
    else:
        ear.place(5, orderType="MKT" if ended == "filled" else "LMT", lmtPrice="10")
    wait(gateway, 5)
    if ended == "cancelled":
        ear.ask("cancelOrder", orderId=5)
        wait(gateway, 5)
    orders = len(gateway.exchange.orders())
    answer = ear.place(5, lmtPrice="10")
    assert [values["code"] for _, values in answer] == [code]
    assert len(gateway.exchange.orders()) == orders


def test_a_refused_order_does_not_use_its_id() -> None:
    ear = connect(open_scene())
    ear.place(1, lmtPrice="10.001")
    assert ear.place(1, lmtPrice="10") == []


def test_seeing_all_orders_raises_the_next_id_above_them() -> None:
    gateway = open_scene()
    connect(gateway, 3).place(40, lmtPrice="10")
    other = connect(gateway, 8)
    other.ask("reqOpenOrders")
    assert next_valid_id(gateway, 8) == 1
    other.ask("reqAllOpenOrders")
    assert next_valid_id(gateway, 8) == 41


def test_everything_about_orders_survives_the_gateways_process(tmp_path: Path) -> None:
    asked = spec(folder=str(tmp_path / "ib"))
    first = open_gateway(asked, Files())
    first.exchange.play_to(open_scene().exchange.now)
    ear = connect(first)
    adaptive = ({"tag": "adaptivePriority", "value": "Patient"},)
    ear.place(3, lmtPrice="10", orderRef="demo.1", algoStrategy="Adaptive", algoParams=adaptive)
    ear.place(4, orderType="MKT", orderRef="demo.2")
    wait(first, 10)
    before = ear.ask("reqOpenOrders"), ear.ask("reqCompletedOrders", apiOnly=False)
    second = open_gateway(asked, Files())
    again = connect(second)
    assert (again.ask("reqOpenOrders"), again.ask("reqCompletedOrders", apiOnly=False)) == before
    assert names(before[0]) == ["openOrder Submitted", "orderStatus Submitted", "openOrderEnd"]
    assert next_valid_id(second, 7) == 5
    assert names(again.ask("cancelOrder", orderId=3)) == []
    wait(second, 10)
    assert again.last("orderStatus")["status"] == "Cancelled"


def test_after_a_roll_back_ids_begin_again_and_ended_orders_are_strangers() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, orderType="MKT")
    ear.place(2, lmtPrice="10", symbol="KO")
    wait(gateway, 5)
    gateway.restart(roll_back_ids=True)
    ear = connect(gateway)
    assert next_valid_id(gateway, 7) == 1
    assert ear.place(1, lmtPrice="11") == [], "the id of the filled order is free"
    answer = ear.place(2, lmtPrice="11")
    assert names(answer) == ["errMsg 105"], "the id of the live order is not: it is another stock"
    assert names(ear.ask("cancelOrder", orderId=7)) == ["errMsg 10147"]
    assert len([o for o in gateway.exchange.orders() if o.live]) == 2


def test_an_order_has_one_perm_id_in_the_whole_account() -> None:
    gateway = open_scene()
    ear, other = connect(gateway), connect(gateway, 8)
    ear.place(1, lmtPrice="10")
    other.place(1, lmtPrice="10")
    wait(gateway, 5)
    mine, theirs = ear.last("openOrder")["permId"], other.last("openOrder")["permId"]
    assert mine != theirs
    listed = [values["permId"] for name, values in other.ask("reqAllOpenOrders") if values]
    assert listed == [mine, mine, theirs, theirs]


def test_executions_are_called_as_the_books_call_them() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, orderType="MKT")
    wait(gateway, 5)
    told = ear.last("execDetails")["execId"]
    (execution,) = gateway.exchange.account.executions
    assert told == execution.id
    family, revision = execution_revision(told)
    assert (family.count("."), revision) == (2, 1)
    # 2020-03-02 15:05 UTC is 1583161500 seconds after 1970: 5e5d209c in hexadecimal.
    assert told.split(".")[1] == "5e5d209c"

"""Whose orders and executions are told to whom, and which of them are listed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rebalancer.errors import DataError
from rebalancer.simulators.ib_gateway.order_rules import OrderOptions
from rebalancer.simulators.ib_gateway.orders_by_hand import (
    bust,
    correct,
    liquidate,
    order_by_hand,
)
from rebalancer.simulators.ib_gateway.trading import restarted
from tests.unit.ib_gateway.trading.scene import AAPL, KO, connect, names, open_scene, wait

NEXT_DAY = datetime(2020, 3, 3, 15, 5, tzinfo=UTC)
ALL = {"reqId": 9, "clientId": 0, "acctCode": "", "time": ""}


def test_a_client_hears_of_its_own_orders_only() -> None:
    gateway = open_scene()
    ear, other, zero = connect(gateway), connect(gateway, 8), connect(gateway, 0)
    ear.place(1, orderType="MKT")
    wait(gateway, 5)
    assert "execDetails" in ear.words()
    assert other.heard == zero.heard == []


def test_the_master_client_hears_of_all_orders() -> None:
    gateway = open_scene(orders=OrderOptions(master_client=8))
    ear, master = connect(gateway), connect(gateway, 8)
    ear.place(1, orderType="MKT")
    wait(gateway, 5)
    assert master.words() == ear.words()


def test_lists_of_open_orders() -> None:
    gateway = open_scene()
    ear, other, zero = connect(gateway), connect(gateway, 8), connect(gateway, 0)
    ear.place(1, lmtPrice="10", orderRef="mine")
    order_by_hand(gateway, KO, Decimal(5), Decimal(10))
    wait(gateway, 5)
    assert names(other.ask("reqOpenOrders")) == ["openOrderEnd"]
    assert len(other.ask("reqAllOpenOrders")) == 5
    manual = other.ask("reqAllOpenOrders")[2][1]
    assert (manual["orderId"], manual["clientId"], manual["orderRef"]) == (0, 0, "")
    assert manual["permId"] != 0
    bound = zero.ask("reqOpenOrders")[0][1]
    assert bound["orderId"] < 0
    zero.ask("cancelOrder", orderId=bound["orderId"])
    wait(gateway, 5)
    assert zero.words()[-2:] == ["orderStatus Cancelled", "errMsg 202"]
    assert names(other.ask("reqAutoOpenOrders", autoBind=True)) == ["errMsg 321"]
    assert zero.ask("reqAutoOpenOrders", autoBind=True) == []


def test_executions_of_today_come_before_their_commissions_and_the_end() -> None:
    gateway = open_scene()
    ear, other = connect(gateway), connect(gateway, 8)
    ear.place(1, orderType="MKT")
    ear.place(2, orderType="MKT", symbol="KO", action="SELL")
    wait(gateway, 5)
    found = other.ask("reqExecutions", **ALL)
    assert names(found) == ["execDetails"] * 2 + ["commissionReport"] * 2 + ["execDetailsEnd"]
    assert {values["reqId"] for name, values in found if name == "execDetails"} == {9}
    assert found[0][1]["clientId"] == 7
    gateway.exchange.play_to(NEXT_DAY)
    assert names(other.ask("reqExecutions", **ALL)) == ["execDetailsEnd"]
    assert names(other.ask("reqCompletedOrders", apiOnly=False)) == ["completedOrdersEnd"]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"clientId": 7}, 2),
        ({"clientId": 8}, 0),
        ({"symbol": "KO"}, 1),
        ({"side": "BUY"}, 1),
        ({"side": "SLD"}, 1),
        ({"secType": "STK"}, 2),
        ({"secType": "CASH"}, 0),
        ({"acctCode": "DU1234567"}, 2),
        ({"acctCode": "DU7"}, 0),
        ({"time": "20200302-15:00:00"}, 2),
        ({"time": "20200302 10:30:00 US/Eastern"}, 0),
    ],
)
def test_executions_are_filtered(asked: dict[str, object], count: int) -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, orderType="MKT")
    ear.place(2, orderType="MKT", symbol="KO", action="SELL")
    wait(gateway, 5)
    found = ear.ask("reqExecutions", **{**ALL, **asked})
    assert names(found).count("execDetails") == count


def test_completed_orders_have_neither_order_id_nor_client_id() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, orderType="MKT", orderRef="a")
    ear.place(2, lmtPrice="10", orderRef="b")
    order_by_hand(gateway, KO, Decimal(5))
    wait(gateway, 5)
    ear.ask("cancelOrder", orderId=2)
    wait(gateway, 5)
    filled, cancelled, manual, end = ear.ask("reqCompletedOrders", apiOnly=False)
    assert end[0] == "completedOrdersEnd"
    assert not {"orderId", "clientId"} & filled[1].keys()
    assert (filled[1]["status"], filled[1]["completedStatus"]) == ("Filled", "Filled Size: 10")
    assert (filled[1]["totalQuantity"], filled[1]["filledQuantity"]) == ("0", "10")
    assert filled[1]["completedTime"] == "20200302 10:05:00 US/Eastern"
    assert (cancelled[1]["status"], cancelled[1]["totalQuantity"]) == ("Cancelled", "10")
    assert cancelled[1]["completedStatus"] == "Cancelled by Trader"
    assert manual[1]["orderRef"] == ""
    assert len(ear.ask("reqCompletedOrders", apiOnly=True)) == 3


def test_times_have_a_zone_from_version_174_on() -> None:
    gateway = open_scene()
    new, old = connect(gateway, 7, version=174), connect(gateway, 7, version=173)
    new.place(1, orderType="MKT")
    wait(gateway, 5)
    assert new.last("execDetails")["time"] == "20200302 10:05:00 US/Eastern"
    assert old.last("execDetails")["time"] == "20200302  10:05:00"


def test_a_liquidation_is_seen_as_one() -> None:
    gateway = open_scene(settings={"positions": {KO: Decimal(100)}})
    ear = connect(gateway)
    liquidate(gateway, KO, Decimal(-100))
    wait(gateway, 5)
    assert ear.heard == [], "the owner's clients are not told"
    execution = ear.ask("reqExecutions", **ALL)[0][1]
    assert (execution["orderId"], execution["liquidation"], execution["clientId"]) == (-1, 1, 0)
    assert (execution["side"], execution["orderRef"]) == ("SLD", "")


def test_a_correction_has_the_next_revision_and_new_costs() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, orderType="MKT")
    wait(gateway, 5)
    told = ear.last("execDetails")
    better = Decimal(told["price"]) - Decimal("0.10")
    cash = gateway.exchange.account.cash["USD"]
    correct(gateway, told["execId"], price=better, commission=Decimal("0.50"))
    again = ear.last("execDetails")
    assert again["execId"] == told["execId"][:-2] + "02"
    assert (again["price"], again["shares"]) == (str(better), "10")
    assert ear.last("commissionReport") == {
        "execId": again["execId"],
        "commission": "0.5",
        "currency": "USD",
    }
    # Ten shares at ten cents less, and 1.00072 - 0.50 of commission back.
    assert gateway.exchange.account.cash["USD"] - cash == 1 + Decimal("0.50072")
    with pytest.raises(DataError, match="no execution"):
        correct(gateway, told["execId"])


def test_a_bust_takes_the_trade_back() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    cash = gateway.exchange.account.cash["USD"]
    ear.place(1, orderType="MKT")
    wait(gateway, 5)
    bust(gateway, ear.last("execDetails")["execId"])
    assert (ear.last("execDetails")["shares"], ear.last("execDetails")["side"]) == ("0", "BOT")
    assert gateway.exchange.account.cash["USD"] == cash
    assert gateway.exchange.account.holdings[AAPL].quantity == 0


def test_a_restart_keeps_the_clients_of_orders() -> None:
    gateway = open_scene()
    connect(gateway).place(1, lmtPrice="10")
    wait(gateway, 5)
    restarted(gateway, roll_back_ids=False)
    other, own = connect(gateway, 8), connect(gateway, 7)
    assert names(other.ask("cancelOrder", orderId=1)) == ["errMsg 10147"]
    assert names(own.ask("cancelOrder", orderId=1)) == []

"""What a client hears of its orders, in which order, as captured from real gateways."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.simulators.faults import Fault, FaultKind
from tests.unit.ib_gateway.trading.scene import (
    AAPL,
    connect,
    names,
    open_scene,
    price,
    wait,
)

NIGHT = datetime(2020, 3, 2, 23, 0, tzinfo=UTC)
EVENING = datetime(2020, 3, 2, 20, 59, tzinfo=UTC)


def test_a_market_order_is_told_as_captured_from_a_real_gateway() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    assert ear.place(1, orderType="MKT", orderRef="mine") == []
    wait(gateway, 10)
    assert ear.words() == [
        "openOrder PreSubmitted",
        "orderStatus PreSubmitted",
        "execDetails",
        "openOrder Filled",
        "orderStatus Filled",
        "openOrder Filled",
        "commissionReport",
    ]
    status, execution = ear.last("orderStatus"), ear.last("execDetails")
    assert (status["filled"], status["remaining"]) == ("10", "0")
    assert status["avgFillPrice"] == status["lastFillPrice"] == execution["price"]
    assert (execution["reqId"], execution["orderId"], execution["side"]) == (-1, 1, "BOT")
    assert execution["orderRef"] == "mine"
    assert execution["permId"] == status["permId"] == ear.last("openOrder")["permId"]
    # Interactive Brokers, fixed: one dollar at least, and 0.000072 a share on top.
    assert ear.last("commissionReport")["commission"] == "1.00072"
    assert ear.last("openOrder")["commission"] == "1.00072"
    assert ear.last("commissionReport")["execId"] == execution["execId"]


def test_a_limit_order_in_the_session_is_submitted_at_once() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    wait(gateway, 5)
    assert ear.words() == ["openOrder Submitted", "orderStatus Submitted"]
    assert ear.last("openOrder")["lmtPrice"] == "10"


def test_what_a_client_sent_is_said_again() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    adaptive = {
        "algoStrategy": "Adaptive",
        "algoParams": ({"tag": "adaptivePriority", "value": "Normal"},),
    }
    ear.place(5, lmtPrice="10.50", account="DU1234567", orderRef="demo.1", ocaGroup="g", **adaptive)
    wait(gateway, 5)
    said = ear.last("openOrder")
    assert said["orderId"] == 5
    assert said["clientId"] == 7
    assert (said["action"], said["totalQuantity"], said["orderType"]) == ("BUY", "10", "LMT")
    assert (said["lmtPrice"], said["tif"], said["orderRef"]) == ("10.5", "DAY", "demo.1")
    assert (said["algoStrategy"], said["algoParams"]) == ("Adaptive", adaptive["algoParams"])
    assert (said["account"], said["ocaGroup"]) == ("DU1234567", "g")


def test_a_partial_fill_stays_submitted_and_counts() -> None:
    gateway = open_scene(settings={"depth": Decimal(20)})
    ear = connect(gateway)
    ear.place(1, lmtPrice=str(price(gateway, AAPL) + 5), totalQuantity=300)
    wait(gateway, 2)
    status, execution = ear.last("orderStatus"), ear.last("execDetails")
    assert status["status"] == "Submitted"
    assert Decimal(status["filled"]) + Decimal(status["remaining"]) == 300
    assert execution["cumQty"] == execution["shares"] == status["filled"]
    first = Decimal(execution["cumQty"])
    wait(gateway, 60)
    second = ear.last("execDetails")
    assert Decimal(second["cumQty"]) == first + Decimal(second["shares"])


def test_a_sale_tells_the_profit_it_realised() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, orderType="MKT")
    wait(gateway, 5)
    assert "realizedPNL" not in ear.last("commissionReport")
    paid = Decimal(ear.last("execDetails")["price"])
    ear.place(2, orderType="MKT", action="SELL")
    wait(gateway, 5)
    got, cost = Decimal(ear.last("execDetails")["price"]), ear.last("commissionReport")
    assert Decimal(cost["realizedPNL"]) == 10 * (got - paid) - Decimal(cost["commission"])


def test_an_order_at_night_is_held_with_notice_399_until_the_opening() -> None:
    gateway = open_scene(NIGHT)
    ear = connect(gateway)
    ear.place(1, lmtPrice="90")
    wait(gateway, 5)
    assert ear.words() == ["openOrder PreSubmitted", "orderStatus PreSubmitted", "errMsg 399"]
    text = ear.last("errMsg")["text"]
    assert text.startswith("Order Message:\nBUY 10 AAPL ")
    assert text.endswith(
        "\nWarning: Your order will not be placed at the exchange until "
        "2020-03-03 09:30:00 US/Eastern."
    )


def test_an_order_for_outside_the_session_is_not_held() -> None:
    gateway = open_scene(NIGHT)
    ear = connect(gateway)
    ear.place(1, lmtPrice="90", outsideRth=True)
    wait(gateway, 5)
    assert ear.words() == ["openOrder Submitted", "orderStatus Submitted"]
    assert ear.last("openOrder")["outsideRth"] == "1"


def test_a_cancel_is_told_by_status_and_202() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    wait(gateway, 5)
    assert ear.ask("cancelOrder", orderId=1) == []
    assert names(ear.ask("reqOpenOrders"))[0] == "openOrder PendingCancel"
    before = len(ear.heard)
    wait(gateway, 5)
    assert ear.words(before) == ["orderStatus Cancelled", "errMsg 202"]
    assert ear.last("errMsg") == {"id": 1, "code": 202, "text": "Order Canceled - reason:"}


def test_a_day_order_ends_with_the_session_and_nobody_asked() -> None:
    gateway = open_scene(EVENING)
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    ear.place(2, lmtPrice="10", tif="GTC")
    wait(gateway, 5)
    before = len(ear.heard)
    wait(gateway, 120)
    assert ear.words(before) == ["orderStatus Cancelled"]
    assert ear.last("orderStatus")["orderId"] == 1
    (completed, end) = ear.ask("reqCompletedOrders", apiOnly=False)
    assert completed[1]["completedStatus"] == "Cancelled by System:\nExpired"
    assert end[0] == "completedOrdersEnd"


def test_what_is_left_of_an_immediate_order_is_cancelled_with_202() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice="10", tif="IOC")
    wait(gateway, 5)
    assert ear.words()[-2:] == ["orderStatus Cancelled", "errMsg 202"]


def test_a_venue_that_rejects_says_inactive_and_201() -> None:
    fault = Fault(FaultKind.REJECT, message="no such luck")
    gateway = open_scene(faults=(fault,))
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    wait(gateway, 5)
    assert ear.words() == ["openOrder Inactive", "orderStatus Inactive", "errMsg 201"]
    assert ear.last("errMsg")["text"] == "Order rejected - reason:no such luck"
    assert names(ear.ask("reqOpenOrders")) == ["openOrderEnd"]
    completed = ear.ask("reqCompletedOrders", apiOnly=False)[0][1]
    assert completed["status"] == "Cancelled"
    assert completed["completedStatus"] == "Rejected by System:\nno such luck"


def test_an_order_that_costs_more_than_there_is_is_rejected_for_margin() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ear.place(1, lmtPrice=str(price(gateway, AAPL)), totalQuantity=1_000_000)
    wait(gateway, 5)
    assert ear.words() == ["openOrder Inactive", "orderStatus Inactive", "errMsg 201"]
    assert "margin" in ear.last("errMsg")["text"]


def test_a_lost_order_leaves_no_trace() -> None:
    gateway = open_scene(faults=(Fault(FaultKind.LOST_ORDER),))
    ear = connect(gateway)
    assert ear.place(1, lmtPrice="10", tif="") == []
    wait(gateway, 60)
    assert ear.heard == []
    assert names(ear.ask("reqAllOpenOrders")) == ["openOrderEnd"]


def test_an_order_whose_news_are_lost_is_in_the_lists_all_the_same() -> None:
    gateway = open_scene(faults=(Fault(FaultKind.LOST_ACKNOWLEDGEMENT),))
    ear = connect(gateway)
    ear.place(1, orderType="MKT", orderRef="quiet")
    wait(gateway, 60)
    assert ear.heard == []
    found = ear.ask("reqExecutions", reqId=9, clientId=0, acctCode="", time="")
    assert names(found) == ["execDetails", "commissionReport", "execDetailsEnd"]
    assert found[0][1]["orderRef"] == "quiet"


def test_a_refused_cancel_leaves_the_order_submitted() -> None:
    faults = (Fault(FaultKind.REFUSED_CANCEL, message="too late to cancel"),)
    gateway = open_scene(faults=faults)
    ear = connect(gateway)
    ear.place(1, lmtPrice="10")
    wait(gateway, 5)
    ear.ask("cancelOrder", orderId=1)
    before = len(ear.heard)
    wait(gateway, 5)
    assert ear.words(before) == ["errMsg 161", "orderStatus Submitted"]
    assert ear.last("errMsg")["text"] == "too late to cancel"


def test_a_commission_that_never_comes_is_never_told() -> None:
    gateway = open_scene(faults=(Fault(FaultKind.MISSING_COMMISSION),))
    ear = connect(gateway)
    ear.place(1, orderType="MKT")
    wait(gateway, 600)
    assert "commissionReport" not in ear.words()
    found = ear.ask("reqExecutions", reqId=9, clientId=0, acctCode="", time="")
    assert names(found) == ["execDetails", "execDetailsEnd"]

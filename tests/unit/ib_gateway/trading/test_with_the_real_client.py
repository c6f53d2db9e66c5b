"""The library's own client against the gateway: what it makes of orders, fills and refusals."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from tests.unit.ib_gateway.clients import ACCOUNT, connected, library, local


def step(gateway: LocalGateway, ib: Any, seconds: float = 10) -> None:
    """Let all arrive that was sent, and simulated time pass; hear what was said meanwhile."""
    ib.reqCurrentTime()
    until = gateway.now() + timedelta(seconds=seconds)
    while gateway.now() < until:
        gateway.advance(until)
    ib.reqCurrentTime()


def apple(ib: Any) -> Any:
    """Return the qualified contract of Apple."""
    contract = library().Stock("AAPL", "SMART", "USD")
    ib.qualifyContracts(contract)
    assert contract.conId == 265598
    return contract


def limit(action: str, size: float, price: float, **more: Any) -> Any:
    """Return a limit order with every attribute said."""
    usual = {"tif": "DAY", "account": ACCOUNT, "outsideRth": False}
    return library().LimitOrder(action, size, price, **{**usual, **more})


def adaptive(price: float, **more: Any) -> Any:
    """Return an Adaptive limit order to buy ten."""
    params = [library().TagValue("adaptivePriority", "Normal")]
    return limit("BUY", 10, price, algoStrategy="Adaptive", algoParams=params, **more)


@pytest.mark.parametrize("version", [157, 162, 170, 176, 178])
def test_an_adaptive_order_is_filled_with_execution_and_commission(version: int) -> None:
    gateway = local(max_version=version)
    with connected(gateway) as ib:
        trade = ib.placeOrder(apple(ib), adaptive(300, orderRef="demo.1"))
        step(gateway, ib)
        (fill,) = trade.fills
        assert trade.orderStatus.status == "Filled"
        assert trade.orderStatus.filled == 10
        assert fill.execution.orderRef == "demo.1"
        assert fill.execution.cumQty == 10
        assert fill.commissionReport.commission == 1.00072
        assert fill.commissionReport.currency == "USD"
        assert ib.fills() == [fill]
        (done,) = ib.reqCompletedOrders(False)
        assert (done.order.orderRef, done.order.filledQuantity) == ("demo.1", 10)
        assert done.orderStatus.status == "Filled"


def test_a_second_order_works_is_listed_and_cancelled() -> None:
    gateway = local()
    with connected(gateway) as ib:
        trade = ib.placeOrder(apple(ib), adaptive(10))
        step(gateway, ib)
        assert trade.orderStatus.status == "Submitted"
        (listed,) = ib.reqAllOpenOrders()
        assert listed.order.permId == trade.order.permId
        assert listed.order.algoStrategy == "Adaptive"
        assert [(p.tag, p.value) for p in listed.order.algoParams] == [
            ("adaptivePriority", "Normal")
        ]
        ib.cancelOrder(trade.order)
        step(gateway, ib)
        assert trade.orderStatus.status == "Cancelled"
        assert 202 in [entry.errorCode for entry in trade.log] or trade.isDone()
        assert ib.reqAllOpenOrders() == []


def test_what_if_brings_margins() -> None:
    gateway = local()
    with connected(gateway) as ib:
        state = ib.whatIfOrder(apple(ib), limit("BUY", 100, 70))
        assert float(state.initMarginChange) > 0
        assert float(state.initMarginAfter) == float(state.initMarginChange)
        assert float(state.equityWithLoanAfter) == 100_000
        assert state.commission == 1.0072
        assert state.commissionCurrency == "USD"
        assert ib.reqAllOpenOrders() == []


def test_a_bad_tick_is_refused_and_nothing_else_is_heard() -> None:
    gateway = local()
    with connected(gateway) as ib:
        errors: list[tuple[int, int]] = []
        ib.errorEvent += lambda number, code, *_: errors.append((number, code))
        trade = ib.placeOrder(apple(ib), limit("BUY", 10, 10.001))
        step(gateway, ib)
        assert (trade.order.orderId, 110) in errors
        assert trade.orderStatus.status in ("PendingSubmit", "Cancelled")
        assert ib.reqAllOpenOrders() == []


def test_a_rejected_order_is_heard_of() -> None:
    gateway = local(faults=(Fault(FaultKind.REJECT, message="no funds"),))
    with connected(gateway) as ib:
        errors: list[tuple[int, int, str]] = []
        ib.errorEvent += lambda number, code, text, *_: errors.append((number, code, text))
        trade = ib.placeOrder(apple(ib), limit("BUY", 10, 10))
        step(gateway, ib)
        assert (trade.order.orderId, 201, "Order rejected - reason:no funds") in errors
        assert ib.reqAllOpenOrders() == []


def test_a_notice_without_time_in_force_leaves_a_live_order_that_looks_dead() -> None:
    gateway = local()
    with connected(gateway) as ib:
        trade = ib.placeOrder(apple(ib), limit("BUY", 10, 300, tif=""))
        ib.reqCurrentTime()
        assert trade.orderStatus.status == "Cancelled", "the library believes notice 10349"
        step(gateway, ib)
        assert trade.orderStatus.status == "Filled", "but it was live"


def test_a_changed_price_is_the_same_order() -> None:
    gateway = local()
    with connected(gateway) as ib:
        contract, order = apple(ib), limit("BUY", 10, 10)
        trade = ib.placeOrder(contract, order)
        step(gateway, ib)
        perm_id = trade.order.permId
        order.lmtPrice = 300
        assert ib.placeOrder(contract, order) is trade
        step(gateway, ib)
        assert trade.orderStatus.status == "Filled"
        assert trade.order.permId == perm_id


def test_fills_and_completed_orders_are_there_after_a_reconnect() -> None:
    gateway = local()
    with connected(gateway) as ib:
        sold = limit("SELL", 10, 1, orderRef="demo.2")
        ib.placeOrder(apple(ib), limit("BUY", 10, 300, orderRef="demo.1"))
        step(gateway, ib)
        ib.placeOrder(apple(ib), sold)
        step(gateway, ib)
        used = sold.orderId
    with connected(gateway) as ib:
        fills = {fill.execution.orderRef: fill for fill in ib.fills()}
        assert set(fills) == {"demo.1", "demo.2"}
        assert fills["demo.2"].commissionReport.commission > 0
        bought, got = (fills[f"demo.{n}"].execution.price for n in (1, 2))
        profit = 10 * (Decimal(str(got)) - Decimal(str(bought)))
        paid = Decimal(str(fills["demo.2"].commissionReport.commission))
        told = fills["demo.2"].commissionReport.realizedPNL
        assert Decimal(str(told)) == profit - paid
        done = ib.reqCompletedOrders(False)
        assert {trade.order.orderRef for trade in done} == {"demo.1", "demo.2"}
        assert {trade.orderStatus.status for trade in done} == {"Filled"}
        assert ib.client.getReqId() > used


def test_another_client_sees_an_order_and_cannot_cancel_it() -> None:
    gateway = local()
    loop = gateway.loop()
    with connected(gateway, loop=loop) as ib, connected(gateway, client_id=9, loop=loop) as other:
        trade = ib.placeOrder(apple(ib), limit("BUY", 10, 10))
        step(gateway, ib)
        (seen,) = other.reqAllOpenOrders()
        assert seen.order.permId == trade.order.permId
        assert seen.order.clientId == 7
        errors: list[int] = []
        other.errorEvent += lambda number, code, *_: errors.append(code)
        other.client.cancelOrder(seen.order.orderId, "")
        other.reqCurrentTime()
        assert errors == [10147]
    loop.close()

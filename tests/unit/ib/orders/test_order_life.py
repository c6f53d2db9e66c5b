"""An order's life, told by frames: the newest proof counts, the library's own status never."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.brokers.ib.known import KnownOrder
from rebalancer.brokers.ib.orders import OrderBook
from rebalancer.execution import (
    CancelRequest,
    Then,
    WorkParameters,
    advance,
    after_end,
    asked,
    start,
)
from rebalancer.model.orders import Fill, OrderStatus, WorkingOrder
from tests.unit.ib.orders.wire import AAPL, NOW, FedLine, FewContracts
from tests.unit.risk.builders import an_approved

S = OrderStatus


def send(book: OrderBook, number: int = 100, reference: str = "demo.1") -> KnownOrder:
    order = KnownOrder(reference, AAPL, Decimal(10), Decimal("60.10"), "DAY", 7, number, NOW)
    book.sent(order)
    return order


def state(order: KnownOrder) -> OrderStatus:
    return order.status


def heard(book: OrderBook) -> list[OrderStatus]:
    return [event.status for event in book.events() if isinstance(event, WorkingOrder)]


def test_an_order_is_sent_works_and_fills(line: FedLine, book: OrderBook) -> None:
    send(book)
    line.open_order(100, "PreSubmitted")
    line.status(100, "PreSubmitted")
    line.status(100, "Submitted")
    assert heard(book) == [S.WORKING]
    line.execution("0001.02.03.01")
    first, second = book.events()
    assert isinstance(first, Fill)
    assert first.commission is None
    assert isinstance(second, WorkingOrder)
    assert second.status is S.FILLED
    assert second.at == first.at
    line.status(100, "Filled", 10)
    line.commission("0001.02.03.01", "1.00072")
    (again,) = book.events()
    assert isinstance(again, Fill)
    assert again.commission == Decimal("1.00072")


def test_everything_twice_is_told_once(line: FedLine, book: OrderBook) -> None:
    send(book)
    for _ in range(2):
        line.open_order(100, "Submitted")
        line.status(100, "Submitted")
        line.execution("0001.02.03.01")
        line.commission("0001.02.03.01", "1")
        line.status(100, "Filled", 10)
    told = book.events()
    assert [type(each).__name__ for each in told] == [
        "WorkingOrder", "Fill", "WorkingOrder", "Fill",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("PendingSubmit", S.SENT),
        ("ApiPending", S.SENT),
        ("PreSubmitted", S.WORKING),
        ("Submitted", S.WORKING),
        ("PendingCancel", S.PENDING_CANCEL),
        ("Filled", S.FILLED),
        ("Cancelled", S.EXPIRED),  # nobody asked for it: a DAY order that ended by itself
        ("ApiCancelled", S.EXPIRED),
        ("Inactive", S.UNKNOWN),  # rejected or held: only the list of open orders tells
        ("ValidationError", S.SENT),  # the library's own word, not the gateway's
        ("SomethingNew", S.UNKNOWN),
    ],
)
def test_each_word_of_tws_has_one_meaning(
    line: FedLine, book: OrderBook, word: str, expected: OrderStatus
) -> None:
    order = send(book)
    line.status(100, word)
    assert state(order) is expected


def test_shares_that_are_being_located_leave_the_order_alive(
    line: FedLine, book: OrderBook
) -> None:
    order = send(book)
    line.error(100, 404, "Order held while securities are located.")
    line.status(100, "Inactive", held="locate")
    assert state(order) is S.WORKING


def test_inactive_after_a_refusal_is_a_rejection(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.open_order(100, "PreSubmitted")
    line.status(100, "PreSubmitted")
    line.error(100, 201, "Order rejected - reason:insufficient margin")
    assert state(order) is S.WORKING, "one message about a working order ends nothing"
    line.status(100, "Inactive")
    assert state(order) is S.REJECTED
    assert order.message == "Order rejected - reason:insufficient margin (IB 201)"


def test_inactive_and_listed_as_open_may_still_trade(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.status(100, "Inactive")
    line.answer_lists(open_orders=lambda: line.open_order(100, "Inactive"))
    assert [each.status for each in book.open_orders()] == [S.WORKING]
    assert state(order) is S.WORKING


def test_a_confirmed_cancel_is_cancelled_and_told_once(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.status(100, "Submitted")
    book.events()
    order.asked_cancel = order.cancel_travels = True
    book.told(order)
    line.status(100, "PendingCancel")
    line.error(100, 202, "Order Canceled - reason:")
    line.status(100, "Cancelled")
    assert heard(book) == [S.CANCELLED]


def asked_to_end(line: FedLine, book: OrderBook) -> KnownOrder:
    order = send(book)
    line.status(100, "Submitted")
    order.asked_cancel = order.cancel_travels = True
    book.told(order)
    return order


def test_202_ahead_of_the_status_says_nothing_of_what_was_filled(
    line: FedLine, book: OrderBook
) -> None:
    order = asked_to_end(line, book)
    approved = replace(an_approved(AAPL, "10"), reference="demo.1")
    working = asked(start(approved, NOW), CancelRequest("demo.1", "", Then.TAKER), NOW)

    def follows() -> tuple[Then | None, Decimal]:
        nonlocal working
        for event in book.events():
            working = advance(working, event, NOW)
        return after_end(working, WorkParameters(taker_after_seconds=30), NOW), working.filled

    line.error(100, 202, "Order Canceled - reason:")
    assert state(order) is S.PENDING_CANCEL
    assert follows() == (None, Decimal(0)), "how much of it is open is not known"
    line.status(100, "Cancelled", 4)
    assert (state(order), order.filled) == (S.CANCELLED, Decimal(4))
    assert follows() == (None, Decimal(0)), "an execution that was told of is still to come"
    line.execution("0001.02.03.01", 4)
    assert follows() == (Then.TAKER, Decimal(4))


def test_202_of_an_order_with_two_permanent_ids_follows_the_status_of_the_other(
    line: FedLine, book: OrderBook
) -> None:
    asked_to_end(line, book)
    line.open_order(100, "Submitted", permId=4243, clientId=7)
    line.status(100, "Cancelled", perm=4243)
    line.error(100, 202, "Order Canceled - reason:")
    assert heard(book)[-2:] == [S.EXPIRED, S.CANCELLED]


def test_202_and_no_status_is_settled_by_a_look_up(line: FedLine, book: OrderBook) -> None:
    order = asked_to_end(line, book)
    line.error(100, 202, "Order Canceled - reason:")
    line.answer_lists(executions=lambda _: line.execution("0001.02.03.01", 4))
    (found,) = book.find("demo.1")
    assert (found.status, found.filled) == (S.CANCELLED, Decimal(4))
    assert state(order) is S.CANCELLED


def test_202_of_an_order_that_then_works_leaves_its_fate_open(
    line: FedLine, book: OrderBook
) -> None:
    order = asked_to_end(line, book)
    line.error(100, 202, "Order Canceled - reason:")
    line.status(100, "Submitted", 2)
    assert state(order) is S.UNKNOWN
    line.answer_lists(open_orders=lambda: line.open_order(100, "Submitted"))
    assert [each.status for each in book.open_orders()] == [S.WORKING]


def test_202_of_an_order_that_was_never_acknowledged_is_heard(
    line: FedLine, book: OrderBook
) -> None:
    order = send(book)
    line.error(100, 202, "Order Canceled - reason:too far from the market")
    assert state(order) is S.PENDING_CANCEL
    assert book.unacknowledged() == ()
    line.status(100, "Cancelled")
    assert state(order) is S.CANCELLED
    assert "too far from the market" in order.message


def test_the_gateways_own_order_of_refusal_is_told_once(line: FedLine, book: OrderBook) -> None:
    send(book)
    line.open_order(100, "Inactive")
    line.status(100, "Inactive")
    line.error(100, 201, "Order rejected - reason:margin")
    assert heard(book) == [S.REJECTED]


def test_the_gateways_own_order_of_a_cancel_is_told_once(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.status(100, "Submitted")
    book.events()
    order.asked_cancel = order.cancel_travels = True
    book.told(order)
    line.status(100, "Cancelled")
    line.error(100, 202, "Order Canceled - reason:")
    assert heard(book) == [S.CANCELLED]


def test_an_order_that_somebody_else_cancelled_did_not_expire(
    line: FedLine, book: OrderBook
) -> None:
    order = send(book)
    line.status(100, "Submitted")
    line.status(100, "Cancelled")
    line.error(100, 202, "Order Canceled - reason:by hand")
    assert state(order) is S.CANCELLED
    assert "by hand" in order.message


def test_immediate_or_cancel_expires_although_202_comes(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    order.time_in_force = "IOC"
    line.status(100, "Cancelled")
    line.error(100, 202, "Order Canceled - reason:")
    assert heard(book) == [S.EXPIRED]
    assert state(order) is S.EXPIRED


def test_a_refused_cancel_with_its_status_is_told_once(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.status(100, "Submitted")
    book.events()
    order.asked_cancel = order.cancel_travels = True
    book.told(order)
    line.status(100, "Submitted")
    line.error(100, 161, "too late to cancel")
    (event,) = book.events()
    assert isinstance(event, WorkingOrder)
    assert (event.status, event.message) == (S.WORKING, "too late to cancel (IB 161)")


def test_a_partly_filled_order_counts_what_was_executed(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.status(100, "Submitted", 3)
    assert order.filled == 3, "told, not proved yet: the more cautious one counts"
    line.execution("0001.02.03.01", 3)
    line.execution("0001.02.04.01", 4)
    assert order.filled == 7
    assert state(order) is S.WORKING


def test_a_correction_replaces_what_it_corrects(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.execution("0001.02.03.01", 8)
    line.execution("0001.02.03.02", 6)
    assert order.filled == 6
    fills = [each for each in book.events() if isinstance(each, Fill)]
    assert [each.exec_id for each in fills] == ["0001.02.03.01", "0001.02.03.02"]


def test_what_a_connection_begins_with_is_no_news(line: FedLine) -> None:
    book = OrderBook(line, FewContracts())  # type: ignore[arg-type]
    line.open_order(55, "Submitted", permId=5)
    line.execution("0001.02.03.01", perm=4)
    book.begin()
    assert not book.has_news
    line.status(55, "PendingCancel", perm=5)
    assert heard(book) == [S.PENDING_CANCEL]


def test_a_preset_that_changes_an_order_is_said(line: FedLine, book: OrderBook) -> None:
    send(book)
    line.open_order(100, "Submitted", tif="GTC", outsideRth=True)
    (event,) = book.events()
    assert isinstance(event, WorkingOrder)
    assert "time in force from DAY to GTC" in event.message
    assert "outside regular hours from none to True" in event.message


def test_orders_of_another_account_are_not_ours_to_list(line: FedLine, book: OrderBook) -> None:
    line.answer_lists(open_orders=lambda: line.open_order(9, "Submitted", account="DU2", permId=9))
    line.execution("0001.02.03.01", account="DU2")
    assert book.open_orders() == ()
    assert book.executions(NOW) == ()


def test_a_what_if_is_not_an_order(line: FedLine, book: OrderBook) -> None:
    line.what_if(101)
    assert book.orders == []

"""Finding an order, or proving that it is not there: three complete answers or no answer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rebalancer.brokers.ib.known import KnownOrder
from rebalancer.brokers.ib.orders import OrderBook
from rebalancer.errors import BlindError, ConnectError, OutcomeUnknown
from rebalancer.model.orders import OrderStatus
from tests.unit.ib.orders.wire import (
    AAPL,
    ALL_OPEN,
    COMPLETED,
    CURRENT_TIME,
    EXECUTIONS,
    NOW,
    FedLine,
)

S = OrderStatus


def send(book: OrderBook, number: int = 100) -> KnownOrder:
    order = KnownOrder("demo.1", AAPL, Decimal(10), Decimal("60.10"), "DAY", 7, number, NOW)
    book.sent(order)
    return order


def state(order: KnownOrder) -> OrderStatus:
    return order.status


def test_three_complete_answers_without_it_prove_absence(line: FedLine, book: OrderBook) -> None:
    send(book)
    line.answer_lists()
    assert book.find("demo.1") == ()
    assert [fields[0] for fields in line.sent] == [ALL_OPEN, COMPLETED, EXECUTIONS]


@pytest.mark.parametrize("silent", [ALL_OPEN, COMPLETED, EXECUTIONS])
def test_one_answer_missing_is_unknown_never_absent(
    line: FedLine, book: OrderBook, silent: str
) -> None:
    line.answer_lists()
    answer = line.answers.pop(silent)
    with pytest.raises(OutcomeUnknown, match=r"demo\.1"):
        book.find("demo.1")
    line.answers[silent] = answer
    assert book.find("demo.1") == ()


def test_a_broken_line_is_a_connection_error(line: FedLine, book: OrderBook) -> None:
    line.broken = "the wire broke"
    for call in (book.open_orders, lambda: book.find("demo.1"), lambda: book.executions(NOW)):
        with pytest.raises(ConnectError, match="the wire broke"):
            call()


def test_a_completed_order_has_no_order_id_and_is_known_by_its_reference(
    line: FedLine, book: OrderBook
) -> None:
    line.answer_lists(
        completed=lambda: line.completed(
            "Filled", totalQuantity=0.0, filledQuantity=10.0,
            completed_time="20261120 09:45:00 US/Eastern", completed_status="Filled Size: 10",
        )
    )  # fmt: skip
    (order,) = book.find("demo.1")
    assert order.status is S.FILLED
    assert order.quantity == order.filled == 10
    assert order.venue_id == "900"
    assert order.at == datetime(2026, 11, 20, 14, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "said", "expected"),
    [
        ("Cancelled", "Cancelled by Trader", S.CANCELLED),
        ("Cancelled", "Order Expired", S.EXPIRED),
        ("Cancelled", "Rejected by System: margin", S.REJECTED),
        ("Inactive", "", S.REJECTED),
        ("ApiCancelled", "", S.CANCELLED),
    ],
)
def test_how_a_completed_order_ended(
    line: FedLine, book: OrderBook, word: str, said: str, expected: OrderStatus
) -> None:
    line.answer_lists(completed=lambda: line.completed(word, completed_status=said))
    (order,) = book.find("demo.1")
    assert order.status is expected
    assert order.quantity == 10


def test_disaster_lost_acknowledgement_that_looks_like_a_lost_order(
    line: FedLine, book: OrderBook
) -> None:
    """Nothing was heard of an order that had traded; it was taken for lost and sent again."""
    order = send(book)
    assert order.status is S.SENT
    assert book.unacknowledged() == ("demo.1",)
    line.answer_lists(
        completed=lambda: line.completed("Filled", permId=4711, filledQuantity=10.0),
        executions=lambda request: line.execution("0001.02.03.01", request=request, perm=4711),
    )
    (found,) = book.find("demo.1")
    assert found.status is S.FILLED
    assert found.filled == 10
    assert book.unacknowledged() == ()
    assert len(book.orders) == 1, "it is the same order, not a second one"


def test_two_orders_of_one_reference_are_both_found(line: FedLine, book: OrderBook) -> None:
    send(book, 100)
    send(book, 101)
    line.answer_lists(
        open_orders=lambda: line.open_order(100, "Submitted", permId=1),
        completed=lambda: line.completed("Filled", permId=2),
    )
    assert sorted(each.status for each in book.find("demo.1")) == [S.FILLED, S.WORKING]


def test_an_order_that_vanished_after_its_acknowledgement_is_unknown(
    line: FedLine, book: OrderBook
) -> None:
    send(book)
    line.open_order(100, "Submitted")
    line.answer_lists()
    (found,) = book.find("demo.1")
    assert found.status is S.UNKNOWN


@pytest.mark.parametrize("late", ["Submitted", "PreSubmitted", "PendingCancel", "Inactive"])
def test_a_late_word_of_life_leaves_an_ended_order_in_doubt_until_a_list_settles_it(
    line: FedLine, book: OrderBook, late: str
) -> None:
    order = send(book)
    line.status(100, "Submitted")
    order.asked_cancel = True
    line.status(100, "Cancelled")
    assert state(order) is S.CANCELLED
    line.status(100, late)
    line.status(100, late)
    assert state(order) is S.UNKNOWN
    line.answer_lists(completed=lambda: line.completed("Cancelled", orderId=0))
    (found,) = book.find("demo.1")
    assert found.status is S.CANCELLED
    line.status(100, late)
    assert state(order) is S.CANCELLED, "the list has settled it"


def test_an_end_that_was_wrong_is_taken_back_when_the_open_orders_have_the_order(
    line: FedLine, book: OrderBook
) -> None:
    order = send(book)
    line.status(100, "Submitted")
    line.status(100, "Cancelled")
    line.answer_lists(open_orders=lambda: line.open_order(100, "Submitted"))
    assert [each.status for each in book.open_orders()] == [S.WORKING]
    assert state(order) is S.WORKING


def test_disaster_order_id_rollback(line: FedLine, book: OrderBook) -> None:
    """After a restart ids began anew: an old order's news were taken for the new order's."""
    send(book, 100)
    line.execution("0001.02.03.01", reference="demo.0", perm=1, order_id=100)
    line.open_order(100, "Submitted", permId=1, orderRef="demo.0")
    line.status(100, "Filled", 10, perm=1)
    (order,) = (each for each in book.orders if each.reference == "demo.1")
    assert order.status is S.SENT
    assert order.filled == 0


def test_new_ids_are_above_every_id_that_was_seen(line: FedLine, book: OrderBook) -> None:
    line.execution("0001.02.03.01", order_id=250, reference="demo.0")
    line.open_order(300, "Submitted", permId=1, orderRef="demo.x", clientId=3)
    assert line.ib.client.getReqId() == 301


def test_a_duplicate_order_id_leaves_the_outcome_unknown(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.error(100, 103, "Duplicate order id")
    assert state(order) is S.UNKNOWN
    line.answer_lists(open_orders=lambda: line.open_order(100, "Submitted", permId=5))
    (found,) = book.find("demo.1")
    assert found.status is S.WORKING


def test_an_unlisted_error_means_unknown_never_cancelled(line: FedLine, book: OrderBook) -> None:
    order = send(book)
    line.open_order(100, "Submitted")
    line.error(100, 99999, "something new")
    assert state(order) is S.UNKNOWN
    line.status(100, "Submitted")
    assert state(order) is S.WORKING


def test_after_an_overdue_answer_a_question_in_turn_goes_first(
    line: FedLine, book: OrderBook
) -> None:
    """The late end of the first list could pass for the end of the second."""
    line.answer_lists()
    answer = line.answers.pop(ALL_OPEN)
    with pytest.raises(BlindError):
        book.open_orders()
    line.answers[ALL_OPEN] = answer
    book.open_orders()
    assert [fields[0] for fields in line.sent] == [ALL_OPEN, CURRENT_TIME, ALL_OPEN]


def test_what_is_listed_is_alive_and_what_is_not_is_not_open(
    line: FedLine, book: OrderBook
) -> None:
    order = send(book)
    line.open_order(100, "Submitted")
    line.answer_lists()
    assert book.open_orders() == ()
    line.answer_lists(open_orders=lambda: line.open_order(100, "PendingCancel"))
    (open_order,) = book.open_orders()
    assert open_order.status is S.PENDING_CANCEL
    assert open_order.venue_id == order.venue_id == "900"


def test_a_read_only_gateway_is_named(line: FedLine, book: OrderBook) -> None:
    line.answers[ALL_OPEN] = lambda _: line.error(
        -1, 321, "Error validating request.-'bX' : cause - The API interface is currently in "
        "Read-Only mode."
    )  # fmt: skip
    with pytest.raises(BlindError, match=r"open orders are out of reach.*Read-Only API"):
        book.open_orders()

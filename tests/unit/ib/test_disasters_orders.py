"""The known disasters with orders, each by its name, through the real library's decoder.

Here single frames decide; `hands/test_at_the_gateway.py` has all of them through a whole
gateway. Others are also beside what they are about: `orders/test_look_up.py` (lost
acknowledgement, order-id rollback), `executions/test_reading_executions.py` (late commission,
naive times), `hands/test_ib_hands.py` (modify without tif).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.brokers.ib import hands as module
from rebalancer.brokers.ib.hands import IbHands
from rebalancer.model.orders import OrderStatus, VenueEvent, WorkingOrder
from rebalancer.store.atomic import Files
from tests.unit.ib.orders.wire import CANCEL, PLACE, FedLine, Venue, book_on, order

S = OrderStatus


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Venue]:
    monkeypatch.setattr(module, "IbVenue", Venue)
    line = FedLine()
    yield Venue(line, book_on(line), tmp_path, Files())
    line.close()


def statuses(events: tuple[VenueEvent, ...]) -> list[OrderStatus]:
    return [event.status for event in events if isinstance(event, WorkingOrder)]


def test_disaster_10349_read_as_cancel_and_re_sent(venue: Venue) -> None:
    """A notice about the time in force was taken for a cancel; 15 orders went out, all filled."""
    line, book = venue.line, venue.book
    IbHands(venue).submit([order()])  # type: ignore[arg-type]
    line.error(100, 10349, "Order TIF was set to DAY based on order preset.")
    assert statuses(book.events()) == [S.SENT], "the words are news, the status is not"
    line.open_order(100, "Submitted")
    line.status(100, "Submitted")
    line.error(100, 10349, "Order TIF was set to DAY based on order preset.")
    assert statuses(book.events()) == [S.WORKING]
    assert book.orders[0].message == "Order TIF was set to DAY based on order preset. (IB 10349)"
    line.execution("0001.02.03.01")
    assert statuses(book.events()) == [S.FILLED]
    assert sum(fields[0] == PLACE for fields in line.sent) == 1


@pytest.mark.parametrize("code", [399, 404, 2109, 10349, 104, 10167])
def test_a_notice_never_ends_an_order(venue: Venue, code: int) -> None:
    line, book = venue.line, venue.book
    IbHands(venue).submit([order()])  # type: ignore[arg-type]
    line.open_order(100, "Submitted")
    line.error(100, code, "a notice")
    assert book.orders[0].status is S.WORKING
    assert "a notice" in book.orders[0].message


def test_disaster_unconfirmed_cancel_followed_by_a_new_order(venue: Venue) -> None:
    """A cancel was sent and believed; the order filled, and so did the one sent in its place."""
    line, book = venue.line, venue.book
    hands = IbHands(venue)  # type: ignore[arg-type]
    hands.submit([order()])
    line.open_order(100, "Submitted")
    line.answer_lists(open_orders=lambda: line.open_order(100, "PendingCancel"))
    (working,) = book.events()
    assert isinstance(working, WorkingOrder)
    assert statuses(hands.cancel(working)) == [S.PENDING_CANCEL]
    for _ in range(3):
        (still,) = book.open_orders()
        assert still.status is S.PENDING_CANCEL, "asked for is not done"
        assert not still.status.terminal
    line.execution("0001.02.03.01", 4)
    (still,) = book.open_orders()
    assert still.remaining == 6, "it may trade while the cancel travels"
    line.error(100, 202, "Order Canceled - reason:")
    line.answer_lists()
    assert book.open_orders() == ()
    (dead,) = book.find("demo.1")
    assert dead.status is S.CANCELLED
    assert dead.filled == 4, "what is planned next counts what it traded"
    assert sum(fields[0] == CANCEL for fields in line.sent) == 1


def test_disaster_error_110_that_leaves_an_order_pending_for_ever(venue: Venue) -> None:
    """A price off the tick: the library keeps PendingSubmit, and the run waited without end."""
    line, book = venue.line, venue.book
    IbHands(venue).submit([order(10, "60.105")])  # type: ignore[arg-type]
    line.status(100, "PendingSubmit", perm=0)
    line.error(100, 110, "The price does not conform to the minimum price variation.")
    (news,) = book.events()
    assert isinstance(news, WorkingOrder)
    assert news.status is S.REJECTED
    assert "minimum price variation" in news.message
    assert book.unacknowledged() == ()
    line.answer_lists()
    assert statuses(book.find("demo.1")) == [S.REJECTED]


@pytest.mark.parametrize("code", [105, 110, 321, 329])
def test_a_refused_move_leaves_the_order_alive(venue: Venue, code: int) -> None:
    line, book = venue.line, venue.book
    IbHands(venue).submit([order()])  # type: ignore[arg-type]
    line.open_order(100, "Submitted")
    book.orders[0].moving_to = Decimal("60.105")
    line.error(100, code, "no")
    line.status(100, "Cancelled")
    ended = book.events()
    assert statuses(ended) == [S.WORKING, S.EXPIRED], "it ended by itself, at its time"
    assert isinstance(ended[-1], WorkingOrder)
    assert ended[-1].limit == Decimal("60.1")

"""What goes to the wire: every attribute said, every number exact, nothing sent twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.brokers.ib import hands as module
from rebalancer.brokers.ib.adaptive import FILE, REMEMBER, AdaptiveMemory
from rebalancer.brokers.ib.efficiency import Tally, day_of, ratio
from rebalancer.brokers.ib.hands import IbHands
from rebalancer.brokers.ib.orders import OrderBook
from rebalancer.brokers.ib.tickets import plain, ticket
from rebalancer.errors import ConnectError, DataError, OutcomeUnknown
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, OrderType, Replace, TimeInForce, WorkingOrder
from rebalancer.store.atomic import Files
from tests.unit.ib.orders.wire import (
    AAPL,
    ACCOUNT,
    CANCEL,
    GLOBAL_CANCEL,
    NOW,
    PLACE,
    FedLine,
    Venue,
    order,
)

S = OrderStatus
PRICE, TIF, FORCE_ACCOUNT, REFERENCE = 19, 21, 23, 26
"""Where they stand in a placeOrder message: after its id, the order's and 14 of the contract."""


@pytest.fixture
def venue(line: FedLine, book: OrderBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Venue:
    monkeypatch.setattr(module, "IbVenue", Venue)
    return Venue(line, book, tmp_path, Files())


@pytest.fixture
def hands(venue: Venue) -> IbHands:
    return IbHands(venue)  # type: ignore[arg-type]


def placed(line: FedLine) -> list[list[str]]:
    return [fields for fields in line.sent if fields[0] == PLACE]


def adaptive_part(fields: list[str]) -> list[str]:
    at = fields.index("Adaptive") if "Adaptive" in fields else len(fields)
    return fields[at : at + 4]


def test_an_order_goes_out_with_everything_said(line: FedLine, hands: IbHands) -> None:
    (sent,) = hands.submit([order(10, "60.10")])
    assert isinstance(sent, WorkingOrder)
    assert sent.status is S.SENT
    (fields,) = placed(line)
    assert fields[1] == "100"
    assert fields[2] == "265598"
    assert fields[16:20] == ["BUY", "10", "LMT", "60.1"]
    assert fields[TIF] == "DAY"
    assert fields[FORCE_ACCOUNT] == ACCOUNT
    assert fields[REFERENCE] == "demo.1"
    assert fields[27] == "1", "transmit"
    assert fields[33] == "0", "not outside regular hours"


def test_a_sale_has_a_positive_size(line: FedLine, hands: IbHands) -> None:
    hands.submit([order(-25, "60.10")])
    assert placed(line)[0][16:18] == ["SELL", "25"]


@pytest.mark.parametrize(
    ("number", "text"),
    [("0.00105", "0.00105"), ("1E+3", "1000"), ("1.1E-7", "0.00000011"), ("60.100", "60.1"),
     ("123456789.123456789123", "123456789.123456789123"), ("-2.50", "-2.5"), ("100", "100")],
)  # fmt: skip
def test_numbers_are_written_exactly(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text
    assert Decimal(text) == Decimal(number)


def test_what_is_no_number_is_never_written() -> None:
    for bad in ("NaN", "Infinity"):
        with pytest.raises(DataError):
            plain(Decimal(bad))


def test_a_market_order_has_no_price(line: FedLine, hands: IbHands) -> None:
    hands.submit([order(10, None)])
    assert placed(line)[0][18:20] == ["MKT", ""]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (order("1.5"), "not a multiple of 1"),
        (order(0), "cannot be ordered"),
        (order(10, instrument=InstrumentId("NOPE.STK.USD@IB")), "no such instrument"),
    ],
)
def test_what_ib_has_no_words_for_is_refused_here_and_not_sent(
    line: FedLine, book: OrderBook, hands: IbHands, wrong: object, words: str
) -> None:
    assert hands.submit([wrong]) == ()  # type: ignore[list-item]
    (news,) = book.events()
    assert isinstance(news, WorkingOrder)
    assert news.status is S.REJECTED
    assert words in news.message
    assert line.sent == []
    line.answer_lists()
    assert [each.status for each in book.find("demo.1")] == [S.REJECTED]


def test_a_broken_wire_before_the_first_order_is_a_connection_error(
    line: FedLine, hands: IbHands
) -> None:
    line.broken = "gone"
    with pytest.raises(ConnectError, match="gone"):
        hands.submit([order()])


def test_a_wire_that_breaks_half_way_leaves_an_unknown_outcome(
    line: FedLine, book: OrderBook, hands: IbHands
) -> None:
    def breaks(fields: list[str]) -> None:
        if fields[REFERENCE] == "demo.3":
            line.broken = "gone"

    line.answers[PLACE] = breaks
    with pytest.raises(OutcomeUnknown, match=r"after 2 of 4 orders, while demo\.3 was sent: gone"):
        hands.submit([order(reference=f"demo.{number}") for number in (1, 2, 3, 4)])
    assert [fields[REFERENCE] for fields in placed(line)] == ["demo.1", "demo.2", "demo.3"]


def test_adaptive_orders_carry_their_priority(line: FedLine, hands: IbHands) -> None:
    for name in ("Urgent", "Normal", "Patient"):
        line.settings.adaptive_priority = name
        hands.submit([order(order_type=OrderType.ADAPTIVE)])
        fields = placed(line)[-1]
        assert adaptive_part(fields) == ["Adaptive", "1", "adaptivePriority", name]
        assert fields[18] == "LMT"


def test_adaptive_is_for_day_orders_of_what_has_it(line: FedLine, hands: IbHands) -> None:
    hands.submit([order(order_type=OrderType.ADAPTIVE, time_in_force=TimeInForce.GTC), order()])
    assert all("Adaptive" not in fields for fields in placed(line))


def test_where_adaptive_was_refused_the_next_run_sends_a_plain_limit_order(
    line: FedLine, book: OrderBook, hands: IbHands, venue: Venue
) -> None:
    wanted = order(order_type=OrderType.ADAPTIVE)
    hands.submit([wanted])
    line.error(100, 442, "Specified algorithm is not allowed for this order.")
    (news,) = book.events()
    assert isinstance(news, WorkingOrder)
    assert news.status is S.REJECTED
    assert "the next run sends a plain limit order" in news.message
    assert len(placed(line)) == 1, "nothing is sent again in this run"
    IbHands(venue).submit([order(order_type=OrderType.ADAPTIVE)])  # type: ignore[arg-type]
    assert "Adaptive" not in placed(line)[-1]
    line.now_at += REMEMBER
    IbHands(venue).submit([order(order_type=OrderType.ADAPTIVE)])  # type: ignore[arg-type]
    assert "Adaptive" in placed(line)[-1], "in a month it is tried again"


@pytest.mark.parametrize("content", ["[1, 2", "[1, 2]", '{"AAPL": 7}', '{"AAPL": "2026"}', ""])
def test_a_damaged_memory_is_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    (tmp_path / FILE).write_text(content)
    memory = AdaptiveMemory(tmp_path, Files())
    assert not memory.refused(AAPL, NOW)
    assert FILE in caplog.text or content == '{"AAPL": "2026"}'
    memory.remember(AAPL, NOW)
    assert AdaptiveMemory(tmp_path, Files()).refused(AAPL, NOW)


def test_disaster_modify_without_tif(line: FedLine, book: OrderBook, hands: IbHands) -> None:
    """A re-price sent the library's back-filled object: without tif, account and reference."""
    hands.submit([order(10, "60.10", order_type=OrderType.ADAPTIVE)])
    # The gateway echoes the order; its presets changed what they could.
    line.open_order(100, "Submitted", tif="GTC", orderRef="demo.1", outsideRth=True)
    hands.replace(Replace("demo.1", AAPL, Decimal(10), Decimal("60.25"), TimeInForce.DAY))
    first, second = placed(line)
    assert second[PRICE] == "60.25"
    assert first[:PRICE] == second[:PRICE]
    assert first[PRICE + 1 :] == second[PRICE + 1 :], "only the price is another"


def test_a_price_is_ours_only_when_the_gateway_echoes_it(
    line: FedLine, book: OrderBook, hands: IbHands
) -> None:
    hands.submit([order()])
    line.open_order(100, "Submitted")
    book.events()
    move = Replace("demo.1", AAPL, Decimal(10), Decimal("60.25"), TimeInForce.DAY)
    (asked,) = hands.replace(move)
    assert isinstance(asked, WorkingOrder)
    assert asked.limit == Decimal("60.1")
    line.error(100, 110, "The price does not conform to the minimum price variation")
    (news,) = book.events()
    assert isinstance(news, WorkingOrder)
    assert news.status is S.WORKING
    assert news.limit == Decimal("60.1")
    assert "minimum price variation" in news.message
    hands.replace(move)
    line.open_order(100, "Submitted", lmtPrice=60.25)
    (news,) = book.events()
    assert isinstance(news, WorkingOrder)
    assert news.limit == Decimal("60.25")
    assert news.message == ""


def test_an_error_that_the_library_takes_for_an_end_does_not_stop_a_move(
    line: FedLine, hands: IbHands
) -> None:
    hands.submit([order()])
    line.open_order(100, "Submitted")
    line.error(100, 10349, "Order TIF was set to DAY based on order preset.")
    move = Replace("demo.1", AAPL, Decimal(10), Decimal("60.25"), TimeInForce.DAY)
    (event,) = hands.replace(move)
    assert isinstance(event, WorkingOrder)
    assert event.status is S.WORKING
    assert len(placed(line)) == 2


def test_a_cancel_is_a_request(line: FedLine, book: OrderBook, hands: IbHands) -> None:
    hands.submit([order()])
    line.open_order(100, "Submitted")
    book.events()
    working = book.known("900", "")
    assert working is not None
    (asked,) = hands.cancel(working.as_event(NOW))
    assert isinstance(asked, WorkingOrder)
    assert asked.status is S.PENDING_CANCEL
    assert [fields[:3] for fields in line.sent if fields[0] == CANCEL] == [["4", "1", "100"]]
    line.status(100, "Cancelled")
    (news,) = book.events()
    assert isinstance(news, WorkingOrder)
    assert news.status is S.CANCELLED
    (again,) = hands.cancel(news)
    assert isinstance(again, WorkingOrder)
    assert again.status is S.CANCELLED
    assert sum(fields[0] == CANCEL for fields in line.sent) == 1, "asked again, it tells the end"


@pytest.mark.parametrize("code", [161, 10148])
def test_a_refused_cancel_leaves_the_order_as_it_was(
    line: FedLine, book: OrderBook, hands: IbHands, code: int
) -> None:
    hands.submit([order()])
    line.open_order(100, "Submitted")
    book.events()
    hands.cancel(book.orders[0].as_event(NOW))
    line.error(100, code, "too late to cancel")
    (news,) = book.events()
    assert isinstance(news, WorkingOrder)
    assert news.status is S.WORKING
    assert "too late to cancel" in news.message


@pytest.mark.parametrize("code", [135, 10147])
def test_an_order_that_the_gateway_does_not_find_to_cancel_is_looked_up(
    line: FedLine, book: OrderBook, hands: IbHands, code: int
) -> None:
    hands.submit([order()])
    line.open_order(100, "Submitted")
    hands.cancel(book.orders[0].as_event(NOW))
    line.error(100, code, "not found")
    assert book.orders[0].status is S.UNKNOWN
    line.answer_lists(completed=lambda: line.completed("Filled", filledQuantity=10.0))
    assert [each.status for each in book.find("demo.1")] == [S.FILLED]


def test_an_order_of_another_client_is_not_cancelled(
    line: FedLine, book: OrderBook, hands: IbHands
) -> None:
    line.open_order(5, "Submitted", clientId=3, orderRef="theirs", permId=55)
    (theirs,) = book.events()
    assert isinstance(theirs, WorkingOrder)
    (answer,) = hands.cancel(theirs)
    assert isinstance(answer, WorkingOrder)
    assert answer.status is S.WORKING
    assert "client id 3" in answer.message
    assert line.sent == []


def test_global_cancel_is_sent_once_and_on_request_only(
    line: FedLine, book: OrderBook, hands: IbHands
) -> None:
    line.settings.global_cancel = True
    line.open_order(5, "Submitted", clientId=3, orderRef="theirs", permId=55)
    line.open_order(-1, "Submitted", clientId=0, orderRef="", permId=56)
    for theirs in book.events():
        assert isinstance(theirs, WorkingOrder)
        (answer,) = hands.cancel(theirs)
        assert isinstance(answer, WorkingOrder)
        assert answer.status is S.PENDING_CANCEL
    assert [fields[0] for fields in line.sent] == [GLOBAL_CANCEL]


def test_the_order_efficiency_ratio_is_counted_by_day(
    line: FedLine, hands: IbHands, venue: Venue
) -> None:
    assert ratio(messages=20, executed=0) == 20
    assert ratio(messages=20, executed=4) == 4
    for number in range(10):
        hands.submit([order(reference=f"demo.{number}")])
    again = IbHands(venue)  # type: ignore[arg-type]
    again.submit([order(reference="demo.11")])
    assert venue.flags == [], "what was just sent had no time to trade"
    venue.when_told()
    assert [code for code, _ in venue.flags] == ["order-efficiency"]
    assert "11.0 (11 messages, 0 orders executed): high" in venue.flags[0][1]
    line.now_at = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)  # 23:30 of the 20th in New York
    assert Tally(venue.folder, venue.files).messages(day_of(line.now_at)) == 11
    line.now_at += timedelta(days=1)
    assert Tally(venue.folder, venue.files).messages(day_of(line.now_at)) == 0


def test_orders_that_traded_make_no_note_of_the_order_efficiency(
    line: FedLine, book: OrderBook, hands: IbHands, venue: Venue
) -> None:
    for number in range(1, 12):
        hands.submit([order(reference=f"demo.{number}")])
    for number, sent in enumerate(book.orders):
        line.execution(
            f"e{number}", order_id=sent.order_id, perm=900 + number, reference=sent.reference
        )
    book.events()
    venue.when_told()  # 11 messages / (11 orders + 1) = 0.9
    assert venue.flags == []


def test_nothing_is_a_float_on_its_way_out(line: FedLine, book: OrderBook, hands: IbHands) -> None:
    hands.submit([order(10, "60.10")])
    made = ticket(line.lib, book.orders[0], ACCOUNT, Decimal("60.10"))
    assert type(made.lmtPrice) is str
    assert type(made.totalQuantity) is str

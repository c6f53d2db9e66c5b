"""Executions off the wire: exact numbers, UTC whatever the host, unknown never zero."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.brokers.ib.executions import execution_time, read_commission, read_execution
from rebalancer.brokers.ib.orders import OrderBook
from rebalancer.errors import BlindError, DataError
from rebalancer.model.orders import LIQUIDATION, Fill, WorkingOrder
from tests.unit.ib.orders.wire import AAPL, NOW, FedLine

FIVE = datetime(2026, 11, 20, 15, 0, 5, tzinfo=UTC)
"""Five seconds past ten in New York, in winter five hours behind UTC."""


def only_fill(book: OrderBook) -> Fill:
    (fill,) = (event for event in book.events() if isinstance(event, Fill))
    return fill


def test_an_execution_has_everything_that_the_books_need(line: FedLine, book: OrderBook) -> None:
    line.execution("0001.02.03.01", 10, "60.10", liquidity=1)
    fill = only_fill(book)
    assert fill.exec_id == "0001.02.03.01"
    assert fill.reference == "demo.1"
    assert fill.venue_order_id == "900"
    assert fill.instrument == AAPL
    assert fill.quantity == 10
    assert str(fill.price) == "60.10"
    assert fill.currency == "USD"
    assert fill.at == FIVE
    assert fill.commission is None
    assert fill.liquidity == "maker"
    assert fill.origin == ""


def test_a_sale_is_negative(line: FedLine, book: OrderBook) -> None:
    line.execution("0001.02.03.01", 10, side="SLD")
    assert only_fill(book).quantity == -10


def test_a_price_that_no_float_can_hold_arrives_exactly(line: FedLine, book: OrderBook) -> None:
    line.execution("0001.02.03.01", 10, "0.00105000000000000000001")
    assert only_fill(book).price == Decimal("0.00105000000000000000001")


@pytest.mark.parametrize(
    "text",
    [
        "20261120 10:00:05 US/Eastern",
        "20261120 10:00:05 America/New_York",
        "20261120-15:00:05",
        "20261120 15:00:05 UTC",
        "20261120  10:00:05",  # an old gateway's two blanks, in its own zone
        "20261120 10:00:05",
        "20261120 23:00:05 Asia/Hong_Kong",
        str(int(FIVE.timestamp())),
    ],
)
def test_every_way_to_write_a_time_is_the_same_instant(text: str) -> None:
    assert execution_time(text, "America/New_York") == FIVE


@pytest.mark.parametrize("text", ["", "soon", "20261120", "20261120 10:00:05 Mars/Olympus"])
def test_a_time_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match="not a time of the gateway"):
        execution_time(text, "America/New_York")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Europe/Berlin"])
def test_disaster_naive_execution_times(zone: str) -> None:
    """A time without a zone was read in the host's zone, hours off, on a host elsewhere."""
    program = (
        "from rebalancer.brokers.ib.executions import execution_time\n"
        "for text in ('20261120  10:00:05', '20261120 10:00:05 US/Eastern'):\n"
        "    print(execution_time(text, 'America/New_York').isoformat())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"TZ": zone, "PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.stdout.split() == ["2026-11-20T15:00:05+00:00"] * 2


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("", "USD"), ("1.7976931348623157E308", "USD"), ("-1", "USD"), ("-1.0", "USD"),
     ("nan", "USD"), ("0.0", ""), ("garbage", "USD"), ("9" * 30, "USD"),
     ("-1E+9999999", "USD")],
)  # fmt: skip
def test_disaster_late_commission_saved_as_zero(
    line: FedLine, book: OrderBook, amount: str, currency: str
) -> None:
    """A commission that the gateway does not know yet was booked as nothing."""
    line.execution("0001.02.03.01")
    assert only_fill(book).commission is None
    line.commission("0001.02.03.01", amount, currency)
    assert not book.has_news
    line.answer_lists()
    assert [fill.commission for fill in book.executions(NOW)] == [None]
    line.commission("0001.02.03.01", "1.0144")
    assert only_fill(book).commission == Decimal("1.0144")


def test_a_rebate_and_a_free_trade_are_amounts() -> None:
    assert read_commission(["59", "1", "x", "-0.25", "USD"])[1] == Decimal("-0.25")
    assert read_commission(["59", "1", "x", "0", "USD"])[1] == 0


def test_a_commission_may_come_before_its_execution(line: FedLine, book: OrderBook) -> None:
    line.commission("0001.02.03.01", "1.5")
    line.execution("0001.02.03.01")
    assert only_fill(book).commission == Decimal("1.5")


def test_the_gateways_liquidation_is_marked(line: FedLine, book: OrderBook) -> None:
    line.execution(
        "0001.02.03.01", side="SLD", order_id=-1, client=0, perm=77, liquidation=1, reference=""
    )
    fill = only_fill(book)
    assert fill.origin == LIQUIDATION
    assert fill.reference == ""
    assert not book.heard[fill.exec_id].by_hand


@pytest.mark.parametrize("order_id", ["0", "-3", "2147483647"])
def test_a_trade_made_by_hand_is_recognised(line: FedLine, book: OrderBook, order_id: str) -> None:
    line.execution("0001.02.03.01", order_id=order_id, client=0, perm=78, reference="")
    fill = only_fill(book)
    assert fill.origin == ""
    assert book.heard[fill.exec_id].by_hand


def test_an_execution_of_something_else_is_named_by_its_contract(
    line: FedLine, book: OrderBook
) -> None:
    line.execution("0001.02.03.01", symbol="GE", con_id=4, perm=5, reference="")
    assert only_fill(book).instrument == "GE.STK.USD@IB"


def test_executions_are_asked_for_since_a_time_with_their_fees(
    line: FedLine, book: OrderBook
) -> None:
    def answer(request: int) -> None:
        line.execution("0001.02.05.01", request=request, time="20261120 10:00:05 US/Eastern")
        line.execution("0001.02.04.01", request=request, time="20261120 10:00:01 US/Eastern")
        line.execution("0001.02.03.01", request=request, time="20261120 09:59:59 US/Eastern")
        line.commission("0001.02.04.01", "1")

    line.answer_lists(executions=answer)
    found = book.executions(NOW)
    assert [fill.exec_id for fill in found] == ["0001.02.04.01", "0001.02.05.01"]
    assert [fill.commission for fill in found] == [1, None]
    assert book.executions(NOW + timedelta(seconds=6)) == ()


def test_executions_without_their_end_are_no_answer(line: FedLine, book: OrderBook) -> None:
    line.answers["7"] = lambda fields: line.execution("0001.02.03.01", request=int(fields[2]))
    with pytest.raises(BlindError, match="did not arrive"):
        book.executions(NOW)


def test_what_cannot_be_read_stops_everything(line: FedLine, book: OrderBook) -> None:
    line.execution("0001.02.03.01", "ten")  # type: ignore[arg-type]
    line.answer_lists()
    with pytest.raises(BlindError, match=r"cannot be read: message 11: .*size of execution"):
        book.executions(NOW)


RUBBISH = st.sampled_from(
    ["", "x", "-7", "1.7976931348623157E308", "1E+999999999", "NaN", "\u00ff", "20261120"]
)


@given(places=st.dictionaries(st.integers(0, 30), RUBBISH, max_size=4), cut=st.integers(1, 31))
def test_rubbish_on_the_wire_is_an_error_or_an_execution_never_a_guess(
    places: dict[int, str], cut: int
) -> None:
    fields = (
        (
            "11 -1 100 265598 AAPL STK _ 0 _ _ SMART USD AAPL NMS 0001.02.03.01 T DU1 NASDAQ BOT "
            "10 60.10 900 7 0 10 60.10 demo.1 _ _ _ 2"
        )
        .replace("_", "")
        .split(" ")
    )
    fields[15] = "20261120 10:00:05 US/Eastern"
    for place, text in places.items():
        fields[place] = text
    try:
        heard, _ = read_execution(fields[:cut], "America/New_York", lambda _: AAPL)
    except (DataError, ValueError, ArithmeticError):
        return
    assert cut == 31
    assert heard.fill.price.is_finite()
    # A number in the place of another is believed; nothing else is.
    assert str(heard.fill.quantity) in {"10", places.get(19, "10")}
    assert heard.fill.commission is None


def test_an_order_may_show_through_its_executions_only(line: FedLine, book: OrderBook) -> None:
    line.answer_lists(
        executions=lambda request: line.execution(
            "0001.02.03.01", request=request, perm=31, order_id=5, reference="demo.9"
        )
    )
    (order,) = book.find("demo.9")
    assert isinstance(order, WorkingOrder)
    assert order.filled == 10
    assert order.status.terminal

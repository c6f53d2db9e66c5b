"""What an order would do to the margin."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tests.unit.ib_gateway.trading.scene import AAPL, connect, names, open_scene, price, wait

NIGHT = datetime(2020, 3, 2, 23, 0, tzinfo=UTC)


def test_a_question_is_answered_with_margins_and_commission() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    ask, bid = price(gateway, AAPL), price(gateway, AAPL, "bid")
    answer = ear.place(1, whatIf=True, lmtPrice=str(ask), totalQuantity=100)
    assert names(answer) == ["openOrder PreSubmitted"]
    said = answer[0][1]
    value = 100 * (ask + bid) / 2
    assert said["whatIf"] is True
    assert said["orderId"] == 1
    # The settings: half of a long position's value, a quarter of it to maintain it.
    assert Decimal(said["initMarginAfter"]) == value * Decimal("0.5")
    assert Decimal(said["initMarginChange"]) == value * Decimal("0.5")
    assert said["initMarginBefore"] == "0"
    assert Decimal(said["maintMarginAfter"]) == value * Decimal("0.25")
    assert said["equityWithLoanAfter"] == "100000"
    # One dollar at least, and 0.000072 a share on top.
    assert (said["commission"], said["commissionCurrency"]) == ("1.0072", "USD")
    assert not {"minCommission", "maxCommission"} & said.keys()


def test_a_question_leaves_no_trace() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    before = gateway.exchange.books.content()
    ear.place(1, whatIf=True, lmtPrice="60")
    wait(gateway, 5)
    assert len(ear.heard) == 1
    assert gateway.exchange.orders() == ()
    assert gateway.exchange.books.content().split(b'"now"')[0] == before.split(b'"now"')[0]
    assert ear.place(1, lmtPrice="10") == [], "its id is still free"


def test_margins_count_positions_and_all_working_orders() -> None:
    gateway = open_scene(settings={"positions": {AAPL: Decimal(40)}})
    ear = connect(gateway)
    ear.place(1, lmtPrice="10", totalQuantity=60)
    wait(gateway, 5)
    mark = (price(gateway, AAPL) + price(gateway, AAPL, "bid")) / 2
    said = ear.place(2, whatIf=True, lmtPrice="10", totalQuantity=100)[0][1]
    assert Decimal(said["initMarginBefore"]) == 100 * mark * Decimal("0.5")
    assert Decimal(said["initMarginAfter"]) == 200 * mark * Decimal("0.5")
    assert Decimal(said["maintMarginBefore"]) == 40 * mark * Decimal("0.25")
    assert Decimal(said["maintMarginAfter"]) == 140 * mark * Decimal("0.25")


def test_an_order_that_would_be_rejected_is_answered_with_numbers_and_201() -> None:
    gateway = open_scene()
    ear = connect(gateway)
    answer = ear.place(1, whatIf=True, lmtPrice="60", totalQuantity=1_000_000)
    assert names(answer) == ["openOrder PreSubmitted", "errMsg 201"]
    assert answer[1][1]["id"] == 1


def test_a_question_without_time_in_force_gets_the_notice_first() -> None:
    ear = connect(open_scene())
    answer = ear.place(1, whatIf=True, lmtPrice="60", tif="")
    assert names(answer) == ["errMsg 10349", "openOrder PreSubmitted"]


def test_a_bad_question_is_refused_like_the_order() -> None:
    ear = connect(open_scene(NIGHT))
    ear.place(1, whatIf=True, lmtPrice="60.001")
    ear.place(1, whatIf=True, lmtPrice="60", symbol="NOPE")
    assert ear.errors() == [(1, 110), (1, 200)]

"""The margin preview: an answer, or unknown with the reason; never an order."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.brokers.ib import hands as module
from rebalancer.brokers.ib.hands import IbHands
from rebalancer.brokers.ib.orders import OrderBook
from rebalancer.errors import ConnectError
from rebalancer.store.atomic import Files
from tests.unit.ib.orders.wire import PLACE, UNSET, FedLine, Venue, order

MARGINS = {
    "initMarginBefore": "1000.5",
    "initMarginChange": "500.25",
    "initMarginAfter": "1500.75",
    "equityWithLoanAfter": "99000.10",
    "commission": "1.05",
    "commissionCurrency": "USD",
}


@pytest.fixture
def hands(
    line: FedLine, book: OrderBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> IbHands:
    monkeypatch.setattr(module, "IbVenue", Venue)
    return IbHands(Venue(line, book, tmp_path, Files()))  # type: ignore[arg-type]


def asked(line: FedLine) -> list[list[str]]:
    return [fields for fields in line.sent if fields[0] == PLACE]


def answers(line: FedLine, *margins: dict[str, str] | None) -> None:
    """Answer one what-if after the other; None is silence."""
    left = list(margins)

    def answer(fields: list[str]) -> None:
        said = left.pop(0) if left else None
        if said is not None:
            line.what_if(int(fields[1]), **said)

    line.answers[PLACE] = answer


def test_the_amounts_are_exact(line: FedLine, hands: IbHands) -> None:
    answers(line, MARGINS)
    preview = hands.preview(order())
    assert preview.asked
    assert preview.initial_margin_after == Decimal("1500.75")
    assert preview.equity_with_loan_after == Decimal("99000.10")
    assert preview.commission == Decimal("1.05")
    assert preview.message == ""


def test_a_what_if_frame_differs_from_an_order_in_one_field_only(
    line: FedLine, hands: IbHands
) -> None:
    answers(line, MARGINS)
    hands.preview(order())
    line.answers.clear()
    hands.submit([order()])
    question, real = asked(line)
    differing = [n for n, (a, b) in enumerate(zip(question, real, strict=True)) if a != b]
    assert differing[0] == 1, "the id"
    (flag,) = differing[1:]
    assert (question[flag], real[flag]) == ("1", "0")


def test_a_preview_leaves_no_order_behind(line: FedLine, book: OrderBook, hands: IbHands) -> None:
    answers(line, MARGINS)
    hands.preview(order())
    assert book.orders == []
    assert not book.has_news


def test_unset_numbers_are_no_answer_and_asked_for_once_more(line: FedLine, hands: IbHands) -> None:
    answers(line, {"initMarginAfter": UNSET}, MARGINS)
    assert hands.preview(order()).initial_margin_after == Decimal("1500.75")
    assert len(asked(line)) == 2


def test_silence_is_unknown_after_two_questions(line: FedLine, hands: IbHands) -> None:
    preview = hands.preview(order())
    assert preview.asked
    assert preview.initial_margin_after is None
    assert "the margin is unknown" in preview.message
    assert len(asked(line)) == 2


def test_a_refusal_is_an_answer_with_ibs_words(line: FedLine, hands: IbHands) -> None:
    line.answers[PLACE] = lambda fields: line.error(int(fields[1]), 201, "Order rejected: funds")
    preview = hands.preview(order())
    assert preview.initial_margin_after is None
    assert preview.message == "the margin is unknown: Order rejected: funds (IB 201)"
    assert len(asked(line)) == 1


def test_a_notice_that_the_library_takes_for_no_answer_is_told(
    line: FedLine, hands: IbHands
) -> None:
    line.answers[PLACE] = lambda fields: line.error(int(fields[1]), 399, "held until the opening")
    assert "held until the opening" in hands.preview(order()).message


@pytest.mark.parametrize("bad", ["", UNSET, "nan", "-1", "text"])
def test_a_margin_that_is_no_amount_is_unknown(line: FedLine, hands: IbHands, bad: str) -> None:
    answers(line, MARGINS | {"initMarginAfter": bad}, MARGINS | {"initMarginAfter": bad})
    assert hands.preview(order()).initial_margin_after is None


def test_a_fee_in_another_currency_is_said_and_not_added(line: FedLine, hands: IbHands) -> None:
    answers(line, MARGINS | {"commissionCurrency": "EUR"})
    preview = hands.preview(order())
    assert preview.commission is None
    assert "1.05 EUR" in preview.message


def test_what_cannot_be_ordered_is_not_asked(line: FedLine, hands: IbHands) -> None:
    assert "multiple of 1" in hands.preview(order("0.5")).message
    assert line.sent == []


def test_a_broken_line_is_a_connection_error(line: FedLine, hands: IbHands) -> None:
    line.broken = "gone"
    with pytest.raises(ConnectError):
        hands.preview(order())

"""Stops and money that the venue booked by itself, in the words of a report."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.income import Income, IncomeKind
from rebalancer.model.orders import OrderStatus
from rebalancer.model.stops import StopOrder
from rebalancer.reports.costs import costs, costs_text
from rebalancer.reports.protection import stops_section
from rebalancer.reports.summary import summary_text
from tests.unit.reports.stories import APPLE, SLOT, record

D = Decimal


def a_stop(number: int, quantity: str, trigger: str) -> StopOrder:
    return StopOrder(
        f"demo.2601051505p1.{'A' * 8}.{number}", str(number), APPLE, D(quantity), D(trigger),
        None, OrderStatus.WORKING, SLOT,
    )  # fmt: skip


def test_stops_are_shown_by_instrument_with_what_they_close_together() -> None:
    stops = (a_stop(1, "-2", "95"), a_stop(2, "-3", "93"))
    text = summary_text(record(stops=stops))
    assert "Protective stops at the venue" in text
    assert "-5" in text
    assert "93.00 to 95.00" in text


def test_no_stops_are_no_section() -> None:
    assert stops_section(()) is None
    assert "Protective stops" not in summary_text(record())


def an_income(kind: IncomeKind, amount: str, asset: str = "USDT") -> Income:
    return Income(f"{kind}{amount}{asset}", kind, asset, D(amount), SLOT)


def test_funding_and_profit_stand_beside_the_fees_and_not_in_them() -> None:
    income = (
        an_income(IncomeKind.FUNDING, "-1.25"),
        an_income(IncomeKind.FUNDING, "0.75"),
        an_income(IncomeKind.REALISED, "40"),
        an_income(IncomeKind.COMMISSION, "-9"),
        an_income(IncomeKind.TRANSFER, "1000"),
    )
    spent = costs((), (), income)
    assert spent.commissions == {}
    assert spent.funding == {"USDT": D("-0.5")}  # -1.25 + 0.75
    assert spent.realised == {"USDT": D(40)}
    text = costs_text(spent, "USDT")
    assert text == (
        "Nothing was executed, so trading cost nothing. Funding: -0.50 USDT. "
        "Realised profit: +40.00 USDT."
    )


def test_without_income_the_words_are_as_ever() -> None:
    assert costs_text(costs((), ()), "USD") == "Nothing was executed, so trading cost nothing."

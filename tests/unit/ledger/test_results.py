"""What executions gained and cost, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from rebalancer.ledger import results, shortfalls
from rebalancer.ledger.income import income_entries
from rebalancer.model.income import Income, IncomeKind
from rebalancer.model.money import FxRate, FxRates
from rebalancer.model.records import Entry, EntryKind
from rebalancer.model.universe import Universe
from tests.unit.risk.builders import NOW, SLOT, A, B, a_fill, a_stock, d

HOUR = timedelta(hours=1)
LONG_AGO = NOW - 1000 * HOUR
UNIVERSE = Universe((a_stock(A), a_stock(B)))
DOLLARS = FxRates("USD", {})


def line(exec_id: str, quantity: str, price: str, hours_ago: int = 0, **changes: Any) -> Entry:
    decision = changes.pop("decision", None)
    fill = a_fill(exec_id, quantity, price, at=NOW - hours_ago * HOUR, **changes)
    return Entry(EntryKind.FILL, SLOT, fill, None if decision is None else d(str(decision)))


def test_a_sale_gains_against_average_cost_less_its_fee() -> None:
    bought = line("1", "10", "100", 9, commission=d(1))
    more = line("2", "10", "110", 8)  # average cost (1,000 + 1,100) / 20 = 105
    sold = line("3", "-8", "95", 1, commission=d(2))
    found = results((bought, more, sold), UNIVERSE, DOLLARS, LONG_AGO)
    assert [(each.instrument, each.amount) for each in found] == [
        (A, d(-1)),  # the fee of buying
        (A, d(0)),
        (A, d(-82)),  # 8 x (95 - 105) - 2
    ]
    # What was bought before the window still tells what the sale gained.
    assert [each.amount for each in results((bought, more, sold), UNIVERSE, DOLLARS, NOW - HOUR)
            ] == [d(-82)]  # fmt: skip
    assert results((bought, more, sold), UNIVERSE, DOLLARS, NOW) == ()


def test_a_short_loses_when_it_is_bought_back_dearer() -> None:
    lines = (line("1", "-10", "100", 2), line("2", "10", "103", 1))
    assert results(lines, UNIVERSE, DOLLARS, NOW - HOUR)[0].amount == d(-30)


def test_multiplier_and_rate_turn_points_into_base_currency() -> None:
    stock = replace(a_stock(A), multiplier=d(5))
    rates = FxRates("EUR", {"USD": FxRate(d("0.5"), NOW)})
    lines = (line("1", "2", "100", 2), line("2", "-2", "90", 1, commission=d(4)))
    # 2 x -10 x 5 = -100 USD = -50 EUR, less 4 USD = 2 EUR
    assert results(lines, Universe((stock,)), rates, NOW - HOUR)[0].amount == d(-52)
    assert results(lines, Universe((stock,)), FxRates("EUR", {}), NOW - HOUR) == ()
    assert results(lines, Universe((a_stock(B),)), DOLLARS, NOW - HOUR) == ()


def test_adopted_holdings_gain_nothing_but_tell_what_they_cost() -> None:
    adopted = replace(line("1", "10", "100", 1), kind=EntryKind.ADOPTION)
    found = results((adopted, line("2", "-10", "97")), UNIVERSE, DOLLARS, LONG_AGO)
    assert [each.amount for each in found] == [d(-30)]


def test_funding_counts_and_realised_profit_of_the_venue_does_not_count_twice() -> None:
    paid = Income("f1", IncomeKind.FUNDING, "USD", d(-7), NOW, A)
    told = Income("r1", IncomeKind.REALISED, "USD", d(-500), NOW, A)
    unknown = Income("f2", IncomeKind.FUNDING, "XYZ", d(-7), NOW, A)
    lines = income_entries((paid, told, unknown), (), SLOT)
    assert [each.amount for each in results(lines, UNIVERSE, DOLLARS, NOW - HOUR)] == [d(-7)]


def test_a_corrected_execution_counts_as_it_stands_now() -> None:
    first, fixed = a_fill("a.b.c.01", "-10", "90"), a_fill("a.b.c.02", "-10", "99")
    lines = (
        line("0", "10", "100", 5),
        Entry(EntryKind.FILL, SLOT, first),
        Entry(EntryKind.CORRECTION, SLOT, fixed, None, first.exec_id, first),
    )
    assert [each.amount for each in results(lines, UNIVERSE, DOLLARS, NOW)] == [d(-10)]


def test_shortfall_is_what_was_paid_beyond_the_decision_price() -> None:
    lines = (
        line("1", "10", "101", decision=100),  # bought a point dearer: 10
        line("2", "-10", "98", decision=100),  # sold two points cheaper: 20
        line("3", "-10", "103", decision=100),  # sold three points dearer: -30
        line("4", "10", "101"),  # nobody here decided it
        line("5", "10", "101", 3, decision=100),  # too long ago
    )
    found = shortfalls(lines, UNIVERSE, DOLLARS, NOW - HOUR)
    assert [each.cost for each in found] == [d(10), d(20), d(-30)]
    assert {each.notional for each in found} == {Decimal(1_000)}
    assert shortfalls(lines, UNIVERSE, DOLLARS, NOW + HOUR) == ()

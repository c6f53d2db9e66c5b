"""A split in the books: other units at the same cost in all, and nothing gained or lost by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.ledger import (
    adjustments,
    average_cost,
    cash_effects,
    compare_books,
    entries_for,
    newly_traded,
    positions,
    results,
    splits,
    trade_records,
)
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.money import FxRates
from rebalancer.model.orders import SPLIT
from rebalancer.model.records import Entry, EntryKind
from rebalancer.model.universe import Universe
from tests.unit.risk.builders import NOW, SLOT, A, B, a_fill, a_position, a_stock, an_account, d

DAY = timedelta(days=1)
UNIVERSE = Universe((a_stock(A), a_stock(B)))
DOLLARS = FxRates("USD", {})
COIN = InstrumentId("BTCUSDT.SPOT@BINANCE")


def filled(exec_id: str, quantity: str, price: str, days_ago: int = 0) -> Entry:
    fill = a_fill(exec_id, quantity, price, at=NOW - days_ago * DAY, commission=d(0))
    return Entry(EntryKind.FILL, SLOT, fill)


def booked_as_split(
    before: str, cost: str, after: str, theirs: str | None, price: str = "100"
) -> tuple[Entry, ...]:
    """Return the lines of a holding, and of the owner's word that it went through a split."""
    bought = filled("1", before, cost, 30)
    average = None if theirs is None else d(theirs)
    account = an_account(a_position(A, after, price, average_cost=average))
    breaks = compare_books({A: d(before)}, account, UNIVERSE)
    return (bought, *adjustments(breaks, account, UNIVERSE, SLOT, {}, {A: d(cost)}))


@pytest.mark.parametrize(
    ("before", "cost", "after", "theirs", "price", "gain"),
    [
        ("100", "200", "200", "100", "100", 0),  # 2:1
        ("1000", "10", "100", "100", "60", -4_000),  # 1:10
        ("-100", "200", "-200", "100", "100", 0),
        ("-1000", "10", "-100", "100", "60", 4_000),
        ("100", "200", "200", None, "130", 6_000),  # the venue does not tell its cost
        ("1005", "10", "100", "100.5", "100", -50),  # cash came for the last five
    ],
)
def test_what_is_closed_after_a_split_gains_against_its_old_cost_in_all(
    before: str, cost: str, after: str, theirs: str | None, price: str, gain: int
) -> None:
    entries = booked_as_split(before, cost, after, theirs)
    held = average_cost(entries)[A]
    assert (held.quantity, held.realised) == (d(after), d(0))
    assert held.quantity * held.average_cost == d(before) * d(cost)
    closed = filled("2", str(-d(after)), price)
    found = results((*entries, closed), UNIVERSE, DOLLARS, NOW - DAY)
    assert [result.amount for result in found] == [gain]
    assert average_cost((*entries, closed))[A].realised == gain


def test_such_a_line_moves_units_and_nothing_else() -> None:
    entries = booked_as_split("100", "200", "200", "100")
    line = entries[-1]
    assert (line.kind, line.fill.origin, line.fill.quantity) == (
        EntryKind.ADJUSTMENT, SPLIT, d(100),
    )  # fmt: skip
    assert positions(entries) == {A: d(200)}
    assert cash_effects((line,), UNIVERSE) == {}
    assert newly_traded((line,)) == ()
    assert [row.exec_id for row in trade_records(entries)] == ["1"]
    assert results(entries, UNIVERSE, DOLLARS, NOW - DAY) == ()
    assert splits(entries, 0) == splits(entries, 1) == ((A, d(100), d(200)),)
    assert splits(entries, 2) == ()


def test_an_execution_that_is_told_after_the_split_is_in_the_position_already() -> None:
    entries = booked_as_split("100", "200", "200", "100")
    late = a_fill("9", "10", "200", at=NOW - DAY)
    told = entries_for((late,), entries, SLOT, {})
    assert [line.kind for line in told] == [EntryKind.ADJUSTMENT, EntryKind.FILL]
    assert positions((*entries, *told)) == {A: d(200)}


def test_a_correction_of_before_the_split_is_in_the_cost_after_it() -> None:
    entries = booked_as_split("100", "200", "200", "100")
    fixed = replace(entries[0].fill, price=d(210))
    line = Entry(EntryKind.CORRECTION, SLOT, fixed, None, "1", entries[0].fill)
    assert average_cost((*entries, line))[A].average_cost == 105
    gone = Entry(EntryKind.BUST, SLOT, replace(fixed, quantity=d(0)), None, "1", entries[0].fill)
    assert average_cost((*entries, gone))[A].quantity == 100


def test_what_the_venue_says_to_cost_what_a_trade_would_is_no_split() -> None:
    for before, cost, after, theirs in (
        ("100", "200", "50", "200"),  # the half was sold by hand: the rest costs what it did
        ("-100", "200", "-50", "200"),
        ("100", "80", "200", "90.01"),  # as much again was bought at 100
    ):
        line = booked_as_split(before, cost, after, theirs)[-1]
        assert (line.kind, line.fill.origin) == (EntryKind.ADJUSTMENT, "")
        assert line.fill.price == d(theirs)


@pytest.mark.parametrize("after", ["0", "-200"])
def test_a_position_that_is_gone_or_turned_around_was_not_split(after: str) -> None:
    entries = booked_as_split("100", "200", after, None)
    assert entries[-1].fill.origin == ""
    assert splits(entries, 0) == ()


def test_only_what_is_named_was_split_and_only_shares_are() -> None:
    coin = Instrument(COIN, Kind.SPOT, "BTCUSDT", "USD", "24/7")
    universe = Universe((a_stock(A), a_stock(B), coin))
    expected = {name: d(100) for name in (A, B, COIN)}
    held = replace(a_position(A, "200"), average_cost=None)
    account = an_account(*(replace(held, instrument=name) for name in expected))
    breaks = compare_books(expected, account, universe)
    lines = adjustments(breaks, account, universe, SLOT, {}, {A: d(200), COIN: d(200)})
    assert {line.fill.instrument: line.fill.origin for line in lines} == {A: SPLIT, B: "", COIN: ""}


def test_lines_without_the_origin_are_read_as_they_were() -> None:
    bought, line = booked_as_split("100", "200", "200", "100")
    old = replace(line, fill=replace(line.fill, origin=""))
    assert average_cost((bought, old))[A].average_cost == 150
    sold = filled("2", "-200", "100")
    assert [each.amount for each in results((bought, old, sold), UNIVERSE, DOLLARS, NOW - DAY)] == [
        Decimal(-10_000)
    ]

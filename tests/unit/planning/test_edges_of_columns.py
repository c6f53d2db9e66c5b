"""Columns and memory at their edges: many digits, zeros, what no price sizes, several orders."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.signals import Coverage, Unit
from rebalancer.model.universe import Universe
from rebalancer.planning.columns import compile_universe, digits_of, refined
from tests.unit.planning.worlds import (
    account,
    exactly,
    market,
    plan,
    quote,
    ruled,
    signal,
    sleeve,
    stock,
    wanted,
)

D = Decimal
A, B, C = stock("A"), stock("B"), stock("C")


def test_the_columns_of_several_orders_are_each_rows_own() -> None:
    # The largest goes first: C, then A, then B; each at its own price, in thousandths.
    made = plan(
        [A, B, C], {A: "0.2", B: "0.1", C: "0.5"}, account("1000"),
        market(quote(A, "10"), quote(B, "20"), quote(C, "25")),
    )  # fmt: skip
    assert made.columns is not None
    assert made.columns.sequence.tolist() == [2, 3, 1]
    assert made.columns.limit.tolist() == [10_000, 20_000, 25_000]
    assert made.columns.delta.tolist() == [20, 5, 20]
    assert [order.sequence for order in made.orders] == [1, 2, 3]
    assert made.net_liquidation == 1000


@pytest.mark.parametrize(("digits", "sold"), [(1, True), (15, True), (16, False), (19, False)])
def test_whole_lots_are_sold_of_what_a_column_can_count(digits: int, sold: bool) -> None:
    # Five and a rest of 10^-15 are 5,000,000,000,000,001 of these: less than 2^53. A digit more
    # is beyond it, and the holding stays.
    held = D(f"5.{1:0{digits}}")
    made = plan([A, B], {B: "0.5"}, account("1000", {A: held}), market(
        quote(A, "10"), quote(B, "10")))  # fmt: skip
    assert wanted(made) == ({"A": D(-5)} if sold else {}) | {"B": D(50)}


@pytest.mark.parametrize("digits", [1, 17, 18, 19, 20, 62, 63, 64, 70])
def test_a_rest_of_however_many_decimals_is_held_as_it_is(digits: int) -> None:
    rest = D(1).scaleb(-digits)
    made = plan([A, B], {B: "0.5"}, account("1000", {A: rest}), market(
        quote(A, "10"), quote(B, "10")))  # fmt: skip
    assert wanted(made) == {"B": D(50)}
    assert made.lines()[0].current_quantity == rest


@pytest.mark.parametrize(("more", "unit"), [(0, 1.0), (3, 1e3), (63, 1e63)])
def test_the_finer_unit_of_a_size_is_a_power_of_ten(more: int, unit: float) -> None:
    rules = refined(compile_universe(Universe([A, B])), {0: more})
    assert rules.size_unit.tolist() == [unit, 1.0]
    assert rules.size_digits.tolist() == [more, 0]


def test_zero_lots_of_a_fine_size_are_remembered_as_plain_zero() -> None:
    fine = stock("F", rules=ruled("0.01", "0.001"))
    made = plan([fine], {fine: "0"}, account("1000", {fine: "5"}), market(quote(fine, "10")))
    assert made.sleeve_lots["s"][fine.id].as_tuple() == D(0).as_tuple()


@pytest.mark.parametrize(
    ("lots", "kept"),
    [(str(2**53 - 1), D(2**53 - 1)), (str(2**53), D(7)), (str(2**53 + 2), D(7)), ("1e17", D(7))],
)
def test_lots_beyond_what_is_counted_exactly_leave_memory_as_it_was(
    lots: str, kept: Decimal
) -> None:
    made = plan(
        [A], {A: lots}, account("1000"), market(), said={"unit": Unit.LOTS},
        lots={"s": {A.id: D(7)}},
    )  # fmt: skip
    assert abs(made.sleeve_lots["s"][A.id] - kept) < 1


@pytest.mark.parametrize("known", [True, False])
def test_of_a_partial_signal_what_no_price_sizes_is_remembered_as_it_was(known: bool) -> None:
    memory: dict[InstrumentId, Decimal] = {A.id: D(7)} if known else {}
    made = plan(
        [A, B], None, account("1000"), market(quote(B, "10")), exactly(),
        sleeves=(sleeve("s", [A, B]),), lots={"s": memory},
        signals={"s": signal("s", {A: "0.2", B: "0.1"}, coverage=Coverage.PARTIAL)},
    )  # fmt: skip
    assert made.sleeve_lots == {"s": memory | {B.id: D(10)}}


@pytest.mark.parametrize(
    ("number", "digits"),
    [("0", 0), ("100", 0), ("1.0", 0), ("1E+3", 0), ("0.10", 1), ("0.01", 2), ("-2.50", 1),
     ("NaN", 0), ("Infinity", 0)],
)  # fmt: skip
def test_zeros_at_the_end_are_no_decimals(number: str, digits: int) -> None:
    assert digits_of(D(number)) == digits


def test_a_universe_without_instruments_has_a_plan_without_orders() -> None:
    made = plan([], {}, account("1000"), market())
    assert (made.orders, made.flags, made.lines()) == ((), (), ())

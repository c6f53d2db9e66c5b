"""Our books against the venue's account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rebalancer.errors import DataError
from rebalancer.ledger import (
    Break,
    adjustments,
    adoption,
    compare_books,
    corporate_actions,
    looks_like_split,
    positions,
    trade_records,
    unmanaged,
)
from rebalancer.model.orders import parse_reference
from rebalancer.model.records import EntryKind, Mode, Outcome, RunRecord
from rebalancer.model.universe import Universe
from tests.unit.risk.builders import (
    NOW,
    SLOT,
    A,
    B,
    C,
    a_position,
    a_stock,
    an_account,
    d,
    identifier,
)

UNIVERSE = Universe([a_stock(A), a_stock(B)])


def a_record(**changes: Any) -> RunRecord:
    """Return the record of a quiet run."""
    values: dict[str, Any] = {
        "schema": 1,
        "portfolio": "demo",
        "slot": SLOT,
        "attempt": 1,
        "mode": Mode.PAPER,
        "session": SLOT.date(),
        "outcome": Outcome.FINISHED,
        "exit_code": 0,
        "reached": 13,
        "now": NOW,
    }
    return RunRecord(**(values | changes))


def test_books_that_agree_have_no_break() -> None:
    account = an_account(a_position(A, "10"), a_position(B, "0"))
    assert compare_books({A: d(10)}, account, UNIVERSE) == ()


def test_every_disagreement_in_the_universe_is_a_break() -> None:
    account = an_account(a_position(B, "3"), a_position(C, "5"))
    assert compare_books({A: d(10)}, account, UNIVERSE) == (
        Break(A, d(10), d(0)),
        Break(B, d(0), d(3)),
    )


def test_what_is_outside_the_universe_is_listed_and_not_compared() -> None:
    account = an_account(a_position(C, "5"), a_position(identifier("OLD"), "0"), a_position(A, "1"))
    assert unmanaged(account, UNIVERSE) == (C,)
    assert compare_books({A: d(1), C: d(7)}, account, UNIVERSE) == ()


@pytest.mark.parametrize(
    ("expected", "found", "ratio"),
    [
        ("100", "200", "2:1"),
        ("100", "150", "3:2"),
        ("7", "21", "3:1"),
        ("1000", "100", "1:10"),
        ("-10", "-40", "4:1"),
        ("33", "49", None),  # 1.4848 is 1 % off 3:2, and not as far
        ("100", "110", None),
        ("100", "0", None),
        ("100", "-200", None),
        ("0", "100", None),
        ("100", "100", None),
    ],
)
def test_quantities_with_the_shape_of_a_split(expected: str, found: str, ratio: str | None) -> None:
    assert looks_like_split(d(expected), d(found)) == ratio


@pytest.mark.parametrize(
    ("close", "quote", "ratio"),
    [
        ("400", "101", "4:1"),  # 3.96
        ("150", "98", "3:2"),
        ("10", "102", "1:10"),
        ("120", "100", None),  # 6:5 in price alone is an ordinary bad day
        ("100", "100", None),
        ("170", "100", None),
        ("0", "100", None),
    ],
)
def test_a_price_that_jumped_near_a_simple_ratio(close: str, quote: str, ratio: str | None) -> None:
    assert looks_like_split(d(10), d(10), d(close), d(quote)) == ratio


def test_corporate_actions_are_seen_from_quantity_price_and_contract() -> None:
    account = an_account(a_position(A, "20", contract="1"), a_position(B, "10", contract="2"))
    found = corporate_actions({A: d(10), B: d(10)}, account, UNIVERSE, {A: "1", B: "2"})
    assert [(act.instrument, act.evidence) for act in found] == [(A, "2:1")]
    found = corporate_actions({A: d(20), B: d(10)}, account, UNIVERSE, {A: "1", B: "9"})
    assert [(act.instrument, act.evidence) for act in found] == [(B, "9>2")]
    prices = {A: (d(400), d(100))}
    found = corporate_actions({A: d(20), B: d(10)}, account, UNIVERSE, {}, prices)
    assert [(act.instrument, act.evidence) for act in found] == [(A, "4:1")]
    assert corporate_actions({A: d(20), B: d(10)}, account, UNIVERSE, {A: ""}) == ()


@pytest.mark.parametrize(
    ("expected", "mark", "price", "seen"),
    [
        ("10", "200", "100", "2:1"),
        ("10", "10", "100", "1:10"),
        ("10", "104", "100", None),  # an ordinary day
        ("10", "180", "100", None),  # no simple ratio
        ("9", "200", "100", None),  # the position changed as well: the books tell that
        ("10", "200", None, None),
        ("10", None, "100", None),
    ],
)
def test_a_split_that_reached_a_price_and_no_position_is_seen_from_the_accepted_price(
    expected: str, mark: str | None, price: str | None, seen: str | None
) -> None:
    held = replace(a_position(A, "10"), price=None if price is None else d(price))
    close = {A: (d(100), d(100))}  # the venue has divided the closes of the past as well
    marks = {} if mark is None else {A: d(mark)}
    found = corporate_actions({A: d(expected)}, an_account(held), UNIVERSE, {}, close, marks)
    assert [act.evidence for act in found] == ([] if seen is None else [seen])
    if seen is not None:
        assert f"from {mark} to {price}" in found[0].reason
        assert "the position is 10 as before" in found[0].reason


def test_what_is_not_held_has_no_split_of_its_own() -> None:
    nothing = an_account(a_position(A, "0", price="100"))
    assert corporate_actions({}, nothing, UNIVERSE, {}, {}, {A: d(200), B: d(200)}) == ()


def test_adoption_books_what_is_held_at_its_cost() -> None:
    account = an_account(
        a_position(A, "10", average_cost=d(80)),
        a_position(B, "-4", average_cost=None),
        a_position(C, "1"),
    )
    entries = adoption(account, UNIVERSE, {}, SLOT)
    assert positions(entries) == {A: d(10), B: d(-4)}
    assert [entry.kind for entry in entries] == [EntryKind.ADOPTION] * 2
    assert [entry.fill.price for entry in entries] == [d(80), d(100)]
    assert entries[0].fill.exec_id == f"adopt:2026-01-05T1505Z:{A}"
    assert parse_reference(entries[0].fill.reference, "demo") is None
    assert trade_records(entries) == ()
    assert adoption(account, UNIVERSE, positions(entries), SLOT) == ()


def test_a_holding_without_any_price_is_not_adopted() -> None:
    account = an_account(replace(a_position(A, "10"), average_cost=None, price=None))
    with pytest.raises(DataError, match=A):
        adoption(account, UNIVERSE, {}, SLOT)


def test_adjustments_make_the_books_agree() -> None:
    account = an_account(a_position(A, "20"))
    expected = {A: d(10), B: d(5)}
    breaks = compare_books(expected, account, UNIVERSE)
    entries = adjustments(breaks, account, UNIVERSE, SLOT, {B: d(42)})
    assert positions(entries, expected) == {A: d(20)}
    assert [(e.kind, e.fill.price) for e in entries] == [
        (EntryKind.ADJUSTMENT, d(100)),
        (EntryKind.ADJUSTMENT, d(42)),
    ]
    with pytest.raises(DataError, match=B):
        adjustments(breaks, account, UNIVERSE, SLOT, {})

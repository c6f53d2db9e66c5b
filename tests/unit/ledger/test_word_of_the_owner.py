"""What the owner said an order traded, and the executions that the venue tells of it later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.ledger import (
    RESOLVED,
    average_cost,
    cash_effects,
    entries_for,
    newly_traded,
    positions,
    trade_records,
)
from rebalancer.model.orders import Fill
from rebalancer.model.records import Entry, EntryKind
from rebalancer.model.universe import Universe
from tests.unit.risk.builders import NOW, SLOT, A, a_fill, a_stock, d

UNIVERSE = Universe([a_stock(A)])
REFERENCE = a_fill().reference
WORD = f"{RESOLVED}{REFERENCE.replace('.', '-')}"


def said(quantity: str = "-40", price: str = "50.12", before: tuple[Entry, ...] = ()) -> Entry:
    """Return the line that `rebalancer resolve` writes an hour after the order."""
    missing = d(quantity) - sum((entry.fill.quantity for entry in before), Decimal(0))
    fill = a_fill(WORD, f"{missing}", price, venue_order_id="", at=NOW + timedelta(hours=1))
    return Entry(EntryKind.FILL, SLOT, fill, d("50.20"))


def told(exec_id: str, quantity: str, **more: Any) -> Fill:
    return a_fill(exec_id, quantity, "50.10", **more)


def later(known: tuple[Entry, ...], *fills: Fill) -> tuple[Entry, ...]:
    """Return the books after a run was told executions."""
    return known + entries_for(fills, known, SLOT, {REFERENCE: d("50.20")})


def traded(books: tuple[Entry, ...]) -> list[tuple[str, Decimal]]:
    return [(row.exec_id, row.quantity) for row in trade_records(books)]


def adjusted(quantity: str, at: timedelta = timedelta(hours=2)) -> Entry:
    fill = a_fill("adjust:x", quantity, "50", reference="", at=NOW + at)
    return Entry(EntryKind.ADJUSTMENT, SLOT, fill)


def test_an_execution_told_after_the_owners_word_takes_its_place() -> None:
    books = later((said(),), told("e1", "-40"))
    assert positions(books) == {A: d(-40)}
    assert traded(books) == [("e1", d(-40))]
    assert trade_records(books)[0].price == d("50.10")
    assert cash_effects(books, UNIVERSE) == {"USD": d("2004.00")}
    assert average_cost(books)[A].average_cost == d("50.10")
    assert later(books, told("e1", "-40")) == books  # told twice


def test_what_was_told_in_parts_takes_the_words_place_part_by_part() -> None:
    books = later((said(),), told("e1", "-15"))
    assert traded(books) == [(WORD, d(-25)), ("e1", d(-15))]
    assert positions(books) == {A: d(-40)}
    both = later(books, told("e1", "-15"), told("e2", "-25"))
    assert traded(both) == [("e1", d(-15)), ("e2", d(-25))]
    assert both == later((said(),), told("e1", "-15"), told("e2", "-25"))
    assert len({(entry.kind, entry.fill.exec_id) for entry in both}) == len(both)


def test_more_than_the_owner_said_is_booked_whole_and_less_leaves_the_rest_of_his_word() -> None:
    assert traded(later((said("-30"),), told("e1", "-40"))) == [("e1", d(-40))]
    less = later((said(),), told("e1", "-30"))
    assert traded(less) == [(WORD, d(-10)), ("e1", d(-30))]
    assert positions(less) == {A: d(-40)}  # the venue has -30: for the books' check to find


def test_what_was_booked_before_the_owners_word_is_in_it() -> None:
    before = later((), told("e1", "-15"))
    books = (*before, said("-40", before=before))
    assert positions(books) == {A: d(-40)}
    assert later(books, told("e1", "-15")) == books
    assert traded(later(books, told("e2", "-25"))) == [("e1", d(-15)), ("e2", d(-25))]
    assert positions(later(books, told("e2", "-30"))) == {A: d(-45)}


def test_a_commission_that_comes_later_is_the_executions_own() -> None:
    books = later((said(),), told("e1", "-40"))
    paid = told("e1", "-40", commission=d("1.25"), commission_currency="USD")
    books = later(books, paid)
    assert [entry.kind for entry in books[-1:]] == [EntryKind.COMMISSION]
    assert [(row.exec_id, row.commission) for row in trade_records(books)] == [("e1", d("1.25"))]
    assert cash_effects(books, UNIVERSE) == {"USD": d("2002.75")}


def test_a_correction_of_what_was_told_takes_off_more_of_the_word_and_a_bust_gives_none_back() -> (
    None
):
    first, second, bust = "f4e8.65a1.01.01", "f4e8.65a1.01.02", "f4e8.65a1.01.03"
    books = later((said(),), told(first, "-15"))
    more = later(books, told(second, "-20"))
    assert traded(more) == [(WORD, d(-20)), (second, d(-20))]
    assert positions(later(more, told(bust, "0"))) == {A: d(-20)}
    assert positions(later(more, told("e2", "-20"), told(bust, "0"))) == {A: d(-20)}


def test_another_orders_execution_leaves_the_word_alone() -> None:
    other = REFERENCE.replace("r1", "r2")
    books = later((said(),), told("e1", "-40", reference=other), told("e2", "-1", reference=""))
    assert positions(books) == {A: d(-81)}
    assert (WORD, d(-40)) in traded(books)


def test_an_order_said_to_be_dead_has_its_execution_booked() -> None:
    books = later((), told("e1", "-40"))  # `resolve --dead` writes no line
    assert (positions(books), traded(books)) == ({A: d(-40)}, [("e1", d(-40))])


def test_an_adjustment_after_the_owners_word_is_taken_back_only_once() -> None:
    # He said -40, the venue held -30, and the books were adjusted to that.
    known = (said(), adjusted("10"))
    within = later(known, told("e1", "-30"))
    assert positions(within) == {A: d(-30)}
    assert traded(within) == [(WORD, d(-10)), ("e1", d(-30))]
    # With more than he said, the rest is in the position that was adjusted to, too.
    assert positions(later(known, told("e1", "-50"))) == {A: d(-30)}
    # What trades after the adjustment moves the position, whatever he said.
    assert positions(later(known, told("e1", "-5", at=NOW + timedelta(hours=3)))) == {A: d(-35)}


def test_a_word_after_an_adjustment_that_had_it_all_is_taken_off_as_well() -> None:
    # The owner let the books follow the venue, then said what the venue showed already.
    books = later((adjusted("-40", timedelta(minutes=30)), said()), told("e1", "-40"))
    assert positions(books) == {A: d(-40)}
    assert traded(books) == [("e1", d(-40))]


@pytest.mark.parametrize("whole", [False, True])
def test_a_torn_write_is_finished_and_nothing_is_taken_back_twice(whole: bool) -> None:
    known = (said(), adjusted("10")) if whole else (said(),)
    fills = (told("e1", "-15"), told("e2", "-35"))
    books = later(known, *fills)
    for length in range(len(known), len(books)):
        again = later(books[:length], *fills)
        names = {(entry.kind, entry.fill.exec_id): entry for entry in reversed(again)}
        assert positions(names.values()) == positions(books), length
        assert sorted(traded(again)) == sorted(traded(books)), length


def test_turnover_counts_what_the_word_had_counted_once() -> None:
    word = said()
    known = (word,)
    books = later(known, told("e1", "-15"), told("e2", "-30"))
    assert newly_traded(known) == (word.fill,)
    assert [fill.quantity for fill in newly_traded(books)] == [-40, -5]
    assert [fill.quantity for fill in newly_traded(books[1:])] == [-5]
    plain = later((), told("e1", "-15"))
    assert newly_traded(plain) == (plain[0].fill,)


def test_lines_of_an_older_program_are_read_as_they_are() -> None:
    old = replace(said().fill, exec_id="resolve:demo-2601051505r1-AAAAAAAA-0")
    assert old.exec_id == WORD
    assert traded((Entry(EntryKind.FILL, SLOT, old),)) == [(WORD, d(-40))]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 30),
    st.lists(st.integers(1, 20), max_size=4),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_the_books_hold_the_larger_of_the_owners_word_and_what_was_told(
    word: int, parts: list[int], before: int, twice: int
) -> None:
    fills = [told(f"x{number}", f"-{part}") for number, part in enumerate(parts)]
    first = later((), *fills[:before])
    so_far = sum(parts[:before])
    known = (*first, said(f"-{word}", before=first)) if word > so_far else first
    books = known
    for fill in (*fills, *fills[:twice]):
        books = later(books, fill)
    whole = max(word, sum(parts)) if word > so_far else sum(parts)
    assert positions(books) == ({A: d(-whole)} if whole else {})
    assert sum(row.quantity for row in trade_records(books)) == -whole
    assert later(known, *fills, *fills[:twice]) == books
    assert sum(-fill.quantity for fill in newly_traded(books)) == whole

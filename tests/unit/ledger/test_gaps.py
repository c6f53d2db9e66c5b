"""Gaps between books and venue: how long they are there, and which may be booked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.ledger import (
    Break,
    GapVerdict,
    adjustments,
    adoption,
    bookable,
    cash_effects,
    compare_books,
    entries_for,
    judge_gaps,
    missing_fills,
    positions,
    remembered_gaps,
    to_ask,
    trade_records,
)
from rebalancer.model.breaks import Gap
from rebalancer.model.orders import Fill, OrderStatus, WorkingOrder
from rebalancer.model.records import Entry, EntryKind
from rebalancer.model.universe import Universe
from tests.unit.risk.builders import (
    NOW,
    SLOT,
    A,
    B,
    a_fill,
    a_position,
    a_stock,
    an_account,
    d,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UNIVERSE = Universe([a_stock(A), a_stock(B)])
BROKEN = Break(A, d(10), d(15))
"""Five more than expected: 500 dollars at 100, half a percent of 100,000."""


def judged(*breaks: Break, **more: Any) -> GapVerdict:
    """Return the verdict on breaks that were first seen an hour before, and asked for."""
    breaks = breaks or (BROKEN,)
    account = an_account(*(a_position(each.instrument, f"{each.found}") for each in breaks))
    ripe = {b.instrument: Gap(b.expected, b.found, SLOT - HOUR, SLOT) for b in breaks}
    given: dict[str, Any] = {
        "gaps": ripe,
        "account": replace(account, net_liquidation=d(100_000)),
        "universe": UNIVERSE,
        "prices": {},
        "blocked": {},
        "slot": SLOT,
        "weight_limit": d("0.01"),
        "most": 3,
    }
    return judge_gaps(breaks, **(given | more))


def test_a_gap_keeps_its_first_time_while_it_is_the_same_and_begins_anew_when_it_changes() -> None:
    first = remembered_gaps({}, (BROKEN,), SLOT)
    assert first == {A: Gap(d(10), d(15), SLOT)}
    assert remembered_gaps(first, (BROKEN,), SLOT + HOUR) == first
    changed = replace(BROKEN, found=d(16))
    assert remembered_gaps(first, (changed,), SLOT + HOUR) == {A: Gap(d(10), d(16), SLOT + HOUR)}
    assert remembered_gaps(first, (), SLOT + HOUR) == {}


def test_the_venue_is_asked_at_once_then_hourly_for_a_day_then_daily() -> None:
    gap, asked, at = Gap(d(1), d(2), SLOT), [], SLOT
    while at <= SLOT + 3 * DAY:
        if to_ask({A: gap}, at):
            asked.append(at)
            gap = replace(gap, asked=at)
        at += HOUR / 2
    hourly = [SLOT + n * HOUR for n in range(25)]
    assert asked == [*hourly, SLOT + 2 * DAY, SLOT + 3 * DAY]


def test_a_small_old_gap_is_booked() -> None:
    assert judged() == GapVerdict((BROKEN,), {})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"blocked": {A: "an order works in it"}}, "an order works in it"),
        ({"gaps": {A: Gap(d(10), d(15), SLOT - HOUR)}}, "could not be asked"),
        ({"gaps": {}}, "could not be asked"),
        ({"gaps": {A: Gap(d(10), d(15), SLOT - HOUR + timedelta(minutes=1), SLOT)}}, "15:06 UTC"),
        ({"weight_limit": d("0.0049")}, "500.00 USD, more than 0.49%"),
        ({"weight_limit": d(0)}, "more than 0.00%"),
        ({"most": 1}, "1 positions differ"),
        ({"account": replace(an_account(), net_liquidation=d("NaN")), "prices": {A: d(1)}}, "more"),
        ({"account": an_account()}, "what it is worth is not known"),
    ],
)
def test_each_condition_alone_keeps_a_gap_open(more: dict[str, Any], why: str) -> None:
    verdict = judged(**more)
    assert verdict.book == ()
    assert why in verdict.left[A]


def test_a_value_at_the_limit_is_booked_and_what_is_booked_together_has_one_limit() -> None:
    assert judged(weight_limit=d("0.005")).book == (BROKEN,)  # 500 of 100,000
    other = Break(B, d(0), d(6))  # 600
    verdict = judged(BROKEN, other, weight_limit=d("0.01"))
    assert verdict.book == (BROKEN,)
    assert set(verdict.left) == {B}
    assert judged(BROKEN, other, weight_limit=d("0.011")).book == (BROKEN, other)


def test_what_is_held_no_more_is_worth_its_last_price() -> None:
    gone = Break(A, d(5), d(0))
    account = replace(an_account(), net_liquidation=d(100_000))
    assert judged(gone, account=account, prices={A: d(200)}).book == (gone,)
    assert judged(gone, account=account, prices={A: d(201)}).book == ()


quantities = st.integers(-500, 500).map(Decimal)


@given(quantities, quantities, st.integers(0, 180), st.booleans(), st.booleans(), st.booleans())
def test_nothing_is_booked_unless_every_condition_holds(
    expected: Decimal, found: Decimal, minutes: int, asked: bool, busy: bool, same: bool
) -> None:
    broken = Break(A, expected, found)
    seen = Gap(expected, found if same else found + 1, SLOT - minutes * (HOUR / 60))
    gaps = remembered_gaps({A: replace(seen, asked=SLOT) if asked else seen}, (broken,), SLOT)
    verdict = judged(broken, gaps=gaps, blocked={A: "busy"} if busy else {}, prices={A: d(100)})
    small = abs(found - expected) * 100 <= 1000
    may = same and asked and not busy and minutes >= 60 and small
    assert (verdict.book == (broken,)) is may
    assert (A in verdict.left) is not may


@given(st.lists(st.tuples(st.sampled_from([A, B]), quantities), max_size=6), st.data())
def test_booked_gaps_close_exactly(held: list[tuple[Any, Decimal]], data: st.DataObject) -> None:
    """Books of any past plus the adjustments of their breaks are what the venue says."""
    past = entries_for(
        [a_fill(f"f{n}", f"{q}", "50", name) for n, (name, q) in enumerate(held) if q], (), SLOT, {}
    )
    venue = {name: data.draw(quantities) for name in (A, B)}
    account = an_account(*(a_position(name, f"{q}") for name, q in venue.items()))
    breaks = compare_books(positions(past), account, UNIVERSE)
    lines = adjustments(breaks, account, UNIVERSE, SLOT, {A: d(1), B: d(1)})
    assert compare_books(positions([*past, *lines]), account, UNIVERSE) == ()
    assert cash_effects(lines, UNIVERSE) == {}


# ------------------------------------------------------- executions that come after all


def adjusted(quantity: str, at: datetime = NOW) -> tuple[Entry, ...]:
    """Return books that were adjusted to the venue's position at a time."""
    account = replace(an_account(a_position(A, quantity)), at=at)
    return adjustments([Break(A, d(0), d(quantity))], account, UNIVERSE, SLOT, {})


def test_an_execution_that_an_adjustment_covers_is_told_and_changes_nothing() -> None:
    late = a_fill("x.1.1.01", "7", at=NOW - HOUR, commission=d(1), commission_currency="USD")
    known = adjusted("7")
    back, fill = entries_for([late], known, SLOT, {})
    # In this order: a write that is torn after the first line is repaired by the next run.
    assert (back.kind, fill.kind) == (EntryKind.ADJUSTMENT, EntryKind.FILL)
    assert positions([*known, back, fill]) == {A: d(7)}
    assert cash_effects([back, fill], UNIVERSE) == {"USD": d(0)}
    assert [row.exec_id for row in trade_records([*known, back, fill])] == ["x.1.1.01"]
    assert entries_for([late], [*known, back, fill], SLOT, {}) == ()
    again = entries_for([late], [*known, back], SLOT, {})
    assert again == (back, fill)  # the first is known by its id, and appended once


def test_an_execution_after_the_adjustment_is_an_ordinary_one() -> None:
    known = adjusted("7")
    fills = [a_fill("1", "3", at=NOW + timedelta(seconds=1)), a_fill("2", "4", name=B, at=NOW)]
    assert [e.kind for e in entries_for(fills, known, SLOT, {})] == [EntryKind.FILL] * 2


def test_what_takes_an_execution_back_covers_nothing_itself() -> None:
    late = a_fill("late", "7", at=NOW - HOUR)
    known = adjusted("7", NOW - HOUR / 2)
    known += entries_for([late], known, SLOT, {})
    other = a_fill("other", "2", at=NOW - HOUR / 4)
    assert [e.kind for e in entries_for([other], known, SLOT, {})] == [EntryKind.FILL]


def test_trades_of_others_from_before_the_books_began_are_not_booked() -> None:
    hand = replace(a_fill("1", reference=""), at=NOW - HOUR)
    ours = replace(a_fill("2"), at=NOW - HOUR)
    later = replace(a_fill("3", reference=""), at=NOW)
    assert bookable([hand, ours, later], (), NOW, "demo") == (ours, later)
    assert bookable([hand, ours, later], (), None, "demo") == (hand, ours, later)
    # A correction or a late fee of what is booked belongs there whenever it was.
    known = entries_for([hand], (), SLOT, {})
    assert bookable([hand], known, NOW, "demo") == (hand,)


def test_trades_that_were_adopted_are_not_booked() -> None:
    account = replace(an_account(a_position(A, "9")), at=NOW)
    known = adoption(account, UNIVERSE, {}, SLOT)
    before, after = (a_fill(n, reference="", at=at) for n, at in (("1", NOW), ("2", NOW + HOUR)))
    elsewhere = a_fill("3", reference="", name=B, at=NOW)
    assert bookable([before, after, elsewhere], known, SLOT - DAY, "demo") == (after, elsewhere)


# ------------------------------------------------------------ orders that filled more


def order(filled: str, status: OrderStatus = OrderStatus.CANCELLED) -> WorkingOrder:
    return WorkingOrder(a_fill().reference, "7", A, d(filled), d(filled), None, status, NOW)


@pytest.mark.parametrize(
    ("filled", "status", "fills", "missing"),
    [
        ("10", OrderStatus.FILLED, ["10"], None),
        ("10", OrderStatus.FILLED, ["4", "5"], "1"),
        ("-10", OrderStatus.CANCELLED, [], "-10"),
        ("-10", OrderStatus.EXPIRED, ["-3"], "-7"),
        ("10", OrderStatus.WORKING, [], None),  # not ended: they are on their way
        ("4", OrderStatus.CANCELLED, ["5"], None),  # its word is late
        ("0", OrderStatus.REJECTED, [], None),
    ],
)
def test_what_an_ended_order_filled_and_no_execution_tells(
    filled: str, status: OrderStatus, fills: list[str], missing: str | None
) -> None:
    told = [a_fill(f"{n}", quantity) for n, quantity in enumerate(fills)]
    wanted = {} if missing is None else {a_fill().reference: d(missing)}
    half = len(told) // 2
    books = entries_for(told[:half], (), SLOT, {})
    assert missing_fills([order(filled, status)], books, told[half:]) == wanted
    # Booked and seen again counts once, and so does a correction.
    assert missing_fills([order(filled, status)], entries_for(told, (), SLOT, {}), told) == wanted


def test_a_corrected_execution_counts_as_it_stands() -> None:
    first, corrected = a_fill("a.b.c.01", "10"), a_fill("a.b.c.02", "8")
    books = entries_for([first, corrected], (), SLOT, {})
    told: list[Fill] = [first, corrected]
    assert missing_fills([order("10")], books, told) == {first.reference: d(2)}

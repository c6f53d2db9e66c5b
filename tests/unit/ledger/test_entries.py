"""Executions into lines of the books, each once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.errors import DataError
from rebalancer.ledger import (
    average_cost,
    booked,
    cash_effects,
    entries_for,
    expected_positions,
    positions,
    trade_records,
)
from rebalancer.model.codec import from_json, to_json
from rebalancer.model.orders import Fill
from rebalancer.model.records import Entry, EntryKind, RunRecord
from rebalancer.model.universe import Universe
from tests.unit.ledger.test_books import a_record
from tests.unit.risk.builders import SLOT, A, B, a_fill, a_stock, d

UNIVERSE = Universe([a_stock(A), a_stock(B)])
DECISIONS = {a_fill().reference: Decimal(99)}
FIRST, SECOND, THIRD = "0001f4e8.65a1.01.01", "0001f4e8.65a1.01.02", "0001f4e8.65a1.01.03"


def lines(*fills: Fill, known: tuple[Entry, ...] = ()) -> tuple[Entry, ...]:
    return entries_for(fills, known, SLOT, DECISIONS)


def test_a_new_execution_is_a_fill_with_its_decision_price() -> None:
    (entry,) = lines(a_fill())
    assert (entry.kind, entry.slot, entry.decision_price) == (EntryKind.FILL, SLOT, d(99))
    (strange,) = lines(a_fill(reference="somebody's"))
    assert strange.decision_price is None


def test_doubles_give_nothing() -> None:
    known = lines(a_fill(), a_fill())
    assert len(known) == 1
    assert lines(a_fill(), known=known) == ()


def test_a_late_commission_completes_its_fill_once() -> None:
    known = lines(a_fill())
    paid = a_fill(commission=d("1.25"), commission_currency="USD")
    (late,) = lines(paid, known=known)
    assert (late.kind, late.fill.commission) == (EntryKind.COMMISSION, d("1.25"))
    known += (late,)
    assert lines(paid, known=known) == ()
    assert lines(a_fill(), known=known) == ()  # the venue forgot to say it again
    (trade,) = trade_records(known)
    assert (trade.commission, trade.commission_currency) == (d("1.25"), "USD")
    assert positions(known) == {A: d(10)}


def test_an_unknown_commission_stays_unknown() -> None:
    assert trade_records(lines(a_fill()))[0].commission is None


def test_a_correction_replaces_what_it_corrects() -> None:
    paid = a_fill(FIRST, "10", commission=d(1), commission_currency="USD")
    known = lines(paid)
    (correction,) = lines(a_fill(SECOND, "8", "101"), known=known)
    assert (correction.kind, correction.replaces) == (EntryKind.CORRECTION, FIRST)
    known += (correction,)
    assert positions(known) == {A: d(8)}
    (trade,) = trade_records(known)
    assert (trade.exec_id, trade.quantity, trade.price) == (SECOND, d(8), d(101))
    assert (trade.commission, trade.decision_price) == (d(1), d(99))
    assert lines(paid, a_fill(SECOND, "8", "101"), known=known) == ()
    (again,) = lines(a_fill(THIRD, "9"), known=known)
    assert again.replaces == SECOND
    assert positions((*known, again)) == {A: d(9)}


def test_a_correction_after_the_record_changes_the_record_by_the_difference() -> None:
    before = lines(a_fill(FIRST, "10"))
    record = a_record(positions_expected=dict(positions(before)))
    since = lines(a_fill(SECOND, "8"), known=before)
    assert expected_positions(record, since) == {A: d(8)}
    assert cash_effects(since, UNIVERSE) == {"USD": d(200)}  # 10 x 100 back, 8 x 100 out


def test_a_correction_to_nothing_is_a_bust() -> None:
    known = lines(a_fill(FIRST, "10"))
    (bust,) = lines(a_fill(SECOND, "0"), known=known)
    assert bust.kind is EntryKind.BUST
    known += (bust,)
    assert positions(known) == {}
    assert trade_records(known) == ()
    assert booked(known) == ()
    assert lines(a_fill(SECOND, "0"), a_fill(FIRST, "10"), known=known) == ()


@pytest.mark.parametrize("pair", [("sim.1", "sim.2"), ("BTCUSDT.10", "BTCUSDT.11"), ("7", "8")])
def test_ids_of_another_shape_are_executions_of_their_own(pair: tuple[str, str]) -> None:
    assert [e.kind for e in lines(*(a_fill(name) for name in pair))] == [EntryKind.FILL] * 2


def test_a_correction_that_does_not_say_what_it_corrects_is_refused() -> None:
    entry = Entry(EntryKind.CORRECTION, SLOT, a_fill(SECOND), replaces=FIRST)
    with pytest.raises(DataError, match="replaced is missing"):
        positions([entry])


def test_lines_survive_being_written_and_read() -> None:
    known = lines(a_fill(FIRST))
    known += lines(a_fill(SECOND, "8"), known=known)
    assert tuple(from_json(Entry, to_json(entry)) for entry in known) == known


def test_old_lines_without_the_newest_field_can_be_read() -> None:
    text = to_json(lines(a_fill())[0]).replace(',"replaced":null', "")
    assert from_json(Entry, text) == lines(a_fill())[0]


def test_a_new_portfolio_expects_what_its_lines_say() -> None:
    record: RunRecord | None = None
    assert expected_positions(record, lines(a_fill(), a_fill("e2", "-3", name=B))) == {
        A: d(10),
        B: d(-3),
    }


def test_trades_have_side_and_signed_quantity() -> None:
    buy, sale = trade_records(lines(a_fill(), a_fill("e2", "-3", name=B)))
    assert (buy.side, buy.quantity, sale.side, sale.quantity) == ("BUY", d(10), "SELL", d(-3))


def test_average_cost_and_what_was_realised() -> None:
    fills = [
        a_fill("1", "10", "100"),
        a_fill("2", "10", "110"),  # 20 at 105
        a_fill("3", "-5", "115", commission=d(2)),  # 5 x 10 = 50
        a_fill("4", "-25", "95"),  # 15 x -10 = -150, then 10 short at 95
        a_fill("5", "10", "90"),  # 10 x 5 = 50
    ]
    known = lines(*fills)
    held = average_cost(known[:2])[A]
    assert (held.quantity, held.average_cost) == (d(20), d(105))
    turned = average_cost(known[:4])[A]
    assert (turned.quantity, turned.average_cost, turned.realised) == (d(-10), d(95), d(-100))
    flat = average_cost(known)[A]
    assert (flat.quantity, flat.average_cost, flat.realised) == (d(0), d(0), d(-50))
    assert flat.commission == {"USD": d(2)}
    assert flat.unknown_fees == 4


executions = st.lists(
    st.tuples(
        st.sampled_from(["a.b.c.01", "a.b.c.02", "a.b.c.03", "x1", "x2"]),
        st.integers(-5, 5),
        st.none() | st.integers(0, 3),
    ),
    max_size=10,
)


@settings(max_examples=300, deadline=None)
@given(executions, st.integers(0, 10))
def test_booking_in_two_runs_or_twice_books_the_same(
    found: list[tuple[str, int, int | None]], cut: int
) -> None:
    fills = [
        a_fill(name, str(n), commission=None if fee is None else Decimal(fee))
        for name, n, fee in found
    ]
    once = lines(*fills)
    first = lines(*fills[:cut])
    twice = first + lines(*fills[cut:], known=first)
    assert twice == once
    assert len({(e.kind, e.fill.exec_id) for e in once}) == len(once)
    # any later part of the file, with the positions before it, gives the same
    middle = len(once) // 2
    assert positions(once[middle:], positions(once[:middle])) == positions(once)
    total = sum((trade.quantity for trade in trade_records(once)), Decimal(0))
    assert positions(once).get(A, Decimal(0)) == total
    assert average_cost(once).get(A, None) is None or average_cost(once)[A].quantity == total


def test_a_commission_of_a_replaced_execution_is_paid_once() -> None:
    known = lines(a_fill(FIRST, "10", commission=d(1), commission_currency="USD"))
    known += lines(a_fill(SECOND, "10", commission=d(3), commission_currency="USD"), known=known)
    assert cash_effects(known, UNIVERSE) == {"USD": d(-1003)}
    assert replace(known[0].fill, exec_id=SECOND, commission=d(3)) == known[1].fill

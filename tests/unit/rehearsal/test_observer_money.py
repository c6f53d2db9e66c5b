"""Executions, cash and positions that are not in our books as the venue has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rebalancer.model.flags import Severity
from rebalancer.model.income import IncomeKind
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Fill
from rebalancer.model.records import Entry, EntryKind, Standing
from rebalancer.rehearsal.evidence import Move
from rebalancer.simulators.faults.schedule import Happening
from tests.unit.rehearsal.scenes import EXECUTION, FIRST, REFERENCE, SLOTS, A, B, Scene, a_fill, d

LOST, CENTS = "no-lost-fill", "every-cent"
CORRECTED = EXECUTION.removesuffix("1") + "2"


def test_an_execution_that_our_books_lack_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.add_trade(REFERENCE, "5", at=SLOTS[1])
    assert LOST in scene.broken(tmp_path)


def test_a_trade_by_hand_that_our_books_lack_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.add_trade("", "5", at=SLOTS[1])
    assert LOST in scene.broken(tmp_path)


def test_what_trades_after_the_last_look_is_the_next_runs(tmp_path: Path) -> None:
    scene = Scene()
    scene.add_trade("", "5", at=scene.account.now)
    assert scene.broken(tmp_path) == set()


@pytest.mark.parametrize(("since", "lost"), [(timedelta(days=1), False), (timedelta(0), True)])
def test_a_change_of_the_position_excuses_only_what_the_venue_tells_no_more(
    tmp_path: Path, since: timedelta, lost: bool
) -> None:
    scene = Scene()
    scene.add_trade("", "5", at=SLOTS[0] - since)
    adjusted = Fill("adjust:1", "", "", A, d(5), d(10), "USD", SLOTS[1])
    scene.entries.append(Entry(EntryKind.ADJUSTMENT, SLOTS[1], adjusted))
    found = scene.broken(tmp_path)
    assert (LOST in found, CENTS in found) == (lost, False)


@pytest.mark.parametrize(
    ("since", "said", "moved", "lost"),
    [(1, True, 5, False), (1, False, 5, True), (0, True, 5, True), (1, True, 0, True)],
)
def test_a_trade_of_yesterday_that_a_split_made_up_for_is_only_seen_in_the_cash(
    tmp_path: Path, since: int, said: bool, moved: int, lost: bool
) -> None:
    scene = Scene()
    scene.add_trade("", "-5", at=SLOTS[0] - timedelta(days=since))
    scene.account.holdings[A].quantity = d(100)
    scene.moved = {A: d(moved)}
    if said:
        scene.flag(SLOTS[1], "unexplained-cash", Severity.NOTE, "currency:USD", before="end")
    assert (LOST in scene.broken(tmp_path)) == lost


def test_an_execution_that_the_venue_does_not_have_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    invented = a_fill(exec_id="0000e0d5.00000999.01.01")
    scene.entries.append(Entry(EntryKind.FILL, FIRST, invented))
    assert {LOST, CENTS} <= scene.broken(tmp_path)


def test_an_execution_that_is_booked_twice_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.entries.append(scene.entries[0])
    assert scene.broken(tmp_path) == {LOST}


def test_another_price_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.account.executions[0].price = d("10.01")
    scene.account.cash["USD"] -= 1  # 100 x 0.01
    assert scene.broken(tmp_path) == {LOST, CENTS}


def test_a_correction_that_was_not_booked_is_seen(tmp_path: Path) -> None:
    scene = _corrected()
    assert scene.broken(tmp_path) >= {LOST, CENTS}


def test_a_correction_that_was_booked_is_fine(tmp_path: Path) -> None:
    scene = _corrected()
    new = a_fill(exec_id=CORRECTED, quantity=d(90))
    scene.entries.append(
        Entry(EntryKind.CORRECTION, FIRST, new, replaces=EXECUTION, replaced=a_fill())
    )
    assert scene.broken(tmp_path) == set()


def test_a_correction_that_counts_as_a_second_fill_is_seen(tmp_path: Path) -> None:
    scene = _corrected()
    scene.entries.append(Entry(EntryKind.FILL, FIRST, a_fill(exec_id=CORRECTED, quantity=d(90))))
    assert LOST in scene.broken(tmp_path)


def test_a_bust_that_was_not_booked_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    execution = scene.account.executions[0]
    execution.quantity = execution.commission = d(0)
    assert LOST in scene.broken(tmp_path)


def test_a_commission_that_was_told_late_and_never_booked_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    unknown = a_fill(commission=None, commission_currency="")
    scene.entries[0] = replace(scene.entries[0], fill=unknown)
    assert scene.broken(tmp_path) == {LOST}


def test_a_commission_that_was_never_told_is_not_ours_to_know(tmp_path: Path) -> None:
    scene = Scene()
    scene.account.executions[0].told, scene.account.executions[0].tell_at = False, None
    unknown = a_fill(commission=None, commission_currency="")
    scene.entries[0] = replace(scene.entries[0], fill=unknown)
    assert scene.broken(tmp_path) == set()


def test_a_trades_view_without_an_execution_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.trades = []
    assert scene.broken(tmp_path) == {LOST}


def test_a_trades_view_with_another_quantity_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.trades = [a_fill(quantity=d(99))]
    assert scene.broken(tmp_path) == {LOST}


def test_a_cent_that_nothing_explains_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.account.cash["USD"] -= d("0.01")
    assert scene.broken(tmp_path) == {CENTS}


def test_a_deposit_that_the_driver_made_is_explained(tmp_path: Path) -> None:
    scene = Scene()
    scene.account.cash["USD"] += 500
    scene.flows = {"USD": d(500)}
    assert scene.broken(tmp_path) == set()


def test_a_transfer_in_our_books_that_never_came_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.entries.append(_transfer("500"))
    assert scene.broken(tmp_path) == {CENTS}


@pytest.mark.parametrize(("minutes", "broken"), [(-1, set()), (1, {CENTS})])
def test_what_came_before_our_books_began_is_no_transfer_of_theirs(
    tmp_path: Path, minutes: int, broken: set[str]
) -> None:
    scene = Scene()
    for slot in SLOTS:
        standing = scene.records[slot].standing or Standing()
        scene.change(slot, standing=replace(standing, began=FIRST))
    scene.account.cash["USD"] += 2500
    scene.flows = {"USD": d(2500)}
    scene.moves = (
        Move(FIRST + timedelta(minutes=minutes), "USD", d(2000)),
        Move(SLOTS[1] - timedelta(minutes=1), "USD", d(500)),
    )
    scene.entries.append(_transfer("500"))
    assert scene.broken(tmp_path) == broken


def _transfer(amount: str) -> Entry:
    """Return a line of the books that says that USD came from outside."""
    income = Fill(
        exec_id="income:1",
        reference="",
        venue_order_id="",
        instrument=InstrumentId(""),
        quantity=d(0),
        price=d(0),
        currency="USD",
        at=SLOTS[1],
        commission=-d(amount),
        commission_currency="USD",
        origin=IncomeKind.TRANSFER.value,
    )
    return Entry(EntryKind.INCOME, SLOTS[1], income)


def test_a_position_that_moved_by_no_execution_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.account.holdings[A].quantity = d(200)
    scene.moved = {A: d(100)}
    assert CENTS in scene.broken(tmp_path)


def test_a_position_that_moved_and_is_locked_has_its_reason(tmp_path: Path) -> None:
    scene = Scene()
    scene.account.holdings[A].quantity = d(200)
    scene.moved = {A: d(100)}
    scene.flag(SLOTS[2], "corporate-action", Severity.HOLD, A, before="end")
    scene.latch(SLOTS[2], "corporate-action", Severity.HOLD, A)
    assert CENTS not in scene.broken(tmp_path)


def _corrected() -> Scene:
    """Let the venue correct the execution: 90 instead of 100, so 100 more in cash."""
    scene = Scene()
    execution = scene.account.executions[0]
    execution.id, execution.quantity = CORRECTED, d(90)
    scene.account.orders[0].filled = d(90)
    scene.account.cash["USD"] += 100
    scene.account.holdings[A].quantity = d(90)
    for slot in SLOTS[1:]:
        first, *rest = scene.records[slot].lines
        scene.change(slot, lines=(replace(first, current_quantity=d(90)), *rest))
    return scene


def test_what_others_traded_before_our_books_began_is_none_of_theirs(tmp_path: Path) -> None:
    scene = Scene()
    scene.add_trade("", "5", B, at=FIRST - timedelta(minutes=9))
    not_ours = scene.broken(tmp_path)
    for slot in SLOTS:
        standing = scene.records[slot].standing or Standing()
        scene.change(slot, standing=replace(standing, began=FIRST))
    scene.flag(SLOTS[2], "not-adopted", Severity.HALT, before="end")
    assert LOST in not_ours
    assert not {LOST, CENTS} & scene.broken(tmp_path)


@pytest.mark.parametrize(
    ("since", "told", "lost"), [(1, True, False), (1, False, True), (0, True, True)]
)
def test_a_correction_of_yesterday_is_only_seen_in_the_cash(
    tmp_path: Path, since: int, told: bool, lost: bool
) -> None:
    # Yesterday's trade of 100 at 10.00 is corrected to 10.01 before the second run: 1.00 less.
    scene = _corrected_before(1)
    execution = scene.account.executions[0]
    execution.id, execution.price = CORRECTED, d("10.01")
    execution.at -= timedelta(days=since)
    scene.account.cash["USD"] -= 1
    if told:
        scene.flag(SLOTS[1], "unexplained-cash", Severity.NOTE, "currency:USD", before="end")
    assert ({LOST, CENTS} <= scene.broken(tmp_path)) == lost


def test_a_correction_before_any_cash_was_accepted_has_nothing_to_differ_from(
    tmp_path: Path,
) -> None:
    scene = _corrected_before(0)
    execution = scene.account.executions[0]
    execution.id, execution.price = CORRECTED, d("10.01")
    execution.at -= timedelta(days=1)
    scene.account.cash["USD"] -= 1
    assert not {LOST, CENTS} & scene.broken(tmp_path)


def _corrected_before(place: int) -> Scene:
    """Let a run be the one of an hour before which an execution is corrected."""
    scene = Scene()
    hour = scene.hours[0]
    corrected = replace(hour, happenings=(Happening("execution-corrected"),))
    scene.hours = (corrected,) if place == 0 else (hour, corrected)
    scene.runs[place].hour = place
    return scene


@pytest.mark.parametrize(("more", "lost"), [("0.05", False), ("0.06", True)])
def test_a_correction_no_larger_than_a_fee_nobody_told_may_go_unsaid(
    tmp_path: Path, more: str, lost: bool
) -> None:
    # 0.5 % of 100 x 10.00 is 5.00: a commission that never came could be as much.
    scene = _corrected_before(1)
    unknown = a_fill(commission=None, commission_currency="", at=FIRST - timedelta(days=1))
    scene.entries[0] = replace(scene.entries[0], fill=unknown)
    execution = scene.account.executions[0]
    execution.told, execution.tell_at = False, None
    execution.id, execution.price = CORRECTED, d("10.00") + d(more)
    execution.at -= timedelta(days=1)
    scene.account.cash["USD"] -= 100 * d(more)
    assert ({LOST, CENTS} <= scene.broken(tmp_path)) == lost

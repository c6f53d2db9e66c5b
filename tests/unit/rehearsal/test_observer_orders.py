"""Orders at the venue that must not be there, each made by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rebalancer.model.codec import to_plain
from rebalancer.model.orders import OrderStatus, Purpose, order_reference
from tests.unit.rehearsal.scenes import (
    FIRST,
    REFERENCE,
    SECOND,
    SLOTS,
    A,
    B,
    Scene,
    a_working,
    an_approved,
    an_arrival,
    d,
)

TWICE, UNANNOUNCED = "no-duplicate-order", "no-order-without-intent"
DRY, UNKNOWN = "nothing-in-dry-run", "unknown-is-not-failure"


def test_a_schedule_that_went_well_breaks_nothing(tmp_path: Path) -> None:
    assert Scene().judged(tmp_path) == ()


# ------------------------------------------------------------------ twice


def test_a_reference_that_was_used_twice_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.add_order(REFERENCE, status=OrderStatus.CANCELLED, ended_at=FIRST + HALF)
    assert TWICE in scene.broken(tmp_path)


HALF = timedelta(minutes=30)


def test_a_second_order_for_what_is_still_alive_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.account.orders[0].ended_at = SLOTS[2]
    again = _announced_later(scene)
    scene.add_order(again, placed_at=SLOTS[1] + SECOND, status=OrderStatus.CANCELLED)
    assert TWICE in scene.broken(tmp_path)


def test_an_order_after_the_end_of_the_one_before_is_no_second(tmp_path: Path) -> None:
    scene = Scene()
    again = _announced_later(scene)
    scene.add_order(
        again,
        placed_at=SLOTS[1] + SECOND,
        status=OrderStatus.CANCELLED,
        ended_at=SLOTS[1] + HALF,
    )
    assert scene.broken(tmp_path) == set()


def test_two_parts_of_one_plan_may_stand_side_by_side(tmp_path: Path) -> None:
    scene = Scene()
    other = order_reference("books", FIRST, 1, A, 1)
    scene.note(
        FIRST,
        "sent",
        kind="intents",
        orders=[to_plain(an_approved(other, part=1, quantity=d(10)))],
    )
    scene.note(
        FIRST,
        "end",
        kind="order",
        order=to_plain(a_working(OrderStatus.CANCELLED, other)),
    )
    scene.add_order(
        other,
        placed_at=FIRST + 2 * SECOND,
        status=OrderStatus.CANCELLED,
        ended_at=FIRST + 9 * SECOND,
    )
    assert scene.broken(tmp_path) == set()


def test_more_traded_than_was_approved_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.account.orders[0].filled = d(101)
    assert TWICE in scene.broken(tmp_path)


def test_a_position_beyond_what_the_plan_wanted_is_seen(tmp_path: Path) -> None:
    # 40 were there before the run and the plan did not know: 40 + 100 > 100.
    scene = Scene()
    execution = scene.account.executions[0]
    scene.add_trade("", "40", at=FIRST - HALF)
    scene.account.executions = (scene.account.executions[1], execution)
    assert TWICE in scene.broken(tmp_path)


def test_a_trade_by_hand_in_the_middle_of_a_run_is_not_ours_to_foresee(tmp_path: Path) -> None:
    scene = Scene()
    execution = scene.account.executions[0]
    scene.add_trade("", "40", at=FIRST + SECOND)
    scene.account.executions = (scene.account.executions[1], execution)
    assert TWICE not in scene.broken(tmp_path)


# ------------------------------------------------------------------ unannounced


def test_an_order_that_no_journal_announces_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    stranger = order_reference("books", SLOTS[1], 1, B, 0)
    scene.add_order(stranger, B, status=OrderStatus.CANCELLED, ended_at=SLOTS[2])
    assert UNANNOUNCED in scene.broken(tmp_path)


def test_an_order_by_hand_needs_no_journal(tmp_path: Path) -> None:
    scene = Scene()
    scene.add_order("", B, status=OrderStatus.CANCELLED, ended_at=SLOTS[2])
    assert scene.broken(tmp_path) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"journaled": False},
        {"quantity": d(101)},
        {"quantity": d(-100)},
        {"limit": d("10.11")},
        {"instrument": B},
        {"reference": "something"},
        {"message": "hands.submit", "at": FIRST + timedelta(hours=2)},
    ],
    ids=["before the journal", "larger", "other side", "beyond the worst price", "other", "whose",
         "after its deadline"],
)  # fmt: skip
def test_a_message_that_was_not_approved_as_it_is_is_seen(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    scene = Scene()
    scene.runs[0].arrivals = (an_arrival(**changes),)
    assert scene.broken(tmp_path) == {UNANNOUNCED}


def test_a_new_price_beyond_the_approved_one_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    change = an_arrival(verb="change", limit=d("10.20"), journaled=False)
    scene.runs[0].arrivals = (an_arrival(), change)
    assert scene.broken(tmp_path) == {UNANNOUNCED}


def test_a_new_price_within_the_approved_one_is_fine(tmp_path: Path) -> None:
    scene = Scene()
    change = an_arrival(verb="change", limit=d("10.10"), journaled=False)
    scene.runs[0].arrivals = (an_arrival(), change)
    assert scene.broken(tmp_path) == set()


# ------------------------------------------------------------------ dry runs


@pytest.mark.parametrize("message", ["placeOrder", "cancelOrder", "reqGlobalCancel"])
def test_an_order_message_of_a_dry_run_is_seen(tmp_path: Path, message: str) -> None:
    scene = Scene()
    scene.runs[1].dry = True
    scene.runs[1].frames = Counter({message: 1})
    assert DRY in scene.broken(tmp_path)


def test_a_dry_run_may_ask_what_there_is(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[1].dry = True
    scene.runs[1].frames = Counter({"reqPositions": 1, "reqExecutions": 3})
    assert scene.broken(tmp_path) == set()


def test_a_question_about_margin_is_an_order_message_too(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[1].dry = True
    scene.runs[1].arrivals = (an_arrival(verb="ask"),)
    assert DRY in scene.broken(tmp_path)


# ------------------------------------------------------------------ unknown


def test_what_was_sent_again_in_the_dark_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    again = order_reference("books", FIRST, 1, A, 1)
    lines = scene.journals[FIRST]
    lines[4] = {"kind": "order", "attempt": 1, "order": to_plain(a_working(OrderStatus.UNKNOWN))}
    scene.note(FIRST, "end", kind="intents", orders=[to_plain(an_approved(again))])
    assert UNKNOWN in scene.broken(tmp_path)


def test_what_follows_an_order_that_is_known_to_have_ended_is_fine(tmp_path: Path) -> None:
    scene = Scene()
    after = order_reference("books", FIRST, 1, A, 1)
    scene.note(FIRST, "end", kind="intents", orders=[to_plain(an_approved(after))])
    assert scene.broken(tmp_path) == set()


def test_a_silent_order_that_nobody_looked_up_before_the_next_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    del scene.journals[FIRST][4]  # nothing was heard of it
    scene.entries.clear()
    for slot in SLOTS:
        scene.change(slot, orders=(), fills=(), entries=0)
    again = _announced_later(scene)
    scene.add_order(again, placed_at=SLOTS[1] + SECOND, ended_at=SLOTS[2])
    assert UNKNOWN in scene.broken(tmp_path)


def test_a_silent_order_whose_trade_was_booked_was_found(tmp_path: Path) -> None:
    scene = Scene()
    del scene.journals[FIRST][4]
    scene.change(FIRST, orders=())
    again = _announced_later(scene)
    scene.add_order(again, placed_at=SLOTS[1] + SECOND, ended_at=SLOTS[2])
    assert UNKNOWN not in scene.broken(tmp_path)


def _announced_later(scene: Scene) -> str:
    """Let the second run announce an order in A; return its reference."""
    reference = order_reference("books", SLOTS[1], 1, A, 0, Purpose.REBALANCE)
    order = replace(an_approved(reference, quantity=d(10), current_quantity=d(100)))
    ended = a_working(OrderStatus.CANCELLED, reference)
    scene.note(SLOTS[1], "end", kind="intents", orders=[to_plain(order)])
    scene.note(SLOTS[1], "end", kind="order", order=to_plain(ended))
    return reference

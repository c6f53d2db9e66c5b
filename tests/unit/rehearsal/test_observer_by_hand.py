"""What a command of the owner's must not do, each made by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.codec import to_plain
from rebalancer.model.flags import Severity
from rebalancer.model.orders import OrderStatus, order_reference
from tests.unit.rehearsal.scenes import SECOND, SLOTS, A, Scene, a_working, an_approved, an_arrival

ONLY, TWICE, OBEYED = "only-reduces", "no-duplicate-order", "breakers-obeyed"
SLOT = SLOTS[1]
HELD = {A: Decimal(100)}


def _commanded(command: str, **run: Any) -> Scene:
    """Return a scene whose second run is a command; 100 of A are held before and after it."""
    scene = Scene()
    scene.journals[SLOT][0]["command"] = command
    scene.change(SLOT, command=command)
    evidence = scene.runs[1]
    evidence.command, evidence.told = command, ()
    evidence.held_before, evidence.held_after = HELD, HELD
    for field, value in run.items():
        setattr(evidence, field, value)
    return scene


def _sold(*quantities: str, **run: Any) -> Scene:
    """Return a scene in which a sale's orders sold these quantities, a round each."""
    scene = _commanded("flatten", **run)
    for number, quantity in enumerate(quantities):
        name, size, at = _named(number), Decimal(quantity), SLOT + (2 + 3 * number) * SECOND
        approved = an_approved(name, quantity=size, current_quantity=Decimal(100), reducing=True)
        scene.note(SLOT, "end", kind="intents", orders=[to_plain(approved)])
        word = a_working(OrderStatus.FILLED, name, quantity=size, filled=size)
        scene.note(SLOT, "end", kind="order", order=to_plain(word))
        scene.add_order(
            name,
            quantity=size,
            filled=size,
            status=OrderStatus.FILLED,
            placed_at=at,
            ended_at=at + SECOND,
        )
        scene.add_trade(name, quantity, at=at + SECOND)
    return scene


def _named(number: int) -> str:
    return order_reference("books", SLOT, 1, A, number)


def _of_commands(scene: Scene, state: Path) -> list[str]:
    return [each.words for each in scene.judged(state) if each.invariant == ONLY]


def test_a_sale_in_rounds_breaks_nothing(tmp_path: Path) -> None:
    scene = _sold("-60", "-40", held_after={A: Decimal(0)})
    assert not {ONLY, TWICE, OBEYED} & scene.broken(tmp_path)


def test_a_round_that_sells_what_the_round_before_has_sold_is_seen(tmp_path: Path) -> None:
    scene = _sold("-60", "-60", held_after={A: Decimal(-20)})
    told = _of_commands(scene, tmp_path)
    assert f"{_named(1)} carried {A} from 40 to -20" in told
    assert f"{A} was 100 before the sale and -20 after it" in told


def test_a_sale_of_what_is_not_held_is_seen_and_so_is_one_that_buys(tmp_path: Path) -> None:
    assert any("from 0 to -100" in words for words in _of_commands(_sold("-100", "-100"), tmp_path))
    assert any("from 100 to 110" in words for words in _of_commands(_sold("10"), tmp_path / "two"))


def test_nobody_can_sell_right_what_somebody_else_sells_meanwhile(tmp_path: Path) -> None:
    scene = _commanded("flatten", held_after={A: Decimal(-50)})
    scene.add_trade("", "-50", at=SLOT + SECOND)
    selling = _sold("-100", held_after={A: Decimal(-50)})
    selling.account.executions = (*scene.account.executions, *selling.account.executions[1:])
    assert _of_commands(selling, tmp_path) == []


def test_a_round_that_trades_more_than_was_approved_for_it_is_seen(tmp_path: Path) -> None:
    scene = _sold("-60", "-40")
    scene.account.orders[-1].filled = Decimal(-41)
    assert TWICE in scene.broken(tmp_path)


@pytest.mark.parametrize(("code", "seen"), [("drawdown", False), ("unresolved-order", True)])
def test_a_sale_goes_on_in_spite_of_breakers_and_of_no_doubt(
    tmp_path: Path, code: str, *, seen: bool
) -> None:
    scene = _sold("-100")
    scene.flag(SLOT, code, Severity.HALT)
    assert (OBEYED in scene.broken(tmp_path)) == seen


def test_a_sale_that_went_well_holds_nothing(tmp_path: Path) -> None:
    assert _of_commands(_commanded("flatten"), tmp_path) == [
        f"100 {A} are held after a sale that ended with 0"
    ]
    left = _commanded("flatten")
    left.change(SLOT, exit_code=3)
    assert _of_commands(left, tmp_path / "two") == []


@pytest.mark.parametrize("verb", ["new", "change", "stop"])
def test_a_cancel_that_sends_is_seen(tmp_path: Path, verb: str) -> None:
    scene = _commanded("cancel", arrivals=(an_arrival(verb=verb),))
    assert _of_commands(scene, tmp_path) == [f"a cancel sent placeOrder {an_arrival().reference}"]


def test_a_cancel_that_cancels_breaks_nothing(tmp_path: Path) -> None:
    scene = _commanded("cancel", arrivals=(an_arrival(verb="cancel"),))
    assert scene.judged(tmp_path) == ()


@pytest.mark.parametrize("command", ["cancel", "flatten"])
def test_an_order_that_still_works_is_told_and_the_exit_code_says_it(
    tmp_path: Path, command: str
) -> None:
    def left(state: str, *told: str, code: int) -> list[str]:
        scene = _commanded(command, told=told, held_before={}, held_after={})
        scene.account.orders[0].ended_at = None
        scene.change(SLOT, exit_code=code)
        return _of_commands(scene, tmp_path / state)

    reference = an_arrival().reference
    assert any("still works, untold" in words for words in left("one", code=3))
    assert left("two", reference, code=3) == []
    assert left("three", reference, code=0) == [
        f"{reference} still works, and the command ended with 0"
    ]


def test_an_order_that_ended_before_the_command_did_is_not_left(tmp_path: Path) -> None:
    scene = _commanded("cancel")
    scene.account.orders[0].ended_at = SLOT + timedelta(minutes=1)
    assert _of_commands(scene, tmp_path) == []

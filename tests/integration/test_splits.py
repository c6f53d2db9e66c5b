"""A split that the owner settles: what it cost, and what sleeves had of it, stay what they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.hourly import hour
from rebalancer.ledger import average_cost
from rebalancer.model.orders import SPLIT
from rebalancer.model.records import EntryKind
from rebalancer.store.books import StateFolder
from tests.integration.hours import AAPL, EVER, SECOND, THIRD, command
from tests.integration.test_commands import DyingBooks, Killed
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")
WORD = "corporate-action"
RISK = 'daily_loss = "0.5"\ndrawdown = "0.5"\nnet_liquidation_jump = "0.5"\n'
SHARED = f"""
[[sleeve]]
name = "other"
share = "0.5"
universe = ["{AAPL}"]
"""


def times(ratio: str, *, cost: str | None = None) -> Callable[[Any], None]:
    """Return a change of the venue's books: so many new shares for an old one.

    The recorded prices do not follow: here a sleeve wants as many times the weight instead.
    """

    def change(books: Any) -> None:
        held = books["holdings"][AAPL]
        by = Decimal(cost or ratio)
        held["quantity"] = str(int(Decimal(held["quantity"]) * Decimal(ratio)))
        held["average_cost"] = str(Decimal(held["average_cost"]) / by)

    return change


def wants(world: World, weight: str, at: Any, *names: str) -> None:
    for name in names:
        write_signal(world.folder, {AAPL: weight}, at, name=name, **EVER)


@pytest.fixture
def shared(tmp_path: Path) -> World:
    """Return a portfolio of which two sleeves hold the same share, half each."""
    world = make_world(
        tmp_path, symbols=("AAPL", "JNJ"), share="0.5", extra=SHARED + QUIET, risk=RISK
    )
    wants(world, "0.1", FIRST, "hand", "other")
    world.hour(FIRST)
    assert world.holdings()[AAPL] % 4 == 0
    return world


@pytest.mark.parametrize("word", [WORD, "--all", "reconciliation-break"])
@pytest.mark.parametrize(("ratio", "weight"), [("2", "0.2"), ("0.5", "0.05")])
def test_a_sleeve_without_a_signal_keeps_its_part_of_what_was_split(
    shared: World, ratio: str, weight: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, lots = shared.holdings()[AAPL], shared.standing().sleeve_lots["hand"][AAPL]
    shared.change_venue(times(ratio))
    wants(shared, weight, SECOND, "hand", "other")  # in units of after the split
    assert WORD in codes(shared.hour(SECOND))
    assert shared.standing().sleeve_lots["hand"][AAPL] == lots
    assert command(shared, "resume", word, "--yes") == 0
    assert f"{before} -> {shared.holdings()[AAPL]}, at the same cost" in capsys.readouterr().out
    (shared.state / "signals" / "hand.csv").unlink()
    held = shared.holdings()[AAPL]
    record = shared.hour(THIRD)
    assert "signal-missing" in codes(record)
    assert shared.standing().sleeve_lots["hand"][AAPL] == lots * Decimal(ratio)
    if word != WORD:
        shared.hour(THIRD + HOUR)
    assert abs(shared.holdings()[AAPL] - held) <= held / 20
    assert shared.standing().sleeve_lots["hand"][AAPL] == lots * Decimal(ratio)


def test_lots_follow_a_split_once_whatever_dies(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lots, held = shared.standing().sleeve_lots["hand"][AAPL], shared.holdings()[AAPL]
    shared.change_venue(times("2"))
    for name in ("hand", "other"):
        (shared.state / "signals" / f"{name}.csv").unlink()
    shared.hour(SECOND)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(StateFolder, "save_standing", die)
        command(shared, "resume", WORD, "--yes")
    assert command(shared, "resume", WORD, "--yes") == 0
    for step in (4, 5, 6, 9):
        desk = shared.desk(THIRD)
        with pytest.raises(Killed):
            hour(replace(desk, books=DyingBooks(desk.books, step)), THIRD)
    assert not shared.hour(THIRD + HOUR).approved
    assert shared.standing().sleeve_lots["hand"][AAPL] == lots * 2
    assert shared.holdings()[AAPL] == held * 2


def test_a_sale_after_a_reverse_split_shows_what_it_lost(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=("AAPL", "JNJ"), extra=QUIET, risk=RISK)
    wants(world, "0.1", FIRST, "hand")
    world.hour(FIRST)
    cost = average_cost(world.books().entries())[AAPL]
    world.change_venue(times("0.5"))
    assert WORD in codes(world.hour(SECOND))
    assert command(world, "resume", WORD, "--yes") == 0
    line = world.books().entries()[-1]
    assert (line.kind, line.fill.origin) == (EntryKind.ADJUSTMENT, SPLIT)
    assert average_cost(world.books().entries())[AAPL].average_cost == cost.average_cost * 2
    wants(world, "0", THIRD, "hand")
    assert world.hour(THIRD).fills
    assert "symbol-loss" in codes(
        world.hour(THIRD + HOUR)
    )  # the price did not follow: half is lost


def test_a_half_that_was_sold_by_hand_is_booked_as_sold(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=("AAPL", "JNJ"), extra=QUIET, risk=RISK)
    wants(world, "0.1", FIRST, "hand")
    world.hour(FIRST)
    cost = average_cost(world.books().entries())[AAPL]
    world.change_venue(times("0.5", cost="1"))
    assert WORD in codes(world.hour(SECOND))
    assert command(world, "resume", "--all", "--yes") == 0
    assert average_cost(world.books().entries())[AAPL].average_cost == cost.average_cost
    wants(world, "0", THIRD, "hand")
    assert world.hour(THIRD).fills
    assert "symbol-loss" not in codes(world.hour(THIRD + HOUR))

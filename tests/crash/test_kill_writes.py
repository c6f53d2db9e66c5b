"""A run is killed at every single write of its dangerous steps, and in the middle of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.conftest import (
    AFTER,
    CRASH,
    NEXT,
    WANTED,
    Hangman,
    prove_orders,
    prove_rows,
    prove_targets,
    traded_since,
)
from tests.portfolios import World, codes, copy_world, stock

SHARES = 4
"""Into how many tests the writes are dealt, so that several processors can take them."""

UNPROVED = {"unexplained-cash", "unexplained-cash-large", "reconciliation-break"}


def writes_of(hangman: Hangman, world: World, step: int) -> list[str]:
    """Return what an undisturbed run writes in a step, in order."""
    log = world.folder / "writes"
    assert hangman.run(world, CRASH, log=str(log)) == 0, hangman.said
    lines = log.read_text(encoding="utf-8").splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{step} ")]


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("torn", [False, True], ids=["after", "within"])
def test_a_run_killed_at_any_write_of_step_7_sends_nothing_twice_and_loses_nothing(
    hangman: Hangman, morning: World, tmp_path: Path, share: int, *, torn: bool
) -> None:
    writes = writes_of(hangman, copy_world(morning, tmp_path / "whole"), 7)
    kinds = {line.rpartition("/")[2] for line in writes}
    assert kinds == {"journal.jsonl", "books.json"}
    assert len(writes) >= 30
    wave = [place for place, line in enumerate(writes) if line.endswith("books.json")]
    assert wave, "the orders go out between two of these"
    for place in range(share, len(writes), SHARES):
        world = copy_world(morning, tmp_path / f"{place}")
        number = place if torn else place + 1
        code = hangman.run(world, CRASH, how="SIGKILL", within=7, write=number, torn=torn)
        assert code == -9, f"write {place}, {writes[place]}: {hangman.said}"
        assert_repaired(hangman, world, f"killed at write {place}, {writes[place]}")


def assert_repaired(hangman: Hangman, world: World, where: str) -> None:
    """Let two more hours run and prove what they leave."""
    first = hangman.run(world, NEXT)
    unresolved = "unresolved-order" in codes(world.last())
    assert first == (5 if unresolved else 0), f"{where}: {hangman.said}"
    assert hangman.run(world, AFTER) == 0, f"{where}: {hangman.said}"
    prove_rows(world)
    prove_orders(world)
    assert traded_since(world, CRASH) == {stock(s): 1 for s in (*WANTED, "MSFT")}, where
    prove_targets(world)
    for at in (NEXT, AFTER):
        record = world.record(at)
        assert record is not None
        assert not codes(record) & UNPROVED, where

"""A run is killed after each of its steps; the next ones finish what it left."""

from __future__ import annotations

import pytest

from rebalancer.model.records import Outcome
from rebalancer.store.lock import holder_of
from tests.crash.conftest import (
    AFTER,
    CLOSED,
    CRASH,
    EARLY,
    MONDAY,
    NEXT,
    WANTED,
    Hangman,
    prove_database,
    prove_orders,
    prove_rows,
    prove_targets,
    traded_since,
)
from tests.portfolios import World, codes, stock

EVERY_ONE_ONCE = {stock(symbol): 1 for symbol in (*WANTED, "MSFT")}


@pytest.mark.parametrize("step", range(14))
def test_a_run_that_is_killed_after_a_step_is_finished_by_the_next(
    hangman: Hangman, world: World, step: int
) -> None:
    assert hangman.run(world, CRASH, how="SIGKILL", step=step + 1) == -9
    assert holder_of(world.state / "lock") is None
    left = world.record(CRASH)
    assert (left is not None) == (step >= 9)
    if left is not None:
        assert left.outcome is Outcome.FINISHED
    hangman.must(world, NEXT)
    record = world.record(CRASH)
    assert record is not None
    if step < 9:
        assert (record.outcome, record.reached, record.exit_code) == (Outcome.FAILED, step, 70)
        following = world.record(NEXT)
        assert following is not None
        assert {"run-died", "run-repaired"} <= codes(following)
        assert f"ended in step {step}" in world.alert(NEXT)
    hangman.must(world, AFTER, CLOSED)
    prove_rows(world)
    prove_orders(world)
    assert traded_since(world, CRASH) == EVERY_ONE_ONCE
    prove_targets(world)
    prove_database(world, (MONDAY, EARLY, CRASH, NEXT, AFTER, CLOSED))
    assert sum("daily" in name and "start" in name for name in world.mails()) == 1
    for at in (NEXT, AFTER, CLOSED):
        later = world.record(at)
        assert later is not None
        strange = {"reconciliation-break", "unexplained-cash", "unresolved-order"}
        assert not codes(later) & strange

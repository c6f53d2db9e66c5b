"""A run is killed after each of its steps; the next ones finish what it left."""

from __future__ import annotations

from datetime import datetime

import pytest

from rebalancer.model.records import Outcome
from rebalancer.store.lock import holder_of
from tests.crash.conftest import (
    AFTER,
    CLOSED,
    CRASH,
    EARLY,
    LATER,
    MONDAY,
    NEXT,
    WANTED,
    Hangman,
    prove_database,
    prove_orders,
    prove_rows,
    prove_targets,
    traded_since,
    venue_executions,
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


@pytest.mark.parametrize("step", [0, 2, 6, 7, 8])
def test_the_slot_of_a_killed_run_goes_on_as_the_next_attempt(
    hangman: Hangman, world: World, step: int
) -> None:
    assert hangman.run(world, CRASH, how="SIGKILL", step=step + 1) == -9
    hangman.must(world, CRASH)
    record = world.record(CRASH)
    assert record is not None
    assert (record.outcome, record.attempt) == (Outcome.FINISHED, 2)
    assert {"run-died", "run-repaired"} <= codes(record)
    assert f"ended in step {step}" in world.alert(CRASH)
    attempts = {line["attempt"] for line in world.journal(CRASH) if line["kind"] == "begin"}
    assert attempts == {1, 2}
    prove_rows(world)
    prove_orders(world)
    assert traded_since(world, CRASH) == EVERY_ONE_ONCE
    prove_targets(world)
    assert hangman.run(world, CRASH) == 0
    assert "nothing is run twice" in hangman.said


def test_the_record_of_a_slot_that_died_twice_is_the_last_attempts(
    hangman: Hangman, world: World
) -> None:
    blind = [{"kind": "MISSING_QUOTE", "subject": "", "count": None}]
    assert hangman.run(world, CRASH, how="SIGKILL", step=8, faults=blind) == -9
    assert any(line.get("kind") == "flag" for line in world.journal(CRASH))
    assert hangman.run(world, CRASH, how="SIGKILL", step=9) == -9
    hangman.must(world, NEXT)
    record = world.record(CRASH)
    assert record is not None
    assert (record.attempt, record.reached) == (2, 8)
    # What the first attempt could not see held nothing back in the second.
    assert not codes(record) & {"price-missing", "data-missing", "data-poor"}
    assert record.approved
    assert record.before is not None


@pytest.mark.parametrize("step", [9, 10, 11, 12, 13])
def test_what_a_run_killed_before_its_alert_had_to_tell_is_told_by_the_next(
    hangman: Hangman, world: World, step: int
) -> None:
    reject = [{"kind": "REJECT", "subject": stock("PG"), "message": "no shares of it today"}]
    assert hangman.run(world, CRASH, how="SIGKILL", step=step + 1, faults=reject) == -9
    assert ("order-rejected" in world.alert(CRASH)) == (step >= 10)
    hangman.must(world, NEXT)
    assert world.alert(CRASH).count("What to do") == 1
    assert "no shares of it today (the venue refused its order)" in world.alert(CRASH)
    following = world.record(NEXT)
    assert following is not None
    assert ("run-repaired" in codes(following)) == (step == 9)


@pytest.mark.parametrize("killed_too", [False, True])
def test_what_a_killed_run_had_to_tell_is_told_by_a_run_that_cannot_connect(
    hangman: Hangman, world: World, killed_too: bool
) -> None:
    reject = [{"kind": "REJECT", "subject": stock("PG"), "message": "no shares of it today"}]
    assert hangman.run(world, CRASH, how="SIGKILL", step=10, faults=reject) == -9
    if killed_too:  # as the first, after its record and before its mails
        assert hangman.run(world, NEXT, how="SIGKILL", step=10) == -9
        assert world.record(NEXT) is not None
        assert not world.alert(CRASH)
    refused = [{"kind": "REFUSED_CONNECTION"}]
    cut_off, well = (AFTER, LATER) if killed_too else (NEXT, AFTER)
    assert hangman.run(world, cut_off, faults=refused) == 4
    assert "no shares of it today (the venue refused its order)" in world.alert(CRASH)
    assert "cannot-connect" in world.alert(cut_off)
    told = len(world.mails())
    hangman.must(world, well)
    assert world.alert(CRASH).count("What to do") == 1
    assert told < len(world.mails())
    hangman.must(world, AFTER)
    prove_targets(world)


@pytest.mark.parametrize("step", [7, 8, 9])
def test_orders_of_a_killed_run_count_against_the_limits_of_their_session(
    hangman: Hangman, world: World, step: int
) -> None:
    before = world.standing()
    hangman.run(world, CRASH, how="SIGKILL", step=step + 1)
    hangman.must(world, NEXT, AFTER)
    standing = world.standing()
    sent = [o for o in world.venue()["orders"] if o["placed_at"] >= "2020-03-03"]
    # One of 14:50 and five of 15:05.
    assert standing.orders_in_session == len(sent) == 6
    traded = sum(
        abs(quantity * price)
        for name, (_, quantity, price) in venue_executions(world).items()
        if name.startswith("20200303")
    )
    assert standing.turnover_in_session == traded
    assert before.orders_in_session == 1
    # What limits over days and the reject rate are judged by: each attempt once, whole.
    runs = [each.run for each in standing.recent_orders]
    assert runs == sorted(set(runs))
    assert sum(each.orders for each in standing.recent_orders) == len(world.venue()["orders"])
    assert [each.orders for each in standing.sessions] == [
        len(world.venue()["orders"]) - standing.orders_in_session
    ][: len(standing.sessions)]


def test_a_second_kill_while_the_first_is_repaired_loses_nothing(
    hangman: Hangman, world: World
) -> None:
    assert hangman.run(world, CRASH, how="SIGKILL", step=8) == -9
    for at, step in ((NEXT, 2), (AFTER, 5)):
        assert hangman.run(world, at, how="SIGKILL", step=step) == -9
    hangman.must(world, LATER, CLOSED)
    for at in (CRASH, NEXT, AFTER):
        record = world.record(at)
        assert record is not None
        assert record.outcome is Outcome.FAILED
    prove_rows(world)
    prove_orders(world)
    assert traded_since(world, CRASH) == EVERY_ONE_ONCE
    prove_targets(world)
    prove_database(world, (MONDAY, EARLY, CRASH, NEXT, AFTER, LATER, CLOSED))


@pytest.mark.parametrize("again", [CRASH, NEXT])
@pytest.mark.parametrize("step", [1, 3])
def test_a_killed_run_counts_as_failed_also_when_the_run_that_finds_it_fails_early(
    hangman: Hangman, world: World, again: datetime, step: int
) -> None:
    assert hangman.run(world, CRASH, how="SIGKILL", step=4) == -9
    assert hangman.run(world, again, how="RuntimeError", step=step) == 70
    # In step 1 it was not found yet: the next run finds it.
    assert world.standing().failed_runs == (1 if step == 1 else 2)
    assert hangman.run(world, AFTER, how="RuntimeError", step=3) == 70
    assert world.standing().failed_runs == 3
    hangman.must(world, LATER)
    assert world.standing().failed_runs == 0

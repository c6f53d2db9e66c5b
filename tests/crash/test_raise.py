"""Something raises in each of the steps: the books are closed, the owner is told, the next hour
is right."""

from __future__ import annotations

import signal
from collections.abc import Mapping

import pytest

from rebalancer import errors
from rebalancer.model.records import Outcome
from rebalancer.reports.explain import STEP_NAMES
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
UNPROVED = {"reconciliation-break", "unexplained-cash", "unexplained-cash-large"}

FLAG: Mapping[str, str] = {
    "BlindError": "blind",
    "ConnectError": "cannot-connect",
    "DeadlineExceeded": "deadline",
}
"""What the flag of an exception is called; all others are `run-failed`."""

RAISED = [
    *[(step, "RuntimeError") for step in range(1, 10)],
    *[(step, "BlindError") for step in (1, 4, 8)],
    *[(step, "ConnectError") for step in (1, 6, 9)],
    *[(step, "StateError") for step in (1, 3, 7, 9)],
    *[(step, "DeadlineExceeded") for step in (1, 5, 7)],
]


def code_of(how: str) -> int:
    """Return the exit code that an exception's class carries, 70 for one that is not ours."""
    kind = getattr(errors, how, None)
    return 70 if kind is None else int(kind.exit_code)


@pytest.mark.parametrize(("step", "how"), RAISED)
def test_what_raises_before_the_record_ends_the_run_and_the_books_are_closed(
    hangman: Hangman, world: World, step: int, how: str
) -> None:
    assert hangman.run(world, CRASH, how=how, step=step) == code_of(how), hangman.said
    assert holder_of(world.state / "lock") is None
    record = world.record(CRASH)
    assert record is not None
    assert (record.outcome, record.reached) == (Outcome.FAILED, step)
    flag = next(flag for flag in record.flags if flag.code == FLAG.get(how, "run-failed"))
    assert flag.message.startswith(f"step {step}: ")
    told = world.alert(CRASH)
    assert f"step {step}" in told
    assert STEP_NAMES[step] in told
    sent = [o for o in world.venue()["orders"] if o["placed_at"] >= f"{CRASH:%Y-%m-%dT%H:%M}"]
    assert (len(sent) > 0) == (step >= 8)
    assert any("daily" in name for name in world.mails())
    assert world.standing().due["commit"] == f"{MONDAY:%Y-%m-%d}"
    prove_database(world, (MONDAY,), day=MONDAY)
    assert world.standing().failed_runs == 1
    hangman.must(world, NEXT, AFTER)
    assert world.standing().failed_runs == 0
    prove_rows(world)
    prove_orders(world)
    assert traded_since(world, CRASH) == EVERY_ONE_ONCE
    prove_targets(world)
    for at in (NEXT, AFTER):
        later = world.record(at)
        assert later is not None
        assert not codes(later) & {*UNPROVED, "unresolved-order", "run-died"}


@pytest.mark.parametrize(
    ("step", "how"),
    [
        *[(step, "RuntimeError") for step in range(10, 14)],
        *[(10, "StateError"), (11, "Interrupted"), (12, "StateError")],
    ],
)
def test_what_raises_after_the_record_is_told_and_changes_no_exit_code(
    hangman: Hangman, world: World, step: int, how: str
) -> None:
    assert hangman.run(world, CRASH, how=how, step=step) == 0, hangman.said
    assert holder_of(world.state / "lock") is None
    record = world.record(CRASH)
    assert record is not None
    assert (record.outcome, record.reached, record.exit_code) == (Outcome.FINISHED, 9, 0)
    assert ("report-failed", f"step:{step}") in {(f.code, f.subject) for f in record.flags}
    assert f"step {step}: " in world.alert(CRASH)
    assert sum("alert" in name for name in world.mails()) == 1
    # The other reports went out although this one could not.
    assert any("daily" in name for name in world.mails()) == (step != 11)
    hangman.must(world, NEXT, AFTER, CLOSED)
    assert sum("daily" in name and "start" in name for name in world.mails()) == 1
    prove_rows(world)
    prove_orders(world)
    assert traded_since(world, CRASH) == EVERY_ONE_ONCE
    prove_targets(world)
    prove_database(world, (MONDAY, EARLY, CRASH, NEXT, AFTER, CLOSED))


@pytest.mark.parametrize(
    ("kind", "subject", "step", "flag"),
    [
        ("REFUSED_CONNECTION", "", 1, "cannot-connect"),
        ("WRONG_ACCOUNT", "", 1, "cannot-connect"),
        ("BLIND_EXECUTIONS", "", 1, "blind"),
        ("BLIND_ORDERS", "", 2, "blind"),
        ("DISCONNECT", "cancel", 2, "cannot-connect"),
        ("BLIND_ACCOUNT", "", 4, "blind"),
        ("BLIND_POSITIONS", "", 4, "blind"),
        ("DISCONNECT", "market", 6, "cannot-connect"),
        ("DISCONNECT", "preview", 7, "cannot-connect"),
        ("DISCONNECT", "submit", 7, "run-failed"),
        ("DISCONNECT", "wait", 2, "cannot-connect"),
    ],
)
def test_a_venue_that_fails_in_the_middle_of_a_step_ends_the_run(
    hangman: Hangman, world: World, kind: str, subject: str, step: int, flag: str
) -> None:
    fault = [{"kind": kind, "subject": subject, "count": None}]
    code = hangman.run(world, CRASH, faults=fault)
    assert code == (5 if subject == "submit" else 4), hangman.said
    record = world.record(CRASH)
    assert record is not None
    assert (record.outcome, record.reached) == (Outcome.FAILED, step)
    assert flag in codes(record)
    assert STEP_NAMES[step] in world.alert(CRASH)
    assert traded_since(world, CRASH) == {}
    hangman.run(world, NEXT)
    hangman.must(world, AFTER)
    prove_rows(world)
    prove_orders(world)
    assert traded_since(world, CRASH) == EVERY_ONE_ONCE
    prove_targets(world)


@pytest.mark.parametrize("step", [2, 4, 7, 8, 9])
def test_a_run_that_is_asked_to_end_closes_its_books_first(
    hangman: Hangman, world: World, step: int
) -> None:
    assert hangman.run(world, CRASH, how="SIGTERM", step=step) == errors.Interrupted.exit_code
    record = world.record(CRASH)
    assert record is not None
    assert (record.outcome, record.reached) == (Outcome.FAILED, step)
    assert f"asked to end by {signal.SIGTERM.name}" in world.alert(CRASH)
    hangman.must(world, NEXT, AFTER)
    prove_rows(world)
    assert traded_since(world, CRASH) == EVERY_ONE_ONCE
    prove_targets(world)


@pytest.mark.parametrize("step", range(1, 14))
def test_a_disk_that_fills_up_leaves_books_that_the_next_run_finishes(
    hangman: Hangman, world: World, step: int
) -> None:
    code = hangman.run(world, CRASH, how="StateError", step=step, always=True)
    assert code == (errors.StateError.exit_code if step <= 9 else 0), hangman.said
    assert (world.record(CRASH) is None) == (step <= 9)
    assert holder_of(world.state / "lock") is None
    hangman.must(world, NEXT, AFTER, CLOSED)
    record = world.record(CRASH)
    assert record is not None
    assert record.outcome is (Outcome.FAILED if step <= 9 else Outcome.FINISHED)
    prove_rows(world)
    prove_orders(world)
    assert traded_since(world, CRASH) == EVERY_ONE_ONCE
    prove_targets(world)
    prove_database(world, (MONDAY, EARLY, CRASH, NEXT, AFTER, CLOSED))

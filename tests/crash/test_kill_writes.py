"""A run is killed at every single write of its dangerous steps, and in the middle of one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
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


Writes = Mapping[int, Sequence[str]]
"""What an undisturbed run writes by step: the file and, in a journal, its kind of line."""


@pytest.fixture(scope="session")
def writes(hangman: Hangman, morning: World, tmp_path_factory: pytest.TempPathFactory) -> Writes:
    world = copy_world(morning, tmp_path_factory.mktemp("whole"))
    log = world.folder / "writes"
    assert hangman.run(world, CRASH, log=str(log)) == 0, hangman.said
    found = defaultdict(list)
    for line in log.read_text(encoding="utf-8").splitlines():
        step, _, name = line.partition(" ")
        found[int(step)].append(name)
    return found


@pytest.mark.parametrize("share", range(SHARES))
def test_a_run_killed_after_any_write_of_step_7_sends_nothing_twice_and_loses_nothing(
    hangman: Hangman, morning: World, writes: Writes, tmp_path: Path, share: int
) -> None:
    count = Counter(writes[7])
    assert count["journal.jsonl:intents"] >= 2  # the reductions, then the others
    # Each order is handed to the wire by itself, so that a HALT file stops the next one.
    assert count["journal.jsonl:sent"] > count["journal.jsonl:intents"]
    assert count["journal.jsonl:fill"] >= 5
    # The books of the venue are saved when the orders arrive and whenever something happens.
    assert count["books.json"] >= 5
    for place in range(share, len(writes[7]), SHARES):
        world = copy_world(morning, tmp_path / f"{place}")
        killed(hangman, world, step=7, write=place + 1)
        assert_repaired(hangman, world, f"killed after write {place}, {writes[7][place]}")


def test_a_run_killed_in_the_middle_of_a_write_of_step_7_is_repaired(
    hangman: Hangman, morning: World, writes: Writes, tmp_path: Path
) -> None:
    last_of_kind = {line: place for place, line in enumerate(writes[7])}
    assert {"journal.jsonl:intents", "journal.jsonl:fill", "books.json"} <= set(last_of_kind)
    for line, place in last_of_kind.items():
        world = copy_world(morning, tmp_path / f"{place}")
        killed(hangman, world, step=7, write=place, torn=True)
        assert_repaired(hangman, world, f"killed within {line}")


@pytest.mark.parametrize("step", [2, 4, 8, 9, 11, 12])
def test_a_run_killed_after_any_write_of_another_step_is_repaired(
    hangman: Hangman, morning: World, writes: Writes, tmp_path: Path, step: int
) -> None:
    assert {8: "fills.jsonl:fill", 9: "record.json"}.get(step, writes[step][0]) in writes[step]
    for place, line in enumerate(writes[step]):
        if line == "journal.jsonl:step":
            continue  # nothing has been done in this step yet: `test_kill` has that
        world = copy_world(morning, tmp_path / f"{place}")
        killed(hangman, world, step=step, write=place + 1)
        assert_repaired(hangman, world, f"killed after write {place}, {line}")
        assert world.standing().due["mail:start"] == "2020-03-03"
        assert world.standing().due["commit"] == "2020-03-02"


@pytest.mark.parametrize("name", ["fills.jsonl:fill", "equity.csv", "record.json"])
def test_a_line_of_the_books_that_was_torn_is_written_again(
    hangman: Hangman, morning: World, writes: Writes, tmp_path: Path, name: str
) -> None:
    step = 8 if name.startswith("fills") else 9
    world = copy_world(morning, tmp_path / "torn")
    killed(hangman, world, step=step, write=writes[step].index(name), torn=True)
    assert_repaired(hangman, world, name)


def test_orders_that_were_meant_and_never_sent_are_held_until_their_absence_is_proved(
    hangman: Hangman, morning: World, writes: Writes, tmp_path: Path
) -> None:
    world = copy_world(morning, tmp_path / "meant")
    killed(hangman, world, step=7, write=writes[7].index("journal.jsonl:intents") + 1)
    meant = [line for line in world.journal(CRASH) if line["kind"] == "intents"]
    references = {order["reference"] for line in meant for order in line["orders"]}
    assert references
    assert not references & set(world.references())
    # The first look finds nothing; it takes a second one, ten minutes later, to believe it.
    assert hangman.run(world, NEXT) == 5
    assert "unresolved-order" in codes(world.last())
    subjects = {flag.subject for flag in world.standing().latched}
    assert subjects == {order["intent"]["instrument"] for line in meant for order in line["orders"]}
    assert not subjects & set(traded_since(world, CRASH))
    assert hangman.run(world, AFTER) == 0
    assert not world.standing().latched
    prove_targets(world)
    assert not references & set(world.references())
    # The journal of their run tells how it ended with them.
    fates = {
        line["order"]["reference"]: line["order"]["status"]
        for line in world.journal(CRASH)
        if line["kind"] == "order"
    }
    assert {fates[name] for name in references} == {"not sent"}


def killed(hangman: Hangman, world: World, *, step: int, write: int, torn: bool = False) -> None:
    """Kill a run after so many writes of a step, or within the write after so many."""
    code = hangman.run(world, CRASH, how="SIGKILL", within=step, write=write, torn=torn)
    assert code == -9, f"write {write} of step {step}: {hangman.said}"


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

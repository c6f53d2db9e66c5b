"""Processes that play schedules: every seed is answered, also when a process dies."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rebalancer.rehearsal.workers import results

BAD, DEADLY = 5, 3


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return functions that a new process finds, by a name that nothing else has."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return import_module("worker_plays")


def test_every_seed_is_answered_once(plays: Any) -> None:
    jobs = [("ib", seed) for seed in (1, 2, 4, BAD, 6, 7, 8, 9, 10)]
    found = {each.seed: each for each in results(jobs, plays.some, 2)}
    assert sorted(found) == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert [seed for seed, each in found.items() if each.violations] == [BAD]


def test_a_process_that_dies_is_a_violation_of_its_seed_and_the_others_are_played(
    plays: Any,
) -> None:
    jobs = [("ib", seed) for seed in (1, 2, DEADLY, 4, 6, 7)]
    found = {each.seed: each for each in results(jobs, plays.some, 1)}
    assert sorted(found) == [1, 2, 3, 4, 6, 7]
    (lost,) = found[DEADLY].violations
    assert lost.invariant == "worker-lost"
    assert "exit code 17" in lost.words
    assert not any(found[seed].violations for seed in (1, 2, 4, 6, 7))


def test_processes_that_cannot_even_begin_end_the_campaign(plays: Any) -> None:
    with pytest.raises(RuntimeError, match="before its first answer"):
        list(results([("ib", 1), ("ib", 2)], plays.none, 1))

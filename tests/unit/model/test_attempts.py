"""A slot's journal tells which attempt left something open."""

from __future__ import annotations

from typing import Any

import pytest

from rebalancer.model.attempts import died, recovered


def lines(*attempts: str) -> list[dict[str, Any]]:
    """Return a journal of attempts: how far each came, a dot at the end where it ended."""
    found: list[dict[str, Any]] = []
    for number, told in enumerate(attempts, 1):
        found.append({"kind": "begin", "attempt": number})
        steps = range(1, 1 + int(told.rstrip(".")))
        found += [{"kind": "step", "attempt": number, "step": step} for step in steps]
        found.append({"kind": "order", "order": {}})  # written later, by nobody's attempt
        if told.endswith("."):
            found.append({"kind": "end", "attempt": number})
    return found


@pytest.mark.parametrize(
    ("attempts", "which"),
    [
        ((), 0),
        (("13.",), 0),
        (("7",), 1),
        (("0",), 1),
        (("7", "1."), 1),  # the second could not connect: what the first left is still there
        (("7", "0"), 2),
        (("7", "1.", "1."), 1),
        (("7", "2."), 0),  # the second failed, but after it had finished the first
        (("13.", "7"), 2),
        (("13.", "7", "1."), 2),
        (("7", "7"), 2),
        (("7", "7", "13."), 0),
    ],
)
def test_what_an_attempt_left_stays_open_until_another_gets_past_step_1(
    attempts: tuple[str, ...], which: int
) -> None:
    assert died(lines(*attempts)) == which


def test_an_attempt_whose_record_stands_left_nothing() -> None:
    assert died(lines("9"), recorded=1) == 0
    assert died(lines("9", "7"), recorded=1) == 2


def test_an_attempt_at_work_is_not_looked_at() -> None:
    assert died(lines("13.", "3"), before=2) == 0
    assert died(lines("7", "1"), before=2) == 1
    assert died(lines("7", "3"), before=2) == 1


@pytest.mark.parametrize(("steps", "past"), [("0", False), ("1", False), ("2", True)])
def test_past_step_1_everything_earlier_is_finished(steps: str, past: bool) -> None:
    assert recovered(lines(steps)) == past

"""Damage to what whole hours read and hear, a bounded number of it; `python tests/fuzz` does more.

A case that fails prints its seed: `python tests/fuzz --only lives --first 1234 --cases 1`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import trials
from tests.fuzz.fuzzed import BLOCK, OF_HOURS


@pytest.fixture(scope="module", autouse=True)
def _clean() -> Iterator[None]:
    yield
    trials.clean_up()


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        pytest.param(name, first, marks=pytest.mark.xdist_group(f"fuzz-{name}"))
        for name, kind in OF_HOURS.items()
        for first in range(0, kind.in_ci, BLOCK)
    ],
)
def test_damage_ends_in_a_clear_refusal_or_in_nothing(kind: str, first: int) -> None:
    for seed in range(first, min(first + BLOCK, OF_HOURS[kind].in_ci)):
        OF_HOURS[kind].case(seed)

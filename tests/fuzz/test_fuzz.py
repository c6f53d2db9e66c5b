"""A bounded number of damaged things in every test run; `python tests/fuzz` does more.

A case that fails prints its seed: `python tests/fuzz --only states --first 1234 --cases 1`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import trials
from tests.fuzz.kinds import BLOCK, KINDS


@pytest.fixture(scope="module", autouse=True)
def _clean() -> Iterator[None]:
    yield
    trials.clean_up()


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        pytest.param(name, first, marks=pytest.mark.xdist_group(f"fuzz-{name}"))
        for name, kind in KINDS.items()
        for first in range(0, kind.in_ci, BLOCK)
    ],
)
def test_damage_ends_in_a_clear_refusal_or_in_nothing(kind: str, first: int) -> None:
    for seed in range(first, min(first + BLOCK, KINDS[kind].in_ci)):
        KINDS[kind].case(seed)

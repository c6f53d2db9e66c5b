"""A history proves that no split stands in it, or it proves nothing."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from rebalancer.ledger import continuous
from tests.unit.risk.builders import A, B, C


@pytest.mark.parametrize(
    ("closes", "proved"),
    [
        ([100, 101, 99], True),
        ([100, 132, 100], True),  # less than a third up, 24 % down
        ([100, 133], False),
        ([100, 75.3], True),  # 100 / 75.3 = 1.328
        ([100, 50, 50.5], False),  # 2:1
        ([10, 10.1, 101], False),  # 1:10
        ([100, 400 / 3], False),  # 3:4
        ([100, nan, 101], False),
        ([nan, 100, 101], False),
        ([100, 101, nan], False),
        ([100, inf], False),
        ([0, 100], False),
        ([-5, -5], False),
        ([100], False),
        ([], False),
    ],
)
def test_only_known_closes_without_a_jump_prove_it(closes: list[float], proved: bool) -> None:
    values = np.array(closes, np.float64).reshape(len(closes), 1)
    assert continuous(values, [A]) == (frozenset({A}) if proved else frozenset())


def test_each_instrument_proves_its_own() -> None:
    values = np.array([[100, 100, 7], [100, 50, 7], [100, 50, 7]], np.float64)
    assert continuous(values, (A, B, C)) == {A, C}

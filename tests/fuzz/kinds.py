"""What is damaged, and how many cases of each belong to an ordinary test run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.fuzz import configs, signal_files, states

BLOCK = 25
"""Cases of one test."""


@dataclass(frozen=True)
class Kind:
    """One kind of damage: `case(seed)` does one and raises `AssertionError` for a failure."""

    case: Callable[[int], str]
    in_ci: int


KINDS: Mapping[str, Kind] = {
    "configs": Kind(configs.case, 300),
    "signals": Kind(signal_files.case, 300),
    "states": Kind(states.case, 150),
}

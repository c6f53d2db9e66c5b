"""What draws schedules from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """What is drawn from one seed; uses nothing but `random()`, which never changes."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def chance(self, share: float) -> bool:
        """Return True in a share of all cases."""
        return self._random.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices, each as likely as any other."""
        return choices[int(self._random.random() * len(choices))]

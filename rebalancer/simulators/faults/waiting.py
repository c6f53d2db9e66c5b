"""A trouble that waits for its occasion."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from rebalancer.simulators.faults.hours import Trouble


class Waiting:
    """One trouble of one run, and how many occasions it has had."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self._occasions = 0
        self._patterns = tuple(each.strip() for each in trouble.at.split("|") if each.strip())

    def due(self, names: Sequence[str], step: int) -> bool:
        """Count an occasion that has these names, in a step; return whether it strikes there."""
        trouble = self.trouble
        if trouble.step not in (0, step) or not self._waits_for(names):
            return False
        self._occasions += 1
        last = float("inf") if trouble.count is None else trouble.nth + trouble.count - 1
        return trouble.nth <= self._occasions <= last

    def _waits_for(self, names: Sequence[str]) -> bool:
        if not self._patterns:
            return bool(names)
        return any(fnmatchcase(name, each) for name in names for each in self._patterns)

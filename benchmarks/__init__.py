"""What we claim about speed, runnable: `python -m benchmarks [WORD ...]`.

Every module beside this one that has a function `benchmarks()` takes part; it answers with
`Benchmark`s, each measured next to a yardstick, so that a claim can be read as a ratio on
whatever machine it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """One claim. `run` and `yardstick` are called alternately, `rounds` times each.

    `most_milliseconds`, `most_ratio` (median over the yardstick's median) and
    `most_mebibytes` are what we claim; None: no claim of that kind. `mebibytes` tells, after
    the runs, the most memory that one of them used.
    """

    name: str
    run: Callable[[], object]
    yardstick_name: str
    yardstick: Callable[[], object]
    most_milliseconds: float | None = None
    most_ratio: float | None = None
    rounds: int = 15
    mebibytes: Callable[[], float] | None = None
    most_mebibytes: float | None = None


@dataclass(frozen=True)
class Measured:
    """The medians of one benchmark, in seconds."""

    benchmark: Benchmark
    seconds: float
    yardstick_seconds: float
    mebibytes: float | None = None

    @property
    def ratio(self) -> float:
        """Return how many yardsticks it took."""
        return self.seconds / self.yardstick_seconds

    @property
    def kept(self) -> bool:
        """Return whether every claim held."""
        most_seconds, most = self.benchmark.most_milliseconds, self.benchmark.most_ratio
        in_time = most_seconds is None or self.seconds * 1000 <= most_seconds
        return in_time and (most is None or self.ratio <= most) and self._in_memory

    @property
    def _in_memory(self) -> bool:
        most = self.benchmark.most_mebibytes
        return most is None or (self.mebibytes is not None and self.mebibytes <= most)

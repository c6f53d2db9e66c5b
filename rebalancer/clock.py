"""The only place that looks at the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class SystemClock:
    """This machine's clocks."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go backwards; only differences mean something."""
        return time.monotonic()


class Deadline:
    """A span of time that ends, whatever happens to the wall clock meanwhile.

    It begins when it is made. `monotonic` tells seconds that never go backwards.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, zero when it is over."""
        return max(0.0, self._end - self._monotonic())

    def over(self) -> bool:
        """Return whether the time has run out."""
        return self._monotonic() >= self._end

"""Simulated time: it moves when somebody moves it, forward only, never with the wall clock."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from rebalancer.errors import UsageError


class VirtualClock:
    """A time that is moved by hand."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    @property
    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        return self._now

    def advance_to(self, at: datetime) -> None:
        """Move to `at`; raises `UsageError` when that is in the past."""
        self.require(at)
        self._now = at

    def require(self, at: datetime) -> None:
        """Raise `UsageError` when `at` is in the past."""
        if at < self._now:
            raise UsageError(
                f"simulated time goes forward only: it is {self._now:%Y-%m-%dT%H:%M:%SZ} already, "
                f"{at:%Y-%m-%dT%H:%M:%SZ} was asked for"
            )


def latency(seed: int, what: str, longest_seconds: float) -> timedelta:
    """Return a delay of one, two, three or four quarters of the longest.

    Few steps, so that much of what is sent together happens together: each instant with
    news costs one write of the books. The same seed and the same `what` (which message it is)
    have the same delay, whenever and in whatever order they are asked for.
    """
    drawn = hashlib.sha256(f"{seed}|{what}".encode("ascii", "replace")).digest()[0] % 4
    return timedelta(microseconds=round(longest_seconds * 250_000) * (drawn + 1))


def next_minute(at: datetime) -> datetime:
    """Return the first whole minute after `at`."""
    return at.replace(second=0, microsecond=0) + timedelta(minutes=1)

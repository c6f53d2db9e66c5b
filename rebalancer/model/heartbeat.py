"""What runs say from outside the books: that they happen, and how they end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

GOOD_CODES = frozenset({0, 3})
"""A run that ends so did its work: it finished, had nothing to do, or stood still on purpose.

What it stood still for is told by its own mail; a HALT file that stands for days by the watchdog.
"""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last run that was not a dry one, due or not; times are wall times.

    `at` is when it began. `ended`, `outcome` and `exit_code` are of the last run that ended:
    while `ended` is before `at` a run is at work, or died. `good` is when the last good run
    ended. None: not known (an older program wrote the file, or it never happened).
    """

    at: datetime
    ended: datetime | None = None
    outcome: str = ""
    exit_code: int | None = None
    good: datetime | None = None

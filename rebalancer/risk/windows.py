"""Times of day in which nothing is sent because the gateway restarts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from rebalancer.errors import DataError

_SHAPE = re.compile(
    r"(?P<begin>[0-2]\d:[0-5]\d)-(?P<end>[0-2]\d:[0-5]\d) (?P<zone>[A-Za-z][A-Za-z0-9_+/-]*)"
)


@dataclass(frozen=True, slots=True)
class RestartWindow:
    """A time of day in a zone, [begin, end); it may lie over midnight."""

    begin: time
    end: time
    zone: str

    def contains(self, at: datetime) -> bool:
        """Return whether the aware time `at` is in the window, on its zone's clocks."""
        clock = at.astimezone(ZoneInfo(self.zone)).time()
        if self.begin <= self.end:
            return self.begin <= clock < self.end
        return clock >= self.begin or clock < self.end

    def __str__(self) -> str:
        """Return it as it is configured."""
        return f"{self.begin:%H:%M}-{self.end:%H:%M} {self.zone}"


def parse_restart_window(text: str) -> RestartWindow | None:
    """Return the window that `HH:MM-HH:MM Zone/Name` says, None for ''.

    Raises `DataError` for another shape, a time that no clock shows, an unknown zone.
    """
    if not text:
        return None
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise DataError(f"{text!r:.80} is not a window like 23:45-00:45 America/New_York")
    try:
        begin, end = time.fromisoformat(match["begin"]), time.fromisoformat(match["end"])
        ZoneInfo(match["zone"])
    except (ValueError, LookupError, OSError) as error:
        raise DataError(f"{text!r:.80} is not a window: {error!s:.200}") from error
    if begin == end:
        raise DataError(f"{text!r} begins when it ends")
    return RestartWindow(begin, end, match["zone"])

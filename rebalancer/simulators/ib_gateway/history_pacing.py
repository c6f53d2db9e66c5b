"""How often small bars may be asked for, in seconds of the wire.

TWS API, "Historical Data Limitations": for bars of 30 seconds and less no identical request
within 15 seconds, fewer than six for one contract, exchange and kind within 2 seconds, at most
60 in ten minutes; a request for bid and ask counts twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

VIOLATION = (
    162,
    "Historical Market Data Service error message:Historical data request pacing violation",
)


@dataclass
class HistoryPacing:
    """What was asked for lately by everybody."""

    asked: deque[tuple[float, Hashable, Hashable]] = field(default_factory=deque)

    def violates(self, now: float, contract: Hashable, request: Hashable, counts: int) -> bool:
        """Count a request at `now`; return whether it came too early."""
        asked = self.asked
        while asked and asked[0][0] <= now - 600.0:
            asked.popleft()
        same = any(at > now - 15.0 and other == request for at, _contract, other in asked)
        close = sum(1 for at, other, _request in asked if at > now - 2.0 and other == contract)
        many = len(asked) + counts > 60
        asked.extend([(now, contract, request)] * counts)
        return same or close + counts >= 6 or many

"""How often history may be asked for, in seconds of the event loop.

Interactive Brokers: at most 50 requests open at a time; for bars of 30 seconds and less no
identical request within 15 seconds, fewer than six for one contract within 2 seconds, at most
60 within ten minutes, a request for bid and ask counting twice (TWS API, "Historical Data
Limitations"). Larger bars are slowed down softly by the venue itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

MOST_OPEN = 50
SMALL_BAR_SECONDS = 30


async def in_time(awaitable: Awaitable[T], seconds: float) -> T | None:
    """Return what arrives within a time of the loop, None when it does not."""
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except TimeoutError:
        return None


class Window:
    """At most `most` counts in any `seconds`; whoever comes too early waits."""

    def __init__(self, most: int, seconds: float) -> None:
        if most < 1:
            raise ValueError("a window that lets nothing through")
        self._most, self._seconds = most, seconds
        self._counted: deque[float] = deque()

    def delay(self, now: float, counts: int = 1) -> float:
        """Return how long to wait from `now` until `counts` more fit in."""
        while self._counted and self._counted[0] <= now - self._seconds:
            self._counted.popleft()
        over = len(self._counted) + min(counts, self._most) - self._most
        return self._counted[over - 1] + self._seconds - now if over > 0 else 0.0

    def count(self, now: float, counts: int = 1) -> None:
        """Count what is sent at `now`."""
        self._counted.extend([now] * min(counts, self._most))


@dataclass
class Pacing:
    """Gives way to requests for history, one after the other, as the venue allows."""

    open_requests: int = 8
    small_total: Window = field(default_factory=lambda: Window(60, 600.0))
    small_contract: dict[Hashable, Window] = field(default_factory=dict)
    small_same: dict[Hashable, Window] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bound what may be open at a time."""
        self._open = asyncio.Semaphore(max(1, min(self.open_requests, MOST_OPEN)))
        self._turn = asyncio.Lock()

    async def enter(
        self, contract: Hashable, request: Hashable, bar_seconds: int, *, both_sides: bool = False
    ) -> None:
        """Wait until a request may be sent; `leave` must follow when it is answered."""
        await self._open.acquire()
        try:
            if bar_seconds <= SMALL_BAR_SECONDS:
                await self._small(contract, request, 2 if both_sides else 1)
        except BaseException:
            self._open.release()
            raise

    def leave(self) -> None:
        """Say that a request is answered, or given up."""
        self._open.release()

    async def _small(self, contract: Hashable, request: Hashable, counts: int) -> None:
        loop = asyncio.get_running_loop()
        windows = (
            self.small_total,
            self.small_contract.setdefault(contract, Window(5, 2.0)),
            self.small_same.setdefault(request, Window(1, 15.0)),
        )
        async with self._turn:
            while (wait := max(each.delay(loop.time(), counts) for each in windows)) > 0:
                await asyncio.sleep(wait + 1e-6)  # rounding must not make it wait for nothing
            for each in windows:
                each.count(loop.time(), counts)

"""An event loop that never sleeps: when nothing is ready it jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from rebalancer.simulators.faults.killed import Killed

_RESOLUTION = 1e-7
"""Seconds: timers that are nearer than this to the time jumped to are due (rounding)."""

_TURNS, _MOMENT = 30, 1e-6
"""How many turns may go by without any time, and the seconds that pass then."""

LONGEST_SECONDS = 48 * 3600.0
"""Time-outs are of minutes: a loop that lives longer than this turns in a circle."""

Connector = Callable[["VirtualLoop", Callable[[], asyncio.Protocol], str, int], Any]
"""Connects a client's protocol to a server in this process: returns its transport."""


class Deadlock(RuntimeError):
    """Nothing is ready and no timer runs: what is waited for will never happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, which begins at `start` seconds and only timers move.

    `connect` takes what clients connect to (`create_connection`); without it there is no
    network at all. Small numbers on purpose: adding microseconds to seconds since 1970 would
    lose them. Threads have no place here: a wait for one is a `Deadlock`.
    """

    def __init__(self, connect: Connector | None = None, *, start: float = 0.0) -> None:
        self._virtual = start
        self._end = start + LONGEST_SECONDS
        self._connect = connect
        super().__init__(_Selector(self))
        self._clock_resolution = _RESOLUTION

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual

    def jump(self, seconds: float) -> None:
        """Let time pass at once; raises `Deadlock` when that is longer than anybody waits."""
        self._virtual += seconds
        if self._virtual > self._end:
            raise Deadlock(
                f"{LONGEST_SECONDS / 3600:g} hours of the wire have passed on one loop: the client "
                "asks again and again for something that will never come"
            )

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell what a callback raised, as every loop does; but a kill ends whoever runs it."""
        if isinstance(error := context.get("exception"), Killed):
            raise error
        super().call_exception_handler(context)

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str | None = None,
        port: int | None = None,
        **_options: Any,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect to a server in this process; raises `ConnectionRefusedError` without one."""
        if self._connect is None:
            raise ConnectionRefusedError(111, f"nobody listens at {host}:{port}")
        found: tuple[asyncio.Transport, asyncio.Protocol] = await self._connect(
            self, protocol_factory, str(host), int(port or 0)
        )
        return found


class _Selector(selectors.DefaultSelector):
    """Looks at what is ready and lets the loop's time jump instead of waiting."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is ready now."""
        if timeout is None:
            raise Deadlock(
                "nothing is ready and no timer runs: the client waits without a time limit for "
                "something that will never come"
            )
        # A clock that stands would let a client's throttle turn for ever that waits for a time
        # "later than" the one it set itself: after some turns a little time passes.
        self._turns = 0 if timeout > 0 else self._turns + 1
        if timeout > 0:
            self._loop.jump(timeout)
        elif self._turns > _TURNS:
            self._turns = 0
            self._loop.jump(_MOMENT)
        return super().select(0)

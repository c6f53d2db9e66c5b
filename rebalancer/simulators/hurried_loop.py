"""An event loop over real sockets whose clock is faster than the wall's."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class HurriedLoop(asyncio.SelectorEventLoop):
    """A second of this loop takes `1 / times` seconds: pauses and time-outs are short.

    What arrives arrives as fast as ever, so `times` bounds how slow the other side may be.
    """

    def __init__(self, times: float) -> None:
        self._times = times
        super().__init__(_Hurried(times))

    def time(self) -> float:
        """Return the loop's time in its own seconds."""
        return super().time() * self._times


class _Hurried(selectors.DefaultSelector):
    """A selector that is asked in the loop's seconds and waits in real ones."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self._times = times

    def select(self, timeout: float | None = None) -> Any:
        """Wait for what is ready."""
        hurried = timeout / self._times if timeout and timeout > 0 else timeout
        return super().select(hurried)

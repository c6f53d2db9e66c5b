"""How a run that is asked to end is told so while an event loop turns.

A signal's handler that raises where the library reads a frame would be swallowed there, or would
break the connection that the closing of the books needs. So it hands its error to the loop
(`cli.guard`), which calls the bell between two callbacks.
"""

from __future__ import annotations

import asyncio
from typing import Any

from rebalancer.brokers.ib.client import LOG
from rebalancer.errors import DeadlineExceeded, Interrupted, RebalancerError


class Bell:
    """Takes what a loop has to tell: whoever waits for `rung` is to call `answer` then."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.rung: asyncio.Future[RebalancerError] = loop.create_future()
        loop.set_exception_handler(self._told)

    def answer(self) -> RebalancerError:
        """Return why it was rung, once."""
        error, self.rung = self.rung.result(), self._loop.create_future()
        return error

    def remove(self) -> None:
        """Let nobody wait any more."""
        self.rung.cancel()

    def _told(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Ring; what a task of the library's left behind goes to the log, not to the terminal."""
        error = context.get("exception")
        if not isinstance(error, (Interrupted, DeadlineExceeded)):
            LOG.debug("ib: %s: %r", context.get("message"), error)
        elif not self.rung.done():
            self.rung.set_result(error)

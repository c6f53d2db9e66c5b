"""What surrounds a run: locks, the deadline, signals, the heartbeat, and its exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from rebalancer.clock import SystemClock
from rebalancer.errors import DeadlineExceeded, Interrupted, RebalancerError
from rebalancer.store.atomic import Files
from rebalancer.store.heartbeat import Pulse
from rebalancer.store.lock import account_lock, portfolio_lock

HANDED_SECONDS = 5.0
"""How long the event loop may take to come to the deadline before a callback is broken off."""

LAST_SECONDS = 90.0
"""The end of the deadline that belongs to steps 8 to 13; nothing is sent in it."""


@contextmanager
def guarded(
    folder: Path,
    venue: str,
    account: str,
    deadline_seconds: float,
    *,
    trades: bool,
    beats: bool = True,
) -> Iterator[Pulse]:
    """Hold the locks of a run and bound its time; a dry run takes no lock.

    Yields the heartbeat of the run, begun unless it is a dry one or `beats` is False (commands
    that are no runs); whoever runs says how it ended. Raises `LockBusy` or `LockHung` at once,
    `DeadlineExceeded` when the whole deadline is over, `Interrupted` on SIGTERM or SIGINT: each
    at most once, because what follows is the closing of the books. The deadline bounds that
    closing too.
    """
    clock, pulse = SystemClock(), Pulse(Files(), folder)
    with ExitStack() as stack:
        if trades:
            now = clock.now().timestamp()
            until = now + deadline_seconds
            stack.enter_context(portfolio_lock(folder, until, now))
            stack.enter_context(account_lock(venue, account, until, now))
            if beats:
                pulse.begin(clock.now())
        stack.enter_context(_signals(deadline_seconds))
        yield pulse


@contextmanager
def _signals(deadline_seconds: float) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into `Interrupted` and the timer into `DeadlineExceeded`."""
    raised: set[bool] = set()
    late: list[_Handed] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        timed_out = number == signal.SIGALRM
        if timed_out and late:
            late.pop().insist()
        if timed_out in raised:
            return
        raised.add(timed_out)
        if timed_out:
            told = _tell(DeadlineExceeded(f"the run took longer than {deadline_seconds:g} s"))
            if told is not None:
                late.append(told)
                signal.setitimer(signal.ITIMER_REAL, HANDED_SECONDS)
        else:
            _tell(Interrupted(f"asked to end by {signal.Signals(number).name}"))

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    signal.setitimer(signal.ITIMER_REAL, deadline_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Handed:
    """An error that the event loop was given to raise when its present callback is over."""

    def __init__(self, error: RebalancerError) -> None:
        self._error, self._taken = error, False

    def deliver(self, loop: Any) -> None:
        """Hand it to whoever waits for the loop."""
        if self._taken:
            return
        self._taken = True
        loop.call_exception_handler({"message": "asked to end", "exception": self._error})

    def insist(self) -> None:
        """Raise it here and now if the loop never came to it: its callback hangs."""
        if not self._taken:
            self._taken = True
            raise self._error


def _tell(error: RebalancerError) -> _Handed | None:
    """Raise an error; while an event loop turns, hand it to the loop instead.

    Raised in the middle of a library's callback it would be swallowed, or break the connection.
    """
    asyncio = sys.modules.get("asyncio")  # who has not loaded it has no loop
    loop = None if asyncio is None else asyncio._get_running_loop()
    if loop is None or loop.get_exception_handler() is None:
        raise error
    handed = _Handed(error)
    loop.call_soon_threadsafe(handed.deliver, loop)
    return handed


def slot_of(at: datetime) -> datetime:
    """Return the minute a run was asked for."""
    return at.replace(second=0, microsecond=0)

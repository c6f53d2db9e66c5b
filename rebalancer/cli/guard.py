"""What surrounds a run: locks, the deadline, signals, the heartbeat, and its exit code."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType

from rebalancer.clock import SystemClock
from rebalancer.errors import DeadlineExceeded, Interrupted
from rebalancer.store.atomic import Files
from rebalancer.store.books import write_heartbeat
from rebalancer.store.lock import account_lock, portfolio_lock

LAST_SECONDS = 90.0
"""The end of the deadline that belongs to steps 8 to 13; nothing is sent in it."""


@contextmanager
def guarded(
    folder: Path, venue: str, account: str, deadline_seconds: float, *, trades: bool
) -> Iterator[None]:
    """Hold the locks of a run and bound its time; a dry run takes no lock.

    Raises `LockBusy` or `LockHung` at once, `DeadlineExceeded` when the whole deadline is
    over, `Interrupted` on SIGTERM or SIGINT: each at most once, because what follows is the
    closing of the books. The deadline bounds that closing too.
    """
    clock = SystemClock()
    with ExitStack() as stack:
        if trades:
            now = clock.now().timestamp()
            until = now + deadline_seconds
            stack.enter_context(portfolio_lock(folder, until, now))
            stack.enter_context(account_lock(venue, account, until, now))
            write_heartbeat(Files(), folder, clock.now())
        stack.enter_context(_signals(deadline_seconds))
        yield


@contextmanager
def _signals(deadline_seconds: float) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into `Interrupted` and the timer into `DeadlineExceeded`."""
    raised: set[bool] = set()

    def interrupt(number: int, _frame: FrameType | None) -> None:
        timed_out = number == signal.SIGALRM
        if timed_out in raised:
            return
        raised.add(timed_out)
        if timed_out:
            raise DeadlineExceeded(f"the run took longer than {deadline_seconds:g} s")
        raise Interrupted(f"asked to end by {signal.Signals(number).name}")

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    signal.setitimer(signal.ITIMER_REAL, deadline_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def slot_of(at: datetime) -> datetime:
    """Return the minute a run was asked for."""
    return at.replace(second=0, microsecond=0)

"""Signals around a run: each kind ends what it must once, and the deadline outlives a SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from rebalancer.cli.guard import HANDED_SECONDS, guarded
from rebalancer.errors import DeadlineExceeded, Interrupted


def strike(number: int) -> None:
    os.kill(os.getpid(), number)


def test_the_deadline_also_bounds_the_closing_after_a_sigterm(tmp_path: Path) -> None:
    with guarded(tmp_path, "simulated", "A", 60.0, trades=False):
        with pytest.raises(Interrupted, match="SIGTERM"):
            strike(signal.SIGTERM)
        strike(signal.SIGTERM)  # the closing of the books is not disturbed again
        strike(signal.SIGINT)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        with pytest.raises(DeadlineExceeded, match="60 s"):
            strike(signal.SIGALRM)
        strike(signal.SIGALRM)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_who_asks_a_late_run_to_end_is_heard_once(tmp_path: Path) -> None:
    with guarded(tmp_path, "simulated", "A", 60.0, trades=False):
        with pytest.raises(DeadlineExceeded):
            strike(signal.SIGALRM)
        with pytest.raises(Interrupted):
            strike(signal.SIGINT)
        strike(signal.SIGTERM)


def test_a_callback_of_the_event_loop_is_not_broken_by_the_deadline(tmp_path: Path) -> None:
    heard: list[object] = []
    after: list[str] = []

    def callback() -> None:
        strike(signal.SIGALRM)
        after.append("the callback goes on")

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: heard.append(context["exception"]))
        loop.call_soon(callback)
        await asyncio.sleep(0.01)
        strike(signal.SIGALRM)  # the loop has it already

    with guarded(tmp_path, "simulated", "A", 60.0, trades=False):
        asyncio.run(scene())
    assert after == ["the callback goes on"]
    (told,) = heard
    assert isinstance(told, DeadlineExceeded)


def test_a_callback_that_hangs_is_broken_off_a_little_later(tmp_path: Path) -> None:
    ended: list[str] = []

    def callback() -> None:
        strike(signal.SIGALRM)
        left = signal.getitimer(signal.ITIMER_REAL)[0]
        assert 0 < left <= HANDED_SECONDS
        try:
            strike(signal.SIGALRM)  # as the timer does then
        except DeadlineExceeded as error:
            ended.append(str(error))

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: ended.append("a second time"))
        loop.call_soon(callback)
        await asyncio.sleep(0.01)

    with guarded(tmp_path, "simulated", "A", 60.0, trades=False):
        asyncio.run(scene())
    assert ended == ["the run took longer than 60 s"]

"""Who is asked to end while the event loop turns hears it between two callbacks."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rebalancer.brokers.ib.bell import Bell
from rebalancer.cli.guard import guarded
from rebalancer.errors import DeadlineExceeded, Interrupted


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REBALANCER_LOCKS", str(tmp_path / "locks"))
    return tmp_path


@pytest.mark.parametrize("kind", [Interrupted, DeadlineExceeded])
def test_the_end_of_a_run_rings_once_and_can_ring_again(
    loop: asyncio.AbstractEventLoop, kind: type[Exception]
) -> None:
    bell = Bell(loop)
    told = kind("asked to end")
    loop.call_exception_handler({"message": "", "exception": told})
    loop.call_exception_handler({"message": "", "exception": Interrupted("once more")})
    assert bell.rung.done()
    assert bell.answer() is told
    assert not bell.rung.done()


def test_what_a_task_of_the_library_leaves_behind_does_not_ring(
    loop: asyncio.AbstractEventLoop,
) -> None:
    bell = Bell(loop)
    loop.call_exception_handler({"message": "", "exception": ValueError("rubbish")})
    assert not bell.rung.done()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_does_not_break_into_a_callback_of_the_loop(
    loop: asyncio.AbstractEventLoop, locks: Path, number: signal.Signals
) -> None:
    bell, done = Bell(loop), []

    def callback() -> None:
        os.kill(os.getpid(), number)
        done.append("to its end")

    async def wait() -> None:
        loop.call_soon(callback)
        raise await asyncio.wait_for(bell.rung, 20)

    with (
        guarded(locks, "simulated", "A", 60.0, trades=True),
        pytest.raises(Interrupted, match=f"asked to end by {number.name}"),
    ):
        loop.run_until_complete(wait())
    assert done == ["to its end"]


def test_a_signal_is_raised_at_once_where_no_loop_turns(locks: Path) -> None:
    with (
        guarded(locks, "simulated", "A", 60.0, trades=True),
        pytest.raises(Interrupted, match="asked to end by SIGTERM"),
    ):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_loop_that_nobody_listens_to_does_not_swallow_a_signal(
    loop: asyncio.AbstractEventLoop, locks: Path
) -> None:
    async def wait() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with guarded(locks, "simulated", "A", 60.0, trades=True), pytest.raises(Interrupted):
        loop.run_until_complete(wait())

"""A loop that never sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic

import pytest

from rebalancer.simulators.ib_gateway.virtual_loop import Deadlock, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.close()


def test_an_hour_of_sleep_takes_no_time(loop: VirtualLoop) -> None:
    began = monotonic()
    loop.run_until_complete(asyncio.sleep(3600))
    assert loop.time() == pytest.approx(3600)
    assert monotonic() - began < 60  # it would be an hour otherwise


def test_timers_come_in_their_order(loop: VirtualLoop) -> None:
    heard: list[tuple[str, float]] = []

    async def say(word: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        heard.append((word, round(loop.time(), 6)))

    async def both() -> None:
        await asyncio.gather(say("late", 2.5), say("soon", 0.25), say("never too late", 86_400))

    loop.run_until_complete(both())
    assert heard == [("soon", 0.25), ("late", 2.5), ("never too late", 86_400.0)]


def test_a_wait_without_a_limit_for_nothing_is_a_clear_error(loop: VirtualLoop) -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    waiting = loop.create_task(forever())
    with pytest.raises(Deadlock, match="will never come"):
        loop.run_until_complete(waiting)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(waiting)


def test_a_time_limit_ends_a_wait_for_nothing(loop: VirtualLoop) -> None:
    async def limited() -> None:
        await asyncio.wait_for(asyncio.get_running_loop().create_future(), 30)

    with pytest.raises(TimeoutError):
        loop.run_until_complete(limited())
    assert loop.time() == pytest.approx(30)


def test_a_client_that_asks_for_ever_is_a_clear_error_too(loop: VirtualLoop) -> None:
    async def poll() -> None:
        while True:
            await asyncio.sleep(600)

    polling = loop.create_task(poll())
    with pytest.raises(Deadlock, match="48 hours of the wire have passed"):
        loop.run_until_complete(polling)
    polling.cancel()
    loop.jump(-600)
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(polling)


def test_there_is_no_network_but_what_was_given(loop: VirtualLoop) -> None:
    with pytest.raises(ConnectionRefusedError, match="example:80"):
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, "example", 80))


def test_time_can_go_on_where_another_loop_stopped() -> None:
    loop = VirtualLoop(start=12.5)
    loop.run_until_complete(asyncio.sleep(0.5))
    assert loop.time() == pytest.approx(13.0)
    loop.close()

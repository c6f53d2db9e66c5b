"""No more requests for history than the venue allows, in the loop's own time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from rebalancer.brokers.ib.pacing import Pacing, Window
from rebalancer.simulators.ib_gateway.virtual_loop import VirtualLoop


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def test_a_window_lets_its_number_through_and_then_as_many_as_leave_it() -> None:
    window = Window(3, 10.0)
    for now in (0.0, 1.0, 2.0):
        assert window.delay(now) == 0
        window.count(now)
    assert window.delay(3.0) == 7.0
    assert window.delay(10.0) == 0
    window.count(10.0)
    assert window.delay(10.0) == 1.0


def test_what_counts_twice_waits_for_two_places() -> None:
    window = Window(3, 10.0)
    window.count(0.0)
    window.count(4.0)
    assert window.delay(5.0, counts=2) == 5.0
    assert window.delay(5.0, counts=99) == 9.0  # never more than there are places


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="lets nothing through"):
        Window(0, 1.0)


async def _sent(contracts: list[int], seconds: int, *, both: bool = False) -> list[float]:
    loop, pacing, sent = asyncio.get_running_loop(), Pacing(50), list[float]()

    async def one(number: int, contract: int) -> None:
        await pacing.enter(contract, (number, contract), seconds, both_sides=both)
        sent.append(loop.time())
        pacing.leave()

    await asyncio.gather(*(one(n, contract) for n, contract in enumerate(contracts)))
    return sorted(round(at, 2) for at in sent)  # a turn of the loop takes microseconds


def test_small_bars_are_at_most_sixty_in_ten_minutes() -> None:
    sent = run(_sent(list(range(130)), 30))
    for first, later in zip(sent, sent[60:], strict=False):
        assert later - first >= 600
    assert sent[59] == 0


def test_bid_and_ask_count_twice() -> None:
    sent = run(_sent(list(range(60)), 30, both=True))
    assert [sent[29], sent[30]] == [0, 600]


def test_one_contract_is_asked_fewer_than_six_times_in_two_seconds() -> None:
    sent = run(_sent([1] * 12, 30))
    assert sent[4] == 0
    assert sent[5] >= 2
    assert sent[10] >= 4


def test_larger_bars_are_not_slowed_down() -> None:
    assert run(_sent(list(range(200)), 86_400)) == [0.0] * 200


def test_only_so_many_are_open_at_a_time() -> None:
    async def most_open() -> int:
        pacing, open_now, most = Pacing(4), 0, 0

        async def one(number: int) -> None:
            nonlocal open_now, most
            await pacing.enter(number, number, 86_400)
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(1)
            open_now -= 1
            pacing.leave()

        await asyncio.gather(*(one(n) for n in range(20)))
        return most

    assert run(most_open()) == 4

"""The pace of messages: even, at the allowed rate, never faster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rebalancer.brokers.ib.throttle import Throttle
from rebalancer.simulators.ib_gateway.virtual_loop import VirtualLoop

ALLOWED = 50
"""Messages in any second that the gateway takes."""


class Sender:
    """A client of which only the wire is there, and when each message left."""

    def __init__(self, per_second: float = 48) -> None:
        self.loop = VirtualLoop()
        self.left: list[float] = []
        self.frames: list[bytes] = []
        self.client = SimpleNamespace(conn=self)
        self.throttle = Throttle(self.client, self.loop, per_second)

    def sendMsg(self, frame: bytes) -> None:  # noqa: N802
        self.left.append(self.loop.time())
        self.frames.append(frame)

    def send(self, count: int) -> None:
        for number in range(count):
            self.client.sendMsg(f"3\0{number}\0")

    def rest(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def most_in_a_second(self) -> int:
        """Count as the gateway does: what arrived within one second before each message."""
        return max(sum(at - 1.0 < each <= at for each in self.left) for at in self.left)


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_a_burst_of_500_leaves_at_the_allowed_pace_and_never_faster(sender: Sender) -> None:
    sender.send(500)
    sender.rest(20)
    assert len(sender.left) == 500
    assert sender.most_in_a_second() <= ALLOWED
    # 499 gaps of 1/48 s are 10.396 s; the last may leave 10 ms early: 10.386 s.
    assert sender.left[-1] - sender.left[0] == pytest.approx(499 / 48 - 0.01, abs=1e-4)
    assert 500 / (sender.left[-1] - sender.left[0]) >= 0.95 * ALLOWED
    sender.loop.close()


def test_even_the_fastest_setting_keeps_the_limit() -> None:
    sender = Sender(per_second=50)
    sender.send(500)
    sender.rest(20)
    assert sender.most_in_a_second() <= ALLOWED
    sender.loop.close()


def test_late_timers_are_made_up_for_and_never_overdone(sender: Sender) -> None:
    """A busy machine wakes us up to 9 ms late, each time."""
    late, loop = random.Random(3), sender.loop

    def call_at(when: float, what: Callable[[], None]) -> asyncio.TimerHandle:
        return loop.call_at(when + late.random() * 0.009, what)

    sleepy: Any = SimpleNamespace(time=loop.time, call_at=call_at)
    sender.throttle = Throttle(sender.client, sleepy, 48)
    sender.send(500)
    sender.rest(20)
    assert sender.most_in_a_second() <= ALLOWED
    assert 500 / (sender.left[-1] - sender.left[0]) >= 0.95 * ALLOWED
    sender.loop.close()


def test_messages_now_and_then_leave_at_once(sender: Sender) -> None:
    for _ in range(5):
        sender.send(1)
        sender.rest(0.5)
    assert sender.left == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])
    assert sender.throttle.sent == 5
    sender.loop.close()


def test_frames_have_their_length_in_front(sender: Sender) -> None:
    sender.client.sendMsg("49\0" + "1\0é\0")
    # 49, NUL, 1, NUL, two bytes of an accented letter, NUL: 8 bytes.
    assert sender.frames == [b"\0\0\0\x08" + b"49\x001\0\xc3\xa9\0"]
    sender.loop.close()


def test_what_is_held_waits_and_leaves_later_in_its_order(sender: Sender) -> None:
    sender.throttle.hold()
    sender.send(3)
    sender.rest(5)
    assert (sender.left, sender.throttle.waiting) == ([], 3)
    sender.throttle.release()
    sender.rest(1)
    assert [frame[6:7] for frame in sender.frames] == [b"0", b"1", b"2"]
    sender.loop.close()


def test_what_is_forgotten_never_leaves(sender: Sender) -> None:
    sender.send(10)
    gone = len(sender.left)
    sender.throttle.forget()
    sender.rest(5)
    assert (len(sender.left), sender.throttle.waiting) == (gone, 0)
    sender.loop.close()

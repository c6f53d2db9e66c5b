"""Time is told in one place."""

from __future__ import annotations

from datetime import timedelta

from rebalancer.clock import Deadline, SystemClock


class Hands:
    """A clock that is moved by hand."""

    at = 100.0

    def __call__(self) -> float:
        return self.at


def test_the_system_clock_tells_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_the_monotonic_clock_never_goes_backwards() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()


def test_a_deadline_runs_out() -> None:
    clock = Hands()
    deadline = Deadline(30, clock)
    assert (deadline.left(), deadline.over()) == (30, False)
    clock.at = 129.5
    assert (deadline.left(), deadline.over()) == (0.5, False)
    clock.at = 130
    assert (deadline.left(), deadline.over()) == (0, True)
    clock.at = 500
    assert (deadline.left(), deadline.over()) == (0, True)


def test_a_deadline_of_nothing_is_over() -> None:
    assert Deadline(0, Hands()).over()

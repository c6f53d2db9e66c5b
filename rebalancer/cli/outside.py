"""What is heard of a run from outside, whatever becomes of it: the heartbeat and the ping."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rebalancer.cli.ended import Idle
from rebalancer.clock import SystemClock
from rebalancer.config import Config
from rebalancer.errors import LockBusy, RebalancerError
from rebalancer.model.records import Mode, RunRecord
from rebalancer.notify.ping import Ping
from rebalancer.store.heartbeat import Pulse

BUG = 70


class Course:
    """One call of `run`: its slot and how it ended, as soon as each is known."""

    def __init__(self, name: str, ping: Ping) -> None:
        self.name, self.ping = name, ping
        self.slot: datetime | None = None
        self.done: RunRecord | Idle | None = None

    @contextmanager
    def beating(self, pulse: Pulse) -> Iterator[None]:
        """Say that the run is at work, and while its lock is held how it ended.

        A kill says nothing: that the run never ended is what the next one finds.
        """
        self.ping.start()
        try:
            yield
        except Exception as error:
            pulse.end(SystemClock().now(), "failed", _code(error))
            raise
        pulse.end(SystemClock().now(), *self.ending())

    def ending(self) -> tuple[str, int]:
        """Return outcome and exit code of a run that was not broken off."""
        if isinstance(self.done, RunRecord):
            return self.done.outcome.value, self.done.exit_code
        return "idle", 0


@contextmanager
def outside(config: Config, mode: Mode) -> Iterator[Course]:
    """Let the outside service know how a run ended; a dry run is nobody's business.

    A run that leaves because another is at work says nothing: that one will.
    """
    course = Course(config.name, Ping(None if mode is Mode.DRY_RUN else config.passwords.ping))
    try:
        yield course
    except LockBusy:
        raise
    except Exception as error:
        _tell(course, "failed", _code(error))
        raise
    _tell(course, *course.ending())


def _tell(course: Course, outcome: str, code: int) -> None:
    slot = "none" if course.slot is None else f"{course.slot:%Y-%m-%dT%H:%MZ}"
    text = f"portfolio: {course.name}\nslot: {slot}\noutcome: {outcome}\nexit code: {code}\n"
    if trouble := course.ping.end(text, good=code == 0):
        print(f"ping: {trouble}", file=sys.stderr)


def _code(error: Exception) -> int:
    return error.exit_code if isinstance(error, RebalancerError) else BUG

"""What happens at the venue's own times: funding, triggers, deliveries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class _Timer:
    next_at: Callable[[datetime], datetime | None]
    act: Callable[[datetime], None]
    due: datetime | None = None
    done: datetime | None = None


class Timers:
    """Named actions, each with a rule for its next time. They run in order of their names.

    A rule is asked again whenever something has changed; a time at or before the last one
    that was acted upon counts as none, so that an action that is always due cannot loop.
    """

    def __init__(self) -> None:
        self._timers: dict[str, _Timer] = {}
        self._stale = True

    def register(
        self,
        name: str,
        next_at: Callable[[datetime], datetime | None],
        act: Callable[[datetime], None],
    ) -> None:
        """Call `act(at)` at `next_at(now)`, again and again; a name that is used is replaced."""
        self._timers = dict(sorted({**self._timers, name: _Timer(next_at, act)}.items()))
        self._stale = True

    def touch(self) -> None:
        """Ask every rule again before the next step: something has changed."""
        self._stale = True

    def next_at(self, now: datetime) -> datetime | None:
        """Return the earliest time that any timer waits for, None when none does."""
        times = []
        for timer in self._timers.values():
            if self._stale or (timer.due is not None and timer.due < now):
                timer.due = timer.next_at(now)
                if timer.due is not None and timer.due <= now and timer.done == now:
                    timer.due = None
            if timer.due is not None:
                times.append(timer.due)
        self._stale = False
        return min(times, default=None)

    def act(self, now: datetime) -> bool:
        """Do all that is due; return whether anything was."""
        due = [each for each in self._timers.values() if each.due is not None and each.due <= now]
        for timer in due:
            at, timer.due, timer.done = timer.due, None, now
            timer.act(max(at or now, now))
        self._stale = self._stale or bool(due)
        return bool(due)

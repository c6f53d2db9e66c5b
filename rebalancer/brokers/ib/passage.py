"""How time passes on a connection: by itself at a real gateway, on request at a simulated one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from rebalancer.clock import SystemClock
from rebalancer.ports import Page
from rebalancer.simulators.ib_gateway.control import Control

if TYPE_CHECKING:
    from rebalancer.brokers.ib.line import Line

STEP_SECONDS = 0.2
"""How long a real wait goes without looking whether something was heard."""


class Passage(Protocol):
    """Where the gateway is, and how its time passes."""

    host: str
    port: int
    simulated: bool

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop for a connection."""

    def now(self) -> datetime:
        """Return the venue's time."""

    def skew_seconds(self, line: Line) -> float:
        """Return how far the gateway's time is from ours."""

    def pass_time(self, line: Line, until: datetime, heard: Callable[[], bool]) -> None:
        """Let time pass to `until`, or until `heard` says that something was."""

    def ready(self) -> None:
        """Take note that the connection is made and proved."""


PassageOf = Callable[[Page], AbstractContextManager[Passage]]


class LivePassage:
    """Time at a real gateway: this machine's, compared with the gateway's."""

    simulated = False

    def __init__(self, host: str, port: int, clock: SystemClock | None = None) -> None:
        self.host, self.port = host, port
        self._clock = clock or SystemClock()

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop on this machine's clock."""
        return asyncio.new_event_loop()

    def now(self) -> datetime:
        """Return this machine's time."""
        return self._clock.now()

    def skew_seconds(self, line: Line) -> float:
        """Return the gateway's time less ours, in seconds; the gateway tells whole ones."""
        told = gateway_time(line)
        ours = self.now()
        skew = (told - ours).total_seconds()
        return skew + 0.5 if abs(skew + 0.5) < abs(skew) else skew

    def pass_time(self, line: Line, until: datetime, heard: Callable[[], bool]) -> None:
        """Listen until `until`, or until something was heard; raises when the wire breaks."""
        while not heard():
            left = (until - self.now()).total_seconds()
            if left <= 0:
                break
            line.rest(min(left, STEP_SECONDS))
            line.require_wire()

    def ready(self) -> None:
        """Nothing: a real gateway needs no telling."""


class SteppedPassage:
    """Time at a simulated gateway: it moves when it is told to."""

    simulated = True

    def __init__(self, control: Control) -> None:
        self.control = control
        self.host, self.port = control.host, control.port
        self._now = control.now()

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop that fits the gateway."""
        return self.control.loop()

    def now(self) -> datetime:
        """Return the simulated time."""
        return self._now

    def skew_seconds(self, line: Line) -> float:
        """Return what the gateway says of the time less what it is."""
        told = gateway_time(line)
        return (told - self._now.replace(microsecond=0)).total_seconds()

    def pass_time(self, line: Line, until: datetime, heard: Callable[[], bool]) -> None:
        """Let the simulated time pass, then hear all that it brought."""
        if until > self._now and not heard():
            self._now = self.control.advance(until)
        gateway_time(line)

    def ready(self) -> None:
        """Let the faults of single calls strike from now on."""
        self.control.arm()


def gateway_time(line: Line, seconds: float | None = None) -> datetime:
    """Ask the gateway for its time; what it sent before the answer has been heard then."""
    told = line.ask("the gateway's time", line.ib.reqCurrentTimeAsync, seconds)
    if not isinstance(told, datetime):
        told = datetime.fromtimestamp(float(told), UTC)
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)


def at_gateway(host: str, port: int) -> PassageOf:
    """Return the way to a real gateway."""

    @contextmanager
    def passage(_page: Page) -> Iterator[Passage]:
        yield LivePassage(host, port)

    return passage


def at_simulator(start: Callable[[], Control]) -> PassageOf:
    """Return the way to a simulated gateway that is started for each run and ended with it.

    The gateway plays up to the page's slot before anybody connects.
    """

    @contextmanager
    def passage(page: Page) -> Iterator[Passage]:
        control = start()
        try:
            control.open(page.slot, page.attempt)
            yield SteppedPassage(control)
        finally:
            control.close()

    return passage

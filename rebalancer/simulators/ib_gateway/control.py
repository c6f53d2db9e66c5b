"""How a simulated gateway is steered: beside the wire, never through it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.faults_of_the_engine import ConnectionFaults, on_the_wire
from rebalancer.simulators.killing import Executioner

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway


class Control(Protocol):
    """What the broker and the wiring steer a simulated gateway with.

    Every call raises what happened in the gateway as the same class of error with the same
    words, and `ConnectError` when the gateway has died.
    """

    host: str
    port: int

    def now(self) -> datetime:
        """Return the simulated time."""

    def open(self, slot: datetime, attempt: int) -> None:
        """Play up to a run's slot, before the client connects.

        A slot in the past raises `UsageError`; a second attempt goes on at the time the first
        one reached.
        """

    def advance(self, until: datetime) -> datetime:
        """Let time pass to `until` or to the first instant that has news; return that time."""

    def ended(self, at: datetime) -> bool:
        """Return whether the recording has no prices after `at`."""

    def arm(self) -> None:
        """Let the faults of single calls strike from now on (`GatewaySpec.faults`)."""

    def inject(self, *faults: WireFault) -> None:
        """Let more faults wait on the wire."""

    def counts(self) -> Mapping[str, int]:
        """Return how many messages of each name clients have sent."""

    def violations(self) -> int:
        """Return how often a client sent too many messages in one second."""

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""

    def close(self) -> None:
        """Save the books and end the gateway."""

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop for a client of this gateway."""


class Steering:
    """What both controls do, over a gateway in this process."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        spec = gateway.spec
        self._connection = ConnectionFaults(spec.faults)
        self._waiting = on_the_wire(spec.faults)
        self.executioner = Executioner()

    @property
    def refused(self) -> bool:
        """Return whether nobody may connect until the next `open`."""
        return self._connection.refused

    def now(self) -> datetime:
        """Return the simulated time."""
        return self.gateway.exchange.now

    def open(self, slot: datetime, attempt: int) -> None:
        """Play up to a run's slot; see `Control.open`."""
        exchange = self.gateway.exchange
        self._connection.opened()
        self.gateway.faults.account = self._connection.account
        if slot >= exchange.now or attempt == 1:
            exchange.clock.require(slot)
            self.gateway.tell(exchange.play_to(slot))

    def advance(self, until: datetime) -> datetime:
        """Let time pass; see `Control.advance`."""
        if self.gateway.faults.strikes(("advance",)) is not None:
            self.cut()
        elif until > self.now():
            self.gateway.advance(until)
        return self.now()

    def ended(self, at: datetime) -> bool:
        """Return whether the recording has no prices after `at`."""
        return self.gateway.exchange.market.ended(at)

    def arm(self) -> None:
        """Let the faults of single calls strike from now on, once."""
        waiting, self._waiting = self._waiting, ()
        self.gateway.faults.add(waiting)

    def inject(self, *faults: WireFault) -> None:
        """Let more faults wait on the wire."""
        self.gateway.faults.add(faults)

    def counts(self) -> Mapping[str, int]:
        """Return how many messages of each name clients have sent, by name."""
        heard = self.gateway.log.heard
        return {name: heard[name] for name in sorted(heard)}

    def violations(self) -> int:
        """Return how often a client sent too many messages in one second."""
        return self.gateway.violations

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""
        return self.gateway.log.digest()

    def cut(self) -> None:
        """Break every connection."""
        for session in tuple(self.gateway.sessions.values()):
            session.close()

    def save(self) -> None:
        """Save the books."""
        self.gateway.exchange.save()

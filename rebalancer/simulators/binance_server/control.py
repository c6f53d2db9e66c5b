"""How a simulated exchange is steered: beside the wire, never through it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.binance_server.faults_of_the_engine import (
    ConnectionFaults,
    on_the_wire,
)
from rebalancer.simulators.killing import Executioner

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer


class Control(Protocol):
    """What the broker and the wiring steer a simulated exchange with.

    Every call raises what happened in the exchange as the same class of error with the same
    words, and `ConnectError` when the exchange has died.
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
        """Let the faults of single calls strike from now on (`BinanceSpec.engine_faults`)."""

    def inject(self, *faults: HttpFault) -> None:
        """Let more faults wait for requests."""

    def counts(self) -> Mapping[str, int]:
        """Return how many requests arrived, by method and path, with or without an answer."""

    def used_weight(self) -> Mapping[str, int]:
        """Return weights and orders, as `limits.Limits.weights` names them."""

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""

    def mount(self, session: Any) -> None:
        """Let a `requests` session reach the exchange; over a socket it does by itself."""

    def close(self) -> None:
        """Save the books and end the exchange."""


class Steering:
    """What both controls do, over an exchange in this process."""

    def __init__(self, server: BinanceServer) -> None:
        self.server = server
        faults = server.spec.engine_faults
        self._connection = ConnectionFaults(faults)
        self._waiting = on_the_wire(faults)
        self.executioner = Executioner()

    def now(self) -> datetime:
        """Return the simulated time."""
        return self.server.now

    def open(self, slot: datetime, attempt: int) -> None:
        """Play up to a run's slot; see `Control.open`."""
        server, exchange = self.server, self.server.exchange
        self._connection.opened()
        server.refused, server.shown_account = self._connection.refused, self._connection.account
        server.gone_until = None
        if slot >= exchange.now or attempt == 1:
            exchange.clock.require(slot)
            exchange.play_to(slot)

    def advance(self, until: datetime) -> datetime:
        """Let time pass; see `Control.advance`."""
        server = self.server
        struck = server.faults.strikes("advance", (), server.now)
        for fault in struck:
            server.refused = server.refused or fault.do is Do.OUTAGE
        if not struck and until > server.now:
            server.exchange.advance(until)
        return server.now

    def ended(self, at: datetime) -> bool:
        """Return whether the recording has no prices after `at`."""
        return self.server.market.ended(at)

    def arm(self) -> None:
        """Let the faults of single calls strike from now on, once."""
        waiting, self._waiting = self._waiting, ()
        self.server.faults.add(waiting)

    def inject(self, *faults: HttpFault) -> None:
        """Let more faults wait for requests."""
        self.server.faults.add(faults)

    def counts(self) -> Mapping[str, int]:
        """Return how many requests arrived, by method and path."""
        heard = self.server.log.heard
        return {name: heard[name] for name in sorted(heard)}

    def used_weight(self) -> Mapping[str, int]:
        """Return weights and orders, as `limits.Limits.weights` names them."""
        return self.server.limits.weights()

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""
        return self.server.log.digest()

    def save(self) -> None:
        """Save the books."""
        self.server.exchange.save()

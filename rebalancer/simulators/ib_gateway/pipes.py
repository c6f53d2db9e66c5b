"""A connection inside one process: two directions, each with seeded delays, bytes in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.session import Session
    from rebalancer.simulators.ib_gateway.virtual_loop import VirtualLoop

_STEP = 1e-6
"""Seconds between two deliveries in one direction: equal times could change places."""


class Direction:
    """One way of a connection: each delivery comes after the one before it.

    What is sent while bytes are on their way travels with them, as a network packs it.
    """

    def __init__(self, loop: VirtualLoop, longest_seconds: float, seed: str) -> None:
        self._loop = loop
        self._longest = longest_seconds
        self._random = random.Random(seed)
        self._last = 0.0
        self._travelling: list[bytes] | None = None

    def send(self, data: bytes, deliver: Callable[[bytes], None]) -> None:
        """Deliver bytes after a delay."""
        if self._travelling is None:
            self._travelling = []
            self.later(self._arrive, deliver)
        self._travelling.append(data)

    def _arrive(self, deliver: Callable[[bytes], None]) -> None:
        data, self._travelling = b"".join(self._travelling or ()), None
        deliver(data)

    def later(self, do: Callable[..., None], *arguments: Any) -> None:
        """Do something after a delay, in turn."""
        at = self._loop.time() + self._random.random() * self._longest
        self._last = max(self._last + _STEP, at)
        if not self._loop.is_closed():  # nobody is there any more: it would never arrive
            self._loop.call_at(self._last, do, *arguments)


class ClientPipe(asyncio.Transport):
    """The transport that a client gets."""

    def __init__(self, loop: VirtualLoop, protocol: asyncio.Protocol, out: Direction) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._out = out
        self._closing = False
        self._session: Session | None = None
        self._crashed: Callable[[Exception], None] | None = None

    def bind(self, session: Session, crashed: Callable[[Exception], None]) -> None:
        """Connect it to a session; `crashed` gets what the session raises."""
        self._session, self._crashed = session, crashed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send to the gateway."""
        if not self._closing:
            self._out.send(bytes(data), self._arrive)

    def write_eof(self) -> None:
        """Do nothing: closing says it all."""

    def can_write_eof(self) -> bool:
        """Return that an end can be written."""
        return True

    def close(self) -> None:
        """Hang up."""
        if not self._closing:
            self._closing = True
            self._out.later(self._hang_up)
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Hang up."""
        self.close()

    def is_closing(self) -> bool:
        """Return whether either side has hung up."""
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what a socket's transport would tell of its ends."""
        return ("127.0.0.1", 0) if name in ("peername", "sockname") else default

    def pause_reading(self) -> None:
        """Do nothing: a client in this process always reads."""

    def resume_reading(self) -> None:
        """Do nothing."""

    # ------------------------------------------------------------------ the gateway's side

    def deliver(self, data: bytes) -> None:
        """Hand the gateway's bytes to the client."""
        if not self._closing:
            self._protocol.data_received(data)

    def lose(self) -> None:
        """End the connection from the gateway's side."""
        if not self._closing:
            self._closing = True
            self._protocol.connection_lost(None)

    def _arrive(self, data: bytes) -> None:
        session = self._session
        if session is None:
            return
        try:
            session.receive(data)
        except (
            Exception
        ) as error:  # what a session raises is a bug of the gateway's: tell whoever steers it
            self._session = None
            session.close()
            if self._crashed is not None:
                self._crashed(error)

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


class ServerPipe:
    """The `Wire` that a session gets."""

    def __init__(self, pipe: ClientPipe, out: Direction) -> None:
        self._pipe = pipe
        self._out = out
        self._open = True

    def write(self, data: bytes) -> None:
        """Send to the client."""
        if self._open:
            self._out.send(data, self._pipe.deliver)

    def close(self) -> None:
        """Hang up, after what was written has arrived."""
        if self._open:
            self._open = False
            self._out.later(self._pipe.lose)

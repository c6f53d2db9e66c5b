"""The gateway on a TCP port of this machine; never of any other."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from rebalancer.simulators.loopback import bound, loopback, unusable

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

MOST_UNSENT = 32 * 2**20
"""Bytes that wait for a client that does not read; then its connection is broken."""

_SOON = 0.05


class LoopbackServer:
    """Takes clients for a gateway at an address of this machine's loopback.

    `port` 0: any free one; afterwards `port` has it. Raises `UsageError` for an address that
    others could reach, and for a port that is taken. `refused` tells whether nobody may
    connect at the moment; then nobody listens.
    """

    def __init__(
        self,
        gateway: Gateway,
        host: str = "127.0.0.1",
        port: int = 0,
        refused: Callable[[], bool] = lambda: False,
    ) -> None:
        self.gateway = gateway
        self.host = loopback(host, "the simulated gateway")
        self.port = port
        self._refused = refused
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self.gateway.loop = loop
        try:
            self._server = await loop.create_server(
                lambda: _Connection(self.gateway), sock=bound(self.host, self.port)
            )
        except OSError as error:
            raise unusable(self.host, self.port, error, "gateway") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def obey(self) -> None:
        """Listen, or stop listening, as it should be now."""
        closed = self._refused() or self._closed_for() > 0
        if closed and self._server is not None:
            server, self._server = self._server, None
            server.close()
        elif not closed and self._server is None:
            await self.start()

    def watch(self) -> None:
        """Obey again and again: a restart closes the port for some seconds."""
        loop = asyncio.get_running_loop()
        self._watching = loop.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await self.obey()
            await asyncio.sleep(_SOON)

    def _closed_for(self) -> float:
        loop = self.gateway.loop
        return 0.0 if loop is None else self.gateway.faults.closed_until - loop.time()

    def stop(self) -> None:
        """Stop listening and break every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in tuple(self.gateway.sessions.values()):
            session.close()


class _Connection(asyncio.Protocol):
    """One client; the `Wire` of its session."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session."""
        self._transport = cast("asyncio.Transport", transport)
        self._session = self._gateway.attach(self)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the session; what it raises is a bug and ends this connection only."""
        session = self._session
        if session is None:
            return
        try:
            session.receive(data)
        except Exception:  # a gateway does not die of one client: tell it on stderr
            traceback.print_exc()
            session.close()
        if session.tap.stalled and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        """End the session."""
        self._transport = None
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def write(self, data: bytes) -> None:
        """Send bytes; a client that does not read for too long is let go."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > MOST_UNSENT:
            transport.abort()

    def close(self) -> None:
        """Hang up after what was written; a client that does not read it loses it."""
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_PATIENCE, transport.abort)
        transport.close()


_PATIENCE = 2.0

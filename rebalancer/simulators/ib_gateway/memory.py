"""The gateway in this process, without sockets, on virtual time: the same wire, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from rebalancer.simulators.books import FilesLike
from rebalancer.simulators.ib_gateway.control import Steering
from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.pipes import ClientPipe, Direction, ServerPipe
from rebalancer.simulators.ib_gateway.spec import GatewaySpec, open_gateway
from rebalancer.simulators.ib_gateway.virtual_loop import VirtualLoop

PORT = 4002


class LocalGateway:
    """A `Control` over a gateway in this process.

    Clients that connect on a `loop()` of it to its `host` and `port` get a pipe to the
    gateway; anything else is refused. The same spec and the same client have the same wire
    trace, byte by byte and microsecond by microsecond. What the gateway's own code raises
    breaks the connection, and is raised by the next call here.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        spec: GatewaySpec,
        files: FilesLike,
        write: Callable[[str], object] | None = None,
    ) -> None:
        self.port = spec.port or PORT
        self.gateway = open_gateway(spec, files, write)
        self._steering = Steering(self.gateway)
        self._spec = spec
        self._connections = 0
        self._loop: VirtualLoop | None = None
        self._crash: Exception | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a new virtual loop; connections on the one before are broken.

        Its time goes on where that one's stopped.
        """
        self._steering.cut()
        start = 0.0 if self._loop is None else self._loop.time()
        self._loop = VirtualLoop(self._accept, start=start)
        self.gateway.loop = self._loop
        return self._loop

    def now(self) -> datetime:
        """Return the simulated time."""
        self._check()
        return self._steering.now()

    def open(self, slot: datetime, attempt: int) -> None:
        """Play up to a run's slot; see `Control.open`."""
        self._check()
        self._steering.open(slot, attempt)

    def advance(self, until: datetime) -> datetime:
        """Let time pass; see `Control.advance`."""
        self._check()
        return self._steering.advance(until)

    def ended(self, at: datetime) -> bool:
        """Return whether the recording has no prices after `at`."""
        self._check()
        return self._steering.ended(at)

    def arm(self) -> None:
        """Let the faults of single calls strike from now on."""
        self._steering.arm()

    def inject(self, *faults: WireFault) -> None:
        """Let more faults wait on the wire."""
        self._steering.inject(*faults)

    def counts(self) -> Mapping[str, int]:
        """Return how many messages of each name clients have sent."""
        return self._steering.counts()

    def violations(self) -> int:
        """Return how often a client sent too many messages in one second."""
        return self._steering.violations()

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""
        return self._steering.trace()

    def cut(self) -> None:
        """Break every connection; the gateway goes on."""
        self._steering.cut()

    def close(self) -> None:
        """Break every connection and save the books."""
        self.cut()
        self._steering.save()
        self._check()

    async def _accept(
        self, loop: VirtualLoop, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect a client of the loop, after a delay as long as a message's."""
        self._connections += 1
        ways = [
            Direction(loop, self._spec.latency_seconds, f"{seed}|{self._connections}|{way}")
            for seed, way in ((self._spec.settings.seed, way) for way in ("out", "in"))
        ]
        arrived = loop.create_future()
        ways[0].later(arrived.set_result, None)
        await arrived
        closed = self._steering.refused or loop.time() < self.gateway.faults.closed_until
        if closed or loop is not self._loop or (host, port) != (self.host, self.port):
            raise ConnectionRefusedError(111, f"nobody listens at {host}:{port}")
        protocol = factory()
        pipe = ClientPipe(loop, protocol, ways[0])
        protocol.connection_made(pipe)
        pipe.bind(self.gateway.attach(ServerPipe(pipe, ways[1])), self._crashed)
        return pipe, protocol

    def _crashed(self, error: Exception) -> None:
        self._crash = self._crash or error

    def _check(self) -> None:
        crash, self._crash = self._crash, None
        if crash is not None:
            raise crash

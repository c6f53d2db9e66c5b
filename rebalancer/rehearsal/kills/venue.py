"""The venue of one world: a process of its own that outlives every client."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rebalancer.errors import RebalancerError
from rebalancer.model.codec import from_plain, to_plain
from rebalancer.rehearsal.evidence import Arrival
from rebalancer.rehearsal.observer.watch import Watch
from rebalancer.simulators.binance_server.child import ServedExchange
from rebalancer.simulators.binance_server.server import BinanceServer
from rebalancer.simulators.binance_server.spec import BinanceSpec
from rebalancer.simulators.child_end import Served
from rebalancer.simulators.hurried_loop import HurriedLoop
from rebalancer.simulators.ib_gateway.child import ServedGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.living import LivingVenue
from rebalancer.simulators.outliving import live_on
from rebalancer.store.atomic import Files

SOCKET = "control"

HURRY = {"ib": 5.0, "binance": 1.0}
"""So many times faster than the wall's is the clock of a client: it sends 48 messages in a second
of its own at most, and a run has a hundred."""

HURRY_OF_THE_VENUE = {"ib": 20.0, "binance": 1.0}
"""Faster than a client's: who was stalled by a busy machine is not blamed for sending too fast."""


class Venue:
    """A simulated venue in a forked process, and the line to it.

    `folder` gets its control socket; the account goes on from the books in `books` (None: a new
    one), which are never written. `state` is the portfolio's folder, for the watch.
    """

    def __init__(
        self, spec: GatewaySpec | BinanceSpec, folder: Path, state: Path, books: Path | None
    ) -> None:
        spec = replace(spec, folder=None if books is None else str(books), keep=False)
        self.control = folder / SOCKET
        self.control.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.control))
        listener.listen(16)
        self.pid = os.fork()
        if not self.pid:
            _live(spec, listener, state)
        listener.close()
        self.line = ObservedVenue(self.control)

    def end(self) -> None:
        """End the process, whatever it does."""
        try:
            self.line.end()
        except RebalancerError:
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.control.unlink(missing_ok=True)


class ObservedVenue(LivingVenue):
    """A living venue that keeps a watch over the orders that arrive."""

    def seen(self) -> tuple[tuple[Arrival, ...], tuple[str, ...]]:
        """Return the orders that arrived and the stops that were lost since the last call."""
        answer = self._ask("seen")
        arrivals = from_plain(tuple[Arrival, ...], answer["arrivals"], "arrivals")
        return arrivals, tuple(answer["naked"])

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""
        return str(self._ask("trace"))


class _Observed:
    """A venue that also tells what a watch saw (`child_end.Served`)."""

    def __init__(self, served: Served, watch: Watch) -> None:
        self._served, self._watch = served, watch
        self.start, self.stop, self.save = served.start, served.stop, served.save

    async def obey(self, order: Mapping[str, Any]) -> Any:
        if order["do"] != "seen":
            return await self._served.obey(order)
        watch = self._watch
        answer = {"arrivals": to_plain(watch.arrivals), "naked": list(watch.naked)}
        watch.begin()
        return answer


def _live(spec: GatewaySpec | BinanceSpec, listener: socket.socket, state: Path) -> None:
    """Be the venue until told to end; this process ends with it."""
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        times = HURRY_OF_THE_VENUE["ib" if isinstance(spec, GatewaySpec) else "binance"]
        with asyncio.Runner(loop_factory=lambda: HurriedLoop(times)) as runner:
            code = runner.run(live_on(made(spec, state), listener))
    finally:
        os._exit(code)


def made(spec: GatewaySpec | BinanceSpec, state: Path) -> Served:
    """Return a venue and its watch."""
    watch = Watch(state)
    if isinstance(spec, GatewaySpec):
        gateway = ServedGateway(spec)
        watch.gateway(gateway.steering.gateway)
        return _Observed(gateway, watch)
    server = BinanceServer(spec, Files())
    watch.server(server)
    return _Observed(ServedExchange(server), watch)

"""Whole hours through the real client library and a gateway in memory that a test can touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rebalancer.brokers.ib.broker import IbBroker
from rebalancer.brokers.ib.passage import Passage, SteppedPassage
from rebalancer.hourly import hour
from rebalancer.model.records import Mode, RunRecord
from rebalancer.ports import Desk, Page
from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.store.atomic import Files
from rebalancer.wiring import desk_for, ib_gateway_spec, sessions_for
from tests.portfolios import World

QUICK = {"request_seconds": 4.0, "quote_seconds": 1.0, "connect_attempts": 2, "farm_seconds": 2.0}
"""Seconds of virtual time; short, so that the loop has few timers to go through."""


@dataclass
class Gateways:
    """The gateway of a world, new for each run over the same books, and what it was asked.

    `faults` are put onto the wire of the next run, `before` is called with the gateway when it
    has played up to the slot, `changes` are of its spec.
    """

    world: World
    faults: Sequence[WireFault] = ()
    before: Callable[[LocalGateway], object] = lambda _gateway: None
    changes: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    frames: list[str] = field(default_factory=list)
    violations: int = 0

    def spec(self, at: datetime, *, dry: bool = False) -> GatewaySpec:
        """Return the gateway's spec as the wiring makes it, with this test's changes."""
        config = self.world.config()
        return replace(ib_gateway_spec(config, sessions_for(config, at), dry=dry), **self.changes)

    def desk(self, at: datetime, *, mode: Mode = Mode.PAPER, **settings: Any) -> Desk:
        """Return the real desk, its broker in front of a gateway of ours."""
        desk = desk_for(self.world.config(), mode=mode, at=at)
        broker = desk.broker
        assert isinstance(broker, IbBroker)
        dry = mode is Mode.DRY_RUN

        @contextmanager
        def passage(page: Page) -> Iterator[Passage]:
            gateway = LocalGateway(self.spec(at, dry=dry), Files(), self.frames.append)
            try:
                gateway.open(page.slot, page.attempt)
                self.before(gateway)
                gateway.inject(*self.faults)
                yield SteppedPassage(gateway)
            finally:
                gateway.close()
                self.counts = dict(gateway.counts())
                self.violations = gateway.violations()

        quick = replace(broker.settings, **(QUICK | settings))
        return replace(desk, broker=replace(broker, settings=quick, passage=passage))

    def hour(self, at: datetime, *, mode: Mode = Mode.PAPER, **settings: Any) -> RunRecord:
        """Run one hour."""
        self.counts, self.violations = {}, 0
        self.frames.clear()
        return hour(self.desk(at, mode=mode, **settings), at)

"""The gateway as a child process: started, steered and ended by this one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rebalancer.model.codec import to_plain
from rebalancer.simulators.children import ChildVenue
from rebalancer.simulators.hurried_loop import HurriedLoop
from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.spec import GatewaySpec, spec_to_json
from rebalancer.simulators.living import LivingVenue


class _Orders:
    """What a gateway in another process is told; `_ask` is the way there."""

    def _ask(self, do: str, **more: Any) -> Any:
        raise NotImplementedError

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop on this machine's clock."""
        return asyncio.new_event_loop()

    def now(self) -> datetime:
        """Return the simulated time."""
        return datetime.fromisoformat(self._ask("now"))

    def open(self, slot: datetime, attempt: int) -> None:
        """Play up to a run's slot; see `Control.open`."""
        self._ask("open", slot=slot.isoformat(), attempt=attempt)

    def advance(self, until: datetime) -> datetime:
        """Let time pass; see `Control.advance`."""
        return datetime.fromisoformat(self._ask("advance", until=until.isoformat()))

    def ended(self, at: datetime) -> bool:
        """Return whether the recording has no prices after `at`."""
        return bool(self._ask("ended", at=at.isoformat()))

    def arm(self) -> None:
        """Let the faults of single calls strike from now on."""
        self._ask("arm")

    def inject(self, *faults: WireFault) -> None:
        """Let more faults wait on the wire."""
        self._ask("inject", faults=to_plain(faults))

    def counts(self) -> Mapping[str, int]:
        """Return how many messages of each name clients have sent."""
        return {str(name): int(count) for name, count in self._ask("counts").items()}

    def violations(self) -> int:
        """Return how often a client sent too many messages in one second."""
        return int(self._ask("violations"))

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""
        return str(self._ask("trace"))


class ChildGateway(ChildVenue, _Orders):
    """A `Control` over a gateway in a child process, which ends with this one."""

    def __init__(self, spec: GatewaySpec) -> None:
        module = "rebalancer.simulators.ib_gateway.child"
        super().__init__(module, spec_to_json(spec), "the simulated gateway")


class LivingGateway(LivingVenue, _Orders):
    """A `Control` over a gateway that outlives this process; see `outliving`.

    `hurry`: so many times faster than the wall's is the clock of its clients' loops.
    """

    def __init__(self, path: Path, hurry: float = 1.0) -> None:
        self._hurry = hurry
        super().__init__(path, "the simulated gateway")

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop on a clock that is in a hurry."""
        return HurriedLoop(self._hurry)

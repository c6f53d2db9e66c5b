"""The exchange as a child process: started, steered and ended by this one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rebalancer.model.codec import to_plain
from rebalancer.simulators.binance_server.faults import HttpFault
from rebalancer.simulators.binance_server.spec import BinanceSpec, spec_to_json
from rebalancer.simulators.children import ChildVenue
from rebalancer.simulators.living import LivingVenue


class _Orders:
    """What a exchange in another process is told; `_ask` is the way there."""

    def _ask(self, do: str, **more: Any) -> Any:
        raise NotImplementedError

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

    def inject(self, *faults: HttpFault) -> None:
        """Let more faults wait for requests."""
        self._ask("inject", faults=to_plain(faults))

    def counts(self) -> Mapping[str, int]:
        """Return how many requests arrived, by method and path."""
        return {str(name): int(count) for name, count in self._ask("counts").items()}

    def used_weight(self) -> Mapping[str, int]:
        """Return weights and orders, as `limits.Limits.weights` names them."""
        return {str(name): int(count) for name, count in self._ask("used_weight").items()}

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""
        return str(self._ask("trace"))

    def mount(self, session: Any) -> None:
        """Nothing: a session reaches a socket by itself."""


class ChildServer(ChildVenue, _Orders):
    """A `Control` over an exchange in a child process, which ends with this one."""

    def __init__(self, spec: BinanceSpec) -> None:
        module = "rebalancer.simulators.binance_server.child"
        super().__init__(module, spec_to_json(spec), "the simulated exchange")


class LivingServer(LivingVenue, _Orders):
    """A `Control` over an exchange that outlives this process; see `outliving`.

    Its time passes with orders and requests of this process only: between them it is known.
    """

    def __init__(self, path: Path) -> None:
        self._known: datetime | None = None
        super().__init__(path, "the simulated exchange")

    def now(self) -> datetime:
        """Return the simulated time."""
        if self._known is None:
            self._known = super().now()
        return self._known

    def mount(self, session: Any) -> None:
        """Take note of each request of a session: time passes with it."""
        send = session.send

        def sent(*words: Any, **more: Any) -> Any:
            try:
                return send(*words, **more)
            finally:
                self._known = None

        session.send = sent

    def _ask(self, do: str, **more: Any) -> Any:
        if do != "now":
            self._known = None
        return super()._ask(do, **more)

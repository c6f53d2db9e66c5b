"""The adapter for Interactive Brokers in front of the suite: the real client library.

`ib-memory` has the simulated gateway in this process on a virtual clock, `ib-socket` in a
process of its own behind a loopback socket.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rebalancer.brokers.ib.broker import IbBroker
from rebalancer.brokers.ib.hands import IbHands
from rebalancer.brokers.ib.parameters import IbSettings
from rebalancer.brokers.ib.passage import at_simulator
from rebalancer.model.universe import Universe
from rebalancer.simulators.faults import FaultScript
from rebalancer.simulators.ib_gateway.control import Control
from rebalancer.simulators.ib_gateway.launch import ChildGateway
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.contract.brokers.rig import AAPL, KO, MSFT, Rig, us_sessions

QUICK = IbSettings(request_seconds=5.0, quote_seconds=2.0, connect_attempts=2)


def _rig(
    name: str, folder: Path, start: Callable[[GatewaySpec], Control], *, at_once: bool = True
) -> Rig:
    def make(faults: FaultScript, **changes: Any) -> IbBroker:
        settings = PaperSettings(**{"seed": 7, **changes.pop("settings", {})})
        universe = changes.pop("universe", Universe((AAPL, MSFT, KO)))
        account, base = changes.pop("account", "PAPER-demo"), changes.pop("base", "USD")
        read_only = changes.pop("read_only", False)
        assert not changes, f"the rig does not know {changes}"
        sessions = us_sessions()
        spec = GatewaySpec(
            account=account,
            base=base,
            folder=str(folder / "paper"),
            instruments=universe.instruments,
            settings=settings,
            sessions=sessions.sessions,
            keep=not read_only,
            faults=tuple(faults.faults),
        )
        return IbBroker(
            settings=QUICK,
            account=account,
            base=base,
            universe=universe,
            sessions=sessions,
            folder=folder / "ib",
            files=Files(),
            passage=at_simulator(lambda: start(spec)),
            read_only=read_only,
        )

    return Rig(
        name,
        folder / "paper",
        make,
        IbHands,
        keeps_days=False,
        reduce_only=False,
        breaks_at_once=at_once,
        words={"multiple of 0.01": "minimum price variation"},
    )


def ib_memory_rig(folder: Path) -> Rig:
    """Return the adapter in front of a gateway in this process."""
    return _rig("ib-memory", folder, lambda spec: LocalGateway(spec, Files()))


def ib_socket_rig(folder: Path) -> Rig:
    """Return the adapter in front of a gateway in a process of its own."""
    return _rig("ib-socket", folder, ChildGateway, at_once=False)

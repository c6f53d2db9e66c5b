"""A broker in front of simulated exchanges in this process, and a page that takes notes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rebalancer.brokers.binance.broker import BinanceBroker
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.passage import at_simulator
from rebalancer.model.flags import Step
from rebalancer.model.secret import Secret
from rebalancer.model.universe import Universe
from rebalancer.simulators.binance_server.faults import HttpFault
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.spec import KEY, SECRET
from rebalancer.store.atomic import Files
from tests.binance_servers import START, spec
from tests.unit.binance.core.wire import perp

ACCOUNT = "700700700"
COINS = (perp("BTCUSDT"), perp("ETHUSDT"), perp("SOLUSDT"))


@dataclass
class Notes:
    """A page that remembers what was flagged."""

    slot: Any = START
    attempt: int = 1
    raised: list[tuple[str, str, str]] = field(default_factory=list)
    flags: tuple[Any, ...] = ()

    def flag(self, code: str, message: str, subject: str = "") -> None:
        self.raised.append((code, message, subject))

    def step(self, step: Step) -> None: ...
    def keep(self, fact: Any) -> Any:
        return fact

    def stop(self) -> None: ...
    def intend(self, orders: Any) -> None: ...
    def sent(self, references: Any) -> None: ...
    def saw(self, event: Any) -> None: ...


@dataclass
class Stand:
    """A broker in front of exchanges that are made anew for each connection."""

    folder: Path
    faults: tuple[HttpFault, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    servers: list[LocalServer] = field(default_factory=list)
    page: Notes = field(default_factory=Notes)

    def broker(self, **changes: Any) -> BinanceBroker:
        def start() -> LocalServer:
            server = LocalServer(spec(**self.spec), Files())
            server.inject(*self.faults)
            self.servers.append(server)
            return server

        made = BinanceBroker(
            settings=BinanceSettings(history_days=20, **self.settings),
            product=Product.USDM,
            account=ACCOUNT,
            base="USDT",
            universe=Universe(COINS),
            key=Secret(KEY),
            secret=Secret(SECRET),
            passage=at_simulator(start),
            folder=self.folder,
            files=Files(),
        )
        return replace(made, **changes)

    def connect(self, **changes: Any) -> Any:
        return self.broker(**changes).connect(self.page)

"""A gateway in this process and a broker to it: what goes wrong is scripted before they meet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.brokers.ib.broker import IbBroker
from rebalancer.brokers.ib.hands import IbHands
from rebalancer.brokers.ib.parameters import IbSettings
from rebalancer.brokers.ib.passage import LivePassage, Passage, PassageOf, at_simulator
from rebalancer.brokers.ib.venue import IbVenue
from rebalancer.clock import SystemClock
from rebalancer.model.instrument import Instrument
from rebalancer.model.universe import Universe
from rebalancer.ports import Page
from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.contract.brokers.rig import AAPL, KO, MSFT, SLOT, PageOf, Rig, ask, listen, us_sessions

TICK_SECONDS = 0.25
ACCOUNT = "DU1234567"
QUICK = IbSettings(client_id=7, request_seconds=5.0, connect_attempts=1, farm_seconds=20.0)


@dataclass
class FlaggedPage(PageOf):
    """A page that keeps its flags."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def flag(self, code: str, message: str, subject: str = "") -> None:
        self.told.append((code, message))


class _TimeOfTheLoop(SystemClock):
    """The wall clock of a test: the virtual loop's time from the slot on."""

    def __init__(self, gateway: LocalGateway) -> None:
        self._gateway = gateway

    def now(self) -> datetime:
        loop = self._gateway.gateway.loop
        assert loop is not None
        return SLOT + timedelta(seconds=loop.time())


class RealTimePassage(LivePassage):
    """The live passage to a gateway in this process: both clocks are the virtual loop's."""

    def __init__(self, gateway: LocalGateway) -> None:
        super().__init__(gateway.host, gateway.port, _TimeOfTheLoop(gateway))
        self._gateway = gateway

    def loop(self) -> asyncio.AbstractEventLoop:
        loop = self._gateway.loop()
        loop.call_later(TICK_SECONDS, self._tick)
        return loop

    def _tick(self) -> None:
        while self._gateway.now() < self.now():
            self._gateway.gateway.advance(self.now())
        loop = self._gateway.gateway.loop
        assert loop is not None
        loop.call_later(TICK_SECONDS, self._tick)


@dataclass
class Scene:
    """One simulated account and its connections. `changes` are of the gateway's spec."""

    folder: Path
    settings: IbSettings = QUICK
    changes: dict[str, Any] = field(default_factory=dict)
    instruments: tuple[Instrument, ...] = (AAPL, MSFT, KO)
    base: str = "USD"
    real_time: bool = False
    read_only: bool = False
    real_money: bool = False
    connections: int = 0
    before: Callable[[LocalGateway], object] = lambda _: None

    def __post_init__(self) -> None:
        self.gateways: list[LocalGateway] = []
        self.pages: list[FlaggedPage] = []
        self.orders = Rig("ib", self.folder, lambda *_: None, IbHands)  # type: ignore[arg-type]

    @property
    def gateway(self) -> LocalGateway:
        """Return the gateway of the newest connection."""
        return self.gateways[-1]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many messages of each name the newest gateway has heard."""
        return dict(self.gateway.counts())

    @property
    def seconds(self) -> float:
        """Return the time of the wire."""
        loop = self.gateway.gateway.loop
        assert loop is not None
        return loop.time()

    def broker(self, *faults: WireFault) -> IbBroker:
        """Return a broker to a new gateway on the same books; the faults wait from the start."""
        values: dict[str, Any] = {
            "account": ACCOUNT,
            "base": self.base,
            "folder": str(self.folder / "books"),
            "settings": PaperSettings(seed=7),
            "sessions": us_sessions().sessions,
            "instruments": self.instruments,
        } | self.changes
        spec = GatewaySpec(**values, wire_faults=faults)

        def start() -> LocalGateway:
            gateway = LocalGateway(spec, Files())
            self.gateways.append(gateway)
            self.before(gateway)
            return gateway

        return IbBroker(
            settings=self.settings,
            account=ACCOUNT,
            base=self.base,
            universe=Universe(self.instruments),
            sessions=us_sessions(),
            folder=self.folder / "ib",
            files=Files(),
            passage=_in_real_time(start) if self.real_time else at_simulator(start),
            read_only=self.read_only,
            real_money=self.real_money,
            owners_folder=self.folder,
        )

    @contextmanager
    def connected(self, *faults: WireFault) -> Iterator[IbVenue]:
        """Connect anew."""
        self.connections += 1
        page = FlaggedPage(SLOT, self.connections)
        self.pages.append(page)
        with self.broker(*faults).connect(page) as venue:
            yield venue

    def buys(self, quantity: int, instrument: Instrument = AAPL) -> None:
        """Buy something on a connection of its own, so that the account holds it."""
        with self.connected() as venue:
            place = self.orders.order(instrument, quantity, ask(venue, instrument) + 1)
            IbHands(venue).submit([place])
            listen(venue, 60)
            assert venue.account().quantity(instrument.id) == quantity

    def say(self, code: int, words: str) -> None:
        """Let the gateway send an error message that is about no request."""
        for session in tuple(self.gateway.gateway.sessions.values()):
            session.error(-1, code, words)

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something after some time of the wire."""
        loop = self.gateway.gateway.loop
        assert loop is not None
        loop.call_later(seconds, do)

    def darken(self, seconds: float, code: int = 1102) -> None:
        """Let the gateway lose Interactive Brokers, and find it again."""
        for session in tuple(self.gateway.gateway.sessions.values()):
            session.tap.darken(seconds, code)


def _in_real_time(start: Callable[[], LocalGateway]) -> PassageOf:
    @contextmanager
    def passage(page: Page) -> Iterator[Passage]:
        gateway = start()
        try:
            gateway.open(page.slot, page.attempt)
            yield RealTimePassage(gateway)
        finally:
            gateway.close()

    return passage


def shares(venue: IbVenue, instrument: Instrument = AAPL) -> Decimal:
    """Return what the account holds of an instrument."""
    return venue.account().quantity(instrument.id)

"""A connected account at a simulated exchange, and hands: what the tests of orders share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.brokers.binance.broker import BinanceBroker
from rebalancer.brokers.binance.hands import BinanceHands
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.passage import Passage, SteppedPassage
from rebalancer.brokers.binance.venue import BinanceVenue
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import OrderType, Place, TimeInForce, order_reference
from rebalancer.model.secret import Secret
from rebalancer.model.stops import PlaceStop
from rebalancer.model.universe import Universe
from rebalancer.ports import Page
from rebalancer.simulators.binance_server.faults import HttpFault
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.spec import KEY, SECRET, BinanceSpec
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.contract.brokers.rig import PageOf

SLOT = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)


def coin(symbol: str, kind: Kind = Kind.PERPETUAL) -> Instrument:
    """Return a pair in USDT."""
    name = InstrumentId(f"{symbol}USDT.{kind.value}@BINANCE")
    return Instrument(name, kind, f"{symbol}USDT", "USDT", "24/7")


@dataclass
class Stand:
    """One connection: the venue, its hands, and the server behind it."""

    venue: BinanceVenue
    hands: BinanceHands
    server: LocalServer
    kind: Kind
    count: int = 0

    def sol(self) -> Instrument:
        return coin("SOL", self.kind)

    def price(self, side: str) -> Decimal:
        quote = self.venue.market((self.sol(),)).quotes[self.sol().id]
        found = quote.bid if side == "bid" else quote.ask
        assert found is not None
        return found

    def reference(self, letter: str = "r") -> str:
        self.count += 1
        made = order_reference("demo", SLOT, 1, self.sol().id, self.count)
        return made.replace("r1.", f"{letter}1.")

    def order(self, quantity: str, limit: Decimal | None, **changes: Any) -> Place:
        place = Place(
            reference=self.reference(),
            instrument=self.sol().id,
            quantity=Decimal(quantity),
            limit=limit,
            order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            reduce_only=False,
            good_till=None,
        )
        return replace(place, **changes)

    def stop(self, quantity: str, trigger: str, limit: str | None = None) -> PlaceStop:
        return PlaceStop(
            self.reference("p"),
            self.sol().id,
            Decimal(quantity),
            Decimal(trigger),
            None if limit is None else Decimal(limit),
        )

    def fault(self, *faults: HttpFault) -> None:
        self.server.inject(*faults)

    def pass_time(self, seconds: float) -> None:
        until = self.venue.now() + timedelta(seconds=seconds)
        while self.venue.now() < until:
            self.venue.wait(until)


@contextmanager
def stand(folder: Path, kind: Kind = Kind.PERPETUAL, **changes: Any) -> Iterator[Stand]:
    """Return a connection to a new account with 100,000 USDT."""
    universe = Universe((coin("SOL", kind), coin("LTC", kind)))
    settings = PaperSettings(
        recording="binance_perps_2025",
        start=SLOT - timedelta(minutes=5),
        cash={"USDT": Decimal(100_000)},
    )
    spec = BinanceSpec(
        account="700700700",
        base="USDT",
        folder=None,
        settings=settings,
        fee_schedule="binance",
        **changes,
    )
    servers: list[LocalServer] = []

    @contextmanager
    def passage(page: Page) -> Iterator[Passage]:
        server = LocalServer(spec, Files())
        servers.append(server)
        server.open(page.slot, page.attempt)
        yield SteppedPassage(server)

    broker = BinanceBroker(
        settings=BinanceSettings(history_days=5),
        product=Product.SPOT if kind is Kind.SPOT else Product.USDM,
        account="700700700",
        base="USDT",
        universe=universe,
        key=Secret(KEY),
        secret=Secret(SECRET),
        passage=passage,
        folder=folder,
        files=Files(),
    )
    with broker.connect(PageOf(SLOT)) as venue:
        yield Stand(venue, BinanceHands(venue), servers[-1], kind)

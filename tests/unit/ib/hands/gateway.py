"""The adapter on a simulated gateway in this process: real library, real frames, virtual time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.brokers.ib.broker import IbBroker
from rebalancer.brokers.ib.hands import IbHands
from rebalancer.brokers.ib.parameters import IbSettings
from rebalancer.brokers.ib.passage import at_simulator
from rebalancer.brokers.ib.venue import IbVenue
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.orders import (
    Fill,
    OrderStatus,
    OrderType,
    Place,
    TimeInForce,
    VenueEvent,
    WorkingOrder,
)
from rebalancer.model.universe import Universe
from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.contract.brokers.rig import AAPL, KO, MSFT, SLOT, PageOf, us_sessions

STOCKS = (AAPL, MSFT, KO)


@dataclass
class Account:
    """One simulated account over several connections. `changes` are of the gateway's spec."""

    folder: Path
    settings: IbSettings = field(
        default_factory=lambda: IbSettings(client_id=7, request_seconds=5.0, connect_attempts=1)
    )
    changes: dict[str, Any] = field(default_factory=dict)
    slot: datetime = SLOT
    attempt: int = 0
    numbers: int = 0

    def __post_init__(self) -> None:
        self.gateways: list[LocalGateway] = []
        self.flags: list[tuple[str, str]] = []

    @property
    def gateway(self) -> LocalGateway:
        """Return the gateway of the newest connection."""
        return self.gateways[-1]

    @contextmanager
    def connected(self, *faults: WireFault, **changes: Any) -> Iterator[tuple[IbVenue, IbHands]]:
        """Connect anew, on the same books; the faults wait from when the connection is proved."""
        self.attempt += 1
        values: dict[str, Any] = {
            "account": "DU1234567",
            "base": "USD",
            "folder": str(self.folder / "books"),
            "settings": PaperSettings(seed=7),
            "sessions": us_sessions().sessions,
        } | self.changes
        spec = GatewaySpec(**values)

        def start() -> LocalGateway:
            self.gateways.append(LocalGateway(spec, Files()))
            return self.gateways[-1]

        broker = IbBroker(
            settings=replace(self.settings, **changes),
            account="DU1234567",
            base="USD",
            universe=Universe(STOCKS),
            sessions=us_sessions(),
            folder=self.folder / "ib",
            files=Files(),
            passage=at_simulator(start),
        )
        page = _FlaggedPage(self.slot, self.attempt)
        page.told = self.flags
        with broker.connect(page) as venue:
            self.gateway.inject(*faults)
            yield venue, IbHands(venue)

    def order(
        self,
        quantity: int,
        limit: Decimal | str | None,
        instrument: Instrument = AAPL,
        order_type: OrderType | None = None,
        time_in_force: TimeInForce = TimeInForce.DAY,
    ) -> Place:
        """Return an order with a reference of its own."""
        self.numbers += 1
        return Place(
            reference=f"demo.2003021505r1.AAAAAAAA.{self.numbers}",
            instrument=instrument.id,
            quantity=Decimal(quantity),
            limit=None if limit is None else Decimal(limit),
            order_type=order_type or (OrderType.MARKET if limit is None else OrderType.LIMIT),
            time_in_force=time_in_force,
            reduce_only=False,
            good_till=None,
        )


class _FlaggedPage(PageOf):
    told: list[tuple[str, str]]

    def flag(self, code: str, message: str, subject: str = "") -> None:
        self.told.append((code, message))


def listen(venue: IbVenue, seconds: float) -> list[VenueEvent]:
    """Let venue time pass; return all that happened."""
    until = venue.now() + timedelta(seconds=seconds)
    events: list[VenueEvent] = []
    while venue.now() < until or venue.book.has_news:
        events.extend(venue.wait(until))
    return events


def statuses(events: Sequence[VenueEvent]) -> list[OrderStatus]:
    """Return the statuses that orders went through."""
    return [event.status for event in events if isinstance(event, WorkingOrder)]


def fills(events: Sequence[VenueEvent]) -> list[Fill]:
    """Return the executions among events, each as often as it was told."""
    return [event for event in events if isinstance(event, Fill)]


def held(venue: IbVenue, instrument: InstrumentId = AAPL.id) -> Decimal:
    """Return the position that the venue shows."""
    return venue.account().quantity(instrument)

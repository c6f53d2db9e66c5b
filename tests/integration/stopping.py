"""A paper venue that also keeps stops and a ledger of its own; both live as long as the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from rebalancer.brokers.paper import PaperHands, PaperVenue
from rebalancer.errors import OutcomeUnknown
from rebalancer.hourly import hour
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.income import Income
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import RunRecord
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.ports import Hands, Page, Venue
from rebalancer.risk import ProtectParameters
from tests.portfolios import World


@dataclass
class Exchange:
    """What the venue has besides the engine's books, and how it misbehaves.

    `log` has every write in order; `watch` is called after each of them with the stops that
    wait. `refuses` and `lost` say of the n-th placing (from 1) what becomes of it.
    """

    stops: dict[str, StopOrder] = field(default_factory=dict)
    income: list[Income] = field(default_factory=list)
    leaving: dict[InstrumentId, str] = field(default_factory=dict)
    marks: dict[InstrumentId, Decimal] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    refuses: Callable[[int, PlaceStop], str] = lambda n, stop: ""
    lost: Callable[[int], str] = lambda n: ""
    watch: Callable[[tuple[StopOrder, ...]], None] = lambda stops: None
    placed: int = 0

    def waiting(self) -> tuple[StopOrder, ...]:
        return tuple(s for s in self.stops.values() if s.status is OrderStatus.WORKING)

    def note(self, what: str, reference: str) -> None:
        self.log.append((what, reference))
        self.watch(self.waiting())


class StoppingVenue:
    """A `ports.Venue`: the paper venue with stops, income and delistings."""

    keeps_stops = True

    def __init__(self, venue: PaperVenue, exchange: Exchange) -> None:
        self.paper, self.more = venue, exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self.paper, name)

    def listed(self, instruments: Any) -> tuple[Instrument, ...]:
        return tuple(
            replace(each, leaving=self.more.leaving.get(each.id, ""))
            for each in self.paper.listed(instruments)
        )

    def account(self) -> AccountSnapshot:
        account = self.paper.account()
        return replace(
            account,
            positions=tuple(
                replace(each, price=self.more.marks.get(each.instrument, each.price))
                for each in account.positions
            ),
        )

    def income(self, since: datetime) -> tuple[Income, ...]:
        return tuple(each for each in self.more.income if since <= each.at)

    def stops(self) -> tuple[StopOrder, ...]:
        return self.more.waiting()

    def find_stop(self, reference: str) -> tuple[StopOrder, ...]:
        return tuple(s for s in self.more.stops.values() if s.reference == reference)


class StoppingHands:
    """A `ports.Hands` of the stopping venue."""

    sends = True

    def __init__(self, venue: StoppingVenue) -> None:
        self.paper, self.venue, self.more = PaperHands(venue.paper), venue, venue.more

    def __getattr__(self, name: str) -> Any:
        return getattr(self.paper, name)

    def place_stop(self, stop: PlaceStop) -> StopOrder:
        self.more.placed += 1
        number = self.more.placed
        assert stop.reference not in self.more.stops, "a reference was used twice"
        why = self.more.refuses(number, stop)
        status = OrderStatus.REJECTED if why else OrderStatus.WORKING
        told = StopOrder(
            stop.reference, f"S{number}", stop.instrument, stop.quantity, stop.trigger,
            stop.limit, status, self.venue.now(), why,
        )  # fmt: skip
        fate = self.more.lost(number)
        if fate != "before":
            self.more.stops[stop.reference] = told
            self.more.note("place", stop.reference)
        if fate:
            raise OutcomeUnknown(f"the wire broke {fate} it acted")
        return told

    def cancel_stop(self, stop: StopOrder) -> StopOrder:
        told = replace(stop, status=OrderStatus.CANCELLED)
        self.more.stops[stop.reference] = told
        self.more.note("cancel", stop.reference)
        return told


@dataclass(frozen=True)
class StoppingBroker:
    """A `ports.Broker` to the stopping venue."""

    broker: Any
    exchange: Exchange

    @contextmanager
    def connect(self, page: Page) -> Iterator[Venue]:
        with self.broker.connect(page) as venue:
            yield StoppingVenue(venue, self.exchange)


def stopping_hour(
    world: World,
    at: datetime,
    exchange: Exchange,
    parameters: ProtectParameters | None = None,
    **how: Any,
) -> RunRecord:
    """Run one hour of a world at a venue that keeps stops."""
    desk = world.desk(at, **how)

    def hands(venue: Any) -> Hands:
        return StoppingHands(venue)

    changed = replace(
        desk,
        broker=StoppingBroker(desk.broker, exchange),
        hands=hands if desk.hands.__name__ != "_dry_hands" else desk.hands,
        protect=parameters or ProtectParameters(enabled=True),
    )
    return hour(changed, at)

"""What the suite needs of a venue under test: a broker, its hands, its clock, its faults.

A new adapter joins by a factory in `conftest.RIGS` that returns a `Rig` of its own; the tests
speak through `ports` only, and the engine behind every rig is the simulated one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.paper import PaperBroker, PaperHands
from rebalancer.model.fees import fee_schedule
from rebalancer.model.flags import ErrorFlag, Step
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Freshness, Quote
from rebalancer.model.orders import (
    ApprovedOrder,
    Fill,
    OrderStatus,
    OrderType,
    Place,
    TimeInForce,
    VenueEvent,
    WorkingOrder,
    order_reference,
)
from rebalancer.model.sessions import PackedSessions, SessionTable
from rebalancer.model.universe import Universe
from rebalancer.ports import Broker, Hands, Venue
from rebalancer.simulators.books import FILE
from rebalancer.simulators.faults import Fault, FaultScript
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.recording import recording
from rebalancer.store.atomic import Files

SLOT = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
"""A Monday, thirty-five minutes after the opening in New York."""

CLOSE = datetime(2020, 3, 2, 21, 0, tzinfo=UTC)
NIGHT = datetime(2020, 3, 2, 23, 0, tzinfo=UTC)
NEXT_OPEN = datetime(2020, 3, 3, 14, 30, tzinfo=UTC)
NEXT_DAY = datetime(2020, 3, 3, 15, 5, tzinfo=UTC)


def us_sessions() -> SessionTable:
    """Return the sessions of the recording: six and a half hours to the recorded close."""
    recorded = recording("us_equities")
    closes = [seconds // 60 for seconds in recorded.closed.tolist()]
    # Early closes are at 13:00 in New York: 17:00 or 18:00 UTC.
    opens = [close - (210 if close % 1440 <= 18 * 60 else 390) for close in closes]
    return SessionTable("XNYS", PackedSessions(recorded.days.tolist(), opens, closes))


def stock(symbol: str, **changes: Any) -> Instrument:
    """Return a US stock as configurations describe it."""
    identifier = InstrumentId(f"{symbol}.STK.USD@IB")
    return Instrument(identifier, Kind.STOCK, symbol, "USD", "XNYS", **changes)


AAPL, MSFT, KO, GE, NOPE = (stock(each) for each in ("AAPL", "MSFT", "KO", "GE", "NOPE"))


@dataclass
class PageOf:
    """The least a broker may ask of a page."""

    slot: datetime = SLOT
    attempt: int = 1
    flags: tuple[ErrorFlag, ...] = ()

    def step(self, step: Step) -> None: ...

    def keep(self, fact: Any) -> Any:
        return fact

    def flag(self, code: str, message: str, subject: str = "") -> None: ...

    def stop(self) -> ErrorFlag | None:
        return None

    def intend(self, orders: Sequence[ApprovedOrder]) -> None: ...

    def sent(self, references: Sequence[str]) -> None: ...

    def saw(self, event: VenueEvent) -> None: ...


@dataclass
class Rig:
    """One venue under test. `broker(*faults)` is a new connection's broker on the same account.

    `one`, `two` and `three` are instruments of its universe, `low` a price of the first at
    which nobody sells, `slot` when the account opens; `close`, `night` and `next_open` are of
    that day's session, where there is one.
    """

    name: str
    folder: Path
    make: Callable[..., Broker]
    hands: Callable[[Venue], Hands]
    numbers: list[int] = field(default_factory=list)
    one: Instrument = AAPL
    two: Instrument = MSFT
    three: Instrument = KO
    unknown: Instrument = NOPE
    other: Instrument = GE
    """One that is not in the universe."""
    low: str = "10.00"
    slot: datetime = SLOT
    close: datetime = CLOSE
    night: datetime = NIGHT
    next_open: datetime = NEXT_OPEN
    next_day: datetime = NEXT_DAY
    always_open: bool = False
    """Whether the venue never closes."""
    instant: bool = False
    """Whether an answer to an order says at once what has become of it."""
    half_of_eleven: Decimal = Decimal(5)
    """Half of eleven units of the first, in whole lots."""
    other_account: str = "PAPER-other"
    doubles: bool = True
    """Whether the reference of an open order may be used again."""
    base: str = "USD"
    tick: Decimal = Decimal("0.01")
    cash: Decimal = Decimal(100_000)
    broken_lot: str = "1.5"
    """A quantity that is not a whole number of lots."""
    too_many: int = 1_000_000
    """So many of the first cannot be paid for."""
    margin: Decimal = Decimal("0.5")
    """What opening takes of a position's value, within a part of `margin_within`."""
    margin_within: Decimal = Decimal("1E-9")
    day: TimeInForce = TimeInForce.DAY
    ticks: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    """Price steps of instruments whose step is not `tick`."""
    freshness: Freshness = Freshness.SYNTHETIC
    absence_after: float = 0.0
    """How long after an order could have been sent its absence is believed, in seconds."""
    keeps_days: bool = True
    """Whether the venue still has yesterday's executions and ended orders."""
    reduce_only: bool = True
    """Whether the venue itself knows orders that may only reduce."""
    breaks_at_once: bool = True
    """Whether a broken connection is noticed before the next order is handed to it."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What the venue says instead of the engine's words."""

    def broker(self, *faults: Fault, **changes: Any) -> Broker:
        return self.make(FaultScript(faults), **changes)

    def page(self, slot: datetime | None = None, *, attempt: int = 1) -> PageOf:
        """Return the page of a run in the rig's first slot, or another one."""
        return PageOf(self.slot if slot is None else slot, attempt)

    def fee(self, quantity: Decimal | int, price: Decimal) -> Decimal:
        """Return what an order of a few units costs that takes what is there."""
        # Interactive Brokers, fixed: 0.005 a share, one dollar at least; 0.000072 a share on top.
        return Decimal("1.00") + abs(Decimal(quantity)) * Decimal("0.000072")

    def needs_news(self) -> None:
        """Skip what is about messages that travel by themselves where answers say it all."""
        if self.instant:
            pytest.skip("here an answer says at once what has become of an order")

    def needs_session(self) -> None:
        """Skip what is about a venue's opening and close where there is none."""
        if self.always_open:
            pytest.skip("this venue never closes")

    def books(self) -> bytes:
        """Return the bytes of the venue's own books."""
        return (self.folder / FILE).read_bytes()

    def orders(self) -> object:
        """Return the orders in the venue's own books."""
        return json.loads(self.books())["orders"]

    def reference(self, instrument: Instrument | None = None) -> str:
        """Return an order reference that was not used before."""
        self.numbers.append(len(self.numbers) + 1)
        name = (instrument or self.one).id
        return order_reference("demo", self.slot, 1, name, self.numbers[-1])

    def order(
        self,
        instrument: Instrument,
        quantity: int | str,
        limit: Decimal | str | None,
        *,
        time_in_force: TimeInForce | None = None,
        reduce_only: bool = False,
    ) -> Place:
        """Return an order; without a limit it is a market order."""
        return Place(
            reference=self.reference(instrument),
            instrument=instrument.id,
            quantity=Decimal(quantity),
            limit=None if limit is None else Decimal(limit),
            order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            time_in_force=time_in_force or self.day,
            reduce_only=reduce_only,
            good_till=None,
        )


def paper_rig(folder: Path) -> Rig:
    """Return the simulated venue in process."""

    def make(faults: FaultScript, **changes: Any) -> PaperBroker:
        settings = changes.pop("settings", {})
        return PaperBroker(
            **{
                "folder": folder / "paper",
                "account": "PAPER-demo",
                "base": "USD",
                "universe": Universe((AAPL, MSFT, KO)),
                "settings": PaperSettings(**{"seed": 7, **settings}),
                "fees": fee_schedule("ib-fixed"),
                "sessions": us_sessions(),
                "files": Files(),
                "faults": faults,
                **changes,
            }
        )

    return Rig("paper", folder / "paper", make, PaperHands)


def quote_of(venue: Venue, instrument: Instrument) -> Quote:
    """Return the quote of one instrument."""
    return venue.market((instrument,)).quotes[instrument.id]


def ask(venue: Venue, instrument: Instrument) -> Decimal:
    """Return the price at which one can buy now."""
    price = quote_of(venue, instrument).ask
    assert price is not None
    return price


def bid(venue: Venue, instrument: Instrument) -> Decimal:
    """Return the price at which one can sell now."""
    price = quote_of(venue, instrument).bid
    assert price is not None
    return price


def listen(venue: Venue, seconds: float) -> list[VenueEvent]:
    """Let venue time pass; return all that happened."""
    until = venue.now() + timedelta(seconds=seconds)
    events: list[VenueEvent] = []
    while venue.now() < until:
        events.extend(venue.wait(until))
    return events


def fills(events: Sequence[VenueEvent]) -> list[Fill]:
    """Return the executions among events, each once, as first told."""
    found: dict[str, Fill] = {}
    for event in events:
        if isinstance(event, Fill):
            found.setdefault(event.exec_id, event)
    return list(found.values())


def life(*told: Sequence[VenueEvent]) -> list[OrderStatus]:
    """Return the statuses an order went through, each once, without those of its journey."""
    found: list[OrderStatus] = []
    for status in (each for events in told for each in statuses(events)):
        on_its_way = status in (OrderStatus.SENT, OrderStatus.PENDING_CANCEL)
        if not on_its_way and status not in found[-1:]:
            found.append(status)
    return found


def statuses(events: Sequence[VenueEvent]) -> list[OrderStatus]:
    """Return the statuses that orders went through."""
    return [event.status for event in events if isinstance(event, WorkingOrder)]


def buy_now(rig: Rig, venue: Venue, instrument: Instrument, quantity: int) -> list[VenueEvent]:
    """Buy at the market's ask and wait until it is done."""
    place = rig.order(instrument, quantity, ask(venue, instrument) + 1)
    return [*rig.hands(venue).submit([place]), *listen(venue, 180)]

"""The simulated venue in process, behind the ports. Its profit means nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from rebalancer.brokers.without_stops import HandsWithoutStops, VenueWithoutStops
from rebalancer.errors import BlindError, ConnectError, OutcomeUnknown, StateError
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.fees import FeeSchedule
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import MarketSnapshot, Quote
from rebalancer.model.money import FxRate, FxRates
from rebalancer.model.orders import Fill, MarginPreview, Place, Replace, VenueEvent, WorkingOrder
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.sessions import SessionTable
from rebalancer.model.universe import BarSize, Universe
from rebalancer.ports import Page, Venue
from rebalancer.simulators.account import known_instruments, new_account
from rebalancer.simulators.books import Execution, FilesLike, Order, open_books
from rebalancer.simulators.exchange import Exchange, NewOrder, News, OrderNews
from rebalancer.simulators.faults import FaultKind, FaultScript
from rebalancer.simulators.market import RecordedMarket
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.recording import recording

_STALE_SECONDS = 3600.0
_SKEW_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class PaperBroker:
    """A `ports.Broker` whose venue lives in this process and in `folder`.

    `folder` has its books (`books.json`); `account` and `base` are the account's id and
    currency. Each connection plays the recording from the saved time up to the page's slot.
    `read_only`: works on a copy in memory and saves nothing (a dry run). `faults` is for
    tests and rehearsals.
    """

    folder: Path
    account: str
    base: str
    universe: Universe
    settings: PaperSettings
    fees: FeeSchedule
    sessions: SessionTable
    files: FilesLike
    read_only: bool = False
    faults: FaultScript = field(default_factory=FaultScript)

    @cached_property
    def market(self) -> RecordedMarket:
        """Return the recorded market; raises `DataError` for an unknown recording."""
        recorded = recording(self.settings.recording)
        return RecordedMarket(recorded, self.sessions, self.settings, self.base)

    def ended(self, at: datetime) -> bool:
        """Return whether the recording has no prices after `at`."""
        return self.market.ended(at)

    @contextmanager
    def connect(self, page: Page) -> Iterator[PaperVenue]:
        """Open the account, play up to the page's slot, and save it at the end.

        A slot in the past raises `UsageError`: simulated time goes forward only. A second
        attempt at a slot goes on at the time the first one reached.
        """
        if fault := self.faults.strikes(FaultKind.REFUSED_CONNECTION):
            raise ConnectError(fault.message or "the simulated venue cannot be reached")
        exchange = self.open_exchange()
        self._prove_account(exchange)
        if page.slot >= exchange.now or page.attempt == 1:
            exchange.clock.require(page.slot)
            exchange.play_to(page.slot)
        venue = PaperVenue(exchange, self.fees)
        try:
            yield venue
        finally:
            venue.broken = "the connection is closed"
            exchange.save()

    def open_exchange(self) -> Exchange:
        """Return the engine over this account's books, at their saved time."""
        known = known_instruments(self.market, self.universe.instruments)
        books = open_books(
            self.folder,
            self.files,
            lambda: new_account(self.account, self.base, self.settings, self.market, known),
            keep=not self.read_only,
        )
        return Exchange(books, self.market, known, self.settings, self.fees, self.faults)

    def _prove_account(self, exchange: Exchange) -> None:
        shown = exchange.account.account
        if fault := self.faults.strikes(FaultKind.WRONG_ACCOUNT):
            shown = fault.message or "SOMEBODY-ELSE"
        if shown != self.account:
            raise ConnectError(f"the venue shows account {shown}; {self.account} is configured")
        if exchange.account.base != self.base:
            raise ConnectError(
                f"account {shown} has base currency {exchange.account.base}; {self.base} is "
                "configured"
            )


class PaperVenue(VenueWithoutStops):
    """A `ports.Venue` over the engine: every read is complete, or raises."""

    name = "paper"
    absence_seconds = 600.0

    def __init__(self, exchange: Exchange, fees: FeeSchedule) -> None:
        self.exchange = exchange
        self.fees = fees
        self.broken = ""

    def now(self) -> datetime:
        """Return the simulated time."""
        return self.exchange.now

    def skew_seconds(self) -> float:
        """Return zero: the run's market time is this venue's (a fault may say otherwise)."""
        fault = self.exchange.faults.strikes(FaultKind.CLOCK_SKEW)
        return (fault.seconds or _SKEW_SECONDS) if fault else 0.0

    def listed(self, instruments: Sequence[Instrument]) -> tuple[Instrument, ...]:
        """Return the instruments as configured: those are the rules of this venue."""
        return tuple(instruments)

    def account(self) -> AccountSnapshot:
        """Return the account, valued at the middle of the market (the last close when closed)."""
        self._read("account", FaultKind.BLIND_ACCOUNT, FaultKind.BLIND_POSITIONS)
        account, worth, now = self.exchange.account, self.exchange.worth(), self.now()
        settings, valuer = self.exchange.settings, self.exchange.valuer
        settled = valuer.settled_cash(account, now) if settings.cash_account else None
        free = (worth.net_liquidation - worth.initial) / settings.initial_margin_long
        if settled is not None:
            free = sum((valuer.rates[cur] * each for cur, each in settled.items()), Decimal(0))
        return AccountSnapshot(
            account=account.account,
            at=now,
            net_liquidation=worth.net_liquidation,
            cash={cur: account.cash[cur] for cur in sorted(account.cash)},
            rates=self._rates(now),
            positions=self._positions(worth.marks),
            gross_position_value=worth.gross,
            settled_cash=settled,
            buying_power=max(free, Decimal(0)),
            excess_liquidity=worth.excess,
            initial_margin=worth.initial,
            maintenance_margin=worth.maintenance,
            margined=not settings.cash_account,
        )

    def open_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every order that is not terminal."""
        self._read("open_orders", FaultKind.BLIND_ORDERS)
        return tuple(self._order(order) for order in self.exchange.orders() if order.live)

    def executions(
        self, since: datetime, only: Collection[InstrumentId] | None = None
    ) -> tuple[Fill, ...]:
        """Return the executions since then (the venue remembers ten days)."""
        self._read("executions", FaultKind.BLIND_EXECUTIONS)
        found = self.exchange.executions(since)
        return tuple(fill_of(each) for each in found if only is None or each.instrument in only)

    def find(self, reference: str) -> tuple[WorkingOrder, ...]:
        """Return the orders with this reference; terminal ones of the last ten days too."""
        self._read("find")
        if fault := self.exchange.faults.strikes(FaultKind.UNKNOWN_LOOKUP):
            raise OutcomeUnknown(f"{reference}: {fault.message or fault.kind.value}")
        found = (order for order in self.exchange.orders() if order.reference == reference)
        return tuple(self._order(order) for order in found)

    def market(self, instruments: Sequence[Instrument]) -> MarketSnapshot:
        """Return synthetic quotes of the instruments that the recording has."""
        self._read("market")
        quotes = {}
        for instrument in instruments:
            known = self.exchange.instruments.get(instrument.id)
            quote = None if known is None else self.exchange.market.quote(known, self.now())
            if quote is not None and (spoilt := self._spoil(quote)) is not None:
                quotes[instrument.id] = spoilt
        return MarketSnapshot(self.now(), quotes)

    def bars(
        self,
        instruments: Sequence[Instrument],
        since: datetime | None,
        size: BarSize = BarSize.DAY,
    ) -> Panel:
        """Return the recorded closes of sessions that are over; there are no hourly ones."""
        self._read("bars")
        if size is not BarSize.DAY:
            return empty_panel([each.id for each in instruments])
        return self.exchange.market.bars(instruments, since, self.now())

    def wait(self, until: datetime) -> tuple[VenueEvent, ...]:
        """Advance simulated time to `until`, or to the first instant at which something happens."""
        self._read("wait")
        if until <= self.now():
            return ()
        return tuple(self.event(news) for news in self.exchange.advance(until))

    def event(self, news: News) -> VenueEvent:
        """Return the engine's news as the run knows them."""
        if isinstance(news, OrderNews):
            return self._order(news.order)
        return fill_of(news.execution)

    def require(self) -> None:
        """Raise `ConnectError` when the connection is broken."""
        if self.broken:
            raise ConnectError(f"not connected to the simulated venue: {self.broken}")

    def breaks(self, call: str) -> bool:
        """Return whether the connection breaks at this call; from then on it is broken."""
        fault = self.exchange.faults.strikes(FaultKind.DISCONNECT, call)
        if fault:
            self.broken = fault.message or fault.kind.value
        return fault is not None

    def _read(self, call: str, *blind: FaultKind) -> None:
        self.require()
        if self.breaks(call):
            self.require()
        for kind in blind:
            if fault := self.exchange.faults.strikes(kind):
                raise BlindError(fault.message or fault.kind.value)

    def _rates(self, now: datetime) -> FxRates:
        base = self.exchange.account.base
        rates = self.exchange.valuer.rates
        known = {cur: FxRate(rates[cur], now) for cur in sorted(rates) if cur != base}
        return FxRates(base, known)

    def _positions(self, marks: Mapping[InstrumentId, Decimal]) -> tuple[Position, ...]:
        positions = []
        for identifier, price in marks.items():
            instrument = self.exchange.instruments[identifier]
            holding = self.exchange.account.holdings[identifier]
            unit = instrument.multiplier / instrument.magnifier
            positions.append(
                Position(
                    instrument=identifier,
                    quantity=holding.quantity,
                    currency=instrument.currency,
                    price=price,
                    value=holding.quantity * price * unit,
                    average_cost=holding.average_cost,
                    contract=identifier,
                )
            )
        return tuple(positions)

    def _order(self, order: Order) -> WorkingOrder:
        return WorkingOrder(
            reference=order.reference,
            venue_id=str(order.id),
            instrument=order.instrument,
            quantity=order.quantity,
            filled=order.filled,
            limit=order.limit,
            status=order.status,
            at=order.ended_at or self.now(),
            message=order.message,
        )

    def _spoil(self, quote: Quote) -> Quote | None:
        """Return a quote with whatever fault strikes it, None for none at all."""
        strikes = self.exchange.faults.strikes
        if strikes(FaultKind.MISSING_QUOTE, quote.instrument):
            return None
        if stale := strikes(FaultKind.STALE_QUOTE, quote.instrument):
            age = timedelta(seconds=stale.seconds or _STALE_SECONDS)
            quote = replace(quote, at=quote.at - age)
        if strikes(FaultKind.CROSSED_QUOTE, quote.instrument):
            quote = replace(quote, bid=quote.ask, ask=quote.bid)
        if strikes(FaultKind.ONE_SIDED_QUOTE, quote.instrument):
            quote = replace(quote, ask=None, ask_size=None)
        return quote


class PaperHands(HandsWithoutStops):
    """A `ports.Hands` that sends to the engine."""

    sends = True

    def __init__(self, venue: Venue) -> None:
        if not isinstance(venue, PaperVenue):
            raise TypeError(f"PaperHands need a PaperVenue, not a {type(venue).__name__}")
        self._venue = venue
        self._exchange = venue.exchange

    def cancel(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        """Ask for the end of an order, by the venue's id where it has one, else by reference."""
        self._call("cancel")
        number = int(order.venue_id) if order.venue_id else self._number(order.reference)
        known = None if number is None else self._exchange.cancel(number)
        return () if known is None else (self._venue.event(OrderNews(known)),)

    def preview(self, place: Place) -> MarginPreview:
        """Return the margin as it would be if this order and all working ones traded."""
        self._call("preview")
        asked, now = self._new(place), self._exchange.now
        instrument = self._exchange.instruments.get(place.instrument)
        price = place.limit
        if instrument is not None and price is None:
            price = self._exchange.market.mark(instrument, now)
        if instrument is None or price is None:
            return MarginPreview(asked=True, message=f"no such instrument: {place.instrument}")
        try:
            after = self._exchange.initial_margin_with(asked)
        except StateError as error:
            return MarginPreview(asked=True, message=str(error))
        fee = self._venue.fees.order_fee(instrument, place.quantity, price)
        return MarginPreview(
            asked=True,
            initial_margin_after=after,
            equity_with_loan_after=self._exchange.worth().net_liquidation,
            commission=fee.amount * self._exchange.valuer.rates[fee.currency],
        )

    def submit(self, places: Sequence[Place]) -> tuple[VenueEvent, ...]:
        """Send orders; they are SENT, the rest is news. Raises `OutcomeUnknown` half-way."""
        self._venue.require()
        going: list[NewOrder] = []
        for place in places:
            if self._venue.breaks("submit"):
                self._exchange.place(going)
                raise OutcomeUnknown(
                    f"the connection broke after {len(going)} of {len(places)} orders: "
                    f"{self._venue.broken}"
                )
            going.append(self._new(place))
        sent = self._exchange.place(going)
        return tuple(self._venue.event(OrderNews(order)) for order in sent)

    def replace(self, replace: Replace) -> tuple[VenueEvent, ...]:
        """Ask for a new price of a working order; what becomes of it is news."""
        self._call("replace")
        number = self._number(replace.reference)
        known = None if number is None else self._exchange.move(number, replace.limit)
        return () if known is None else (self._venue.event(OrderNews(known)),)

    def _call(self, call: str) -> None:
        self._venue.require()
        if self._venue.breaks(call):
            self._venue.require()

    def _number(self, reference: str) -> int | None:
        """Return the newest order with a reference, one that still works before others."""
        found = [order for order in self._exchange.orders() if order.reference == reference]
        found.sort(key=lambda order: (order.live, order.id))
        return found[-1].id if found else None

    def _new(self, place: Place) -> NewOrder:
        return NewOrder(
            reference=place.reference,
            instrument=place.instrument,
            quantity=place.quantity,
            limit=place.limit,
            order_type=place.order_type,
            time_in_force=place.time_in_force,
            reduce_only=place.reduce_only,
            good_till=place.good_till,
        )


def fill_of(execution: Execution) -> Fill:
    """Return an execution as the run knows it; its commission is None until it was told."""
    return Fill(
        exec_id=execution.id,
        reference=execution.reference,
        venue_order_id=str(execution.order),
        instrument=execution.instrument,
        quantity=execution.quantity,
        price=execution.price,
        currency=execution.currency,
        at=execution.at,
        commission=execution.commission if execution.told else None,
        commission_currency=execution.commission_currency if execution.told else "",
        liquidity=execution.liquidity,
    )

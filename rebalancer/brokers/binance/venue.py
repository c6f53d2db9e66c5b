"""A connected account at Binance: every read is complete, or raises."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from rebalancer.brokers.binance import account_spot, account_usdm
from rebalancer.brokers.binance.income import within
from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.orders import OrderBook
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.passage import Passage
from rebalancer.brokers.binance.reading import Reading
from rebalancer.errors import ConnectError
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.income import Income
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import Fill, VenueEvent, WorkingOrder
from rebalancer.model.panel import Panel
from rebalancer.model.stops import StopOrder
from rebalancer.model.universe import BarSize, Universe
from rebalancer.ports import Page


class BinanceVenue:
    """A `ports.Venue` over one connection; `broker.BinanceBroker` makes it.

    `multi_assets`: the account counts all its assets, in US dollars.
    """

    name = "binance"
    absence_seconds = 60.0

    def __init__(
        self,
        line: BinanceLine,
        reading: Reading,
        book: OrderBook,
        *,
        page: Page,
        account_id: str,
        base: str,
        multi_assets: bool = False,
    ) -> None:
        self.line, self.reading, self.book, self.page = line, reading, book, page
        self.account_id, self.base, self.multi_assets = account_id, base, multi_assets
        self.instruments: tuple[Instrument, ...] = ()
        self.closed = False

    @property
    def universe(self) -> Universe:
        """Return what the portfolio trades."""
        return self.line.universe

    @property
    def passage(self) -> Passage:
        """Return how time passes here."""
        return self.line.passage

    @property
    def read_only(self) -> bool:
        """Return whether nobody can write through this connection."""
        return self.line.read_only

    @property
    def keeps_stops(self) -> bool:
        """Return whether stops can wait here: USDⓈ-M has a service for them."""
        return self.line.product is Product.USDM

    def now(self) -> datetime:
        """Return the exchange's time."""
        return self.line.now()

    def skew_seconds(self) -> float:
        """Return how far the exchange's time was from ours when last measured."""
        return self.line.offset.total_seconds()

    def listed(self, instruments: Sequence[Instrument]) -> tuple[Instrument, ...]:
        """Return the instruments with the exchange's own rules; what is unknown is flagged."""
        self._require_open()
        self.instruments = self.reading.listed(instruments, self.page.flag)
        return self.instruments

    def account(self) -> AccountSnapshot:
        """Return the account, asked for anew and told by two sources."""
        self._require_open()
        if self.line.product is Product.USDM:
            found = account_usdm.snapshot(
                self.line,
                self.account_id,
                self.base,
                self.page.flag,
                multi_assets=self.multi_assets,
            )
        else:
            found = account_spot.snapshot(
                self.line, self.reading.info, self.account_id, self.base, self.page.flag
            )
        self.reading.note_dust(found, self.instruments, self.page.flag)
        return found

    def open_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every ordinary order of the account that is not terminal."""
        self._require_open()
        return self.book.open_orders()

    def executions(
        self, since: datetime, only: Collection[InstrumentId] | None = None
    ) -> tuple[Fill, ...]:
        """Return the account's executions since then, oldest first.

        Without `only` a perpetual whose trades cost nothing and earned nothing is not among
        them: the exchange's ledger has no line of it.
        """
        self._require_open()
        return self.book.executions(since, only)

    def find(self, reference: str) -> tuple[WorkingOrder, ...]:
        """Return the orders with this reference, ended ones too."""
        self._require_open()
        return self.book.find(reference)

    def market(self, instruments: Sequence[Instrument]) -> MarketSnapshot:
        """Return quotes, asked for now."""
        self._require_open()
        return self.reading.market(instruments)

    def bars(
        self,
        instruments: Sequence[Instrument],
        since: datetime | None,
        size: BarSize = BarSize.DAY,
    ) -> Panel:
        """Return closes of completed bars that closed after `since`."""
        self._require_open()
        return self.reading.bars(instruments, since, size)

    def funding(self, instruments: Sequence[Instrument], since: datetime | None) -> Panel:
        """Return one plus the rates that were settled after `since`; spot has none."""
        self._require_open()
        return self.reading.funding(instruments, since)

    def income(self, since: datetime) -> tuple[Income, ...]:
        """Return what the exchange booked by itself at or after `since`."""
        self._require_open()
        told = self.reading.income(since)
        return told if self.multi_assets else tuple(within(each, self.base) for each in told)

    def stops(self) -> tuple[StopOrder, ...]:
        """Return every stop that waits for its trigger."""
        self._require_open()
        return self.book.stops()

    def find_stop(self, reference: str) -> tuple[StopOrder, ...]:
        """Return the stops with this reference, ended ones too."""
        self._require_open()
        return self.book.find_stop(reference)

    def wait(self, until: datetime) -> tuple[VenueEvent, ...]:
        """Let time pass until `until`, or until something happened; return what it was."""
        self._require_open()
        found = self.book.events()
        while not found and self.now() < until:
            self.passage.pass_time(until - self.line.offset)
            found = self.book.events()
        return found

    def _require_open(self) -> None:
        if self.closed:
            raise ConnectError("not connected to Binance: the connection is closed")
        self.line.require()

"""A connected account at Interactive Brokers: every read is complete, or raises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from rebalancer.brokers.ib import account, history, quotes
from rebalancer.brokers.ib.contracts import Contracts
from rebalancer.brokers.ib.efficiency import SmallFiles
from rebalancer.brokers.ib.line import FinalRefusal, Line
from rebalancer.brokers.ib.orders import OrderBook, is_read_only
from rebalancer.brokers.ib.passage import Passage
from rebalancer.brokers.ib.proof import proved
from rebalancer.brokers.without_stops import VenueWithoutStops
from rebalancer.errors import BlindError, ConnectError
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import Fill, VenueEvent, WorkingOrder
from rebalancer.model.panel import Panel
from rebalancer.model.sessions import SessionTable
from rebalancer.model.universe import BarSize
from rebalancer.ports import Page

T = TypeVar("T")

ROUNDS = 3
"""How often something is read again because Interactive Brokers was lost meanwhile."""


class IbVenue(VenueWithoutStops):
    """A `ports.Venue` over one connection; `broker.IbBroker` makes it."""

    name = "ib"
    absence_seconds = 600.0

    def __init__(
        self,
        line: Line,
        contracts: Contracts,
        book: OrderBook,
        *,
        page: Page,
        base: str,
        sessions: SessionTable,
        folder: Path,
        files: SmallFiles,
    ) -> None:
        self.line = line
        self.contracts = contracts
        self.book = book
        self.page = page
        self.base = base
        self.sessions = sessions
        self.folder = folder
        self.files = files
        self.read_only = False
        self.closed = False
        self.when_told: Callable[[], None] = lambda: None
        self._read_at: int | None = None
        self._orders_unknown = False

    @property
    def passage(self) -> Passage:
        """Return how time passes here."""
        return self.line.passage

    def now(self) -> datetime:
        """Return the venue's time."""
        return self.passage.now()

    def skew_seconds(self) -> float:
        """Return how far the gateway's time was from ours, asked now."""
        self._require_open()
        return self.passage.skew_seconds(self.line)

    def listed(self, instruments: Sequence[Instrument]) -> tuple[Instrument, ...]:
        """Return the instruments with the venue's own rules; what is unknown is flagged."""
        self._require_open()
        return self.contracts.listed(instruments, flag=self.page.flag)

    def account(self) -> AccountSnapshot:
        """Return the account, asked for anew and proved by its parts and by two sources."""
        found = self._read(lambda: account.snapshot(self.line, self.contracts, self.base))
        self._read_at = self.line.heard.returns
        return found

    @property
    def outdated(self) -> bool:
        """Return whether Interactive Brokers was lost and came back since the account was read.

        What was decided before it must not be sent after it.
        """
        return self._read_at is not None and self._read_at != self.line.heard.returns

    def open_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every order of the account that is not terminal.

        A dry run through a read-only API cannot know them: it says so and goes on with none.
        """
        found = self._unless_read_only(lambda: self._read(self.book.open_orders))
        return found or ()

    def executions(
        self, since: datetime, only: Collection[InstrumentId] | None = None
    ) -> tuple[Fill, ...]:
        """Return the account's executions since then; the gateway has today's only."""
        found = self._read(lambda: self.book.executions(since))
        self.when_told()
        return tuple(fill for fill in found if only is None or fill.instrument in only)

    def find(self, reference: str) -> tuple[WorkingOrder, ...]:
        """Return the orders with this reference, ended ones of today too."""
        return self._read(lambda: self.book.find(reference))

    def market(self, instruments: Sequence[Instrument]) -> MarketSnapshot:
        """Return quotes, asked for anew, each with its own time and kind of data."""

        def ask() -> MarketSnapshot:
            self.line.require_farms()
            return quotes.quotes(self.line, self.contracts, instruments)

        return self._read(ask)

    def bars(
        self,
        instruments: Sequence[Instrument],
        since: datetime | None,
        size: BarSize = BarSize.DAY,
    ) -> Panel:
        """Return closes of completed bars, split-adjusted."""

        def ask() -> Panel:
            self.line.require_farms()
            return history.bars(
                self.line, self.contracts, instruments, since, size=size, sessions=self.sessions
            )

        return self._read(ask)

    def wait(self, until: datetime) -> tuple[VenueEvent, ...]:
        """Let time pass until `until`, or until something was heard; return what it was."""
        self._require_open()
        if not self.book.has_news:
            if until <= self.now():
                return ()
            self.passage.pass_time(self.line, until, lambda: self.book.has_news)
            self.book.require()
        return self.book.events()

    # ------------------------------------------------------------------ everything at once

    def hear_everything(self) -> None:
        """Read values, positions, open and completed orders and executions, each to its end.

        What is new of orders and executions becomes news. Raises `BlindError` when an answer
        is not complete or they disagree, `FinalRefusal` when this is not the account's
        currency or when the gateway lets nobody trade.
        """
        found = proved(self.line)
        if found.base != self.base:
            raise FinalRefusal(
                f"account {self.line.account} has base currency {found.base}; {self.base} is "
                "configured"
            )
        self._unless_read_only(self._hear_orders)
        self.book.list_executions()

    def _hear_orders(self) -> None:
        self.book.list_open()
        self.book.list_completed()

    # ------------------------------------------------------------------ inside

    def _read(self, read: Callable[[], T]) -> T:
        """Read, and read again when Interactive Brokers was lost meanwhile."""
        for _ in range(ROUNDS):
            self._require_open()
            self.line.require()
            returns = self.line.heard.returns
            with self.line.reading():
                found = read()
            if self.line.heard.returns == returns:
                return found
        raise BlindError("the gateway loses Interactive Brokers again and again (1100)")

    def _unless_read_only(self, read: Callable[[], T]) -> T | None:
        """Read something that a read-only API refuses: None in a dry run, else nobody trades."""
        said = len(self.line.heard.errors)
        try:
            return read()
        except BlindError as error:
            told = (words for _, _, words in self.line.heard.errors[said:] if is_read_only(words))
            words = next(told, None)
            if words is None:
                raise
            if not self.read_only:
                raise FinalRefusal(
                    f"{words} Orders need Read-Only API off (IB Gateway: Configure, Settings, "
                    "API, Settings)"
                ) from error
        if not self._orders_unknown:
            self._orders_unknown = True
            self.page.flag(
                "orders-unknown", "open orders are not shown: the gateway's API is read-only"
            )
        return None

    def _require_open(self) -> None:
        if self.closed:
            raise ConnectError("not connected to the gateway: the connection is closed")
        self.line.require_wire()

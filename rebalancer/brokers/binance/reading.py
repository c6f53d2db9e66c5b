"""Everything a connection reads besides account and orders, behind one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rebalancer.brokers.binance import listing
from rebalancer.brokers.binance.dust import note_dust
from rebalancer.brokers.binance.funding import Funding
from rebalancer.brokers.binance.history import History
from rebalancer.brokers.binance.income import Ledger
from rebalancer.brokers.binance.info_cache import ExchangeInfo, SmallFiles
from rebalancer.brokers.binance.questions import Questions
from rebalancer.brokers.binance.quotes import Quotes
from rebalancer.brokers.binance.volumes import Volumes
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.income import Income
from rebalancer.model.instrument import Instrument
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.panel import Panel
from rebalancer.model.universe import BarSize, Universe


class Reading:
    """What `BinanceVenue` answers of listings, quotes, history, funding and income.

    `folder` keeps the exchange's list of symbols between runs.
    """

    def __init__(
        self, line: Questions, universe: Universe, folder: Path, files: SmallFiles
    ) -> None:
        self._line = line
        self.info = ExchangeInfo(line, folder, files, (each.symbol for each in universe))
        self.volumes = Volumes(line)
        self._quotes = Quotes(line, self.info, self.volumes)
        self._history = History(line, self.volumes)
        self._funding = Funding(line)
        self._ledger = Ledger(line)
        self._dust: set[str] = set()

    def listed(
        self, instruments: Sequence[Instrument], flag: listing.Flag
    ) -> tuple[Instrument, ...]:
        """Return the instruments with the exchange's rules; see `ports.Venue.listed`."""
        now = self._line.now()
        found = listing.listed(self.info, instruments, flag, self._line.product, now)
        if self.info.dropped:
            flag("cache-dropped", self.info.dropped, "file:exchange_info")
        return found

    def market(self, instruments: Sequence[Instrument]) -> MarketSnapshot:
        """Return quotes, asked for now."""
        return self._quotes.market(instruments)

    def bars(
        self,
        instruments: Sequence[Instrument],
        since: datetime | None,
        size: BarSize = BarSize.DAY,
    ) -> Panel:
        """Return closes of completed bars that closed after `since`."""
        return self._history.bars(instruments, since, size)

    def funding(self, instruments: Sequence[Instrument], since: datetime | None) -> Panel:
        """Return one plus the rates settled after `since`, by full hour."""
        return self._funding.funding(instruments, since)

    def income(self, since: datetime) -> tuple[Income, ...]:
        """Return what the exchange booked at or after `since`."""
        return self._ledger.income(since)

    def trust_while(self, quiet: Callable[[], bool]) -> None:
        """Let what was read of the ledger a moment ago hold only while this says so."""
        self._ledger.quiet = quiet

    def income_rows(self, since: datetime) -> tuple[Mapping[str, Any], ...]:
        """Return the same as the exchange's own rows."""
        return self._ledger.rows(since)

    def note_dust(
        self, account: AccountSnapshot, instruments: Sequence[Instrument], flag: listing.Flag
    ) -> None:
        """Flag holdings that no ordinary order can sell, each once a connection."""

        def once(code: str, message: str, subject: str) -> None:
            if subject not in self._dust:
                self._dust.add(subject)
                flag(code, message, subject)

        note_dust(account, instruments, once)

"""What the simulated venue knows of prices: a protocol, and daily closes behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import NamedTuple, Protocol

import numpy as np

from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Freshness, Quote
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.sessions import Session, SessionTable
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.path import DayPath
from rebalancer.simulators.recording import Recording, time_of

MINUTE = timedelta(minutes=1)
_CENT = Decimal("0.01")


class Touch(NamedTuple):
    """The best prices of a minute, and the units shown at each (None: as many as wanted)."""

    bid: Decimal
    ask: Decimal
    depth: Decimal | None


class Market(Protocol):
    """Prices over time. None is "not known here", never zero."""

    name: str

    def listed(self) -> tuple[Instrument, ...]:
        """Return the instruments that have prices of their own here."""

    def session(self, instrument: Instrument, at: datetime) -> Session | None:
        """Return the session in which the instrument trades at `at`, None when it does not."""

    def next_session(self, instrument: Instrument, at: datetime) -> Session | None:
        """Return the first session that opens after `at`, None where nothing is known of one."""

    def touch(self, instrument: Instrument, at: datetime) -> Touch | None:
        """Return the best prices at `at`; they hold for the whole minute."""

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the touch with everything a reader of the market is told."""

    def mark(self, instrument: Instrument, at: datetime) -> Decimal | None:
        """Return the price at which a position is valued."""

    def bars(
        self, instruments: Sequence[Instrument], since: datetime | None, now: datetime
    ) -> Panel:
        """Return closes of sessions that closed after `since` and not after `now`."""

    def sessions_since(self, instrument: Instrument, then: datetime, now: datetime) -> int:
        """Return how many sessions opened after `then` and not after `now`."""

    def ended(self, at: datetime) -> bool:
        """Return whether there are no more prices after `at`."""


class RecordedMarket:
    """A `Market` over recorded daily closes: what lies between two closes is invented.

    Before the opening and after the close the price is the last close; during a session it
    follows `path.DayPath`. A session that has no row in the recording is a closed venue.
    Pairs of currencies (kind FX) have the constant rates of the settings, at any time.
    """

    def __init__(
        self, recorded: Recording, sessions: SessionTable, settings: PaperSettings, base: str
    ) -> None:
        self.name = recorded.name
        self._recorded = recorded
        self._sessions = sessions
        self._settings = settings
        self._rates: Mapping[str, Decimal] = {**settings.fx, base: Decimal(1)}
        self._paths: dict[str, tuple[int, DayPath]] = {}
        self._current: Session | None = None
        self._priced = False

    def listed(self) -> tuple[Instrument, ...]:
        """Return the recorded symbols as US stocks."""
        currency = self._recorded.currency
        return tuple(
            Instrument(
                InstrumentId(f"{symbol}.STK.{currency}@IB"),
                Kind.STOCK,
                symbol,
                currency,
                self._sessions.calendar,
            )
            for symbol in self._recorded.symbols
        )

    def session(self, instrument: Instrument, at: datetime) -> Session | None:
        """Return the session that is open at `at` and has prices, else None."""
        found = self._current
        if found is None or not found.contains(at):
            found = self._sessions.current(at) if self._begun(at) else None
            self._current = found
            self._priced = found is not None and self._recorded.row(found.date) is not None
        return found if self._priced or instrument.kind is Kind.FOREX else None

    def next_session(self, instrument: Instrument, at: datetime) -> Session | None:
        """Return the next session of the table; whether it has prices is seen when it opens."""
        return self._sessions.next_open(at)

    def touch(self, instrument: Instrument, at: datetime) -> Touch | None:
        """Return bid and ask around the middle, a tick from it at least, and their depth."""
        middle = self.mark(instrument, at)
        if middle is None:
            return None
        tick = instrument.rules.price_step(middle)
        half = max(middle * self._settings.spread_bps / 20_000, tick)
        bid = ((middle - half) / tick).to_integral_value(ROUND_FLOOR) * tick
        ask = ((middle + half) / tick).to_integral_value(ROUND_CEILING) * tick
        return Touch(max(bid, tick), ask, self._depth(instrument, at))

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return a quote labelled synthetic; without volume, which is not recorded."""
        touch = self.touch(instrument, at)
        if touch is None:
            return None
        return Quote(
            instrument=instrument.id,
            at=at,
            bid=touch.bid,
            ask=touch.ask,
            bid_size=touch.depth,
            ask_size=touch.depth,
            close=self._last_close(instrument, at),
            freshness=Freshness.SYNTHETIC,
            trading=self.session(instrument, at) is not None,
        )

    def mark(self, instrument: Instrument, at: datetime) -> Decimal | None:
        """Return the middle price, rounded to 0.01; outside sessions the last close."""
        if instrument.kind is Kind.FOREX:
            return self._rate(instrument)
        if not self._has(instrument):
            return None
        session = self.session(instrument, at)
        if session is None:
            close = self._last_close(instrument, at)
            return None if close is None else close.quantize(_CENT, ROUND_HALF_UP)
        path = self._path(instrument.symbol, session)
        if path is None:
            return None
        millionths = path.at((at - session.open) // MINUTE)
        return Decimal((millionths + 5_000) // 10_000).scaleb(-2)

    def bars(
        self, instruments: Sequence[Instrument], since: datetime | None, now: datetime
    ) -> Panel:
        """Return recorded closes; the table tells their times where it covers them."""
        recorded = self._recorded
        ids: tuple[InstrumentId, ...] = tuple(each.id for each in instruments)
        times = recorded.closed.copy()
        first = recorded.days[0].item() * 86_400 if since is None else since.timestamp() - 86_400
        for session in self._sessions.between(time_of(int(first)).date(), now.date()):
            row = recorded.row(session.date)
            if row is not None:
                times[row] = int(session.close.timestamp())
        after = -np.inf if since is None else since.timestamp()
        wanted = (times > after) & (times <= now.timestamp())
        if not wanted.any():
            return empty_panel(ids)
        values = np.full((int(wanted.sum()), len(ids)), np.nan)
        for column, instrument in enumerate(instruments):
            if self._has(instrument):
                place = recorded.symbols.index(instrument.symbol)
                values[:, column] = recorded.closes[wanted, place]
        return Panel(ids, times[wanted], values)

    def sessions_since(self, instrument: Instrument, then: datetime, now: datetime) -> int:
        """Return how many sessions of the table opened in between."""
        found = self._sessions.between(then.date(), now.date())
        return sum(1 for session in found if then < session.open <= now)

    def ended(self, at: datetime) -> bool:
        """Return whether the last recorded session is over."""
        last = self._sessions.between(self._recorded.last_day, self._recorded.last_day)
        end = last[0].close if last else time_of(int(self._recorded.closed[-1]))
        return at >= end

    def split(self, symbol: str, ratio: Decimal) -> None:
        """Divide every price of a symbol, past and future: `ratio` new units for each old one."""
        recorded = self._recorded
        closes = recorded.closes.copy()
        column = recorded.symbols.index(symbol)
        closes[:, column] = np.round(closes[:, column] / float(ratio), 3)
        self._recorded = replace(recorded, closes=closes)
        self._paths.pop(symbol, None)

    def _begun(self, at: datetime) -> bool:
        return bool(self._sessions.sessions) and self._sessions.sessions[0].open <= at

    def _has(self, instrument: Instrument) -> bool:
        return (
            instrument.kind is Kind.STOCK
            and instrument.currency == self._recorded.currency
            and instrument.symbol in self._recorded.symbols
        )

    def _rate(self, instrument: Instrument) -> Decimal | None:
        bought, paid = self._rates.get(instrument.symbol), self._rates.get(instrument.currency)
        if bought is None or paid is None:
            return None
        price = bought / paid
        tick = instrument.rules.price_step(price)
        return (price / tick).to_integral_value(ROUND_HALF_UP) * tick

    def _last_close(self, instrument: Instrument, at: datetime) -> Decimal | None:
        """Return the close of the last session that is over, as it was recorded."""
        if not self._has(instrument):
            return None
        row = self._closed_row(at)
        return None if row < 0 else self._recorded.close(row, instrument.symbol)

    def _closed_row(self, at: datetime) -> int:
        """Return the last row whose session is over, -1 when there is none."""
        recorded = self._recorded
        if not self._begun(at):
            return int(np.searchsorted(recorded.closed, at.timestamp(), side="right")) - 1
        latest = self._sessions.latest(at)
        day = (latest.date - time_of(0).date()).days
        side = "left" if latest.contains(at) else "right"
        return int(np.searchsorted(recorded.days, day, side=side)) - 1  # type: ignore[call-overload]

    def _path(self, symbol: str, session: Session) -> DayPath | None:
        row = self._recorded.row(session.date)
        if row is None or row == 0:
            return None
        kept = self._paths.get(symbol)
        if kept is None or kept[0] != row:
            before, after = (self._recorded.close(r, symbol) for r in (row - 1, row))
            path = DayPath(
                (self._settings.seed, symbol, session.date),
                int(before * 1_000_000),
                int(after * 1_000_000),
                (session.close - session.open) // MINUTE,
            )
            kept = self._paths[symbol] = (row, path)
        return kept[1]

    def _depth(self, instrument: Instrument, at: datetime) -> Decimal | None:
        """Return the units shown in this minute, a multiple of the lot, one lot at least."""
        if instrument.kind is Kind.FOREX:
            return None
        session = self.session(instrument, at)
        path = None if session is None else self._path(instrument.symbol, session)
        percent = 100
        if session is not None and path is not None:
            percent = path.depth_percent((at - session.open) // MINUTE)
        step = instrument.rules.limit_step
        lots = (self._settings.depth * percent / 100 / step).to_integral_value(ROUND_FLOOR)
        return max(lots, Decimal(1)) * step

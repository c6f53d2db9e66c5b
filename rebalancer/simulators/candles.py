"""A market over recorded hourly candles that never closes: what lies within an hour is invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from rebalancer.errors import DataError, UsageError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Freshness, Quote
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.rules import TradingRules
from rebalancer.model.sessions import Session
from rebalancer.simulators.candle_path import HourPath, hour_path
from rebalancer.simulators.candle_recording import (
    EPOCH,
    HOUR,
    CandleRecording,
    Hours,
    candle_recording,
    candle_recordings,
)
from rebalancer.simulators.candle_sums import (
    INTERVALS,
    Candle,
    Part,
    amount,
    bounds,
    joined,
    part_between,
)
from rebalancer.simulators.market import MINUTE, Touch
from rebalancer.simulators.parameters import PaperSettings

__all__ = [
    "INTERVALS",
    "Candle",
    "CandleMarket",
    "CandleRecording",
    "candle_recording",
    "candle_recordings",
]

TRADING = "TRADING"
_SHOWN = 20
"""One of so many units that trade in a minute is shown at each side of the touch."""

_USUAL_DEPTH = PaperSettings().depth
_DAY = timedelta(days=1)
_PRODUCTS = {Kind.PERPETUAL: "usdm", Kind.SPOT: "spot"}


class CandleMarket:
    """A `Market` over recorded hours, for perpetuals and spot pairs (kinds PERP and SPOT).

    Within an hour prices follow `candle_path.HourPath`; a missing hour is a halt, in which
    the last price stands and nothing trades. `shift` re-dates everything: a whole number of
    hours that is added to every recorded time. `status` tells what a symbol does (Binance's
    words; only in "TRADING" anything trades).

    Bid and ask lie around the price, a tick from it at least, and inside [low, high] of the
    hour; where that leaves no room (low = high) the bid is a tick below. What is shown is a
    twentieth of the minute's recorded volume; not more than `settings.depth` where the owner
    has changed it. The mark and the index price are the price itself: neither is recorded.
    `start` and `end` are those of the recording, re-dated.
    """

    def __init__(
        self,
        recording: CandleRecording,
        instruments: Mapping[InstrumentId, Instrument],
        settings: PaperSettings,
        base: str,
        *,
        shift: timedelta = timedelta(0),
        status: Callable[[Instrument, datetime], str] | None = None,
    ) -> None:
        if shift % HOUR:
            raise UsageError(f"the recording can be shifted by whole hours only, not by {shift}")
        self.name = recording.name
        self.recording = recording
        self.shift = shift
        self.start, self.end = recording.start + shift, recording.end + shift
        self.base = base
        self._instruments = instruments
        self._settings = settings
        self._status = status
        self._paths: dict[str, HourPath | None] = {}
        self._hour: datetime | None = None
        self._marks: dict[str, Decimal | None] = {}
        self._minute: datetime | None = None
        self._touches: dict[str, tuple[TradingRules, Touch]] = {}
        self._touched: datetime | None = None
        self._day: Session | None = None
        self._funding: dict[str, tuple[tuple[datetime, Decimal], ...]] = {}

    # ------------------------------------------------------------------ what there is

    def listed(self) -> tuple[Instrument, ...]:
        """Return the instruments that have prices of their own here."""
        return tuple(each for each in self._instruments.values() if self._hours(each))

    def status(self, instrument: Instrument, at: datetime) -> str:
        """Return what a symbol does: TRADING, BREAK while an hour is missing, else as told."""
        told = TRADING if self._status is None else self._status(instrument, at)
        if told == TRADING and self._path(instrument.symbol, at) is None:
            return "BREAK"
        return told

    def onboard(self, symbol: str) -> datetime:
        """Return when the first candle of a symbol begins."""
        return EPOCH + self._known(symbol).first * HOUR + self.shift

    def session(self, instrument: Instrument, at: datetime) -> Session | None:
        """Return the UTC day as a session while the symbol trades, None while it does not."""
        if self._hours(instrument) is None or self.status(instrument, at) != TRADING:
            return None
        if self._day is None or not self._day.contains(at):
            opens = at.replace(hour=0, minute=0, second=0, microsecond=0)
            self._day = Session(opens.date(), opens, opens + _DAY, always=True)
        return self._day

    def next_session(self, instrument: Instrument, at: datetime) -> Session | None:
        """Return a session from the next hour on that has prices and trading, None without one.

        It opens in the middle of its day when an outage ends there.
        """
        hour = at.replace(minute=0, second=0, microsecond=0) + HOUR
        while hour < self.end:
            day = self.session(instrument, hour)
            if day is not None:
                return Session(day.date, hour, day.close, always=True)
            hour += HOUR
        return None

    def sessions_since(self, instrument: Instrument, then: datetime, now: datetime) -> int:
        """Return how many UTC days began in between."""
        return (now - EPOCH) // _DAY - (then - EPOCH) // _DAY

    def ended(self, at: datetime) -> bool:
        """Return whether the last recorded hour is over."""
        return at >= self.end

    # ------------------------------------------------------------------ prices

    def mark(self, instrument: Instrument, at: datetime) -> Decimal | None:
        """Return the price of this minute; the last one while hours are missing."""
        if self._hours(instrument) is None:
            return None
        minute = at.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._marks, self._minute = {}, minute
        symbol = instrument.symbol
        if symbol not in self._marks:
            path = self._path(symbol, at)
            price = None if path is None else amount(path.points[at.minute])
            self._marks[symbol] = self._last_price(symbol, at) if price is None else price
        return self._marks[symbol]

    def index(self, instrument: Instrument, at: datetime) -> Decimal | None:
        """Return the index price: the price itself, no other was recorded."""
        return self.mark(instrument, at)

    def touch(self, instrument: Instrument, at: datetime) -> Touch | None:
        """Return bid, ask and depth of this minute; None while nothing trades."""
        if self.session(instrument, at) is None:
            return None
        path = self._path(instrument.symbol, at)
        if path is None:
            return None
        if (whole := at.replace(second=0, microsecond=0)) != self._touched:
            self._touches, self._touched = {}, whole
        kept = self._touches.get(instrument.id)
        if kept is None or kept[0] is not instrument.rules:
            kept = instrument.rules, self._touch(instrument, path, at.minute)
            self._touches[instrument.id] = kept
        return kept[1]

    def _touch(self, instrument: Instrument, path: HourPath, minute: int) -> Touch:
        middle = amount(path.points[minute])
        tick = instrument.rules.price_step(middle)
        half = max(middle * self._settings.spread_bps / 20_000, tick)
        low, high = (
            _on(amount(edge), tick, ROUND_CEILING) for edge in (path.row.low, path.row.high)
        )
        bid = min(max(_on(middle - half, tick, ROUND_FLOOR), low), high)
        ask = max(min(_on(middle + half, tick, ROUND_CEILING), high), low)
        if bid >= ask:
            bid = max(ask - tick, tick)
        return Touch(bid, max(ask, bid + tick), self._depth(instrument, path, minute))

    def range(self, instrument: Instrument, at: datetime) -> tuple[Decimal, Decimal] | None:
        """Return low and high of the whole recorded hour that contains `at`, None without it."""
        path = self._path(instrument.symbol, at)
        return None if path is None else (amount(path.row.low), amount(path.row.high))

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the touch with everything a reader of the market is told."""
        price, touch = self.mark(instrument, at), self.touch(instrument, at)
        if price is None:
            return None
        return Quote(
            instrument=instrument.id,
            at=at,
            bid=touch.bid if touch else None,
            ask=touch.ask if touch else None,
            bid_size=touch.depth if touch else None,
            ask_size=touch.depth if touch else None,
            close=price,
            freshness=Freshness.SYNTHETIC,
            trading=touch is not None,
            next_funding=self.next_funding(instrument, at),
        )

    def candles(
        self,
        symbol: str,
        interval: str,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        *,
        now: datetime,
    ) -> list[Candle]:
        """Return candles that open in [start, end] and not after `now`, oldest first.

        With a start the first `limit` ones, else the last. The one that contains `now` is
        unfinished. An hour that is missing leaves no candle, or one that is made of the rest.
        """
        last = min(now, self.end - MINUTE, now if end is None else end)
        opens, ends = bounds(interval, last if start is None else max(start, self.start))
        if start is not None and opens < start:
            opens, ends = bounds(interval, ends)
        found: list[Candle] = []
        while len(found) < limit and opens <= last and ends > self.start:
            candle = joined(opens, ends, self._parts(symbol, opens, ends, now))
            if candle is not None:
                found.append(candle)
            opens, ends = bounds(interval, ends if start is not None else opens - MINUTE)
        return found if start is not None else found[::-1]

    def bars(
        self, instruments: Sequence[Instrument], since: datetime | None, now: datetime
    ) -> Panel:
        """Return daily closes (UTC) of days that ended after `since` and not after `now`."""
        ids = tuple(each.id for each in instruments)
        closes: list[dict[datetime, float]] = []
        for each in instruments:
            known = [] if self._hours(each) is None else self._days(each.symbol, now)
            wanted = (c for c in known if c.ends <= now and (since is None or c.ends > since))
            closes.append({candle.ends: float(candle.close) for candle in wanted})
        times = sorted({at for column in closes for at in column})
        if not times:
            return empty_panel(ids)
        values = np.array([[column.get(at, np.nan) for column in closes] for at in times])
        return Panel(ids, np.array([int(at.timestamp()) for at in times], np.int64), values)

    # ------------------------------------------------------------------ funding

    def funding(self, symbol: str) -> tuple[tuple[datetime, Decimal], ...]:
        """Return every funding time and rate of a perpetual, oldest first, re-dated."""
        if symbol not in self._funding:
            rows = self.recording.funding.get(symbol, ())
            self._funding[symbol] = tuple((at + self.shift, rate) for at, rate in rows)
        return self._funding[symbol]

    def next_funding(self, instrument: Instrument, at: datetime) -> datetime | None:
        """Return when a perpetual's funding is next exchanged, None when never."""
        if instrument.kind is not Kind.PERPETUAL:
            return None
        return next((when for when, _ in self.funding(instrument.symbol) if when > at), None)

    # ------------------------------------------------------------------ inside

    def _hours(self, instrument: Instrument) -> Hours | None:
        """Return the recorded hours behind an instrument, None when it has none here."""
        if _PRODUCTS.get(instrument.kind, "") not in self.recording.products:
            return None
        return self.recording.hours.get(instrument.symbol)

    def _known(self, symbol: str) -> Hours:
        found = self.recording.hours.get(symbol)
        if found is None:
            raise DataError(f"recording {self.name} has no candles of {symbol}")
        return found

    def _path(self, symbol: str, at: datetime) -> HourPath | None:
        """Return the path of the hour that contains `at`; only one hour of paths is kept."""
        hour = _hour(at)
        if hour != self._hour:
            self._paths, self._hour = {}, hour
        if symbol not in self._paths:
            self._paths[symbol] = self._new_path(symbol, hour)
        return self._paths[symbol]

    def _new_path(self, symbol: str, hour: datetime) -> HourPath | None:
        hours = self.recording.hours.get(symbol)
        key = self._key(symbol, hour)
        row = None if hours is None else hours.row(key[2])
        return None if row is None or hours is None else hour_path(key, row, hours.grid)

    def _key(self, symbol: str, hour: datetime) -> tuple[int, str, int]:
        return self._settings.seed, symbol, (hour - self.shift - EPOCH) // HOUR

    def _parts(self, symbol: str, opens: datetime, ends: datetime, now: datetime) -> list[Part]:
        """Return what of [opens, ends) had happened by `now`, hour by hour."""
        found: list[Part] = []
        hours = self.recording.hours.get(symbol)
        hour = _hour(opens)
        while hours is not None and hour < min(ends, now + MINUTE) and hour <= now:
            row = hours.row((hour - self.shift - EPOCH) // HOUR)
            whole = opens <= hour and hour + HOUR <= min(ends, now)
            if row is not None and whole:
                found.append(Part(*row))
            elif row is not None:
                path = self._path(symbol, hour) if hour == self._hour else None
                path = path or hour_path(self._key(symbol, hour), row, hours.grid)
                found.append(part_between(path, hour, (opens, ends), now))
            hour += HOUR
        return found

    def _days(self, symbol: str, now: datetime) -> list[Candle]:
        return self.candles(symbol, "1d", self.start - _DAY, None, 100_000, now=now)

    def _last_price(self, symbol: str, at: datetime) -> Decimal | None:
        """Return the close of the last hour before `at`, None before the first."""
        hours = self._known(symbol)
        number = min((_hour(at) - self.shift - EPOCH) // HOUR, hours.last)
        while number >= hours.first:
            row = hours.row(number)
            if row is not None:
                return amount(row.close)
            number -= 1
        return None

    def _depth(self, instrument: Instrument, path: HourPath, minute: int) -> Decimal:
        """Return the units shown in this minute, a multiple of the lot, one lot at least."""
        shown = amount(path.volume(minute, minute + 1) // _SHOWN)
        if self._settings.depth != _USUAL_DEPTH:
            shown = min(shown, self._settings.depth)
        step = instrument.rules.limit_step
        return max(_on(shown, step, ROUND_FLOOR), step)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _on(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).to_integral_value(rounding) * step

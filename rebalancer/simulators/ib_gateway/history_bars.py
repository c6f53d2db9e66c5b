"""Bars out of what the engine's market knows: closes that were recorded, a path between them.

Within a session prices follow the same path along which orders trade. Highs and lows of daily
bars are those of their opening and closing, of shorter ones also of the middle (simplified).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.sessions import Session
from rebalancer.simulators.ib_gateway.history_terms import DAY_MINUTES, Terms
from rebalancer.simulators.ib_gateway.hours import zone_of

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

MOST_BARS = 20_000
_DAY_SECONDS, _WEEK_SECONDS = 86_400, 604_800
_SPARE = timedelta(days=12)
_EXACT = Decimal("0.00000001")


class TooLong(Exception):
    """More bars were asked for than a gateway would send."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: when it begins (`day`: its date where it is a day or more), and its prices."""

    begins: datetime
    day: date | None
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


def bars_of(gateway: Gateway, instrument: Instrument, terms: Terms) -> tuple[Bar, ...]:
    """Return the bars of an instrument, oldest first; the last may still be forming.

    Raises `TooLong`.
    """
    if terms.seconds < _DAY_SECONDS:
        found = _short_bars(gateway, instrument, terms)
    else:
        found = _daily_bars(gateway, instrument, terms)
        if terms.seconds > _DAY_SECONDS:
            found = _grouped(found, weeks=terms.seconds == _WEEK_SECONDS)
    settings = gateway.exchange.settings
    return tuple(_shown(bar, instrument, terms.shown, settings.spread_bps) for bar in found)


def first_day(gateway: Gateway, instrument: Instrument) -> datetime | None:
    """Return when the first bar begins that is known at all, None when there is none."""
    days = _closes(gateway, instrument, None, gateway.exchange.now)
    return days[0][0] if days else None


# ---------------------------------------------------------------------- days


def _daily_bars(gateway: Gateway, instrument: Instrument, terms: Terms) -> list[Bar]:
    market, end = gateway.exchange.market, terms.end
    zone, _shown_zone = zone_of(gateway.calendar.calendar)
    span = terms.length if terms.days is None else timedelta(days=terms.days * 365 // 250)
    rows = _closes(gateway, instrument, end - span - _SPARE, end)
    if market.session(instrument, end) is not None:
        price = market.mark(instrument, end)
        if price is not None:
            rows.append((end, price))
    bars = []
    for (_before_at, before), (at, close) in pairwise(rows):
        day = at.astimezone(zone).date()
        begins = datetime(day.year, day.month, day.day, tzinfo=zone)
        bars.append(Bar(begins, day, before, max(before, close), min(before, close), close))
    if terms.days is not None:
        return bars[-terms.days :]
    return [bar for bar in bars if bar.begins >= end - terms.length]


def _closes(
    gateway: Gateway, instrument: Instrument, since: datetime | None, end: datetime
) -> list[tuple[datetime, Decimal]]:
    """Return times and closes of sessions that are over."""
    market = gateway.exchange.market
    if instrument.kind is Kind.FOREX:
        rate = market.mark(instrument, end)
        first = gateway.calendar.sessions[0].date if gateway.calendar.sessions else end.date()
        sessions = gateway.calendar.between(since.date() if since else first, end.date())
        over = (each.close for each in sessions if each.close <= end)
        return [] if rate is None else [(at, rate) for at in over]
    panel = market.bars([instrument], since, end)
    pairs = zip(panel.times.tolist(), panel.values[:, 0].tolist(), strict=True)
    zone, _shown_zone = zone_of("")
    return [
        (datetime.fromtimestamp(at, zone), Decimal(str(value)).quantize(_EXACT))
        for at, value in pairs
        if value == value  # NaN: there is no bar  # noqa: PLR0124
    ]


def _grouped(days: Sequence[Bar], *, weeks: bool) -> list[Bar]:
    """Return daily bars put together by week or month."""
    groups: dict[tuple[int, int], list[Bar]] = {}
    for bar in days:
        day = bar.begins.date()
        key = day.isocalendar()[:2] if weeks else (day.year, day.month)
        groups.setdefault(key, []).append(bar)
    return [
        Bar(
            each[0].begins,
            each[0].day,
            each[0].open,
            max(bar.high for bar in each),
            min(bar.low for bar in each),
            each[-1].close,
        )
        for each in groups.values()
    ]


# ---------------------------------------------------------------------- within the day


def _short_bars(gateway: Gateway, instrument: Instrument, terms: Terms) -> list[Bar]:
    length = timedelta(seconds=terms.seconds)
    sessions = _sessions(gateway, instrument, terms)
    planned = sum((each.close - each.open) // length + 1 for each in sessions)
    if planned > MOST_BARS:
        raise TooLong
    start = terms.end - terms.length if terms.days is None else None
    bars = []
    for session in sessions:
        for begins, ends in _spans(gateway, session, length, terms.end):
            if start is None or begins >= start:
                bar = _bar(gateway, instrument, begins, ends)
                if bar is not None:
                    bars.append(bar)
    return bars


def _sessions(gateway: Gateway, instrument: Instrument, terms: Terms) -> list[Session]:
    """Return the sessions that a request covers, those without prices left out."""
    market, end = gateway.exchange.market, terms.end
    span = terms.length
    if terms.days is not None:
        span = timedelta(days=terms.days * 365 // 250) + _SPARE
    found = [
        each
        for each in gateway.calendar.between((end - span).date(), end.date())
        if each.open < end and market.session(instrument, each.open) is not None
    ]
    return found if terms.days is None else found[-terms.days :]


def _spans(
    gateway: Gateway, session: Session, length: timedelta, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of the bars of a session, cut at the exchange's full hours."""
    zone, _shown_zone = zone_of(gateway.calendar.calendar)
    local = session.open.astimezone(zone)
    into = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    if length >= timedelta(minutes=DAY_MINUTES):
        raise ValueError("bars of a day and more are no part of a session")
    begins, last = session.open, min(session.close, end)
    ends = begins + length - into % length
    while begins < last:
        yield begins, min(ends, last)
        begins, ends = ends, ends + length


def _bar(gateway: Gateway, instrument: Instrument, begins: datetime, ends: datetime) -> Bar | None:
    prices = _prices(gateway, instrument, (begins, begins + (ends - begins) / 2, ends))
    if len(prices) < 3:
        return None
    return Bar(begins, None, prices[0], max(prices), min(prices), prices[-1])


def _prices(gateway: Gateway, instrument: Instrument, times: Iterable[datetime]) -> list[Decimal]:
    market = gateway.exchange.market
    found = (market.mark(instrument, at) for at in times)
    return [price for price in found if price is not None]


# ---------------------------------------------------------------------- bid and ask


def _shown(bar: Bar, instrument: Instrument, shown: str, spread_bps: Decimal) -> Bar:
    """Return a bar of the side that is asked for, by the spread of the simulated book."""
    if shown == "BID_ASK":
        bid, ask = (_sided(bar, instrument, side, spread_bps) for side in (-1, 1))
        return Bar(bar.begins, bar.day, bid.close, ask.high, bid.low, ask.close)
    if shown in ("BID", "ASK"):
        return _sided(bar, instrument, 1 if shown == "ASK" else -1, spread_bps)
    return bar


def _sided(bar: Bar, instrument: Instrument, side: int, spread_bps: Decimal) -> Bar:
    prices = (
        _side(price, instrument, side, spread_bps)
        for price in (bar.open, bar.high, bar.low, bar.close)
    )
    return Bar(bar.begins, bar.day, *prices)


def _side(middle: Decimal, instrument: Instrument, side: int, spread_bps: Decimal) -> Decimal:
    tick = instrument.rules.price_step(middle)
    half = max(middle * spread_bps / 20_000, tick)
    rounding = ROUND_CEILING if side > 0 else ROUND_FLOOR
    return max(((middle + side * half) / tick).to_integral_value(rounding) * tick, tick)

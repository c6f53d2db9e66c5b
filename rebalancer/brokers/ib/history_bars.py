"""From the venue's bars to rows of a panel: when each closed, and whether it has.

The venue names a daily bar by its date; its time here is the close of our session of that
date, so that every instrument's bar stands in the same row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from rebalancer.brokers.ib.trading_hours import Hours
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.sessions import Session, SessionTable

_WEEKS_OF_A_YEAR = timedelta(weeks=52)


class Bar(NamedTuple):
    """A bar as the venue names it: its date (daily) or its beginning, and its close."""

    begins: date | datetime
    close: float


def closed_days(
    raw: Sequence[Bar], hours: Hours | None, sessions: SessionTable, now: datetime
) -> dict[int, float]:
    """Return closes of daily bars by the closing time of our session of their date.

    A date that is no session of ours is left out; so is a bar whose session, ours or the
    venue's, is not over at `now`. Before our table begins, a bar closes as sessions do at that
    time of the year.
    """
    found: dict[int, float] = {}
    days = {_date(bar.begins, hours.zone if hours else "UTC"): bar.close for bar in raw}
    if not days:
        return found
    ours = {each.date: each.close for each in sessions.between(min(days), max(days))}
    first = sessions.sessions[0].date if sessions.sessions else date.min
    for day in sorted(days):
        closes = ours.get(day) or (_usual_close(sessions, day) if day < first else None)
        forming = hours is not None and hours.open_session(day, now)
        if closes is not None and usable(days[day]) and closes <= now and not forming:
            found[int(closes.timestamp())] = days[day]
    return found


def _usual_close(sessions: SessionTable, day: date) -> datetime | None:
    """Return when a session before the table's first closed: as one of that week does in it."""
    first = sessions.sessions[0].date
    years = -(-(first - day) // _WEEKS_OF_A_YEAR)
    like = day + years * _WEEKS_OF_A_YEAR
    near = sessions.between(like, like + timedelta(days=14))
    whole: Session | None = next((each for each in near if not each.half_day), None)
    if whole is None:
        return None
    midnight = datetime(whole.date.year, whole.date.month, whole.date.day, tzinfo=UTC)
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + (whole.close - midnight)


def closed_hours(
    raw: Sequence[Bar], hours: Hours | None, sessions: SessionTable, now: datetime
) -> dict[int, float]:
    """Return closes of hourly bars by their closing time, within our sessions only.

    An hour ends with the full hour of the exchange, or with our session.
    """
    zone = ZoneInfo(hours.zone if hours else "UTC")
    found: dict[int, float] = {}
    for bar in raw:
        begins = _moment(bar.begins)
        if begins is None or not usable(bar.close):
            continue
        session = _session_at(sessions, begins)
        if session is None:
            continue
        local = begins.astimezone(zone)
        into = timedelta(minutes=local.minute, seconds=local.second)
        closes = min(begins - into + timedelta(hours=1), session.close)
        if closes <= now:
            found[int(closes.timestamp())] = bar.close
    return found


def _session_at(sessions: SessionTable, at: datetime) -> Session | None:
    try:
        return sessions.current(at)
    except LookupError:
        return None


def _date(begins: date | datetime, zone: str) -> date:
    """Return the date of a daily bar; some gateways give its midnight as seconds since 1970."""
    if isinstance(begins, datetime):
        if begins.tzinfo is None:
            return begins.date()
        utc = begins.astimezone(UTC)
        return (
            utc.date() if utc.hour == utc.minute == 0 else begins.astimezone(ZoneInfo(zone)).date()
        )
    return begins


def _moment(begins: date | datetime) -> datetime | None:
    """Return when an hourly bar begins; None without a zone: nobody knows which it is in."""
    if isinstance(begins, datetime) and begins.tzinfo is not None:
        return begins.astimezone(UTC)
    return None


def usable(close: float) -> bool:
    """Return whether a close is a price: a positive number."""
    return bool(np.isfinite(close)) and 0 < close < 1e30


def table(
    names: Sequence[InstrumentId],
    columns: Mapping[InstrumentId, Mapping[int, float]],
    since: datetime | None,
) -> Panel:
    """Return closes by time as a panel of those after `since`; NaN where there was none."""
    after = -1 if since is None else int(since.timestamp())
    moments = sorted({at for column in columns.values() for at in column if at > after})
    if not moments:
        return empty_panel(names)
    values = np.full((len(moments), len(names)), np.nan)
    row = {at: place for place, at in enumerate(moments)}
    for column, name in enumerate(names):
        for at, close in columns[name].items():
            if at > after:
                values[row[at], column] = close
    return Panel(tuple(names), np.array(moments, np.int64), values)

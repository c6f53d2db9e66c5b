"""When contracts trade, in the gateway's own text, and the zones it names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rebalancer.model.sessions import Session, SessionTable
from rebalancer.simulators.ib_gateway.contracts import Listed

DAYS = 7
"""How many days, today's first, the texts speak of."""

_ZONES: Mapping[str, tuple[str, str]] = {
    "XNYS": ("America/New_York", "US/Eastern"),
    "XNAS": ("America/New_York", "US/Eastern"),
    "ARCX": ("America/New_York", "US/Eastern"),
    "XCBF": ("America/Chicago", "US/Central"),
    "CMES": ("America/Chicago", "US/Central"),
    "XLON": ("Europe/London", "GB-Eire"),
    "XETR": ("Europe/Berlin", "MET"),
    "XFRA": ("Europe/Berlin", "MET"),
    "XPAR": ("Europe/Paris", "MET"),
    "XAMS": ("Europe/Amsterdam", "MET"),
    "XSWX": ("Europe/Zurich", "MET"),
    "XTKS": ("Asia/Tokyo", "Japan"),
    "XHKG": ("Asia/Hong_Kong", "Hongkong"),
}
_EARLY, _LATE, _LATE_HALF_DAY = time(4), time(20), time(17)


def zone_of(calendar: str) -> tuple[ZoneInfo, str]:
    """Return the zone of a calendar's exchange, and what the gateway calls it."""
    name, shown = _ZONES.get(calendar, ("UTC", "UTC"))
    return ZoneInfo(name), shown


def hours_of(listed: Listed, table: SessionTable, now: datetime) -> tuple[str, str, str]:
    """Return zone, trading hours and liquid hours of a contract, from today on.

    Liquid hours are when orders trade here. US stocks also have the hours before and after
    the regular ones in their trading hours, though nothing trades then (simplified).
    """
    zone, shown = zone_of(table.calendar)
    today = now.astimezone(zone).date()
    days = [today + timedelta(days=each) for each in range(DAYS)]
    sessions = {each.date: each for each in table.between(days[0], days[-1])}
    liquid = ";".join(_day(day, sessions.get(day), zone) for day in days)
    wide = liquid
    if listed.sec_type == "STK" and shown == "US/Eastern":
        wide = ";".join(_long_day(day, sessions.get(day)) for day in days)
    return shown, wide, liquid


def _day(day: date, session: Session | None, zone: ZoneInfo) -> str:
    if session is None:
        return f"{day:%Y%m%d}:CLOSED"
    first, last = session.open.astimezone(zone), session.close.astimezone(zone)
    return f"{first:%Y%m%d:%H%M}-{last:%Y%m%d:%H%M}"


def _long_day(day: date, session: Session | None) -> str:
    if session is None:
        return f"{day:%Y%m%d}:CLOSED"
    last = _LATE_HALF_DAY if session.half_day else _LATE
    return f"{day:%Y%m%d}:{_EARLY:%H%M}-{day:%Y%m%d}:{last:%H%M}"

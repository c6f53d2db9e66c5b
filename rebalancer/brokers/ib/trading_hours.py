"""When a contract trades, as the venue says it in text.

Two forms are in use: `20261123:0930-20261123:1600;20261126:CLOSED` and, from older gateways,
`20261123:0930-1600,1700-1800;20261126:CLOSED`, whose sessions may begin the evening before.
Times are local to the exchange, whose zone stands beside them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rebalancer.errors import DataError

# What gateways call a zone where the time-zone database means another one by it, or none:
# its EST is New York without summer time, the venue's is New York.
_ZONES = {
    "EST": "America/New_York",
    "EST5EDT": "America/New_York",
    "CST": "America/Chicago",
    "MST": "America/Denver",
    "PST": "America/Los_Angeles",
    "GMT": "Europe/London",
    "BST": "Europe/London",
    "MET": "Europe/Berlin",
    "CET": "Europe/Berlin",
    "EET": "Europe/Helsinki",
    "JST": "Asia/Tokyo",
    "HKT": "Asia/Hong_Kong",
    "SGT": "Asia/Singapore",
    "AET": "Australia/Sydney",
}
_MOMENT = re.compile(r"(?:(\d{8}):)?(\d{4})")


@dataclass(frozen=True, slots=True)
class Hours:
    """Sessions in UTC, oldest first, and the dates (of the exchange) that the text speaks of."""

    zone: str
    sessions: tuple[tuple[datetime, datetime], ...]
    days: frozenset[date]

    def trades(self, at: datetime) -> bool | None:
        """Return whether it trades at `at`; None when the text does not speak of that day."""
        if any(start <= at < end for start, end in self.sessions):
            return True
        return False if at.astimezone(ZoneInfo(self.zone)).date() in self.days else None

    def open_session(self, day: date, at: datetime) -> bool:
        """Return whether a session that ends on `day` (of the exchange) is not over at `at`."""
        zone = ZoneInfo(self.zone)
        return any(end > at and _day_of_end(end, zone) == day for _start, end in self.sessions)


def _day_of_end(end: datetime, zone: ZoneInfo) -> date:
    # A session that ends at midnight belongs to the day before.
    return (end - timedelta(seconds=1)).astimezone(zone).date()


def zone_of(text: str) -> str:
    """Return the zone a gateway means, by its name in the time-zone database.

    Raises `DataError` for one that is not known.
    """
    said = text.partition("(")[0].strip()
    name = _ZONES.get(said, said)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DataError(f"time zone {text!r} is not known") from error
    return name


@lru_cache(maxsize=256)
def parse_hours(text: str, zone: str) -> Hours:
    """Return the sessions in a text of trading or liquid hours; '' speaks of no day.

    Remembered: hundreds of contracts share one text. Raises `DataError` naming the part that
    cannot be read.
    """
    name = zone_of(zone)
    sessions: list[tuple[datetime, datetime]] = []
    days: set[date] = set()
    for part in text.split(";"):
        if not part.strip():
            continue
        head, _, rest = part.strip().partition(":")
        try:
            day = datetime.strptime(head, "%Y%m%d").date()  # noqa: DTZ007 - a date only
            days.add(day)
            if rest.strip() != "CLOSED":
                found = _sessions(head, rest, ZoneInfo(name))
                sessions.extend(found)
                days.update(_day_of_end(end, ZoneInfo(name)) for _start, end in found)
        except ValueError as error:
            raise DataError(f"trading hours {part!r} cannot be read: {error}") from error
    return Hours(name, tuple(sorted(sessions)), frozenset(days))


def _sessions(head: str, rest: str, zone: ZoneInfo) -> Sequence[tuple[datetime, datetime]]:
    """Return the sessions of one part, in UTC."""
    found = []
    for span in rest.split(","):
        # Both forms end with the day they begin with, unless they name another.
        first, dash, last = span.strip().partition("-")
        begin, end = _MOMENT.fullmatch(first), _MOMENT.fullmatch(last)
        if not dash or begin is None or end is None:
            raise ValueError(f"{span!r} is not a session")
        opened = _moment(begin[1] or head, begin[2])
        closed = _moment(end[1] or begin[1] or head, end[2])
        if closed <= opened:
            if end[1]:
                raise ValueError(f"{span!r} ends before it begins")
            opened -= timedelta(days=1)  # the old form's session of the evening before
        found.append(
            (
                opened.replace(tzinfo=zone).astimezone(UTC),
                closed.replace(tzinfo=zone).astimezone(UTC),
            )
        )
    return found


def _moment(day: str, clock: str) -> datetime:
    if clock == "2400":
        return _moment(day, "0000") + timedelta(days=1)
    return datetime.strptime(f"{day}{clock}", "%Y%m%d%H%M")  # noqa: DTZ007 - the zone follows

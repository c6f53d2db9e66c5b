"""Times as the gateway writes and reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ZONE = ZoneInfo("America/New_York")
SHOWN = "US/Eastern"
"""The gateway's zone, and the name it has for it."""

_WITH_ZONE = 174
_TEXT = re.compile(r"(\d{8})([ -])(\d{2}:\d{2}:\d{2})(?: (\S+))?")


def stamp(at: datetime, version: int) -> str:
    """Return a time in the gateway's zone: with its name from version 174 on."""
    local = at.astimezone(ZONE)
    if version < _WITH_ZONE:
        return f"{local:%Y%m%d  %H:%M:%S}"
    return f"{local:%Y%m%d %H:%M:%S} {SHOWN}"


def read_time(text: str) -> datetime | None:
    """Return a client's `20261231 16:00:00 US/Eastern` or `20261231-21:00:00` (UTC) in UTC.

    A time without a zone is in the gateway's. None for anything else.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        return None
    day, joint, clock, named = found.groups()
    try:
        zone = UTC if joint == "-" else ZONE if named in (None, SHOWN) else ZoneInfo(named)
        naive = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - zone next
    except (ValueError, ZoneInfoNotFoundError):
        return None
    return naive.replace(tzinfo=zone).astimezone(UTC)


def midnight(at: datetime) -> datetime:
    """Return when the account's day of a time began, in UTC."""
    local = at.astimezone(ZONE)
    return datetime.combine(local.date(), time(), tzinfo=ZONE).astimezone(UTC)


def seconds(at: datetime) -> datetime:
    """Return a time in whole seconds, as the wire has it."""
    return at - timedelta(microseconds=at.microsecond)

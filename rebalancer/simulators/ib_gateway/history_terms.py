"""The words of a request for history: bar sizes, durations, what to show, times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rebalancer.simulators.ib_gateway.orders_times import read_time

DAY_MINUTES = 1440
SMALL_SECONDS = 30
"""Bars up to this length have limits of their own."""

Refusal = tuple[int, str]

BAR_SECONDS: Mapping[str, int] = {
    "1 secs": 1, "5 secs": 5, "10 secs": 10, "15 secs": 15, "30 secs": 30, "1 min": 60,
    "2 mins": 120, "3 mins": 180, "5 mins": 300, "10 mins": 600, "15 mins": 900, "20 mins": 1200,
    "30 mins": 1800, "1 hour": 3600, "2 hours": 7200, "3 hours": 10800, "4 hours": 14400,
    "8 hours": 28800, "1 day": 86400, "1 week": 604800, "1 month": 2592000,
}  # fmt: skip
SHOWN = frozenset(
    {
        "ADJUSTED_LAST", "AGGTRADES", "ASK", "BID", "BID_ASK", "FEE_RATE", "HISTORICAL_VOLATILITY",
        "MIDPOINT", "OPTION_IMPLIED_VOLATILITY", "REBATE_RATE", "SCHEDULE", "TRADES", "YIELD_ASK",
        "YIELD_BID", "YIELD_BID_ASK", "YIELD_LAST",
    }
)  # fmt: skip
_DURATION = re.compile(r"(\d{1,6}) ?([SDWMY])")
_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}
_LONGEST = 100 * 365
_WRONG_TIME = (
    10314,
    "End Date/Time: The date, time, or time-zone entered is invalid. The correct format is "
    "yyyymmdd hh:mm:ss xx/xxxx where yyyymmdd and xx/xxxx are optional. E.g.: 20031126 15:59:00 "
    "US/Eastern  Note that there is a space between the date and time, and between the time and "
    "time-zone.  If no date is specified, current date is assumed. If no time-zone is specified, "
    "local time-zone is assumed(deprecated).  You can also provide yyyymmddd-hh:mm:ss time is in "
    "UTC. Note that there is a dash between the date and time in UTC notation.",
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for: bars of `seconds` until `end`, for `days` days or `length` of time.

    `days` counts days of trading (None: `length` counts all time).
    """

    end: datetime
    seconds: int
    days: int | None
    length: timedelta
    shown: str
    epoch: bool


def read_terms(values: Mapping[str, Any], now: datetime) -> Terms | Refusal:
    """Return what a request asks for, or what is wrong with it."""
    seconds = BAR_SECONDS.get(str(values["barSize"]))
    if seconds is None:
        legal = ", ".join(BAR_SECONDS)
        return _invalid(f"Historical data bar size setting is invalid. Legal ones are: {legal}")
    shown = str(values["whatToShow"]).upper()
    if shown not in SHOWN:
        return _invalid(f"Invalid what to show: {values['whatToShow']}")
    if values["formatDate"] not in (1, 2):
        return _invalid("Invalid date format; 1 and 2 are supported")
    if values["keepUpToDate"]:
        return _invalid("Bars that are kept up to date are not available")
    found = _DURATION.fullmatch(str(values["duration"]).strip())
    if found is None or not int(found[1]) or int(found[1]) * _DAYS.get(found[2], 0) > _LONGEST:
        return _invalid(
            "Historical data query duration is invalid. Legal ones are whole numbers with one of "
            "S, D, W, M, Y"
        )
    number, unit = int(found[1]), found[2]
    if unit == "D" and number > _DAYS["Y"]:
        return _invalid(
            "Historical data requests for durations longer than 365 days must be made in years."
        )
    end = _end(values, now, shown)
    if not isinstance(end, datetime):
        return end
    return Terms(
        end=min(end, now),
        seconds=seconds,
        days=number if unit == "D" else None,
        length=timedelta(seconds=number) if unit == "S" else timedelta(days=number * _DAYS[unit]),
        shown=shown,
        epoch=values["formatDate"] == 2,
    )


def _end(values: Mapping[str, Any], now: datetime, shown: str) -> datetime | Refusal:
    text = str(values["endDateTime"]).strip()
    if not text:
        return now
    if shown == "ADJUSTED_LAST":
        return _invalid("End Date/Time is not supported with Adjusted Last")
    return read_time(text) or _WRONG_TIME


def _invalid(cause: str) -> Refusal:
    return 321, f"Error validating request.-'bK' : cause - {cause}"

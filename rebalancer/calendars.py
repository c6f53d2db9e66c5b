"""Market calendars: compiled once from exchange_calendars to small files, read in no time.

The library takes half a second to import; a year's file takes a fraction of a millisecond to
read. It is asked only when a year that is needed has no file, or when the file of a year that
was not over yet when it was compiled is more than 30 days old (holidays are proclaimed late).

Lunch breaks (Hong Kong, Tokyo) are not known here: the venue's own hours close them.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import warnings
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from rebalancer.errors import DataError, RebalancerError
from rebalancer.model.sessions import PackedSessions, SessionTable, day_number, every_day

ALWAYS_OPEN = "24/7"
"""The calendar of a venue that never closes; needs neither file nor library."""

BEFORE = timedelta(days=400)
AFTER = timedelta(days=60)
RENEW_AFTER = timedelta(days=30)

_SCHEMA = 1
_DAY = 24 * 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_/.+-]{0,31}")


class _Files(Protocol):
    def make_folder(self, path: Path, /) -> None: ...
    def replace(self, path: Path, content: bytes, /) -> None: ...


def session_table(
    name: str, around: datetime, cache_folder: Path, files: _Files, wall_now: datetime
) -> SessionTable:
    """Return the sessions of a calendar from 400 days before `around` to 60 days after it.

    Parameters
    ----------
    name
        A calendar of exchange_calendars ("XNYS", "24/5"), or "24/7".
    around
        The time the run is about: now, or a time of the recording.
    cache_folder
        Where the compiled years are kept, `<name>-<year>.json`.
    files
        Writes the compiled years (`store.atomic.Files`).
    wall_now
        The real time, which decides whether a compiled year is too old.

    Raises
    ------
    DataError
        When there is no such calendar, or it does not reach that far.
    """
    first, last = (around - BEFORE).date(), (around + AFTER).date()
    if name == ALWAYS_OPEN:
        return SessionTable(name, every_day(first, last))
    if not _NAME.fullmatch(name):
        raise DataError(f"calendar {name!r}: not a calendar's name{_near(name)}")
    years = range(first.year, last.year + 1)
    today = wall_now.date()
    compiled = {year: _read(_path(cache_folder, name, year), today) for year in years}
    missing = [
        year
        for year in years
        if (found := compiled[year]) is None or not (found["days"] or year > around.year)
    ]
    if missing:
        fresh = _compile(name, missing, around.year, today)
        files.make_folder(cache_folder)
        for year, content in fresh.items():
            text = json.dumps(content, separators=(",", ":"), sort_keys=True)
            files.replace(_path(cache_folder, name, year), text.encode("ascii"))
        compiled.update(fresh)
    return SessionTable(name, _packed([compiled[year] for year in years]))


def require_calendar(name: str) -> None:
    """Raise `DataError` when there is no calendar of that name; nothing is compiled."""
    if name == ALWAYS_OPEN:
        return
    import exchange_calendars

    if name not in exchange_calendars.get_calendar_names(include_aliases=True):
        raise DataError(f"calendar {name!r}: there is no such calendar{_near(name)}")


def stored_sessions(
    name: str, since: datetime, until: datetime, cache_folder: Path
) -> SessionTable | None:
    """Return the sessions around a span from the compiled files alone, however old those are.

    Neither library nor disk is asked for more: None when a year of the span is not there, or
    was compiled before its holidays were known. The year before is taken too if it is, so that
    there is a session before `since`.
    """
    if name == ALWAYS_OPEN:
        return SessionTable(name, every_day((since - RENEW_AFTER).date(), until.date()))
    if not _NAME.fullmatch(name):
        return None
    years = range(since.year - 1, until.year + 1)
    found = {year: _read(_path(cache_folder, name, year), None) for year in years}
    if not all((content := found[year]) and content["days"] for year in years[1:]):
        return None
    return SessionTable(name, _packed([found[year] for year in years]))


def compiled_sessions(name: str, since: datetime, until: datetime) -> SessionTable:
    """Return the sessions of a span from the library, without keeping them anywhere.

    A little before `since` is taken too. Raises `DataError` when there is no such calendar, or
    it does not reach that far.
    """
    if name == ALWAYS_OPEN:
        return SessionTable(name, every_day((since - RENEW_AFTER).date(), until.date()))
    years = list(range((since - RENEW_AFTER).year, until.year + 1))
    made = _compile(name, years, until.year, until.date())
    return SessionTable(name, _packed([made[year] for year in years]))


def _path(folder: Path, name: str, year: int) -> Path:
    return folder / f"{name.replace('/', '-')}-{year}.json"


_UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip


def _read(path: Path, today: date | None) -> dict[str, Any] | None:
    """Return a compiled year, None when it is missing, damaged, another schema's or too old.

    `today` None: none is too old.
    """
    try:
        content = json.loads(path.read_bytes())
        compiled, year = date.fromisoformat(content["compiled"]), int(content["year"])
        usable = content["schema"] == _SCHEMA and _holds(content, year)
        usable = usable and path == _path(path.parent, content["calendar"], year)
    except _UNREADABLE:
        return None
    if today is not None and compiled <= date(year, 12, 31):
        usable = usable and abs(today - compiled) <= RENEW_AFTER
    return content if usable else None


def _holds(content: dict[str, Any], year: int) -> bool:
    """Return whether columns can be sessions of a year: one after the other, none for days.

    Raises `ValueError`, `TypeError` or `OverflowError` for what is no number at all.
    """
    days, opens, closes = content["days"], content["opens"], content["closes"]
    first, last = day_number(date(year, 1, 1)), day_number(date(year, 12, 31))
    end = -math.inf
    for day, start, stop in zip(days, opens, closes, strict=True):
        begun = day * _DAY
        if {type(day), type(start), type(stop)} != {int} or not first <= day <= last:
            return False
        if not (begun - _DAY <= start < stop <= begun + 2 * _DAY and end <= start):
            return False
        end = stop
    return set(content["half_days"]) <= set(days)


def _packed(years: list[dict[str, Any] | None]) -> PackedSessions:
    columns: dict[str, list[int]] = {"days": [], "opens": [], "closes": [], "half_days": []}
    for year in years:
        for name, column in columns.items():
            column.extend((year or {}).get(name, ()))
    return PackedSessions(
        columns["days"], columns["opens"], columns["closes"], frozenset(columns["half_days"])
    )


def _compile(name: str, years: list[int], needed: int, today: date) -> dict[int, dict[str, Any]]:
    """Ask exchange_calendars for these years; returns what their files say.

    A year after `needed` whose holidays are not recorded yet has no sessions, for now.
    """
    compiled = {year: _content(name, year, today) for year in years}
    try:
        columns = _ask(name, years[0], years[-1])
    except DataError:
        known = [year for year in years if year <= needed]
        if known == years:
            raise
        if not known:
            return compiled
        columns = _ask(name, known[0], known[-1])
    early = set(columns["half_days"])
    for row, day in enumerate(columns["days"]):
        year = (date(1970, 1, 1) + timedelta(days=day)).year
        if year in compiled:
            for key in ("days", "opens", "closes"):
                compiled[year][key].append(columns[key][row])
            if day in early:
                compiled[year]["half_days"].append(day)
    return compiled


def _content(name: str, year: int, today: date) -> dict[str, Any]:
    about = {"schema": _SCHEMA, "calendar": name, "year": year, "compiled": today.isoformat()}
    return about | {key: [] for key in ("days", "opens", "closes", "half_days")}


def _ask(name: str, first: int, last: int) -> dict[str, list[int]]:
    """Return days, openings, closings and half-days of these years; raises `DataError`."""
    import exchange_calendars

    start, end = f"{first}-01-01", f"{last}-12-31"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the library asks of pandas is not ours to mend
            calendar = exchange_calendars.get_calendar(name, start=start, end=end)
            schedule, early_closes = calendar.schedule, calendar.early_closes
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise DataError(f"calendar {name!r}: there is no such calendar{_near(name)}") from error
    except RebalancerError:  # a signal, a deadline: not the library's doing
        raise
    except Exception as error:  # its calendars fail in ways of their own
        why = (str(error) or type(error).__name__)[:200]
        raise DataError(f"calendar {name!r}: not known from {start} to {end}: {why}") from error
    return {
        "days": _numbers(schedule.index, "datetime64[D]"),
        "opens": _numbers(schedule["open"].dt.tz_localize(None), "datetime64[m]"),
        "closes": _numbers(schedule["close"].dt.tz_localize(None), "datetime64[m]"),
        "half_days": _numbers(early_closes, "datetime64[D]"),
    }


def _numbers(times: Any, unit: str) -> list[int]:
    return [int(at) for at in times.to_numpy().astype(unit).astype("int64")]


def _near(name: str) -> str:
    """Return a hint with the names that look like this one."""
    import exchange_calendars

    names = [*exchange_calendars.get_calendar_names(include_aliases=True), ALWAYS_OPEN]
    by_upper = {known.upper(): known for known in sorted(set(names))}
    near = difflib.get_close_matches(name.upper(), by_upper, n=3, cutoff=0.5)
    return f"; near: {', '.join(by_upper[key] for key in near)}" if near else ""

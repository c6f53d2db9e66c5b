"""`rebalancer bars`: the stored history, looked at, imported, forgotten."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.cli.changing import locked_books
from rebalancer.cli.opened import confirmed, time_of
from rebalancer.cli.tables import show_table
from rebalancer.errors import DataError, UsageError

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.instrument import InstrumentId
    from rebalancer.model.panel import Panel
    from rebalancer.model.sessions import Session, SessionTable
    from rebalancer.store.candles import CandleStore


def execute(arguments: Namespace) -> int:
    """Show, import or forget bars. Raises `DataError`, `StateError`, `UsageError`."""
    from rebalancer.config import load

    config = load(Path(arguments.config))
    action: Callable[[Config, Namespace], int] = {
        "show": _show,
        "import": _import,
        "forget": _forget,
    }[arguments.action]
    return action(config, arguments)


def _store(config: Config, size: str) -> CandleStore:
    from rebalancer.store.atomic import Files
    from rebalancer.store.candles import HOURLY, NAME, CandleStore

    name = HOURLY if size == "hour" else NAME
    return CandleStore(config.state_folder / "candles", Files(), name=name)


def _show(config: Config, arguments: Namespace) -> int:
    names = _chosen(config, arguments.instruments)
    panel = _store(config, arguments.size).panel(names or config.universe.ids)
    rows = [_about(panel, name) for name in panel.instruments]
    if arguments.json:
        print(json.dumps({"size": arguments.size, "instruments": rows}, indent=2))
        return 0
    print(f"{config.name}: bars of one {arguments.size}, {config.state_folder / 'candles'}")
    print()
    show_table(
        ("instrument", "bars", "first", "last", "close", "missing"),
        [[str(row[key]) for key in row] for row in rows],
        right=(1, 4, 5),
    )
    return 0


def _about(panel: Panel, name: InstrumentId) -> dict[str, object]:
    """Return what is stored of one instrument; `missing`: bars that others have and it has not."""
    import numpy as np

    column = panel.values[:, panel.instruments.index(name)]
    rows = np.flatnonzero(~np.isnan(column))
    if not len(rows):
        return dict(zip(_KEYS, (name, 0, "-", "-", "-", 0), strict=True))
    first, last = int(rows[0]), int(rows[-1])
    missing = last + 1 - first - len(rows)
    close = repr(float(column[last]))
    shown = (_time(panel, first), _time(panel, last))
    return dict(zip(_KEYS, (name, len(rows), *shown, close, missing), strict=True))


_KEYS = ("instrument", "bars", "first", "last", "close", "missing")


def _time(panel: Panel, row: int) -> str:
    return f"{datetime.fromtimestamp(int(panel.times[row]), UTC):%Y-%m-%d %H:%M}"


def _import(config: Config, arguments: Namespace) -> int:
    from rebalancer.cli.bars_file import Known, read_bars

    path = Path(arguments.file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    hourly = arguments.size == "hour"
    calendar = _Calendar(config)
    known = Known(
        names={**{str(name): name for name in config.universe.ids}, **dict(config.aliases)},
        moment=calendar.hour if hourly else calendar.day,
        now=time_of(config),
        when="time" if hourly else "date",
    )
    panel = read_bars(content, str(path), known)
    store = _store(config, arguments.size)
    differing = _summary(store.panel(panel.instruments), panel)
    if differing and not arguments.replace:
        raise DataError(
            f"{differing} bars are stored with another close; nothing was stored. --replace puts "
            "the file in the place of all that is stored of its instruments"
        )
    if not arguments.write:
        print("Nothing was stored; --write stores them.")
        return 0
    with locked_books(config):
        store = _store(config, arguments.size)
        (store.replace if arguments.replace else store.add)(panel)
    print(f"Stored in {config.state_folder / 'candles'}.")
    return 0


def _summary(stored: Panel, panel: Panel) -> int:
    """Show what a file would add; return how many of its bars are stored otherwise."""
    import numpy as np

    _times, old, new = np.intersect1d(stored.times, panel.times, return_indices=True)
    rows, differing = [], 0
    for column, name in enumerate(panel.instruments):
        closes = panel.values[:, column]
        there = np.flatnonzero(~np.isnan(closes))
        ours, theirs = stored.values[old, column], closes[new]
        both = ~np.isnan(ours) & ~np.isnan(theirs)
        differ = int((ours[both] != theirs[both]).sum())
        differing += differ
        same = int(both.sum()) - differ
        counts = (len(there), len(there) - same - differ, same, differ)
        ends = (_time(panel, int(there[0])), _time(panel, int(there[-1])))
        rows.append([name, *(str(count) for count in counts), *ends])
    heads = ("instrument", "in the file", "new", "the same", "different", "first", "last")
    show_table(heads, rows, right=(1, 2, 3, 4))
    print()
    return differing


def _forget(config: Config, arguments: Namespace) -> int:
    from rebalancer.model.panel import empty_panel

    names = _chosen(config, arguments.instruments)
    panel = _store(config, arguments.size).panel(names)
    total = sum(int(str(_about(panel, name)["bars"])) for name in names)
    if not total:
        print("Nothing is stored of them.")
        return 0
    words = f"This will remove {total} bars of one {arguments.size}: {', '.join(names)}."
    if not confirmed(config.name, words, arguments):
        return 0
    with locked_books(config):
        _store(config, arguments.size).replace(empty_panel(names))
    print(f"{total} bars are forgotten; the next run fetches what the venue has.")
    return 0


def _chosen(config: Config, texts: Sequence[str]) -> tuple[InstrumentId, ...]:
    """Return instruments by name or short name; one outside the portfolio may be stored too."""
    from rebalancer.model.instrument import parse_instrument_id

    aliases: Mapping[str, InstrumentId] = dict(config.aliases)
    try:
        return tuple(dict.fromkeys(aliases.get(t) or parse_instrument_id(t) for t in texts))
    except DataError as error:
        raise UsageError(str(error)) from error


class _Calendar:
    """The portfolio's sessions of any year, compiled when it is first needed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._years: dict[int, SessionTable] = {}

    def day(self, text: str) -> datetime:
        """Return when the session of a date closed; raises `DataError` for no session."""
        from rebalancer.cli.bars_file import read_date

        day = read_date(text)
        found = self._sessions(day)
        if not found:
            raise DataError(f"{text!r}: {self._config.portfolio.calendar} had no session that day")
        return found[0].close

    def hour(self, text: str) -> datetime:
        """Return when an hourly bar closed; raises `DataError` outside every session."""
        from rebalancer.cli.bars_file import read_moment

        at = read_moment(text)
        if not any(each.open < at <= each.close for each in self._sessions(at.date(), 1)):
            raise DataError(f"{text!r}: {self._config.portfolio.calendar} had no session then")
        return at

    def _sessions(self, day: date, around: int = 0) -> Sequence[Session]:
        """Return the sessions of a date, and of `around` days before and after it."""
        from rebalancer.wiring import sessions_for

        if day.year not in self._years:
            middle = datetime(day.year, 7, 1, tzinfo=UTC)
            self._years[day.year] = sessions_for(self._config, middle)
        days = timedelta(days=around)
        return self._years[day.year].between(day - days, day + days)

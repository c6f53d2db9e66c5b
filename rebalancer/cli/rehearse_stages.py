"""The portfolios that are rehearsed: the owner's own, or a built-in sample of each venue."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from rebalancer.cli.rehearse_owners import rehearsed
from rebalancer.cli.rehearse_samples import SAMPLES
from rebalancer.config import Config, load
from rebalancer.model.records import Mode
from rebalancer.model.sessions import SessionTable
from rebalancer.ports import Desk
from rebalancer.rehearsal.stage import Stage
from rebalancer.store.atomic import Files
from rebalancer.wiring import binance_spec, desk_for, ib_gateway_spec, sessions_for

STARTS = {
    "ib": tuple(datetime(2017, 3, 1, tzinfo=UTC) + timedelta(days=n) for n in range(90)),
    "binance": tuple(
        datetime(2025, 3, 20, tzinfo=UTC) + timedelta(hours=7 * n, minutes=5) for n in range(40)
    ),
}
"""The days, at Binance the times, that schedules begin at by turns: calm ones and others.

The longest schedule ends before the recording does (of the coins: 2025-04-05 09:00).
"""

AFTER_OPEN = (timedelta(minutes=20), timedelta(minutes=95), timedelta(minutes=155))
"""How long after the opening the first run is, by turns."""


@dataclass(frozen=True)
class Stages:
    """Makes the stage of a venue in any process; `config` is the owner's file, '' none."""

    config: str = ""

    def __call__(self, venue: str) -> Stage:
        """Return the venue's stage; the same in every process."""
        return _made(self.config, venue)


def owners_venue(path: Path) -> str:
    """Return at which kind of venue an owner's portfolio is rehearsed."""
    return "binance" if load(path, {}).at_binance else "ib"


@cache
def _made(config: str, venue: str) -> Stage:
    if not config:
        return _stage(venue, _sample(venue))
    found, notes = rehearsed(load(Path(config), {}), STARTS[venue][0])
    return _stage(venue, found, notes)


def _sample(venue: str) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sample.toml")
        path.write_text(SAMPLES[venue], encoding="utf-8")
        plugin = Path(folder, "signals", "rehearsed.py")
        plugin.parent.mkdir()
        plugin.touch()  # the rehearsal writes the signals itself; a file is all that is asked for
        return load(path, {})


def _stage(venue: str, config: Config, notes: Sequence[str] = ()) -> Stage:
    """Return the stage of a configuration, everything that it writes below temporary folders."""
    sessions = _sessions(config)

    def desk_at(
        folder: Path, slot: datetime, files: Files, mode: Mode, sessions: SessionTable
    ) -> Desk:
        here = _below(config, folder)
        return desk_for(here, mode=mode, at=slot, files=files, sessions=sessions)

    starts = _starts(venue, config, sessions)
    spec = (
        binance_spec(config) if venue == "binance" else ib_gateway_spec(config, sessions(starts[0]))
    )
    return Stage(
        venue=venue,
        portfolio=config.name,
        universe=config.universe,
        limits=config.risk,
        sleeves=config.sleeves,
        starts=starts,
        sessions_at=sessions,
        desk_at=desk_at,
        spec=spec,
        protect=replace(config.protect, enabled=True),
        always_protected=config.protect.enabled,
        deadline_seconds=config.portfolio.deadline_minutes * 60,
        commit_after_close_minutes=config.database.commit_after_close_minutes,
        session_mails=tuple(each.value for each in config.mail.session_mails),
        notes=tuple(notes),
    )


def _sessions(config: Config) -> Callable[[datetime], SessionTable]:
    """Return what tells the sessions around a time, compiled once for each month."""

    @cache
    def of_month(month: datetime) -> SessionTable:
        with tempfile.TemporaryDirectory() as compiled:
            return sessions_for(_below(config, Path(compiled)), month)

    return lambda around: of_month(around.replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def _starts(
    venue: str, config: Config, sessions: Callable[[datetime], SessionTable]
) -> tuple[datetime, ...]:
    if config.portfolio.calendar == "24/7":
        return STARTS[venue]
    return tuple(
        session.open + AFTER_OPEN[place % len(AFTER_OPEN)]
        for place, day in enumerate(STARTS[venue])
        for session in sessions(day).between(day.date(), day.date())
    )


def _below(config: Config, folder: Path) -> Config:
    """Return the configuration with everything that it writes below a folder."""
    portfolio = replace(config.portfolio, state="state")
    return replace(config, path=folder / config.path.name, portfolio=portfolio)

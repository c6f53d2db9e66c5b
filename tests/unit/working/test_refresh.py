"""Stored bars go on, are fetched again after an adjustment, or hold their instrument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rebalancer.errors import StateError
from rebalancer.model.flags import Severity
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.sessions import SessionTable
from rebalancer.model.universe import BarSize
from rebalancer.ports import Desk, Venue
from rebalancer.store.atomic import Files
from rebalancer.store.candles import HOURLY, CandleStore
from rebalancer.working.page import RunPage
from rebalancer.working.refresh import refresh_bars
from tests.portfolios import World, make_world, stock

AAPL, KO = InstrumentId(stock("AAPL")), InstrumentId(stock("KO"))
MONDAY = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
BARS = 8
GENERATOR = """
from rebalancer.model.signals import TargetWeights
def generate(context):
    return TargetWeights({})
"""


@dataclass
class BarVenue:
    """The part of `ports.Venue` that gives bars: closes by instrument and time, since then."""

    sessions: SessionTable
    at: datetime = MONDAY
    days: dict[InstrumentId, dict[int, float]] = field(default_factory=dict)
    hours: dict[InstrumentId, dict[int, float]] = field(default_factory=dict)
    asked: list[tuple[tuple[InstrumentId, ...], datetime | None]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def fill(self, bars: int = 12) -> None:
        """Give each instrument so many whole numbers and a half up to the last close."""
        closed = [s.close for s in self.sessions.sessions if s.close <= self.at][-bars:]
        for step, name in enumerate((AAPL, KO)):
            self.days[name] = {
                int(at.timestamp()): 100.0 * (step + 1) + n + 0.5 for n, at in enumerate(closed)
            }

    def next_session(self, **closes: float) -> None:
        """Let the market close once more, a quarter of an hour after which it is."""
        session = next(s for s in self.sessions.sessions if s.close > self.at)
        self.at = session.close + timedelta(minutes=15)
        for name in (AAPL, KO):
            symbol = name.partition(".")[0]
            if symbol in closes:
                self.days[name][int(session.close.timestamp())] = closes[symbol]

    def bars(
        self,
        instruments: Sequence[Instrument],
        since: datetime | None,
        size: BarSize = BarSize.DAY,
    ) -> Panel:
        names = tuple(each.id for each in instruments)
        self.asked.append((names, since))
        return table(self.days if size is BarSize.DAY else self.hours, names, since)


def table(
    known: Mapping[InstrumentId, Mapping[int, float]],
    names: Sequence[InstrumentId],
    since: datetime | None,
) -> Panel:
    after = -1 if since is None else int(since.timestamp())
    times = sorted({at for name in names for at in known.get(name, {}) if at > after})
    if not times:
        return empty_panel(names)
    rows = [[known.get(name, {}).get(at, np.nan) for name in names] for at in times]
    return Panel(tuple(names), np.array(times, np.int64), np.array(rows))


class Portfolio:
    """A paper portfolio with a generator, and a venue that only gives bars."""

    def __init__(self, folder: Path, bars: str = "day") -> None:
        (folder / "even.py").write_text(GENERATOR, encoding="utf-8")
        self.world: World = make_world(
            folder,
            symbols=("AAPL", "KO"),
            generator=f'generator = "even.py"\nhistory_bars = {BARS}\nbars = "{bars}"',
        )
        self.folder = folder
        self.venue = BarVenue(self.world.desk(MONDAY).sessions)
        self.venue.fill()

    def desk(self) -> Desk:
        hourly = CandleStore(self.folder / "candles", Files(), name=HOURLY)
        return replace(self.world.desk(self.venue.at), hourly_candles=hourly)

    @contextmanager
    def page(self) -> Iterator[tuple[Desk, RunPage]]:
        desk = self.desk()
        yield desk, RunPage(desk, self.venue.at, 1)

    def refresh(self) -> dict[str, str]:
        """Refresh; return the flags by code, with their subjects' symbols."""
        with self.page() as (desk, page):
            self.histories = refresh_bars(desk, cast("Venue", self.venue), page)
            self.flags = page.flags
            if page.standing != desk.books.standing():
                desk.books.save_standing(page.standing)
        found: dict[str, str] = {}
        for flag in self.flags:
            symbol = flag.subject.partition(".")[0]
            found[flag.code] = f"{found[flag.code]} {symbol}" if flag.code in found else symbol
        return found

    def stored(self, name: InstrumentId) -> list[float]:
        values = self.desk().candles.panel([name]).values[:, 0]
        return [float(value) for value in values]

    def words(self, code: str) -> str:
        return next(flag.message for flag in self.flags if flag.code == code)


@pytest.fixture
def portfolio(tmp_path: Path) -> Portfolio:
    return Portfolio(tmp_path)


def test_a_new_portfolio_fetches_all_there_is_and_asks_no_more(portfolio: Portfolio) -> None:
    assert portfolio.refresh() == {}
    assert portfolio.venue.asked == [((AAPL, KO), None)]
    assert portfolio.stored(AAPL)[-1] == 111.5
    portfolio.refresh()
    assert len(portfolio.venue.asked) == 1


def test_a_new_session_is_added_after_its_overlap_agreed(portfolio: Portfolio) -> None:
    portfolio.refresh()
    portfolio.venue.next_session(AAPL=112.25, KO=212.25)
    assert portfolio.refresh() == {}
    names, since = portfolio.venue.asked[-1]
    assert names == (AAPL, KO)
    # The fifth bar from the end is that of Monday, the 24th of February.
    assert since == datetime(2020, 2, 24, 20, 59, 59, tzinfo=UTC)
    assert portfolio.stored(AAPL)[-2:] == [111.5, 112.25]


def test_after_a_split_the_whole_history_of_that_instrument_is_replaced(
    portfolio: Portfolio,
) -> None:
    portfolio.refresh()
    other = portfolio.stored(KO)
    portfolio.venue.next_session(AAPL=112.0, KO=212.25)
    portfolio.venue.days[AAPL] = {at: c / 4 for at, c in portfolio.venue.days[AAPL].items()}
    assert portfolio.refresh() == {"history-adjusted": "AAPL"}
    assert "multiplied its past by 0.25" in portfolio.words("history-adjusted")
    assert portfolio.venue.asked[-1] == ((AAPL,), None)
    # 100.5 / 4 = 25.125 and 112 / 4 = 28
    assert (portfolio.stored(AAPL)[0], portfolio.stored(AAPL)[-1]) == (25.125, 28.0)
    assert portfolio.stored(KO) == [*other, 212.25]
    assert portfolio.refresh() == {}


def test_a_corrected_newest_bar_is_taken_and_told(portfolio: Portfolio) -> None:
    portfolio.refresh()
    newest = max(portfolio.venue.days[AAPL])
    portfolio.venue.days[AAPL][newest] = 111.75
    portfolio.venue.next_session(AAPL=112.0, KO=212.25)
    assert portfolio.refresh() == {"history-corrected": "AAPL"}
    assert portfolio.stored(AAPL)[-2:] == [111.75, 112.0]


def test_a_contradiction_holds_the_instrument_and_changes_nothing(portfolio: Portfolio) -> None:
    portfolio.refresh()
    before = portfolio.stored(AAPL)
    times = sorted(portfolio.venue.days[AAPL])
    portfolio.venue.days[AAPL][times[-3]] += 7
    portfolio.venue.next_session(AAPL=112.0, KO=212.25)
    for _hour in range(2):
        assert portfolio.refresh() == {"history-disagrees": "AAPL", "history-stale": "AAPL"}
        assert {flag.severity for flag in portfolio.flags} == {Severity.HOLD}
        assert portfolio.stored(AAPL) == before
    assert portfolio.stored(KO)[-1] == 212.25
    portfolio.desk().candles.replace(empty_panel([AAPL]))  # what `bars forget` does
    portfolio.venue.next_session(AAPL=113.0, KO=213.0)
    assert portfolio.refresh() == {}
    assert portfolio.stored(AAPL)[-1] == 113.0


def test_a_contradiction_does_not_heal_by_waiting(portfolio: Portfolio) -> None:
    portfolio.refresh()
    times = sorted(portfolio.venue.days[AAPL])
    portfolio.venue.days[AAPL][times[-3]] += 7
    for step in range(8):
        portfolio.venue.next_session(AAPL=112.0 + step, KO=212.0 + step)
        assert "AAPL" in portfolio.refresh()["history-disagrees"]


def test_a_bar_that_comes_late_is_asked_for_again_each_hour(portfolio: Portfolio) -> None:
    portfolio.refresh()
    portfolio.venue.next_session(AAPL=112.0)
    assert portfolio.refresh() == {"history-stale": "KO"}
    portfolio.venue.at += timedelta(hours=1)
    late = max(portfolio.venue.days[AAPL])
    portfolio.venue.days[KO][late] = 212.0
    assert portfolio.refresh() == {}
    assert portfolio.venue.asked[-1][0] == (KO,)
    assert portfolio.stored(KO)[-1] == 212.0


def test_a_venue_without_a_bar_is_no_reason_to_forget_what_is_stored(
    portfolio: Portfolio,
) -> None:
    portfolio.refresh()
    before = portfolio.stored(AAPL)
    portfolio.venue.next_session(KO=212.0)
    portfolio.venue.days[AAPL] = {}
    assert portfolio.refresh() == {"history-stale": "AAPL"}
    assert portfolio.stored(AAPL) == before


def test_after_a_long_pause_the_whole_history_proves_the_overlap(portfolio: Portfolio) -> None:
    portfolio.refresh()
    with_gap = portfolio.desk().candles
    portfolio.venue.next_session(AAPL=112.0, KO=212.0)
    kept = with_gap.panel([AAPL])
    with_gap.replace(Panel((AAPL,), kept.times[:4].copy(), kept.values[:4].copy()))
    portfolio.venue.days[AAPL] = {at: c * 0.5 for at, c in portfolio.venue.days[AAPL].items()}
    assert portfolio.refresh() == {"history-adjusted": "AAPL"}
    assert portfolio.stored(AAPL)[-1] == 56.0


def hourly_closes(venue: BarVenue, bars: int) -> dict[int, float]:
    """Return closes at full hours within sessions, up to the last one that closed."""
    found: list[int] = []
    for session in venue.sessions.sessions:
        at = session.open.replace(minute=0) + timedelta(hours=1)
        while at <= session.close:
            found.append(int(at.timestamp()))
            at += timedelta(hours=1)
    found = [at for at in found if at <= venue.at.timestamp()][-bars:]
    return {at: 50.0 + n for n, at in enumerate(found)}


def test_hourly_bars_are_kept_apart_and_are_as_fresh_as_the_last_hour(tmp_path: Path) -> None:
    portfolio = Portfolio(tmp_path, bars="hour")
    portfolio.venue.hours = {name: hourly_closes(portfolio.venue, 20) for name in (AAPL, KO)}
    assert portfolio.refresh() == {}
    assert portfolio.histories.hour.last_time() == MONDAY.replace(minute=0)
    assert portfolio.histories.of(BarSize.DAY).last_time() == datetime(2020, 2, 28, 21, tzinfo=UTC)
    assert (tmp_path / "candles" / HOURLY).exists()
    portfolio.venue.at += timedelta(hours=1)
    assert set(portfolio.refresh()) == {"history-stale"}
    portfolio.venue.hours = {name: hourly_closes(portfolio.venue, 21) for name in (AAPL, KO)}
    assert portfolio.refresh() == {}


def test_a_venue_without_hourly_bars_holds_what_needs_them(tmp_path: Path) -> None:
    assert Portfolio(tmp_path, bars="hour").refresh() == {"history-stale": "AAPL KO"}


def test_hourly_bars_without_a_store_are_an_error_not_an_empty_history(tmp_path: Path) -> None:
    portfolio = Portfolio(tmp_path, bars="hour")
    with portfolio.page() as (desk, page), pytest.raises(StateError, match="hourly"):
        refresh_bars(replace(desk, hourly_candles=None), cast("Any", portfolio.venue), page)

"""Step 3, first half: completed bars are brought up to date, their age and gaps proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from rebalancer.errors import StateError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Histories, Panel, empty_panel
from rebalancer.model.universe import BarSize, Sleeve
from rebalancer.ports import Candles, Desk, Venue
from rebalancer.working.overlap import (
    Overlap,
    Verdict,
    aligned,
    compare,
    overlap_start,
    without_stored,
)
from rebalancer.working.page import RunPage
from rebalancer.working.refresh_funding import refresh_funding

_SECOND = timedelta(seconds=1)
_NO_REASON = (Verdict.APART, Verdict.DISAGREES)


def refresh_bars(desk: Desk, venue: Venue, page: RunPage) -> Histories:
    """Return the stored closes up to the last completed bar, fetching what is missing.

    An instrument whose newest bar is older than the last one that closed, or which has a gap
    in what its sleeve needs, is flagged HOLD: its generator may guess, its orders may not go.
    """
    page.now = venue.now()
    days = _Refresh(desk, venue, page, BarSize.DAY, desk.candles).panel()
    hours = empty_panel(desk.universe.ids)
    if _wanted(desk, BarSize.HOUR):
        if desk.hourly_candles is None:
            raise StateError("a sleeve wants hourly bars, and there is no store for them")
        hours = _Refresh(desk, venue, page, BarSize.HOUR, desk.hourly_candles).panel()
    rates = refresh_funding(desk, venue, page.now)
    for number, words in enumerate(desk.dropped(), 1):
        page.flag("cache-dropped", words, f"file:{number}")
    return Histories(days, hours, rates)


def _wanted(desk: Desk, size: BarSize) -> tuple[Sleeve, ...]:
    """Return the sleeves whose generators are given bars of a size."""
    return tuple(each for each in desk.sleeves if each.generator and each.bars is size)


class _Refresh:
    """One size of bar, brought up to date."""

    def __init__(
        self, desk: Desk, venue: Venue, page: RunPage, size: BarSize, candles: Candles
    ) -> None:
        self._desk, self._venue, self._page = desk, venue, page
        self._size, self._candles = size, candles
        self._sleeves = _wanted(desk, size)
        self._ids = desk.universe.ids
        if size is BarSize.HOUR:
            self._ids = tuple(sorted({n for each in self._sleeves for n in each.universe}))
        self._refused: set[InstrumentId] = set()

    def panel(self) -> Panel:
        stored = self._candles.panel(self._ids)
        # The books compare closes with quotes: the universe's daily bars are kept for any sleeve.
        if not any(sleeve.generator for sleeve in self._desk.sleeves):
            return stored
        due = self._due()
        behind = () if due is None else self._behind(stored, due)
        if due is not None and behind:
            self._extend(stored, behind)
            stored = self._candles.panel(self._ids)
        lacking = () if due is None else self._lacking(stored)
        if lacking:
            self._take_whole(stored, lacking, {})
            stored = self._candles.panel(self._ids)
            session = self._desk.sessions.last_closed(self._page.now)
            today = "" if session is None else session.date.isoformat()
            asked = {self._key(name): today for name in lacking}
            self._page.remember(due=dict(self._page.standing.due) | asked)
        known = stored.up_to(self._page.now)
        if due is not None:
            for sleeve in self._sleeves:
                _judge(sleeve, known, due, self._page)
        return known

    def _due(self) -> datetime | None:
        """Return when the newest bar that there can be closed."""
        now, sessions = self._page.now, self._desk.sessions
        closed = sessions.last_closed(now)
        if self._size is BarSize.DAY or closed is None:
            return None if closed is None else closed.close
        current = sessions.current(now)
        hour = now.replace(minute=0, second=0, microsecond=0)
        return hour if current is not None and hour > current.open else closed.close

    def _behind(self, stored: Panel, due: datetime) -> tuple[InstrumentId, ...]:
        """Return the instruments to ask for: all when a bar has closed since, else who lacks it."""
        newest = stored.last_time()
        if newest is None or newest < due:
            return self._ids
        row = int(np.searchsorted(stored.times, int(due.timestamp())))
        if row >= len(stored) or int(stored.times[row]) != int(due.timestamp()):
            return ()
        missing = np.isnan(stored.values[row])
        needed = {name for sleeve in self._sleeves for name in sleeve.universe}
        return tuple(
            name for name, gone in zip(self._ids, missing, strict=True) if gone and name in needed
        )

    def _extend(self, stored: Panel, names: Sequence[InstrumentId]) -> None:
        """Add the bars since the last stored ones, once those are still what the venue says."""
        first = overlap_start(stored.select(names))
        since = None if first is None else datetime.fromtimestamp(first, UTC) - _SECOND
        fresh = self._ask(names, since, stored)
        proved: dict[InstrumentId, Overlap] = {}
        whole, good = [], []
        for name, overlap in compare(stored, fresh).items():
            if overlap.verdict in (Verdict.NEW, Verdict.SAME):
                good.append(name)
            elif overlap.verdict is Verdict.DISAGREES:
                self._refuse(name, overlap)
            else:
                whole.append(name)
                if overlap.verdict is not Verdict.APART:
                    proved[name] = overlap
        self._candles.add(without_stored(stored, fresh.select(good)))
        if whole:
            self._take_whole(self._candles.panel(self._ids), whole, proved)

    def _take_whole(
        self,
        stored: Panel,
        names: Sequence[InstrumentId],
        proved: Mapping[InstrumentId, Overlap],
    ) -> None:
        """Fetch the whole history of some instruments; where it changed as a whole, take it.

        For those in `proved` it is known why the past is another one now.
        """
        whole = self._ask(names, None, stored)
        good, changed = [], []
        for name, found in compare(stored, whole).items():
            overlap = proved.get(name, found)
            if overlap.verdict in (Verdict.NEW, Verdict.SAME):
                good.append(name)
            elif np.isnan(whole.select([name]).values).all() or overlap.verdict in _NO_REASON:
                self._refuse(name, overlap)
            else:
                changed.append(name)
                self._tell(name, overlap)
        self._candles.add(without_stored(stored, whole.select(good)))
        if changed:
            self._candles.replace(whole.select(changed))

    def _ask(self, names: Sequence[InstrumentId], since: datetime | None, stored: Panel) -> Panel:
        wanted = [self._desk.universe[name] for name in names]
        if self._size is BarSize.DAY:
            return aligned(self._venue.bars(wanted, since), stored.times)
        return self._venue.bars(wanted, since, self._size)

    def _tell(self, name: InstrumentId, overlap: Overlap) -> None:
        if overlap.verdict is Verdict.CORRECTED:
            self._page.flag(
                "history-corrected",
                f"{name}: the venue corrected its newest bar ({overlap.words}); taken",
                name,
            )
            return
        self._page.flag(
            "history-adjusted",
            f"{name}: the venue multiplied its past by {overlap.ratio:.6g}, as after a split or "
            f"a dividend ({overlap.words}); its whole history was fetched again",
            name,
        )

    def _refuse(self, name: InstrumentId, overlap: Overlap) -> None:
        if name in self._refused:
            return
        self._refused.add(name)
        words = overlap.words or "no bar in common"
        self._page.flag(
            "history-disagrees",
            f"{name}: its stored bars and the venue's contradict each other ({words}); no new "
            "bars are taken and no order is sent in it",
            name,
        )

    def _key(self, name: InstrumentId) -> str:
        return f"history:{name}" if self._size is BarSize.DAY else f"history-hours:{name}"

    def _lacking(self, panel: Panel) -> tuple[InstrumentId, ...]:
        """Return the instruments whose history has holes, a new one's above all.

        Each is asked for as a whole, once a session: what the venue does not have it will not
        have an hour later.
        """
        closed = self._desk.sessions.last_closed(self._page.now)
        today = "" if closed is None else closed.date.isoformat()
        found = set()
        for sleeve in self._sleeves:
            recent = panel.select(sleeve.universe).values[-sleeve.history_bars :]
            short = len(recent) < sleeve.history_bars
            for column, name in enumerate(sleeve.universe):
                holes = bool(np.isnan(recent[:, column]).any()) if len(recent) else True
                if holes or short:
                    found.add(name)
        due = self._page.standing.due
        return tuple(
            sorted(name for name in found - self._refused if due.get(self._key(name), "") < today)
        )


def _judge(sleeve: Sleeve, panel: Panel, due: datetime, page: RunPage) -> None:
    """Flag the sleeve's instruments whose history is stale, short or has a gap."""
    selected = panel.select(sleeve.universe)
    recent = selected.values[-sleeve.history_bars :]
    stale = len(selected) == 0 or int(selected.times[-1]) < int(due.timestamp())
    for column, instrument in enumerate(sleeve.universe):
        known = ~np.isnan(recent[:, column])
        if stale or not known.size or not known[-1]:
            page.flag(
                "history-stale",
                f"{instrument}: its newest bar is older than the session that closed at "
                f"{due:%Y-%m-%d %H:%M} UTC; no order is sent in it",
                instrument,
            )
        elif len(recent) < sleeve.history_bars or not known.all():
            missing = sleeve.history_bars - int(known.sum())
            page.flag(
                "history-gap",
                f"{instrument}: {missing} of the {sleeve.history_bars} bars that sleeve "
                f"{sleeve.name} needs are missing; no order is sent in it",
                instrument,
            )

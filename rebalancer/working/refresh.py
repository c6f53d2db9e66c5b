"""Step 3, first half: completed bars are brought up to date, their age and gaps proved."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel
from rebalancer.model.universe import Sleeve
from rebalancer.ports import Desk, Venue
from rebalancer.working.page import RunPage


def refresh_bars(desk: Desk, venue: Venue, page: RunPage) -> Panel:
    """Return the stored closes up to the last completed session, fetching what is missing.

    An instrument whose newest bar is older than the last closed session, or which has a gap
    in what its sleeve needs, is flagged HOLD: its generator may guess, its orders may not go.
    """
    page.now = venue.now()
    if not any(sleeve.generator for sleeve in desk.sleeves):
        return desk.candles.panel(desk.universe.ids)
    panel = desk.candles.panel(desk.universe.ids)
    closed = desk.sessions.last_closed(page.now)
    newest = panel.last_time()
    if closed is not None and (newest is None or newest < closed.close):
        desk.candles.add(venue.bars(desk.universe.instruments, newest))
        panel = desk.candles.panel(desk.universe.ids)
    lacking = _lacking(desk, panel, page)
    if closed is not None and lacking:
        desk.candles.add(venue.bars([desk.universe[name] for name in lacking], None))
        panel = desk.candles.panel(desk.universe.ids)
        asked = {f"history:{name}": closed.date.isoformat() for name in lacking}
        page.remember(due=dict(page.standing.due) | asked)
    panel = panel.up_to(page.now)
    if closed is not None:
        for sleeve in desk.sleeves:
            _judge(sleeve, panel, closed.close, page)
    return panel


def _lacking(desk: Desk, panel: Panel, page: RunPage) -> tuple[InstrumentId, ...]:
    """Return the instruments whose history has holes, a new one's above all.

    Each is asked for as a whole, once a session: what the venue does not have it will not
    have an hour later.
    """
    closed = desk.sessions.last_closed(page.now)
    today = "" if closed is None else closed.date.isoformat()
    found = set()
    for sleeve in desk.sleeves:
        recent = panel.select(sleeve.universe).values[-sleeve.history_bars :]
        short = len(recent) < sleeve.history_bars
        for column, name in enumerate(sleeve.universe):
            holes = bool(np.isnan(recent[:, column]).any()) if len(recent) else True
            if sleeve.generator and (holes or short):
                found.add(name)
    due = page.standing.due
    return tuple(sorted(name for name in found if due.get(f"history:{name}", "") < today))


def _judge(sleeve: Sleeve, panel: Panel, closed: datetime, page: RunPage) -> None:
    """Flag the sleeve's instruments whose history is stale, short or has a gap."""
    if not sleeve.generator:
        return
    selected = panel.select(sleeve.universe)
    recent = selected.values[-sleeve.history_bars :]
    stale = len(selected) == 0 or int(selected.times[-1]) < int(closed.timestamp())
    for column, instrument in enumerate(sleeve.universe):
        known = ~np.isnan(recent[:, column])
        if stale or not known.size or not known[-1]:
            page.flag(
                "history-stale",
                f"{instrument}: its newest bar is older than the session that closed at "
                f"{closed:%Y-%m-%d %H:%M} UTC; no order is sent in it",
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

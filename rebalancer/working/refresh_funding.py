"""Step 3, first half: past funding rates, for the sleeves that ask for them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from rebalancer.errors import StateError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel
from rebalancer.ports import Desk, Venue


def refresh_funding(desk: Desk, venue: Venue, now: datetime) -> Panel | None:
    """Return the stored rates with what was settled since; None when no sleeve wants any.

    What is settled never changes: the venue is asked for the hours after the newest stored
    one, and for everything of an instrument that has nothing stored yet.
    """
    names = tuple(
        sorted({n for s in desk.sleeves if s.generator and s.funding for n in s.universe})
    )
    if not names:
        return None
    store = desk.funding_rates
    if store is None:
        raise StateError("a sleeve wants funding rates, and there is no store for them")
    stored = store.panel(names)
    known = [bool(len(stored)) and not bool(np.isnan(c).all()) for c in stored.values.T]
    new = tuple(name for name, is_known in zip(names, known, strict=True) if not is_known)
    newest = stored.last_time()
    old = tuple(name for name in names if name not in new)
    for group, since in ((old, newest), (new, None)):
        if group and (since is None or _hours_since(since, now)):
            fresh = venue.funding([desk.universe[name] for name in group], since)
            store.add(_after(fresh, group, since))
    return store.panel(names).up_to(now)


def _hours_since(then: datetime, now: datetime) -> bool:
    """Return whether an hour has begun since: funding is settled on whole hours only."""
    return int(now.timestamp()) // 3600 > int(then.timestamp()) // 3600


def _after(panel: Panel, names: tuple[InstrumentId, ...], since: datetime | None) -> Panel:
    """Return the rows after `since`: what is stored is not asked to agree again."""
    if since is None:
        return panel.select(names)
    first = int(np.searchsorted(panel.times, int(since.astimezone(UTC).timestamp()), "right"))
    chosen = panel.select(names)
    return Panel(chosen.instruments, chosen.times[first:].copy(), chosen.values[first:].copy())

"""Protective stops as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rebalancer.model.stops import StopOrder
from rebalancer.reports.document import Section, Table
from rebalancer.reports.numbers import price, quantity


def stops_section(stops: Sequence[StopOrder]) -> Section | None:
    """Return the stops that waited after a run, one row an instrument; None for none."""
    if not stops:
        return None
    by_name: dict[str, list[StopOrder]] = {}
    for stop in stops:
        by_name.setdefault(stop.instrument, []).append(stop)
    rows = []
    for name in sorted(by_name):
        own = by_name[name]
        triggers = sorted({stop.trigger for stop in own})
        shown = price(triggers[0])
        if len(triggers) > 1:
            shown = f"{shown} to {price(triggers[-1])}"
        covered = sum((stop.quantity for stop in own), Decimal(0))
        rows.append((name, str(len(own)), quantity(covered, signed=True), shown))
    table = Table(
        header=("Instrument", "Stops", "Together", "Triggers"),
        rows=tuple(rows),
        right=frozenset({1, 2, 3}),
    )
    return Section("Protective stops at the venue", (table,))

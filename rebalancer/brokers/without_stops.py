"""What a venue answers that keeps no stops, pays no funding and tells no ledger of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rebalancer.errors import DataError
from rebalancer.model.income import Income
from rebalancer.model.instrument import Instrument
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.stops import PlaceStop, StopOrder


class VenueWithoutStops:
    """The part of a `ports.Venue` that is about stops, funding and income: there are none."""

    keeps_stops = False

    def funding(self, instruments: Sequence[Instrument], since: datetime | None) -> Panel:
        """Return a panel without rows."""
        return empty_panel(tuple(each.id for each in instruments))

    def income(self, since: datetime) -> tuple[Income, ...]:
        """Return nothing: what the venue books by itself is not told here."""
        return ()

    def stops(self) -> tuple[StopOrder, ...]:
        """Return nothing."""
        return ()

    def find_stop(self, reference: str) -> tuple[StopOrder, ...]:
        """Return nothing."""
        return ()


class HandsWithoutStops:
    """The part of a `ports.Hands` that is about stops: it refuses."""

    def place_stop(self, stop: PlaceStop) -> StopOrder:
        """Raise `DataError`: there is no ladder at this venue."""
        raise DataError(f"{stop.reference}: this venue keeps no stops")

    def cancel_stop(self, stop: StopOrder) -> StopOrder:
        """Raise `DataError`: there is no ladder at this venue."""
        raise DataError(f"{stop.reference}: this venue keeps no stops")

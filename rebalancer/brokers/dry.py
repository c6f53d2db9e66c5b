"""The hands of a dry run: nothing leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from rebalancer.model.orders import (
    MarginPreview,
    OrderStatus,
    Place,
    Replace,
    VenueEvent,
    WorkingOrder,
)
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.ports import Venue

DRY_RUN = "dry run: nothing was sent"


class DryHands:
    """A `ports.Hands` that answers and sends nothing, not even a question about margin."""

    sends = False

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def cancel(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        """Return the order as if it were cancelled, and say so: it still works at the venue."""
        counted = f"{DRY_RUN}; counted as cancelled"
        at = self._venue.now()
        return (replace(order, status=OrderStatus.CANCELLED, at=at, message=counted),)

    def preview(self, place: Place) -> MarginPreview:
        """Return "not asked"."""
        return MarginPreview(asked=False, message=DRY_RUN)

    def submit(self, places: Sequence[Place]) -> tuple[VenueEvent, ...]:
        """Return each order as not sent."""
        at = self._venue.now()
        return tuple(
            WorkingOrder(
                reference=place.reference,
                venue_id="",
                instrument=place.instrument,
                quantity=place.quantity,
                filled=Decimal(0),
                limit=place.limit,
                status=OrderStatus.NOT_SENT,
                at=at,
                message=DRY_RUN,
            )
            for place in places
        )

    def replace(self, replace: Replace) -> tuple[VenueEvent, ...]:
        """Return nothing: there is no order to move."""
        return ()

    def place_stop(self, stop: PlaceStop) -> StopOrder:
        """Return the stop as not sent."""
        return StopOrder(
            reference=stop.reference,
            venue_id="",
            instrument=stop.instrument,
            quantity=stop.quantity,
            trigger=stop.trigger,
            limit=stop.limit,
            status=OrderStatus.NOT_SENT,
            at=self._venue.now(),
            message=DRY_RUN,
        )

    def cancel_stop(self, stop: StopOrder) -> StopOrder:
        """Return the stop as it is: it still waits at the venue."""
        return stop

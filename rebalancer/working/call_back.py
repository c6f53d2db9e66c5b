"""After a HALT file in the middle of step 7: what already works of ours is cancelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from rebalancer.model.orders import OrderStatus, VenueEvent
from rebalancer.ports import Desk, Hands, Venue
from rebalancer.working.page import RunPage

SILENT = frozenset({OrderStatus.SENT, OrderStatus.UNKNOWN})


def call_back(
    desk: Desk,
    venue: Venue,
    hands: Hands,
    page: RunPage,
    take: Callable[[Sequence[VenueEvent]], None],
) -> None:
    """Ask for the end of what this page sent and wait for it, once a HALT file was seen.

    Each order is asked for once, when the venue has acknowledged it; protective stops are not
    orders of this step. `take` gets what the venue says. Without a HALT file nothing happens.
    What has not ended when time is up is left to the next run, which cancels again.
    """
    if not page.forbidden or not hands.sends:
        return
    patience = max(desk.working.cancel_seconds, desk.working.acknowledge_seconds)
    until = venue.now() + timedelta(seconds=patience)
    pause = timedelta(seconds=desk.working.poll_seconds)
    asked: set[str] = set()
    while not desk.late():
        for name in asked:
            page.cancelled[page.orders[name].venue_id] = page.orders[name]
        going = [
            page.orders[name]
            for name in sorted(page.intents)
            if name in page.orders and not page.orders[name].status.terminal
        ]
        for order in going:
            known = order.status not in SILENT and order.status is not OrderStatus.PENDING_CANCEL
            if known and order.reference not in asked:
                asked.add(order.reference)
                page.cancelled[order.venue_id] = order
                take(hands.cancel(order))
        if not going or venue.now() >= until:
            return
        take(venue.wait(min(until, venue.now() + pause)))

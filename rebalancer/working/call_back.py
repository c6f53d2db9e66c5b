"""The end of step 7's orders: what may not be left working is cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from rebalancer.errors import OutcomeUnknown
from rebalancer.model.orders import OrderStatus, VenueEvent
from rebalancer.ports import Desk, Hands, Venue
from rebalancer.working.page import RunPage

SILENT = frozenset({OrderStatus.SENT, OrderStatus.UNKNOWN})

Take = Callable[[Sequence[VenueEvent]], None]
"""Gets what the venue says."""


def call_back(desk: Desk, venue: Venue, hands: Hands, page: RunPage, take: Take) -> None:
    """Ask for the end of what this page sent and wait for it, once a HALT file was seen.

    Protective stops are not orders of this step. Without a HALT file nothing happens.
    """
    if page.forbidden and hands.sends:
        call_off(desk, venue, hands, page, take, page.intents)


def look_up(venue: Venue, page: RunPage, take: Take) -> frozenset[str]:
    """Ask the venue once for each order that it has not acknowledged; return which those were.

    What it does not show, or cannot tell, stays unresolved: the closing latches it. Orders whose
    end was asked for and not confirmed are looked up too.
    """
    silent = page.unacknowledged()
    ending = [
        reference
        for reference in page.intents
        if reference in page.orders and page.orders[reference].status is OrderStatus.PENDING_CANCEL
    ]
    for reference in (*silent, *ending):
        try:
            take(venue.find(reference))
        except OutcomeUnknown:
            continue
    return frozenset(silent)


def call_off(
    desk: Desk, venue: Venue, hands: Hands, page: RunPage, take: Take, names: Iterable[str]
) -> None:
    """Ask for the end of orders, each once when the venue has acknowledged it, and wait for it.

    What has not ended when time is up is left to the next run, which cancels again.
    """
    patience = max(desk.working.cancel_seconds, desk.working.acknowledge_seconds)
    until = venue.now() + timedelta(seconds=patience)
    pause = timedelta(seconds=desk.working.poll_seconds)
    asked: set[str] = set()
    while not desk.late():
        for name in asked:
            page.cancelled[page.orders[name].venue_id] = page.orders[name]
        going = [
            page.orders[name]
            for name in sorted(names)
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

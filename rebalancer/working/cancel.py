"""Step 2: own rebalance orders are cancelled, and proved dead, before anything is planned."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from rebalancer.model.flags import ErrorFlag, Severity, Step
from rebalancer.model.money import FxRates
from rebalancer.model.orders import OrderStatus, Purpose, WorkingOrder, parse_reference
from rebalancer.ports import Desk, Hands, Venue
from rebalancer.working.bookkeeping import book_fills
from rebalancer.working.page import RunPage
from rebalancer.working.untraded import PATIENCE, find_untraded

LONGEST_RUN = timedelta(hours=1)
"""No run that begins so long before an opening is still at work then."""


def cancel_own_orders(
    desk: Desk, venue: Venue, hands: Hands, page: RunPage
) -> tuple[WorkingOrder, ...]:
    """Cancel this portfolio's rebalance orders; return every order that is left working.

    Those are others' orders, our protective ones, and what would not die: all of them count
    at their worst in every limit.

    A cancel is a request: the venue is asked until each order is terminal or time is up, then
    executions are read again, until they tell what the ended orders say of themselves.
    Protective orders are never touched here. While the market is closed nothing is cancelled:
    DAY orders end by themselves.
    """
    page.now = venue.now()
    if not hands.sends:
        page.flag("dry-run", "a dry run: nothing is sent, own working orders count as cancelled")
    working = venue.open_orders()
    own = tuple(order for order in working if is_own(order, desk.portfolio, Purpose.REBALANCE))
    others = tuple(order for order in working if not is_own(order, desk.portfolio))
    targets = own + (others if desk.cancel_all else ())
    if desk.sessions.current(page.now) is None:
        survivors = _untouched(desk, page, targets) if hands.sends else ()
    else:
        survivors = _cancelled(desk, venue, hands, page, targets) if targets else ()
    find_untraded(desk, venue, page, venue.now() + PATIENCE)
    book_fills(desk, page, tuple(page.fills.values()))
    left = () if desk.cancel_all else others
    for order in left:
        page.flag(
            "others-order",
            f"order {order.venue_id} ({order.quantity:f} {order.instrument}) is not ours and "
            "works; nothing is sent in this instrument",
            order.instrument,
        )
    protective = tuple(order for order in working if order not in own and order not in others)
    return (*left, *survivors, *protective)


def is_own(order: WorkingOrder, portfolio: str, purpose: Purpose | None = None) -> bool:
    """Return whether an order's reference is ours (and of that purpose)."""
    parts = parse_reference(order.reference, portfolio)
    return parts is not None and (purpose is None or parts["purpose"] == purpose.value)


def _cancelled(
    desk: Desk, venue: Venue, hands: Hands, page: RunPage, targets: tuple[WorkingOrder, ...]
) -> tuple[WorkingOrder, ...]:
    """Cancel `targets`, see them dead and book what they traded; return what would not die."""
    for order in targets:
        for event in hands.cancel(order):
            page.saw(event)
        page.cancelled[order.venue_id] = order
    survivors = _barrier(desk, venue, page, targets) if hands.sends else ()
    book_fills(desk, page, venue.executions(page.slot - timedelta(days=1)))
    if survivors:
        _flag_survivors(desk, page, survivors, venue.account().rates)
    return survivors


def _untouched(
    desk: Desk, page: RunPage, targets: tuple[WorkingOrder, ...]
) -> tuple[WorkingOrder, ...]:
    """Return what is not cancelled while the market is closed.

    Just before an opening it is held too: the session may be open when orders are sent.
    """
    coming = desk.sessions.next_open(page.now)
    if coming is not None and coming.open - page.now <= LONGEST_RUN:
        for order in targets:
            page.flag(
                "order-will-not-die",
                f"order {order.reference or order.venue_id} works before the opening, and nothing "
                f"is cancelled while the market is closed; {order.remaining:f} may still trade",
                order.instrument,
            )
    return targets


def _barrier(
    desk: Desk, venue: Venue, page: RunPage, targets: tuple[WorkingOrder, ...]
) -> tuple[WorkingOrder, ...]:
    """Wait until the venue lists none of `targets` any more; return those it still lists."""
    wanted = {order.venue_id for order in targets}
    until = venue.now() + timedelta(seconds=desk.working.cancel_seconds)
    while True:
        alive = tuple(order for order in venue.open_orders() if order.venue_id in wanted)
        if not alive or venue.now() >= until:
            break
        pause = timedelta(seconds=desk.working.poll_seconds)
        for event in venue.wait(min(until, venue.now() + pause)):
            page.saw(event)
            if isinstance(event, WorkingOrder) and event.venue_id in wanted:
                page.cancelled[event.venue_id] = event
    for order in targets:
        known = page.cancelled[order.venue_id]
        if known.status is not OrderStatus.CANCELLED and order not in alive and order.reference:
            page.cancelled[order.venue_id] = next(
                (o for o in venue.find(order.reference) if o.venue_id == order.venue_id), known
            )
    page.now = venue.now()
    return alive


def _flag_survivors(
    desk: Desk, page: RunPage, survivors: tuple[WorkingOrder, ...], rates: FxRates
) -> None:
    """HOLD a small known remainder; HALT when the survivors together could matter."""
    wealth = page.standing.accepted_net_liquidation
    at_stake = Decimal(0)
    for order in survivors:
        page.flag(
            "order-will-not-die",
            f"order {order.reference or order.venue_id} was not confirmed as cancelled in "
            f"{desk.working.cancel_seconds:g} s; {order.remaining:f} may still trade",
            order.instrument,
        )
        at_stake += _worth(desk, order, rates)
    if survivors and (wealth is None or at_stake > wealth * desk.limits.max_order_weight):
        page.raised(
            ErrorFlag(
                Step.CANCEL,
                "orders-will-not-die",
                "",
                Severity.HALT,
                f"{len(survivors)} {'order' if len(survivors) == 1 else 'orders'} would not die "
                f"and could still trade {at_stake:.0f}",
            )
        )


def _worth(desk: Desk, order: WorkingOrder, rates: FxRates) -> Decimal:
    """Return what an order may still trade, in base currency; infinite when it is unknown."""
    if order.limit is None or order.instrument not in desk.universe:
        return Decimal("Infinity")
    instrument = desk.universe[order.instrument]
    if not rates.knows(instrument.currency):
        return Decimal("Infinity")
    unit = instrument.multiplier / instrument.magnifier * rates.rate(instrument.currency)
    return abs(order.remaining * order.limit) * unit

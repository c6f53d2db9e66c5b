"""How a resting order follows the market, and when it stops resting: pure decisions.

Every `repeg_seconds` an order moves to the best price of its own side, never beyond its worst
approved price. After `taker_after_seconds` it is cancelled; when the venue has confirmed that,
what is open goes out as a new order that takes what is there at the worst approved price, and
what even that leaves open as a market order, where the owner wants it so. A post-only order
that would have traded at once is priced again once, then takes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from rebalancer.execution.parameters import WorkParameters
from rebalancer.execution.state import OrderState
from rebalancer.model.market import Freshness, Quote
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce

_RESTS = frozenset({OrderType.LIMIT, OrderType.POST_ONLY})
MOST_REFUSALS = 1
"""So often a post-only order is priced again after the venue would not let it rest."""


class Then(StrEnum):
    """What follows when an order has ended with something open.

    PEG: the same at the best price of its own side. TAKER: at the worst approved price, now or
    never. MARKET: at any price.
    """

    PEG = "peg"
    TAKER = "taker"
    MARKET = "market"


def peg_at(state: OrderState, parameters: WorkParameters) -> datetime | None:
    """Return when an order looks at the market again, None when it does not follow it."""
    if parameters.repeg_seconds <= 0 or not _rests(state):
        return None
    since = state.asked_peg or state.sent_at
    return None if since is None else since + timedelta(seconds=parameters.repeg_seconds)


def taker_at(state: OrderState, parameters: WorkParameters) -> datetime | None:
    """Return when an order stops resting, None when it never does or was asked to already."""
    begun = state.begun or state.sent_at
    if parameters.taker_after_seconds <= 0 or begun is None or not _rests(state):
        return None
    return begun + timedelta(seconds=parameters.taker_after_seconds)


def peg_price(
    state: OrderState, quote: Quote | None, *, now: datetime, oldest_seconds: float
) -> Decimal | None:
    """Return the best price of the order's own side within what was approved.

    None without a usable quote: an order is moved by no older one than it may be sent by, nor
    by one so far in the future. A price is the venue's own, so it is on its ticks.
    """
    if quote is None or quote.bid is None or quote.ask is None:
        return None
    if abs((now - quote.at).total_seconds()) > oldest_seconds:
        return None
    live = quote.freshness in (Freshness.LIVE, Freshness.SYNTHETIC)
    if not live or not quote.bid.is_finite() or not quote.ask.is_finite():
        return None
    if not 0 < quote.bid < quote.ask:
        return None
    worst = state.approved.worst_price
    return min(quote.bid, worst) if state.approved.quantity > 0 else max(quote.ask, worst)


def after_end(state: OrderState, parameters: WorkParameters, now: datetime) -> Then | None:
    """Return what follows an order that has ended, None: nothing more in this run.

    Only an order whose end the venue confirmed, with every execution it told of seen, is
    followed by another.
    """
    if not state.done or state.filled == state.approved.quantity:
        return None
    if state.status not in (OrderStatus.CANCELLED, OrderStatus.EXPIRED):
        return None
    intent = state.approved.intent
    takes = parameters.taker_after_seconds > 0
    if state.asked_cancel is not None:
        return Then(state.then) if state.then else None
    if intent.order_type is OrderType.POST_ONLY and state.status is OrderStatus.EXPIRED:
        late = taker_at_least(state, parameters, now)
        if state.refusals < MOST_REFUSALS and not late:
            return Then.PEG
        return Then.TAKER if takes else None
    last = state.heir and intent.time_in_force is TimeInForce.IOC
    if last and intent.order_type is OrderType.LIMIT and parameters.market_as_last_resort:
        return Then.MARKET
    return None


def taker_at_least(state: OrderState, parameters: WorkParameters, now: datetime) -> bool:
    """Return whether an order's time to rest is over."""
    begun = state.begun or state.sent_at
    if parameters.taker_after_seconds <= 0 or begun is None:
        return False
    return now >= begun + timedelta(seconds=parameters.taker_after_seconds)


def _rests(state: OrderState) -> bool:
    """Return whether an order rests in the book and nobody asked for its end."""
    intent = state.approved.intent
    return (
        state.status is OrderStatus.WORKING
        and state.asked_cancel is None
        and intent.order_type in _RESTS
        and intent.time_in_force is not TimeInForce.IOC
    )

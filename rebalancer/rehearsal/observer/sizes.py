"""How large an order is by the venue's own prices and books, when it arrives there."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.errors import StateError
from rebalancer.model.orders import Purpose
from rebalancer.rehearsal.evidence import Size, Violation
from rebalancer.simulators.kinds import is_pair

if TYPE_CHECKING:
    from rebalancer.model.instrument import InstrumentId
    from rebalancer.rehearsal.observer.case import Case
    from rebalancer.simulators.exchange import Exchange

TOO_LARGE = "breakers-obeyed"

ROOM = Decimal("1.25")
"""Prices and net liquidation move between a run's look at them and its orders: so much, at most."""


def size_of(
    exchange: Exchange, name: InstrumentId, quantity: Decimal, held: Decimal
) -> Size | None:
    """Return how large an order is; None where the venue has no price, or nothing to weigh by."""
    instrument = exchange.instruments.get(name)
    price = None if instrument is None else exchange.market.mark(instrument, exchange.now)
    if instrument is None or price is None:
        return None
    try:
        worth = exchange.worth()
    except StateError:
        return None
    if worth.net_liquidation <= 0:
        return None
    unit = price * exchange.valuer.factor(instrument) / worth.net_liquidation
    after = abs(held + quantity)
    gross = None
    if not is_pair(instrument):
        gross = worth.gross / worth.net_liquidation + (after - abs(held)) * unit
    return Size(abs(quantity) * unit, after * unit, gross, after > abs(held))


def sizes_kept(case: Case) -> Iterator[Violation]:
    """Yield orders beyond the limits, weighed without anything that the program said.

    Where the wire itself brought an order twice, what is held from then on is nobody's plan.
    """
    twice: set[int] = set()
    for place, run, arrival in case.arrivals("new"):
        if arrival.reference in case.doubled:
            twice.add(place)
        size, limits = arrival.size, run.limits or case.evidence.limits
        if size is None or not case.is_ours(arrival.reference, Purpose.REBALANCE):
            continue
        found = [("the order", size.order, limits.max_order_weight)]
        if size.grows and place not in twice:
            found.append(("the position after it", size.position, limits.max_position_weight))
            if size.gross is not None:
                found.append(("the gross after it", size.gross, limits.max_gross_leverage))
        for what, weight, most in found:
            if weight > most * ROOM:
                yield Violation(
                    TOO_LARGE,
                    f"{arrival.reference}: {what} is {weight:.3f} of net liquidation; "
                    f"the limit is {most:f}",
                    place,
                )

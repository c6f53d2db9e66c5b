"""Gates for what a venue refuses besides tick and lot: far prices, large positions and orders.

What it would refuse is refused here, before anything is sent; reductions are not exempt there
from its price band, so they are not here.
"""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.instrument import Kind
from rebalancer.model.orders import OrderType
from rebalancer.risk.candidates import unit
from rebalancer.risk.terms import Candidate, GateInput
from rebalancer.risk.words import money, plain


def inside_venue_band(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse a limit or a worst price that the venue would not take.

    Its reference is the mark price of a perpetual (`Quote.close`); of anything else the middle,
    for want of the venue's own average. A market order has no price of its own.
    """
    instrument, intent = candidate.instrument, candidate.intent
    if instrument is None or intent.order_type is OrderType.MARKET:
        return None
    rules, buys = instrument.rules, intent.quantity > 0
    reference = _reference(candidate)
    if reference is None:
        if rules.buy_band is None and rules.sell_band is None:
            reference = Decimal(1)  # no band, no multiple of it
        else:
            return "the price is unknown around which the venue takes limits"
    low, high = rules.price_bounds(buys=buys, reference=reference)
    for what, price in (("limit", intent.limit), ("worst price", candidate.worst)):
        if low is not None and price < low:
            return f"its {what} {plain(price)} is below the venue's lowest, {plain(low)}"
        if high is not None and price > high:
            return f"its {what} {plain(price)} is above the venue's highest, {plain(high)}"
    return None


def below_venue_position(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse a buy with which the holding, working buys included, passes the venue's largest."""
    instrument, intent = candidate.instrument, candidate.intent
    largest = None if instrument is None else instrument.rules.max_position
    if largest is None or intent.quantity <= 0:
        return None
    buys = sum(
        (
            each.quantity
            for each in given.intents
            if each.instrument == intent.instrument
            and each.quantity.is_finite()  # another is refused for its form
            and each.quantity > 0
        ),
        Decimal(0),
    )
    working = sum(
        (
            max(each.remaining, Decimal(0))
            for each in given.others
            if each.instrument == intent.instrument
        ),
        Decimal(0),
    )
    after = given.account.quantity(intent.instrument) + working + buys
    if after > largest:
        return f"{plain(after)} would be held; the venue's largest position is {plain(largest)}"
    return None


def below_venue_notional(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse an order worth more than the venue takes in one."""
    instrument, intent = candidate.instrument, candidate.intent
    largest = None if instrument is None else instrument.rules.max_notional
    if instrument is None or largest is None:
        return None
    worth = abs(intent.quantity) * abs(intent.limit) * unit(instrument)
    if worth > largest:
        return (
            f"{money(worth, instrument.currency)} is above the venue's largest order, "
            f"{money(largest, instrument.currency)}"
        )
    return None


def _reference(candidate: Candidate) -> Decimal | None:
    quote, instrument = candidate.quote, candidate.instrument
    if quote is None or instrument is None:
        return None
    price = quote.close if instrument.kind is Kind.PERPETUAL else quote.mid
    return price if price is not None and price.is_finite() and price > 0 else None

"""Intents with what the gates must know of each."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Quote
from rebalancer.model.orders import OrderIntent, OrderType, WorkingOrder
from rebalancer.risk.terms import Candidate, GateInput


def candidates(given: GateInput) -> tuple[Candidate, ...]:
    """Return the intents in sequence with what is known of each.

    Nothing here depends on flags or on what other gates say: so no refusal can turn
    something else into a reduction.
    """
    closable = _closable(given)
    seen: set[tuple[InstrumentId, int]] = set()
    found = []
    ordered = sorted(given.intents, key=lambda each: (each.wave, each.sequence, each.instrument))
    for place, intent in enumerate(ordered):
        name = intent.instrument
        left = closable.get(name, Decimal(0))
        sound = intent.quantity.is_finite()
        reduces = sound and left * intent.quantity < 0 and abs(intent.quantity) <= abs(left)
        if reduces:
            closable[name] = left + intent.quantity
        found.append(_candidate(given, place, intent, reduces, (name, intent.part) in seen))
        seen.add((name, intent.part))
    return tuple(found)


def _candidate(
    given: GateInput, place: int, intent: OrderIntent, reduces: bool, twin: bool
) -> Candidate:
    known = intent.instrument in given.universe
    instrument = given.universe[intent.instrument] if known else None
    rates = given.account.rates
    rate = None
    if instrument is not None and rates.knows(instrument.currency):
        rate = rates.rate(instrument.currency)
    sound = _sound(intent)
    worst = intent.limit
    if instrument is not None and sound:
        worst = worst_price(intent, instrument, given.worst_price_bps)
    quote = given.market.quotes.get(intent.instrument)
    if instrument is not None and sound:
        worst = _takeable(worst, intent, instrument, quote)
    at_worst = given.reprices or intent.order_type is OrderType.MARKET
    notional = None
    if instrument is not None and rate is not None and sound:
        dearest = max(abs(intent.limit), abs(intent.reference_price))
        notional = abs(intent.quantity) * dearest * unit(instrument) * rate
    return Candidate(
        place=place,
        intent=intent,
        instrument=instrument,
        quote=quote,
        rate=rate,
        reduces=reduces,
        twin=twin,
        worst=worst,
        price=worst if at_worst else intent.limit,
        notional=notional,
    )


def worst_price(intent: OrderIntent, instrument: Instrument, bps: Decimal) -> Decimal:
    """Return the price beyond which an order is never moved, on the tick grid.

    A buy's is `reference x (1 + bps / 10,000)` rounded down, a sell's `x (1 - ...)` rounded
    up; never tighter than the limit itself.
    """
    buys = intent.quantity > 0
    room = abs(intent.reference_price) * bps / 10_000
    price = intent.reference_price + room if buys else intent.reference_price - room
    step = instrument.rules.price_step(price)
    way = ROUND_FLOOR if buys else ROUND_CEILING
    on_grid = (price / step).to_integral_value(way) * step
    return max(on_grid, intent.limit) if buys else min(on_grid, intent.limit)


def _takeable(
    worst: Decimal, intent: OrderIntent, instrument: Instrument, quote: Quote | None
) -> Decimal:
    """Return the worst price within what the venue takes now, never tighter than the limit."""
    buys = intent.quantity > 0
    low, high = price_bounds(instrument, quote, buys=buys)
    if buys:
        return worst if high is None else max(intent.limit, min(worst, high))
    return worst if low is None else min(intent.limit, max(worst, low))


def price_bounds(
    instrument: Instrument, quote: Quote | None, *, buys: bool
) -> tuple[Decimal | None, Decimal | None]:
    """Return the lowest and highest limit that the venue takes now, on the tick, None for none.

    A perpetual's band is around its mark price (the quote's close), any other's around the
    middle.
    """
    if quote is None:
        return None, None
    sides = (quote.bid, quote.ask)
    if instrument.kind is Kind.PERPETUAL:
        reference = quote.close
    else:  # of sides that are no numbers there is no middle
        reference = quote.mid if all(each and each.is_finite() for each in sides) else None
    if reference is None or not reference.is_finite() or reference <= 0:
        return None, None
    low, high = instrument.rules.price_bounds(buys=buys, reference=reference)
    return _on_tick(low, instrument, ROUND_CEILING), _on_tick(high, instrument, ROUND_FLOOR)


def _on_tick(price: Decimal | None, instrument: Instrument, way: str) -> Decimal | None:
    if price is None:
        return None
    step = instrument.rules.price_step(price)
    return (price / step).to_integral_value(way) * step


def unit(instrument: Instrument) -> Decimal:
    """Return what one unit is worth per price point, in the instrument's currency."""
    return instrument.multiplier / instrument.magnifier


def _sound(intent: OrderIntent) -> bool:
    numbers = (intent.quantity, intent.limit, intent.reference_price)
    return all(number.is_finite() for number in numbers)


def _closable(given: GateInput) -> dict[InstrumentId, Decimal]:
    """Return what may still be closed of each holding: less what orders of others close."""
    left = {position.instrument: position.quantity for position in given.account.positions}
    for name, remaining in worst_of_others(given.others).items():
        held = left.get(name, Decimal(0))
        against = remaining[1] if held > 0 else remaining[0]
        after = held + against
        left[name] = after if after * held > 0 else Decimal(0)
    return left


def worst_of_others(
    others: Sequence[WorkingOrder],
) -> dict[InstrumentId, tuple[Decimal, Decimal]]:
    """Return what orders of others may still buy (positive) and sell (negative)."""
    found: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
    for order in others:
        buys, sells = found.get(order.instrument, (Decimal(0), Decimal(0)))
        remaining = order.remaining
        found[order.instrument] = (
            buys + max(remaining, Decimal(0)),
            sells + min(remaining, Decimal(0)),
        )
    return found

"""Gates about one order: its form, its size, its market; none of them looks at other orders."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.instrument import Kind, PriceSign
from rebalancer.model.orders import OrderType
from rebalancer.risk.candidates import unit
from rebalancer.risk.terms import Candidate, GateInput
from rebalancer.risk.words import money, percent, plain


def well_formed(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse what is not in the universe, comes twice, or is not made of sound numbers."""
    intent, instrument = candidate.intent, candidate.instrument
    if instrument is None:
        return f"{intent.instrument} is not in the universe"
    if candidate.twin:
        return "a second order of the same instrument and part"
    if not intent.quantity.is_finite() or not intent.quantity:
        return f"its quantity is {intent.quantity}"
    signed = instrument.price_sign is PriceSign.ANY
    for what, price in (("limit", intent.limit), ("reference price", intent.reference_price)):
        if not price.is_finite() or (price <= 0 and not signed):
            return f"its {what} is {price}"
    if intent.currency != instrument.currency:
        return f"it is in {intent.currency} and the instrument in {instrument.currency}"
    if candidate.rate is None:
        return f"no rate from {instrument.currency} to {given.account.rates.base}"
    return None


def on_grid(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse a price off its tick, a size off its lot, below the smallest or above the largest."""
    instrument, intent = candidate.instrument, candidate.intent
    if instrument is None:
        return "its rules are unknown"
    rules, size = instrument.rules, abs(intent.quantity)
    tick = rules.price_step(intent.limit)
    if intent.limit % tick:
        return f"its limit {plain(intent.limit)} is not on the tick {plain(tick)}"
    market = intent.order_type is OrderType.MARKET
    step = rules.market_step if market else rules.limit_step
    if size % step:
        return f"its size {plain(size)} is not a multiple of {plain(step)}"
    if size < rules.min_size:
        return f"its size {plain(size)} is below the smallest, {plain(rules.min_size)}"
    if rules.max_size is not None and size > rules.max_size:
        return f"its size {plain(size)} is above the largest, {plain(rules.max_size)}"
    exempt = rules.reduce_only_exempt and candidate.reduces and intent.reducing
    worth = size * abs(intent.limit) * unit(instrument)
    if worth < rules.min_notional and not exempt:
        return (
            f"{money(worth, instrument.currency)} is below the venue's smallest order, "
            f"{money(rules.min_notional, instrument.currency)}"
        )
    return None


def not_leaving(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse to open or add to what the venue closes."""
    instrument = candidate.instrument
    if instrument is None or not instrument.leaving or candidate.way_out:
        return None
    return f"only the way out of it is open: {instrument.leaving}"


def whole_shares(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse fractions of a share."""
    instrument, quantity = candidate.instrument, candidate.intent.quantity
    if instrument is None or instrument.kind is not Kind.STOCK or given.limits.allow_fractions:
        return None
    if quantity != quantity.to_integral_value():
        return f"{plain(quantity)} is not a whole number of shares"
    return None


def no_short(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse a sale that opens or adds to a short position where that is not allowed."""
    if candidate.intent.quantity > 0 or candidate.reduces:
        return None
    held = given.account.quantity(candidate.intent.instrument)
    what = f"selling {plain(-candidate.intent.quantity)} with {plain(held)} held is a short sale"
    if not given.limits.allow_short:
        return f"{what}; shorts are not allowed"
    if candidate.instrument is not None and not candidate.instrument.shortable:
        return f"{what}; the venue does not lend it"
    return None


def small_enough(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse an order that is too large; reductions are not exempt."""
    notional, limits = candidate.notional, given.limits
    if notional is None:
        return "its value is unknown"
    base = given.account.rates.base
    largest = limits.max_order_notional
    if largest is not None and notional > largest:
        return f"order of {money(notional, base)}; the limit is {money(largest, base)}"
    weight = notional / given.account.net_liquidation
    if weight > limits.max_order_weight:
        return (
            f"order of {money(notional, base)} is {percent(weight)} of net liquidation; "
            f"the limit is {percent(limits.max_order_weight)}"
        )
    return None


def small_part_of_volume(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse too large a part of an average session's volume, or an unknown volume."""
    volume = candidate.quote.average_volume if candidate.quote else None
    if volume is None or not volume.is_finite() or volume < 0:
        if given.limits.allow_unknown_volume:
            return None
        return "its volume is unknown and the portfolio does not allow that"
    size = abs(candidate.intent.quantity)
    if size > given.limits.max_participation * volume:
        share = f"{percent(size / volume)} of" if volume else "more than"
        return (
            f"{plain(size)} is {share} an average session's volume {plain(volume)}; "
            f"the limit is {percent(given.limits.max_participation)}"
        )
    return None


def no_day_trade(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse to undo a trade of the same session on too small an account.

    Too small is what `pattern_day_trader_equity` says, and what the venue says when no day
    trade remains.
    """
    least, value = given.limits.pattern_day_trader_equity, given.account.net_liquidation
    instrument = candidate.instrument
    none_left = given.account.day_trades_remaining == 0
    small = value < least or none_left
    if not small or instrument is None or instrument.kind is not Kind.STOCK:
        return None
    opposite = given.sold if candidate.intent.quantity > 0 else given.bought
    if instrument.id not in opposite:
        return None
    base = given.account.rates.base
    word = "sold" if candidate.intent.quantity > 0 else "bought"
    if none_left:
        return f"it was {word} in this session: a day trade, and the venue allows no more of them"
    return (
        f"it was {word} in this session: a day trade on {money(value, base)}; "
        f"at least {money(Decimal(least), base)} is needed"
    )

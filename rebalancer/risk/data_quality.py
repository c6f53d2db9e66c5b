"""Gates about prices: an order is only as good as the quote it was made from."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.instrument import PriceSign
from rebalancer.model.market import Freshness
from rebalancer.risk.terms import Candidate, GateInput
from rebalancer.risk.words import percent, plain

_PRICED_FROM = frozenset({Freshness.LIVE, Freshness.SYNTHETIC})


def quote_there(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse without a bid and an ask that are numbers, in their order, and positive."""
    quote = candidate.quote
    if quote is None:
        return "no quote"
    if quote.bid is None or quote.ask is None:
        missing = "bid" if quote.bid is None else "ask"
        return f"its quote has no {missing}"
    if not quote.bid.is_finite() or not quote.ask.is_finite():
        return f"its quote is {quote.bid} / {quote.ask}"
    instrument = candidate.instrument
    signed = instrument is not None and instrument.price_sign is PriceSign.ANY
    if not signed and (quote.bid <= 0 or quote.ask <= 0):
        return f"its quote {plain(quote.bid)} / {plain(quote.ask)} is not positive"
    if quote.bid > quote.ask:
        return f"its quote is crossed: bid {plain(quote.bid)} above ask {plain(quote.ask)}"
    return None


def quote_fresh(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse a delayed, frozen, old or future quote."""
    quote = candidate.quote
    if quote is None:
        return "no quote"
    allowed = quote.freshness in _PRICED_FROM or (
        quote.freshness is Freshness.DELAYED and given.limits.allow_delayed_quotes
    )
    if not allowed:
        return f"its quote is {quote.freshness.value}"
    age = (given.venue_now - quote.at).total_seconds()
    if age > given.limits.quote_max_age_seconds:
        return (
            f"its quote is {age:.0f} s old; the limit is {given.limits.quote_max_age_seconds:g} s"
        )
    if age < -given.limits.max_clock_skew_seconds:
        return f"its quote is {-age:.0f} s in the future"
    return None


def spread_narrow(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse when bid and ask are too far apart."""
    quote = candidate.quote
    mid = quote.mid if quote else None
    if quote is None or mid is None or quote.bid is None or quote.ask is None or not mid:
        return "its spread is unknown"
    spread = (quote.ask - quote.bid) / abs(mid) * 10_000
    if spread > given.limits.max_spread_bps:
        return (
            f"its spread is {spread:.0f} bps ({plain(quote.bid)} / {plain(quote.ask)}); "
            f"the limit is {plain(given.limits.max_spread_bps)} bps"
        )
    return None


def near_last_close(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse a limit, a worst price or a middle too far from the last close."""
    quote = candidate.quote
    close = quote.close if quote else None
    if quote is None or close is None or not close.is_finite() or not close:
        return "its last close is unknown"
    collar = given.limits.price_collar
    prices = (("limit", candidate.intent.limit), ("worst price", candidate.worst))
    for what, price in (*prices, ("middle", quote.mid)):
        if price is None or not price.is_finite():
            return f"its {what} is unknown"
        off = price / close - 1
        if abs(off) > collar:
            side = "above" if off > 0 else "below"
            return (
                f"its {what} {plain(_cents(price))} is {percent(abs(off))} {side} the last close "
                f"{plain(close)}; the limit is {percent(collar)}"
            )
    return None


def _cents(price: Decimal) -> Decimal:
    return price.quantize(Decimal("0.0001")) if abs(price) >= 1 else price

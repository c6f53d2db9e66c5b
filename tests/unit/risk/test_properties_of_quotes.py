"""Whatever the venue quotes: only a sound, fresh, narrow quote near the last close is traded on."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.instrument import PriceSign
from rebalancer.model.market import Freshness, Quote
from rebalancer.risk import GateInput, apply_gates
from tests.unit.risk.builders import (
    NOW,
    A,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
)
from tests.unit.risk.property_cases import cents, judged_by, loose

HOLDS = an_account(a_position(A, "20"))
"""What it sells of 20 held reduces: none of these gates lets that pass."""

either_side = st.sampled_from(["10", "-10"])

# ---------------------------------------------------------------------------- quote

one_side = st.one_of(
    st.none(),
    st.sampled_from([d("NaN"), d("Infinity"), d(0), d(-1)]),
    *[st.integers(9_990, 10_010).map(cents)] * 3,
)


@st.composite
def quotes_of_any_kind(draw: st.DrawFn) -> GateInput:
    quote = a_quote(A, bid=draw(one_side), ask=draw(one_side))
    sign = draw(st.sampled_from([PriceSign.POSITIVE] * 3 + [PriceSign.ANY]))
    return gate_input(
        [an_intent(A, draw(either_side))],
        account=HOLDS,
        stocks=[a_stock(A, price_sign=sign)],
        quotes=[quote] if draw(st.integers(0, 9)) else [],
        limits=loose(),
    )


def two_numbers(quote: Quote | None, *, signed: bool) -> bool:
    """Return whether there are a bid and an ask that can be what they say."""
    if quote is None or quote.bid is None or quote.ask is None:
        return False
    if not (quote.bid.is_finite() and quote.ask.is_finite()):
        return False
    return quote.bid <= quote.ask and (signed or quote.bid > 0)


@settings(deadline=None)
@given(quotes_of_any_kind())
def test_nothing_is_traded_without_a_bid_and_an_ask_in_their_order(asked: GateInput) -> None:
    signed = asked.universe[A].price_sign is PriceSign.ANY
    sound = two_numbers(asked.market.quotes.get(A), signed=signed)
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "quote", "quote") == (not sound)
    assert sound or not verdicts.approved


# ---------------------------------------------------------------------------- freshness


@st.composite
def quotes_of_any_age(draw: st.DrawFn) -> GateInput:
    most, skew = draw(st.sampled_from([1.0, 30.0, 60.0])), draw(st.sampled_from([0.5, 5.0]))
    near = st.sampled_from([0.0, most, -skew]).flatmap(
        lambda edge: st.sampled_from([-1, 0, 1]).map(lambda more: int(edge * 10**6) + more)
    )
    age = draw(st.one_of(near, st.integers(-10 * 10**6, 120 * 10**6)))
    quote = a_quote(
        A,
        at=NOW - timedelta(microseconds=age),
        freshness=draw(st.sampled_from([Freshness.LIVE] * 4 + list(Freshness))),
    )
    limits = loose(
        quote_max_age_seconds=most,
        max_clock_skew_seconds=skew,
        allow_delayed_quotes=draw(st.booleans()),
    )
    intent = an_intent(A, draw(either_side))
    return gate_input([intent], account=HOLDS, quotes=[quote], limits=limits)


@settings(deadline=None)
@given(quotes_of_any_age())
def test_no_order_rests_on_a_quote_that_is_old_delayed_or_of_the_future(asked: GateInput) -> None:
    quote, limits = asked.market.quotes[A], asked.limits
    age = (asked.venue_now - quote.at) // timedelta(microseconds=1)
    of_now = -limits.max_clock_skew_seconds * 10**6 <= age <= limits.quote_max_age_seconds * 10**6
    told_live = quote.freshness in {Freshness.LIVE, Freshness.SYNTHETIC} or (
        quote.freshness is Freshness.DELAYED and limits.allow_delayed_quotes
    )
    verdicts = apply_gates(asked)
    word = "s old; the limit is" if age > 0 else "s in the future"
    words = ("its quote is", word) if told_live else ("its quote is", quote.freshness.value)
    assert judged_by(verdicts, "freshness", *words) == (not (of_now and told_live))
    assert bool(verdicts.approved) == (of_now and told_live)


# ---------------------------------------------------------------------------- spread


@st.composite
def quotes_of_any_width(draw: st.DrawFn) -> GateInput:
    bid = draw(st.integers(9_000, 11_000))
    wide = draw(st.one_of(st.integers(0, 100), st.integers(0, 1_000)))
    exact = draw(st.booleans())  # the limit itself: (200 + 9,900) x 2 % of 10,000
    bid, wide = (9_900, 200) if exact else (bid, wide)
    quote = a_quote(A, bid=cents(bid), ask=cents(bid + wide), close=d(100))
    most = draw(st.sampled_from(["199.99", "200", "200.01", "20", "500"]))
    intent = an_intent(A, draw(either_side))
    limits = loose(max_spread_bps=d(most))
    return gate_input([intent], account=HOLDS, quotes=[quote], limits=limits)


@settings(deadline=None)
@given(quotes_of_any_width())
def test_no_order_crosses_a_spread_above_the_limit(asked: GateInput) -> None:
    quote, most = asked.market.quotes[A], asked.limits.max_spread_bps
    assert quote.bid is not None
    assert quote.ask is not None
    width = Fraction(quote.ask) - Fraction(quote.bid)
    narrow = width * 20_000 <= Fraction(most) * (Fraction(quote.ask) + Fraction(quote.bid))
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "spread", "its spread is", "bps", "the limit is") == (not narrow)
    assert bool(verdicts.approved) == narrow


# ---------------------------------------------------------------------------- collar


@st.composite
def prices_around_a_close(draw: st.DrawFn) -> GateInput:
    far = draw(st.sampled_from([60, 800, 2_000]))  # cents from the close of 100
    middle = 10_000 + draw(st.integers(-far, far))
    limit = 10_000 + draw(st.one_of(st.integers(-far, far), st.sampled_from([-500, 500, 501])))
    reference = limit + draw(st.sampled_from([0, 0, -3, 3]))
    close = draw(st.sampled_from([d(100)] * 15 + [None, d("NaN"), d(0)]))
    quote = a_quote(A, bid=cents(middle - 1), ask=cents(middle + 1), close=close)
    intent = an_intent(A, draw(either_side), str(cents(limit)), reference_price=cents(reference))
    return gate_input(
        [intent],
        account=HOLDS,
        quotes=[quote],
        limits=loose(price_collar=draw(st.sampled_from([d("0.005"), d("0.05"), d("0.15")]))),
        worst_price_bps=Decimal(draw(st.sampled_from([0, 50, 300]))),
    )


def worst_of(asked: GateInput) -> Fraction:
    """Return the price up to which the one order may be moved, on a tick of one cent."""
    (intent,) = asked.intents
    reference, limit = Fraction(intent.reference_price) * 100, Fraction(intent.limit) * 100
    room = reference * Fraction(asked.worst_price_bps) / 10_000
    if intent.quantity > 0:
        return max(Fraction((reference + room) // 1), limit) / 100
    return min(Fraction(-((room - reference) // 1)), limit) / 100


@settings(deadline=None, max_examples=200)
@given(prices_around_a_close())
def test_no_price_of_an_order_is_beyond_the_collar(asked: GateInput) -> None:
    quote, (intent,) = asked.market.quotes[A], asked.intents
    verdicts = apply_gates(asked)
    refused = judged_by(verdicts, "collar", "last close")
    if quote.close is None or not quote.close.is_finite() or not quote.close:
        assert refused
        return
    close, collar = Fraction(quote.close), Fraction(asked.limits.price_collar)
    assert quote.mid is not None
    prices = [Fraction(intent.limit), Fraction(quote.mid), worst_of(asked)]
    inside = all(abs(price - close) <= collar * close for price in prices)
    assert refused == (not inside)
    assert bool(verdicts.approved) == inside
    for order in verdicts.approved:
        assert Fraction(order.worst_price) == worst_of(asked)
        assert abs(Fraction(order.worst_price) - close) <= collar * close

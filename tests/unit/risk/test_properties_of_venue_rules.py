"""Whatever a venue's rules are: what is approved keeps each of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.instrument import Kind
from rebalancer.model.orders import OrderType
from rebalancer.model.rules import PriceBand, PriceLevel, TradingRules
from rebalancer.risk import GateInput, apply_gates
from tests.unit.risk.builders import (
    A,
    B,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
)
from tests.unit.risk.property_cases import cents, judged_by, loose, refused_by, working

HOLDS = an_account(a_position(A, "20"))
LIMIT_AND_MARKET = st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET])

# ---------------------------------------------------------------------------- grid

STEPS = [1, 5, 10, 25]
"""Lots, in tenths of a unit."""

TICKS = [
    (PriceLevel(d(0), d("0.01")),),
    (PriceLevel(d(0), d("0.05")),),
    (PriceLevel(d(0), d("0.01")), PriceLevel(d(100), d("0.05"))),
]


@st.composite
def orders_on_and_off_the_grid(draw: st.DrawFn) -> GateInput:
    tenths = st.integers(1, 12).map(lambda n: 10 * n)
    rules = TradingRules(
        price_levels=draw(st.sampled_from(TICKS)),
        limit_step=Decimal(draw(st.sampled_from(STEPS))) / 10,
        market_step=Decimal(draw(st.sampled_from(STEPS))) / 10,
        min_size=d(draw(st.sampled_from(["0", "1", "5"]))),
        max_size=draw(st.sampled_from([None, None, d(10)])),
        min_notional=d(draw(st.sampled_from(["0", "0", "500"]))),
        reduce_only_exempt=draw(st.booleans()),
    )
    size = draw(st.one_of(st.just(50), tenths, st.integers(1, 120)))
    price = draw(st.one_of(st.just(10_000), st.integers(9_950, 10_050)))
    intent = an_intent(
        A,
        str(Decimal(draw(st.sampled_from([size, -size]))) / 10),
        str(cents(price)),
        order_type=draw(LIMIT_AND_MARKET),
    )
    return gate_input(
        [replace(intent, reducing=intent.quantity < 0 and draw(st.booleans()))],
        account=HOLDS if draw(st.booleans()) else None,
        stocks=[a_stock(A, kind=Kind.SPOT, rules=rules)],
        limits=loose(),
        worst_price_bps=Decimal(draw(st.sampled_from([0, 33, 50]))),
    )


def divides(step: Decimal, number: Decimal) -> bool:
    return (Fraction(number) / Fraction(step)).denominator == 1


def grid_words(asked: GateInput) -> str:
    """Return what the reason must begin to say; '' for an order that is on the grid."""
    (intent,), rules = asked.intents, asked.universe[A].rules
    size = abs(intent.quantity)
    tick = rules.price_levels[-1 if intent.limit >= 100 else 0].step
    market = intent.order_type is OrderType.MARKET
    closes = intent.quantity < 0 and size <= asked.account.quantity(A)
    spared = rules.reduce_only_exempt and intent.reducing and closes
    wrong = (
        (not divides(tick, intent.limit), "is not on the tick"),
        (not divides(rules.market_step if market else rules.limit_step, size), "not a multiple of"),
        (size < rules.min_size, "is below the smallest"),
        (rules.max_size is not None and size > rules.max_size, "is above the largest"),
        (size * intent.limit < rules.min_notional and not spared, "the venue's smallest order"),
    )
    return next((words for holds, words in wrong if holds), "")


@settings(deadline=None, max_examples=200)
@given(orders_on_and_off_the_grid())
def test_what_is_approved_is_on_the_grid_of_prices_and_sizes(asked: GateInput) -> None:
    verdicts, words = apply_gates(asked), grid_words(asked)
    assert judged_by(verdicts, "grid", words) == bool(words)
    for order in verdicts.approved:
        rules = asked.universe[A].rules
        assert divides(rules.price_step(order.worst_price), order.worst_price)


# ---------------------------------------------------------------------------- venue-band

multiples = st.sampled_from(["0.9", "0.98", "1", "1.02", "1.1"]).map(d)


@st.composite
def bands(draw: st.DrawFn) -> PriceBand | None:
    if not draw(st.integers(0, 2)):
        return None
    low, high = sorted([draw(multiples), draw(multiples)])
    return PriceBand(draw(st.sampled_from([None, low])), draw(st.sampled_from([None, high])))


@st.composite
def limits_around_bands(draw: st.DrawFn) -> GateInput:
    kind = draw(st.sampled_from([Kind.PERPETUAL, Kind.SPOT]))
    rules = TradingRules(
        buy_band=draw(bands()),
        sell_band=draw(bands()),
        min_price=draw(st.sampled_from([None, None, d("98.005")])),
        max_price=draw(st.sampled_from([None, None, d("101.995")])),
    )
    mark = draw(st.sampled_from([d(100), d(100), d(96), d(104)]))
    edges = st.sampled_from([9_800, 9_799, 10_200, 10_201])
    around = st.one_of(edges, edges, st.integers(9_700, 10_300))
    intent = an_intent(
        A,
        draw(st.sampled_from(["10", "-10"])),
        str(cents(draw(around))),
        order_type=draw(LIMIT_AND_MARKET),
    )
    return gate_input(
        [intent],
        account=HOLDS,
        stocks=[a_stock(A, kind=kind, rules=rules)],
        quotes=[a_quote(A, close=mark)],
        limits=loose(),
        worst_price_bps=Decimal(draw(st.sampled_from([0, 50, 300]))),
    )


def outside(price: Decimal, asked: GateInput) -> bool:
    """Return whether the venue would not take a price: beyond its band, lowest or highest."""
    (intent,), instrument = asked.intents, asked.universe[A]
    rules, quote = instrument.rules, asked.market.quotes[A]
    around = quote.close if instrument.kind is Kind.PERPETUAL else quote.mid
    assert around is not None
    band = (rules.buy_band if intent.quantity > 0 else rules.sell_band) or PriceBand()
    return bool(
        (rules.min_price is not None and price < rules.min_price)
        or (rules.max_price is not None and price > rules.max_price)
        or (band.low is not None and price < band.low * around)
        or (band.high is not None and price > band.high * around)
    )


@settings(deadline=None, max_examples=200)
@given(limits_around_bands())
def test_no_limit_and_no_worst_price_is_outside_what_the_venue_takes(asked: GateInput) -> None:
    (intent,) = asked.intents
    priced = intent.order_type is not OrderType.MARKET
    verdicts = apply_gates(asked)
    refused = judged_by(verdicts, "venue-band", "its limit", "the venue's")
    assert refused == (priced and outside(intent.limit, asked))
    assert bool(verdicts.approved) == (not refused)
    for order in verdicts.approved:
        assert not priced or not outside(order.worst_price, asked)


# ---------------------------------------------------------------------------- sizes of a venue


@st.composite
def holdings_near_the_largest(draw: st.DrawFn) -> GateInput:
    held, first = draw(st.integers(-60, 60)), draw(st.integers(1, 50))
    most = max(60 - held - first, 0)
    second = draw(st.sampled_from([0, 20, most, most + 1]))
    intents = [an_intent(A, str(first))]
    if second:
        intents.append(an_intent(A, str(second), sequence=1, part=1))
    if draw(st.booleans()):
        intents.append(an_intent(A, str(-draw(st.integers(1, 50))), sequence=2, part=2))
    bought, filled = draw(st.integers(0, 20)), draw(st.integers(0, 5))
    others = [working(A, bought + filled, filled), working(A, -5), working(B, 100)]
    return gate_input(
        intents,
        account=an_account(*[a_position(A, str(held))] * bool(held), net_liquidation=d(10**6)),
        stocks=[a_stock(A, rules=TradingRules(max_position=d(60))), a_stock(B)],
        others=tuple(others[: draw(st.integers(0, 3))]),
        limits=loose(),
    )


@settings(deadline=None)
@given(holdings_near_the_largest())
def test_no_buys_together_pass_the_venues_largest_position(asked: GateInput) -> None:
    held = asked.account.quantity(A)
    held += sum(max(o.remaining, d(0)) for o in asked.others if o.instrument == A)
    wanted = sum(intent.quantity for intent in asked.intents if intent.quantity > 0)
    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "venue-position")
    buys = {intent.sequence for intent in asked.intents if intent.quantity > 0}
    assert {each.intent.sequence for each in refused} == (buys if held + wanted > 60 else set())
    assert all("largest position is 60" in each.reason for each in refused)
    approved = sum(order.quantity for order in verdicts.approved if order.quantity > 0)
    assert not approved or held + approved <= 60


@st.composite
def orders_near_the_largest(draw: st.DrawFn) -> GateInput:
    size = draw(st.one_of(st.just(20), st.integers(1, 60)))
    stock = a_stock(
        A,
        rules=TradingRules(max_notional=draw(st.sampled_from([None, d(2_000), d("1999.99")]))),
        multiplier=d(draw(st.sampled_from(["1", "2"]))),
        magnifier=d(draw(st.sampled_from(["1", "4"]))),
    )
    intent = an_intent(A, str(draw(st.sampled_from([size, -size]))))
    return gate_input([intent], account=HOLDS, stocks=[stock], limits=loose())


@settings(deadline=None)
@given(orders_near_the_largest())
def test_no_order_is_worth_more_than_the_venue_takes_in_one(asked: GateInput) -> None:
    (intent,), stock = asked.intents, asked.universe[A]
    most = stock.rules.max_notional
    worth = abs(intent.quantity) * intent.limit * stock.multiplier
    fits = most is None or worth <= most * stock.magnifier
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "venue-notional", "the venue's largest order") == (not fits)
    assert bool(verdicts.approved) == fits


@st.composite
def orders_that_work_already(draw: st.DrawFn) -> GateInput:
    of_others = st.lists(st.sampled_from([A, A, B]), max_size=4)
    return gate_input(
        [an_intent(A, draw(st.sampled_from(["10", "-10"])))],
        account=an_account(a_position(A, "50")),
        stocks=[
            a_stock(A, rules=TradingRules(max_orders=draw(st.sampled_from([None, 0, 1, 2])))),
            a_stock(B),
        ],
        others=tuple(working(name, 1) for name in draw(of_others)),
        limits=loose(),
    )


@settings(deadline=None)
@given(orders_that_work_already())
def test_no_order_is_one_more_than_the_venue_lets_work(asked: GateInput) -> None:
    most = asked.universe[A].rules.max_orders
    there = [order.instrument for order in asked.others].count(A)
    fits = most is None or there + 1 <= most
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "venue-orders", "work in it already", f"takes {most}") == (not fits)
    assert bool(verdicts.approved) == fits


# ---------------------------------------------------------------------------- shares


@st.composite
def quarters_of_shares(draw: st.DrawFn) -> GateInput:
    rules = TradingRules(limit_step=d("0.25"), market_step=d("0.25"), min_size=d(0))
    quarters = draw(st.integers(1, 40))
    return gate_input(
        [an_intent(A, str(Decimal(draw(st.sampled_from([quarters, -quarters]))) / 4))],
        account=an_account(a_position(A, "20")),
        stocks=[a_stock(A, rules=rules, kind=draw(st.sampled_from([Kind.STOCK, Kind.SPOT])))],
        limits=loose(allow_fractions=not draw(st.integers(0, 3))),
    )


@settings(deadline=None)
@given(quarters_of_shares())
def test_no_fraction_of_a_share_is_approved_unless_allowed(asked: GateInput) -> None:
    (intent,) = asked.intents
    part = int(intent.quantity * 4) % 4 and asked.universe[A].kind is Kind.STOCK
    wrong = bool(part) and not asked.limits.allow_fractions
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "fraction", "is not a whole number of shares") == wrong
    assert bool(verdicts.approved) == (not wrong)


def trades_in_a_holding(draw: st.DrawFn, **stock: Any) -> dict[str, Any]:
    """Draw a trade of up to 40 where up to 30 are held, long or short, and others may sell."""
    held, size = draw(st.integers(-30, 30)), draw(st.integers(1, 40))
    size = draw(st.sampled_from([size, abs(held) or 1]))
    others = (working(A, -draw(st.integers(1, 10))),) if draw(st.booleans()) else ()
    return {
        "intents": [an_intent(A, str(draw(st.sampled_from([size, -size, -size]))))],
        "account": an_account(*[a_position(A, str(held))] * bool(held), net_liquidation=d(10**6)),
        "stocks": [a_stock(A, **stock)],
        "others": others,
    }


def to_spare(asked: GateInput) -> Decimal:
    """Return what may be closed of A: what orders of others already close is not there twice."""
    held = asked.account.quantity(A)
    if held <= 0:
        return held
    return max(held + sum(order.remaining for order in asked.others), d(0))


@st.composite
def sales_of_what_may_not_be_there(draw: st.DrawFn) -> GateInput:
    trade = trades_in_a_holding(draw, shortable=draw(st.booleans()))
    return gate_input(**trade, limits=loose(allow_short=draw(st.booleans())))


@settings(deadline=None)
@given(sales_of_what_may_not_be_there())
def test_nothing_is_sold_short_unless_owner_and_venue_allow_it(asked: GateInput) -> None:
    (intent,) = asked.intents
    sells_short = intent.quantity < 0 and -intent.quantity > to_spare(asked)
    allowed = asked.limits.allow_short and asked.universe[A].shortable
    verdicts = apply_gates(asked)
    word = "does not lend it" if asked.limits.allow_short else "shorts are not allowed"
    refused = judged_by(verdicts, "short", "is a short sale", word)
    assert refused == (sells_short and not allowed)
    assert bool(verdicts.approved) == (not refused)


@st.composite
def trades_in_what_the_venue_closes(draw: st.DrawFn) -> GateInput:
    trade = trades_in_a_holding(draw, leaving=draw(st.sampled_from(["", "it is delisted"])))
    return gate_input(**trade, limits=loose())


@settings(deadline=None)
@given(trades_in_what_the_venue_closes())
def test_of_what_the_venue_closes_only_the_way_out_is_approved(asked: GateInput) -> None:
    (intent,), left = asked.intents, to_spare(asked)
    way_out = intent.quantity * left < 0 and abs(intent.quantity) <= abs(left)
    shut = bool(asked.universe[A].leaving) and not way_out
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "leaving", "only the way out", "delisted") == shut
    assert bool(verdicts.approved) == (not shut)

"""What a plan is told to keep to: overrides, neutral sleeves, the largest reductions."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import OrderIntent
from rebalancer.model.plan import Plan, Restraints, Why
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.planning import LimitStyle, PlanParameters, plan_rebalance
from rebalancer.risk import Override, Restraining, apply_gates
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    C,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
    some_limits,
)

BARRED, LESS = Override(no_trading=True), Override(reduce_only=True)
ALL = Sleeve("all", (A, B, C), d(1))
PAIR = Sleeve("pair", (A, B), d(1), neutral=True)
HELD = an_account(a_position(A, "800"), cash={"USD": "20000"})
"""100,000 in all; half of it, 500 shares at 100, is the largest order."""


def told(*sleeves: Sleeve, stocks: tuple[Instrument, ...] = (), **changes: Any) -> Restraining:
    """Return what finds restraints for three stocks at 100."""
    known = {name: a_stock(name) for name in (A, B, C)} | {each.id: each for each in stocks}
    values: dict[str, Any] = {
        "universe": Universe(list(known.values())),
        "sleeves": sleeves or (ALL,),
        "overrides": {},
        "limits": some_limits(),
        "account": HELD,
        "market": MarketSnapshot(NOW, {name: a_quote(name) for name in known}),
    }
    return Restraining(**{**values, **changes})


def leaving(name: InstrumentId) -> Instrument:
    return a_stock(name, leaving="it is delisted")


# ---------------------------------------------------------------------------- overrides


def test_the_owners_word_is_told_before_there_is_a_plan() -> None:
    overrides = {A: BARRED, B: LESS, C: Override(scale=d("0.5"))}
    first = told(overrides=overrides).first()
    assert first == Restraints(untraded={A: Why.NO_TRADING}, reduced=frozenset({B}))
    assert told().first() == Restraints()


def test_of_neutral_sleeves_nothing_is_told_before_their_plan() -> None:
    overrides = {A: BARRED, B: LESS, C: BARRED}
    first = told(PAIR, ALL, overrides=overrides).first()
    assert first == Restraints(untraded={C: Why.NO_TRADING})


SELL, BUY = an_intent(A, "-50"), an_intent(B, "50")


@pytest.mark.parametrize(
    ("overrides", "orders", "untraded"),
    [
        ({A: BARRED}, (SELL, BUY), {A: Why.NO_TRADING, B: Why.ALL_OR_NOTHING}),
        ({A: BARRED}, (SELL,), {A: Why.NO_TRADING, B: Why.ALL_OR_NOTHING}),
        ({A: BARRED}, (BUY,), {}),  # it stays as it is wanted: no leg is missing
        ({A: LESS}, (SELL, BUY), {}),
        ({B: LESS}, (SELL, BUY), {A: Why.ALL_OR_NOTHING, B: Why.ALL_OR_NOTHING}),
        ({C: BARRED}, (SELL, BUY), {}),
        ({A: Override(max_weight=d("0.1"))}, (SELL, BUY), {}),
    ],
)
def test_a_neutral_sleeve_stays_as_it_is_where_the_owner_forbids_a_part_of_it(
    overrides: dict[InstrumentId, Override],
    orders: tuple[OrderIntent, ...],
    untraded: dict[InstrumentId, Why],
) -> None:
    assert told(PAIR, overrides=overrides).further(Restraints(), orders).untraded == untraded


def test_what_one_neutral_sleeve_does_not_trade_another_misses_too() -> None:
    other = Sleeve("other", (B, C), d(1), neutral=True)
    kept = told(PAIR, other, overrides={A: BARRED})
    both = {A: Why.NO_TRADING, B: Why.ALL_OR_NOTHING}
    assert kept.further(Restraints(), (SELL, BUY)).untraded == both | {C: Why.ALL_OR_NOTHING}
    assert kept.further(Restraints(), (SELL,)).untraded == both  # nothing was wanted of B


def test_what_is_leaving_leaves_a_neutral_sleeve_that_stays() -> None:
    gone = (leaving(B),)
    out = an_intent(B, "-50")
    other = Sleeve("other", (B, C), d(1), neutral=True)
    kept = told(PAIR, other, stocks=gone, overrides={A: BARRED})
    assert kept.further(Restraints(), (SELL, out)).untraded == {A: Why.NO_TRADING}
    # ... and stays where the owner forbids just that.
    barred = told(PAIR, stocks=gone, overrides={B: BARRED}).further(Restraints(), (SELL, out))
    assert barred.untraded == {A: Why.ALL_OR_NOTHING, B: Why.NO_TRADING}


def test_no_opening_is_the_way_out_of_what_is_leaving() -> None:
    other = Sleeve("other", (B, C), d(1), neutral=True)
    kept = told(PAIR, other, stocks=(leaving(B),), overrides={A: BARRED})
    untraded = kept.further(Restraints(), (SELL, BUY)).untraded
    assert untraded.keys() == {A, B, C}


# ---------------------------------------------------------------------------- pieces


@pytest.mark.parametrize(
    ("quantity", "more", "largest"),
    [("-501", {}, {A: d(500)}), ("-500", {}, {}), ("-501", {"reducing": False}, {})],
)
def test_the_largest_order_is_told_where_a_reduction_is_larger(
    quantity: str, more: dict[str, Any], largest: dict[InstrumentId, Decimal]
) -> None:
    orders = (an_intent(A, quantity, **more), an_intent(B, "600"))
    assert told().further(Restraints(), orders) == Restraints(largest=largest)


def test_one_leg_of_a_neutral_sleeve_is_not_cut_unless_it_is_leaving() -> None:
    orders = (an_intent(A, "-800"), an_intent(C, "-800"))
    assert told(PAIR, ALL).further(Restraints(), orders).largest == {C: d(500)}
    gone = told(PAIR, ALL, stocks=(leaving(A),)).further(Restraints(), orders)
    assert gone.largest == {A: d(500), C: d(500)}


def test_where_nothing_bounds_an_order_nothing_is_told() -> None:
    quotes = {A: a_quote(A, average_volume=None)}
    unknown = replace(HELD, net_liquidation=d("NaN"))
    blind = told(account=unknown, market=MarketSnapshot(NOW, quotes))
    assert blind.further(Restraints(), (an_intent(A, "-800"),)) == Restraints()


def test_what_was_told_before_stays() -> None:
    before = Restraints({B: Why.NO_TRADING}, frozenset({C}), {A: d(400)})
    kept = told(PAIR, ALL, stocks=(leaving(A),), overrides={A: BARRED})
    after = kept.further(before, (an_intent(A, "-800"),))
    assert after.reduced == {C}
    assert after.largest == {A: d(400)}
    assert after.untraded == {A: Why.NO_TRADING, B: Why.NO_TRADING}


# ---------------------------------------------------------------------------- with plan and gates


def planned(kept: Restraining, targets: dict[InstrumentId, Decimal], style: LimitStyle) -> Plan:
    """Return the plan of an hour: made again until it keeps to what its orders add."""
    signals = {
        each.name: Signal(
            each.name, {name: targets[name] for name in each.universe}, Unit.WEIGHT, d(1), NOW, NOW,
            Coverage.COMPLETE,
        )
        for each in kept.sleeves
    }  # fmt: skip
    restraints, further = Restraints(), kept.first()
    for _ in range(10):
        restraints = further
        plan = plan_rebalance(
            kept.universe, kept.sleeves, signals, {}, kept.account, kept.market,
            PlanParameters(limit_style=style, allow_short=True), fee_schedule("none"),
            now=NOW, restraints=restraints,
        )  # fmt: skip
        further = kept.further(restraints, plan.orders)
        if further == restraints:
            return plan
    raise AssertionError("it is never content")


weights = st.decimals("-0.5", "0.5", places=2)
SIZES = {"size", "participation", "grid", "venue-notional"}


@settings(max_examples=150, deadline=None)
@given(
    held=st.tuples(*[st.integers(-900, 900)] * 3),
    targets=st.tuples(weights, weights, weights),
    price=st.sampled_from(["7.31", "100", "93.21"]),
    order=st.decimals("0.01", "0.6", places=2),
    volume=st.integers(100, 100_000),
    notional=st.sampled_from([None, d(3000)]),
    overrides=st.dictionaries(st.sampled_from([A, B, C]), st.sampled_from([BARRED, LESS])),
    neutral=st.booleans(),
    style=st.sampled_from(list(LimitStyle)),
)
def test_no_reduction_is_refused_for_its_size_and_nothing_for_the_owners_word(
    held: tuple[int, int, int],
    targets: tuple[Decimal, Decimal, Decimal],
    price: str,
    order: Decimal,
    volume: int,
    notional: Decimal | None,
    overrides: dict[InstrumentId, Override],
    style: LimitStyle,
    *,
    neutral: bool,
) -> None:
    rules = replace(a_stock(A).rules, max_notional=notional)
    stocks = tuple(a_stock(name, rules=rules) for name in (A, B, C))
    sleeves = (Sleeve("pair", (A, B), d("0.5"), neutral=neutral), Sleeve("one", (C,), d("0.5")))
    positions = [a_position(n, str(q), price) for n, q in zip((A, B, C), held, strict=True)]
    account = an_account(*positions, cash={"USD": "200000"})
    quotes = [a_quote(name, price, average_volume=d(volume)) for name in (A, B, C)]
    limits = some_limits(max_order_weight=order, allow_short=True, max_participation=d("0.1"))
    kept = told(
        *sleeves, stocks=stocks, overrides=overrides, limits=limits, account=account,
        market=MarketSnapshot(NOW, {quote.instrument: quote for quote in quotes}),
    )  # fmt: skip
    plan = planned(kept, dict(zip((A, B, C), targets, strict=True)), style)
    verdicts = apply_gates(
        gate_input(
            plan.orders, account=account, quotes=quotes, stocks=stocks, limits=limits,
            overrides=overrides, sleeves=sleeves,
        )
    )  # fmt: skip
    assert not [no for no in verdicts.refused if no.gate == "override"]
    bound = {A, B} if neutral else set()
    for no in verdicts.refused:
        if no.intent.reducing and no.intent.instrument not in bound:
            assert no.gate not in SIZES

"""What holds for every plan, whatever the account, the prices and the rules."""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.fees import FEE_SCHEDULES, fee_schedule
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import MarketSnapshot, Quote
from rebalancer.model.money import FxRate, FxRates
from rebalancer.model.orders import OrderType
from rebalancer.model.plan import Plan
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.signals import Coverage
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.planning import BandRule, Funding, LimitStyle, PlanParameters, plan_rebalance
from tests.unit.planning.worlds import NOW, after, exactly, signal

D = Decimal
ANSWERS = Path(__file__).parents[2] / "answers"


def binance_filters() -> list[TradingRules]:
    with (ANSWERS / "binance_filters.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return [
        TradingRules(
            (PriceLevel(D(0), D(row["tick"])),), D(row["lot"]), D(row["lot"]), D(row["lot"]),
            min_notional=D(row["minimum"]), reduce_only_exempt=row["type"] == "cryptofuture",
        )
        for row in rows
    ]  # fmt: skip


def levels(*pairs: tuple[str, str]) -> tuple[PriceLevel, ...]:
    return tuple(PriceLevel(D(edge), D(step)) for edge, step in pairs)


FILTERS = binance_filters()
TABLES = [
    TradingRules(),
    # US stocks below one dollar; Japan's and Hong Kong's lots and tables, shortened.
    TradingRules(levels(("0", "0.0001"), ("1", "0.01"))),
    TradingRules(
        levels(("0", "1"), ("3000", "5"), ("5000", "10"), ("30000", "50")), D(100), D(100), D(100)
    ),
    TradingRules(levels(("0", "0.001"), ("0.25", "0.005"), ("0.5", "0.01"), ("10", "0.02"))),
    TradingRules(max_size=D(500), min_notional=D(50), reduce_only_exempt=True),
]


@st.composite
def instruments(draw: st.DrawFn, place: int) -> Instrument:
    rules = draw(st.one_of(st.sampled_from(FILTERS), st.sampled_from(TABLES)))
    kind = draw(st.sampled_from([Kind.STOCK, Kind.STOCK, Kind.PERPETUAL]))
    symbol, currency = f"S{place}", draw(st.sampled_from(["USD", "USD", "EUR"]))
    name = f"{symbol}.PERP@BINANCE" if kind is Kind.PERPETUAL else f"{symbol}.STK.{currency}@IB"
    return Instrument(
        InstrumentId(name), kind, symbol, currency, "XNYS", rules,
        multiplier=draw(st.sampled_from([D(1), D(1), D(50)])),
        magnifier=draw(st.sampled_from([D(1), D(1), D(100)])),
        shortable=draw(st.booleans()),
    )  # fmt: skip


@st.composite
def quotes(draw: st.DrawFn, instrument: Instrument) -> Quote:
    """Draw a quote on the instrument's own grid, sometimes with a wide spread."""
    scale = draw(st.sampled_from(["1", "7.3", "93.21", "4999.5", "60000"]))
    price = D(scale) * draw(st.integers(50, 200)) / 100
    step = instrument.rules.price_step(price)
    bid = max(step, price // step * step)
    ask = bid
    for _ in range(draw(st.integers(0, 4))):
        ask += instrument.rules.price_step(ask)
    return Quote(instrument.id, NOW, bid, ask)


@st.composite
def worlds(draw: st.DrawFn, /, **fixed: Any) -> dict[str, Any]:
    count = draw(st.integers(1, 6))
    traded = [draw(instruments(place)) for place in range(count)]
    market = {i.id: draw(quotes(i)) for i in traded}
    capital = D(draw(st.sampled_from([1_000, 30_000, 1_000_000])))
    rate = draw(st.sampled_from([D("1.08"), D("0.0067")]))
    positions = []
    for instrument in traded:
        middle = market[instrument.id].mid or D(1)
        worth = middle * instrument.multiplier / instrument.magnifier
        part = D(draw(st.integers(-30, 100))) / 100
        step = instrument.rules.limit_step
        size = (capital * part / worth / count) // step * step
        dust = draw(st.sampled_from([D(0), D(0), step * D("0.37")]))
        positions.append(Position(instrument.id, size + dust, instrument.currency))
    cash = {"USD": capital * draw(st.integers(-5, 100)) / 100, "EUR": capital / 10 / rate}
    account = AccountSnapshot(
        "A", NOW, capital, cash, FxRates("USD", {"EUR": FxRate(rate, NOW)}), tuple(positions)
    )
    names = tuple(i.id for i in traded)
    split = draw(st.integers(0, count))
    sleeves = (
        Sleeve("a", names, D("0.7"), leverage_max=D(3)),
        *([Sleeve("b", names[split:], D("0.3"))] if split < count else []),
    )
    signals = {}
    for sleeve in sleeves:
        if draw(st.integers(0, 3)):
            of = [universe_of(traded)[name] for name in sleeve.universe]
            weights = {i: D(draw(st.integers(-40, 100))) / 100 / count for i in of}
            if draw(st.booleans()):
                weights.pop(next(iter(weights)))
            signals[sleeve.name] = replace(
                signal(sleeve.name, weights),
                coverage=draw(st.sampled_from(list(Coverage))),
                leverage=D(draw(st.sampled_from(["1", "1", "2.5"]))),
            )
    times = st.integers(-1, 2)
    lots = {
        sleeve.name: {n: account.quantity(n) * draw(times) + draw(times) for n in sleeve.universe}
        for sleeve in sleeves
    }
    values: dict[str, Any] = {
        "cash_reserve": D(draw(st.sampled_from(["0", "0.01", "0.1"]))),
        "leverage_cap": D(draw(st.sampled_from(["1", "0.7", "2"]))),
        "band_rule": draw(st.sampled_from(list(BandRule))),
        "band_relative": D(draw(st.sampled_from(["0", "0.1", "0.3"]))),
        "band_absolute": D(draw(st.sampled_from(["0", "0.002", "0.02"]))),
        "min_order_notional": D(draw(st.sampled_from(["0", "0", "100"]))),
        "limit_style": draw(st.sampled_from(list(LimitStyle))),
        "limit_offset_bps": D(draw(st.sampled_from(["0", "5", "-3", "33.25"]))),
        "allow_short": draw(st.booleans()),
        "order_type": draw(st.sampled_from([OrderType.LIMIT, OrderType.MARKET])),
    }
    return {
        "universe": Universe(traded),
        "sleeves": sleeves,
        "signals": signals,
        "sleeve_lots": draw(st.sampled_from([{}, lots])),
        "account": account,
        "market": MarketSnapshot(NOW, market),
        "parameters": PlanParameters(**(values | fixed)),
        "fees": fee_schedule(draw(st.sampled_from(FEE_SCHEDULES))),
    }


def universe_of(traded: list[Instrument]) -> Universe:
    return Universe(traded)


def planned(world: dict[str, Any], **more: Any) -> Plan:
    return plan_rebalance(**(world | {"now": NOW} | more))


many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(worlds())
def test_orders_skips_and_unchanged_are_the_universe(world: dict[str, Any]) -> None:
    plan = planned(world)
    ordered = {order.instrument for order in plan.orders}
    skipped = [skip.instrument for skip in plan.skips()]
    together = [*ordered, *skipped, *plan.unchanged()]
    assert sorted(together) == sorted(world["universe"].ids)
    assert [line.instrument for line in plan.lines()] == sorted(
        [*(order.instrument for order in plan.orders), *skipped, *plan.unchanged()]
    )
    assert all(line.reason for line in plan.lines())
    assert all(flag.code in FLAG_TABLE for flag in plan.flags)


@many
@given(worlds(funding=Funding.REFUSE))
def test_cash_after_all_orders_at_their_limits_stays_above_the_reserve(
    world: dict[str, Any],
) -> None:
    plan, account = planned(world), world["account"]
    ended = after(account, plan, world["universe"], world["fees"])
    opening = [order for order in plan.orders if not order.reducing]
    total = sum((amount * account.rates.rate(c) for c, amount in ended.cash.items()), D(0))
    if opening:
        assert total >= world["parameters"].cash_reserve * plan.capital
    assert all(ended.cash[order.currency] >= 0 for order in opening)


@many
@given(worlds(turnover_budget=None))
def test_planning_again_from_the_resulting_positions_finds_nothing_to_do(
    world: dict[str, Any],
) -> None:
    plan = planned(world)
    # What was cut to the venue's largest order goes on next hour, on purpose.
    assume(not any("largest order" in order.reason for order in plan.orders))
    ended = after(world["account"], plan, world["universe"], world["fees"])
    again = planned(world, account=ended)
    assert [(o.instrument, o.quantity, o.reason) for o in again.orders] == []


@many
@given(worlds())
def test_ticks_lots_and_minimums_are_exact(world: dict[str, Any]) -> None:
    plan = planned(world)
    for order in plan.orders:
        rules = world["universe"][order.instrument].rules
        market = order.order_type is OrderType.MARKET
        step = rules.market_step if market else rules.limit_step
        assert order.quantity != 0
        assert order.quantity % step == 0
        assert order.limit % rules.price_step(order.limit) == 0
        assert order.limit > 0
        assert abs(order.quantity) >= rules.min_size
        assert rules.max_size is None or abs(order.quantity) <= rules.max_size
        emptied = order.reducing and abs(order.current_quantity + order.quantity) < step
        if not (emptied and rules.reduce_only_exempt):
            instrument = world["universe"][order.instrument]
            worth = order.limit * instrument.multiplier / instrument.magnifier
            assert abs(order.quantity) * worth >= rules.min_notional


@many
@given(worlds())
def test_nothing_is_nan_and_sequence_is_complete(world: dict[str, Any]) -> None:
    plan = planned(world)
    for order in plan.orders:
        numbers = [order.current_weight, order.target_weight, order.notional, order.fee]
        assert np.isfinite(numbers).all()
        assert order.notional >= 0
        assert order.quantity.is_finite()
        assert order.limit.is_finite()
    assert [order.sequence for order in plan.orders] == list(range(1, len(plan.orders) + 1))
    keys = [(order.wave, -order.notional, order.instrument) for order in plan.orders]
    assert keys == sorted(keys)
    assert all(order.wave == (0 if order.reducing else 1) for order in plan.orders)
    for lots in plan.sleeve_lots.values():
        assert all(number.is_finite() for number in lots.values())


@many
@given(worlds())
def test_no_order_turns_or_overshoots(world: dict[str, Any]) -> None:
    plan = planned(world)
    shorts_allowed = world["parameters"].allow_short
    held = {i: world["account"].quantity(i) for i in world["universe"].ids}
    for order in plan.orders:
        before, now = held[order.instrument], held[order.instrument] + order.quantity
        if order.reducing:
            assert abs(now) < abs(before)
            assert before * now >= 0
        elif not shorts_allowed:
            assert order.quantity > 0
        held[order.instrument] = now


@many
@given(
    worlds(
        band_rule=BandRule.TARGET, leverage_cap=D(10) ** 9, funding=Funding.BORROW,
        borrow_limit=D(10) ** 12,
    )
)  # fmt: skip
def test_what_is_remembered_never_makes_an_order_larger(
    world: dict[str, Any],
) -> None:
    # Once as it is, once with everything that no signal speaks of out of its sleeve. No cap:
    # what is remembered counts in it, and then the others are scaled down, on purpose.
    signals = world["signals"]
    said = tuple(
        replace(each, universe=tuple(signals[each.name].targets))
        if signals[each.name].coverage is Coverage.PARTIAL
        else each
        for each in world["sleeves"]
        if each.name in signals
    )
    alone = total(planned(world, sleeves=said, sleeve_lots={}))
    kept = total(planned(world))
    for name, quantity in kept.items():
        assert quantity * alone[name] > 0
        assert abs(quantity) <= abs(alone[name])


def total(plan: Plan) -> dict[InstrumentId, Decimal]:
    quantities: dict[InstrumentId, Decimal] = {}
    for order in plan.orders:
        quantities[order.instrument] = quantities.get(order.instrument, D(0)) + order.quantity
    return quantities


@many
@given(worlds(), st.decimals("0.01", "0.5", places=2))
def test_turnover_stays_within_its_budget(world: dict[str, Any], budget: Decimal) -> None:
    bounded = replace(world["parameters"], turnover_budget=budget)
    plan = planned(world, parameters=bounded)
    traded = sum(order.notional for order in plan.orders)
    assert traded <= float(budget * plan.capital) * (1 + 1e-9)


@many
@given(worlds())
def test_gross_leverage_of_the_targets_stays_within_the_cap(world: dict[str, Any]) -> None:
    plan = planned(world)
    columns = plan.columns
    assert columns is not None
    unreachable = any(flag.code == "leverage-unreachable" for flag in plan.flags)
    untraded = ("no-signal", "not-covered", "kept")
    held = {skip.instrument for skip in plan.skips() if skip.code in untraded}
    gross = sum(
        abs(columns.current_weight[n] if name in held else columns.target_weight[n])
        for n, name in enumerate(columns.ids)
    )
    cap = float(world["parameters"].leverage_cap)
    assert unreachable or gross <= cap * (1 + 1e-8)
    if unreachable:
        assert all(order.reducing for order in plan.orders)


@given(
    weight=st.decimals("-1", "1", places=4),
    price=st.decimals("0.01", "500", places=2),
    lot=st.sampled_from(["1", "0.001", "100", "5"]),
)
@example(weight=D("0.5"), price=D("2"), lot="100")  # 250 units: 2.5 lots, rounds up to 3
@example(weight=D("-0.5"), price=D("2"), lot="100")  # and away from zero when short
@settings(deadline=None)
def test_target_sizes_round_half_up_on_the_lot(weight: Decimal, price: Decimal, lot: str) -> None:
    rules = TradingRules(limit_step=D(lot), market_step=D(lot), min_size=D(0))
    one = Instrument(InstrumentId("A.STK.USD@IB"), Kind.STOCK, "A", "USD", "XNYS", rules)
    plan = plan_rebalance(
        Universe([one]), (Sleeve("s", (one.id,), D(1)),), {"s": signal("s", {one: weight})}, {},
        AccountSnapshot("A", NOW, D(1000), {"USD": D(1000)}, FxRates("USD", {}), ()),
        MarketSnapshot(NOW, {one.id: Quote(one.id, NOW, price, price)}),
        exactly(allow_short=True), fee_schedule("none"), now=NOW,
    )  # fmt: skip
    exact = Fraction(1000) * Fraction(weight) / Fraction(price) / Fraction(D(lot))
    # ROUND_HALF_UP of the decimal module rounds halves away from zero, from enough digits
    halves = D(exact.numerator * 10**30 // exact.denominator).scaleb(-30)
    near = abs(abs(exact) % 1 - Fraction(1, 2)) < Fraction(1, 10**20)
    assume(not near or exact.denominator == 2)
    expected = halves.quantize(D(1), rounding=ROUND_HALF_UP) * D(lot)
    line = plan.lines()[0]
    assert line.target_quantity == expected
    if expected > 0:
        total: Decimal = sum((order.quantity for order in plan.orders), D(0))
        assert total <= expected
        assert total * price <= 1000


@many
@given(worlds())
def test_the_same_inputs_make_the_same_plan(world: dict[str, Any]) -> None:
    first, second = planned(world), planned(world)
    assert first.lines() == second.lines()
    assert first.orders == second.orders
    assert first.sleeve_lots == second.sleeve_lots

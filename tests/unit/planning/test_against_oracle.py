"""Plans of a few hundred drawn worlds are, order by order, what slow exact arithmetic says."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.orders import OrderType
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.planning import BandRule, Funding, LimitStyle, PlanParameters, plan_rebalance
from tests.unit.planning.oracle import Case, expected_orders, within_budgets
from tests.unit.planning.worlds import NOW, account, market, quote, signal, stock

D = Decimal
RATES = {"EUR": "1.25", "JPY": "0.0064"}
CHEAP = PriceLevel(D(0), D("0.0001")), PriceLevel(D(1), D("0.01")), PriceLevel(D(50), D("0.05"))
BIDS = ("0.5", "0.9999", "1", "2.5", "10", "20", "49.99", "50", "64", "128.05")
CENTS = (PriceLevel(D(0), D("0.01")),)


def instrument(rng: random.Random, n: int) -> Instrument:
    """Return a stock whose every rule may differ from those of others."""
    lot = D(rng.choice(("1", "1", "0.01", "5", "100", "0.25")))
    rules = TradingRules(
        rng.choice((CENTS, CHEAP)),
        lot,
        D(rng.choice((str(lot), str(lot * 4)))),
        min_size=lot * rng.choice((1, 1, 3)),
        max_size=rng.choice((None, None, lot * 40, lot * 40 + lot / 2)),
        min_notional=D(rng.choice(("0", "0", "5", "250"))),
        reduce_only_exempt=rng.random() < 0.5,
    )
    return stock(
        f"S{n}",
        rng.choice(("USD", "EUR", "JPY")),
        rules=rules,
        multiplier=D(rng.choice(("1", "1", "10"))),
        magnifier=D(rng.choice(("1", "1", "4", "100"))),
        shortable=rng.random() < 0.8,
    )


def case(seed: int, **changes: Any) -> Case:
    """Draw a world in which ties, reversals, dust and bands are common."""
    rng = random.Random(seed)
    some = [instrument(rng, n) for n in range(rng.choice((1, 2, 4)))]
    capital = rng.choice((1000, 4000, 12800, 100000))
    prices, held = [], {}
    for each in some:
        bid = D(
            rng.choice(("0.5", "0.9999", "1", "2.5", "10", "20", "49.99", "50", "64", "128.05"))
        )
        steps = [level.step for level in each.rules.price_levels if level.edge <= bid]
        bid = bid // steps[-1] * steps[-1]
        prices.append(quote(each, bid, bid + steps[-1] * rng.choice((0, 1, 2, 3, 7))))
        lots = rng.choice((0, 0, 1, 2, 3, 5, 10, 37, -1, -2, -8))
        extra = rng.choice((D(0), D(0), D(0), each.rules.limit_step / 2, D("0.001")))
        if lots or extra:
            held[each] = each.rules.limit_step * lots + extra
    values: dict[str, Any] = dict(
        cash_reserve=D(0),
        capital_share=D(rng.choice(("1", "0.5"))),
        leverage_cap=D(20),
        band_rule=rng.choice((BandRule.TARGET, BandRule.EDGE)),
        band_relative=D(rng.choice(("0", "0.1", "0.25"))),
        band_absolute=D(rng.choice(("0", "0.002", "0.0625"))),
        min_order_notional=D(rng.choice(("0", "0", "100", "1000"))),
        order_type=rng.choice((OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET)),
        limit_style=rng.choice(tuple(LimitStyle)),
        limit_offset_bps=D(rng.choice(("0", "5", "-5", "37.5", "1000"))),
        funding=Funding.BORROW,
        borrow_limit=D(10**15),
        allow_short=rng.random() < 0.7,
    )
    parameters = PlanParameters(**(values | changes))
    sleeves, signals, memory = _sleeves(rng, some)
    return Case(
        some,
        sleeves,
        signals,
        memory,
        account(str(capital), held, cash=dict.fromkeys(("USD", "EUR", "JPY"), "1e12"), rates=RATES),
        market(*prices),
        parameters,
        fee_schedule(rng.choice(("none", "ib-fixed", "binance-spot"))),
    )


def _sleeves(
    rng: random.Random, some: list[Instrument]
) -> tuple[tuple[Sleeve, ...], dict[str, Signal], dict[str, Mapping[InstrumentId, Decimal]]]:
    sleeves, signals = [], {}
    memory: dict[str, Mapping[InstrumentId, Decimal]] = {}
    for name in ("a", "b")[: rng.choice((1, 1, 2))]:
        share = D(rng.choice(("0.5", "0.25", "0.4")))
        part = [each for each in some if rng.random() < 0.85] or some[:1]
        sleeves.append(Sleeve(name, tuple(each.id for each in part), share))
        memory[name] = {
            each.id: each.rules.limit_step * rng.choice((0, 1, 4, -3))
            for each in part
            if rng.random() < 0.7
        }
        if rng.random() < 0.2:
            continue
        lots = rng.random() < 0.35
        targets = {
            each: (
                each.rules.limit_step * rng.choice((0, 1, 2, 7, -4)) / rng.choice((1, 2, 4))
                if lots
                else D(rng.choice(("0", "0.05", "0.1", "0.125", "0.25", "-0.1", "-0.25")))
            )
            for each in part
            if rng.random() < 0.8
        }
        signals[name] = signal(
            name,
            targets,
            unit=Unit.LOTS if lots else Unit.WEIGHT,
            leverage=D(1) if lots else D(rng.choice(("1", "2", "0.5"))),
            coverage=rng.choice((Coverage.COMPLETE, Coverage.PARTIAL)),
        )
    return tuple(sleeves), signals, memory


@pytest.mark.parametrize("first", range(0, 600, 50))
def test_orders_are_those_of_exact_arithmetic(first: int) -> None:
    scaled: list[int] = []
    for seed in range(first, first + 50):
        drawn = case(seed)
        made = plan_rebalance(
            Universe(drawn.instruments), drawn.sleeves, drawn.signals, drawn.memory, drawn.account,
            drawn.market, drawn.parameters, drawn.fees, now=NOW,
        )  # fmt: skip
        if any(flag.code.startswith("leverage") for flag in made.flags):
            scaled.append(seed)  # what is held alone is worth more than twenty times the capital
            continue
        wanted = expected_orders(drawn)
        found = {(order.instrument, order.reducing): order for order in made.orders}
        assert len(found) == len(made.orders)
        assert found.keys() == wanted.keys(), seed
        for key, order in found.items():
            should = wanted[key]
            assert Fraction(order.quantity) == should.quantity, (seed, key)
            assert Fraction(order.limit) == should.limit, (seed, key)
            assert Fraction(order.target_quantity) == should.target, (seed, key)
            assert order.notional == pytest.approx(float(should.notional), rel=1e-12), (seed, key)
            assert order.fee == pytest.approx(float(should.fee), rel=1e-9, abs=1e-12), (seed, key)
            assert order.current_weight == pytest.approx(float(should.current_weight)), (seed, key)
            assert order.target_weight == pytest.approx(float(should.target_weight)), (seed, key)
    assert len(scaled) < 5


def poor(seed: int) -> tuple[Case, Decimal]:
    """Draw a world whose orders are more than turnover or cash allow, and what was turned over."""
    rng = random.Random(f"poor {seed}")
    changes: dict[str, Any] = {
        "cash_reserve": D(rng.choice(("0", "0.01", "0.1"))),
        "turnover_budget": rng.choice((None, D("0.05"), D("0.2"), D("1"))),
    }
    if rng.random() < 0.4:
        changes |= {"funding": Funding.REFUSE}
    else:
        changes |= {"borrow_limit": D(rng.choice(("100", "1000")))}
    drawn = case(seed, **changes)
    worth = drawn.account.net_liquidation
    cash = {name: worth * D(rng.choice(("0", "0.02", "0.1", "0.3", "-0.05", "1"))) for name in
            ("USD", "EUR", "JPY")}  # fmt: skip
    settled = None
    if rng.random() < 0.3:
        settled = {name: amount * D(rng.choice(("0", "0.5", "2"))) for name, amount in cash.items()}
    holding = replace(drawn.account, cash=cash, settled_cash=settled)
    used = worth * D(rng.choice(("0", "0", "0.03", "2")))
    return replace(drawn, account=holding), used


@pytest.mark.parametrize("first", range(0, 800, 50))
def test_budgets_are_those_of_exact_arithmetic(first: int) -> None:
    bound = 0
    for seed in range(first, first + 50):
        drawn, used = poor(seed)
        made = plan_rebalance(
            Universe(drawn.instruments), drawn.sleeves, drawn.signals, drawn.memory, drawn.account,
            drawn.market, drawn.parameters, drawn.fees, now=NOW, turnover_used=used,
        )  # fmt: skip
        if any(flag.code.startswith("leverage") for flag in made.flags):
            continue
        wanted = expected_orders(drawn)
        left = within_budgets(drawn, wanted, used)
        found = {(o.instrument, o.reducing): Fraction(o.quantity) for o in made.orders}
        assert found == left, seed
        bound += left != {key: order.quantity for key, order in wanted.items()}
        fees = {(o.instrument, o.reducing): o.fee for o in made.orders}
        for key, quantity in left.items():
            each = next(one for one in drawn.instruments if one.id == key[0])
            limit = next(o.limit for o in made.orders if (o.instrument, o.reducing) == key)
            fee = drawn.fees.order_fee(each, D(float(quantity)), limit).amount
            rate = drawn.account.rates.rate(each.currency)
            assert fees[key] == pytest.approx(float(fee * rate), rel=1e-6, abs=1e-9), (seed, key)
    assert bound >= 5


def test_the_drawn_worlds_have_what_matters() -> None:
    """The test above could not fail for what is never drawn."""
    plans = [expected_orders(case(seed)) for seed in range(600)]
    orders = [order for each in plans for order in each.values()]
    assert sum(len(each) == 0 for each in plans) > 30
    assert sum(order.reducing for order in orders) > 200
    assert sum(order.quantity < 0 and not order.reducing for order in orders) > 30
    reversals = [each for each in plans if len({name for name, _ in each}) < len(each)]
    assert len(reversals) > 20

"""What a band rule costs: against measured figures, and which rule is cheaper where."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.model.fees import FeeSchedule, fee_schedule
from rebalancer.model.plan import Plan
from rebalancer.model.records import BandCost
from rebalancer.planning import BandRule
from tests.unit.planning.worlds import account, exactly, market, plan, quote, ruled, stock

D = Decimal
TWENTY = [stock(f"S{n:02}") for n in range(20)]
ONE_DOLLAR = fee_schedule(
    "ib-fixed", per_share="0", minimum="1", cap="1", sec_rate="0", activity_per_share="0",
    audit_per_share="0",
)  # fmt: skip


def twenty_stocks(
    capital: str, fees: FeeSchedule, *, band: str = "0.10", rule: BandRule = BandRule.CHEAPER,
    lot: str = "0.001", ask: str = "20.00",
) -> Plan:  # fmt: skip
    """Plan 5 % in each of 20 stocks at 20 dollars, looked at daily, 25 % volatility a year."""
    stocks = [stock(s.symbol, rules=ruled("0.01", lot)) for s in TWENTY]
    parameters = exactly(
        band_rule=rule, band_relative=D(band), yearly_volatility=0.25, runs_per_year=252.0
    )
    targets = dict.fromkeys(stocks, "0.05")
    prices = market(*(quote(s, "20.00", ask) for s in stocks))
    holding = account(capital, cash={"USD": D(capital) * 2})
    return plan(stocks, targets, holding, prices, parameters, fees)


@pytest.mark.parametrize(
    ("band", "target_orders", "target_turnover", "edge_orders", "edge_turnover"),
    [
        # Measured per year on 20 US stocks, 1990 to 2022, daily, equal weights: a band of
        # 5, 10 and 20 % of the target, orders and (bought and sold) turnover.
        ("0.05", 351, 1.19, 852, 0.64),
        ("0.10", 117, 0.72, 471, 0.38),
        ("0.20", 34, 0.39, 269, 0.23),
    ],
)
def test_the_model_is_near_what_was_measured_on_real_prices(
    band: str,
    target_orders: float,
    target_turnover: float,
    edge_orders: float,
    edge_turnover: float,
) -> None:
    target, edge = twenty_stocks("100000", ONE_DOLLAR, band=band).band_costs
    assert (target.rule, edge.rule) == ("target", "edge")
    assert target.orders == pytest.approx(target_orders, rel=0.20)
    assert edge.orders == pytest.approx(edge_orders, rel=0.20)
    # A random walk without drift turns over a little less than real prices did.
    assert target.turnover == pytest.approx(target_turnover, rel=0.30)
    assert edge.turnover == pytest.approx(edge_turnover, rel=0.40)


def test_target_is_cheaper_where_an_order_has_a_minimum_fee() -> None:
    # 100,000 USD and one dollar an order: measured 13 bps a year to target, 48 to the edge.
    made = twenty_stocks("100000", ONE_DOLLAR)
    target, edge = made.band_costs
    assert target.cost_bps == pytest.approx(target.orders / 100_000 * 1e4)
    assert 8 < target.cost_bps < 13
    assert 40 < edge.cost_bps < 60
    assert {order.reason.rpartition(" ")[2] for order in made.orders} == {"target"}


def test_edge_is_cheaper_where_costs_are_proportional() -> None:
    # 10 basis points a trade: measured 7.2 bps a year to target, 3.8 to the edge.
    made = twenty_stocks("100000", fee_schedule("binance-spot"))
    target, edge = made.band_costs
    assert target.cost_bps == pytest.approx(target.turnover * 10)
    assert edge.cost_bps == pytest.approx(edge.turnover * 10)
    assert edge.cost_bps == pytest.approx(target.cost_bps / 2)
    assert {order.reason.rpartition(" ")[2] for order in made.orders} == {"edge"}


def test_the_order_of_the_rules_is_that_of_the_measured_table() -> None:
    def costs(band: str) -> tuple[BandCost, ...]:
        return twenty_stocks("100000", ONE_DOLLAR, band=band).band_costs

    small, middle, wide = costs("0.05"), costs("0.10"), costs("0.20")
    by_cost = sorted([*small, *middle, *wide], key=lambda cost: cost.cost_bps)
    # Measured: 4.2 (20 % target), 13 (10 % target), 27, 37, 48, 86 (5 % edge).
    assert by_cost == [wide[0], middle[0], wide[1], small[0], middle[1], small[1]]


def test_half_the_spread_is_a_cost_of_every_trade() -> None:
    # 20.00 to 20.02: half the spread is 0.01 / 20.01 = 4.9975 bps of what is traded.
    target, _ = twenty_stocks("100000", fee_schedule("none"), ask="20.02").band_costs
    assert target.cost_bps == pytest.approx(target.turnover * 1e4 * 0.01 / 20.01)


def test_orders_of_at_least_one_lot_are_expected() -> None:
    # A lot of 100 shares is 2,000 = 40 % of each position of 5,000: wider than the band.
    target, edge = twenty_stocks("100000", ONE_DOLLAR, lot="100").band_costs
    assert target.turnover / target.orders == pytest.approx(0.02)
    assert edge.turnover / edge.orders == pytest.approx(0.02)


def test_both_costs_are_told_whatever_the_rule() -> None:
    made = twenty_stocks("100000", ONE_DOLLAR, rule=BandRule.EDGE)
    assert [cost.rule for cost in made.band_costs] == ["target", "edge"]
    assert {order.reason.rpartition(" ")[2] for order in made.orders} == {"edge"}


def test_no_band_costs_at_most_an_order_each_run() -> None:
    target, edge = twenty_stocks("100000", ONE_DOLLAR, band="0").band_costs
    assert max(target.orders, edge.orders) <= 20 * 252


def test_without_targets_nothing_costs_anything() -> None:
    made = plan(TWENTY, {}, account("1000"), market(*(quote(s, "20") for s in TWENTY)))
    assert [(cost.cost_bps, cost.orders) for cost in made.band_costs] == [(0.0, 0.0)] * 2

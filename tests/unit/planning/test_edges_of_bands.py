"""The edge of a band to the last lot, and what a plan says of what stays inside."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.model.instrument import Instrument, InstrumentId, Kind, PriceSign
from rebalancer.model.plan import Why
from rebalancer.planning import BandRule
from tests.unit.planning.worlds import (
    account,
    exactly,
    market,
    plan,
    quote,
    ruled,
    stock,
    wanted,
)

D = Decimal
A, B = stock("A"), stock("B")
FINE = stock("F", rules=ruled("0.01", "0.00000001"))


@pytest.mark.parametrize(
    ("held", "order"), [("40", None), ("39", D(11)), ("60", None), ("61", D(-11))]
)
def test_the_edge_of_an_absolute_band_is_inside(held: str, order: Decimal | None) -> None:
    # 50 % of 1,000 at 10 are 50 shares; 10 % of capital to either side are 10 of them.
    made = plan([A], {A: "0.5"}, account("1000", {A: held}, {"USD": "900"}),
                market(quote(A, "10")), exactly(band_absolute=D("0.1")))  # fmt: skip
    assert wanted(made).get("A") == order


@pytest.mark.parametrize(
    ("held", "order"),
    [
        ("40", None),
        ("39.99999999", D("10.00000001")),
        ("60", None),
        ("60.00000001", D("-10.00000001")),
    ],
)
def test_a_ten_billionth_outside_is_outside(held: str, order: Decimal | None) -> None:
    made = plan([FINE], {FINE: "0.5"}, account("1000", {FINE: held}, {"USD": "900"}),
                market(quote(FINE, "10")), exactly(band_absolute=D("0.1")))  # fmt: skip
    assert wanted(made).get("F") == order


@pytest.mark.parametrize(("held", "order"), [("448", None), ("447", 2), ("446", 3)])
def test_to_the_edge_is_one_lot_further_than_the_edge_itself(held: str, order: int | None) -> None:
    # Half of 1,024 at 1 are 512; an eighth of that is 64: from 448 on it is inside. The edge
    # itself would be a hair too little for the next run.
    made = plan(
        [A, B], {A: "0.5", B: "0"}, account("1024", {A: held}), market(quote(A, "1")),
        exactly(band_relative=D("0.125"), band_rule=BandRule.EDGE),
    )  # fmt: skip
    assert wanted(made).get("A") == (None if order is None else D(order))


@pytest.mark.parametrize(
    ("held", "target", "band", "why"),
    [
        ("50", "0.5", "0", Why.AT_TARGET),
        ("50", "0.5", "0.1", Why.AT_TARGET),
        ("49", "0.5", "0.1", Why.INSIDE_BAND),
        # 50.4 shares: 50 are the nearest whole number, though not the weight itself.
        ("50", "0.504", "0", Why.AT_TARGET),
        ("0", "0", "0.1", Why.AT_TARGET),
        ("50.2", "0.5", "0", Why.ROUNDS_TO_HELD),
    ],
)
def test_what_is_left_alone_says_whether_it_is_there_or_near(
    held: str, target: str, band: str, why: Why
) -> None:
    made = plan([A], {A: target}, account("1000", {A: held}), market(quote(A, "10")),
                exactly(band_relative=D(band)))  # fmt: skip
    assert made.orders == ()
    assert made.columns is not None
    assert [Why(code) for code in made.columns.why.tolist()] == [why]


def test_what_is_not_held_has_no_weight_whether_it_has_a_price_or_not() -> None:
    made = plan([A, B], {A: "0.5"}, account("1000", {A: "9"}), market(quote(A, "10")))
    assert made.columns is not None
    assert made.columns.current_weight.tolist() == [0.09, 0.0]


def test_a_spread_costs_the_same_on_either_side_of_zero() -> None:
    # 2 cents at 20: 0.01 / 20.01 of what is traded, whoever pays.
    costs = []
    for bid, ask, target in (("20.00", "20.02", "0.5"), ("-20.02", "-20.00", "-0.5")):
        each = Instrument(
            InstrumentId("S.STK.USD@IB"), Kind.STOCK, "S", "USD", "XNYS",
            price_sign=PriceSign.ANY,
        )  # fmt: skip
        made = plan([each], {each: target}, account("1000"), market(quote(each, bid, ask)),
                    exactly(band_relative=D("0.1")))  # fmt: skip
        costs.append(made.band_costs[0])
    assert costs[0].cost_bps == pytest.approx(costs[0].turnover * 1e4 * 0.01 / 20.01)
    assert costs[1].cost_bps == pytest.approx(costs[0].cost_bps)

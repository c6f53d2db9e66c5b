"""To zero by command: what is ordered, at which price, and in how many pieces."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument
from rebalancer.model.orders import Action, OrderIntent, OrderType
from rebalancer.model.plan import Plan
from rebalancer.model.rules import TradingRules
from rebalancer.model.universe import Universe
from rebalancer.planning import LimitStyle, PlanParameters, in_chunks, plan_flatten
from tests.unit.planning.worlds import NOW, account, market, perpetual, quote, stock

D = Decimal
A, B = stock("AAA"), stock("BBB")
COIN = perpetual("BTCUSDT")


def flat(
    held: dict[Instrument, str], *only: Instrument, quotes: dict[Instrument, tuple[str, str]]
) -> Plan:
    universe = Universe(list(held))
    names = [each.id for each in (only or tuple(held))]
    return plan_flatten(
        universe,
        names,
        account("100000", dict(held), cash={"USD": "1000", "USDT": "1000"}, rates={"USDT": "1"}),
        market(*(quote(name, *sides) for name, sides in quotes.items())),
        PlanParameters(
            order_type=OrderType.POST_ONLY, limit_style=LimitStyle.PASSIVE,
            limit_offset_bps=D(0), turnover_budget=D("0.01"), min_order_notional=D(10**9),
        ),
        fee_schedule("ib-fixed"),
        now=NOW,
    )  # fmt: skip


def test_holdings_go_to_zero_whatever_the_planner_is_set_to() -> None:
    plan = flat({A: "120", B: "-30"}, quotes={A: ("99.90", "100.10"), B: ("20.00", "20.02")})
    orders = {order.instrument: order for order in plan.orders}
    assert {name: order.quantity for name, order in orders.items()} == {A.id: D(-120), B.id: D(30)}
    # Five basis points beyond the other side, on the cent, away from us:
    # 99.90 x 0.9995 = 99.85005, 20.02 x 1.0005 = 20.03001.
    assert orders[A.id].limit == D("99.85")
    assert orders[B.id].limit == D("20.04")
    assert all(order.order_type is OrderType.LIMIT for order in plan.orders)
    assert all(order.reducing and order.target_quantity == 0 for order in plan.orders)
    assert plan.sleeve_lots == {}


def test_what_was_not_named_is_left_as_it_is() -> None:
    plan = flat({A: "120", B: "30"}, A, quotes={A: ("99", "100"), B: ("20", "21")})
    assert [order.instrument for order in plan.orders] == [A.id]
    assert [line.action for line in plan.lines()] == [Action.SELL, Action.NOTHING]
    assert plan.flags == ()


def test_without_a_price_nothing_is_ordered_and_it_is_said() -> None:
    plan = flat({A: "120", B: "30"}, quotes={A: ("99", "100")})
    assert [order.instrument for order in plan.orders] == [A.id]
    assert [(flag.code, flag.subject) for flag in plan.flags] == [("price-missing", B.id)]


def test_a_fraction_of_a_share_that_cannot_be_sold_stays() -> None:
    plan = flat({A: "120.5"}, quotes={A: ("99", "100")})
    assert [order.quantity for order in plan.orders] == [D(-120)]


def order_of(size: str) -> OrderIntent:
    plan = flat({A: size}, quotes={A: ("99", "100")})
    return plan.orders[0]


@pytest.mark.parametrize(
    ("size", "largest", "chunk", "count"),
    [
        ("100", None, -100, 1),
        ("100", "100", -100, 1),
        ("100", "99", -50, 2),
        ("100", "34", -34, 3),  # 34 + 34 + 32
        ("100", "33", -25, 4),
        ("7", "2.9", -2, 4),  # three pieces would be 3, 3 and 1: too large
        ("100", "0.5", -100, 1),  # not even one share: the gate says so
        ("100", "0", -100, 1),
        ("-100", "40", 34, 3),
    ],
)
def test_a_large_holding_goes_in_equal_pieces(
    size: str, largest: str | None, chunk: int, count: int
) -> None:
    limit = None if largest is None else D(largest)
    ((part, pieces),) = in_chunks([order_of(size)], Universe([A]), {A.id: limit})
    assert (part.quantity, pieces) == (D(chunk), count)


@given(
    size=st.integers(1, 10**6), largest=st.decimals("0.01", "100000", places=2),
    step=st.sampled_from(["1", "5", "100"]),
)  # fmt: skip
def test_pieces_are_whole_lots_within_the_bound_and_add_up(
    size: int, largest: Decimal, step: str
) -> None:
    lot = TradingRules(limit_step=D(step), market_step=D(step), min_size=D(step))
    universe = Universe([replace(A, rules=lot)])
    left, first = D(size) * D(step), order_of("1")
    for _ in range(5):
        if not left:
            return
        whole = replace(first, quantity=-left)
        ((part, pieces),) = in_chunks([whole], universe, {A.id: largest})
        assert 0 < -part.quantity <= left
        assert part.quantity % D(step) == 0
        if part.quantity != whole.quantity:
            assert -part.quantity <= largest
            assert pieces * -part.quantity >= left
        left += part.quantity


def test_an_order_to_zero_says_whose_wish_it_is_and_estimates_no_bands() -> None:
    plan = flat({A: "120"}, quotes={A: ("99", "100")})
    assert [order.reason for order in plan.orders] == ["to zero, by the owner's command"]
    assert plan.band_costs == ()


@pytest.mark.parametrize("share", ["1", "0.001"])
def test_what_capital_is_invested_does_not_matter(share: str) -> None:
    # A position worth 12,000; a thousandth of what there is would be 100, at most 50 are sized.
    plan = plan_flatten(
        Universe([A]), [A.id], account("100000", {A: "120"}, cash={"USD": "0"}),
        market(quote(A, "99", "101")), PlanParameters(capital_share=D(share), capital_max=D(50)),
        fee_schedule("none"), now=NOW,
    )  # fmt: skip
    (order,) = plan.orders
    assert order.quantity == D(-120)
    assert order.current_weight == 0.12  # of net liquidation: 120 x 100 / 100,000
    assert plan.capital == 100_000


def test_a_holding_worth_less_than_a_coin_goes_too() -> None:
    # 1 at 0.40 is 40 cents: the venue minds, the owner's own minimum does not count here.
    plan = flat({A: "1"}, quotes={A: ("0.40", "0.41")})
    assert [order.quantity for order in plan.orders] == [D(-1)]


def test_a_piece_has_its_part_of_worth_and_fee() -> None:
    whole = replace(order_of("100"), notional=10_000.0, fee=8.0)
    ((part, pieces),) = in_chunks([whole], Universe([A]), {A.id: D(25)})
    assert (part.quantity, part.notional, part.fee, pieces) == (D(-25), 2_500.0, 2.0, 4)
    assert replace(part, quantity=whole.quantity, notional=10_000.0, fee=8.0) == whole


@pytest.mark.parametrize(
    ("size", "largest", "step", "least", "chunk", "count"),
    [
        # Lots of 5: three pieces of 33.3 are 35, too large; so 30, and four of them.
        ("100", "34", "5", "5", -30, 4),
        ("100", "35", "5", "5", -35, 3),
        ("100", "0.75", "0.5", "0.5", D("-0.5"), 200),
        ("1", "0.75", "0.5", "0.5", D("-0.5"), 2),
        # Below the smallest order it stays whole, at it it does not.
        ("100", "20", "5", "20", -20, 5),
        ("100", "20", "5", "21", -100, 1),
    ],
)
def test_pieces_are_whole_lots_not_below_the_smallest_order(
    size: str, largest: str, step: str, least: str, chunk: Decimal, count: int
) -> None:
    rules = TradingRules(limit_step=D(step), market_step=D(step), min_size=D(least))
    order = replace(order_of("1"), quantity=-D(size))
    universe = Universe([replace(A, rules=rules)])
    ((part, pieces),) = in_chunks([order], universe, {A.id: D(largest)})
    assert (part.quantity, pieces) == (D(chunk), count)

"""What a plan says of itself: reasons, columns, flags and what is remembered, word by word."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from rebalancer.model.account import Position
from rebalancer.model.fees import fee_schedule
from rebalancer.model.flags import RUN, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import TimeInForce
from rebalancer.model.plan import Why
from rebalancer.model.signals import Coverage, Unit
from rebalancer.model.universe import Universe
from rebalancer.planning import BandRule, Funding, LimitStyle, PlanParameters
from rebalancer.planning.columns import compile_universe
from rebalancer.planning.funding import Purse, purse
from rebalancer.planning.live import read_live
from rebalancer.planning.sizing import sizing_capital
from tests.unit.planning.worlds import (
    NOW,
    account,
    exactly,
    market,
    perpetual,
    plan,
    quote,
    ruled,
    signal,
    sleeve,
    stock,
)

D = Decimal
A, B, C = stock("A"), stock("B"), stock("C")
EURO = stock("SAP", "EUR")


# ---------------------------------------------------------------------------- reasons


@pytest.mark.parametrize(
    ("held", "target", "parameters", "reason"),
    [
        # 10 each, 1,000 in all: 25 held are 25 %.
        ("25", "0.5", exactly(), "weight 25.00 %, wanted 50.00 %: to target"),
        ("25", "0", exactly(), "weight 25.00 %, wanted 0.00 %: wanted at zero"),
        (
            "25", "0.5", exactly(band_relative=D("0.25")),
            "weight 25.00 %, wanted 50.00 %: outside the band of 12.50 %, to its target",
        ),
        (
            "25", "0.5", exactly(band_relative=D("0.25"), band_rule=BandRule.EDGE),
            "weight 25.00 %, wanted 50.00 %: outside the band of 12.50 %, to its edge",
        ),
        (
            "25", "0", exactly(band_relative=D("0.25")),
            "weight 25.00 %, wanted 0.00 %: wanted at zero",
        ),
        (
            "25", "0.5", exactly(turnover_budget=D("0.1")),
            "weight 25.00 %, wanted 50.00 %: to target; less than wished: "
            + Why.TURNOVER.sentence,
        ),
    ],
)  # fmt: skip
def test_an_order_says_why(held: str, target: str, parameters: PlanParameters, reason: str) -> None:
    holding = account("1000", {A: held}, cash={"USD": "1000"})
    made = plan([A], {A: target}, holding, market(quote(A, "10")), parameters)
    assert [order.reason for order in made.orders] == [reason]


def test_an_order_of_what_the_venue_closes_says_so() -> None:
    gone = replace(A, leaving="it is delisted")
    made = plan([gone], {gone: "1"}, account("1000", {gone: "25"}), market(quote(gone, "10")))
    assert [order.reason for order in made.orders] == [
        "weight 25.00 %, wanted 0.00 %: closed whatever the signals say, because it is delisted"
    ]


def test_an_order_lives_as_long_as_it_is_set_to() -> None:
    made = plan([A], {A: "0.5"}, account("1000"), market(quote(A, "10")),
                exactly(time_in_force=TimeInForce.GTC))  # fmt: skip
    assert [order.time_in_force for order in made.orders] == [TimeInForce.GTC]


# ---------------------------------------------------------------------------- columns


def test_the_columns_of_a_reversal_are_its_first_order_and_both_quantities() -> None:
    # A: 3 held, wanted -2; B: bought; C: nothing to do. The close goes first, B second.
    made = plan(
        [A, B, C], {A: "-0.02", B: "0.03", C: "0"}, account("1000", {A: "3"}),
        market(quote(A, "9", "11"), quote(B, "10"), quote(C, "10")),
        exactly(allow_short=True, limit_style=LimitStyle.PASSIVE),
    )  # fmt: skip
    columns = made.columns
    assert columns is not None
    assert [(o.instrument[0], o.quantity, o.part) for o in made.orders] == [
        ("A", D(-3), 0), ("B", D(3), 0), ("A", D(-2), 1),
    ]  # fmt: skip
    assert columns.delta.tolist() == [-5, 3, 0]
    assert columns.sequence.tolist() == [1, 2, -1]
    # Prices in thousandths: one digit more than a cent has.
    assert columns.limit.tolist() == [11_000, 10_000, 0]
    assert columns.reference.tolist() == [10_000, 10_000, 10_000]
    assert columns.targeted.tolist() == [True, True, True]
    for each in (columns.delta, columns.sequence, columns.limit, columns.why, columns.held):
        assert each.dtype == np.int64


def test_what_cannot_be_sized_is_not_targeted() -> None:
    # B has no price, and of C more is wanted than integers hold: 0.9 x 10^15 / 0.01.
    made = plan(
        [A, B, C], {A: "0.01", B: "0.01", C: "0.9"}, account("1000000000000000"),
        market(quote(A, "10"), quote(C, "0.01")),
    )  # fmt: skip
    assert made.columns is not None
    assert made.columns.targeted.tolist() == [True, False, False]
    assert [Why(code) for code in made.columns.why.tolist()] == [
        Why.ORDER, Why.NO_QUOTE, Why.OUT_OF_RANGE,
    ]  # fmt: skip
    flags = [(flag.step, flag.code, flag.subject, flag.message) for flag in made.flags]
    assert flags == [
        (Step.ORDER_FILE, "price-missing", B.id, Why.NO_QUOTE.sentence),
        (Step.ORDER_FILE, "out-of-range", C.id, Why.OUT_OF_RANGE.sentence),
    ]


def test_a_plan_without_capital_says_so_and_holds_everything() -> None:
    made = plan([A, B], {A: "1"}, account("-5", {A: "3"}), market(quote(A, "10"), quote(B, "20")))
    assert (made.at, made.net_liquidation, made.capital) == (NOW, D(-5), D(-5))
    assert made.orders == ()
    (flag,) = made.flags
    assert (flag.step, flag.code, flag.subject) == (Step.ORDER_FILE, "net-liquidation-invalid", RUN)
    assert flag.message == "sizing capital is -5; nothing can be sized with it"
    columns = made.columns
    assert columns is not None
    for each, values in (
        (columns.held, [3, 0]), (columns.target, [0, 0]), (columns.delta, [0, 0]),
        (columns.limit, [0, 0]), (columns.sequence, [-1, -1]),
        (columns.why, [Why.NO_CAPITAL] * 2),
    ):  # fmt: skip
        assert each.tolist() == values
        assert each.dtype == np.int64
    assert columns.targeted.tolist() == [False, False]
    assert columns.targeted.dtype == np.bool_
    assert np.isnan(columns.current_weight).all() and np.isnan(columns.target_weight).all()


# ---------------------------------------------------------------------------- flags


def test_flags_say_what_bound_the_targets() -> None:
    prices = market(quote(A, "1"), quote(B, "1"))
    capped = plan([A, B], {A: "0.8", B: "0.8"}, account("1000", cash={"USD": "5000"}), prices)
    assert [(f.step, f.subject, f.message) for f in capped.flags] == [
        (
            Step.TARGETS, RUN,
            "targets had a gross leverage of 1.6000; scaled by 0.6250 to 1.0000 because of the "
            "leverage cap",
        )
    ]  # fmt: skip
    poor = plan([A, B], {A: "0.5", B: "0.5"}, account("1000"), prices,
                exactly(cash_reserve=D("0.1")))  # fmt: skip
    assert [f.message for f in poor.flags] == [
        "targets had a gross leverage of 1.0000; scaled by 0.9000 to 0.9000 because of cash and "
        "its reserve"
    ]


def test_a_cap_that_cannot_be_reached_is_told_with_what_keeps_it() -> None:
    made = plan(
        [A, B], None, account("1000", {B: "120"}, {"USD": "0"}),
        market(quote(A, "1"), quote(B, "10")),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [B], "0.5")),
        signals={"a": signal("a", {A: "0"})}, lots={"b": {B.id: D(130)}},
    )  # fmt: skip
    assert ("leverage-unreachable", Step.TARGETS, RUN) in [
        (f.code, f.step, f.subject) for f in made.flags
    ]
    words = next(f.message for f in made.flags if f.code == "leverage-unreachable")
    assert words == (
        "what is held and not decided on keeps gross leverage at 1.2000 or cannot be valued; only "
        "reductions were planned"
    )


def test_what_is_not_managed_and_not_valued_is_named() -> None:
    strange = [Position(InstrumentId(f"{n}.STK.USD@IB"), D(1), "USD") for n in ("ZZ", "YY")]
    made = plan([A], {A: "0.5"}, account("1000", others=tuple(strange)), market(quote(A, "10")))
    flag = next(f for f in made.flags if f.code == "price-missing")
    assert (flag.step, flag.subject) == (Step.ORDER_FILE, RUN)
    assert flag.message == (
        "unmanaged positions without a known value: YY.STK.USD@IB, ZZ.STK.USD@IB; only reductions "
        "planned"
    )


def test_a_stale_rate_is_told_once_with_its_currency() -> None:
    more = stock("ASML", "EUR")
    holding = account("10000", None, {"USD": "5000", "EUR": "4000"}, {"EUR": "1"})
    made = plan([EURO, more], {EURO: "0.1", more: "0.1"}, holding,
                market(quote(EURO, "10"), quote(more, "10")), rates_since=NOW)  # fmt: skip
    assert [(f.step, f.subject, f.message) for f in made.flags] == [
        (
            Step.ORDER_FILE, "currency:EUR",
            "the rate of EUR is older than a session; nothing was bought in it",
        )
    ]  # fmt: skip


# ---------------------------------------------------------------------------- memory


def test_a_sleeve_alone_remembers_whole_lots_and_others_fractions() -> None:
    # Both want 0.2 x 0.5 of 1,000 in A at 30: 3.333333 each, 6.67 together; b alone wants B.
    made = plan(
        [A, B], None, account("1000"), market(quote(A, "30"), quote(B, "30")),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [A, B], "0.5")),
        signals={"a": signal("a", {A: "0.2"}), "b": signal("b", {A: "0.2", B: "0.2"})},
    )  # fmt: skip
    assert made.sleeve_lots == {
        "a": {A.id: D("3.333333")},
        "b": {A.id: D("3.333333"), B.id: D(3)},
    }


def test_lots_are_remembered_as_they_are_scaled() -> None:
    # 100 of A and 100 of B at 10 are twice the capital: half of each.
    made = plan(
        [A, B], None, account("1000", cash={"USD": "9000"}), market(quote(A, "10"), quote(B, "10")),
        sleeves=(sleeve("a", [A, B], "1"), sleeve("b", [A, B], "1")),
        signals={"a": signal("a", {A: "100", B: "100"}, unit=Unit.LOTS), "b": signal("b", {})},
    )  # fmt: skip
    assert made.sleeve_lots["a"] == {A.id: D(50), B.id: D(50)}
    assert made.sleeve_lots["b"] == {A.id: D(0), B.id: D(0)}


def test_zero_is_remembered_as_zero() -> None:
    made = plan([A], {A: "0"}, account("1000", {A: "5"}), market(quote(A, "10")))
    assert made.sleeve_lots == {"s": {A.id: D(0)}}
    assert made.sleeve_lots["s"][A.id].as_tuple() == D(0).as_tuple()


def test_sleeves_without_a_signal_are_skipped_and_those_behind_them_remembered() -> None:
    made = plan(
        [A, B], None, account("1000", {A: "5"}), market(quote(A, "10"), quote(B, "10")),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [B], "0.5")),
        signals={"b": signal("b", {B: "0.2"})}, lots={"a": {A.id: D(5)}},
    )  # fmt: skip
    assert made.sleeve_lots == {"b": {B.id: D(10)}}


@pytest.mark.parametrize("known", [True, False])
def test_what_cannot_be_sized_keeps_what_was_remembered_or_nothing(known: bool) -> None:
    memory = {"a": {A.id: D(7)}} if known else {}
    made = plan(
        [A], None, account("1000"), market(),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [A], "0.5")),
        signals={"a": signal("a", {A: "0.2"}), "b": signal("b", {A: "0.2"})}, lots=memory,
    )  # fmt: skip
    assert made.sleeve_lots == {"a": {A.id: D(7)} if known else {}, "b": {}}


def test_a_partial_signal_remembers_what_it_leaves_out() -> None:
    made = plan(
        [A, B], None, account("1000", {B: "4"}), market(quote(A, "10"), quote(B, "10")),
        signals={"s": signal("s", {A: "0.2"}, coverage=Coverage.PARTIAL)}, lots={"s": {B.id: D(4)}},
    )  # fmt: skip
    assert made.sleeve_lots == {"s": {A.id: D(20), B.id: D(4)}}


# ---------------------------------------------------------------------------- the purse


def have(parameters: PlanParameters, **more: object) -> Purse:
    """Return the purse of an account worth 1,000 with instruments in dollars and euros."""
    holding = account("1000", rates={"EUR": "1.25", "JPY": "0.01"}, **more)  # type: ignore[arg-type]
    universe = Universe([A, EURO])
    live = read_live(compile_universe(universe), holding, market(), NOW, None)
    capital = sizing_capital(holding, universe.index, parameters)
    return purse(holding, live, capital, parameters)


def test_the_purse_is_cash_at_its_rates_less_the_reserve() -> None:
    # 400 + 80 x 1.25 + 1,000 x 0.01 - 5 % of 1,000 = 460; currencies EUR, USD.
    found = have(exactly(cash_reserve=D("0.05")), cash={"USD": "400", "EUR": "80", "JPY": "1000"})
    assert found == Purse(D(460), (D(80), D(400)), True)


def test_the_purse_may_go_below_zero_by_what_may_be_borrowed() -> None:
    # 100 base are 80 euros.
    words = exactly(funding=Funding.BORROW, borrow_limit=D(100))
    assert have(words, cash={"USD": "400"}) == Purse(D(500), (D(80), D(500)), True)
    refuse = exactly(funding=Funding.REFUSE, borrow_limit=D(100))
    assert have(refuse, cash={"USD": "400"}) == Purse(D(400), (D(0), D(400)), True)


def test_only_settled_cash_is_in_the_purse_and_none_that_is_not_told() -> None:
    found = have(exactly(), cash={"USD": "400", "EUR": "80"}, settled_cash={"USD": D(300)})
    assert found == Purse(D(300), (D(0), D(300)), False)
    more = have(exactly(), cash={"USD": "400"}, settled_cash={"USD": D(500)})
    assert more == Purse(D(400), (D(0), D(400)), False)


def test_cash_without_a_rate_counts_for_nothing_and_a_debt_for_everything() -> None:
    assert have(exactly(), cash={"USD": "400", "XXX": "1000"}).total == 400
    assert have(exactly(), cash={"USD": "400", "XXX": "0"}).total == 400
    assert have(exactly(), cash={"USD": "400", "XXX": "0.5"}).total == 400
    assert have(exactly(), cash={"USD": "400", "XXX": "-0.5"}).total < -(10**8)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_cash_that_is_no_number_leaves_nothing_to_spend(number: str) -> None:
    found = have(exactly(), cash={"USD": "400", "EUR": number})
    assert found.own == (D(0), D(400))
    assert found.total < -(10**8)


# ---------------------------------------------------------------------------- costs of bands


def test_an_instrument_that_nobody_wants_changes_no_estimate() -> None:
    words = exactly(band_relative=D("0.1"))
    prices = market(quote(A, "20"), quote(B, "20", "21"))
    one = plan([A], {A: "0.5"}, account("1000"), prices, words, fee_schedule("ib-fixed"))
    two = plan([A, B], {A: "0.5"}, account("1000"), prices, words, fee_schedule("ib-fixed"))
    assert one.band_costs == two.band_costs
    assert one.band_costs[0].orders > 0


def test_a_fee_in_euros_costs_more_dollars() -> None:
    # The same position: a fee of 1 dollar an order, or the 3 euros of Europe, 3.75 dollars.
    fees = fee_schedule(
        "ib-fixed", per_share="0", minimum="1", cap="1", sec_rate="0", activity_per_share="0",
        audit_per_share="0",
    )  # fmt: skip
    words, rates = exactly(band_relative=D("0.1")), {"EUR": "1.25"}
    dollars = plan([A], {A: "0.5"}, account("1000", rates=rates), market(quote(A, "25")), words,
                   fees)  # fmt: skip
    euros = plan([EURO], {EURO: "0.5"}, account("1000", rates=rates), market(quote(EURO, "20")),
                 words, fees)  # fmt: skip
    for one, other in zip(dollars.band_costs, euros.band_costs, strict=True):
        assert other.orders == pytest.approx(one.orders)
        assert other.cost_bps == pytest.approx(one.cost_bps * 3.75)


def test_an_absolute_band_is_a_part_of_the_target() -> None:
    # 0.05 around a target of 0.5 is a tenth of it.
    prices, holding = market(quote(A, "20", "21")), account("1000")
    relative = plan([A], {A: "0.5"}, holding, prices, exactly(band_relative=D("0.1")))
    absolute = plan([A], {A: "0.5"}, holding, prices, exactly(band_absolute=D("0.05")))
    assert absolute.band_costs == relative.band_costs


def test_when_both_rules_cost_the_same_the_target_is_taken() -> None:
    words = exactly(band_relative=D("0.1"), band_rule=BandRule.CHEAPER)
    made = plan([A], {A: "0.5"}, account("1000"), market(quote(A, "10")), words)
    assert [cost.cost_bps for cost in made.band_costs] == [0.0, 0.0]
    assert "to its target" in made.orders[0].reason


# ---------------------------------------------------------------------------- shorts and marks


def test_a_short_without_a_quote_is_set_aside_at_the_venues_own_mark() -> None:
    # 100 short of A, which the venue values at 1,200 in all: of 2,000 in cash 800 are ours.
    short = Position(A.id, D(-100), "USD", value=D(-1200))
    holding = account("2000", cash={"USD": "2000"}, others=(short,))
    made = plan(
        [A, B], None, holding, market(quote(B, "10")), exactly(leverage_cap=D(5)),
        sleeves=(sleeve("a", [A], "0.4"), sleeve("b", [B], "0.6")),
        signals={"b": signal("b", {B: "1.6"})}, lots={"a": {A.id: D(-100)}},
    )  # fmt: skip
    assert {o.instrument[0]: o.quantity for o in made.orders} == {"B": D(80)}


def test_a_perpetual_that_is_short_sets_nothing_aside() -> None:
    coin = perpetual("BTCUSDT", rules=ruled("0.1", "0.001"))
    holding = account("1000", {coin: "-1"}, cash={"USD": "1000", "USDT": "0"}, rates={"USDT": "1"})
    made = plan(
        [coin, A], {coin: "-0.1", A: "0.9"}, holding, market(quote(coin, "100"), quote(A, "10")),
        exactly(allow_short=True, leverage_cap=D(5)),
    )  # fmt: skip
    assert {o.instrument[0]: o.quantity for o in made.orders} == {"A": D(90)}

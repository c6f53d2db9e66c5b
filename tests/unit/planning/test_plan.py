"""One rule at a time, with numbers that can be followed by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.errors import DataError
from rebalancer.model.account import Position
from rebalancer.model.fees import fee_schedule
from rebalancer.model.flags import Severity, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.market import Freshness
from rebalancer.model.orders import Action, OrderType, Skip
from rebalancer.model.plan import UNCHANGED, Plan, Why
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.signals import Coverage, Unit
from rebalancer.model.universe import Universe
from rebalancer.planning import BandRule, Funding, LimitStyle, PlanParameters, plan_rebalance
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
    wanted,
    why,
)

D = Decimal
A, B, C = stock("A"), stock("B"), stock("C")
EURO = stock("SAP", "EUR")


def flags(made: Plan) -> set[tuple[str, str]]:
    return {(flag.code, flag.subject) for flag in made.flags}


# ---------------------------------------------------------------------------- sizes


def test_twenty_equal_stocks_are_sized_by_hand() -> None:
    # 5 % of 100,000 = 5,000 each; price 10 + 7n: floor(5,000 / price + 1/2) shares.
    stocks = [stock(f"S{n:02}") for n in range(20)]
    prices = {s: 10 + 7 * n for n, s in enumerate(stocks)}
    made = plan(
        stocks,
        dict.fromkeys(stocks, "0.05"),
        account("100000", cash={"USD": "200000"}),
        market(*(quote(s, str(price)) for s, price in prices.items())),
    )
    expected = [
        500, 294, 208, 161, 132, 111, 96, 85, 76, 68, 63, 57, 53, 50, 46, 43, 41, 39, 37, 35,
    ]  # fmt: skip
    assert [wanted(made)[s.symbol] for s in stocks] == expected
    assert made.capital == 100_000
    assert made.sleeve_lots["s"][stocks[0].id] == 500


def test_halves_round_up_exactly() -> None:
    # 0.11 x 1000 / 8.80 = 12.5 -> 13; in floats it is 12.499999999999998 -> 12.
    made = plan([A], {A: "0.11"}, account("1000"), market(quote(A, "8.80")))
    assert wanted(made) == {"A": D(13)}
    # And away from zero for a short: 0.7 x 1000 / 40 = 17.5 -> -18.
    short = plan(
        [A], {A: "-0.7"}, account("1000"), market(quote(A, "40")), exactly(allow_short=True)
    )
    assert wanted(short) == {"A": D(-18)}


def test_rounding_up_stays_within_the_cash_left() -> None:
    # Both want 500 / 90.90 = 5.5006 shares -> 6 each = 1,090.80, but there are only 1,000.
    made = plan([A, B], {A: "0.5", B: "0.5"}, account("1000"), market(
        quote(A, "90.90"), quote(B, "90.90")))  # fmt: skip
    # The first in order of notional and id gets its six, the second what is left: 454.60 -> 5.
    assert wanted(made) == {"A": D(6), "B": D(5)}
    assert "not funded" in made.orders[1].reason


def test_multiplier_magnifier_and_rate_make_the_exposure() -> None:
    # 800 pence x 10 / 100 = 80 pounds a contract, 100 dollars at 1.25: 50 % of 10,000 = 50.
    vod = stock("VOD", "GBP", multiplier=D(10), magnifier=D(100))
    holding = account("10000", cash={"GBP": "8000"}, rates={"GBP": "1.25"})
    assert wanted(plan([vod], {vod: "0.5"}, holding, market(quote(vod, "800")))) == {"VOD": D(50)}


def test_sizing_capital_is_a_share_of_what_is_managed_and_at_most_its_cap() -> None:
    other = Position(InstrumentId("ZZZ.STK.EUR@IB"), D(10), "EUR", value=D(10_000))
    holding = account("100000", rates={"EUR": "1.10"}, others=(other,))
    half = plan([A], {A: "1"}, holding, market(quote(A, "10")), exactly(capital_share=D("0.5")))
    assert half.capital == D("44500")  # (100,000 - 10,000 x 1.10) / 2
    capped = plan([A], {A: "1"}, holding, market(quote(A, "10")), exactly(capital_max=D(5000)))
    assert wanted(capped) == {"A": D(500)}


def test_an_unmanaged_position_without_a_value_allows_reductions_only() -> None:
    other = Position(InstrumentId("ZZZ.STK.USD@IB"), D(10), "USD")
    holding = account("10000", {A: "10"}, {"USD": "5000"}, others=(other,))
    made = plan([A, B], {B: "0.5"}, holding, market(quote(A, "10"), quote(B, "10")))
    assert wanted(made) == {"A": D(-10)}
    assert why(made) == {"B": "reduce-only"}
    assert ("price-missing", "") in flags(made)


@pytest.mark.parametrize("worth", ["0", "-5"])
def test_without_capital_everything_is_held(worth: str) -> None:
    made = plan([A], {A: "1"}, account(worth, {A: "3"}), market(quote(A, "10")))
    assert made.orders == ()
    assert why(made) == {"A": "no-capital"}
    assert [flag.severity for flag in made.flags] == [Severity.HALT]
    assert made.lines()[0].current_quantity == 3


def test_a_lot_larger_than_one_is_kept() -> None:
    board = stock("B7203", rules=ruled("1", "100"))
    made = plan([board], {board: "0.5"}, account("1000000"), market(quote(board, "1900")))
    assert wanted(made) == {"B7203": D(300)}  # 500,000 / 1,900 = 263 -> 2.63 lots -> 3


def test_market_orders_use_the_market_lot() -> None:
    coarse = stock("X", rules=replace(ruled("0.01", "1"), market_step=D(10)))
    made = plan(
        [coarse], {coarse: "0.5"}, account("1000"), market(quote(coarse, "9")),
        exactly(order_type=OrderType.MARKET),
    )  # fmt: skip
    assert wanted(made) == {"X": D(60)}  # 55.56 -> 5.556 lots of ten -> 6


def test_orders_are_cut_to_the_venues_largest() -> None:
    small = stock("X", rules=ruled(max_size=D(30)))
    made = plan([small], {small: "0.5"}, account("1000"), market(quote(small, "10")))
    assert wanted(made) == {"X": D(30)}
    assert "largest order" in made.orders[0].reason


# ---------------------------------------------------------------------------- sleeves


def test_sleeves_are_netted_by_share_and_leverage() -> None:
    # a: 0.6 x 0.5 x 1 = 30 %; b: 0.4 x -0.5 x 0.5 = -10 %: together 20 % of 10,000 = 2,000.
    made = plan(
        [A], None, account("10000"), market(quote(A, "10")),
        sleeves=(sleeve("a", [A], "0.6"), sleeve("b", [A], "0.4")),
        signals={
            "a": signal("a", {A: "0.5"}),
            "b": signal("b", {A: "-0.5"}, leverage=D("0.5")),
        },
    )  # fmt: skip
    assert wanted(made) == {"A": D(200)}
    assert made.sleeve_lots["a"] == {A.id: D("300")}
    assert made.sleeve_lots["b"] == {A.id: D("-100")}


def test_lots_are_units_whatever_the_share() -> None:
    said = {"unit": Unit.LOTS}
    made = plan(
        [A], {A: "7"}, account("10000"), market(quote(A, "10")), said=said,
        sleeves=(sleeve("s", [A], "0.1"),),
    )  # fmt: skip
    assert wanted(made) == {"A": D(7)}


def test_what_a_complete_signal_does_not_list_is_wanted_at_zero() -> None:
    made = plan(
        [A, B], {A: "0.5"}, account("1000", {B: "9"}), market(quote(A, "10"), quote(B, "10"))
    )
    assert wanted(made) == {"A": D(50), "B": D(-9)}
    assert made.sleeve_lots["s"] == {A.id: D(50), B.id: D(0)}


def test_what_a_partial_signal_does_not_list_is_held_whatever_is_remembered() -> None:
    made = plan(
        [A, B, C], {A: "0.5"}, account("1000", {B: "9", C: "4"}),
        market(quote(A, "10"), quote(B, "10"), quote(C, "10")),
        said={"coverage": Coverage.PARTIAL}, lots={"s": {B.id: D(6)}},
    )  # fmt: skip
    assert wanted(made) == {"A": D(50)}
    assert why(made) == {"B": "kept", "C": "not-covered"}
    assert made.sleeve_lots["s"] == {A.id: D(50), B.id: D(6)}


@pytest.mark.parametrize("held", ["0", "3", "6", "9", "-2", "6.5"])
@pytest.mark.parametrize("remembered", ["6", "0", "-4"])
def test_a_sleeve_without_a_signal_is_held_as_it_is_not_as_it_was_wanted(
    held: str, remembered: str
) -> None:
    made = plan(
        [A], None, account("1000", {A: held}), market(quote(A, "10")),
        lots={"s": {A.id: D(remembered)}},
    )  # fmt: skip
    assert made.orders == ()
    assert made.skips() == (Skip(A.id, "kept", Why.KEPT.sentence),)
    assert made.sleeve_lots == {}


def test_a_signal_file_that_lists_nothing_buys_nothing_that_is_remembered() -> None:
    made = plan(
        [A, B], {}, account("1000", {B: "4"}), market(quote(A, "10"), quote(B, "10")),
        said={"coverage": Coverage.PARTIAL}, lots={"s": {A.id: D(50), B.id: D(50)}},
    )  # fmt: skip
    assert made.orders == ()
    assert why(made) == {"A": "kept", "B": "kept"}


@pytest.mark.parametrize(
    ("weight", "remembered", "held", "order"),
    [
        # a wants 30 % of 1,000 at 10: 30 shares; b gave no signal and may keep up to 60 more.
        ("0.3", "60", "0", 30),  # what a wants, and nothing for b
        ("0.3", "60", "20", 10),
        ("0.3", "60", "30", 0),  # anything from 30 to 90 is right
        ("0.3", "60", "55", 0),
        ("0.3", "60", "90", 0),
        ("0.3", "60", "100", -10),  # more than both: that is a's to sell
        ("0", "60", "0", 0),  # a wants none of it
        ("0", "60", "100", -40),
        ("-0.3", "60", "0", 0),  # -30 to 30
        ("-0.3", "60", "60", -30),
        ("-0.3", "60", "-40", 10),
        ("0.3", "-60", "0", 0),
        ("0.3", "-60", "-60", 30),
        ("0.3", "-60", "40", -10),
        ("0.3", "0", "0", 30),
    ],
)
def test_netted_with_a_signal_what_is_remembered_is_kept_as_far_as_it_is_held(
    weight: str, remembered: str, held: str, order: int
) -> None:
    made = plan(
        [A], None, account("1000", {A: held}, {"USD": "9999"}), market(quote(A, "10")),
        exactly(allow_short=True),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [A], "0.5")),
        signals={"a": signal("a", {A: weight}, leverage=D(2))}, lots={"b": {A.id: D(remembered)}},
    )  # fmt: skip
    assert wanted(made) == ({"A": D(order)} if order else {})


def test_two_sleeves_without_a_signal_do_not_undo_each_other() -> None:
    # One may keep 60, the other -20; only the 60 were reached: nothing of them is sold.
    made = plan(
        [A], None, account("1000", {A: "60"}), market(quote(A, "10")),
        sleeves=(sleeve("a", [A], "0.4"), sleeve("b", [A], "0.3"), sleeve("c", [A], "0.3")),
        signals={"a": signal("a", {A: "0"})}, lots={"b": {A.id: D(60)}, "c": {A.id: D(-20)}},
    )  # fmt: skip
    assert made.orders == ()


def test_the_cap_counts_what_may_be_kept_at_its_most() -> None:
    # a wants -150 %, b may keep 150 %: short 150 or nothing. At two thirds: -100 to 50 %.
    made = plan(
        [A], None, account("1000", {A: "-150"}, {"USD": "2500"}), market(quote(A, "10")),
        exactly(allow_short=True),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [A], "0.5")),
        signals={"a": signal("a", {A: "-1.5"}, leverage=D(2))}, lots={"b": {A.id: D(150)}},
    )  # fmt: skip
    assert wanted(made) == {"A": D(50)}
    assert flags(made) == {("leverage-capped", "")}


def test_a_sleeve_with_neither_signal_nor_lots_holds_its_instruments_for_everybody() -> None:
    made = plan(
        [A, B], None, account("1000", {A: "9"}), market(quote(A, "10"), quote(B, "10")),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [A, B], "0.5")),
        signals={"b": signal("b", {A: "0", B: "0.8"})},
    )  # fmt: skip
    assert wanted(made) == {"B": D(40)}
    assert made.skips() == (Skip(A.id, "no-signal", Why.NO_SIGNAL.sentence),)


def test_an_instrument_of_no_sleeve_is_held_without_a_flag() -> None:
    other = Position(B.id, D(9), "USD", value=D(90))
    made = plan([A, B], {A: "0"}, account("1000", others=(other,)), market(quote(A, "10")),
                sleeves=(sleeve("s", [A]),))  # fmt: skip
    assert why(made) == {"B": "no-sleeve"}
    assert made.flags == ()


def test_a_sleeve_over_an_unknown_instrument_is_an_error() -> None:
    with pytest.raises(DataError, match=r"sleeve s: B\.STK\.USD@IB is not in the universe"):
        plan([A], {}, account("1000"), market(), sleeves=(sleeve("s", [A, B]),))


# ---------------------------------------------------------------------------- leverage


def test_targets_are_scaled_down_to_the_leverage_cap() -> None:
    made = plan(
        [A, B], {A: "0.8", B: "0.8"}, account("1000", cash={"USD": "5000"}),
        market(quote(A, "1"), quote(B, "1")), exactly(leverage_cap=D("0.8")),
    )  # fmt: skip
    assert wanted(made) == {"A": D(400), "B": D(400)}
    assert [(f.code, f.step, f.severity) for f in made.flags] == [
        ("leverage-capped", Step.TARGETS, Severity.NOTE)
    ]
    assert "1.6000; scaled by 0.5000 to 0.8000" in made.flags[0].message


def test_the_cap_scales_only_sleeves_with_a_signal() -> None:
    # b keeps 60 shares of 10 = 60 %; a wants 0.5 x 1.2 = 60 % and gets the 40 % that are left.
    made = plan(
        [A, B], None, account("1000", {B: "60"}, {"USD": "400"}),
        market(quote(A, "1"), quote(B, "10")),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [B], "0.5")),
        signals={"a": signal("a", {A: "1.2"})}, lots={"b": {B.id: D(60)}},
    )  # fmt: skip
    assert wanted(made) == {"A": D(400)}
    assert why(made) == {"B": "kept"}


def test_a_short_hedge_of_a_held_sleeve_lowers_leverage() -> None:
    # Held: +150 % of A. The signal wants -60 % of A: |1.5 - 0.6| = 0.9 is within the cap.
    made = plan(
        [A], None, account("1000", {A: "150"}, {"USD": "-500"}), market(quote(A, "10")),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [A], "0.5")),
        signals={"a": signal("a", {A: "-1.2"})}, lots={"b": {A.id: D(150)}},
    )  # fmt: skip
    assert wanted(made) == {"A": D(-60)}
    assert made.flags == ()


def test_when_held_sleeves_exceed_the_cap_only_reductions_are_planned() -> None:
    made = plan(
        [A, B, C], None, account("1000", {A: "5", B: "120"}, {"USD": "0"}),
        market(quote(A, "1"), quote(B, "10"), quote(C, "1")),
        sleeves=(sleeve("a", [A, C], "0.5"), sleeve("b", [B], "0.5")),
        signals={"a": signal("a", {A: "0.001", C: "0.3"})}, lots={"b": {B.id: D(130)}},
    )  # fmt: skip
    assert wanted(made) == {"A": D(-5)}
    assert why(made) == {"B": "kept"}  # C is scaled to nothing
    assert ("leverage-unreachable", "") in flags(made)


def test_targets_that_leave_no_reserve_are_scaled_evenly() -> None:
    made = plan(
        [A, B], {A: "0.5", B: "0.5"}, account("1000"), market(quote(A, "1"), quote(B, "1")),
        exactly(cash_reserve=D("0.1")),
    )  # fmt: skip
    assert wanted(made) == {"A": D(450), "B": D(450)}
    assert "cash and its reserve" in made.flags[0].message


def test_perpetuals_need_no_cash_but_their_fee() -> None:
    btc = perpetual("BTCUSDT", rules=ruled("0.1", "0.001"))
    made = plan(
        [btc], {btc: "2"}, account("1000", cash={"USDT": "1000"}, rates={"USDT": "1"}),
        market(quote(btc, "50000")), exactly(leverage_cap=D(3)), fee_schedule("binance-usdm"),
    )  # fmt: skip
    assert wanted(made) == {"BTCUSDT": D("0.04")}


# ---------------------------------------------------------------------------- bands


def band(rule: BandRule, **more: Any) -> PlanParameters:
    return exactly(band_rule=rule, band_relative=D("0.1"), **more)


@pytest.mark.parametrize(
    ("held", "rule", "order"),
    [
        # Target 50 % of 1,000 at 1.00: 500; the band is 450 to 550.
        ("450", BandRule.TARGET, None),
        ("550", BandRule.TARGET, None),
        ("449", BandRule.TARGET, 51),
        ("449", BandRule.EDGE, 1),
        ("551", BandRule.TARGET, -51),
        ("551", BandRule.EDGE, -1),
        ("300", BandRule.EDGE, 150),
        ("0", BandRule.EDGE, 450),
    ],
)
def test_orders_go_where_the_bands_rule_says(held: str, rule: BandRule, order: int | None) -> None:
    made = plan([A], {A: "0.5"}, account("1000", {A: held}), market(quote(A, "1")), band(rule))
    # The edge rule may go one lot further inwards than the edge itself.
    got = wanted(made).get("A")
    assert got == order or (rule is BandRule.EDGE and got is not None and order is not None
                            and abs(got) - abs(order) == 1)  # fmt: skip
    assert (order is None) == (made.unchanged() == (A.id,))


def test_the_wider_of_both_bands_holds() -> None:
    parameters = band(BandRule.TARGET, band_absolute=D("0.2"))
    made = plan([A], {A: "0.5"}, account("1000", {A: "301"}), market(quote(A, "1")), parameters)
    assert made.lines()[0].reason == Why.INSIDE_BAND.sentence


def test_a_target_of_zero_has_no_band() -> None:
    parameters = band(BandRule.EDGE, band_absolute=D("0.2"))
    made = plan([A], {A: "0"}, account("1000", {A: "1"}), market(quote(A, "1")), parameters)
    assert wanted(made) == {"A": D(-1)}


def test_a_lot_wider_than_the_band_does_not_swing() -> None:
    # One share is 60 % of capital, the target 50 %: nearest is one share, and there it stays.
    parameters = band(BandRule.EDGE)
    made = plan([A], {A: "0.5"}, account("1000", {A: "1"}), market(quote(A, "600")), parameters)
    assert made.orders == ()
    assert made.unchanged() == (A.id,)


# ---------------------------------------------------------------------------- dust, turnover


def test_orders_below_a_minimum_are_dust_and_say_so() -> None:
    cheap = stock("X", rules=ruled(min_notional=D(50)))
    few = stock("Y", rules=ruled(min_size=D(5)))
    made = plan(
        [A, cheap, few], {A: "0.03", cheap: "0.04", few: "0.04"}, account("1000"),
        market(quote(A, "10"), quote(cheap, "10"), quote(few, "10")),
        exactly(min_order_notional=D(31)),
    )  # fmt: skip
    assert why(made) == {"A": "dust", "X": "dust", "Y": "dust"}
    assert {skip.reason for skip in made.skips()} == {
        Why.DUST_NOTIONAL.sentence, Why.DUST_SIZE.sentence,
    }  # fmt: skip


def test_a_minimum_that_is_met_exactly_is_met() -> None:
    # 0.14 / 0.20 = 0.7 units; in floats 0.7000000000000001, which seven tenths do not reach.
    exact = stock("X", rules=ruled("0.01", "0.1", min_notional=D("0.14")))
    made = plan([exact], {exact: "0.14"}, account("1"), market(quote(exact, "0.20")))
    assert wanted(made) == {"X": D("0.7")}
    more = stock("X", rules=ruled("0.01", "0.1", min_notional=D("0.1401")))
    made = plan([more], {more: "0.14"}, account("1"), market(quote(more, "0.20")))
    assert why(made) == {"X": "dust"}


def test_closing_is_exempt_from_the_minimum_where_the_venue_says_so() -> None:
    exempt = stock("X", rules=ruled(min_notional=D(50), reduce_only_exempt=True))
    strict = stock("Y", rules=ruled(min_notional=D(50)))
    made = plan(
        [exempt, strict], {}, account("1000", {exempt: "2", strict: "2"}),
        market(quote(exempt, "10"), quote(strict, "10")),
    )  # fmt: skip
    assert wanted(made) == {"X": D(-2)}
    assert why(made) == {"Y": "dust"}


def test_a_fraction_of_a_lot_is_never_sent() -> None:
    made = plan([A, B], {}, account("1000", {A: "10.75", B: "0.5"}),
                market(quote(A, "10"), quote(B, "10")))  # fmt: skip
    assert wanted(made) == {"A": D(-10)}
    assert why(made) == {"B": "dust"}
    assert made.lines()[0].current_quantity == D("10.75")


def test_turnover_goes_to_reductions_first_and_is_cut_off() -> None:
    made = plan(
        [A, B, C], {B: "0.6", C: "0.2"}, account("1000", {A: "30"}, {"USD": "1000"}),
        market(quote(A, "10"), quote(B, "10"), quote(C, "10")),
        exactly(turnover_budget=D("0.8")), turnover_used=D(100),
    )  # fmt: skip
    # 800 - 100 = 700: 300 for the sale of A, 400 for B (wanted 600), nothing for C.
    assert wanted(made) == {"A": D(-30), "B": D(40)}
    assert why(made) == {"C": "turnover"}
    assert Why.TURNOVER.sentence in made.orders[1].reason


# ---------------------------------------------------------------------------- shorts, waves


def test_reductions_go_first_then_larger_ones_then_ids() -> None:
    made = plan(
        [A, B, C], {B: "0.2", C: "0.2"}, account("1000", {A: "10"}, {"USD": "900"}),
        market(quote(A, "1"), quote(B, "1"), quote(C, "1")),
    )  # fmt: skip
    got = [(o.sequence, o.wave, o.instrument[0], o.reducing) for o in made.orders]
    assert got == [(1, 0, "A", True), (2, 1, "B", False), (3, 1, "C", False)]


def test_a_reversal_is_two_orders() -> None:
    made = plan([A], {A: "-0.5"}, account("1000", {A: "20"}), market(quote(A, "10")),
                exactly(allow_short=True))  # fmt: skip
    got = [(o.quantity, o.part, o.wave, o.reducing) for o in made.orders]
    assert got == [(D(-20), 0, 0, True), (D(-50), 1, 1, False)]
    assert [line.quantity for line in made.lines()] == [20, 50]


def test_shorts_are_refused_unless_owner_and_venue_allow_them() -> None:
    barred = stock("X", shortable=False)
    targets = {A: "-0.5", barred: "-0.2"}
    prices = market(quote(A, "10"), quote(barred, "10"))
    made = plan([A, barred], targets, account("1000", {A: "20"}), prices)
    assert wanted(made) == {"A": D(-20)}
    assert Why.SHORT_REFUSED.sentence in made.orders[0].reason
    allowed = plan([A, barred], targets, account("1000"), prices, exactly(allow_short=True))
    assert wanted(allowed) == {"A": D(-50)}
    assert why(allowed) == {"X": "short-refused"}


def test_an_old_short_may_be_reduced_without_permission() -> None:
    made = plan([A], {A: "-0.1"}, account("1000", {A: "-20"}), market(quote(A, "10")))
    assert wanted(made) == {"A": D(10)}
    assert made.orders[0].reducing


# ---------------------------------------------------------------------------- funding


def test_buys_beyond_the_cash_are_not_funded() -> None:
    # 425 of cash for 300 + 200 + 100; the largest first: 300, then 120 buys 12 of 20, then none.
    made = plan(
        [A, B, C], {A: "0.3", B: "0.2", C: "0.1"}, account("1000", cash={"USD": "425"}),
        market(quote(A, "10"), quote(B, "10"), quote(C, "10")),
    )  # fmt: skip
    assert wanted(made) == {"A": D(30), "B": D(12)}
    assert why(made) == {"C": "not-funded"}


def test_fees_are_paid_from_the_same_cash() -> None:
    # 100 shares of 10 and a fee of 1 need 1,001: only 99 shares can be paid for.
    flat = fee_schedule(
        "ib-fixed", per_share="0", cap="1", audit_per_share="0", sec_rate="0", minimum="1"
    )
    made = plan([A], {A: "1"}, account("1000"), market(quote(A, "10")), fees=flat)
    assert wanted(made) == {"A": D(99)}
    assert made.orders[0].fee == 1.0


def test_expected_proceeds_count_unless_they_must_settle() -> None:
    holding = account("1000", {A: "50"}, {"USD": "500"})
    prices = market(quote(A, "10"), quote(B, "10"))
    assert wanted(plan([A, B], {B: "0.9"}, holding, prices))["B"] == 90
    cash_account = replace(holding, settled_cash={"USD": D(450)})
    assert wanted(plan([A, B], {B: "0.9"}, cash_account, prices))["B"] == 45


def test_refuse_keeps_every_currency_above_zero_and_borrow_lets_it_go_lower() -> None:
    holding = account("10000", cash={"USD": "9900", "EUR": "100"}, rates={"EUR": "1"})
    prices = market(quote(EURO, "10"))
    refused = plan([EURO], {EURO: "0.5"}, holding, prices)
    assert wanted(refused) == {"SAP": D(10)}
    assert Why.NOT_FUNDED.sentence in refused.orders[0].reason
    borrowed = plan([EURO], {EURO: "0.5"}, holding, prices,
                    exactly(funding=Funding.BORROW, borrow_limit=D(1000)))  # fmt: skip
    assert wanted(borrowed) == {"SAP": D(110)}


def test_proceeds_of_shorts_are_not_spent() -> None:
    # 1,000 of cash came from the short: nothing of it buys B.
    holding = account("1000", {A: "-100"}, {"USD": "1100"})
    made = plan([A, B], {A: "-1", B: "0.5"}, holding, market(quote(A, "10"), quote(B, "10")),
                exactly(allow_short=True, leverage_cap=D(2)))  # fmt: skip
    assert wanted(made) == {"B": D(10)}


def test_what_a_short_brings_above_its_value_is_there_for_the_buys_of_the_same_run() -> None:
    # Sold at the ask, 100 x 10.10 = 1,010 come in and 100 x 10.05 are set aside: 5 are left,
    # with the 200 of cash enough for 20 of B at 10.25; B is larger, yet the sale comes first.
    made = plan(
        [A, B], {A: "-0.5025", B: "0.8"}, account("2000", cash={"USD": "200"}),
        market(quote(A, "10.00", "10.10"), quote(B, "10.25")),
        exactly(allow_short=True, limit_style=LimitStyle.PASSIVE, leverage_cap=D(2)),
    )  # fmt: skip
    assert wanted(made) == {"A": D(-100), "B": D(20)}
    assert [order.instrument[0] for order in made.orders] == ["A", "B"]


def test_a_debt_that_cannot_be_valued_stops_buys() -> None:
    holding = account("1000", cash={"USD": "1000", "XXX": "-1"})
    made = plan([A], {A: "0.5"}, holding, market(quote(A, "10")))
    assert why(made) == {"A": "not-funded"}


def test_an_old_rate_stops_the_buys_of_its_currency_only() -> None:
    holding = account("10000", {EURO: "10"}, {"USD": "5000", "EUR": "4000"}, {"EUR": "1"})
    prices = market(quote(A, "10"), quote(EURO, "10"))
    since = NOW - timedelta(minutes=30)
    made = plan([A, EURO], {A: "0.1", EURO: "0.1"}, holding, prices, rates_since=since)
    assert wanted(made) == {"A": D(100)}
    assert why(made) == {"SAP": "rate-stale"}
    assert flags(made) == {("rate-stale", "currency:EUR")}
    sold = plan([A, EURO], {A: "0.1"}, holding, prices, rates_since=since)
    assert wanted(sold) == {"A": D(100), "SAP": D(-10)}


# ---------------------------------------------------------------------------- bad prices


@pytest.mark.parametrize(
    ("bid", "ask", "more", "reason"),
    [
        ("10", None, {}, Why.CROSSED),
        (None, "10", {}, Why.ONE_SIDED),
        ("10.01", "10.00", {}, Why.CROSSED),
        ("0", "0.01", {}, Why.NOT_POSITIVE),
        ("-1", "1", {}, Why.NOT_POSITIVE),
        ("NaN", "10", {}, Why.ONE_SIDED),
        ("10", "Infinity", {}, Why.ONE_SIDED),
        ("sNaN", "10", {}, Why.ONE_SIDED),
        ("10", "10", {"freshness": Freshness.DELAYED}, Why.DELAYED),
        ("10", "10", {"freshness": Freshness.FROZEN}, Why.DELAYED),
        ("1e15", "1e15", {}, Why.OUT_OF_RANGE),
    ],
)
def test_an_unusable_quote_holds_its_instrument(
    bid: str | None, ask: str | None, more: dict[str, Any], reason: Why
) -> None:
    bad = quote(A, bid, ask, **more) if ask else replace(quote(A, "10"), ask=None)
    expected = reason if ask else Why.ONE_SIDED
    made = plan([A, B], {A: "0.5", B: "0.1"}, account("1000", {A: "9"}),
                market(bad, quote(B, "10")))  # fmt: skip
    assert wanted(made) == {"B": D(10)}
    assert made.skips() == (Skip(A.id, expected.code, expected.sentence),)
    assert [(f.code, f.subject, f.severity) for f in made.flags] == [
        (expected.code, A.id, Severity.HOLD)
    ]


def test_a_missing_quote_is_not_a_price_of_zero() -> None:
    made = plan([A], {A: "0"}, account("1000", {A: "9"}), market())
    line = made.lines()[0]
    assert (line.action, line.reference_price, line.current_weight) == (Action.NOTHING, None, None)
    assert line.reference_age_seconds is None
    assert made.skips()[0].code == "price-missing"
    # What cannot be sized is remembered as it was; a wish of zero needs no price.
    assert made.sleeve_lots["s"] == {A.id: 0}


def test_a_sleeves_lots_without_a_price_stay_what_they_were() -> None:
    made = plan([A, B], {A: "0.5", B: "0.5"}, account("1000", {A: "9"}), market(quote(B, "10")),
                lots={"s": {A.id: D(9)}})  # fmt: skip
    assert made.sleeve_lots["s"] == {A.id: D(9), B.id: D(50)}
    fresh = plan([A, B], {A: "0.5", B: "0.5"}, account("1000"), market(quote(B, "10")))
    assert fresh.sleeve_lots["s"] == {B.id: D(50)}


def test_an_unknown_rate_holds_its_instruments() -> None:
    made = plan([EURO], {EURO: "0.5"}, account("1000"), market(quote(EURO, "10")))
    assert why(made) == {"SAP": "rate-missing"}
    assert flags(made) == {("rate-missing", EURO.id)}


def test_numbers_beyond_two_to_the_53_hold_their_instrument() -> None:
    tiny = stock("X", rules=ruled("0.00000001", "0.00000001"))
    made = plan([tiny], {tiny: "1"}, account("1000000"), market(quote(tiny, "0.00000001")))
    assert why(made) == {"X": "out-of-range"}
    huge = plan([A], {A: "0"}, account("1000", {A: "1e16"}), market(quote(A, "10")))
    assert why(huge) == {"A": "out-of-range"}
    assert flags(huge) == {("out-of-range", A.id)}


# ---------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("style", "offset", "buy", "sell"),
    [
        # bid 10.00, ask 10.03, middle 10.015
        (LimitStyle.MARKETABLE, "0", "10.03", "10.00"),
        # 10.03 x 1.0005 = 10.035015 -> ceil 10.04; 10.00 x 0.9995 = 9.995 -> floor 9.99
        (LimitStyle.MARKETABLE, "5", "10.04", "9.99"),
        (LimitStyle.MARKETABLE, "10", "10.05", "9.99"),
        (LimitStyle.PASSIVE, "0", "10.00", "10.03"),
        # never beyond the other side: 10.00 x 1.01 = 10.10
        (LimitStyle.PASSIVE, "100", "10.03", "10.00"),
        # 10.00 x 0.9995 = 9.995 -> floor 9.99; 10.03 x 1.0005 = 10.035 -> ceil 10.04
        (LimitStyle.PASSIVE, "-5", "9.99", "10.04"),
        (LimitStyle.MID, "0", "10.01", "10.02"),
    ],
)
def test_limits_follow_side_style_and_offset(
    style: LimitStyle, offset: str, buy: str, sell: str
) -> None:
    prices = market(quote(A, "10.00", "10.03"), quote(B, "10.00", "10.03"))
    parameters = exactly(limit_style=style, limit_offset_bps=D(offset))
    made = plan([A, B], {A: "0.1"}, account("1000", {B: "5"}), prices, parameters)
    limits = {order.instrument[0]: order.limit for order in made.orders}
    assert limits == {"A": D(buy), "B": D(sell)}
    assert {order.reference_price for order in made.orders} == {D("10.015")}


def test_a_quote_off_the_grid_is_taken_as_the_wider_one() -> None:
    # 10.0009 and 10.0051 on a grid of cents, held to a tenth of a cent: 10.000 and 10.006.
    made = plan([A], {A: "0.5"}, account("1000"), market(quote(A, "10.0009", "10.0051")))
    assert made.orders[0].reference_price == D("10.003")
    assert made.orders[0].limit == D("10.01")


def test_limits_keep_to_the_step_of_their_price_level() -> None:
    levels = (PriceLevel(D(0), D("0.0001")), PriceLevel(D(1), D("0.01")))
    cheap = stock("X", rules=TradingRules(levels))
    prices = market(quote(cheap, "0.9990", "0.9998"))
    made = plan([cheap], {cheap: "0.5"}, account("1000"), prices, exactly(limit_offset_bps=D(5)))
    # 0.9998 x 1.0005 = 1.0002999: from one dollar on the step is a cent -> 1.01
    assert made.orders[0].limit == D("1.01")


# ---------------------------------------------------------------------------- the plan itself


def test_every_code_has_words_and_a_side() -> None:
    assert all(code.code and code.sentence for code in Why)
    assert {Why.AT_TARGET, Why.INSIDE_BAND, Why.ROUNDS_TO_HELD} == UNCHANGED


def test_a_plan_made_by_hand_has_lines_from_its_orders() -> None:
    made = plan([A], {A: "0.5"}, account("1000"), market(quote(A, "10")))
    by_hand = replace(made, columns=None)
    assert by_hand.lines() == made.lines()
    assert (by_hand.skips(), by_hand.unchanged()) == ((), ())


def test_real_filters_are_all_plannable() -> None:
    path = Path(__file__).parents[2] / "answers" / "binance_filters.csv"
    rows = list(csv.DictReader(
        line for line in path.read_text(encoding="utf-8").splitlines() if line[0] != "#"
    ))  # fmt: skip
    assert len(rows) == 235
    for row in rows:
        coin = perpetual("X", rules=ruled(row["tick"], row["lot"], min_notional=D(row["minimum"])))
        price = max(D(row["tick"]) * 997, D(row["minimum"]) / D(row["lot"]) / 1000)
        price = price // D(row["tick"]) * D(row["tick"])
        holding = account("1000000", cash={"USDT": "1000000"}, rates={"USDT": "1"})
        made = plan([coin], {coin: "0.5"}, holding, market(quote(coin, price)))
        for order in made.orders:
            assert order.quantity % D(row["lot"]) == 0
            assert order.limit % D(row["tick"]) == 0
            assert order.quantity * order.limit >= D(row["minimum"])


def test_plan_rebalance_takes_more_than_one_venue_currency_at_once() -> None:
    universe = Universe([A, EURO])
    made = plan_rebalance(
        universe, (sleeve("s", [A, EURO]),), {"s": signal("s", {A: "0.4", EURO: "0.4"})}, {},
        account("10000", cash={"USD": "5000", "EUR": "4000"}, rates={"EUR": "1.25"}),
        market(quote(A, "10"), quote(EURO, "10")), exactly(), fee_schedule("none"), now=NOW,
    )  # fmt: skip
    assert wanted(made) == {"A": D(400), "SAP": D(320)}  # 4,000 / 12.50

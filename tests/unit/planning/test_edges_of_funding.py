"""Cash to the last unit: nothing is counted twice, and nothing is bought that is not paid for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.model.account import Position
from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument
from rebalancer.planning import PlanParameters
from tests.unit.planning.worlds import (
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
EURO, FRANC = stock("SAP", "EUR"), stock("ASML", "EUR")
LARGE = exactly(leverage_cap=D(5), allow_short=True)
"""Large enough that only cash bounds what is bought."""


# ---------------------------------------------------------------------------- proceeds


@pytest.mark.parametrize(
    ("cash", "bought"),
    [
        # 5 of A are sold at 100: 500, with 20 of cash 520 of B at 1 dollar, of which 560 are
        # wanted: less than one more of A's shares would be enough.
        ("20", 520),
        ("60", 560),
        ("59.99", 559),
    ],
)
def test_what_a_sale_brings_is_spent_once(cash: str, bought: int) -> None:
    made = plan(
        [A, B], {B: "0.56"}, account("1000", {A: "5"}, {"USD": cash}),
        market(quote(A, "100"), quote(B, "1")),
    )  # fmt: skip
    assert wanted(made) == {"A": D(-5), "B": D(bought)}


def test_the_sale_of_a_single_share_is_spent() -> None:
    made = plan(
        [A, B], {B: "0.9"}, account("1000", {A: "1"}, {"USD": "300"}),
        market(quote(A, "500"), quote(B, "1")),
    )  # fmt: skip
    assert wanted(made) == {"A": D(-1), "B": D(800)}


def test_covering_a_single_share_costs_what_it_is_above_what_was_set_aside() -> None:
    # Of 700 in cash 500 are set aside for the short, in the middle of 480 and 520. Covered at
    # 520 it costs 20 more: 180 are left for B.
    made = plan(
        [A, B], {A: "0", B: "0.9"}, account("1000", {A: "-1"}, {"USD": "700"}),
        market(quote(A, "480", "520"), quote(B, "1")),
    )  # fmt: skip
    assert wanted(made) == {"A": D(1), "B": D(180)}


@pytest.mark.parametrize("settled", ["450", "450.99"])
def test_no_cent_of_unsettled_proceeds_is_spent(settled: str) -> None:
    # The sale brings 500, but tomorrow; B costs 1 a share and 451 are wanted.
    holding = replace(account("1000", {A: "50"}, {"USD": "1000"}), settled_cash={"USD": D(settled)})
    made = plan([A, B], {B: "0.451"}, holding, market(quote(A, "10"), quote(B, "1")))
    assert wanted(made) == {"A": D(-50), "B": D(450)}


def test_what_turnover_drops_brings_no_cash() -> None:
    # 450 of turnover for B first, nothing is left for C; B costs half a dollar more than is there.
    made = plan(
        [B, C], {B: "0.45", C: "0.3"}, account("1000", cash={"USD": "449.5"}),
        market(quote(B, "1"), quote(C, "1")), exactly(turnover_budget=D("0.45")),
    )  # fmt: skip
    assert wanted(made) == {"B": D(449)}
    assert why(made) == {"C": "turnover"}


# ---------------------------------------------------------------------------- fees


@pytest.mark.parametrize(("cash", "bought"), [("0.0499", None), ("0.05", D("0.1"))])
def test_a_perpetual_costs_no_more_and_no_less_than_its_fee(
    cash: str, bought: Decimal | None
) -> None:
    # 0.1 at 1,000 are 100, of which a taker pays 5 basis points: 0.05.
    coin = perpetual("BTCUSDT", rules=ruled("0.1", "0.1"))
    holding = account("1000", cash={"USDT": cash}, rates={"USDT": "1"})
    made = plan(
        [coin], {coin: "0.1"}, holding, market(quote(coin, "1000")),
        fees=fee_schedule("binance-usdm"),
    )  # fmt: skip
    assert wanted(made) == ({} if bought is None else {"BTCUSDT": bought})
    assert why(made) == ({"BTCUSDT": "not-funded"} if bought is None else {})


# ---------------------------------------------------------------------------- currencies


@pytest.mark.parametrize("shares", [1, 2, 30])
def test_without_cash_in_its_currency_not_even_one_share_is_bought(shares: int) -> None:
    holding = account("10000", cash={"USD": "10000"}, rates={"EUR": "1"})
    made = plan([EURO], {EURO: D(shares) / 100}, holding, market(quote(EURO, "100")))
    assert why(made) == {"SAP": "not-funded"}


@pytest.mark.parametrize("rate", ["0.8", "1", "1.25"])
def test_euros_that_a_short_owes_buy_nothing_in_euros(rate: str) -> None:
    # 1,000 euros, of which 90 x 10 = 900 are owed: 100 are left for 10 of the 30 wanted, however
    # many dollars there are.
    weight = D(300) * D(rate) / 100_000
    made = plan(
        [EURO, FRANC], {EURO: -D(900) * D(rate) / 100_000, FRANC: weight},
        account("100000", {EURO: "-90"}, {"EUR": "1000", "USD": "99000"}, {"EUR": rate}),
        market(quote(EURO, "10"), quote(FRANC, "10")), LARGE,
    )  # fmt: skip
    assert wanted(made) == {"ASML": D(10)}


@pytest.mark.parametrize("rate", ["0.8", "1.25"])
def test_a_short_without_a_quote_owes_its_venues_value_in_its_own_currency(rate: str) -> None:
    # As above, but what the 90 are worth is the venue's word: 900 euros.
    short = Position(EURO.id, D(-90), "EUR", value=D(-900))
    made = plan(
        [EURO, FRANC], {EURO: -D(900) * D(rate) / 100_000, FRANC: D(300) * D(rate) / 100_000},
        account("100000", cash={"EUR": "1000", "USD": "99000"}, rates={"EUR": rate},
                others=(short,)),
        market(quote(FRANC, "10")), LARGE,
    )  # fmt: skip
    assert wanted(made) == {"ASML": D(10)}


def weights(targets: dict[Instrument, str], words: PlanParameters, *short: Position) -> dict[
    str, Decimal
]:  # fmt: skip
    """Return what is wanted at 10 each with 1,000 in cash besides positions without a rate."""
    strange = stock("A", "AAA")
    made = plan(
        [strange, A, B], None, account("1000", {A: "-90"}, others=short),
        market(quote(A, "10"), quote(B, "10"), quote(strange, "10")), words,
        sleeves=(sleeve("s", [strange, A, B]),),
        signals={"s": signal("s", {strange: "-0.1", **targets})},
    )  # fmt: skip
    return wanted(made)


def test_a_short_in_a_currency_without_a_rate_hides_no_other_short() -> None:
    # Of 1,000 dollars 900 are owed for A: 10 of the 50 of B are paid for.
    short = Position(stock("A", "AAA").id, D(-5), "AAA")
    assert weights({A: "-0.9", B: "0.5"}, LARGE, short) == {"B": D(10)}


# ---------------------------------------------------------------------------- what there is


@pytest.mark.parametrize("worth", ["NaN", "Infinity", "-Infinity"])
def test_a_net_liquidation_that_is_no_number_sizes_nothing(worth: str) -> None:
    holding = account(worth, {A: "1"}, {"USD": "1000"})
    made = plan([A], {A: "0.5"}, holding, market(quote(A, "0.1")))
    assert made.orders == ()
    assert made.capital == 0
    assert why(made) == {"A": "no-capital"}


def test_a_position_that_is_worth_nothing_takes_nothing_off() -> None:
    worthless = Position(stock("Z").id, D(10), "USD", value=D(0))
    made = plan([A], {A: "0.5"}, account("1000", others=(worthless,)), market(quote(A, "10")))
    assert made.capital == 1000


def test_unsettled_cash_without_a_rate_is_no_debt() -> None:
    holding = replace(
        account("1000", cash={"USD": "1000", "XXX": "5"}), settled_cash={"USD": D(1000)}
    )
    made = plan([A], {A: "0.5"}, holding, market(quote(A, "10")))
    assert wanted(made) == {"A": D(50)}

"""Cap and cash when some of it has no price, may be kept, or is exactly at the bound."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import Position
from rebalancer.model.instrument import Instrument
from rebalancer.model.plan import Plan
from rebalancer.model.signals import Unit
from rebalancer.planning import Funding, PlanParameters
from tests.unit.planning.worlds import (
    account,
    exactly,
    market,
    plan,
    quote,
    signal,
    sleeve,
    stock,
    wanted,
)

D = Decimal
A, B, C = stock("A"), stock("B"), stock("C")
RICH = {"USD": "9999"}
"""Cash enough that only the scale bounds what is bought."""


def two(
    said: dict[str, dict[Instrument, str]],
    held: dict[Instrument, str] | None = None,
    parameters: PlanParameters | None = None,
    *,
    lots: dict[str, dict[Instrument, str]] | None = None,
    memory: dict[str, dict[Instrument, str]] | None = None,
    priced: tuple[Instrument, ...] = (A, B, C),
    **more: Any,
) -> Plan:
    """Plan capital of 1,000 at 10 each; `said` are weights of capital by sleeve, `lots` units."""
    lots, memory = lots or {}, memory or {}
    names = sorted({*said, *lots, *memory})
    signals = {name: signal(name, weights) for name, weights in said.items()}
    signals |= {name: signal(name, units, unit=Unit.LOTS) for name, units in lots.items()}
    everywhere = {*said, *lots}
    return plan(
        [A, B, C], None, account("1000", held or {}, RICH, **more),
        market(*(quote(each, "10") for each in priced)), parameters,
        sleeves=tuple(
            sleeve(name, [A, B, C] if name in everywhere else list(memory[name])) for name in names
        ),
        signals=signals,
        lots={name: {i.id: D(units) for i, units in m.items()} for name, m in memory.items()},
    )  # fmt: skip


def codes(made: Plan) -> set[str]:
    return {flag.code for flag in made.flags if flag.code.startswith("leverage")}


# ---------------------------------------------------------------------------- without a price


@pytest.mark.parametrize(
    ("weight", "more", "bought"),
    [
        # 5 of A have neither price nor value. A weight says what they should be worth ...
        ("0.3", {}, D(20)),
        # ... but zero does not, nor do lots, nor what another sleeve may keep of it.
        ("0", {}, None),
        ("0.3", {"lots": {"l": {A: "5"}}}, None),
        ("0.3", {"memory": {"m": {A: "5"}}}, None),
        ("0.3", {"memory": {"m": {A: "-5"}}}, None),
    ],
)
def test_a_holding_of_unknown_worth_stops_buys_unless_a_weight_bounds_it(
    weight: str, more: dict[str, Any], bought: Decimal | None
) -> None:
    made = two({"s": {A: weight, B: "0.2"}}, {A: "5"}, priced=(B, C), **more)
    assert wanted(made) == ({} if bought is None else {"B": bought})
    assert codes(made) == (set() if bought else {"leverage-unreachable"})


@pytest.mark.parametrize(("value", "bought"), [(None, None), ("-300", D(20))])
def test_a_short_of_unknown_worth_stops_buys_because_cash_owes_it(
    value: str | None, bought: Decimal | None
) -> None:
    # A weight of -30 % says what is wanted, not what the 5 that are owed would cost now.
    short = Position(A.id, D(-5), "USD", value=None if value is None else D(value))
    made = two({"s": {A: "-0.3", B: "0.2"}}, priced=(B, C), others=(short,))
    assert wanted(made) == ({} if bought is None else {"B": bought})
    assert codes(made) == (set() if bought else {"leverage-unreachable"})


@pytest.mark.parametrize("cap", ["1", "2"])
def test_what_has_no_price_counts_at_its_weight_for_cap_and_for_cash(cap: str) -> None:
    # 60 % of A, held without a price, leave 40 % for B, of which 60 % are wanted; with a cap of
    # 2 it is the cash: what is investable is 100 % of capital.
    made = two({"s": {A: "0.6", B: "0.6"}}, {A: "5"}, exactly(leverage_cap=D(cap)), priced=(B, C))
    assert wanted(made) == {"B": D(40)}
    assert codes(made) == {"leverage-capped"}


# ---------------------------------------------------------------------------- the cap


def test_weights_and_lots_of_one_instrument_add_up_before_the_cap() -> None:
    # A: 30 % and 30 lots of 10 = 60 %, B: 60 %; 120 % are scaled by 5/6 to 50 and 50 shares.
    made = two({"s": {A: "0.3", B: "0.6"}}, lots={"l": {A: "30"}})
    assert wanted(made) == {"A": D(50), "B": D(50)}


def test_what_may_be_kept_on_both_sides_counts_at_its_most() -> None:
    # 50 % are wanted; others may keep 60 % above and 20 % below that. At most it is 110 %, so
    # the 50 % are scaled to 40 %. Nothing is held: the least that is right is 40 % - 20 %.
    made = two({"s": {A: "0.5"}}, memory={"long": {A: "60"}, "short": {A: "-20"}})
    assert wanted(made) == {"A": D(20)}
    assert codes(made) == {"leverage-capped"}


@pytest.mark.parametrize(
    ("weight", "shares", "scaled"),
    [
        # B is kept at 50 %. With 50 % of A it is the cap exactly: nothing is said of it.
        ("0.5", D(50), False),
        # A thousandth more is scaled: 50.1 shares are 50 either way.
        ("0.501", D(50), True),
    ],
)
def test_exactly_the_cap_is_not_scaled(weight: str, shares: Decimal, scaled: bool) -> None:
    made = plan(
        [A, B], None, account("1000", {B: "50"}, RICH), market(quote(A, "10"), quote(B, "10")),
        sleeves=(sleeve("a", [A]), sleeve("b", [B])),
        signals={"a": signal("a", {A: weight})}, lots={"b": {B.id: D(50)}},
    )  # fmt: skip
    assert wanted(made) == {"A": shares}
    assert codes(made) == ({"leverage-capped"} if scaled else set())


# ---------------------------------------------------------------------------- the cash


def test_what_is_held_is_taken_off_the_cash_that_signals_share() -> None:
    # 30 % of A are kept; of the 70 % that are left B and C, wanted at 90 % and 45 %, get
    # 70 / 135 each: 46.67 and 23.33 shares.
    made = plan(
        [A, B, C], None, account("1000", {A: "30"}, RICH),
        market(quote(A, "10"), quote(B, "10"), quote(C, "10")), exactly(leverage_cap=D(5)),
        sleeves=(sleeve("a", [A]), sleeve("b", [B, C])),
        signals={"b": signal("b", {B: "0.9", C: "0.45"})}, lots={"a": {A.id: D(30)}},
    )  # fmt: skip
    assert wanted(made) == {"B": D(47), "C": D(23)}
    assert "cash and its reserve" in made.flags[0].message


def test_what_may_be_kept_is_taken_off_the_cash_at_its_most() -> None:
    # Of A, at which no signal aims, 60 % may be kept: 40 % are left for the 60 % of B.
    made = two(
        {"s": {A: "0", B: "0.6"}}, {A: "60"}, exactly(leverage_cap=D(5)), memory={"m": {A: "60"}}
    )
    assert wanted(made) == {"B": D(40)}


@pytest.mark.parametrize(
    ("funding", "shares"),
    [
        # 150 % are wanted: without credit 100 % are there, with 200 of it 120 %.
        (Funding.REFUSE, D(50)),
        (Funding.BORROW, D(60)),
    ],
)
def test_credit_makes_the_sum_larger_that_all_share(funding: Funding, shares: Decimal) -> None:
    words = exactly(leverage_cap=D(5), funding=funding, borrow_limit=D(200))
    made = two({"s": {A: "0.75", B: "0.75"}}, None, words)
    assert wanted(made) == {"A": shares, "B": shares}

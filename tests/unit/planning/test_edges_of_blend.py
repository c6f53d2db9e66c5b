"""Sleeves netted exactly: every kind of sleeve at once, and what an error names."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument
from rebalancer.model.signals import Coverage, Unit
from rebalancer.model.universe import Universe
from rebalancer.planning.blend import Blend, blend
from rebalancer.planning.columns import compile_universe
from tests.unit.planning.worlds import (
    account,
    exactly,
    market,
    plan,
    quote,
    ruled,
    signal,
    sleeve,
    stock,
    wanted,
)

D, F = Decimal, Fraction
A, B = stock("A", rules=ruled("0.01", "0.01")), stock("B")


def six_sleeves() -> Blend:
    """Net two signals in weights, one in lots and what three sleeves remember of A."""
    names = "weights", "lots", "long", "short", "more", "again"
    sleeves = tuple(sleeve(name, [A], "0.5") for name in names)
    signals = {
        "weights": signal("weights", {A: "0.3"}, leverage=D(2)),
        "lots": signal("lots", {A: "4"}, unit=Unit.LOTS),
        "again": signal("again", {A: "0.1"}),
    }
    memory = {"long": {A.id: D(6)}, "short": {A.id: D(-2)}, "more": {A.id: D("1.5")}}
    return blend(compile_universe(Universe([A])), sleeves, signals, memory)


@pytest.mark.parametrize(
    ("held", "wish"),
    [
        # At 10 dollars a hundredth of a share is 0.10, capital 1,000, everything scaled by 1/2:
        # 0.3 x 0.5 x 2 = 30 % -> 15 %: 1,500 hundredths; 4 lots -> 200; 0.1 x 0.5 = 5 % -> 250.
        # 1,950 in all. Kept may be 2 less and 6 + 1.5 more: from 1,750 to 2,700.
        (0, 1750),
        (1749, 1750),
        (2000, 2000),
        (2700, 2700),
        (2701, 2700),
        (-400, 1750),
    ],
)
def test_signals_are_scaled_and_summed_and_memory_bounds_them_unscaled(
    held: int, wish: int
) -> None:
    found = six_sleeves().exact_size(0, 2, F(1000), F(1, 10), F(1, 2), held)
    assert found == wish


@pytest.mark.parametrize("held", ["-5", "0", "10", "17.49", "17.5", "20", "27", "27.01", "90"])
def test_columns_and_exact_fractions_net_the_same(held: str) -> None:
    blended = six_sleeves()
    capital, price, size = 1000, 10, D(held) * 100
    floats = blended.weight[0] * capital / price * 100 + blended.lots[0]
    low, high = floats + blended.low[0], floats + blended.high[0]
    exact = blended.exact_size(0, 2, F(capital), F(price, 100), F(1), int(size))
    # 60 % x 1/2 and 10 % x 1/2 ... of 1,000 at 10, and 4: 30 + 5 + 4 = 39; 37 to 46.5.
    assert (low, high) == pytest.approx((3700.0, 4650.0))
    assert exact == min(max(int(size), 3700), 4650)


def test_what_one_sleeve_may_be_short_and_another_long_is_kept_at_both_ends() -> None:
    # One share is 10 dollars, 1 % of capital; the signal wants 30, the others keep -20 and 60.
    stocks = stock("S")
    for held, order in (("9", 1), ("10", 0), ("90", 0), ("91", -1)):
        made = plan(
            [stocks], None, account("1000", {stocks: held}, {"USD": "9999"}),
            market(quote(stocks, "10")), exactly(leverage_cap=D(5)),
            sleeves=tuple(sleeve(name, [stocks], "0.3") for name in ("a", "b", "c")),
            signals={"a": signal("a", {stocks: "1"})},
            lots={"b": {stocks.id: D(60)}, "c": {stocks.id: D(-20)}},
        )  # fmt: skip
        assert wanted(made) == ({"S": D(order)} if order else {}), held


@pytest.mark.parametrize("other", [B, stock("C")])
def test_a_target_outside_the_universe_is_an_error_that_names_its_sleeve(
    other: Instrument,
) -> None:
    rules = compile_universe(Universe([A]))
    said = signal("mine", {other: "0.5"}, coverage=Coverage.PARTIAL)
    with pytest.raises(DataError, match=rf"^sleeve mine: {other.id} is not in the universe$"):
        blend(rules, (sleeve("mine", [A]),), {"mine": said}, {})

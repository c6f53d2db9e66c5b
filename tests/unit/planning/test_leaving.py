"""What the venue closes is wanted at zero, whatever the signals say and whether there are any."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.model.instrument import Instrument
from rebalancer.model.orders import Action
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
    wanted,
    why,
)

D = Decimal
WORDS = "the exchange delists it at 2026-01-09 09:00 UTC"
RULES = ruled("0.1", "0.001", min_notional=D(5), reduce_only_exempt=True)
GONE = perpetual("OLDUSDT", rules=RULES, leaving=WORDS)
STAYS = perpetual("BTCUSDT", rules=RULES)
PRICES = market(quote(GONE, "100"), quote(STAYS, "100"))
RATES = {"USDT": "1"}


@pytest.mark.parametrize("targets", [{GONE: "0.5"}, {GONE: "-0.5"}, {}, None])
@pytest.mark.parametrize("held", ["7.25", "-7.25"])
def test_a_leaving_instrument_is_closed_whatever_the_signals_say(
    targets: dict[Instrument, str] | None, held: str
) -> None:
    made = plan([GONE], targets, account("1000", {GONE: held}, rates=RATES), PRICES)
    assert wanted(made) == {"OLDUSDT": -D(held)}
    assert made.orders[0].reducing
    assert made.orders[0].target_quantity == 0
    assert WORDS in made.orders[0].reason
    assert [line.action for line in made.lines()] == [Action.SELL if D(held) > 0 else Action.BUY]


def test_remembered_lots_do_not_keep_what_is_leaving() -> None:
    held = account("1000", {GONE: "7", STAYS: "1"}, rates=RATES)
    lots = {"s": {GONE.id: D(7), STAYS.id: D(1)}}
    made = plan([GONE, STAYS], None, held, PRICES, lots=lots)
    assert wanted(made) == {"OLDUSDT": D(-7)}
    assert why(made) == {"BTCUSDT": "kept"}


def test_a_sleeve_without_signal_does_not_keep_it_beside_one_that_wants_it() -> None:
    sleeves = (sleeve("a", [GONE], "0.5"), sleeve("b", [GONE], "0.5"))
    made = plan(
        [GONE], None, account("1000", {GONE: "3"}, rates=RATES), PRICES,
        sleeves=sleeves, signals={"a": signal("a", {GONE: "1"})},
        lots={"b": {GONE.id: D(3)}},
    )  # fmt: skip
    assert wanted(made) == {"OLDUSDT": D(-3)}


def test_nothing_is_opened_in_what_is_leaving_and_the_order_file_says_so() -> None:
    made = plan([GONE, STAYS], {GONE: "0.5", STAYS: "0.5"}, account("1000", rates=RATES), PRICES)
    # half of 1,000 at 100 each
    assert wanted(made) == {"BTCUSDT": D(5)}
    assert why(made) == {"OLDUSDT": "leaving"}
    assert "it is given up" in made.lines()[1].reason


def test_the_smallest_rest_of_it_is_closed_too() -> None:
    # 0.02 x 100 = 2 USDT is below the smallest order, from which closing orders are exempt
    made = plan([GONE], None, account("1000", {GONE: "0.02"}, rates=RATES), PRICES)
    assert wanted(made) == {"OLDUSDT": D("-0.02")}


def test_without_a_price_it_is_held_like_everything_else() -> None:
    made = plan([GONE], None, account("1000", {GONE: "2"}, rates=RATES), market())
    assert wanted(made) == {}
    assert why(made) == {"OLDUSDT": "price-missing"}


def test_it_counts_nothing_towards_the_leverage_cap() -> None:
    held = account("1000", {GONE: "5"}, rates=RATES)
    made = plan([GONE, STAYS], {GONE: "1", STAYS: "1"}, held, PRICES, exactly(leverage_cap=D(1)))
    # 1,000 of it at 100: nothing is scaled down for what is being closed
    assert wanted(made) == {"OLDUSDT": D(-5), "BTCUSDT": D(10)}

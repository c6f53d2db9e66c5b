"""What the venue would refuse is refused before it is sent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.orders import OrderType
from rebalancer.model.rules import PriceBand, TradingRules
from rebalancer.risk import apply_gates
from rebalancer.risk.candidates import candidates
from rebalancer.risk.terms import GateInput
from rebalancer.risk.venue_bounds import (
    below_venue_notional,
    below_venue_position,
    inside_venue_band,
)
from tests.unit.risk.builders import (
    A,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
)

PERPETUAL = TradingRules(buy_band=PriceBand(None, d("1.05")), sell_band=PriceBand(d("0.95"), None))


def asked(quantity: str, limit: str, rules: TradingRules, **changes: Any) -> GateInput:
    """Return one order at a mark of 100 whose worst price is its limit."""
    stock: Instrument = a_stock(A, kind=Kind.PERPETUAL, rules=rules)
    quote = a_quote(A, changes.pop("middle", "100"), close=changes.pop("mark", d(100)))
    intent = an_intent(A, quantity, limit, order_type=changes.pop("kind", OrderType.LIMIT))
    more = [
        an_intent(A, size, limit, sequence=n, part=n)
        for n, size in enumerate(changes.pop("more", ()), 1)
    ]
    return gate_input(
        [intent, *more], stocks=[stock], quotes=[quote], worst_price_bps=d(0), **changes
    )


def band(given: GateInput) -> str | None:
    return inside_venue_band(candidates(given)[0], given)


@pytest.mark.parametrize(
    ("quantity", "limit", "fits"),
    # mark 100: a buy up to 105 and a sell from 95 on; the far sides are open.
    [
        ("1", "105", True),
        ("1", "105.01", False),
        ("1", "50", True),
        ("-1", "95", True),
        ("-1", "94.99", False),
        ("-1", "200", True),
    ],
)
def test_a_limit_outside_the_band_is_refused(quantity: str, limit: str, fits: bool) -> None:
    assert (band(asked(quantity, limit, PERPETUAL)) is None) == fits


def test_the_reason_names_the_bound() -> None:
    assert band(asked("1", "106", PERPETUAL)) == ("its limit 106 is above the venue's highest, 105")


def test_a_worst_price_outside_the_band_is_drawn_into_it() -> None:
    given = replace(asked("1", "104", PERPETUAL), worst_price_bps=d(200))  # 104 x 1.02 = 106.08
    assert band(given) is None
    assert candidates(given)[0].worst == 105


def test_the_band_is_around_the_mark_and_not_the_middle() -> None:
    assert band(asked("1", "105", PERPETUAL, mark=d(90))) is not None  # 90 x 1.05 = 94.5


def test_an_unknown_mark_refuses_what_has_a_band_and_nothing_else() -> None:
    assert band(asked("1", "100", PERPETUAL, mark=None)) is not None
    assert band(asked("1", "100", TradingRules(), mark=None)) is None


def test_lowest_and_highest_prices_hold_without_a_band() -> None:
    rules = TradingRules(min_price=d(90), max_price=d(110))
    assert band(asked("1", "89.99", rules, mark=None)) is not None
    assert band(asked("-1", "110.01", rules, mark=None)) is not None
    assert band(asked("1", "90", rules)) is band(asked("1", "110", rules)) is None


def test_a_market_order_has_no_price_to_refuse() -> None:
    assert band(asked("1", "300", PERPETUAL, kind=OrderType.MARKET)) is None


def test_spot_takes_the_middle_for_the_venues_average() -> None:
    given = asked("1", "105", PERPETUAL, mark=d(10))
    stock = replace(given.universe[A], kind=Kind.SPOT)
    given = replace(given, universe=type(given.universe)([stock]))
    assert band(given) is None


@pytest.mark.parametrize(("size", "fits"), [("4", True), ("5", False)])
def test_a_position_above_the_venues_largest_is_refused(size: str, fits: bool) -> None:
    rules = TradingRules(max_position=d(10))
    given = asked(size, "100", rules, account=an_account(a_position(A, "5")), more=("1", "-3"))
    wanted = next(each for each in candidates(given) if each.intent.part == 0)
    # 5 held, 1 bought by another part; what is sold does not count until it is.
    assert (below_venue_position(wanted, given) is None) == fits


def test_a_sale_is_never_too_large_a_position() -> None:
    rules = TradingRules(max_position=d(10))
    given = asked("-5", "100", rules, account=an_account(a_position(A, "50")))
    assert below_venue_position(candidates(given)[0], given) is None


@pytest.mark.parametrize(("size", "fits"), [("10", True), ("11", False), ("-11", False)])
def test_an_order_above_the_venues_largest_notional_is_refused(size: str, fits: bool) -> None:
    given = asked(size, "100", TradingRules(max_notional=d(1000)))
    assert (below_venue_notional(candidates(given)[0], given) is None) == fits


def test_rules_without_bounds_refuse_nothing() -> None:
    given = asked("1000", "100", TradingRules())
    candidate = candidates(given)[0]
    for gate in (inside_venue_band, below_venue_position, below_venue_notional):
        assert gate(candidate, given) is None
    assert Decimal(0) < candidate.worst


def test_an_order_beside_one_that_is_no_number_is_weighed_alone() -> None:
    for quantity, fits in (("6", True), ("11", False)):
        given = asked(quantity, "100", TradingRules(max_position=d(10)), more=["6"])
        one, other = given.intents
        given = replace(given, intents=(one, replace(other, quantity=d("NaN"))))
        assert (below_venue_position(candidates(given)[0], given) is None) == fits


@pytest.mark.parametrize(("bid", "ask"), [("-Infinity", "Infinity"), ("sNaN", "101")])
def test_the_band_around_a_middle_that_is_none_stops_no_gate(bid: str, ask: str) -> None:
    quote = replace(a_quote(A, "100"), bid=d(bid), ask=d(ask))
    stock = a_stock(A, rules=PERPETUAL)
    given = gate_input([an_intent(A, "1", "100")], stocks=[stock], quotes=[quote])
    (refused,) = apply_gates(given).refused
    assert refused.gate == "quote"

"""Each gate at its limit and just beyond it, with the words that the owner then reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.orders import OrderIntent, OrderStatus, OrderType, WorkingOrder
from rebalancer.model.rules import TradingRules
from rebalancer.risk import apply_gates
from rebalancer.risk.parameters import Limits, Override
from rebalancer.risk.windows import parse_restart_window
from rebalancer.risk.words import plain
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    C,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
    identifier,
    some_limits,
)

SAP = identifier("SAP", "EUR")


def loose(**changes: Any) -> Limits:
    """Return limits of which only what a test names is near."""
    values: dict[str, Any] = {
        "max_order_weight": d(9), "max_position_weight": d(9), "max_gross_leverage": d(9),
        "max_net_leverage": d(9), "max_turnover_per_session": d(9), "margin_cushion": d(0),
    }  # fmt: skip
    return some_limits(**(values | changes))


def refused(*intents: OrderIntent, **given: Any) -> list[tuple[str, str]]:
    """Return gate and reason of each order that is refused."""
    asked = gate_input(intents, **({"limits": loose()} | given))
    return [(each.gate, each.reason) for each in apply_gates(asked).refused]


def reason(*intents: OrderIntent, **given: Any) -> str:
    """Return the reason of the one order that is refused, '' when none is."""
    found = refused(*intents, **given)
    assert len(found) <= 1
    return found[0][1] if found else ""


RICH = an_account(cash={"USD": "100000", "EUR": "20000"}, rates={"EUR": "1.25"})
"""Worth 125,000 USD."""


# ---------------------------------------------------------------------------- one order


def test_size_is_bounded_in_money_and_in_weight() -> None:
    # 10 at 100 EUR, multiplier 4, magnifier 2: 2,000 EUR = 2,500 USD = 2 % of 125,000.
    stock = {"stocks": [a_stock(SAP, multiplier=d(4), magnifier=d(2))], "quotes": [a_quote(SAP)],
             "account": RICH}  # fmt: skip
    ten = an_intent(SAP, "10")
    assert reason(ten, **stock, limits=loose(max_order_notional=d(2500))) == ""
    assert reason(ten, **stock, limits=loose(max_order_notional=d(2499))) == (
        "order of 2,500 USD; the limit is 2,499 USD"
    )
    assert reason(ten, **stock, limits=loose(max_order_weight=d("0.02"))) == ""
    assert reason(ten, **stock, limits=loose(max_order_weight=d("0.0199"))) == (
        "order of 2,500 USD is 2 % of net liquidation; the limit is 1.99 %"
    )


def test_a_part_of_the_volume() -> None:
    def said(volume: str | None, **limits: Any) -> str:
        quote = a_quote(A, average_volume=None if volume is None else d(volume))
        return reason(an_intent(A, "100"), quotes=[quote], limits=loose(**limits))

    assert said("10000", max_participation=d("0.01")) == ""
    assert said("9999", max_participation=d("0.01")) == (
        "100 is 1 % of an average session's volume 9,999; the limit is 1 %"
    )
    assert said("400", max_participation=d("0.01")) == (
        "100 is 25 % of an average session's volume 400; the limit is 1 %"
    )
    assert said("0") == "100 is more than an average session's volume 0; the limit is 1 %"
    unknown = "its volume is unknown and the portfolio does not allow that"
    for volume in (None, "NaN", "-1", "Infinity"):
        assert said(volume) == unknown
        assert said(volume, allow_unknown_volume=True) == ""


def test_a_short_sale_is_told_with_what_is_held() -> None:
    held = an_account(a_position(A, "-5"), cash={"USD": "100000"})
    sale = an_intent(A, "-10", reducing=False)
    assert reason(sale, account=held) == (
        "selling 10 with -5 held is a short sale; shorts are not allowed"
    )
    lent = [a_stock(A, shortable=False)]
    assert reason(sale, account=held, stocks=lent, limits=loose(allow_short=True)) == (
        "selling 10 with -5 held is a short sale; the venue does not lend it"
    )
    assert reason(sale, account=held, limits=loose(allow_short=True)) == ""


def test_a_day_trade_is_told_with_its_side() -> None:
    limits = loose(pattern_day_trader_equity=d(25_000))
    small = an_account(a_position(A, "50"), cash={"USD": "19999"})
    base = {"account": small, "limits": limits}
    assert reason(an_intent(A, "10"), sold=frozenset({A}), **base) == (
        "it was sold in this session: a day trade on 24,999 USD; at least 25,000 USD is needed"
    )
    assert reason(an_intent(A, "-10"), bought=frozenset({A}), **base) == (
        "it was bought in this session: a day trade on 24,999 USD; at least 25,000 USD is needed"
    )
    assert reason(an_intent(A, "-10"), sold=frozenset({A}), **base) == ""
    assert reason(an_intent(A, "10"), bought=frozenset({A}), **base) == ""
    enough = replace(small, net_liquidation=d(25_000))
    assert reason(an_intent(A, "10"), sold=frozenset({A}), account=enough, limits=limits) == ""
    none_left = replace(enough, day_trades_remaining=0)
    assert reason(an_intent(A, "-10"), bought=frozenset({A}), account=none_left) == (
        "it was bought in this session: a day trade, and the venue allows no more of them"
    )
    assert reason(
        an_intent(A, "1"), sold=frozenset({A}), account=replace(enough, day_trades_remaining=1)
    ) == ""  # fmt: skip


def test_fractions_of_a_share() -> None:
    rules = TradingRules(limit_step=d("0.5"), market_step=d("0.5"), min_size=d("0.5"))
    some = {"stocks": [a_stock(A, rules=rules)]}
    assert reason(an_intent(A, "1.5"), **some) == "1.5 is not a whole number of shares"
    assert reason(an_intent(A, "1.5"), **some, limits=loose(allow_fractions=True)) == ""


# ---------------------------------------------------------------------------- the venue's own


def others(quantity: str, name: str = A) -> WorkingOrder:
    return WorkingOrder("", "1", a_stock(name).id, d(quantity), d(0), d(100),  # type: ignore[arg-type]
                        OrderStatus.WORKING, NOW)  # fmt: skip


def test_the_venues_largest_position_counts_what_works_and_what_is_wanted() -> None:
    stock = a_stock(A, rules=TradingRules(max_position=d(100)))
    given = {"stocks": [stock, a_stock(B)], "quotes": [a_quote(A), a_quote(B)]}
    account = an_account(a_position(A, "40"), cash={"USD": "100000"})

    def said(*intents: OrderIntent, **more: Any) -> list[tuple[str, str]]:
        found = refused(*intents, account=account, **given, **more)
        return [each for each in found if "largest position" in each[1]]

    assert said(an_intent(A, "60")) == []
    assert said(an_intent(A, "61"))[0][1] == (
        "101 would be held; the venue's largest position is 100"
    )
    assert said(an_intent(A, "-30")) == []
    # Of others' orders buys count, sales do not; those of another instrument neither.
    assert said(an_intent(A, "50"), others=(others("10"), others("-30"), others("99", B))) == []
    assert said(an_intent(A, "50"), others=(others("11"),))[0][1].startswith("101 would be held")
    # Its own second order counts, others' instruments do not.
    assert said(an_intent(A, "50"), an_intent(B, "90")) == []


def test_the_venues_largest_order() -> None:
    rules = TradingRules(max_notional=d(2000))
    stock = a_stock(SAP, multiplier=d(4), magnifier=d(2), rules=rules)
    given = {"stocks": [stock], "quotes": [a_quote(SAP)], "account": RICH}
    assert reason(an_intent(SAP, "10"), **given) == ""
    assert reason(an_intent(SAP, "11"), **given) == (
        "2,200 EUR is above the venue's largest order, 2,000 EUR"
    )


# ---------------------------------------------------------------------------- all together


def test_turnover_and_orders_at_their_limits() -> None:
    # 10,000 of 100,000 now, 20,000 before: 30 %.
    order = an_intent(A, "100")
    given = {"turnover_in_session": d(20_000)}
    assert reason(order, limits=loose(max_turnover_per_session=d("0.3")), **given) == ""
    assert reason(order, limits=loose(max_turnover_per_session=d("0.2999")), **given) == (
        "with it the session would trade 30 % of net liquidation; the limit is 30 %"
    )
    some = [an_intent(name, "1", sequence=n) for n, name in enumerate((A, B, C))]
    assert reason(*some, limits=loose(max_orders_per_run=3)) == ""
    assert reason(*some, limits=loose(max_orders_per_run=2)) == (
        "it is order 3 of this run; the limit is 2"
    )


def test_net_leverage_at_its_limit_on_both_sides() -> None:
    limits = loose(max_net_leverage=d("0.1"), allow_short=True)
    assert reason(an_intent(A, "100"), limits=limits) == ""
    assert reason(an_intent(A, "101"), limits=limits) == (
        "net leverage would be 0.101 x long; the limit is 0.1 x"
    )
    assert reason(an_intent(A, "-100", reducing=False), limits=limits) == ""
    assert reason(an_intent(A, "-101", reducing=False), limits=limits) == (
        "net leverage would be 0.101 x short; the limit is 0.1 x"
    )


def test_concentration_counts_what_others_may_add() -> None:
    account = an_account(a_position(A, "100"), cash={"USD": "90000"})
    # 10,000 held, 5,000 wanted, 2,000 more by others at 100.01, the higher of limit and quote.
    given = {"account": account, "others": (others("20"),)}
    buy = an_intent(A, "50")

    def said(**limits: Any) -> str:
        return " ".join(
            text for gate, text in refused(buy, **given, limits=loose(**limits))
            if gate == "concentration"
        )  # fmt: skip

    assert said(max_position_notional=d("17000.2")) == ""
    assert said(max_position_notional=d(17_000)) == (
        "position of 17,000 USD after it; the limit is 17,000 USD"
    )
    assert said(max_position_weight=d("0.170002")) == ""
    assert said(max_position_weight=d("0.17")) == (
        "position of 17,000 USD after it is 17 % of net liquidation; the limit is 17 %"
    )
    own = {A: Override(max_weight=d("0.1"))}
    assert any("the limit is 10 %" in text for _, text in refused(buy, **given, overrides=own))


# ---------------------------------------------------------------------------- words and windows


@pytest.mark.parametrize(
    ("number", "text"),
    [("1000", "1,000"), ("1.50", "1.5"), ("NaN", "NaN"), ("1E+3", "1,000"), ("-0.10", "-0.1")],
)
def test_numbers_are_plain(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


@pytest.mark.parametrize(
    ("clock", "inside"),
    [("10:29", False), ("10:30", True), ("10:44", True), ("10:45", False)],
)
def test_a_window_has_its_begin_and_not_its_end(clock: str, inside: bool) -> None:
    window = parse_restart_window("10:30-10:45 UTC")
    assert window is not None
    at = datetime.fromisoformat(f"2026-01-05T{clock}:00").replace(tzinfo=UTC)
    assert window.contains(at) is inside


def test_a_market_order_is_measured_by_its_own_lot() -> None:
    rules = TradingRules(limit_step=d(1), market_step=d(5), min_size=d(1))
    some = {"stocks": [a_stock(A, rules=rules)]}
    order = an_intent(A, "6", order_type=OrderType.MARKET)
    assert reason(order, **some) == "its size 6 is not a multiple of 5"
    assert reason(an_intent(A, "6"), **some) == ""

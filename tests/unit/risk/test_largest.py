"""The largest order: exactly what the gates about size let through."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.risk import Limits, apply_gates, largest_order
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

HELD = an_account(a_position(A, "1000"), cash={"USD": "1"})


def bound(**limits: Any) -> Decimal | None:
    intent = an_intent(A, "-100", "99", reference_price=d("100"))
    return largest_order(intent, a_stock(A), a_quote(A), HELD, Limits(**limits))


def test_it_is_the_tightest_bound() -> None:
    # 1000 shares at 100 and a dollar; a quarter of it at the dearer of 99 and 100.
    assert bound() == d("250.0025")
    assert bound(max_order_notional=d(5000)) == 50
    # One hundred-thousandth of ten million shares a day.
    assert bound(max_participation=d("0.00001")) == 100


def test_the_venues_own_largest_counts() -> None:
    stock = a_stock(A)
    small = replace(stock, rules=replace(stock.rules, max_size=d(7)))
    assert largest_order(an_intent(A, "-100"), small, None, HELD, Limits()) == 7


def test_the_venues_largest_notional_counts_at_the_limit() -> None:
    stock = a_stock(A, multiplier=d(2))
    small = replace(stock, rules=replace(stock.rules, max_notional=d(1980)))
    # 1,980 at 99 a point and 2 a point: ten of them, which the gate lets through, and no more.
    intent = an_intent(A, "-100", "99", reference_price=d("100"))
    assert largest_order(intent, small, None, HELD, Limits()) == 10
    for size, gates in (("-10", set()), ("-11", {"venue-notional"})):
        given = gate_input([replace(intent, quantity=d(size))], account=HELD, stocks=[small])
        assert {refused.gate for refused in apply_gates(given).refused} == gates
    free = replace(intent, limit=d(0))  # a spread's price: its gate has nothing to say
    assert largest_order(free, small, None, HELD, Limits()) == d("125.00125")


def test_what_is_not_known_bounds_nothing() -> None:
    broke = replace(HELD, net_liquidation=d("NaN"))
    assert largest_order(an_intent(A, "-100"), a_stock(A), None, broke, Limits()) is None


@given(
    weight=st.decimals("0.001", "1", places=3),
    participation=st.decimals("0.000001", "0.0001", places=6),
    price=st.integers(1, 5000),
)
def test_the_gates_let_it_through_and_not_a_share_more(
    weight: Decimal, participation: Decimal, price: int
) -> None:
    account = an_account(a_position(A, "100000", str(price)), cash={"USD": "1"})
    limits = Limits(max_order_weight=weight, max_participation=participation)
    quote = a_quote(A, str(price))

    def gates(size: Decimal) -> set[str]:
        intent = an_intent(A, str(-size), str(price), current_quantity=d(100000))
        given = gate_input([intent], account=account, quotes=[quote], limits=limits)
        return {refused.gate for refused in apply_gates(given).refused}

    intent = an_intent(A, "-100000", str(price))
    largest = largest_order(intent, a_stock(A), quote, account, limits)
    assert largest is not None
    whole = largest.to_integral_value(ROUND_FLOOR)
    if whole:
        assert gates(whole) == set()
    assert gates(whole + 1) & {"size", "participation"}

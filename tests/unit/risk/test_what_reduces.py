"""What counts as a reduction, and how far an order may be moved."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.instrument import Kind
from rebalancer.model.orders import OrderStatus, OrderType, WorkingOrder
from rebalancer.model.rules import PriceBand, TradingRules
from rebalancer.risk import apply_gates
from rebalancer.risk.candidates import candidates, price_bounds
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
    some_limits,
)


def working(quantity: str, name: Any = A) -> WorkingOrder:
    return WorkingOrder("", "9", name, d(quantity), d(0), d(100), OrderStatus.WORKING, NOW)


@pytest.mark.parametrize(
    ("held", "others", "quantity", "reduces"),
    [
        # Nothing is held: no sale closes anything, however small; nor what others may buy first.
        ("0", [], "-1", False), ("0", [], "-0.5", False), ("0", [], "1", False),
        ("0", ["5"], "-1", False), ("0", ["-5"], "1", False),
        # A buy adds to what is held, however little.
        ("0.5", [], "0.5", False), ("0.5", [], "-0.5", True), ("1", [], "-1", True),
        ("0.5", [], "-0.6", False), ("-0.5", [], "0.5", True), ("-0.5", [], "-0.1", False),
        ("10", [], "0", False),
        # What others sell of a long, or buy of a short, cannot be closed again.
        ("10", ["-6"], "-4", True), ("10", ["-6"], "-5", False),
        ("10", ["-3", "-3"], "-4", True), ("10", ["-3", "-3"], "-5", False),
        ("-10", ["6"], "4", True), ("-10", ["6"], "5", False),
        # What they add makes it no larger for us.
        ("10", ["5"], "-10", True), ("10", ["5"], "-11", False), ("-10", ["-5"], "10", True),
        ("1", ["5"], "-1", True), ("0.5", ["5"], "-0.5", True),
        # All of it, or more than all of it: nothing is left, and nothing of the other side.
        ("10", ["-10"], "-1", False), ("10", ["-15"], "-1", False), ("10", ["-15"], "5", False),
        ("1", ["-1"], "-1", False), ("-10", ["15"], "-5", False),
    ],
)  # fmt: skip
def test_an_order_reduces_what_is_held_and_not_claimed(
    held: str, others: list[str], quantity: str, reduces: bool
) -> None:
    account = an_account(*([a_position(A, held)] if d(held) else []))
    given = gate_input(
        [an_intent(A, quantity)], account=account,
        others=(*(working(each) for each in others), working("-3", B)),
    )  # fmt: skip
    assert candidates(given)[0].reduces is reduces


def test_selling_one_of_what_is_not_held_is_a_short_sale() -> None:
    # As a reduction it would pass every shared limit.
    for others in ((), (working("5"),)):
        (refused,) = apply_gates(gate_input([an_intent(A, "-1")], others=others)).refused
        assert refused.reason == (
            "selling 1 with 0 held is a short sale; shorts are not allowed"
        )  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "reducing", "only"),
    # An order is sent as one that only reduces when it does, and when that was meant.
    [("-10", True, True), ("-10", False, False), ("10", True, False), ("10", False, False)],
)
def test_reduce_only_is_proved_and_wanted(quantity: str, reducing: bool, only: bool) -> None:
    account = an_account(a_position(A, "10"))
    (order,) = apply_gates(
        gate_input([an_intent(A, quantity, reducing=reducing)], account=account)
    ).approved
    assert order.reduce_only is only


# ---------------------------------------------------------------------------- bounds of a price

BANDS = TradingRules(buy_band=PriceBand(None, d("1.05")), sell_band=PriceBand(d("0.95"), None))


@pytest.mark.parametrize(
    ("kind", "buys", "bounds"),
    # Around a mark of 100.11: 95.1045 up to the tick, 105.1155 down; around a middle of 200 else.
    [
        (Kind.PERPETUAL, True, (None, "105.11")), (Kind.PERPETUAL, False, ("95.11", None)),
        (Kind.SPOT, True, (None, "210")), (Kind.SPOT, False, ("190", None)),
    ],
)  # fmt: skip
def test_the_band_of_a_perpetual_is_around_its_mark_on_the_inner_tick(
    kind: Kind, buys: bool, bounds: tuple[str | None, str | None]
) -> None:
    quote = a_quote(A, "200", close=d("100.11"))
    found = price_bounds(a_stock(A, kind=kind, rules=BANDS), quote, buys=buys)
    assert found == tuple(None if each is None else d(each) for each in bounds)


@pytest.mark.parametrize(
    ("mark", "highest"),
    [(None, None), ("NaN", None), ("0", None), ("-1", None), ("0.5", "0.52"), ("1", "1.05")],
)
def test_without_a_positive_mark_there_is_no_band(mark: str | None, highest: str | None) -> None:
    quote = a_quote(A, close=None if mark is None else d(mark))
    stock = a_stock(A, kind=Kind.PERPETUAL, rules=BANDS)
    # 0.5 x 1.05 = 0.525, down to the tick of 0.01.
    wanted = None if highest is None else d(highest)
    assert price_bounds(stock, quote, buys=True) == (None, wanted)


def test_a_sales_worst_price_is_drawn_up_into_the_band() -> None:
    stock = a_stock(A, kind=Kind.PERPETUAL, rules=BANDS)
    sale = replace(an_intent(A, "-1", "96"), order_type=OrderType.LIMIT)
    # 96 x 0.98 = 94.08; the venue takes 95 and more of a mark of 100.
    given = gate_input(
        [sale], stocks=[stock], quotes=[a_quote(A)], worst_price_bps=d(200),
        account=an_account(a_position(A, "1")), limits=some_limits(allow_short=True),
    )  # fmt: skip
    assert candidates(given)[0].worst == Decimal(95)
    (order,) = apply_gates(given).approved
    assert order.worst_price == Decimal(95)

"""What follows an approved order: its rest, never more, never worse, under a number of its own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.errors import DataError
from rebalancer.model.orders import ApprovedOrder, OrderType, TimeInForce
from rebalancer.model.rules import TradingRules
from rebalancer.risk import heir_of, too_small
from tests.unit.risk.builders import A, a_stock, an_approved, an_intent, d


def first(quantity: str, worst: str) -> ApprovedOrder:
    intent = an_intent(A, quantity, notional=4000.0, fee=2.0)
    return an_approved(A, quantity, intent=intent, worst_price=d(worst))


def heir(
    order: ApprovedOrder, quantity: str, limit: str = "100", sequence: int = 7
) -> ApprovedOrder:
    return heir_of(
        order,
        d(quantity),
        sequence,
        limit=d(limit),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        reason="the rest",
    )


def test_an_heir_is_a_part_of_the_first_with_terms_of_its_own() -> None:
    order = first("40", "101")
    found = heir(order, "10", "100.5")
    assert found.reference == "demo.2601051505r1.AAAAAAAA.7"
    assert (found.quantity, found.intent.limit) == (d(10), d("100.5"))
    assert (found.intent.order_type, found.intent.time_in_force) == (
        OrderType.MARKET, TimeInForce.IOC,
    )  # fmt: skip
    # A quarter of it: of 4,000 and of a fee of 2.
    assert (found.intent.notional, found.intent.fee) == (1000.0, 0.5)
    assert found.intent.reason == "the rest"
    same = replace(found, reference=order.reference, intent=order.intent)
    assert same == order  # worst price, deadline, reduce-only and all else


@pytest.mark.parametrize("quantity", ["40", "39", "1", "0.5"])
def test_the_whole_or_less_may_follow(quantity: str) -> None:
    assert heir(first("40", "101"), quantity).quantity == d(quantity)
    assert heir(first("-40", "99"), f"-{quantity}").quantity == d(f"-{quantity}")


@pytest.mark.parametrize(
    ("whole", "quantity"), [("40", "41"), ("40", "-1"), ("40", "0"), ("-40", "-41"), ("-40", "1")]
)
def test_more_than_was_approved_or_the_other_side_is_refused(whole: str, quantity: str) -> None:
    with pytest.raises(DataError, match=rf"AAAAAAAA\.0: {quantity} of {whole} was not approved"):
        heir(first(whole, "101" if whole == "40" else "99"), quantity)


@pytest.mark.parametrize(
    ("whole", "worst", "limit", "good"),
    [
        ("40", "101", "101", True), ("40", "101", "101.01", False), ("40", "101", "50", True),
        ("-40", "99", "99", True), ("-40", "99", "98.99", False), ("-40", "99", "150", True),
    ],
)  # fmt: skip
def test_no_price_is_worse_than_the_worst_approved(
    whole: str, worst: str, limit: str, good: bool
) -> None:
    if good:
        assert heir(first(whole, worst), whole, limit).intent.limit == d(limit)
        return
    with pytest.raises(DataError, match=rf"{limit} is beyond the approved {worst}"):
        heir(first(whole, worst), whole, limit)


RULES = TradingRules(
    limit_step=Decimal("0.5"), market_step=Decimal("0.5"), min_size=Decimal(2),
    min_notional=Decimal(1000), reduce_only_exempt=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "reduces", "small"),
    [
        # Worth 50 a unit at the worst price of 100: 100 x 4 / 8.
        ("20", False, False), ("-20", False, False), ("19.5", False, True), ("-19.5", False, True),
        ("19.5", True, False), ("2", True, False), ("1.5", True, True), ("20.25", False, True),
        ("0", True, True),
    ],
)  # fmt: skip
def test_a_rest_that_the_venue_does_not_take_is_too_small(
    quantity: str, reduces: bool, small: bool
) -> None:
    stock = a_stock(A, rules=RULES, multiplier=d(4), magnifier=d(8))
    order = an_approved(A, "40", worst_price=d(100), reduce_only=reduces)
    assert too_small(order, d(quantity), stock) is small
    if reduces and quantity != "0":
        strict = replace(stock, rules=replace(RULES, reduce_only_exempt=False))
        assert too_small(order, d(quantity), strict)

"""Orders at the venue's smallest and largest, single units, and what the words of an order are."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.model.account import Position
from rebalancer.model.instrument import Instrument, InstrumentId, Kind, PriceSign
from rebalancer.model.plan import Why
from rebalancer.model.signals import Unit
from tests.unit.planning.worlds import (
    NOW,
    account,
    exactly,
    market,
    plan,
    quote,
    ruled,
    stock,
    wanted,
    why,
)

D = Decimal
A, B = stock("A"), stock("B")
EURO = stock("SAP", "EUR")
LATER = NOW + timedelta(hours=1)
"""Rates are older than a session that began then."""


# ---------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("most", "reason"),
    [
        ("50", "weight 0.00 %, wanted 50.00 %: to target"),
        (
            "49",
            "weight 0.00 %, wanted 50.00 %: to target; less than wished: " + Why.TOO_LARGE.sentence,
        ),
    ],
)
def test_an_order_of_exactly_the_largest_size_is_the_whole_order(most: str, reason: str) -> None:
    bounded = stock("X", rules=ruled(max_size=D(most)))
    made = plan([bounded], {bounded: "0.5"}, account("1000"), market(quote(bounded, "10")))
    assert wanted(made) == {"X": D(most)}
    assert [order.reason for order in made.orders] == [reason]


def test_a_sale_in_a_currency_of_old_rates_is_the_whole_order() -> None:
    holding = account("1000", {EURO: "10"}, {"USD": "900"}, {"EUR": "1"})
    made = plan([EURO], {EURO: "0.04"}, holding, market(quote(EURO, "10")), rates_since=LATER)
    assert [(order.quantity, order.reason) for order in made.orders] == [
        (D(-6), "weight 10.00 %, wanted 4.00 %: to target")
    ]


@pytest.mark.parametrize("shares", [1, 2])
def test_not_even_one_share_is_bought_at_an_old_rate(shares: int) -> None:
    holding = account("1000", cash={"USD": "900", "EUR": "100"}, rates={"EUR": "1"})
    targets = {EURO: D(shares) / 100}
    made = plan([EURO], targets, holding, market(quote(EURO, "10")), rates_since=LATER)
    assert why(made) == {"SAP": "rate-stale"}


@pytest.mark.parametrize(
    ("target", "allowed", "orders", "reason"),
    [
        # 10 of A are held; of something else nobody knows the worth, so that nothing is opened.
        ("0.04", True, [-6], "weight 10.00 %, wanted 4.00 %: to target"),
        (
            "-0.02", True, [-10],
            "weight 10.00 %, wanted -2.00 %: to target; less than wished: "
            + Why.REDUCE_ONLY.sentence,
        ),
        (
            "-0.02", False, [-10],
            "weight 10.00 %, wanted -2.00 %: to target; less than wished: "
            + Why.SHORT_REFUSED.sentence,
        ),
    ],
)  # fmt: skip
def test_when_only_reductions_go_an_order_says_so_where_it_lost_a_part(
    target: str, allowed: bool, orders: list[int], reason: str
) -> None:
    unknown = Position(InstrumentId("ZZ.STK.USD@IB"), D(1), "USD")
    holding = account("1000", {A: "10"}, others=(unknown,))
    made = plan([A, B], {A: target, B: "0.01"}, holding, market(quote(A, "10"), quote(B, "10")),
                exactly(allow_short=allowed))  # fmt: skip
    assert [order.quantity for order in made.orders] == orders
    assert [order.reason for order in made.orders] == [reason]
    assert why(made) == {"B": "reduce-only"}


def test_of_a_reversal_of_which_nothing_goes_the_closing_part_says_why() -> None:
    # 2 to close are less than the smallest size of 3; the 3 to open are worth 30, less than 50.
    small = stock("X", rules=ruled(min_size=D(3), min_notional=D(50)))
    made = plan(
        [small], {small: "-0.03"}, account("1000", {small: "2"}), market(quote(small, "10")),
        exactly(allow_short=True),
    )  # fmt: skip
    assert [skip.reason for skip in made.skips()] == [Why.DUST_SIZE.sentence]


# ---------------------------------------------------------------------------- minimums


def combo(**more: object) -> Instrument:
    """Return what may cost nothing or less."""
    return Instrument(
        InstrumentId("S.STK.USD@IB"), Kind.STOCK, "S", "USD", "XNYS",
        ruled(**more), price_sign=PriceSign.ANY,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("least", "sold"),
    [
        # Sold at a limit of 0.00 the 7 are worth nothing: that is less than any minimum but 0.
        ("0", D(-7)),
        ("0.01", None),
        ("5", None),
    ],
)
def test_at_a_limit_of_zero_no_size_reaches_a_minimum(least: str, sold: Decimal | None) -> None:
    each = combo(min_notional=D(least))
    made = plan([each], {}, account("1000", {each: "7"}), market(quote(each, "0", "0.04")))
    assert wanted(made) == ({} if sold is None else {"S": sold})
    if sold is None:
        assert [skip.reason for skip in made.skips()] == [Why.DUST_NOTIONAL.sentence]


@pytest.mark.parametrize(("least", "bought"), [("0.5", D(1)), ("0.51", None)])
def test_a_minimum_below_one_unit_of_money_holds_as_well(
    least: str, bought: Decimal | None
) -> None:
    each = stock("X", rules=ruled(min_notional=D(least)))
    made = plan([each], {each: "0.05"}, account("10"), market(quote(each, "0.50")))
    assert wanted(made) == ({} if bought is None else {"X": bought})


def test_a_minimum_that_a_large_order_meets_exactly_is_met() -> None:
    # 8,788,650.1365 x 83.72 = 735,785,789.42778; as floats, the quotient is a hair above that.
    units, price, least = D("8788650.1365"), D("83.72"), D("735785789.42778")
    each = stock("X", rules=ruled("0.01", "0.0001", min_notional=least))
    made = plan(
        [each], {each: units}, account("1e12"), market(quote(each, price)),
        said={"unit": Unit.LOTS},
    )  # fmt: skip
    assert units * price == least
    assert wanted(made) == {"X": units}

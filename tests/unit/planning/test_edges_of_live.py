"""Quotes at their edges: on both sides of the grid, at zero, and what is told of their age."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.model.account import Position
from rebalancer.model.instrument import Instrument, InstrumentId, Kind, PriceSign
from rebalancer.model.market import Freshness, Quote
from rebalancer.model.plan import Why
from rebalancer.model.universe import Universe
from rebalancer.planning.columns import compile_universe
from rebalancer.planning.live import LiveColumns, read_live
from tests.unit.planning.worlds import NOW, account, market, quote, ruled, stock

D = Decimal
A, B, C = stock("A"), stock("B"), stock("C")
COMBO = Instrument(
    InstrumentId("S.STK.USD@IB"), Kind.STOCK, "S", "USD", "XNYS", price_sign=PriceSign.ANY
)


def live(*quotes: Quote, of: tuple[Instrument, ...] = (A,)) -> LiveColumns:
    return read_live(
        compile_universe(Universe(of)), account("1000"), market(*quotes), NOW, rates_since=None
    )


@pytest.mark.parametrize(
    ("bid", "ask", "found"),
    [
        # In thousandths, one digit more than a cent: off that grid to the outer one, and the
        # middle of an odd sum to the lower one.
        ("10.0009", "10.0041", (10_000, 10_005, 10_002)),
        ("10.0009", "10.0050", (10_000, 10_005, 10_002)),
        ("10.0010", "10.0050", (10_001, 10_005, 10_003)),
        # Two prices that as floats are one: 10.001 less and 10.001 more a billionth.
        ("10.000999999", "10.001000001", (10_000, 10_002, 10_001)),
        # The smallest price there is.
        ("0.001", "0.001", (1, 1, 1)),
    ],
)
def test_a_quote_is_read_outwards(bid: str, ask: str, found: tuple[int, int, int]) -> None:
    columns = live(quote(A, bid, ask))
    assert columns.known.tolist() == [True]
    assert (columns.bid[0], columns.ask[0], columns.reference[0]) == found
    assert columns.reference.dtype == columns.bid.dtype == columns.ask.dtype == "int64"


@pytest.mark.parametrize(
    ("each", "bid", "ask", "why"),
    [
        (A, "10", "1e15", Why.OUT_OF_RANGE),
        (A, "1e-9", "10", Why.NOT_POSITIVE),
        (A, "1", "0", Why.NOT_POSITIVE),
        (A, "-1", "1", Why.NOT_POSITIVE),
        (COMBO, "-1", "1", Why.NOT_POSITIVE),
        (COMBO, "-2", "1", 0),
        (COMBO, "1", "-2", Why.CROSSED),
    ],
)
def test_a_quote_that_sizes_nothing_has_its_reason_and_no_price(
    each: Instrument, bid: str, ask: str, why: int
) -> None:
    columns = live(quote(each, bid, ask), of=(each,))
    assert columns.trouble.tolist() == [why]
    if why:
        assert (columns.bid[0], columns.ask[0], columns.reference[0]) == (0, 0, 0)


def test_a_delayed_quote_is_none_without_the_owners_word() -> None:
    columns = live(quote(A, "10", freshness=Freshness.DELAYED))
    assert columns.trouble.tolist() == [Why.DELAYED]


def test_the_age_of_a_quote_is_told_in_whole_seconds_and_is_never_negative() -> None:
    ages = {A: "0.9", B: "2", C: "-5"}
    quotes = [
        Quote(each.id, NOW - timedelta(seconds=float(age)), D(10), D(10), freshness=Freshness.LIVE)
        for each, age in ages.items()
    ]
    columns = live(*quotes, of=(A, B, C, COMBO))
    assert columns.age.tolist() == [0, 2, 0, -1]


# ---------------------------------------------------------------------------- holdings


def held(*positions: Position, of: tuple[Instrument, ...] = (A, B)) -> LiveColumns:
    rules = compile_universe(Universe(of))
    holding = account("1000", others=positions)
    return read_live(rules, holding, market(*(quote(each, "10") for each in of)), NOW, None)


def test_a_position_that_is_not_ours_hides_none_that_is() -> None:
    columns = held(
        Position(InstrumentId("ZZ.STK.USD@IB"), D(3), "USD"), Position(B.id, D(7), "USD")
    )
    assert columns.held.tolist() == [0, 7]


def test_fewer_decimals_than_the_venues_size_are_counted_in_the_venues() -> None:
    fine = stock("F", rules=ruled("0.01", "0.00000001"))
    columns = held(Position(fine.id, D("1.5"), "USD"), of=(fine,))
    assert columns.held.tolist() == [150_000_000]
    assert columns.known.tolist() == [True]


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "-Infinity", str(2**53), "1e400"])
def test_a_quantity_that_cannot_be_counted_is_held(quantity: str) -> None:
    columns = held(Position(A.id, D(quantity), "USD"), Position(B.id, D(2**53 - 1), "USD"))
    assert columns.trouble.tolist() == [Why.OUT_OF_RANGE, 0]
    assert columns.held.tolist() == [0, 2**53 - 1]


@pytest.mark.parametrize(
    ("price", "why"),
    [
        ("9007199254740.991", 0),
        # Off the grid, the seller's side is rounded up to 2^53 thousandths.
        ("9007199254740.9911", Why.OUT_OF_RANGE),
        ("9007199254740.992", Why.OUT_OF_RANGE),
    ],
)
def test_the_first_price_that_floats_do_not_count_is_out_of_range(price: str, why: int) -> None:
    assert live(quote(A, price)).trouble.tolist() == [why]


@pytest.mark.parametrize(
    ("quantity", "value", "mark"),
    # 30 euros at 1.25 are 37.50; a unit's part of them, whatever the sign.
    [("1", "30", 37.5), ("2", "30", 18.75), ("-1", "-30", 37.5), ("0", "0", None)],
)
def test_without_a_quote_a_unit_is_worth_what_the_venue_says_in_base_currency(
    quantity: str, value: str, mark: float | None
) -> None:
    each = stock("SAP", "EUR")
    position = Position(each.id, D(quantity), "EUR", value=D(value))
    holding = account("1000", others=(position,), rates={"EUR": "1.25"})
    columns = read_live(compile_universe(Universe([each])), holding, market(), NOW, None)
    assert columns.mark.tolist() == ([mark] if mark else pytest.approx([float("nan")], nan_ok=True))


@pytest.mark.parametrize(("since", "stale"), [(3600, False), (3599, True), (3601, False)])
def test_a_rate_read_when_the_session_began_is_of_that_session(since: int, stale: bool) -> None:
    # Rates of these accounts were read an hour before now.
    each = stock("SAP", "EUR")
    columns = read_live(
        compile_universe(Universe([each, A])), account("1000", rates={"EUR": "1.25"}), market(),
        NOW, NOW - timedelta(seconds=since),
    )  # fmt: skip
    assert columns.rate_stale.tolist() == [False, stale]
    assert columns.rate_stale.dtype == "bool"

"""Stops of cheap things and heirs of small orders; how much one order may sell."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.errors import DataError
from rebalancer.model.account import Position
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import ApprovedOrder, OrderType, TimeInForce
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.risk import Ladder, Limits, ProtectParameters, StopNames, heir_of, ladder
from rebalancer.risk.largest import largest_order
from tests.unit.risk.builders import (
    SLOT,
    A,
    a_quote,
    a_stock,
    an_account,
    an_approved,
    an_intent,
    d,
    identifier,
)

NAME = InstrumentId("DOGEUSDT.PERP@BINANCE")
LOT = d("0.001")


def stops(quantity: str, cost: str, mark: str | None, tick: str = "0.001", **more: Any) -> Ladder:
    """Return the ladder of a perpetual: 5 to 7 % from its cost in steps of a half."""
    rules = TradingRules(
        (PriceLevel(d(0), d(tick)),), LOT, LOT, LOT, reduce_only_exempt=True,
        **more.pop("rules", {}),
    )  # fmt: skip
    rules = replace(rules, reduce_only_exempt=not rules.min_notional)
    perp = Instrument(NAME, Kind.PERPETUAL, "DOGEUSDT", "USDT", "24/7", rules)
    price = None if mark is None else d(mark)
    position = Position(NAME, d(quantity), "USDT", price, None, d(cost), **more)
    parameters = ProtectParameters(enabled=True)
    return ladder(position, perp, (), parameters, StopNames("demo", SLOT, 1), most=50)


def test_a_short_position_without_a_liquidation_has_its_whole_ladder() -> None:
    for end in ("0", "-1"):  # a venue's ways to say that there is none
        made = stops("-1", "100", "100", liquidation_price=d(end))
        assert (len(made.place), made.trouble) == (5, "")


def test_a_liquidation_below_one_is_one() -> None:
    made = stops("1", "1", "1", liquidation_price=d("0.97"))
    assert made.trouble == "its stops from 0.950 on lie beyond its liquidation at 0.97"
    # Half a per cent below the mark.
    assert [stop.trigger for stop in made.place] == [d("0.995")]
    one = stops("1", "1.03", "1.03", liquidation_price=d(1))
    assert one.trouble == "its stops from 0.979 on lie beyond its liquidation at 1"


def test_no_trigger_lies_below_the_first_tick() -> None:
    # 0.04 x 1.05 = 0.042, down to a tick of 0.1, would be nothing.
    made = stops("-1", "0.04", None, tick="0.1")
    assert {stop.trigger for stop in made.place} == {d("0.1")}
    assert sum(stop.quantity for stop in made.place) == 1
    assert made.trouble == ""


def test_where_one_lot_is_the_largest_order_every_lot_has_a_stop() -> None:
    made = stops("0.005", "100", "100", rules={"max_size": LOT})
    assert [stop.quantity for stop in made.place] == [-LOT] * 5
    twice = stops("0.010", "100", "100", rules={"max_size": LOT})
    assert [stop.quantity for stop in twice.place] == [-LOT] * 10


def test_the_farthest_piece_must_be_worth_the_smallest_order() -> None:
    # The fifth is at 93, the fourth at 93.5: 0.2 of them are worth 18.6 and 18.7.
    assert len(stops("1", "100", "100", rules={"min_notional": d("18.6")}).place) == 5
    assert len(stops("1", "100", "100", rules={"min_notional": d("18.65")}).place) == 4


# ---------------------------------------------------------------------------- heirs


def heir(quantity: str, whole: str, worst: str, limit: str) -> ApprovedOrder:
    return heir_of(
        an_approved(A, whole, worst_price=d(worst)), d(quantity), 7, limit=d(limit),
        order_type=OrderType.LIMIT, time_in_force=TimeInForce.DAY, reason="the rest",
    )  # fmt: skip


@pytest.mark.parametrize("whole", ["1", "0.5"])
def test_the_rest_of_a_small_order_may_follow_within_its_worst_price(whole: str) -> None:
    assert heir("0.25", whole, "101", "101").quantity == d("0.25")
    assert heir("0.25", whole, "101", "99").intent.limit == 99
    assert heir("-0.25", f"-{whole}", "99", "101").quantity == d("-0.25")
    with pytest.raises(DataError, match=r"101\.01 is beyond the approved 101"):
        heir("0.25", whole, "101", "101.01")
    with pytest.raises(DataError, match=r"98\.99 is beyond the approved 99"):
        heir("-0.25", f"-{whole}", "99", "98.99")


# ---------------------------------------------------------------------------- the largest order


def test_the_largest_order_is_bounded_in_base_currency_and_units() -> None:
    name = identifier("SAP", "EUR")
    stock = a_stock(name, multiplier=d(8), magnifier=d(2))
    account = an_account(cash={"USD": "100000"}, rates={"EUR": "1.25"})
    # A unit is 100 EUR x 8 / 2 x 1.25 = 500 USD; a tenth of 100,000 is 20 of them.
    limits = Limits(max_order_weight=d("0.1"))
    assert largest_order(an_intent(name, "-50"), stock, None, account, limits) == 20


@pytest.mark.parametrize(
    ("volume", "largest"),
    # A hundredth of the volume; what is not known leaves the other bound, 250 shares.
    [("0", "0"), ("0.5", "0.005"), ("100", "1"), ("-1", "250"), ("NaN", "250"), (None, "250")],
)
def test_of_what_does_not_trade_nothing_is_sold(volume: str | None, largest: str) -> None:
    quote = a_quote(A, average_volume=None if volume is None else d(volume))
    found = largest_order(an_intent(A, "-500"), a_stock(A), quote, an_account(), Limits())
    assert found == Decimal(largest)

"""The venue's word for prices, the stricter of two words for sizes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.brokers.ib.contracts_listing import Listing, positive
from rebalancer.brokers.ib.contracts_rules import common_multiple, with_rules
from rebalancer.brokers.ib.market_rules import read_rule
from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.rules import PriceLevel, TradingRules
from tests.unit.ib.quotes.scripted_wire import NOW


def levels(*pairs: tuple[str, str]) -> tuple[PriceLevel, ...]:
    return tuple(PriceLevel(Decimal(edge), Decimal(step)) for edge, step in pairs)


STOCK = Instrument(InstrumentId("X.STK.USD@IB"), Kind.STOCK, "X", "USD", "XNYS")
PAIR = Instrument(
    InstrumentId("EUR.USD.FX@IB"),
    Kind.FOREX,
    "EUR",
    "USD",
    "24/5",
    rules=TradingRules(price_levels=levels(("0", "0.00005"))),
)
LISTING = Listing(
    con_id=1, symbol="X", sec_type="STK", currency="USD", exchange="SMART",
    primary_exchange="NYSE", local_symbol="X", trading_class="X", expiry="", contract_month="",
    long_name="X CORP", multiplier=Decimal(1), magnifier=Decimal(1), min_tick=Decimal("0.0001"),
    min_size=None, size_increment=None, exchanges=("NYSE", "SMART"), market_rules=("7", "26"),
    order_types=(), time_zone="US/Eastern", trading_hours="", liquid_hours="", at=NOW,
)  # fmt: skip
D = Decimal
CENT = levels(("0", "0.01"))


def merged(instrument: Instrument, **said: Any) -> tuple[Instrument, tuple[str, ...]]:
    ticks = said.pop("levels", CENT)
    return with_rules(instrument, replace(LISTING, **said), ticks)


def test_the_market_rule_is_the_one_of_the_exchange_we_send_to() -> None:
    assert LISTING.market_rule() == 26
    assert replace(LISTING, exchange="NYSE").market_rule() == 7
    assert replace(LISTING, exchange="IEX", primary_exchange="").market_rule() is None
    assert replace(LISTING, market_rules=("",)).market_rule() is None


@pytest.mark.parametrize("number", ["9" * 5000, "\u00b2", "-7", "x"])
def test_a_market_rule_without_a_number_is_none(number: str) -> None:
    assert replace(LISTING, market_rules=(number, number)).market_rule() is None


def test_ticks_by_price_level_come_from_the_venue() -> None:
    found, notes = merged(STOCK, levels=levels(("0", "0.0001"), ("1", "0.01")))
    assert found.rules.price_step(Decimal("0.99")) == Decimal("0.0001")
    assert found.rules.price_step(Decimal(1)) == Decimal("0.01")
    assert notes == ("ticks 0.01, at the venue 0.0001 from 0, 0.01 from 1",)


def test_without_a_rule_the_configured_tick_stays_unless_the_venues_is_coarser() -> None:
    assert merged(STOCK, levels=None)[0].rules.price_levels == CENT
    nickel = merged(STOCK, levels=None, min_tick=Decimal("0.05"))[0]
    assert nickel.rules.price_levels == levels(("0", "0.05"))


def test_a_stock_is_never_traded_in_fractions_whatever_the_increment() -> None:
    small = Decimal("0.0001")
    found, notes = merged(STOCK, min_size=small, size_increment=small)
    assert (found.rules.limit_step, found.rules.min_size, notes) == (D(1), D(1), ())


def test_a_configured_board_lot_wins_over_a_smaller_increment() -> None:
    lots = replace(STOCK, rules=TradingRules(limit_step=Decimal(400), min_size=Decimal(400)))
    found, notes = merged(lots, size_increment=Decimal(1))
    assert (found.rules.limit_step, found.rules.min_size, notes) == (D(400), D(400), ())


def test_a_coarser_increment_of_the_venue_wins_and_is_told() -> None:
    found, notes = merged(STOCK, min_size=Decimal(100), size_increment=Decimal(100))
    assert (found.rules.limit_step, found.rules.market_step) == (D(100), D(100))
    assert found.rules.min_size == 100
    assert notes == ("lot 1, at the venue 100", "smallest size 1, at the venue 100")


def test_lots_that_do_not_fit_each_other_give_their_common_multiple() -> None:
    assert common_multiple(Decimal(40), Decimal(100)) == 200
    assert common_multiple(Decimal("0.5"), Decimal("0.2")) == 1
    lots = replace(STOCK, rules=TradingRules(limit_step=Decimal(40), min_size=Decimal(40)))
    found, _notes = merged(lots, size_increment=Decimal(100))
    assert (found.rules.limit_step, found.rules.min_size) == (D(200), D(200))


def test_a_currency_pair_may_have_sizes_of_cents_and_a_smallest_order() -> None:
    cents = replace(
        PAIR,
        rules=replace(PAIR.rules, limit_step=Decimal("0.01"), min_size=Decimal("0.01")),
    )
    ticks = PAIR.rules.price_levels
    found, _ = merged(cents, levels=ticks, min_size=Decimal(1), size_increment=Decimal("0.01"))
    assert (found.rules.limit_step, found.rules.min_size) == (Decimal("0.01"), D(1))


def test_multiplier_and_magnifier_are_the_venues() -> None:
    found, notes = merged(STOCK, multiplier=Decimal(50), magnifier=Decimal(100))
    assert (found.multiplier, found.magnifier) == (D(50), D(100))
    assert notes == (
        "multiplier 1, at the venue 50",
        "price magnifier 1, at the venue 100",
    )


def test_a_largest_size_below_the_venues_smallest_is_told() -> None:
    bound = replace(STOCK, rules=TradingRules(max_size=Decimal(10)))
    found, notes = merged(bound, min_size=Decimal(100), size_increment=Decimal(100))
    assert found.rules.max_size == 100
    assert "largest size 10 is below the venue's smallest 100" in notes


@pytest.mark.parametrize("unset", ["", "0", "0.0", 0.0, 1.8e308, 1e20, "inf", "nan", -1])
def test_what_the_venue_leaves_unset_is_unknown(unset: object) -> None:
    assert positive(unset) is None


def test_floats_of_the_library_become_their_shortest_decimal() -> None:
    assert positive(0.1) == Decimal("0.1")
    assert str(positive(1e-05)) == "0.00001"
    assert str(positive(100.0)) == "100"


def test_a_market_rule_is_read_as_text_exactly() -> None:
    # 2.675 is no binary fraction; a float of it is 2.67499999999999982236431605997495353221893.
    found = read_rule(["93", "557", "2", "2.675", "0.005", "0", "0.001"])
    assert found == levels(("0", "0.001"), ("2.675", "0.005"))


def test_steps_that_do_not_meet_at_their_edge_become_the_coarsest() -> None:
    assert read_rule(["93", "1", "2", "0", "0.01", "1.03", "0.05"]) == levels(("0", "0.05"))


@pytest.mark.parametrize(
    "fields",
    [
        ["93", "1", "1", "0"],
        ["93", "1", "x", "0", "0.01"],
        ["93", "1", "1", "0", "0"],
        ["93", "1", "0"],
        ["93", "1", "1", "0", "one"],
        ["93", "1", "2", "0", "0.03", "1.01", "0.05"],
    ],
)
def test_a_market_rule_that_makes_no_sense_is_refused(fields: list[str]) -> None:
    with pytest.raises(DataError):
        read_rule(fields)

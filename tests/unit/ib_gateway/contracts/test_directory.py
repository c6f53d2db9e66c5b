"""Which contracts there are, under which numbers, and what fits a description."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from rebalancer.errors import StateError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.simulators.ib_gateway.contracts import Directory, Listed, third_friday
from rebalancer.simulators.ib_gateway.contracts_rules import rule_number
from rebalancer.simulators.ib_gateway.standalone import other_instruments
from tests.unit.ib_gateway.clients import SLOT, stock

EURO, FUTURE = other_instruments(SLOT)
APPLE_IN_EURO = replace(
    stock("AAPL"), id=InstrumentId("AAPL.STK.EUR@IB"), currency="EUR", exchange="IBIS"
)
LATER = replace(FUTURE, id=InstrumentId("ES.FUT.20200918@IB"))
ALL = (stock("AAPL"), stock("KO"), stock("QUAL"), APPLE_IN_EURO, EURO, FUTURE, LATER)


def directory(*instruments: Instrument) -> Directory:
    """Return the directory of some instruments."""
    return Directory({each.id: each for each in instruments or ALL})


def found(**asked: Any) -> list[tuple[str, str]]:
    """Return instrument and exchange of what fits."""
    return [(each.instrument.id, each.exchange) for each in directory().lookup(asked)]


def test_numbers_are_the_venues_where_they_are_known_and_else_the_same_for_ever() -> None:
    known, alone = directory(), directory(stock("QUAL"))
    assert known.listed(stock("AAPL").id).con_id == 265598
    assert known.listed(EURO.id).con_id == 12087792
    assert known.listed(stock("QUAL").id).con_id == alone.listed(stock("QUAL").id).con_id
    # The first eight bytes of sha256("QUAL.STK.USD@IB"), modulo 800 million, plus 100 million.
    assert alone.listed(stock("QUAL").id).con_id == 100_000_000 + number("QUAL.STK.USD@IB")


def number(name: str) -> int:
    """Return the number that is made from a name."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") % 800_000_000


def test_no_two_contracts_have_one_number() -> None:
    clash = [replace(stock(f"X{n}"), con_id=4711) for n in range(3)]
    many = [stock(f"Z{n}") for n in range(3_000)]
    listed = directory(*clash, *many, *ALL).all()
    assert len({each.con_id for each in listed}) == len(listed) == 3_010


def test_a_configured_number_is_the_venues() -> None:
    mine = replace(stock("KO"), con_id=8_894_000)
    assert directory(mine).listed(mine.id).con_id == 8_894_000
    assert directory(mine).instrument(8_894_000) == mine
    assert directory(mine).instrument(8_894) is None


def test_what_is_not_there_is_not_listed() -> None:
    with pytest.raises(StateError, match=r"NOPE.STK.USD@IB is not listed"):
        directory().listed(stock("NOPE").id)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"}, ["SMART"]),
        ({"symbol": "AAPL", "secType": "STK", "exchange": "ARCA", "currency": "USD"}, ["ARCA"]),
        ({"symbol": "AAPL", "secType": "STK", "exchange": "ISLAND", "currency": "USD"}, ["NASDAQ"]),
        ({"symbol": "AAPL", "secType": "STK", "exchange": "LSE", "currency": "USD"}, []),
        (
            {"symbol": "KO", "secType": "STK", "exchange": "SMART", "primaryExchange": "NYSE"},
            ["SMART"],
        ),
        ({"symbol": "KO", "secType": "STK", "exchange": "SMART", "primaryExchange": "ARCA"}, []),
        ({"symbol": "KO", "secType": "FUT", "exchange": "SMART"}, []),
        ({"symbol": "KO", "secType": "STK", "exchange": "SMART", "currency": "EUR"}, []),
        ({"localSymbol": "KO", "secType": "STK", "exchange": "SMART"}, ["SMART"]),
        ({"conId": 265598}, ["SMART"]),
        ({"conId": 265598, "exchange": "NASDAQ"}, ["NASDAQ"]),
        ({"conId": 1}, []),
        ({"secType": "STK", "exchange": "SMART"}, []),
        ({"symbol": "EUR", "secType": "CASH", "currency": "USD"}, ["IDEALPRO"]),
        ({"symbol": "EUR", "secType": "CASH", "exchange": "SMART"}, []),
        ({"symbol": "SPY", "secType": "OPT", "exchange": "SMART"}, []),
    ],
)
def test_a_description_finds_what_fits_it(asked: dict[str, Any], answer: list[str]) -> None:
    assert [exchange for _name, exchange in found(**asked)] == answer


def test_without_a_currency_a_stock_of_two_markets_is_ambiguous() -> None:
    two = found(symbol="AAPL", secType="STK", exchange="SMART")
    assert two == [("AAPL.STK.EUR@IB", "SMART"), ("AAPL.STK.USD@IB", "SMART")]


def test_without_an_exchange_a_stock_is_one_contract_at_each() -> None:
    rows = found(symbol="KO", secType="STK", currency="USD")
    assert len(rows) > 10
    assert {"SMART", "NYSE", "ARCA"} < {exchange for _name, exchange in rows}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("", 2),
        ("202006", 1),
        ("20200619", 1),
        ("202009", 1),
        ("20200918", 1),
        ("20200917", 0),
        ("202012", 0),
    ],
)
def test_a_future_is_found_by_month_or_day(asked: str, answer: int) -> None:
    rows = found(symbol="ES", secType="FUT", exchange="CME", lastTradeDateOrContractMonth=asked)
    assert len(rows) == answer


@pytest.mark.parametrize(("multiplier", "answer"), [("50", 1), ("50.0", 1), ("5", 0), ("x", 0)])
def test_a_multiplier_must_be_right(multiplier: str, answer: int) -> None:
    rows = found(
        symbol="ES",
        secType="FUT",
        lastTradeDateOrContractMonth="202006",
        multiplier=multiplier,
    )
    assert len(rows) == answer


def test_a_future_is_told_with_its_last_day_and_local_name() -> None:
    listed: Listed = directory().listed(FUTURE.id)
    # The third Friday of June 2020 is the 19th; M is the letter of June.
    assert (listed.expiry, listed.month, listed.local_symbol) == ("20200619", "202006", "ESM0")
    assert (listed.exchange, listed.primary, listed.multiplier) == ("CME", "", "50")
    assert listed.values()["expiry"] == "20200619"
    assert directory().listed(LATER.id).expiry == "20200918"


@pytest.mark.parametrize(
    ("month", "day"), [("202006", "2020-06-19"), ("202505", "2025-05-16"), ("202610", "2026-10-16")]
)
def test_third_fridays(month: str, day: str) -> None:
    assert third_friday(month).isoformat() == day


def test_the_same_steps_have_the_same_rule() -> None:
    pennies = TradingRules(
        price_levels=(
            PriceLevel(Decimal(0), Decimal("0.0001")),
            PriceLevel(Decimal(1), Decimal("0.01")),
        )
    )
    cheap, other = (replace(stock(name), rules=pennies) for name in ("RRC", "BBY"))
    known = directory(cheap, other, stock("KO"))
    rules = {known.listed(each.id).market_rule for each in (cheap, other)}
    assert len(rules) == 1
    assert known.rule(rules.pop()) == pennies.price_levels
    # 26 is the rule of one cent at the venue.
    assert known.listed(stock("KO").id).market_rule == 26
    assert known.rule(4_711) is None
    own = (PriceLevel(Decimal(0), Decimal("0.05")),)
    assert rule_number(own) == rule_number((PriceLevel(Decimal("0.0"), Decimal("0.050")),)) > 9_999
    listed = known.listed(cheap.id)
    assert len(listed.market_rule_ids.split(",")) == len(listed.exchanges)


def test_kinds_that_are_no_contracts_here_are_left_out() -> None:
    option = replace(stock("SPY"), id=InstrumentId("SPY.OPT.20261218.600C@IB"), kind=Kind.OPTION)
    assert directory(option).all() == ()

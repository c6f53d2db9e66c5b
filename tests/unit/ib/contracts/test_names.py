"""Our names and the venue's are the same thing in two languages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rebalancer.brokers.ib.contracts_names import differs, name_of, question
from rebalancer.errors import DataError
from rebalancer.model.instrument import (
    Instrument,
    parse_instrument_id,
    split_instrument_id,
)


def thing(name: str, currency: str = "USD") -> Instrument:
    identifier = parse_instrument_id(name)
    symbol, kind, _rest, _venue = split_instrument_id(identifier)
    return Instrument(identifier, kind, symbol, currency, "XNYS", multiplier=Decimal(1))


@pytest.mark.parametrize(
    ("name", "exchange", "asked"),
    [
        (
            "AAPL.STK.USD@IB",
            "NASDAQ",
            {"symbol": "AAPL", "secType": "STK", "currency": "USD", "exchange": "SMART",
             "primaryExchange": "NASDAQ"},
        ),
        (
            "EUR.USD.FX@IB",
            "",
            {"symbol": "EUR", "secType": "CASH", "currency": "USD", "exchange": "IDEALPRO"},
        ),
        (
            "ES.FUT.202612@IB",
            "CME",
            {"symbol": "ES", "secType": "FUT", "currency": "USD", "exchange": "CME",
             "lastTradeDateOrContractMonth": "202612"},
        ),
        (
            "VIX.FUT.202612.VX@IB",
            "",
            {"symbol": "VIX", "secType": "FUT", "currency": "USD", "exchange": "",
             "lastTradeDateOrContractMonth": "202612", "tradingClass": "VX"},
        ),
    ],
)  # fmt: skip
def test_each_kind_is_asked_for_in_the_words_of_the_venue(
    name: str, exchange: str, asked: dict[str, Any]
) -> None:
    assert question(thing(name), exchange=exchange) == asked


def test_a_number_from_the_configuration_is_all_that_is_asked() -> None:
    assert question(thing("AAPL.STK.USD@IB"), 265598) == {"conId": 265598, "exchange": "SMART"}


@pytest.mark.parametrize(
    "name", ["SPY.OPT.20261218.600C@IB", "BTCUSDT.SPOT@BINANCE", "ES.FUT.DEC26@IB"]
)
def test_what_this_adapter_cannot_trade_is_refused_in_clear_words(name: str) -> None:
    with pytest.raises(DataError, match=name.partition("@")[0]):
        question(thing(name))


FUTURE = {
    "conId": "495512563",
    "symbol": "ES",
    "secType": "FUT",
    "currency": "USD",
    "lastTradeDateOrContractMonth": "20261218",
    "contractMonth": "202612",
    "tradingClass": "ES",
}


def test_a_future_is_matched_by_its_month_or_by_its_day() -> None:
    assert differs(thing("ES.FUT.202612@IB"), 0, FUTURE) == ""
    assert differs(thing("ES.FUT.20261218@IB"), 0, FUTURE) == ""
    assert "202612 instead of 202703" in differs(thing("ES.FUT.202703@IB"), 0, FUTURE)
    assert "20261218 instead of 20261217" in differs(thing("ES.FUT.20261217@IB"), 0, FUTURE)


@pytest.mark.parametrize(
    ("field", "value"),
    [("symbol", "MES"), ("secType", "FOP"), ("currency", "EUR")],
)
def test_another_symbol_type_or_currency_is_another_contract(field: str, value: str) -> None:
    other = FUTURE | {field: value}
    assert f"{field} {value} instead of" in differs(thing("ES.FUT.202612@IB"), 0, other)


def test_another_number_than_the_configured_one_is_another_contract() -> None:
    assert "conId 495512563 instead of 7" in differs(thing("ES.FUT.202612@IB"), 7, FUTURE)


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        ({"conId": 1, "symbol": "AAPL", "secType": "STK", "currency": "USD"}, "AAPL.STK.USD@IB"),
        ({"conId": 1, "symbol": "BRK B", "secType": "STK", "currency": "USD"}, "BRK B.STK.USD@IB"),
        ({"conId": 1, "symbol": "EUR", "secType": "CASH", "currency": "USD"}, "EUR.USD.FX@IB"),
        (FUTURE, "ES.FUT.20261218@IB"),
        (
            {"conId": 2, "symbol": "SPX", "secType": "OPT", "currency": "USD", "strike": 5000.5,
             "right": "C", "lastTradeDateOrContractMonth": "20261218", "tradingClass": "SPXW"},
            "SPX.OPT.20261218.5000.5C.SPXW@IB",
        ),
        (
            {"conId": 77, "symbol": "US-T", "secType": "BOND", "currency": "USD"},
            "US-T.STK.USD.BOND.C77@IB",
        ),
        ({"conId": 28, "symbol": "", "secType": "BAG", "currency": "USD"},
         "C28.STK.USD.C28@IB"),
        ({"conId": 9, "symbol": "dax", "secType": "IND", "currency": "EUR"},
         "DAX.STK.EUR.IND.C9@IB"),
    ],
)  # fmt: skip
def test_whatever_an_account_holds_has_a_name(contract: dict[str, Any], name: str) -> None:
    assert name_of(contract) == parse_instrument_id(name)


def test_two_contracts_of_one_name_are_told_apart_by_number() -> None:
    contract = {"conId": 12, "symbol": "VOD", "secType": "STK", "currency": "USD"}
    assert name_of(contract, apart=True) == "VOD.STK.USD.C12@IB"

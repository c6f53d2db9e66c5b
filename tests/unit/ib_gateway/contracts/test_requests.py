"""Questions about contracts, as the real client asks them and on the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.simulators.ib_gateway.standalone import other_instruments
from tests.unit.ib_gateway.clients import SLOT, connected, library, local, stock
from tests.unit.ib_gateway.wire import Caller, contract, errors, gateway_of, names

PENNY = replace(
    stock("RRC"),
    rules=TradingRules(
        price_levels=(
            PriceLevel(Decimal(0), Decimal("0.0001")),
            PriceLevel(Decimal(1), Decimal("0.01")),
        )
    ),
)


def details(*fields: object, request: int = 5) -> tuple[object, ...]:
    """Return a request for contract details."""
    return (9, 8, request, *fields, 0, "", "", "")


def test_the_real_client_qualifies_a_stock_and_reads_its_details() -> None:
    with connected(local()) as ib:
        lib = library()
        share = lib.Stock("AAPL", "SMART", "USD")
        ib.qualifyContracts(share)
        found = ib.reqContractDetails(share)
    assert (share.conId, share.primaryExchange, share.tradingClass) == (265598, "NASDAQ", "NMS")
    assert len(found) == 1
    told = found[0]
    assert (told.minTick, told.longName, told.stockType) == (0.01, "APPLE INC", "COMMON")
    assert (told.minSize, told.sizeIncrement, told.suggestedSizeIncrement) == (0.0001, 0.0001, 100)
    assert told.marketRuleIds.count(",") == told.validExchanges.count(",")
    first = told.liquidSessions()[0]
    assert first.start.astimezone(UTC) == datetime(2020, 3, 2, 14, 30, tzinfo=UTC)
    assert first.end.astimezone(UTC) == datetime(2020, 3, 2, 21, 0, tzinfo=UTC)


def test_the_real_client_qualifies_a_pair_and_a_future() -> None:
    with connected(local(instruments=other_instruments(SLOT))) as ib:
        lib = library()
        pair, future = lib.Forex("EURUSD"), lib.Future("ES", "202006", "CME")
        ib.qualifyContracts(pair, future)
        told = ib.reqContractDetails(future)[0]
        by_number = ib.reqContractDetails(lib.Contract(conId=future.conId))
    assert (pair.conId, pair.localSymbol) == (12087792, "EUR.USD")
    assert future.lastTradeDateOrContractMonth == "20200619"
    assert (future.multiplier, future.localSymbol) == ("50", "ESM0")
    assert (told.contractMonth, told.minTick, told.underSymbol) == ("202006", 0.25, "ES")
    assert [each.contract.localSymbol for each in by_number] == ["ESM0"]


def test_price_steps_are_told_by_level() -> None:
    with connected(local(instruments=(PENNY,))) as ib:
        share = library().Stock("RRC", "SMART", "USD")
        told = ib.reqContractDetails(share)[0]
        rule = ib.reqMarketRule(int(told.marketRuleIds.split(",")[0]))
    assert told.minTick == 0.0001
    assert [(each.lowEdge, each.increment) for each in rule] == [(0.0, 0.0001), (1.0, 0.01)]


def test_symbols_are_found_by_their_beginning_or_name() -> None:
    with connected(local()) as ib:
        by_symbol, by_name = ib.reqMatchingSymbols("K"), ib.reqMatchingSymbols("apple")
    assert by_symbol[0].contract.symbol == "KO"
    assert [each.contract.conId for each in by_name] == [265598]
    assert by_name[0].derivativeSecTypes == ["CFD", "OPT"]


def test_a_chain_of_options_surrounds_the_price() -> None:
    with connected(local()) as ib:
        chains = ib.reqSecDefOptParams("AAPL", "", "STK", 265598)
        price = ib.reqTickers(library().Contract(conId=265598, exchange="SMART"))[0].last
    assert {each.exchange for each in chains} == {"SMART", "CBOE"}
    assert min(chains[0].strikes) < price < max(chains[0].strikes)
    assert chains[0].expirations == ["20200417", "20200515", "20200619"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (contract("NOPE"), 200),
        (contract("AAPL", exchange="LSE"), 200),
        (contract("AAPL", kind="OPT", expiry="20200417", strike=70, right="C"), 200),
        (contract("", kind="BAG"), 321),
        (contract("AAPL", kind="BAG"), 200),
        (contract("AAPL", kind=""), 321),
        (contract("AAPL", kind="SHARE"), 321),
        (contract("", kind="STK"), 321),
        (contract("", kind="", conId=4711), 200),
    ],
)
def test_what_there_is_not_is_answered_with_its_request(asked: tuple[Any, ...], code: int) -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        assert errors(caller.say(*details(*asked))) == [(5, code)]


def test_an_ambiguous_question_has_several_answers_and_one_end() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        said = names(caller.say(*details(*contract("KO", exchange=""))))
    assert said.count("contractDetails") > 10
    assert said[-1] == "contractDetailsEnd"


def test_an_isin_finds_its_stock() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        blank = contract("", kind="", exchange="", currency="")
        said = caller.say(9, 8, 5, *blank, 0, "ISIN", "US0378331005", "")
        assert [e.fields[2] for e in said if e.name == "contractDetails"] == ["AAPL"]


def test_a_rule_or_chain_that_there_is_not_is_refused() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        assert errors(caller.say(91, 4711)) == [(-1, 321)]
        assert errors(caller.say(78, 6, "NOPE", "", "STK", 4711)) == [(6, 200)]
        assert caller.say(81, 7, "")[0].fields == ("79", "7", "0")


@pytest.mark.parametrize("version", [157, 163, 164, 176])
def test_details_have_the_fields_of_their_version(version: int) -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway, f"v{version}..{version}")
        caller.start()
        issuer = ("",) if version >= 176 else ()
        said = caller.say(9, 8, 5, *contract("KO"), 0, "", "", *issuer)
        fields = said[0].fields
    # Before 164: a version in front, mdSizeMultiplier; 163 one size at the end, from 164 three.
    assert len(fields) == {157: 39, 163: 40, 164: 40, 176: 40}[version]

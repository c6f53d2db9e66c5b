"""Each instrument has its own question, its own answer and its own trouble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from rebalancer.brokers.ib.contract_cache import FILE
from rebalancer.brokers.ib.contracts import Contracts
from rebalancer.errors import DataError
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.instrument import (
    Instrument,
    InstrumentId,
    parse_instrument_id,
    split_instrument_id,
)
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.universe import Universe
from rebalancer.store.atomic import Files
from tests.unit.ib.contracts.scripted_details import details, end
from tests.unit.ib.quotes.scripted_wire import NOW, Frames, ScriptedLine, error

CENT = (PriceLevel(Decimal(0), Decimal("0.01")),)


def thing(name: str, currency: str = "USD", **changes: Any) -> Instrument:
    identifier = parse_instrument_id(name)
    symbol, kind, _rest, _venue = split_instrument_id(identifier)
    return Instrument(identifier, kind, symbol, currency, "XNYS", **changes)


AAPL, KO, MSFT = (thing(f"{symbol}.STK.USD@IB") for symbol in ("AAPL", "KO", "MSFT"))
NUMBERS = {"AAPL": 265598, "KO": 8894, "MSFT": 272093}
RULE_26 = (93, 26, 1, "0", "0.01")


class Venue:
    """A scripted venue that knows some symbols, and counts what it was asked."""

    def __init__(self, tmp_path: Path, *instruments: Instrument) -> None:
        self.folder = tmp_path / "ib"
        self.instruments = instruments
        self.known: dict[str, Callable[[str], Frames]] = {
            symbol: self._stock(symbol, number) for symbol, number in NUMBERS.items()
        }
        self.rules: dict[str, Sequence[object]] = {"26": RULE_26}
        self.flags: list[tuple[str, str, str]] = []
        self.now = NOW

    @staticmethod
    def _stock(symbol: str, number: int) -> Callable[[str], Frames]:
        return lambda request: [
            details(request, symbol=symbol, localSymbol=symbol, conId=number),
            end(request),
        ]

    def connect(self) -> Contracts:
        """Return the contracts of a new connection."""
        self.line = ScriptedLine()
        self.line.passage.at = self.now
        self.line.passage.tick = timedelta(milliseconds=1)
        self.line.wire.answers["reqContractDetails"] = self._details
        self.line.wire.answers["reqMarketRule"] = lambda f: (
            [self.rules[f[1]]] if f[1] in self.rules else []
        )
        universe = Universe(self.instruments)
        return Contracts(cast("Any", self.line), self.folder, Files(), universe)

    def _details(self, fields: list[str]) -> Frames:
        request, number, symbol = fields[2], fields[3], fields[4]
        known = self.known.get(symbol) or self.known.get(number)
        return known(request) if known else [error(request, 200, "No security definition")]

    def listed(self) -> tuple[Instrument, ...]:
        """Connect anew and return the instruments with the venue's rules."""
        self.flags.clear()
        self.contracts = self.connect()
        return self.contracts.listed(self.instruments, self._flag)

    def _flag(self, code: str, message: str, subject: str = "") -> None:
        assert code in FLAG_TABLE
        self.flags.append((code, subject, message))

    def asked(self, name: str) -> int:
        return self.line.wire.names().count(name)


def test_each_instrument_gets_its_contract_by_number(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL, KO)
    venue.listed()
    contract = venue.contracts.contract(AAPL.id)
    assert (contract.conId, contract.exchange, contract.secType) == (265598, "SMART", "STK")
    assert venue.contracts.contract(AAPL.id) is not contract
    assert venue.flags == []


def test_a_qualification_that_fails_shifts_no_list(tmp_path: Path) -> None:
    """The disaster: the library drops failures, and every contract behind moves up by one."""
    venue = Venue(tmp_path, AAPL, KO, MSFT)
    del venue.known["KO"]
    answer = venue.listed()
    assert [each.id for each in answer] == [AAPL.id, KO.id, MSFT.id]
    assert venue.contracts.contract(AAPL.id).conId == NUMBERS["AAPL"]
    assert venue.contracts.contract(MSFT.id).conId == NUMBERS["MSFT"]
    with pytest.raises(DataError, match=r"KO\.STK\.USD@IB: the venue does not know it"):
        venue.contracts.contract(KO.id)
    assert [(code, subject) for code, subject, _ in venue.flags] == [("instrument-unknown", KO.id)]


def test_answers_in_another_order_reach_the_right_instruments(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL, MSFT)
    contracts = venue.connect()
    waiting: list[tuple[str, str]] = []

    def both_at_last(fields: list[str]) -> Frames:
        waiting.append((fields[2], fields[4]))
        if len(waiting) < 2:
            return []
        frames = [venue._details(["9", "8", request, "0", symbol]) for request, symbol in waiting]
        return [frame for answer in reversed(frames) for frame in answer]

    venue.line.wire.answers["reqContractDetails"] = both_at_last
    contracts.qualify()
    assert contracts.contract(AAPL.id).conId == NUMBERS["AAPL"]
    assert contracts.contract(MSFT.id).conId == NUMBERS["MSFT"]


def test_an_answer_about_something_else_is_not_taken(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.known["AAPL"] = lambda request: [details(request, symbol="AAPLX"), end(request)]
    venue.listed()
    assert venue.flags[0][0] == "instrument-unknown"
    assert "symbol AAPLX instead of AAPL" in venue.flags[0][2]


def test_an_ambiguous_name_is_held_and_the_candidates_are_named(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.known["AAPL"] = lambda request: [
        details(request, conId=1, primary="NASDAQ"),
        details(request, conId=2, primary="PURE", longName="APPLE CDR"),
        end(request),
    ]
    assert venue.listed() == (AAPL,)
    code, subject, words = venue.flags[0]
    assert (code, subject) == ("instrument-unknown", AAPL.id)
    assert "con_id 1" in words
    assert "con_id 2" in words
    assert "APPLE CDR" in words


def test_the_same_contract_told_twice_is_one_contract(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.known["AAPL"] = lambda request: [details(request), details(request), end(request)]
    venue.listed()
    assert venue.contracts.contract(AAPL.id).conId == 265598


def test_no_answer_in_time_is_the_trouble_of_that_instrument_alone(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL, KO)
    venue.known["KO"] = lambda request: []
    venue.listed()
    assert venue.contracts.contract(AAPL.id).conId == 265598
    assert "did not answer within 30 s" in venue.flags[0][2]


def test_a_second_run_of_the_day_asks_nothing(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL, KO)
    first = venue.listed()
    venue.now = NOW + timedelta(hours=5)
    assert venue.listed() == first
    assert venue.line.wire.sent == []


def test_after_a_day_contracts_are_qualified_again_and_rules_are_not(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.listed()
    venue.now = NOW + timedelta(days=1)
    venue.listed()
    assert (venue.asked("reqContractDetails"), venue.asked("reqMarketRule")) == (1, 0)
    venue.now = NOW + timedelta(days=30)
    venue.listed()
    assert venue.asked("reqMarketRule") == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"schema": 99, "listings": {}, "rules": {}}', b"\xff\xfe", b"null"],
)
def test_a_damaged_cache_is_thrown_away(tmp_path: Path, content: bytes) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.listed()
    whole = (venue.folder / FILE).read_bytes()
    (venue.folder / FILE).write_bytes(content)
    venue.listed()
    assert venue.asked("reqContractDetails") == 1
    assert (venue.folder / FILE).read_bytes() == whole


def test_a_cache_cut_short_at_any_place_is_as_good_as_none(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.listed()
    whole = (venue.folder / FILE).read_bytes()
    for length in range(0, len(whole), 97):
        (venue.folder / FILE).write_bytes(whole[:length])
        venue.listed()
        assert venue.contracts.contract(AAPL.id).conId == 265598


def test_another_number_by_the_same_name_stops_the_line_until_the_owner_says_so(
    tmp_path: Path,
) -> None:
    venue = Venue(tmp_path, AAPL, KO)
    venue.listed()
    venue.known["AAPL"] = venue._stock("AAPL", 999)
    for days in (1, 2):
        venue.now = NOW + timedelta(days=days)
        venue.listed()
        assert [flag[:2] for flag in venue.flags] == [("instrument-changed", AAPL.id)]
        assert "con_id 265598" in venue.flags[0][2]
        assert "con_id 999" in venue.flags[0][2]
        assert venue.contracts.contract(KO.id).conId == NUMBERS["KO"]
        with pytest.raises(DataError):
            venue.contracts.contract(AAPL.id)
        for number in (265598, 999):  # what is held is still ours, by either number
            stock = {"conId": number, "symbol": "AAPL", "secType": "STK", "currency": "USD"}
            assert venue.contracts.name(stock) == AAPL.id


def test_a_renamed_contract_is_found_by_its_old_number(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.listed()
    del venue.known["AAPL"]
    venue.known["265598"] = lambda request: [
        details(request, symbol="PEAR", longName="PEAR INC"),
        end(request),
    ]
    venue.now = NOW + timedelta(days=1)
    venue.listed()
    assert "contract 265598 is now con_id 265598 (PEAR" in venue.flags[0][2]


def test_names_before_anything_was_asked_are_those_of_the_contracts_fields(
    tmp_path: Path,
) -> None:
    venue = Venue(tmp_path, AAPL)
    contracts = venue.connect()
    stock = {"conId": 1, "symbol": "AAPL", "secType": "STK", "currency": "USD"}
    assert contracts.name(stock) == contracts.identify(stock) == AAPL.id
    other = venue.line.lib.Contract(conId=5, symbol="XOM", secType="STK", currency="USD")
    assert contracts.name(other) == "XOM.STK.USD@IB"
    assert contracts.identify(other) is None


def test_another_contract_by_the_name_of_ours_is_told_apart(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.listed()
    other = {"conId": 7, "symbol": "AAPL", "secType": "STK", "currency": "USD"}
    assert venue.contracts.name(other) == InstrumentId("AAPL.STK.USD.C7@IB")
    assert venue.contracts.identify(other) is None


def test_a_future_is_named_by_number_never_by_the_month_of_its_last_day(tmp_path: Path) -> None:
    """Crude oil for January stops trading in December."""
    oil = thing("CL.FUT.202701@IB", multiplier=Decimal(1000))
    december = thing("CL.FUT.202612@IB", multiplier=Decimal(1000))
    venue = Venue(tmp_path, oil, december)
    common = {"symbol": "CL", "secType": "FUT", "exchange": "NYMEX", "tradingClass": "CL",
              "validExchanges": "NYMEX", "rules": "32", "multiplier": "1000"}  # fmt: skip
    months = {"202701": (11, "20261221"), "202612": (10, "20261120")}

    def answer(fields: list[str]) -> Frames:
        number, day = months[fields[6]]
        return [
            details(fields[2], conId=number, expiry=day, month=fields[6], **common),
            end(fields[2]),
        ]

    contracts = venue.connect()
    venue.line.wire.answers["reqContractDetails"] = answer
    held = {"conId": 11, "symbol": "CL", "secType": "FUT", "currency": "USD",
            "lastTradeDateOrContractMonth": "20261221", "tradingClass": "CL"}  # fmt: skip
    assert contracts.name(held) == "CL.FUT.20261221@IB"
    contracts.qualify()
    assert contracts.name(held) == oil.id
    contract = contracts.contract(oil.id)
    assert (contract.exchange, contract.lastTradeDateOrContractMonth) == ("NYMEX", "20261221")


def test_differences_are_told_on_the_day_they_are_read(tmp_path: Path) -> None:
    rules = TradingRules(price_levels=(PriceLevel(Decimal(0), Decimal("0.05")),))
    venue = Venue(tmp_path, replace(AAPL, rules=rules))
    (merged,) = venue.listed()
    assert merged.rules.price_levels == CENT
    assert [flag[0] for flag in venue.flags] == ["rules-differ"]
    assert "ticks 0.05, at the venue 0.01" in venue.flags[0][2]
    venue.now = NOW + timedelta(hours=1)
    assert venue.listed() == (merged,)
    assert venue.flags == []


def test_a_market_rule_that_does_not_come_is_asked_for_again_and_then_done_without(
    tmp_path: Path,
) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.rules.clear()
    (merged,) = venue.listed()
    assert venue.asked("reqMarketRule") == 3
    assert merged.rules.price_levels == CENT
    assert "market rule is not known" in venue.flags[0][2]


def test_trading_hours_say_whether_the_venue_trades_now(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.listed()
    trades = venue.contracts.trades
    assert trades(AAPL.id, NOW) is True
    assert trades(AAPL.id, NOW.replace(hour=21)) is False
    assert trades(AAPL.id, NOW + timedelta(days=3)) is False  # Thanksgiving
    assert trades(AAPL.id, NOW + timedelta(days=30)) is None
    assert trades(KO.id, NOW) is None


def test_the_owners_number_ends_an_ambiguity_and_accepts_a_change(tmp_path: Path) -> None:
    venue = Venue(tmp_path, AAPL)
    venue.listed()
    venue.known["AAPL"] = venue._stock("AAPL", 999)
    venue.known["999"] = venue._stock("AAPL", 999)
    venue.instruments = (replace(AAPL, con_id=999),)
    assert venue.listed()[0].con_id == 999
    assert venue.flags == []
    assert venue.contracts.contract(AAPL.id).conId == 999
    asked = [fields for name, fields in venue.line.wire.sent if name == "reqContractDetails"]
    assert [fields[3:5] for fields in asked] == [["999", ""]]
    venue.instruments = (AAPL,)  # the number may go again: it is the known one now
    venue.now = NOW + timedelta(days=1)
    venue.listed()
    assert venue.flags == []


def test_an_exchange_of_the_configuration_is_part_of_the_question(tmp_path: Path) -> None:
    venue = Venue(tmp_path, replace(AAPL, exchange="NASDAQ"))
    venue.listed()
    asked = [fields for name, fields in venue.line.wire.sent if name == "reqContractDetails"]
    assert asked[0][10:13] == ["SMART", "NASDAQ", "USD"]

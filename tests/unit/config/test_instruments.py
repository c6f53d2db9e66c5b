"""The rules of an instrument: what its kind has, and what the file says instead."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.config import load
from rebalancer.errors import ConfigError, Problem
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.rules import PriceLevel
from rebalancer.risk import Override

HEAD = """
[portfolio]
name = "test"
mode = "paper"
base_currency = "USD"
calendar = "XNYS"
"""


def text(identifier: str, more: str = "") -> str:
    sleeve = f'[[sleeve]]\nname = "s"\nshare = 1\nuniverse = ["{identifier}"]\n'
    entry = f'[[instrument]]\nid = "{identifier}"\n{more}\n' if more else ""
    head = HEAD.replace("XNYS", "24/7") if identifier.endswith("@BINANCE") else HEAD
    return head + sleeve + entry


def made(folder: Path, identifier: str, more: str = "") -> Instrument:
    path = folder / "portfolio.toml"
    path.write_text(text(identifier, more), encoding="utf-8")
    (instrument,) = load(path, {}).instruments
    return instrument


def refused(folder: Path, identifier: str, more: str = "") -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        made(folder, identifier, more)
    return list(caught.value.problems)


def levels(*pairs: str) -> tuple[PriceLevel, ...]:
    return tuple(
        PriceLevel(Decimal(edge), Decimal(step))
        for edge, step in (pair.split(":") for pair in pairs)
    )


@pytest.mark.parametrize(
    ("identifier", "currency", "ticks", "lot", "multiplier", "calendar", "shortable"),
    [
        # 17 CFR 242.612: 0.01 from 1.00 USD on, 0.0001 below.
        ("AAPL.STK.USD@IB", "USD", levels("0:0.0001", "1:0.01"), "1", "1", "XNYS", True),
        ("SAP.STK.EUR@IB", "EUR", levels("0:0.01"), "1", "1", "XNYS", True),
        ("SPY.OPT.20261218.600C@IB", "USD", levels("0:0.01"), "1", "100", "XNYS", True),
        ("BTCUSDT.PERP@BINANCE", "USDT", levels("0:0.01"), "0.001", "1", "24/7", True),
        ("ETHBTC.SPOT@BINANCE", "BTC", levels("0:0.01"), "0.00001", "1", "24/7", False),
    ],
)
def test_a_kind_has_its_rules(
    tmp_path: Path,
    identifier: str,
    currency: str,
    ticks: tuple[PriceLevel, ...],
    lot: str,
    multiplier: str,
    calendar: str,
    shortable: bool,
) -> None:
    said = 'currency = "USD"' if ".OPT." in identifier else ""
    instrument = made(tmp_path, identifier, said)
    assert instrument.currency == currency
    assert instrument.rules.price_levels == ticks
    assert instrument.rules.limit_step == instrument.rules.min_size == Decimal(lot)
    assert instrument.multiplier == Decimal(multiplier)
    assert instrument.calendar == calendar
    assert instrument.shortable is shortable


def test_the_file_has_the_last_word(tmp_path: Path) -> None:
    more = """
currency = "GBP"
calendar = "XLON"
ticks = [{ edge = 0, step = 0.05 }, { edge = 10, step = 0.1 }]
lot = 10
market_lot = 100
min_size = 20
max_size = 5000
min_notional = 0
multiplier = 2
magnifier = 100
shortable = false
"""
    instrument = made(tmp_path, "VOD.STK.GBP@IB", more)
    rules = instrument.rules
    assert rules.price_levels == levels("0:0.05", "10:0.1")
    assert (rules.limit_step, rules.market_step) == (Decimal(10), Decimal(100))
    assert (rules.min_size, rules.max_size) == (Decimal(20), Decimal(5000))
    assert rules.min_notional == 0
    assert (instrument.multiplier, instrument.magnifier) == (Decimal(2), Decimal(100))
    assert (instrument.currency, instrument.calendar) == ("GBP", "XLON")
    assert instrument.shortable is False


def test_a_smallest_size_of_zero_is_zero(tmp_path: Path) -> None:
    assert made(tmp_path, "AAPL.STK.USD@IB", "min_size = 0").rules.min_size == 0


def test_a_future_must_say_what_it_is(tmp_path: Path) -> None:
    missing = [problem.key for problem in refused(tmp_path, "ES.FUT.202612@IB")]
    assert missing == ["instrument.currency", "instrument.tick", "instrument.multiplier"]
    more = 'currency = "USD"\ntick = 0.25\nmultiplier = 50'
    assert made(tmp_path, "ES.FUT.202612@IB", more).multiplier == 50


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("tick = 0", "instrument[0].tick"),
        ("lot = -1", "instrument[0].lot"),
        ("ticks = []", "instrument[0].ticks"),
        ("ticks = [{ edge = 0 }]", "instrument[0].ticks[0].step"),
        ("ticks = [{ edge = 0, step = 1, stop = 2 }]", "instrument[0].ticks[0].stop"),
        ("ticks = [{ edge = 1, step = 0.01 }]", "instrument[0]"),
        ("tick = 0.01\nticks = [{ edge = 0, step = 0.01 }]", "instrument[0].tick"),
        ("min_size = 5\nmax_size = 4", "instrument[0]"),
        ("tik = 0.01", "instrument[0].tik"),
    ],
)
def test_rules_that_nobody_could_follow_are_refused(tmp_path: Path, more: str, key: str) -> None:
    assert [each.key for each in refused(tmp_path, "AAPL.STK.USD@IB", more)] == [key]


def test_an_entry_must_be_for_an_instrument_of_a_sleeve(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    entry = '[[instrument]]\nid = "AAPLE.STK.USD@IB"\n'
    path.write_text(text("AAPL.STK.USD@IB") + entry + entry, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    first, second = caught.value.problems
    assert (first.key, first.message) == ("instrument[0].id", "is in no sleeve's universe")
    assert "AAPL.STK.USD@IB" in first.hint
    assert "twice" in second.message


def test_what_the_owner_wants_of_one_instrument_is_read(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    more = 'no_trading = true\nscale = "0.5"\nmax_weight = 0.1\nmax_notional = 5000\ntick = 0.05'
    path.write_text(text("KO.STK.USD@IB", more), encoding="utf-8")
    assert load(path, {}).overrides == {
        InstrumentId("KO.STK.USD@IB"): Override(
            no_trading=True,
            scale=Decimal("0.5"),
            max_weight=Decimal("0.1"),
            max_notional=Decimal(5000),
        )
    }


def test_an_instrument_of_which_nothing_is_wanted_has_no_override(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(text("KO.STK.USD@IB", "tick = 0.05\nreduce_only = false"), encoding="utf-8")
    assert load(path, {}).overrides == {}


def test_an_override_may_use_a_short_name(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    named = text("KO", "reduce_only = true") + '\n[aliases]\nKO = "KO.STK.USD@IB"\n'
    path.write_text(named, encoding="utf-8")
    assert load(path, {}).overrides == {InstrumentId("KO.STK.USD@IB"): Override(reduce_only=True)}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("scale = -1", "instrument[0].scale"),
        ("scale = 11", "instrument[0].scale"),
        ("max_weight = 0", "instrument[0].max_weight"),
        ('no_trading = "yes"', "instrument[0].no_trading"),
        ("no_tradig = true", "instrument[0].no_tradig"),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, line: str, key: str) -> None:
    assert [problem.key for problem in refused(tmp_path, "KO.STK.USD@IB", line)] == [key]

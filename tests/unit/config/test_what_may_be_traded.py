"""What may stand in a universe: what the books and the venue can tell apart, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rebalancer.config.load import load
from rebalancer.errors import ConfigError, Problem
from rebalancer.model.orders import TimeInForce

IB = """\
[portfolio]
name = "test"
base_currency = "USD"
mode = "paper"

[paper]
fx = { EUR = 1.1 }
"""
BINANCE = """\
[portfolio]
name = "coins"
base_currency = "USDT"
mode = "paper"
calendar = "24/7"
"""


def write(folder: Path, head: str, *names: str, more: str = "") -> Path:
    path = folder / "portfolio.toml"
    sleeve = f'[[sleeve]]\nname = "one"\nshare = 1\nuniverse = {json.dumps(names)}\n'
    path.write_text(f"{head}\n{more}\n{sleeve}", encoding="utf-8")
    return path


def only_problem(path: Path) -> Problem:
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (found,) = caught.value.problems
    return found


def spot(*symbols: str) -> tuple[str, ...]:
    return tuple(f"{symbol}.SPOT@BINANCE" for symbol in symbols)


@pytest.mark.parametrize("venue", ["simulated", "ib"])
def test_a_currency_pair_is_no_holding_and_in_no_universe(tmp_path: Path, venue: str) -> None:
    """What is bought of it is cash, so that it would be missing and bought every hour anew."""
    account = f'[account]\nvenue = "{venue}"\nid = "DU1"\nclient_id = 3\n'
    path = write(tmp_path, IB, "AAPL.STK.USD@IB", "EUR.USD.FX@IB", more=account)
    found = only_problem(path)
    assert (found.key, found.value) == ("sleeve.universe", '"EUR.USD.FX@IB"')
    assert "is no holding" in found.message
    assert "exchange currencies yourself" in found.hint


def test_other_currencies_need_no_pair_for_their_rates(tmp_path: Path) -> None:
    config = load(write(tmp_path, IB, "AAPL.STK.USD@IB", "SAP.STK.EUR@IB"), {})
    assert [each.currency for each in config.instruments] == ["USD", "EUR"]


@pytest.mark.parametrize(
    ("pairs", "quotes"),
    [
        (("BTCFDUSD", "BNBUSDT"), "FDUSD, USDT"),  # a fee in BNB: of which pair?
        (("ETHBTC", "BTCUSDT"), "BTC, USDT"),  # paid with what the other pair holds
        (("BTCUSDT", "BTCFDUSD"), "FDUSD, USDT"),  # one asset, two pairs
    ],
)
def test_spot_pairs_are_paid_with_one_currency(
    tmp_path: Path, pairs: tuple[str, ...], quotes: str
) -> None:
    found = only_problem(write(tmp_path, BINANCE, *spot(*pairs)))
    assert (found.key, found.value) == ("sleeve.universe", f'"{quotes}"')
    assert "must have one quote currency" in found.message
    assert "keep the pairs of one" in found.hint


def test_spot_pairs_of_one_currency_go_together(tmp_path: Path) -> None:
    config = load(write(tmp_path, BINANCE, *spot("BTCUSDT", "ETHUSDT", "BNBUSDT")), {})
    assert {each.currency for each in config.instruments} == {"USDT"}


def test_perpetuals_may_have_several_currencies(tmp_path: Path) -> None:
    """They are contracts with positions of their own, and their fees are cash."""
    names = ("BTCUSDT.PERP@BINANCE", "BTCUSDC.PERP@BINANCE")
    config = load(write(tmp_path, BINANCE, *names), {})
    assert {each.currency for each in config.instruments} == {"USDT", "USDC"}


@pytest.mark.parametrize(("kind", "force"), [("SPOT", "GTD"), ("SPOT", "DAY"), ("PERP", "DAY")])
def test_an_order_at_binance_does_not_end_in_a_way_that_it_does_not_know(
    tmp_path: Path, kind: str, force: str
) -> None:
    """It would be sent as one that works until somebody cancels it, or not at all."""
    more = f'[planning]\ntime_in_force = "{force}"\n'
    found = only_problem(write(tmp_path, BINANCE, f"BTCUSDT.{kind}@BINANCE", more=more))
    assert (found.key, found.value) == ("planning.time_in_force", f'"{force}"')


@pytest.mark.parametrize(
    ("kind", "force"),
    [("SPOT", "GTC"), ("SPOT", "IOC"), ("PERP", "GTC"), ("PERP", "IOC"), ("PERP", "GTD")],
)
def test_what_binance_knows_is_sent_as_it_is_said(tmp_path: Path, kind: str, force: str) -> None:
    more = f'[planning]\ntime_in_force = "{force}"\n'
    config = load(write(tmp_path, BINANCE, f"BTCUSDT.{kind}@BINANCE", more=more), {})
    assert config.planning.time_in_force is TimeInForce(force)


@pytest.mark.parametrize("force", ["DAY", "GTD", "GTC", "IOC"])
def test_interactive_brokers_knows_every_end_of_an_order(tmp_path: Path, force: str) -> None:
    more = f'[planning]\ntime_in_force = "{force}"\n'
    config = load(write(tmp_path, IB, "AAPL.STK.USD@IB", more=more), {})
    assert config.planning.time_in_force is TimeInForce(force)

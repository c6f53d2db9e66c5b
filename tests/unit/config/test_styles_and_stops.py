"""The ladder and the ways to work an order: what fits together and what does not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.config import Config, load
from rebalancer.errors import ConfigError
from rebalancer.planning import LimitStyle

COINS = """
[portfolio]
name = "coins"
mode = "paper"
base_currency = "USDT"
calendar = "24/7"

[[sleeve]]
name = "one"
share = 1
universe = ["BTCUSDT.PERP@BINANCE", "ETHUSDT.PERP@BINANCE"]

[paper]
transport = "memory"
"""
STOCKS = COINS.replace('calendar = "24/7"', "").replace("USDT.PERP@BINANCE", ".STK.USD@IB")


def read(folder: Path, text: str) -> Config:
    path = folder / "portfolio.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {})


def keys(folder: Path, text: str) -> set[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return {problem.key for problem in caught.value.problems}


def test_without_a_table_there_is_no_ladder(tmp_path: Path) -> None:
    assert not read(tmp_path, COINS).protect.enabled


def test_a_ladder_is_read_whole(tmp_path: Path) -> None:
    text = "[protect]\nenabled = true\nbase_distance = 0.03\nsteps = 3\nlimit_offset = 0\n"
    protect = read(tmp_path, COINS + text).protect
    assert (protect.enabled, protect.base_distance, protect.steps) == (True, Decimal("0.03"), 3)
    assert (protect.limit_offset, protect.step_distance) == (Decimal(0), Decimal("0.005"))


@pytest.mark.parametrize("universe", [STOCKS, COINS.replace(".PERP", ".SPOT")])
def test_only_perpetuals_have_stops(tmp_path: Path, universe: str) -> None:
    assert "protect.enabled" in keys(tmp_path, universe + "[protect]\nenabled = true\n")


@pytest.mark.parametrize(
    "line", ["base_distance = 0", "base_distance = 1", "steps = 0", "step_distance = 0"]
)
def test_a_ladder_without_distance_is_refused(tmp_path: Path, line: str) -> None:
    assert f"protect.{line.partition(' ')[0]}" in keys(tmp_path, f"{COINS}[protect]\n{line}\n")


def test_a_ladder_that_ends_below_zero_is_refused(tmp_path: Path) -> None:
    text = "[protect]\nbase_distance = 0.9\nsteps = 5\nstep_distance = 0.1\n"
    assert "protect.steps" in keys(tmp_path, COINS + text)


def test_post_only_starts_at_its_own_side(tmp_path: Path) -> None:
    planning = read(tmp_path, COINS + '[planning]\norder_type = "POST_ONLY"\n').planning
    assert (planning.limit_style, planning.limit_offset_bps) == (LimitStyle.PASSIVE, Decimal(0))
    plain = read(tmp_path, COINS).planning
    assert plain.limit_style is LimitStyle.MARKETABLE


def test_post_only_that_would_take_is_refused(tmp_path: Path) -> None:
    text = '[planning]\norder_type = "POST_ONLY"\nlimit_style = "marketable"\n'
    assert keys(tmp_path, COINS + text) == {"planning.limit_style"}


def test_post_only_is_known_at_binance_only(tmp_path: Path) -> None:
    assert "planning.order_type" in keys(
        tmp_path, STOCKS + '[planning]\norder_type = "POST_ONLY"\n'
    )


def test_taking_comes_before_the_end_of_the_window_and_market_after_taking(
    tmp_path: Path,
) -> None:
    late = "[execution]\nwindow_seconds = 60\ntaker_after_seconds = 60\n"
    assert keys(tmp_path, COINS + late) == {"execution.taker_after_seconds"}
    alone = "[execution]\nmarket_as_last_resort = true\n"
    assert keys(tmp_path, COINS + alone) == {"execution.market_as_last_resort"}
    good = "[execution]\ntaker_after_seconds = 30\nmarket_as_last_resort = true\n"
    assert read(tmp_path, COINS + good).execution.market_as_last_resort

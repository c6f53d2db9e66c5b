"""Two venues side by side: two files, two cron lines, two state folders, one look at both."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.cli import main
from tests.exchanges import FIRST as COINS_AT
from tests.exchanges import perpetual, write_coins
from tests.portfolios import FIRST, equal, read_json, stamp, write_portfolio, write_signal


def test_shares_and_coins_run_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = write_portfolio(tmp_path, name="shares", symbols=("AAPL", "KO"))
    coins = write_coins(tmp_path, name="coins", coins=("BTC", "ETH"))
    write_signal(tmp_path, equal(("AAPL", "KO")), FIRST, portfolio="shares")
    wanted = {perpetual("BTC"): "0.3", perpetual("ETH"): "-0.3"}
    write_signal(tmp_path, wanted, COINS_AT, portfolio="coins")

    assert main(["run", "--config", str(shares), "--at", stamp(FIRST)]) == 0
    assert main(["run", "--config", str(coins), "--at", stamp(COINS_AT)]) == 0
    capsys.readouterr()
    assert main(["status", "--all", str(tmp_path)]) == 0
    shown = capsys.readouterr().out

    assert "shares" in shown
    assert "coins" in shown
    assert "USD" in shown and "USDT" in shown
    for name, count in (("shares", 2), ("coins", 2)):
        (run,) = sorted((tmp_path / "state" / name / "runs").iterdir())
        record = read_json(run / "record.json")
        assert record["portfolio"] == name
        assert len(record["approved"]) == count
    venues = {"shares": "IB", "coins": "BINANCE"}
    for name, venue in venues.items():
        (folder,) = (tmp_path / "state" / name / "runs").iterdir()
        held = read_json(folder / "record.json")["positions_expected"]
        assert {each.partition("@")[2] for each in held} == {venue}


def test_two_files_are_checked_against_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = write_portfolio(tmp_path, name="shares", symbols=("AAPL", "KO"))
    coins = write_coins(tmp_path, name="coins", coins=("BTC", "ETH"))
    assert main(["check", str(shares), str(coins)]) == 0
    shown = capsys.readouterr().out
    assert "binance_perps_2025" in shown
    assert "us_equities" in shown

"""`rebalancer rehearse` for an owner: the own portfolio, nothing of it touched, short answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rebalancer.cli import main
from tests.exchanges import write_coins

LIVE = """
[portfolio]
name = "mine"
mode = "live"
base_currency = "USD"

[account]
venue = "ib"
id = "U7654321"
client_id = 3
armed = "U7654321"
net_liquidation_min = 40000
net_liquidation_max = 60000

[[sleeve]]
name = "first"
share = "0.5"
universe = ["KO.STK.USD@IB", "TSLA.STK.USD@IB", "SAP.STK.EUR@IB"]

[[sleeve]]
name = "second"
share = "0.5"
generator = "mine.py"
universe = ["PG.STK.USD@IB", "WMT.STK.USD@IB"]

[risk]
allow_unknown_volume = true

[mail]
host = "smtp.example.org"
sender = "a@example.org"
recipients = ["a@example.org"]
"""

COINS = """
[portfolio]
name = "coins"
mode = "paper"
base_currency = "USDT"
calendar = "24/7"

[account]
venue = "simulated"

[[sleeve]]
name = "hand"
share = "1"
history_bars = 10
universe = ["BTCUSDT.PERP@BINANCE", "DOGEUSDT.PERP@BINANCE"]

[risk]
allow_unknown_volume = true
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of our own, with a portfolio of each kind and a strategy that raises."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(LIVE, encoding="utf-8")
    Path("coins.toml").write_text(COINS, encoding="utf-8")
    Path("mine.py").write_text("raise SystemExit('must not be run')", encoding="utf-8")


def _files() -> set[str]:
    return {path.as_posix() for path in Path().rglob("*")}


def test_a_live_portfolio_is_rehearsed_without_its_account(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = _files()
    assert main(["rehearse", "mine.toml", "--schedules", "2", "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert "ib: left out, the simulator has no such prices: SAP.STK.EUR@IB" in told
    assert "ib: made-up prices, a seeded random walk: TSLA" in told
    assert "2 schedules" in told
    assert told.rstrip().endswith("No invariant was broken.")
    assert _files() == before


def test_made_up_coins_are_named_and_the_report_is_complete(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["rehearse", "coins.toml", "--schedules", "2", "--seed", "8", "--workers", "2"]
    assert main([*words, "--json", "report.json"]) == 0
    assert "binance: made-up prices, a seeded random walk: DOGEUSDT" in capsys.readouterr().out
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    (venue,) = report["venues"]
    assert (venue["venue"], venue["schedules"], venue["violations"]) == ("binance", 2, [])
    assert venue["runs"] == sum(venue["outcomes"].values())
    assert len(venue["empty_cells"]) < venue["cells"]


def test_one_seed_is_told_step_by_step_and_can_be_replayed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rebalancer.cli.rehearse_stages import Stages
    from rebalancer.model.codec import to_json
    from rebalancer.simulators.faults.schedule import draw

    assert main(["rehearse", "--venue", "ib", "--seed", "3", "--json", "seed.json"]) == 0
    told = capsys.readouterr().out.removesuffix("Written to seed.json\n")
    (report,) = json.loads(Path("seed.json").read_text(encoding="utf-8"))["schedules"]
    assert (report["venue"], report["schedule"]["seed"], report["violations"]) == ("ib", 3, [])
    assert f"trace {report['trace']}" == told.splitlines()[-1]
    assert told.startswith("seed 3 at ib")
    assert "\n  step 13\n" in told
    schedule = draw("ib", 3, Stages()("ib").instruments)
    Path("schedule.json").write_text(to_json(schedule), encoding="ascii")
    assert main(["rehearse", "--replay", "schedule.json", "--wire"]) == 0
    again = capsys.readouterr().out
    assert "reqPositions" in again
    assert again.splitlines()[-1] == told.splitlines()[-1]  # the trace


def test_empty_cells_fail_where_all_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["rehearse", "--venue", "binance", "--schedules", "1", "--workers", "1"]
    assert main(words) == 0
    assert "--all-cells" not in capsys.readouterr().out
    assert main([*words, "--all-cells"]) == 1
    told = capsys.readouterr().out
    assert "applicable cells are empty, and --all-cells asks for all: play more" in told
    assert "No invariant was broken." in told


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "there is no such file"), ("{}", "missing"), ("[1", "not JSON"), ("\x00", "not JSON")],
)
def test_a_schedule_that_cannot_be_read_is_named(
    content: str | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("bad.json").write_text(content, encoding="utf-8")
    assert main(["rehearse", "--replay", "bad.json"]) == 2
    told = capsys.readouterr().err
    assert "bad.json" in told
    assert words in told


def test_a_history_longer_than_the_recording_is_shortened_and_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_coins(Path())  # its generator gets 300 daily bars by default; a month is recorded
    words = ["rehearse", "coins.toml", "--schedules", "2", "--workers", "1"]
    assert main(words) == 0, "a calm run is not held for its history"
    told = capsys.readouterr().out
    assert "sleeve hand: 12 bars of history, not 300; the recording has no more" in told
    assert "No invariant was broken." in told


def test_a_configuration_that_is_wrong_is_not_rehearsed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine.toml").write_text(LIVE.replace('share = "0.5"', 'share = "7"'), encoding="utf-8")
    assert main(["rehearse", "mine.toml"]) == 2
    assert "share" in capsys.readouterr().err

"""Which mode a run has: the command line may only make it more careful."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.cli.run import chosen_mode
from rebalancer.config import Config, load
from rebalancer.errors import UsageError
from rebalancer.model.records import Mode

TEXT = """
[portfolio]
name = "test"
mode = "{mode}"
base_currency = "USD"

[account]
venue = "{venue}"
id = "{account}"
client_id = 7
armed = "{account}"
net_liquidation_min = 1000
net_liquidation_max = 2000

[[sleeve]]
name = "one"
share = 1
universe = ["AAPL.STK.USD@IB"]
"""


def config(folder: Path, mode: str, venue: str, account: str, extra: str = "") -> Config:
    path = folder / "test.toml"
    text = TEXT.format(mode=mode, venue=venue, account=account) + extra
    path.write_text(text, encoding="utf-8")
    return load(path, {})


@pytest.mark.parametrize(
    ("mode", "venue", "account"),
    [("live", "ib", "U1234567"), ("paper", "ib", "DU123"), ("paper", "simulated", "X")],
)
def test_a_dry_run_may_be_asked_for_with_any_account(
    tmp_path: Path, mode: str, venue: str, account: str
) -> None:
    known = config(tmp_path, mode, venue, account)
    assert chosen_mode(known, dry=True, paper=False) is Mode.DRY_RUN
    assert chosen_mode(known, dry=False, paper=False).value == mode


@pytest.mark.parametrize("mode", ["live", "dry-run"])
def test_paper_is_never_asked_for_with_real_money(tmp_path: Path, mode: str) -> None:
    known = config(tmp_path, mode, "ib", "U1234567")
    with pytest.raises(UsageError, match="a file of its own"):
        chosen_mode(known, dry=False, paper=True)


@pytest.mark.parametrize(("venue", "account"), [("ib", "DU123"), ("simulated", "X")])
def test_paper_may_be_asked_for_with_paper_money(tmp_path: Path, venue: str, account: str) -> None:
    known = config(tmp_path, "dry-run", venue, account)
    assert chosen_mode(known, dry=False, paper=True) is Mode.PAPER

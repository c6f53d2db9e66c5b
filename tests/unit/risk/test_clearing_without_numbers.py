"""Latched flags whose evidence has no number: an older version, or a file mended by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import LatchedFlag
from rebalancer.model.records import Standing
from rebalancer.risk import clear
from tests.unit.risk.builders import NOW, an_account, d

BEFORE = Standing(
    accepted_net_liquidation=d(1),
    session_start_net_liquidation=d(2),
    high_water_mark=d(4),
    turnover_allowed=d(5),
)


def latched(code: str, evidence: str) -> LatchedFlag:
    return LatchedFlag(code, "", FLAG_TABLE[code].severity, "why", NOW, evidence)


@pytest.mark.parametrize("evidence", ["", "|", "2026-01-05|", "none", "NaN", "-1", "0"])
@pytest.mark.parametrize(
    ("code", "field", "said"),
    [
        ("net-liquidation-jump", "accepted_net_liquidation", "the next run's value is accepted"),
        ("drawdown", "high_water_mark", "the next run's value is the high-water mark"),
        ("daily-loss", "session_start_net_liquidation", "from the next run's value on"),
    ],
)
def test_offline_the_next_run_gives_the_number(
    code: str, field: str, said: str, evidence: str
) -> None:
    flag = latched(code, evidence)
    found, (words,) = clear(replace(BEFORE, latched=(flag,)), [code], None, NOW)
    assert found.latched == ()
    assert getattr(found, field) is None
    assert words.endswith(said)


@pytest.mark.parametrize("evidence", ["", "none"])
def test_with_the_account_its_value_counts(evidence: str) -> None:
    flag = latched("drawdown", evidence)
    account = an_account(net_liquidation=d(98_000))
    found, _ = clear(replace(BEFORE, latched=(flag,)), ["drawdown"], account, NOW)
    assert found.high_water_mark == d(98_000)


@pytest.mark.parametrize("evidence", ["", "none", "NaN"])
def test_a_plan_of_unknown_size_is_lifted_and_allows_nothing_more(evidence: str) -> None:
    flag = latched("turnover-odd", evidence)
    found, (words,) = clear(replace(BEFORE, latched=(flag,)), ["turnover-odd"], None, NOW)
    assert found.latched == ()
    assert found.turnover_allowed == BEFORE.turnover_allowed
    assert words.endswith("its size is not noted: the next plan is judged anew")

"""What nothing is said about must not ruin a small account; the examples say what they need."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.config import load
from rebalancer.risk import Limits

ROOT = Path(__file__).resolve().parents[3]


def test_a_session_of_orders_costs_a_small_account_little() -> None:
    # 1 USD an order at least: 60 orders are 1.2 % of 5,000 USD, and a run has a third of them.
    limits = Limits()
    assert limits.max_orders_per_session * Decimal(1) / 5_000 <= Decimal("0.012")
    assert limits.max_orders_per_run * 3 <= limits.max_orders_per_session
    assert limits.max_turnover_per_session <= 1
    assert limits.orders_of_days == 150  # two and a half sessions of five
    assert limits.turnover_of_days == Decimal("2.5")


@pytest.mark.parametrize("name", ["portfolio.example.toml", "portfolio.binance.example.toml"])
def test_an_example_can_build_up_its_book_in_one_session(name: str) -> None:
    config = load(ROOT / name, {})
    holdings = len(config.instruments)
    assert holdings <= config.risk.max_orders_per_run <= config.risk.max_orders_per_session
    assert config.planning.leverage_cap < config.risk.max_turnover_per_session

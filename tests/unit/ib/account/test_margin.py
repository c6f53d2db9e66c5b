"""Which accounts must tell their margin: all but pure cash accounts."""

from __future__ import annotations

import pytest

from rebalancer.brokers.ib.account import read
from tests.unit.ib.account.test_proof import NOW, Names, told

MARGIN = {("ExcessLiquidity", "USD"): "50000.20", ("InitMarginReq", "USD"): "11100.30"}


@pytest.mark.parametrize("kind", [None, "STKMRGN", "PMRGN", "a type of next year"])
def test_what_is_no_cash_account_must_tell_its_margin(kind: str | None) -> None:
    values: dict[tuple[str, str], str | None] = {("TradingType-S", ""): kind}
    found = read(told(values), Names(), NOW)  # type: ignore[arg-type]
    assert found.margin_unknown == ("excess liquidity", "initial margin")
    known = read(told(values | MARGIN), Names(), NOW)  # type: ignore[arg-type]
    assert known.margin_unknown == ()


def test_a_cash_account_need_not() -> None:
    values = {("TradingType-S", ""): "STKCASH", ("SettledCash", "USD"): "12000.00"}
    found = read(told(values), Names(), NOW)  # type: ignore[arg-type]
    assert found.margin_unknown == ()

"""The equity curve and the returns read from it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.errors import DataError
from rebalancer.ledger import Period, drawdowns, equity_point, linked, time_weighted_return
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.records import EquityPoint, Standing
from tests.unit.risk.builders import SLOT, A, B, a_position, an_account, d, identifier

ANSWERS = json.loads(
    (Path(__file__).parents[2] / "answers" / "returns.json").read_text(encoding="utf-8"),
    parse_float=Decimal,
)


def point(account: AccountSnapshot, **changes: Any) -> EquityPoint | None:
    values: dict[str, Any] = {
        "slot": SLOT,
        "session": SLOT.date(),
        "previous": None,
        "standing": Standing(),
        "orders": 2,
        "fills": 3,
        "turnover": d(500),
    } | changes
    return equity_point(account, **values)


def test_a_row_says_value_leverage_profit_and_drawdown() -> None:
    account = an_account(a_position(A, "400"), a_position(B, "-100"), cash={"USD": "70000"})
    standing = Standing(start_net_liquidation=Decimal(90_000), high_water_mark=Decimal(125_000))
    row = point(account, standing=standing)
    assert row is not None
    assert (row.net_liquidation, row.cash_base) == (d(100_000), d(70_000))
    assert (row.gross_leverage, row.net_leverage) == (d("0.5"), d("0.3"))
    assert (row.profit_since_start, row.profit_since_last) == (d(10_000), d(10_000))
    assert row.drawdown == d("0.2")
    assert (row.orders, row.fills, row.turnover) == (2, 3, d(500))


def test_profit_leaves_out_what_came_from_outside() -> None:
    first = point(an_account())
    assert first is not None
    assert (first.profit_since_start, first.profit_since_last, first.drawdown) == (d(0), d(0), d(0))
    second = point(an_account(cash={"USD": "130500"}), previous=first, flows=d(30_000))
    assert second is not None
    assert (second.profit_since_last, second.profit_since_start) == (d(500), d(500))


@pytest.mark.parametrize(
    "account",
    [
        an_account(net_liquidation=Decimal(0)),
        an_account(net_liquidation=Decimal("NaN")),
        an_account(a_position(A, "1", value=None)),
        an_account(a_position(identifier("SAP", "EUR"), "1")),
        an_account(cash={"USD": "1", "EUR": "1"}),
    ],
)
def test_an_account_that_cannot_be_valued_has_no_row(account: AccountSnapshot) -> None:
    assert point(account) is None


def test_the_time_weighted_return_is_the_published_one() -> None:
    answer = ANSWERS["time_weighted_return_with_flows"]
    periods = [
        Period(Decimal(day["profit"]), Decimal(day["inflow"]), Decimal(day["outflow"]))
        for day in answer["days"]
    ]
    returns = time_weighted_return(Decimal(answer["start_value"]), periods)
    for found, expected in zip(returns, answer["expected_daily"], strict=True):
        assert abs(found - expected) < Decimal(str(answer["tolerance"]))
    assert abs(linked(returns) - answer["expected_total"]) < Decimal(str(answer["tolerance"]))


@pytest.mark.parametrize("which", ["mixed", "negative"])
def test_the_deepest_drawdown_is_the_published_one(which: str) -> None:
    answer = ANSWERS["drawdowns"]
    values = [Decimal(1)]
    for each in answer[which]:
        values.append(values[-1] * (1 + Decimal(each)))
    expected = answer["expected"][f"max_drawdown_{which}"]
    assert abs(max(drawdowns(values)) + expected) < Decimal(str(answer["tolerance"]))


def test_returns_of_nothing() -> None:
    assert linked(()) == 0
    assert drawdowns(()) == ()
    with pytest.raises(DataError, match="begins with 0"):
        time_weighted_return(Decimal(0), [Period(d(1))])
    with pytest.raises(DataError, match="first value"):
        drawdowns([d(0)])

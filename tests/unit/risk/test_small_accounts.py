"""An account of less than one unit of its currency, as in bitcoin: no limit depends on what 1 is.

Everything costs 100 and lots are a thousandth, so that 0.003 are worth 0.3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.orders import OrderIntent
from rebalancer.model.rules import TradingRules
from rebalancer.risk import Limits, apply_gates, check_account
from rebalancer.risk.words import percent
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    FlatFee,
    a_position,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
    some_limits,
)

FINE = TradingRules(limit_step=d("0.0001"), market_step=d("0.0001"), min_size=d(0))


def limits(**changes: Any) -> Limits:
    values: dict[str, Any] = {
        "max_order_weight": d(9), "max_position_weight": d(9), "max_gross_leverage": d(9),
        "max_net_leverage": d(9), "allow_fractions": True,
    }  # fmt: skip
    return some_limits(**(values | changes))


def said(
    *intents: OrderIntent, account: AccountSnapshot, fee: str = "0", **changes: Any
) -> dict[str, str]:
    """Return the reason of each order that is refused, by the letter of its instrument."""
    given = gate_input(
        [replace(each, sequence=n) for n, each in enumerate(intents)],
        account=account, fees=FlatFee(fee), limits=limits(**changes),
        stocks=[a_stock(name, rules=FINE) for name in (A, B)],
    )  # fmt: skip
    return {each.intent.instrument[0]: each.reason for each in apply_gates(given).refused}


@pytest.mark.parametrize(("cash", "most", "more"), [("0.8", "0.008", "0.0081"), ("1", "0.01", "0.0101")])  # fmt: skip # noqa: E501
def test_cash_is_a_limit_of_the_smallest_account_too(cash: str, most: str, more: str) -> None:
    account = an_account(cash={"USD": cash})
    assert said(an_intent(A, most), account=account) == {}
    assert said(an_intent(A, more), account=account)["A"].endswith(
        "with fee would leave -0.01 USD in cash; nothing is borrowed"
    )


def test_net_leverage_is_one_too() -> None:
    account = an_account(cash={"USD": "0.8"})
    # 0.4 of 0.8 is 0.5 x.
    half: dict[str, Any] = {"account": account, "max_net_leverage": d("0.5")}
    assert said(an_intent(A, "0.004"), **half) == {}
    assert said(an_intent(A, "0.006"), **half) == {
        "A": "net leverage would be 0.75 x long; the limit is 0.5 x"
    }


def test_what_was_sold_whole_is_gone_from_gross() -> None:
    account = an_account(a_position(A, "0.003"), cash={"USD": "0.5"})
    # 0.3 are sold and 0.5 bought: 0.5 of 0.8 is 0.625 x.
    swap = (an_intent(A, "-0.003"), an_intent(B, "0.005"))
    assert said(*swap, account=account, max_gross_leverage=d("0.625")) == {}
    assert said(*swap, account=account, max_gross_leverage=d("0.624")) == {
        "B": "gross leverage would be 0.625 x; the limit is 0.624 x"
    }


def test_a_sales_fee_is_taken_off_its_proceeds_once() -> None:
    account = an_account(a_position(A, "0.003"), cash={"USD": "0.5"})
    # 0.5 + 0.3 - 0.01 = 0.79 for 0.78 and its fee.
    sale = an_intent(A, "-0.003")
    assert said(sale, an_intent(B, "0.0078"), account=account, fee="0.01") == {}
    assert said(sale, an_intent(B, "0.0079"), account=account, fee="0.01") == {
        "B": "0.80 USD with fee would leave -0.01 USD in cash; nothing is borrowed"
    }


def test_a_holding_worth_nothing_adds_nothing_to_the_proof() -> None:
    # Half a per cent of 100 is 0.5: one unit more would be seen.
    worthless = a_position(A, "5", "0")
    account = an_account(worthless, cash={"USD": "100"}, gross_position_value=d(0))
    assert check_account(account, some_limits(), None, now=NOW) == ()


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        ("0.05123", "5.12 %"), ("0.09996", "10 %"), ("0.1", "10 %"), ("0.1057", "10.6 %"),
        ("-0.1057", "-10.6 %"), ("0.99949", "99.9 %"), ("12.5", "1,250 %"), ("0", "0 %"),
    ],
)  # fmt: skip
def test_per_cents_have_two_digits_below_ten_and_one_above(fraction: str, text: str) -> None:
    assert percent(d(fraction)) == text

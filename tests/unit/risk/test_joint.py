"""Step 7: the limits that orders share."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.orders import OrderIntent, OrderStatus, WorkingOrder
from rebalancer.risk import Limits, Verdicts, apply_gates
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    C,
    a_position,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
    identifier,
    some_limits,
)


def judged(*intents: OrderIntent, **changes: Any) -> Verdicts:
    return apply_gates(gate_input(intents, **changes))


def gates(verdicts: Verdicts) -> dict[str, str]:
    return {refused.intent.instrument: refused.gate for refused in verdicts.refused}


def loose(**changes: Any) -> Limits:
    values: dict[str, Any] = {
        "max_order_weight": d(10),
        "max_position_weight": d(10),
        "max_gross_leverage": d(20),
        "max_net_leverage": d(20),
        "max_turnover_per_session": d(20),
    }
    return some_limits(**(values | changes))


def buys(*quantities: str) -> tuple[OrderIntent, ...]:
    pairs = zip((A, B, C), quantities, strict=False)
    return tuple(an_intent(name, size, sequence=n) for n, (name, size) in enumerate(pairs))


def test_cash_is_shared_in_sequence_with_fees() -> None:
    account = an_account(cash={"USD": "1000"})
    # 5 x 100 + 1 = 501; twice is 1,002
    verdicts = judged(*buys("5", "5"), account=account, limits=loose())
    assert [order.instrument for order in verdicts.approved] == [A]
    assert gates(verdicts) == {B: "cash"}
    assert "501.00 USD with fee would leave -2.00 USD" in verdicts.refused[0].reason
    exact = an_account(cash={"USD": "1002"})
    assert len(judged(*buys("5", "5"), account=exact, limits=loose()).approved) == 2


def test_the_reserve_stays() -> None:
    account = an_account(cash={"USD": "1000"})
    (buy,) = buys("5")
    assert judged(buy, account=account, limits=loose(), reserve=d(499)).approved
    verdicts = judged(buy, account=account, limits=loose(), reserve=d("499.01"))
    assert "the reserve is 499.01 USD" in verdicts.refused[0].reason


def test_money_counts_at_the_price_an_order_may_be_moved_to() -> None:
    account = an_account(cash={"USD": "1002"})
    (buy,) = buys("10")
    changes: dict[str, Any] = {"account": account, "limits": loose(), "worst_price_bps": d(50)}
    assert judged(buy, **changes).approved
    # 10 x 100.50 + 1 = 1,006
    assert gates(judged(buy, reprices=True, **changes)) == {A: "cash"}


def test_a_refused_order_keeps_its_place_in_the_queue() -> None:
    account = an_account(cash={"USD": "1000"})
    odd = replace(buys("8")[0], limit=d("100.005"))
    verdicts = judged(odd, an_intent(B, "5", sequence=1), account=account, limits=loose())
    assert gates(verdicts) == {A: "grid", B: "cash"}


def test_expected_proceeds_count_only_of_what_is_approved() -> None:
    account = an_account(a_position(A, "10"), cash={"USD": "5"})
    sale, buy = an_intent(A, "-10"), an_intent(B, "10")
    # 5 + 1,000 - 1 = 1,004 covers 1,001
    assert len(judged(sale, buy, account=account, limits=loose()).approved) == 2
    odd = replace(sale, limit=d("100.005"))
    assert gates(judged(odd, buy, account=account, limits=loose())) == {A: "grid", B: "cash"}


def test_a_cash_account_spends_only_what_is_settled() -> None:
    account = an_account(a_position(A, "10"), cash={"USD": "2000"}, settled_cash={"USD": d(1000)})
    assert judged(an_intent(B, "9"), account=account, limits=loose()).approved
    assert gates(judged(an_intent(B, "10"), account=account, limits=loose())) == {B: "cash"}
    verdicts = judged(an_intent(A, "-10"), an_intent(B, "10"), account=account, limits=loose())
    assert gates(verdicts) == {B: "cash"}


def euros(cash: dict[str, str], **changes: Any) -> dict[str, str]:
    name = identifier("SAP", "EUR")
    account = an_account(cash=cash, rates={"EUR": "1.1"})
    given = gate_input([an_intent(name, "10")], stocks=[a_stock(name)], account=account)
    return gates(apply_gates(replace(given, limits=loose(), **changes)))


def test_nothing_is_borrowed_in_another_currency_unless_allowed() -> None:
    assert list(euros({"USD": "100000"}).values()) == ["cash"]
    assert euros({"USD": "1", "EUR": "1001"}) == {}
    # 1,001 EUR x 1.1 = 1,101.10 USD are borrowed
    assert euros({"USD": "100000"}, borrow_limit=d("1101.1")) == {}
    assert list(euros({"USD": "100000"}, borrow_limit=d(1101)).values()) == ["cash"]


def test_gross_net_and_concentration() -> None:
    account = an_account(a_position(A, "500"), cash={"USD": "50000"})
    wide = loose(max_gross_leverage=d("0.8"))
    assert gates(judged(an_intent(B, "301"), account=account, limits=wide)) == {B: "gross"}
    assert judged(an_intent(B, "300"), account=account, limits=wide).approved
    net = loose(max_net_leverage=d("0.8"))
    assert gates(judged(an_intent(B, "301"), account=account, limits=net)) == {B: "net"}
    heavy = loose(max_position_weight=d("0.6"))
    assert gates(judged(an_intent(A, "101"), account=account, limits=heavy)) == {A: "concentration"}
    assert judged(an_intent(A, "100"), account=account, limits=heavy).approved
    notional = loose(max_position_notional=d(55_000))
    assert gates(judged(an_intent(A, "51"), account=account, limits=notional)) == {
        A: "concentration"
    }


def test_selling_makes_room_for_buying_when_approved() -> None:
    account = an_account(a_position(A, "950"), cash={"USD": "5000"})
    sale, buy = an_intent(A, "-400"), an_intent(B, "400")
    tight = loose(max_gross_leverage=d(1), max_net_leverage=d(1))
    assert len(judged(sale, buy, account=account, limits=tight).approved) == 2


def test_long_and_short_legs_balance_each_other() -> None:
    limits = loose(max_net_leverage=d("0.1"), allow_short=True)
    long, short = an_intent(A, "500"), an_intent(B, "-500", reducing=False, wave=1, sequence=1)
    assert len(judged(long, short, limits=limits).approved) == 2
    assert gates(judged(long, limits=limits)) == {A: "net"}
    assert gates(judged(short, limits=limits)) == {B: "net"}


@pytest.mark.parametrize("limit", ["max_gross_leverage", "max_net_leverage", "max_position_weight",
                                   "max_turnover_per_session"])  # fmt: skip
def test_reductions_pass_the_limits_that_are_exceeded(limit: str) -> None:
    account = an_account(a_position(A, "950"), cash={"USD": "-5000"})
    limits = loose(**{limit: d("0.01")})
    changes: dict[str, Any] = {"limits": limits, "account": account}
    assert judged(an_intent(A, "-500"), **changes).approved
    assert gates(judged(an_intent(B, "10"), **changes)) != {}


def test_covering_a_short_needs_no_cash() -> None:
    account = an_account(a_position(A, "-10"), cash={"USD": "1500"}, settled_cash={"USD": d(0)})
    assert judged(an_intent(A, "10"), account=account, limits=loose()).approved


def test_orders_are_counted_in_the_run_and_in_the_session() -> None:
    limits = loose(max_orders_per_run=2)
    assert gates(judged(*buys("1", "1", "1"), limits=limits)) == {C: "orders"}
    session = loose(max_orders_per_session=10)
    verdicts = judged(*buys("1", "1"), limits=session, orders_in_session=9)
    assert gates(verdicts) == {B: "orders"}
    assert "order 11 of this session; the limit is 10" in verdicts.refused[0].reason


def test_turnover_counts_what_the_session_traded() -> None:
    limits = loose(max_turnover_per_session=d("0.5"))
    verdicts = judged(*buys("100", "100"), limits=limits, turnover_in_session=d(35_000))
    assert gates(verdicts) == {B: "turnover"}
    assert "55 % of net liquidation; the limit is 50 %" in verdicts.refused[0].reason


def test_our_own_margin_estimate_keeps_the_cushion() -> None:
    account = an_account(excess_liquidity=d(20_000))
    # half of 20,100 is 10,050: 9,950 is less than a tenth of 100,000
    assert gates(judged(an_intent(A, "201"), account=account, limits=loose())) == {A: "margin"}
    assert judged(an_intent(A, "200"), account=account, limits=loose()).approved


def working(quantity: str, limit: Decimal | None, name: str = C) -> WorkingOrder:
    return WorkingOrder(
        "", "9", identifier(name[:1]), d(quantity), d(0), limit, OrderStatus.WORKING, NOW
    )


def test_orders_of_others_count_at_their_worst() -> None:
    account = an_account(cash={"USD": "2000"})
    other = working("10", d(120))  # may take 1,200
    (buy,) = buys("9")
    assert judged(buy, account=account, limits=loose()).approved
    assert gates(judged(buy, account=account, limits=loose(), others=(other,))) == {A: "cash"}
    rich = an_account()
    gross = loose(max_gross_leverage=d("0.02"))
    assert judged(buy, account=rich, limits=gross).approved
    assert gates(judged(buy, account=rich, limits=gross, others=(other,))) == {A: "gross"}


def test_an_order_of_others_that_nobody_can_value_allows_reductions_only() -> None:
    account = an_account(a_position(A, "10"))
    strange = working("10", d(5), name="Z")
    verdicts = judged(
        an_intent(A, "-10"), an_intent(B, "1"), account=account, others=(strange,), limits=loose()
    )
    assert [order.instrument for order in verdicts.approved] == [A]
    assert gates(verdicts) == {B: "others"}


def test_a_holding_without_value_allows_reductions_only() -> None:
    account: AccountSnapshot = an_account(a_position(A, "10"), a_position(C, "10", value=None))
    verdicts = judged(an_intent(A, "-10"), an_intent(B, "1"), account=account, limits=loose())
    assert [order.instrument for order in verdicts.approved] == [A]


def test_a_market_order_of_others_counts_at_the_quote() -> None:
    account = an_account(cash={"USD": "1500"})
    (buy,) = buys("6")
    changes: dict[str, Any] = {"account": account, "limits": loose()}
    assert judged(buy, others=(working("10", None),), **changes).approved == ()
    assert judged(buy, others=(working("-10", None),), **changes).approved


def test_reductions_take_first_whatever_their_place() -> None:
    limits = loose(max_net_leverage=d("0.1"), allow_short=True)
    account = an_account(a_position(A, "10"), net_liquidation=d(100_000))
    short = an_intent(B, "-105", reducing=False)
    # 1,000 long less 10,500 is -9,500; with the sale of A behind it -10,500
    assert judged(short, account=account, limits=limits).approved
    sale = an_intent(A, "-10", sequence=1)
    assert gates(judged(short, sale, account=account, limits=limits)) == {B: "net"}

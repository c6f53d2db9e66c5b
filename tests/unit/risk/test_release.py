"""While orders are worked: buys go out as the money is really there."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.orders import ApprovedOrder, OrderIntent
from rebalancer.model.universe import Sleeve
from rebalancer.risk import Funding, GateInput, SentOrder, apply_gates, funding_of, release
from tests.unit.risk.builders import (
    A,
    B,
    C,
    a_position,
    an_account,
    an_intent,
    d,
    gate_input,
    some_limits,
)


def approved(
    *intents: OrderIntent, **changes: Any
) -> tuple[Funding, tuple[ApprovedOrder, ...], GateInput]:
    asked = gate_input(intents, **changes)
    verdicts = apply_gates(asked)
    assert verdicts.refused == ()
    return funding_of(asked, verdicts.approved), verdicts.approved, asked


def sent(order: ApprovedOrder, filled: str = "0", *, done: bool = False, **more: Any) -> SentOrder:
    return SentOrder(order, d(filled), done, **more)


POOR = an_account(a_position(A, "20"), cash={"USD": "10"})
LIMITS = some_limits(max_order_weight=d(2), max_position_weight=d(2))
SALE = an_intent(A, "-20")
BUYS = (an_intent(B, "10"), an_intent(C, "9", sequence=1))


def test_reductions_go_first_and_buys_wait_for_their_proceeds() -> None:
    funding, orders, _ = approved(SALE, *BUYS, account=POOR, limits=LIMITS)
    first = release(funding, orders, ())
    assert [order.instrument for order in first.released] == [A]
    assert [order.instrument for order in first.waiting] == [B, C]
    assert first.dropped == ()


@pytest.mark.parametrize(
    ("filled", "released"),
    # 10 + 1,999 x part (2,000 less the fee) against 1,001 and then 901 more: 18 of 20 give 1,809
    [("-9", []), ("-10", [B]), ("-18", [B]), ("-20", [B, C])],
)
def test_buys_are_released_as_the_sale_fills(filled: str, released: list[str]) -> None:
    funding, orders, _ = approved(SALE, *BUYS, account=POOR, limits=LIMITS)
    found = release(funding, orders[1:], [sent(orders[0], filled)])
    assert [order.instrument for order in found.released] == released


def test_a_buy_that_works_keeps_its_money() -> None:
    funding, orders, _ = approved(SALE, *BUYS, account=POOR, limits=LIMITS)
    working = [sent(orders[0], "-12"), sent(orders[1])]
    found = release(funding, orders[2:], working)
    assert found.released == ()
    assert found.waiting == orders[2:]


def test_what_a_cancelled_buy_did_not_spend_is_free_again() -> None:
    funding, orders, _ = approved(SALE, *BUYS, account=POOR, limits=LIMITS)
    over = [sent(orders[0], "-12", done=True), sent(orders[1], "1", done=True)]
    assert release(funding, orders[2:], over).released == orders[2:]


def test_without_hope_of_proceeds_what_does_not_fit_is_dropped_and_the_next_tried() -> None:
    account = an_account(a_position(A, "20"), cash={"USD": "910"})
    funding, orders, _ = approved(SALE, *BUYS, account=account, limits=LIMITS)
    found = release(funding, orders[1:], [sent(orders[0], done=True, rejected=True)])
    assert [order.instrument for order in found.released] == [C]  # 901 of 910
    assert [(r.intent.instrument, r.gate) for r in found.dropped] == [(B, "cash")]
    assert [(f.code, f.subject) for f in found.flags] == [("not-funded", B)]


def test_at_the_end_everything_that_waits_is_dropped_with_its_reason() -> None:
    funding, orders, _ = approved(SALE, *BUYS, account=POOR, limits=LIMITS)
    found = release(funding, orders[1:], [sent(orders[0], "-5")], final=True)
    assert found.released == ()
    assert len(found.dropped) == 2
    assert {flag.code for flag in found.flags} == {"not-funded"}
    assert all(refused.reason for refused in found.dropped)


def test_a_neutral_sleeve_that_lost_a_leg_stops() -> None:
    triple = Sleeve("triple", (A, B, C), Decimal(1), neutral=True)
    account = an_account(a_position(A, "20"))
    funding, orders, _ = approved(SALE, *BUYS, account=account, sleeves=(triple,))
    sofar = [sent(orders[0]), sent(orders[1], done=True, rejected=True)]
    found = release(funding, orders[2:], sofar)
    assert found.released == ()
    assert found.cancel == (orders[0].reference,)
    assert [refused.gate for refused in found.dropped] == ["neutral"]


def test_of_a_leg_that_is_left_over_the_order_that_works_for_it_now_is_cancelled() -> None:
    pair = Sleeve("pair", (A, B), Decimal(1), neutral=True)
    intents = (an_intent(A, "5"), an_intent(B, "5", sequence=1))
    funding, orders, _ = approved(*intents, sleeves=(pair,))
    gone = sent(orders[1], done=True, rejected=True, last="demo.9")
    found = release(funding, (), [sent(orders[0], "2", last="demo.8"), gone])
    assert found.cancel == ("demo.8",)
    assert set(funding.lost({B})) == {A, B}
    assert funding.lost(()) == {}


def test_a_reversal_opens_when_it_has_closed_whole() -> None:
    account = an_account(a_position(A, "10"))
    close = an_intent(A, "-10")
    opening = an_intent(A, "-5", part=1, wave=1, reducing=False)
    limits = some_limits(allow_short=True)
    funding, orders, _ = approved(close, opening, account=account, limits=limits)
    assert release(funding, orders, ()).released == orders[:1]
    assert release(funding, orders[1:], [sent(orders[0], "-9")]).waiting == orders[1:]
    assert release(funding, orders[1:], [sent(orders[0], "-10", done=True)]).released == orders[1:]
    failed = release(funding, orders[1:], [sent(orders[0], "-9", done=True)])
    assert [refused.gate for refused in failed.dropped] == ["reversal"]


def test_gross_leverage_holds_with_what_really_filled() -> None:
    account = an_account(a_position(A, "1000"), cash={"USD": "50000"}, net_liquidation=d(100_000))
    limits = some_limits(max_gross_leverage=d("1.0"), max_order_weight=d(2), max_net_leverage=d(2))
    funding, orders, _ = approved(
        an_intent(A, "-400"), an_intent(B, "300"), account=account, limits=limits
    )
    # cash is there at once; 1,000 + 300 shares at 100 would be 1.3 x
    assert release(funding, orders, ()).released == orders[:1]
    assert release(funding, orders[1:], [sent(orders[0], "-300")]).released == orders[1:]


@settings(max_examples=200, deadline=None)
@given(
    cash=st.integers(0, 3000),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=2),
    steps=st.lists(st.integers(0, 20), min_size=1, max_size=6),
)
def test_cash_never_falls_below_nothing_while_orders_are_worked(
    cash: int, sizes: list[int], steps: list[int]
) -> None:
    account = an_account(a_position(A, "20"), cash={"USD": str(cash)})
    intents = [SALE, *(an_intent(n, str(s)) for n, s in zip((B, C), sizes, strict=False))]
    intents = [replace(intent, sequence=n) for n, intent in enumerate(intents)]
    asked = gate_input(intents, account=account, limits=LIMITS)
    orders = apply_gates(asked).approved
    funding = funding_of(asked, orders)
    sale = next(order for order in orders if order.instrument == A)
    waiting = [order for order in orders if order is not sale]
    out: list[ApprovedOrder] = []
    for filled in sorted(steps):
        done = filled == 20
        found = release(
            funding, waiting, [sent(sale, str(-filled), done=done), *(sent(o) for o in out)]
        )
        out += found.released
        waiting = list(found.waiting)
        # each buy in full with its fee of 1, against what was filled; the sale's fee is 1 in all
        spent = sum(order.quantity * 100 + 1 for order in out)
        assert spent <= cash + filled * 100 - (1 if done else 0)

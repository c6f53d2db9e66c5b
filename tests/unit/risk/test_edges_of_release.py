"""What works, what is over and what waits, to the cent; margin answers at their edges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.orders import ApprovedOrder, MarginPreview, OrderIntent
from rebalancer.model.universe import Sleeve
from rebalancer.risk import (
    Funding,
    Limits,
    SentOrder,
    apply_gates,
    check_margin,
    funding_of,
    release,
)
from rebalancer.risk.gates import neutral_sleeves_hit
from tests.unit.risk.builders import (
    A,
    B,
    C,
    FlatFee,
    a_position,
    a_stock,
    an_account,
    an_approved,
    an_intent,
    d,
    gate_input,
    identifier,
    some_limits,
)


def loose(**changes: Any) -> Limits:
    values: dict[str, Any] = {
        "max_order_weight": d(9), "max_position_weight": d(9), "max_gross_leverage": d(9),
        "max_net_leverage": d(9), "margin_cushion": d(0),
    }  # fmt: skip
    return some_limits(**(values | changes))


def approved(
    account: AccountSnapshot, *intents: OrderIntent, **limits: Any
) -> tuple[Funding, tuple[ApprovedOrder, ...]]:
    numbered = [replace(each, sequence=n) for n, each in enumerate(intents)]
    asked = gate_input(numbered, account=account, limits=loose(**limits))
    verdicts = apply_gates(asked)
    assert verdicts.refused == ()
    return funding_of(asked, verdicts.approved), verdicts.approved


def test_a_sale_makes_room_for_what_it_is_and_not_twice() -> None:
    # Worth 200,000; 0.5 x is 100,000: 95,000 less 40,000 and 45,000 more.
    account = an_account(a_position(A, "500"), a_position(C, "450"), cash={"USD": "105000"})
    intents = (an_intent(A, "-200"), an_intent(C, "-200"), an_intent(B, "450"))
    funding, (of_a, of_c, buy) = approved(account, *intents, max_net_leverage=d("0.5"))
    # C's sale ended with nothing: 95,000 - 20,000 + 45,000 = 120,000.
    over = SentOrder(of_c, d(0), done=True)
    found = release(funding, (of_a, buy), [over])
    assert (found.released, found.waiting) == ((of_a,), (buy,))
    found = release(funding, (buy,), [over, SentOrder(of_a, d(0), done=False)])
    assert (found.released, found.waiting) == ((), (buy,))
    ended = release(funding, (buy,), [over, SentOrder(of_a, d(0), done=False)], final=True)
    assert [(each.gate, each.reason) for each in ended.dropped] == [
        ("net", "net leverage would be 0.6 x long; the limit is 0.5 x")
    ]


def test_of_a_sale_that_ended_short_only_what_was_filled_is_closed() -> None:
    account = an_account(a_position(A, "1000"), cash={"USD": "50000"}, net_liquidation=d(100_000))
    intents = (an_intent(A, "-400"), an_intent(B, "300"))
    funding, (sale, buy) = approved(account, *intents, max_gross_leverage=d(1))
    # 100,000 - 20,000 + 30,000
    found = release(funding, (buy,), [SentOrder(sale, d(-200), done=True)])
    assert [(each.gate, each.reason) for each in found.dropped] == [
        ("gross", "gross leverage would be 1.1 x; the limit is 1 x")
    ]
    enough = release(funding, (buy,), [SentOrder(sale, d(-300), done=True)])
    assert enough.released == (buy,)


def test_what_works_already_stays_when_its_money_does_not_come() -> None:
    account = an_account(a_position(A, "20"), cash={"USD": "10"})
    intents = (an_intent(A, "-20"), an_intent(B, "10"), an_intent(C, "9"))
    funding, (sale, working, waits) = approved(account, *intents)
    # 10 + 12 / 20 of 1,999 released B for 1,001; then the sale is cut short at 5 / 20.
    sofar = [SentOrder(sale, d(-5), done=True), SentOrder(working, d(0), done=False)]
    found = release(funding, (waits,), sofar)
    assert (found.released, found.waiting, found.dropped) == ((), (waits,), ())
    assert found.cancel == ()


def test_funding_is_of_what_was_approved_with_its_fee_converted() -> None:
    name = identifier("SAP", "EUR")
    account = an_account(cash={"USD": "5000", "EUR": "1001"}, rates={"EUR": "1.25"})
    odd = an_intent(name, "1", "100.005", sequence=1, part=1)  # off its tick
    asked = gate_input(
        [an_intent(name, "10"), odd], stocks=[a_stock(name)], account=account, limits=loose(),
        fees=FlatFee("1.25", "USD"),
    )  # fmt: skip
    (order,) = apply_gates(asked).approved
    funding = funding_of(asked, (order,))
    assert set(funding.claims) == {order.reference}
    # 1,000 EUR and 1.25 USD, which are 1 EUR.
    assert funding.claims[order.reference].cost == d(1001)
    assert release(funding, (order,), ()).released == (order,)


def test_a_reversal_says_why_its_opening_part_is_refused() -> None:
    close = replace(an_intent(A, "-10"), limit=d("100.005"))
    opening = an_intent(A, "-5", part=1, wave=1, reducing=False)
    given = gate_input(
        [close, opening], account=an_account(a_position(A, "10")), limits=loose(allow_short=True)
    )
    assert apply_gates(given).refused[1].reason == (
        "it opens what its other part would have closed, and that was refused"
    )


def test_sleeves_that_are_not_neutral_hide_none_that_is() -> None:
    sleeves = (
        Sleeve("plain", (A, C), d(1)), Sleeve("pair", (A, B), d(1), neutral=True),
    )  # fmt: skip
    assert neutral_sleeves_hit(sleeves, {A}) == dict.fromkeys(
        (A, B), f"sleeve pair trades all or nothing, and {A} does not trade"
    )
    assert neutral_sleeves_hit(sleeves, {C}) == {}


# ---------------------------------------------------------------------------- margin

ACCOUNT = an_account(initial_margin=d(20_000), excess_liquidity=d(80_000))
CUSHION = some_limits(margin_cushion=d("0.1"), margin_rate=d("0.5"))
"""10,000 of 100,000 must be left."""


def orders(*notionals: float) -> tuple[ApprovedOrder, ...]:
    made = (an_approved((A, B)[n]) for n in range(len(notionals)))
    return tuple(
        replace(order, reference=f"ref-{n}", intent=replace(order.intent, notional=notionals[n]))
        for n, order in enumerate(made)
    )


def answer(margin: str, equity: str) -> MarginPreview:
    return MarginPreview(True, d(margin), d(equity))


def test_the_rate_of_small_orders_bounds_the_smaller_ones() -> None:
    # 0.5 adds 5: a rate of 10, so that 0.4 adds 4: 30,008 - 20,004 - 5 = 9,999.
    few = replace(CUSHION, margin_previews=1)
    found = check_margin(orders(0.5, 0.4), {"ref-0": answer("20005", "30008")}, ACCOUNT, few)
    assert [order.instrument for order in found.approved] == [A]
    enough = check_margin(orders(0.5, 0.4), {"ref-0": answer("20005", "30009")}, ACCOUNT, few)
    assert [order.instrument for order in enough.approved] == [A, B]
    # An order worth nothing has no rate.
    free = check_margin(orders(0.0), {"ref-0": answer("20005", "30009")}, ACCOUNT, few)
    assert len(free.approved) == 1


def test_without_a_margin_of_now_an_order_adds_what_it_is_worth() -> None:
    # 60,002 - 50,000 - 2 is the cushion of 10,000; what the second adds counts for nobody.
    blind, some = an_account(), orders(2.0, 1.0)
    for equity, passed in (("60002", [A, B]), ("60001", [A])):
        each = {f"ref-{n}": answer("50000", equity) for n in range(2)}
        found = check_margin(some, each, blind, CUSHION)
        assert [order.instrument for order in found.approved] == passed


def test_a_neutral_sleeve_of_which_nothing_is_refused_goes_whole() -> None:
    pair = Sleeve("pair", (A, B), d(1), neutral=True)
    each = {f"ref-{n}": answer("21000", "100000") for n in range(2)}
    found = check_margin(orders(2.0, 1.0), each, ACCOUNT, CUSHION, (pair,))
    assert (len(found.approved), found.refused, found.flags) == (2, (), ())

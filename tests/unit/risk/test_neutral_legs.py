"""Neutral sleeves while orders are worked: no leg goes, or goes on, without the others."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from rebalancer.model.orders import ApprovedOrder, OrderIntent
from rebalancer.model.universe import Sleeve
from rebalancer.risk import Funding, SentOrder, apply_gates, funding_of, release
from rebalancer.risk.release import Release
from tests.unit.risk.builders import (
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

D = identifier("D")
LIMITS = some_limits(
    max_order_weight=d(2), max_position_weight=d(2), max_gross_leverage=d(9), max_net_leverage=d(9)
)
PAIR = Sleeve("pair", (B, C), Decimal(1), neutral=True)
SALE = an_intent(A, "-20")
BUYS = (an_intent(B, "10"), an_intent(C, "9", sequence=1))
WITHOUT_C = f"sleeve pair trades all or nothing, and {C} does not trade"


def approved(
    *intents: OrderIntent, cash: str = "10", sleeves: tuple[Sleeve, ...] = (PAIR,), **changes: Any
) -> tuple[Funding, tuple[ApprovedOrder, ...]]:
    numbered = [replace(each, sequence=n) for n, each in enumerate(intents)]
    values: dict[str, Any] = {
        "account": an_account(a_position(A, "20"), cash={"USD": cash}),
        "stocks": [a_stock(name) for name in (A, B, C, D)],
        "limits": LIMITS,
    }
    asked = gate_input(numbered, sleeves=sleeves, **(values | changes))
    verdicts = apply_gates(asked)
    assert verdicts.refused == ()
    return funding_of(asked, verdicts.approved), verdicts.approved


def sent(order: ApprovedOrder, filled: str = "0", *, done: bool = False, **more: Any) -> SentOrder:
    return SentOrder(order, d(filled), done, **more)


def noes(found: Release) -> list[tuple[str, str, str]]:
    return [(each.intent.instrument, each.gate, each.reason) for each in found.dropped]


def test_a_leg_that_is_not_paid_for_takes_the_others_with_it() -> None:
    funding, (sale, *buys) = approved(SALE, *BUYS)
    # 10 + 1,099 pay for B (1,001) and not for C (901).
    found = release(funding, buys, [sent(sale, "-11", done=True)])
    assert (found.released, found.waiting, found.cancel) == ((), (), ())
    assert [(name, gate) for name, gate, _ in noes(found)] == [(B, "neutral"), (C, "cash")]
    assert noes(found)[0][2] == WITHOUT_C
    assert [(f.code, f.subject) for f in found.flags] == [("order-refused", B), ("not-funded", C)]


def test_no_leg_opens_before_all_that_open_may_go() -> None:
    funding, (sale, *buys) = approved(SALE, *BUYS)
    found = release(funding, buys, [sent(sale, "-11")])
    assert (found.released, found.waiting, found.dropped) == ((), tuple(buys), ())
    assert release(funding, buys, [sent(sale, "-20")]).released == tuple(buys)


def test_sleeves_that_are_not_neutral_take_what_there_is() -> None:
    plain = replace(PAIR, neutral=False)
    funding, (sale, *buys) = approved(SALE, *BUYS, sleeves=(plain,))
    found = release(funding, buys, [sent(sale, "-11")])
    assert (found.released, found.waiting) == ((buys[0],), (buys[1],))


def test_who_stands_behind_a_pair_that_waits_waits_for_what_it_may_need() -> None:
    behind = an_intent(D, "2")
    funding, (sale, *buys) = approved(SALE, *BUYS, behind, cash="300")
    assert release(funding, buys, [sent(sale, "-11")]).waiting == tuple(buys)
    # The pair is dropped: 300 + 1,099 are more than D takes.
    found = release(funding, buys, [sent(sale, "-11", done=True)])
    assert found.released == (buys[2],)


def test_when_time_is_up_what_works_of_a_sleeve_with_a_leg_unsent_is_cancelled() -> None:
    both = Sleeve("both", (A, B), Decimal(1), neutral=True)
    funding, (sale, buy) = approved(SALE, BUYS[0], sleeves=(both,))
    found = release(funding, [buy], [sent(sale, "-5", last="demo.7")], final=True)
    assert found.cancel == ("demo.7",)
    assert noes(found)[0][:2] == (B, "cash")


def test_a_leg_that_may_go_is_told_why_it_did_not_when_time_was_up() -> None:
    funding, (sale, *buys) = approved(SALE, *BUYS)
    found = release(funding, buys, [sent(sale, "-11")], final=True)
    assert noes(found)[0] == (B, "neutral", WITHOUT_C)
    assert noes(found)[1][:2] == (C, "cash")


def test_what_was_dropped_before_counts_for_what_works() -> None:
    funding, (_, buy, other) = approved(SALE, *BUYS, cash="5000")
    working = [sent(buy, "2", last="demo.8")]
    assert release(funding, (), working).cancel == ()
    assert release(funding, (), working, gone={C}).cancel == ("demo.8",)
    assert noes(release(funding, [other], (), gone={B}))[0][1] == "neutral"


def test_a_leg_of_two_sleeves_takes_both_with_it() -> None:
    pairs = (
        Sleeve("first", (A, B), Decimal("0.5"), neutral=True),
        Sleeve("other", (B, C), Decimal("0.5"), neutral=True),
    )
    funding, (sale, *buys) = approved(SALE, *BUYS, sleeves=pairs, cash="5000")
    rejected = [sent(sale, done=True, rejected=True)]
    found = release(funding, buys, rejected)
    assert found.released == ()
    assert noes(found) == [
        (B, "neutral", f"sleeve first trades all or nothing, and {A} does not trade"),
        (C, "neutral", f"sleeve other trades all or nothing, and {B} does not trade"),
    ]
    # B has ended: it is not taken back, and C has lost nothing.
    over = [*rejected, sent(buys[0], "10", done=True)]
    assert release(funding, buys[1:], over).released == (buys[1],)
    assert release(funding, (), [*over, sent(buys[1])]).cancel == ()
    # B works: its end is asked for, and C's with it.
    found = release(funding, (), [*rejected, sent(buys[0], "2"), sent(buys[1])])
    assert found.cancel == (buys[0].reference, buys[1].reference)


def test_what_a_neutral_sleeve_sells_goes_first_when_it_pays_for_what_it_buys() -> None:
    all_three = Sleeve("all", (A, B, C), Decimal(1), neutral=True)
    funding, orders = approved(SALE, *BUYS, sleeves=(all_three,))
    first = release(funding, orders, ())
    assert (first.released, first.waiting) == (orders[:1], orders[1:])
    # Half of it is sold: the rest still may be.
    assert release(funding, orders[1:], [sent(orders[0], "-10")]).waiting == orders[1:]


def test_what_a_neutral_sleeve_sells_waits_while_others_must_pay_for_what_it_buys() -> None:
    sleeve = Sleeve("sells", (D, C), Decimal(1), neutral=True)
    account = an_account(a_position(A, "20"), a_position(D, "2"), cash={"USD": "10"})
    intents = (SALE, an_intent(D, "-2"), an_intent(C, "9"))
    funding, orders = approved(*intents, sleeves=(sleeve,), account=account)
    found = release(funding, orders, ())
    assert (found.released, found.waiting) == (orders[:1], orders[1:])
    # 10 + 199 of D and 699 of A are more than the 901 of C.
    found = release(funding, orders[1:], [sent(orders[0], "-7")])
    assert (found.released, found.waiting) == ((orders[1],), (orders[2],))
    found = release(funding, orders[1:], [sent(orders[0], "-6", done=True)])
    assert (found.released, [each[:2] for each in noes(found)]) == (
        (), [(D, "neutral"), (C, "cash")],
    )  # fmt: skip


def test_sleeves_that_pay_for_each_other_do_not_wait_for_each_other() -> None:
    sleeves = (
        Sleeve("first", (A, B), Decimal("0.5"), neutral=True),
        Sleeve("other", (D, C), Decimal("0.5"), neutral=True),
    )
    account = an_account(a_position(A, "9"), a_position(D, "11"), cash={"USD": "10"})
    intents = (an_intent(A, "-9"), an_intent(D, "-11"), *BUYS)
    funding, orders = approved(*intents, sleeves=sleeves, account=account)
    assert release(funding, orders, ()).released == orders[:2]


def test_the_turn_of_one_leg_does_not_keep_its_own_closing_part_waiting() -> None:
    sleeve = Sleeve("turns", (A, B), Decimal(1), neutral=True)
    opening = an_intent(A, "-5", part=1, wave=1, reducing=False)
    limits = replace(LIMITS, allow_short=True)
    funding, orders = approved(
        SALE, opening, an_intent(B, "5"), sleeves=(sleeve,), limits=limits, cash="5000"
    )
    close, opens, buy = orders
    assert release(funding, orders, ()).released == (close,)
    assert release(funding, [opens, buy], [sent(close, "-19")]).waiting == (opens, buy)
    assert release(funding, [opens, buy], [sent(close, "-20")]).released == (opens, buy)
    short = release(funding, [opens, buy], [sent(close, "-19", done=True)])
    assert [each[:2] for each in noes(short)] == [(A, "reversal"), (B, "neutral")]


def test_the_way_out_of_what_the_venue_closes_waits_for_no_leg() -> None:
    stocks = [a_stock(A, leaving="it is delisted"), a_stock(B), a_stock(C)]
    sleeve = Sleeve("leaves", (A, B), Decimal(1), neutral=True)
    funding, (out, buy) = approved(SALE, BUYS[0], sleeves=(sleeve,), stocks=stocks)
    assert funding.ways_out == {A}
    assert release(funding, [out], [sent(buy, done=True, rejected=True)]).released == (out,)
    assert release(funding, (), [sent(out)], gone={B}).cancel == ()
    # Its own loss is one to the others.
    assert noes(release(funding, [buy], (), gone={A}))[0][1] == "neutral"


def test_a_leg_that_waits_keeps_the_other_sleeves_it_is_in_waiting() -> None:
    sleeves = (
        Sleeve("first", (B, C), Decimal("0.5"), neutral=True),
        Sleeve("other", (B, D), Decimal("0.5"), neutral=True),
    )
    intents = (SALE, BUYS[0], an_intent(D, "1"), BUYS[1])
    funding, (sale, *buys) = approved(*intents, sleeves=sleeves)
    # 10 + 1,200 pay for B (1,001) and D (101), and not for C (901).
    found = release(funding, buys, [sent(sale, "-12")])
    assert (found.released, found.waiting) == ((), tuple(buys))


def test_a_sale_that_waits_keeps_the_sales_of_its_other_sleeve_waiting() -> None:
    sleeves = (
        Sleeve("first", (D, C), Decimal("0.5"), neutral=True),
        Sleeve("other", (D, B), Decimal("0.5"), neutral=True),
    )
    held = [a_position(A, "20"), a_position(D, "2"), a_position(B, "2")]
    account = an_account(*held, cash={"USD": "10"})
    intents = (SALE, an_intent(D, "-2"), an_intent(B, "-2"), BUYS[1])
    funding, orders = approved(*intents, sleeves=sleeves, account=account)
    # 10 and 199 each of D and B are not the 901 of C: A must pay.
    found = release(funding, orders, ())
    assert (found.released, found.waiting) == (orders[:1], orders[1:])
    found = release(funding, orders[1:], [sent(orders[0])], final=True)
    assert [each[:2] for each in noes(found)] == [(D, "neutral"), (B, "neutral"), (C, "cash")]


def test_a_sale_that_must_wait_lets_no_other_leg_go_before_it() -> None:
    sleeve = Sleeve("all", (D, B, C), Decimal(1), neutral=True)
    account = an_account(a_position(A, "20"), a_position(D, "2"), cash={"USD": "150"})
    intents = (SALE, an_intent(D, "-2"), an_intent(B, "1"), BUYS[1])
    funding, orders = approved(*intents, sleeves=(sleeve,), account=account)
    # 150 are enough for B (101); with D's 199 they are not for C (901) too.
    found = release(funding, orders, ())
    assert (found.released, found.waiting) == (orders[:1], orders[1:])

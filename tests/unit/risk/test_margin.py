"""Margin previews: no answer is a no."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.model.flags import RUN, Severity
from rebalancer.model.orders import ApprovedOrder, MarginPreview
from rebalancer.model.universe import Sleeve
from rebalancer.risk import Verdicts, check_margin, critical
from tests.unit.risk.builders import A, B, C, an_account, an_approved, d, some_limits

ACCOUNT = an_account(initial_margin=Decimal(20_000), excess_liquidity=Decimal(80_000))
LIMITS = some_limits(margin_cushion=Decimal("0.1"))
ORDERS = tuple(replace(an_approved(name), reference=f"ref-{n}") for n, name in enumerate((A, B, C)))


def answer(margin: str | None, equity: str | None = "100000") -> MarginPreview:
    return MarginPreview(
        True, None if margin is None else d(margin), None if equity is None else d(equity)
    )


def checked(*answers: MarginPreview | None, orders: tuple[ApprovedOrder, ...] = ORDERS) -> Verdicts:
    previews = {
        order.reference: preview
        for order, preview in zip(orders, answers, strict=False)
        if preview is not None
    }
    return check_margin(orders[: len(answers)], previews, ACCOUNT, LIMITS)


def test_enough_margin_passes() -> None:
    verdicts = checked(answer("30000"))
    assert verdicts.approved == ORDERS[:1]
    assert verdicts.flags == ()


@pytest.mark.parametrize(
    "preview", [None, answer(None), answer("1", None), answer("NaN"), answer("1", "Infinity")]
)
def test_no_answer_is_a_no(preview: MarginPreview | None) -> None:
    verdicts = checked(preview, orders=ORDERS[:1])
    assert verdicts.approved == ()
    assert verdicts.refused[0].gate == "margin-preview"
    assert [(f.code, f.subject) for f in verdicts.flags] == [("order-refused", A)]


def test_the_cushion_stays_and_the_increases_add_up() -> None:
    # 100,000 - 90,000 = 10,000 is the cushion exactly
    assert checked(answer("90000")).approved
    assert not checked(answer("90001")).approved
    # the first adds 40,000; the second alone would leave 100,000 - 60,000 = 40,000
    verdicts = checked(answer("60000"), answer("60000"))
    assert verdicts.approved == ORDERS[:1]
    assert "0.00 USD would be left" in verdicts.refused[0].reason


def test_a_reduction_needs_no_answer() -> None:
    reduction = replace(ORDERS[0], reduce_only=True)
    assert critical((reduction,), LIMITS) == ()
    assert checked(None, orders=(reduction,)).approved == (reduction,)


def sized(number: int, notional: float) -> ApprovedOrder:
    order = ORDERS[number]
    return replace(order, intent=replace(order.intent, notional=notional))


def test_only_the_largest_opening_orders_are_asked_about() -> None:
    orders = (sized(0, 10.0), sized(1, 30.0), sized(2, 20.0))
    limits = replace(LIMITS, margin_previews=2)
    assert critical(orders, limits) == orders[1:]
    assert critical((*orders[:2], replace(orders[2], reduce_only=True)), limits) == orders[:2]


def test_an_order_that_was_not_asked_about_counts_at_the_worst_rate_answered() -> None:
    orders = (sized(0, 100_000.0), sized(1, 50_000.0))
    limits = replace(LIMITS, margin_previews=1, margin_rate=Decimal("0.5"))

    def verdicts(margin: str | None) -> Verdicts:
        return check_margin(orders, {"ref-0": answer(margin)}, ACCOUNT, limits)

    # The first adds 30,000 (a rate of 0.3, below the 0.5 assumed): 100,000 - 50,000 stays. The
    # second counts 0.5 x 50,000: 100,000 - 20,000 - 30,000 - 25,000 = 25,000 is above 10,000.
    assert verdicts("50000").approved == orders
    # The first adds 55,000 (0.55): the second 27,500, and 100,000 - 102,500 is too little.
    refused = verdicts("75000")
    assert refused.approved == orders[:1]
    assert "cushion" in refused.refused[0].reason
    # Without an answer on the large one nothing is known of the small one either.
    assert verdicts(None).approved == ()


def test_not_asked_passes_with_one_note() -> None:
    verdicts = checked(MarginPreview(False), MarginPreview(False))
    assert verdicts.approved == ORDERS[:2]
    assert [(f.code, f.subject, f.severity) for f in verdicts.flags] == [
        ("margin-not-asked", RUN, Severity.NOTE)
    ]
    assert "80,000 USD" in verdicts.flags[0].message


def test_a_neutral_sleeve_goes_whole() -> None:
    previews = {"ref-0": answer("30000"), "ref-1": answer(None), "ref-2": answer("30000")}
    pair = Sleeve("pair", (A, B), Decimal(1), neutral=True)
    verdicts = check_margin(ORDERS, previews, ACCOUNT, LIMITS, (pair,))
    assert verdicts.approved == ORDERS[2:]

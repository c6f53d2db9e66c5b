"""The edges of margin: an account that tells no number, one order alone, and the words for it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.orders import ApprovedOrder, MarginPreview
from rebalancer.model.records import Standing
from rebalancer.risk import check_margin, evaluate_breakers
from tests.unit.risk.builders import (
    NOW,
    SESSION,
    A,
    B,
    an_account,
    an_approved,
    d,
    some_limits,
)

NAN = Decimal("NaN")
LARGE = replace(an_approved(A), reference="ref-0")
SMALL = replace(
    an_approved(B), reference="ref-1", intent=replace(an_approved(B).intent, notional=10.0)
)
LIMITS = some_limits(margin_previews=1)


@pytest.mark.parametrize(
    ("account", "unknown"),
    [
        (
            an_account(margined=True, initial_margin=d(20_000), excess_liquidity=None),
            "excess liquidity",
        ),
        (
            an_account(margined=True, initial_margin=NAN, excess_liquidity=NAN),
            "excess liquidity and initial margin",
        ),
    ],
)
def test_a_margin_that_nobody_tells_is_named_in_a_whole_sentence(
    account: AccountSnapshot, unknown: str
) -> None:
    verdict = evaluate_breakers(
        Standing(), account, (), (), some_limits(), session=SESSION.date, now=NOW
    )
    (flag,) = verdict.standing.latched
    assert (flag.code, flag.evidence) == ("margin-thin", "unknown")
    assert flag.message == (
        f"the venue does not tell {unknown} of this account: how close it is to a margin call is "
        "unknown; only reductions are sent"
    )


@pytest.mark.parametrize("margin", [None, NAN, Decimal("Infinity")])
def test_a_small_order_is_refused_where_the_margin_it_adds_to_is_no_number(
    margin: Decimal | None,
) -> None:
    # Of the large one the venue was asked: 100,000 - 5,000 are left. The small one counts on
    # top of the account's own initial margin, which is not a number: there is no bound.
    account = an_account(initial_margin=margin)
    previews = {"ref-0": MarginPreview(True, d(5_000), d(100_000))}
    verdicts = check_margin((LARGE, SMALL), previews, account, LIMITS)
    assert verdicts.approved == (LARGE,)
    assert [each.reason for each in verdicts.refused] == [
        "the venue's answer on the margin is incomplete: nor was there one on the larger orders"
    ]


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        (
            (LARGE,),
            "the venue was not asked what 1 order would do to the margin; "
            "our own estimate passed it (no margin known)",
        ),
        (
            (LARGE, SMALL),
            "the venue was not asked what 2 orders would do to the margin; "
            "our own estimate passed them (no margin known)",
        ),
    ],
)
def test_one_order_that_was_not_asked_about_is_one_order(
    orders: tuple[ApprovedOrder, ...], words: str
) -> None:
    previews = {name: MarginPreview(asked=False) for name in ("ref-0", "ref-1")}
    verdicts = check_margin(orders, previews, an_account(), LIMITS)
    assert verdicts.approved == orders
    assert [flag.message for flag in verdicts.flags] == [words]

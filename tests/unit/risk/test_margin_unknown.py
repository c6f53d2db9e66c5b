"""A margin that nobody tells is not a margin that is fine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.orders import MarginPreview
from rebalancer.model.records import Standing
from rebalancer.risk import apply_gates, check_margin, evaluate_breakers
from tests.unit.risk.builders import (
    NOW,
    SESSION,
    A,
    B,
    a_position,
    an_account,
    an_approved,
    an_intent,
    d,
    gate_input,
    some_limits,
)

NAN = Decimal("NaN")
TOLD: dict[str, Any] = {
    "excess_liquidity": d(80_000),
    "initial_margin": d(20_000),
    "margined": True,
}


def latched(account: AccountSnapshot, standing: Standing | None = None) -> list[tuple[str, str]]:
    verdict = evaluate_breakers(
        standing or Standing(), account, (), (), some_limits(), session=SESSION.date, now=NOW
    )
    return [(flag.code, flag.message) for flag in verdict.standing.latched]


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({}, ()),
        ({"excess_liquidity": None}, ("excess liquidity",)),
        ({"excess_liquidity": NAN}, ("excess liquidity",)),
        ({"initial_margin": None}, ("initial margin",)),
        ({"initial_margin": Decimal("Infinity")}, ("initial margin",)),
        ({"excess_liquidity": None, "initial_margin": None, "margined": False}, ()),
        ({"excess_liquidity": NAN, "initial_margin": None, "margined": False},
         ("excess liquidity",)),
        # A cushion alone bounds no order.
        ({"excess_liquidity": None, "cushion": d("0.9")}, ("excess liquidity",)),
    ],
)  # fmt: skip
def test_what_a_margin_account_does_not_tell_latches_and_opens_nothing(
    changes: dict[str, Any], unknown: tuple[str, ...]
) -> None:
    account = replace(an_account(a_position(B, "10"), **TOLD), **changes)
    assert account.margin_unknown == unknown
    flags = latched(account)
    assert [code for code, _ in flags] == (["margin-thin"] if unknown else [])
    assert all(what in flags[0][1] for what in unknown)
    orders = (an_intent(B, "-5"), an_intent(A, "10", sequence=1))
    verdicts = apply_gates(gate_input(orders, account=account))
    names = [order.instrument for order in verdicts.approved]
    assert names == ([B] if unknown else [B, A])
    assert [each.reason for each in verdicts.refused] == (
        ["; ".join(f"its {what} is unknown" for what in unknown)] if unknown else []
    )


def test_it_is_over_as_soon_as_the_venue_tells_again() -> None:
    blind = an_account(**(TOLD | {"excess_liquidity": None}))
    verdict = evaluate_breakers(
        Standing(), blind, (), (), some_limits(), session=SESSION.date, now=NOW
    )
    assert latched(an_account(**TOLD), verdict.standing) == []
    assert latched(blind, verdict.standing)


@pytest.mark.parametrize("before", [None, NAN])
def test_what_orders_add_to_a_margin_that_is_not_told_is_their_worth(
    before: Decimal | None,
) -> None:
    account = an_account(initial_margin=before)
    one = replace(an_approved(A, "300"), reference="one")
    two = replace(an_approved(B, "300"), reference="two")
    limits = some_limits(margin_cushion=d("0.1"))
    previews = {name: MarginPreview(True, d(50_000), d(100_000)) for name in ("one", "two")}
    # Each alone would leave 50,000. The first is worth 30,000: of the second 20,000 would be left.
    assert len(check_margin((one, two), previews, account, limits).approved) == 2
    third = replace(an_approved(A, "300"), reference="three")
    previews["three"] = MarginPreview(True, d(50_000), d(100_000))
    verdicts = check_margin((one, two, third), previews, account, limits)
    assert [each.intent for each in verdicts.refused] == [third.intent]
    assert "-10,000" in verdicts.refused[0].reason.replace("−", "-")

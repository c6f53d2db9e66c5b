"""The number of orders: what a command of the owner's may, and what it may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rebalancer.risk import apply_gates
from tests.unit.risk.builders import (
    A,
    B,
    a_position,
    an_account,
    an_intent,
    gate_input,
    some_limits,
)

LIMITS = (
    {"max_orders_per_run": 1},
    {"max_orders_per_session": 47},  # half as many again are 70
    {"max_orders_per_days": 47},
)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("by_owner", [True, False])
def test_reductions_of_a_command_have_a_bound_of_their_own(
    limit: dict[str, Any], *, by_owner: bool
) -> None:
    given = replace(
        gate_input(
            [an_intent(A, "-10"), an_intent(B, "-10", sequence=1)],
            account=an_account(a_position(A, "10"), a_position(B, "10")),
            orders_in_session=69,
        ),
        limits=replace(some_limits(), **limit),
        by_owner=by_owner,
    )
    found = apply_gates(given)
    assert {each.gate for each in found.refused} == (set() if by_owner else {"orders"})
    assert len(found.approved) == (2 if by_owner else 1)


def test_a_command_opens_nothing_beyond_the_number_of_orders() -> None:
    given = replace(
        gate_input([an_intent(A, "10")], orders_in_session=70),
        limits=replace(some_limits(), max_orders_per_session=70),
        by_owner=True,
    )
    found = apply_gates(given)
    assert [each.gate for each in found.refused] == ["orders"]

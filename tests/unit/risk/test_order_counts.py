"""How many orders: limits for all, and half as many again for what makes a position smaller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rebalancer.risk import apply_gates, too_many_orders
from rebalancer.risk.means import means_of
from tests.unit.risk.builders import (
    A,
    B,
    a_position,
    an_account,
    an_intent,
    gate_input,
    some_limits,
)

LIMITS = some_limits(
    max_orders_per_run=5, max_orders_per_session=7, limit_days=3, max_orders_per_days=21
)


@pytest.mark.parametrize(
    ("before", "days", "number", "reduces", "reason"),
    [
        (0, 0, 5, False, None),
        (0, 0, 6, False, "it is order 6 of this run; the limit is 5"),
        (0, 0, 7, True, None),
        (0, 0, 8, True, "it is order 8 of this run; the limit is 7 for reductions"),
        (4, 0, 3, False, None),
        (5, 0, 3, False, "it is order 8 of this session; the limit is 7"),
        (7, 0, 3, True, None),
        (7, 0, 4, True, "it is order 11 of this session; the limit is 10 for reductions"),
        (2, 17, 2, False, None),
        (2, 17, 3, False, "it is order 22 of 3 sessions; the limit is 21"),
        (2, 17, 7, True, None),
        (2, 27, 2, True, None),
        (2, 27, 3, True, "it is order 32 of 3 sessions; the limit is 31 for reductions"),
    ],
)
def test_each_limit_counts_with_what_was_sent_before(
    before: int, days: int, number: int, reason: str | None, *, reduces: bool
) -> None:
    given = gate_input((), limits=LIMITS, orders_in_session=before, orders_before=days)
    assert too_many_orders(means_of(given), number, reduces=reduces) == reason


@pytest.mark.parametrize(("reduces", "passes"), [(True, True), (False, False)])
def test_only_reductions_of_the_owners_command_have_no_limit_here(
    *, reduces: bool, passes: bool
) -> None:
    means = means_of(gate_input((), limits=LIMITS, by_owner=True))
    assert (too_many_orders(means, 1000, reduces=reduces) is None) is passes


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"orders_in_session": 7}, [A]),
        ({"orders_in_session": 9}, [A]),
        ({"orders_in_session": 10}, []),
        ({"orders_before": 21}, [A]),
        ({"orders_before": 31}, []),
        ({"orders_in_session": 5}, [A, B]),
    ],
)
def test_a_limit_that_is_used_up_lets_positions_become_smaller(
    changes: dict[str, Any], sent: list[str]
) -> None:
    intents = (an_intent(A, "-10"), an_intent(B, "10", sequence=1))
    account = an_account(a_position(A, "10"))
    given = replace(gate_input(intents, account=account, limits=LIMITS), **changes)
    found = apply_gates(given)
    assert [order.instrument for order in found.approved] == sent
    assert {each.gate for each in found.refused} <= {"orders"}

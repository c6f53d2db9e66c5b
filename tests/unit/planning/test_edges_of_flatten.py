"""To zero by command, at its edges: what the columns say of the others, and the last piece."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from rebalancer.errors import DataError
from rebalancer.model.fees import fee_schedule
from rebalancer.model.market import Freshness
from rebalancer.model.plan import Plan, Why
from rebalancer.model.rules import TradingRules
from rebalancer.model.universe import Universe
from rebalancer.planning import PlanParameters, in_chunks, plan_flatten
from tests.unit.planning.worlds import NOW, account, market, quote, stock

D = Decimal
A, B, C = stock("AAA"), stock("BBB"), stock("CCC")


def flat(*names: str, allow: bool | None = None, **said: Any) -> Plan:
    """Flatten some of 120 of A, 30 of B and none of C, at 100, 20 and 10 dollars."""
    chosen = [name for name in (A.id, B.id, C.id) if name[0] in names]
    words = {} if allow is None else {"allow_delayed": allow}
    return plan_flatten(
        Universe([A, B, C]), chosen, account("100000", {A: "120", B: "30"}),
        market(quote(A, "100", **said), quote(B, "20", **said), quote(C, "10", **said)),
        PlanParameters(), fee_schedule("none"), now=NOW, **words,
    )  # fmt: skip


def test_what_the_command_does_not_name_is_held_at_what_it_is() -> None:
    columns = flat("A").columns
    assert columns is not None
    assert columns.held.tolist() == [120, 30, 0]
    assert columns.target.tolist() == [0, 30, 0]
    assert columns.target.dtype == np.int64
    assert columns.targeted.tolist() == [True, True, True]
    # Of 100,000: 120 x 100 = 12 % go to zero, 30 x 20 = 0.6 % stay.
    assert columns.current_weight.tolist() == [0.12, 0.006, 0.0]
    assert columns.target_weight.tolist() == [0.0, 0.006, 0.0]
    assert [Why(code) for code in columns.why.tolist()] == [
        Why.ORDER, Why.NOT_NAMED, Why.NOT_NAMED,
    ]  # fmt: skip
    assert columns.delta.tolist() == [-120, 0, 0]


def test_the_target_of_what_is_not_named_is_known_without_a_price() -> None:
    plan = plan_flatten(
        Universe([A, B]), [A.id], account("100000", {A: "120", B: "30"}), market(quote(A, "100")),
        PlanParameters(), fee_schedule("none"), now=NOW,
    )  # fmt: skip
    assert plan.columns is not None
    assert plan.columns.target.tolist() == [0, 30]
    assert plan.columns.targeted.tolist() == [True, True]


@pytest.mark.parametrize(("allow", "sold"), [(None, []), (False, []), (True, [D(-120)])])
def test_a_delayed_quote_prices_only_by_the_owners_word(
    allow: bool | None, sold: list[Decimal]
) -> None:
    plan = flat("A", allow=allow, freshness=Freshness.DELAYED)
    assert [order.quantity for order in plan.orders] == sold


def test_a_name_that_the_universe_does_not_have_is_an_error_of_the_command() -> None:
    with pytest.raises(DataError, match=r"^sleeve flatten: X\.STK\.USD@IB is not in the universe$"):
        plan_flatten(
            Universe([A]), [stock("X").id], account("1000"), market(), PlanParameters(),
            fee_schedule("none"), now=NOW,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("size", "largest", "step", "chunk", "count"),
    [
        # As large as is allowed: whole, also where it is no whole number of lots.
        ("10.5", "10.5", "1", "-10.5", 1),
        # Three of 33.3 are 35 in lots of 5, and 35 + 35 + 30 is all of it.
        ("100", "45", "5", "-35", 3),
        # In lots of 0.5, three of 0.83 are 1: one more than 0.9 allows, so 0.5, five times.
        ("2.5", "0.9", "0.5", "-0.5", 5),
    ],
)
def test_pieces_are_equal_but_for_whole_lots(
    size: str, largest: str, step: str, chunk: str, count: int
) -> None:
    rules = TradingRules(limit_step=D(step), market_step=D(step), min_size=D(step))
    order = replace(flat("A").orders[0], quantity=-D(size))
    ((part, pieces),) = in_chunks([order], Universe([replace(A, rules=rules)]), {A.id: D(largest)})
    assert (part.quantity, pieces) == (D(chunk), count)

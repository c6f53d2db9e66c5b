"""Delayed quotes are quotes only where the owner says so; frozen ones never are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rebalancer.model.fees import fee_schedule
from rebalancer.model.market import Freshness
from rebalancer.model.universe import Universe
from rebalancer.planning import plan_flatten
from tests.unit.planning.worlds import NOW, account, exactly, market, plan, quote, stock

A = stock("AAA")


@pytest.mark.parametrize(
    ("freshness", "allowed", "plans"),
    [
        (Freshness.LIVE, False, True),
        (Freshness.SYNTHETIC, False, True),
        (Freshness.DELAYED, False, False),
        (Freshness.DELAYED, True, True),
        (Freshness.FROZEN, True, False),
    ],
)
def test_a_plan_is_made_from_the_kinds_of_quotes_that_are_allowed(
    freshness: Freshness, allowed: bool, plans: bool
) -> None:
    prices = market(replace(quote(A, "99.90", "100.10"), freshness=freshness))
    empty, holding = account("10000", {}), account("11000", {A: "10"}, cash={"USD": "10000"})
    made = plan((A,), {A: "0.5"}, empty, prices, allow_delayed=allowed)
    assert bool(made.orders) is plans
    assert [flag.code for flag in made.flags] == ([] if plans else ["price-missing"])
    sold = plan_flatten(
        Universe([A]),
        [A.id],
        holding,
        prices,
        exactly(),
        fee_schedule("none"),
        now=NOW,
        allow_delayed=allowed,
    )
    assert bool(sold.orders) is plans

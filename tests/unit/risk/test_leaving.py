"""Only the way out of what the venue closes is open."""

from __future__ import annotations

import pytest

from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import ErrorFlag, Severity, Step
from rebalancer.model.orders import RefusedOrder
from rebalancer.model.universe import Sleeve
from rebalancer.risk import apply_gates
from tests.unit.risk.builders import (
    A,
    B,
    a_position,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
    some_limits,
)

LEAVES = a_stock(A, leaving="the exchange delists it")
LONG = an_account(a_position(A, "100"))


def gates(refused: tuple[RefusedOrder, ...]) -> list[str]:
    return [each.gate for each in refused]


@pytest.mark.parametrize("quantity", ["10", "-150"])
def test_what_does_not_only_reduce_is_refused_in_what_leaves(quantity: str) -> None:
    wanted = an_intent(A, quantity)
    limits = some_limits(allow_short=True)
    verdicts = apply_gates(gate_input([wanted], account=LONG, stocks=[LEAVES], limits=limits))
    assert gates(verdicts.refused) == ["leaving"]
    assert "delists" in verdicts.refused[0].reason


@pytest.mark.parametrize("code", ["history-stale", "history-gap", "history-disagrees"])
def test_the_way_out_needs_no_history(code: str) -> None:
    flag = ErrorFlag(Step.SIGNALS, code, A, Severity.HOLD, "too old")
    sells = [an_intent(A, "-100")]
    out = apply_gates(gate_input(sells, account=LONG, stocks=[LEAVES], flags=(flag,)))
    assert [order.quantity for order in out.approved] == [d(-100)]
    assert out.approved[0].reduce_only
    held = apply_gates(gate_input(sells, account=LONG, stocks=[a_stock(A)], flags=(flag,)))
    assert gates(held.refused) == ["hold"]


def test_an_unresolved_order_holds_the_way_out_too() -> None:
    flag = ErrorFlag(Step.CONNECT, "unresolved-order", A, Severity.HOLD, "who knows")
    out = apply_gates(
        gate_input([an_intent(A, "-100")], account=LONG, stocks=[LEAVES], flags=(flag,))
    )
    assert gates(out.refused) == ["hold"]


def test_the_way_out_of_a_neutral_sleeve_waits_for_nobody() -> None:
    sleeve = Sleeve("n", (A, B), d(1), neutral=True)
    flag = ErrorFlag(Step.SIGNALS, "history-stale", B, Severity.HOLD, "too old")
    found = apply_gates(
        gate_input(
            [an_intent(A, "-100"), an_intent(B, "10", sequence=1)],
            account=LONG,
            stocks=[LEAVES, a_stock(B)],
            sleeves=(sleeve,),
            flags=(flag,),
        )
    )
    assert [order.instrument for order in found.approved] == [A]
    assert gates(found.refused) == ["hold"]


def test_leaving_is_a_note() -> None:
    assert FLAG_TABLE["instrument-leaving"].severity is Severity.NOTE

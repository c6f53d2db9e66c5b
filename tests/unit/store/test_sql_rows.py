"""A line of the order file and what became of it stand in one row."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from rebalancer.model.orders import (
    Action,
    ApprovedOrder,
    OrderIntent,
    OrderStatus,
    OrderType,
    PlanLine,
    RefusedOrder,
    TimeInForce,
    WorkingOrder,
)
from rebalancer.store.sql.rows import Day, day_rows
from tests.unit.store.samples import APPLE, MONDAY, SLOT, line, record


def intent(wanted: PlanLine, part: int) -> OrderIntent:
    """Return the wish behind a line that sells."""
    return OrderIntent(
        instrument=wanted.instrument,
        quantity=-wanted.quantity,
        limit=Decimal("300.10"),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        currency="USD",
        reference_price=Decimal("300.05"),
        reference_at=SLOT,
        current_quantity=Decimal(10),
        target_quantity=Decimal(-5),
        current_weight=0.03,
        target_weight=-0.015,
        notional=3000.0,
        fee=1.0,
        reducing=part == 0,
        wave=part,
        sequence=part + 1,
        reason="a reversal",
        part=part,
    )


def rows(**changes: Any) -> list[dict[str, Any]]:
    made = replace(record(), **changes)
    return [dict(row) for row in day_rows(Day(MONDAY, [made], (), ()), "demo")["orders"]]


def test_both_halves_of_a_reversal_have_their_own_fate() -> None:
    closes = replace(line(Action.SELL), quantity=Decimal(10))
    opens = replace(line(Action.SELL), quantity=Decimal(5))
    approved = ApprovedOrder(
        "demo.2003021505r1.AAAAAAAA.1",
        intent(closes, 0),
        Decimal("299"),
        SLOT + timedelta(minutes=5),
        reduce_only=True,
    )
    working = WorkingOrder(
        approved.reference, "7", APPLE, Decimal(-10), Decimal(-4), Decimal("300.10"),
        OrderStatus.WORKING, SLOT,
    )  # fmt: skip
    refused = RefusedOrder(intent(opens, 1), "shorts", "it may not be sold short")
    first, second = rows(
        lines=(closes, opens), approved=(approved,), refused=(refused,), orders=(working,)
    )
    assert (first["reference"], first["status"], first["filled"], first["refused_by"]) == (
        approved.reference, "working", Decimal(-4), None,
    )  # fmt: skip
    assert (second["reference"], second["refused_by"], second["refusal"]) == (
        None, "shorts", "it may not be sold short",
    )  # fmt: skip
    assert {row["portfolio"] for row in (first, second)} == {"demo"}


def test_a_line_that_was_approved_and_never_acknowledged_has_no_status() -> None:
    wanted = line(Action.SELL)
    approved = ApprovedOrder(
        "demo.2003021505r1.AAAAAAAA.1", intent(wanted, 0), Decimal("299"), SLOT, reduce_only=True
    )
    (row,) = rows(lines=(wanted,), approved=(approved,))
    assert (row["reference"], row["status"], row["filled"]) == (approved.reference, None, None)

"""Targets times the owner's scale."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.planning import scaled_signals

A, B = InstrumentId("A.STK.USD@IB"), InstrumentId("B.STK.USD@IB")
AT = datetime(2026, 1, 5, 15, 5, tzinfo=UTC)


def signal(**targets: str) -> Signal:
    named = {InstrumentId(f"{name}.STK.USD@IB"): Decimal(each) for name, each in targets.items()}
    return Signal("s", named, Unit.WEIGHT, Decimal(1), AT, AT, Coverage.PARTIAL)


def test_each_target_is_multiplied_by_its_own_scale() -> None:
    before = {"s": signal(A="0.4", B="-0.3")}
    after = scaled_signals(before, {A: Decimal("0.5"), B: Decimal(0)})
    assert after["s"].targets == {A: Decimal("0.2"), B: Decimal(0)}
    assert after["s"].coverage is Coverage.PARTIAL


def test_what_is_not_listed_stays_unlisted() -> None:
    after = scaled_signals({"s": signal(A="0.4")}, {B: Decimal("0.5")})
    assert after["s"].targets == {A: Decimal("0.4")}


def test_without_scales_signals_are_what_they_were() -> None:
    before = {"s": signal(A="0.4")}
    assert scaled_signals(before, {}) is before
    assert scaled_signals(before, {A: Decimal(1)}) is before

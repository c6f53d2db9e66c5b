"""A neutral sleeve in whole hours: what is not paid for in time leaves no leg alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import RunRecord
from rebalancer.simulators.faults import Fault, FaultKind
from tests.portfolios import FIRST, HOUR, QUIET, World, make_world, stock, write_signal

KO, PG, AAPL = stock("KO"), stock("PG"), stock("AAPL")
SECOND = FIRST + HOUR
EVER = {"valid_until": "2020-12-31T00:00:00Z"}


def half(name: str) -> Fault:
    return Fault(FaultKind.PARTIAL_ONLY, subject=name, count=None)


def world_of_a_pair(folder: Path, *, neutral: bool = True) -> World:
    """Return a portfolio of a stock and a pair, which both may borrow from each other's room."""
    return make_world(
        folder,
        symbols=("AAPL",),
        share="0.5",
        generator="leverage_max = 2",
        risk="max_turnover_per_session = 20\n",
        extra=f"""{QUIET}
[execution]
window_seconds = 600

[[sleeve]]
name = "pair"
share = "0.5"
leverage_max = 2
universe = ["{KO}", "{PG}"]
neutral = {str(neutral).lower()}
""",
    )


def two_hours(
    world: World, first: tuple[str, str, str], second: tuple[str, str, str], *faults: Fault
) -> RunRecord:
    """Run two hours with weights of AAPL, KO and PG; return the second, with its faults."""
    for at, (alone, ko, pg) in ((FIRST, first), (SECOND, second)):
        world.wants({"AAPL": alone}, at, leverage="2", **EVER)
        write_signal(world.folder, {KO: ko, PG: pg}, at, name="pair", leverage="1", **EVER)
        world.hour(at, faults=faults if at == SECOND else ())
    return world.last()


@pytest.mark.parametrize("neutral", [True, False])
def test_no_leg_is_bought_when_the_room_for_the_other_does_not_come(
    tmp_path: Path, *, neutral: bool
) -> None:
    world = world_of_a_pair(tmp_path, neutral=neutral)
    record = two_hours(world, ("0.85", "0", "0"), ("0.1", "0.8", "0.7"), half(AAPL))
    legs = {str(KO), str(PG)} & set(world.holdings())
    assert legs == (set() if neutral else {KO})
    refused = {each.intent.instrument: each.gate for each in record.refused}
    assert refused == ({KO: "neutral", PG: "gross"} if neutral else {PG: "gross"})


@pytest.mark.parametrize("neutral", [True, False])
def test_a_sale_that_was_to_pay_for_the_other_leg_does_not_work_on_without_it(
    tmp_path: Path, *, neutral: bool
) -> None:
    world = world_of_a_pair(tmp_path, neutral=neutral)
    record = two_hours(world, ("0.48", "0.95", "0"), ("0.48", "0.05", "0.9"), half(KO))
    (sale,) = (each for each in record.orders if each.instrument == KO)
    assert sale.filled
    assert sale.status is (OrderStatus.CANCELLED if neutral else OrderStatus.WORKING)
    assert {each.intent.instrument for each in record.refused} == {PG}


def test_legs_that_are_paid_for_by_others_go_out_together(tmp_path: Path) -> None:
    world = world_of_a_pair(tmp_path)
    record = two_hours(world, ("0.85", "0", "0"), ("0.1", "0.8", "0.7"))
    assert record.refused == ()
    assert {each.instrument for each in record.orders} == {AAPL, KO, PG}
    assert {KO, PG} <= set(world.holdings())

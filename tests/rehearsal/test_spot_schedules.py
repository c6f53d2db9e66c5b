"""An owner's spot portfolio through a few fixed schedules: the samples are perpetuals only."""

from __future__ import annotations

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.model.instrument import Kind
from rebalancer.rehearsal.driver import play
from rebalancer.rehearsal.stage import Stage
from rebalancer.rehearsal.workers import quiet
from rebalancer.simulators.faults.schedule import draw
from tests.exchanges import write_coins

SEEDS = (5, 7, 13, 16, 19, 21, 30, 37)
"""Among them trades by hand, withdrawals, cancels unheard, orders that follow the market."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Return the stage of a portfolio of three spot pairs."""
    folder = tmp_path_factory.mktemp("spot")
    path = write_coins(folder, kind="SPOT", leverage="1", sleeve="history_bars = 10")
    return Stages(str(path))("binance")


def test_no_schedule_of_spot_pairs_breaks_an_invariant_and_all_pairs_trade(stage: Stage) -> None:
    assert {each.kind for each in stage.universe} == {Kind.SPOT}
    schedules = [draw(stage.venue, seed, stage.instruments) for seed in SEEDS]
    assert any(each.follow for each in schedules)
    broken, traded, hits = [], set(), 0
    with quiet():
        for schedule in schedules:
            played = play(stage, schedule)
            broken += [f"seed {schedule.seed}: {bad}" for bad in played.violations]
            for order in played.evidence.account.orders:
                if order.reference.startswith(f"{stage.portfolio}.") and order.filled:
                    traded.add((str(order.instrument), order.filled > 0))
            hits += sum(played.hits.values())
    assert broken == []
    assert traded == {(name, buys) for name in stage.instruments for buys in (True, False)}
    assert hits >= len(SEEDS)

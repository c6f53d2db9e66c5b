"""What the venue itself or the owner traded while a run is at work is told like all else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from rebalancer.hourly import hour
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.ports import Books
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.orders_by_hand import liquidate, order_by_hand
from tests.gateways import Gateways
from tests.integration.hours import AAPL, EVER, SECOND, SYMBOLS, THIRD, Watch, message
from tests.portfolios import FIRST, HOUR, QUIET, codes, make_world

pytestmark = pytest.mark.usefixtures("quick")

Act = Callable[[LocalGateway], object]
BRIEF = "\n[execution]\nwindow_seconds = 20\n"


@pytest.fixture
def gateways(tmp_path: Path) -> Gateways:
    """Return a gateway at which an hour left an order of KO working, and AAPL is held."""
    world = make_world(
        tmp_path, symbols=SYMBOLS, extra=QUIET + BRIEF, transport="memory", paper='depth = "50"'
    )
    world.wants({"AAPL": "0.02", "KO": "0.6"}, FIRST, **EVER)
    gateways = Gateways(world)
    gateways.hour(FIRST)
    assert world.holdings()[AAPL] > 0
    assert "working" in {order["status"] for order in world.venue()["orders"]}
    return gateways


def hour_with(gateways: Gateways, acts: dict[int, Act]) -> RunRecord:
    """Run the second hour and let something happen at the gateway as a step begins."""
    found: list[LocalGateway] = []
    gateways.before = found.append
    desk = gateways.desk(SECOND)
    books = desk.books
    for step, act in acts.items():
        books = cast("Books", Watch(books, _begins(step), partial(_act, act, found)))
    record = hour(replace(desk, books=books), SECOND)
    gateways.before = lambda _: None
    return record


def _act(act: Act, found: list[LocalGateway]) -> None:
    act(found[0])


def _begins(step: int) -> Callable[[dict[str, object]], bool]:
    return lambda line: (line["kind"], line.get("step")) == ("step", step)


def margin_call(local: LocalGateway) -> None:
    liquidate(local.gateway, AAPL, Decimal(-3))
    local.advance(local.now() + timedelta(seconds=5))


def by_hand(local: LocalGateway) -> None:
    order_by_hand(local.gateway, AAPL, Decimal(-3))
    local.advance(local.now() + timedelta(seconds=5))


def cut(local: LocalGateway) -> None:
    local.cut()


@pytest.mark.parametrize(
    ("acts", "failed"),
    [
        ({2: margin_call}, False),
        ({9: margin_call}, False),
        ({7: margin_call, 8: cut}, True),
    ],
    ids=["during the cancels", "between the last two looks", "before the wire broke"],
)
def test_a_position_that_the_venue_closes_beside_a_run_is_latched(
    gateways: Gateways, acts: dict[int, Act], failed: bool
) -> None:
    listening = replace(gateways.spec(SECOND).orders, master_client=1)
    gateways.changes["orders"] = listening
    record = hour_with(gateways, acts)
    assert (record.outcome is Outcome.FAILED) is failed
    assert "liquidated" in codes(record)
    assert record.exit_code in (3, 4)
    assert [flag.code for flag in gateways.world.standing().latched] == ["liquidated"]
    assert "closes positions for want of margin" in gateways.world.alert(SECOND)
    coming = gateways.hour(THIRD)
    assert coming.exit_code == 3
    assert not gateways.counts.get("placeOrder")
    told = datetime.fromisoformat(gateways.world.standing().alerts["liquidated"])
    assert SECOND <= told < THIRD
    lines = [line for line in gateways.world.fill_lines() if line["kind"] == "fill"]
    known = [line["fill"]["exec_id"] for line in lines]
    assert sorted(known) == sorted(each["id"] for each in gateways.world.venue()["executions"])


def test_a_trade_by_hand_during_the_cancels_is_told_in_that_run(gateways: Gateways) -> None:
    record = hour_with(gateways, {2: by_hand})
    assert "-3 AAPL" in message(record, "others-trade")
    assert "others-trade" not in codes(gateways.hour(SECOND + HOUR))

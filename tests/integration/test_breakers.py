"""Breakers, limits over days and overrides, in whole hours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.paper import PaperHands
from rebalancer.cli import main
from rebalancer.hourly import hour
from rebalancer.model.flags import TradingState
from rebalancer.model.orders import OrderStatus, Place, VenueEvent, WorkingOrder
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.simulators.faults import Fault, FaultKind
from tests.portfolios import FIRST, HOUR, QUIET, codes, make_world, stock

DAY = timedelta(days=1)
FRIDAY = FIRST + 4 * DAY  # 6 March 2020
MONDAY = FIRST + 7 * DAY  # 9 March 2020: everything fell by seven per cent
EVENING, MORNING = FIRST + 9 * DAY + 4 * HOUR, FIRST + 10 * DAY
FRIDAY_EVENING = MORNING + DAY + 4 * HOUR
"""11 March 2020 near the close, the next morning 1.6 % lower, and a Friday that ended higher."""

KO = stock("KO")
FEW = ("AAPL", "JNJ", "KO")
MANY = (
    *("AAPL", "AMD", "BAC", "BBY", "CVX", "GE", "HD", "JNJ", "JPM", "KO"),
    *("LLY", "MRK", "MSFT", "PEP", "PFE", "PG", "RRC", "UNH", "WMT", "XOM"),
)


def refused(record: RunRecord) -> dict[str, str]:
    """Return the gate that refused, by instrument."""
    return {each.intent.instrument: each.gate for each in record.refused}


def sent(record: RunRecord) -> list[str]:
    """Return the instruments of the orders that went out."""
    return [order.instrument for order in record.orders]


def test_an_instrument_that_was_sold_at_a_loss_is_not_bought_again(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    world.wants({"AAPL": "0.5"}, FRIDAY)
    world.hour(FRIDAY)
    world.wants({"KO": "0.2"}, MONDAY)
    sold = world.hour(MONDAY)
    loss = sum((fill.quantity * fill.price for fill in sold.fills if fill.quantity < 0), Decimal(0))
    assert loss
    world.wants({"AAPL": "0.5", "KO": "0.3"}, MONDAY + HOUR)
    record = world.hour(MONDAY + HOUR)
    assert "symbol-loss" in codes(record)
    assert refused(record) == {stock("AAPL"): "hold"}
    assert sent(record) == [KO]  # the others go on
    assert world.standing().state is TradingState.ACTIVE
    (ban,) = world.standing().latched
    assert ban.until is not None
    assert ban.until > MONDAY + 4 * HOUR


def test_a_gap_over_night_is_a_loss_of_the_session_and_the_next_one_trades(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET, risk='daily_loss = "0.015"')
    world.wants({"AAPL": "0.5"}, EVENING)
    world.hour(EVENING)
    close = world.standing().accepted_net_liquidation
    world.wants({"AAPL": "0.5", "KO": "0.4"}, MORNING)
    record = world.hour(MORNING)  # its first run
    assert record.outcome is Outcome.HALTED
    assert "daily-loss" in codes(record)
    assert world.standing().accepted_net_liquidation == close
    again = world.hour(MORNING + HOUR)
    assert again.outcome is Outcome.HALTED  # a new process lifts nothing
    reference = world.standing().next_session_reference
    assert record.before is not None
    assert reference == record.before.net_liquidation
    friday = world.hour(FRIDAY_EVENING)
    assert "daily-loss" not in codes(friday)
    assert world.standing().session_start_net_liquidation == reference


def test_orders_of_earlier_sessions_count_in_the_limit_over_days(tmp_path: Path) -> None:
    limits = "limit_days = 3\nmax_orders_per_days = 3"
    world = make_world(tmp_path, symbols=FEW, extra=QUIET, risk=limits)
    for day, wanted in enumerate(({"AAPL": "0.2"}, {"AAPL": "0.2", "KO": "0.2"})):
        world.wants(wanted, FIRST + day * DAY)
        world.hour(FIRST + day * DAY)
    third = FIRST + 2 * DAY
    world.wants({"AAPL": "0.2", "KO": "0.4", "JNJ": "0.2"}, third)
    assert [each.orders for each in world.standing().sessions] == [1]
    record = world.hour(third)
    before = [each.orders for each in world.standing().sessions]
    assert len(before) == 2
    assert len(record.approved) == max(0, 3 - sum(before))
    assert set(refused(record).values()) == {"orders"}


def test_turnover_that_ended_after_its_session_is_counted_there(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    world.wants({"AAPL": "0.5"}, FIRST)
    world.hour(FIRST)
    traded = world.standing().turnover_in_session
    assert traded > 0
    world.wants({"AAPL": "0.5"}, FIRST + DAY)
    world.hour(FIRST + DAY)
    after = world.standing()
    assert [each.turnover for each in after.sessions] == [traded]
    assert after.turnover_in_session < traded


def test_a_plan_far_from_its_history_sends_nothing_until_the_owner_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = 'turnover_history = 1\nturnover_factor = 2\nturnover_floor = "0.3"'
    world = make_world(tmp_path, symbols=FEW, extra=QUIET, risk=limits)
    world.wants({"AAPL": "0.1"}, FIRST)
    world.hour(FIRST)
    lots = world.standing().sleeve_lots
    world.wants({"AAPL": "0.1", "KO": "0.8"}, FIRST + HOUR)
    record = world.hour(FIRST + HOUR)
    assert record.outcome is Outcome.HALTED
    assert "turnover-odd" in codes(record)
    assert record.lines  # the plan was made, and is there to be looked at
    assert record.orders == ()
    assert len(world.references()) == 1
    assert world.standing().sleeve_lots == lots  # what was not accepted is not remembered
    assert world.hour(FIRST + 2 * HOUR).orders == ()
    assert main(["resume", "turnover-odd", "--config", str(world.path), "--yes"]) == 0
    shown = capsys.readouterr().out
    assert "the owner" in shown
    world.wants({"AAPL": "0.1", "KO": "0.8"}, FIRST + 3 * HOUR)
    assert sent(world.hour(FIRST + 3 * HOUR)) == [KO]


def test_refusals_of_the_venue_are_counted_once_a_run_and_halt(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    wanted = {"AAPL": "0.3", "JNJ": "0.3", "KO": "0.3"}
    every: list[Any] = [Fault(FaultKind.REJECT, subject=stock(name), count=None) for name in FEW]
    for hours in range(4):
        world.wants(wanted, FIRST + hours * HOUR)
        record = world.hour(FIRST + hours * HOUR, faults=every)
        assert "reject-rate" not in codes(record)
    tallies = world.standing().recent_orders
    assert [(each.orders, each.rejected) for each in tallies] == [(3, 3)] * 4
    world.wants(wanted, FIRST + 4 * HOUR)
    record = world.hour(FIRST + 4 * HOUR)
    assert "reject-rate" in codes(record)
    assert record.outcome is Outcome.HALTED
    assert world.standing().state is TradingState.HALTED


class Refusing:
    """Hands on the paper venue that are told at once which orders it refuses."""

    sends = True

    def __init__(self, venue: Any, refused: Collection[str]) -> None:
        self.paper, self.venue, self.refused = PaperHands(venue), venue, refused

    def __getattr__(self, name: str) -> Any:
        return getattr(self.paper, name)

    def submit(self, places: Sequence[Place]) -> tuple[VenueEvent, ...]:
        (place,) = places
        if place.instrument not in self.refused:
            return self.paper.submit(places)
        return (
            WorkingOrder(
                place.reference, "", place.instrument, place.quantity, Decimal(0),
                place.limit, OrderStatus.REJECTED, self.venue.now(), "no permission",
            ),
        )  # fmt: skip


@pytest.mark.parametrize(("rejected", "left"), [(20, 10), (5, 20)])
def test_a_venue_that_refuses_order_after_order_is_sent_no_more_of_them(
    tmp_path: Path, rejected: int, left: int
) -> None:
    world = make_world(tmp_path, symbols=MANY, extra=QUIET)
    world.wants(dict.fromkeys(MANY, "0.04"), FIRST)
    refused = [stock(name) for name in MANY[:rejected]]
    desk = replace(world.desk(FIRST), hands=lambda venue: Refusing(venue, refused))
    record = hour(desk, FIRST)
    assert len(record.approved) == 20
    statuses = [order.status for order in record.orders]
    assert statuses.count(OrderStatus.NOT_SENT) == 20 - left
    stopped = left < 20
    assert ("reject-rate" in codes(record)) is stopped
    assert ("reject-rate" in [flag.code for flag in world.standing().latched]) is stopped
    assert record.exit_code == (3 if stopped else 0)
    if stopped:
        assert statuses.count(OrderStatus.REJECTED) == left
        assert "refused 10 of the last 10 orders" in world.alert(FIRST)
        assert world.standing().state is TradingState.HALTED
        assert world.hour(FIRST + HOUR).orders == ()
        assert main(["resume", "reject-rate", "--config", str(world.path), "--yes"]) == 0
        assert len(world.hour(FIRST + 2 * HOUR).fills) >= 20


def test_what_the_configuration_forbids_in_one_instrument_is_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = f'\n[[instrument]]\nid = "{KO}"\nno_trading = true\n'
    owner += f'\n[[instrument]]\nid = "{stock("AAPL")}"\nscale = "0.5"\n'
    world = make_world(tmp_path, symbols=FEW, extra=QUIET + owner)
    world.wants({"AAPL": "0.4", "KO": "0.4", "JNJ": "0.1"}, FIRST)
    record = world.hour(FIRST)
    assert refused(record) == {}  # the plan knows it already
    assert sorted(sent(record)) == [stock("AAPL"), stock("JNJ")]
    lines = {str(line.instrument): line for line in record.lines}
    assert lines[stock("AAPL")].target_weight == pytest.approx(0.2)  # half of 0.4
    assert lines[KO].reason == "held: the configuration says no_trading for it"
    assert record.exit_code == 0
    assert main(["check", str(world.path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"NOTE override {KO}: is not traded" in shown
    assert f"NOTE override {stock('AAPL')}: its targets count 0.5 times" in shown


def test_a_run_that_halts_after_step_4_takes_back_what_it_accepted(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    world.wants({"AAPL": "0.5"}, FIRST)
    world.hour(FIRST)
    before = world.standing()
    late = iter([False] * 6)
    world.hour(FIRST + DAY, late=lambda: next(late, True))  # the deadline comes in step 5
    after = world.standing()
    for name in ("accepted_net_liquidation", "accepted_at", "high_water_mark", "values"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.start_net_liquidation == before.start_net_liquidation
    # The session has begun all the same, and its loss counts from the evening before.
    assert after.session_start_net_liquidation == before.accepted_net_liquidation


def test_status_says_since_when_until_when_and_who_ends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    world.wants({"AAPL": "0.5"}, FRIDAY)
    world.hour(FRIDAY)
    world.wants({"KO": "0.2"}, MONDAY)
    world.hour(MONDAY)
    world.hour(MONDAY + HOUR)
    assert main(["status", "--config", str(world.path)]) == 0
    shown = capsys.readouterr().out
    assert "symbol-loss of AAPL.STK.USD@IB: since 2020-03-09" in shown
    assert "ended by itself or the owner" in shown
    assert main(["resume", "--config", str(world.path)]) == 0
    assert "until" in capsys.readouterr().out

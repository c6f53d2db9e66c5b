"""What the account really holds: adopted, unmanaged, broken, jumped, fallen."""

from __future__ import annotations

import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.flags import TradingState
from rebalancer.model.records import Outcome
from rebalancer.simulators.faults import Fault, FaultKind
from tests.integration.hours import (
    AAPL,
    EVER,
    GE,
    JNJ,
    KO,
    MSFT,
    SECOND,
    SYMBOLS,
    THIRD,
    THURSDAY,
    TUESDAY,
    TURNED,
    WANTED,
    add_cash,
    command,
    held_for,
    message,
    set_position,
)
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world

pytestmark = pytest.mark.usefixtures("quick")


# ------------------------------------------------------------------ positions


def test_what_an_account_holds_already_is_not_touched_before_it_is_adopted(
    inherited: World, capsys: pytest.CaptureFixture[str]
) -> None:
    record = inherited.hour(FIRST)
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert "rebalancer adopt" in message(record, "not-adopted")
    assert inherited.references() == {}
    assert command(inherited, "adopt", "--yes") == 0
    said = capsys.readouterr().out
    assert "GE.STK.USD@IB is held, but in no sleeve's universe: never traded, not adopted" in said
    inherited.wants(WANTED, SECOND)
    record = inherited.hour(SECOND)
    assert record.exit_code == 0
    assert not codes(record) & {"not-adopted", "reconciliation-break", "unexplained-cash"}
    ko = next(line for line in record.lines if line.instrument == KO)
    assert ko.current_quantity == 500
    assert dict(record.positions_expected) | {GE: Decimal(100)} == inherited.holdings()


def test_what_was_adopted_is_not_adopted_again_over_a_break(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.hour(FIRST)
    lines = len(world.fill_lines())
    world.change_venue(set_position("400"))
    assert command(world, "adopt", "--yes") == 2
    assert "rebalancer resume" in capsys.readouterr().err
    assert len(world.fill_lines()) == lines


def test_what_our_orders_traded_is_booked_as_that_before_the_rest_is_adopted(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.hour(FIRST)
    # The state folder is lost and begun again, an hour after it traded.
    for name in ("fills.jsonl", "breakers.json", "equity.csv", "trades.csv", "heartbeat.json"):
        (world.state / name).unlink(missing_ok=True)
    shutil.rmtree(world.state / "runs")
    assert command(world, "adopt", "--yes") == 2
    assert "run once first" in capsys.readouterr().err
    assert not (world.state / "fills.jsonl").exists()
    world.hour(SECOND)
    assert command(world, "adopt", "--yes") == 0
    record = world.hour(THIRD)
    assert "reconciliation-break" not in codes(record)
    assert dict(record.positions_expected) == world.holdings()


def test_an_unmanaged_position_is_listed_counted_and_never_traded(inherited: World) -> None:
    assert command(inherited, "adopt", "--yes") == 0
    for at, weights in ((FIRST, WANTED), (SECOND, TURNED)):
        inherited.wants(weights, at)
        record = inherited.hour(at)
        assert record.unmanaged == (GE,)
        assert "unmanaged" in codes(record)
        assert GE not in {line.instrument for line in record.lines}
        assert inherited.holdings()[GE] == 100
    assert GE not in {order["instrument"] for order in inherited.venue()["orders"]}
    # Sizing capital is what is left without it.
    record = inherited.last()
    assert record.before is not None
    ge = next(p.value for p in record.before.positions if p.instrument == GE)
    ko = next(line for line in record.lines if line.instrument == KO)
    assert ge is not None
    assert ko.target_quantity is not None
    assert ko.reference_price is not None
    wanted = Decimal("0.3") * (record.before.net_liquidation - ge) / ko.reference_price
    assert abs(ko.target_quantity - wanted) <= 1


def test_an_order_of_somebody_else_holds_its_instrument_and_is_left_alone(world: World) -> None:
    world.hour(FIRST, faults=[Fault(FaultKind.NO_FILL, subject=KO, count=None)])

    def disown(books: Any) -> None:
        order = next(each for each in books["orders"] if each["instrument"] == KO)
        order["reference"] = "by-hand"

    world.change_venue(disown)
    world.wants({**TURNED, "KO": "0.2"}, SECOND)
    record = world.hour(SECOND)
    assert record.exit_code == 0
    assert [f.subject for f in record.flags if f.code == "others-order"] == [KO]
    assert held_for(record, "hold") == {KO}
    orders = {order["reference"]: order["status"] for order in world.venue()["orders"]}
    assert orders["by-hand"] == "working"


# ------------------------------------------------------------------ books against the venue


def test_a_break_is_latched_holds_its_instrument_and_lifts_when_the_books_agree(
    world: World,
) -> None:
    world.hour(FIRST)
    true = world.holdings()[AAPL]
    world.change_venue(set_position(true - 7))
    world.wants(TURNED, SECOND)
    record = world.hour(SECOND)
    assert record.exit_code == 0
    assert f"the books say {true} of {AAPL} and the venue {true - 7}" in message(
        record, "reconciliation-break"
    )
    assert held_for(record, "hold") == {AAPL}
    assert [flag.subject for flag in world.standing().latched] == [AAPL]
    assert "reconciliation-break" in world.alert(SECOND)
    assert JNJ in {order.instrument for order in record.approved}
    world.change_venue(set_position(true))
    world.wants(TURNED, THIRD)
    record = world.hour(THIRD)
    assert not world.standing().latched
    assert "reconciliation-break" not in codes(record)
    assert f"reconciliation-break ({AAPL}) is over" in world.alert(THIRD)
    assert AAPL in {order.instrument for order in record.approved}


def test_resume_takes_the_venues_word_for_a_break(world: World) -> None:
    world.hour(FIRST)
    true = world.holdings()[AAPL]
    world.change_venue(set_position(true - 7))
    world.hour(SECOND)
    assert command(world, "resume", "reconciliation-break", "--yes") == 0
    record = world.hour(THIRD)
    assert "reconciliation-break" not in codes(record)
    assert not world.standing().latched
    assert dict(record.positions_expected) == world.holdings()


def test_many_breaks_halt_the_run(world: World) -> None:
    world.hour(FIRST)
    for name in (AAPL, JNJ, KO):
        world.change_venue(set_position(world.holdings()[name] - 7, name))
    record = world.hour(SECOND)
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert "many-breaks" in codes(record)


def test_a_position_that_doubled_looks_like_a_split_and_is_held(world: World) -> None:
    world.hour(FIRST)
    world.change_venue(set_position(world.holdings()[AAPL] * 2))
    world.wants(TURNED, SECOND)
    record = world.hour(SECOND)
    assert "2:1" in message(record, "corporate-action")
    assert AAPL in held_for(record, "halt") | held_for(record, "hold")


def test_cash_that_nobody_explains_is_noted_and_much_of_it_stops_buys(world: World) -> None:
    world.hour(FIRST)
    world.change_venue(add_cash("250"))
    record = world.hour(SECOND)
    assert "+250.00 USD" in message(record, "unexplained-cash")
    assert "unexplained-cash-large" not in codes(record)
    world.change_venue(add_cash("2500"))
    world.wants(TURNED, THIRD)
    record = world.hour(THIRD)
    assert "unexplained-cash-large" in codes(record)
    assert {order.instrument for order in record.approved} == {AAPL, JNJ}
    assert MSFT in held_for(record, "reducing")
    # It was booked: the next run goes on.
    record = world.hour(THIRD + HOUR)
    assert "unexplained-cash" not in codes(record)
    assert MSFT in {order.instrument for order in record.approved}


# ------------------------------------------------------------------ breakers


def test_a_jump_of_net_liquidation_halts_until_resume_accepts_it(world: World) -> None:
    world.hour(FIRST)
    accepted = world.standing().accepted_net_liquidation
    world.change_venue(add_cash("50000"))
    for at in (SECOND, THIRD):
        world.wants(TURNED, at)
        record = world.hour(at)
        assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
        assert "net-liquidation-jump" in codes(record)
        # A halted run never moves what the next one is judged by.
        assert world.standing().accepted_net_liquidation == accepted
        assert world.standing().state is TradingState.HALTED
        assert len(world.references()) == 3
    assert command(world, "resume", "net-liquidation-jump", "--yes") == 0
    assert world.standing().state is TradingState.ACTIVE
    world.wants(TURNED, THIRD + HOUR)
    record = world.hour(THIRD + HOUR)
    assert record.exit_code == 0
    assert record.fills
    assert "recovered: net-liquidation-jump" in world.alert(THIRD + HOUR)


def test_a_session_that_lost_too_much_is_over_until_the_next_one(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, risk='daily_loss = "0.01"')
    world.wants(WANTED, FIRST)
    world.hour(FIRST)
    world.change_venue(add_cash("-2000"))
    world.wants(TURNED, SECOND)
    record = world.hour(SECOND)
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert "daily-loss" in codes(record)
    world.wants(TURNED, TUESDAY)
    record = world.hour(TUESDAY)
    assert "daily-loss" not in codes(record)
    assert record.exit_code == 0


def test_a_fall_from_the_high_water_mark_halts_until_resume(tmp_path: Path) -> None:
    risk = 'drawdown = "0.05"\ndaily_loss = "0.5"'
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, risk=risk)
    world.wants(WANTED, FIRST)
    world.hour(FIRST)
    world.hour(THURSDAY - timedelta(days=7))
    world.wants(TURNED, THURSDAY, **EVER)
    record = world.hour(THURSDAY)
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert "drawdown" in codes(record)
    assert command(world, "resume", "drawdown", "--yes") == 0
    record = world.hour(THURSDAY + HOUR)
    assert record.exit_code == 0
    assert record.fills

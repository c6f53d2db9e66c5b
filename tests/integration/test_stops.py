"""What stops a run, before it begins and in the middle: HALT files, the deadline, locks, a disk."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from rebalancer.clock import SystemClock
from rebalancer.errors import DeadlineExceeded, LockBusy, LockHung
from rebalancer.hourly import hour
from rebalancer.model.flags import Step
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Outcome
from rebalancer.store.lock import account_lock, holder_of
from tests.integration.hours import (
    AAPL,
    JNJ,
    KO,
    MSFT,
    SECOND,
    THIRD,
    TURNED,
    Watch,
    command,
    held_for,
    holding,
    message,
    run,
    statuses,
)
from tests.portfolios import FIRST, World, codes

pytestmark = pytest.mark.usefixtures("quick")


# ------------------------------------------------------------------ HALT


def test_with_a_halt_file_nothing_is_sent_and_everything_else_is_done(afternoon: World) -> None:
    assert command(afternoon, "halt", "going", "away") == 0
    record = afternoon.hour(SECOND)
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert "going away" in message(record, "halt-file")
    assert record.approved == ()
    assert held_for(record, "halt") == {AAPL, JNJ, KO, MSFT}
    # Own orders are cancelled all the same, and steps 8 to 12 are done.
    assert [order.status for order in record.cancelled] == [OrderStatus.CANCELLED]
    assert record.after is not None
    assert record.equity is not None
    assert "halt-file" in afternoon.alert(SECOND)
    assert len(afternoon.rows("equity.csv")) == 2
    assert command(afternoon, "resume", "--yes") == 0
    record = afternoon.hour(THIRD)
    assert (record.outcome, record.exit_code) == (Outcome.FINISHED, 0)
    assert record.fills
    assert "recovered: halt-file" in afternoon.alert(THIRD)


def test_the_halt_file_of_the_state_folder_stops_every_portfolio(world: World) -> None:
    (world.state.parent / "HALT").parent.mkdir(parents=True, exist_ok=True)
    (world.state.parent / "HALT").touch()
    assert run(world, FIRST) == 3
    assert world.references() == {}


def test_a_halt_file_in_the_middle_of_a_run_stops_it_between_two_orders(world: World) -> None:
    world.hour(FIRST)
    world.wants(TURNED, SECOND)
    desk = world.desk(SECOND)

    def halt() -> None:
        (world.state / "HALT").write_text("enough", encoding="utf-8")

    watch = Watch(
        desk.books,
        lambda line: line["kind"] == "sent",
        halt,
    )
    record = hour(replace(desk, books=watch), SECOND)
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert message(record, "halt-file").endswith("enough")
    # One sale was out; it is heard of to its end and booked. The rest never left.
    first, *others = [order.instrument for order in record.orders]
    assert dict(statuses(record)) == {
        first: OrderStatus.FILLED,
        **dict.fromkeys(others, OrderStatus.NOT_SENT),
    }
    assert {first, *others} == {AAPL, JNJ}
    assert MSFT in {each.intent.instrument for each in record.refused}
    assert dict(record.positions_expected) == world.holdings()
    assert len(world.references()) == 4
    assert not world.standing().latched
    (world.state / "HALT").unlink()
    world.wants(TURNED, THIRD)
    record = world.hour(THIRD)
    assert {order.instrument for order in record.approved} == {*others, MSFT}
    assert set(statuses(record).values()) == {OrderStatus.FILLED}


# ------------------------------------------------------------------ deadline


@pytest.mark.parametrize("step", range(1, 8))
def test_past_the_deadline_nothing_is_sent(world: World, step: int) -> None:
    world.hour(FIRST)
    world.wants(TURNED, SECOND)
    over: list[bool] = []
    desk = world.desk(SECOND, late=lambda: bool(over))
    watch = Watch(
        desk.books,
        lambda line: line["kind"] == "step" and line["step"] == step,
        lambda: over.append(True),
    )
    record = hour(replace(desk, books=watch), SECOND)
    assert record.exit_code == DeadlineExceeded.exit_code == 8
    assert "deadline" in codes(record)
    assert len(world.references()) == 3
    assert "deadline" in world.alert(SECOND)
    record = world.hour(THIRD)
    assert record.exit_code == 0
    assert record.fills


def test_a_deadline_in_the_middle_of_step_7_stops_between_two_orders(world: World) -> None:
    world.hour(FIRST)
    world.wants(TURNED, SECOND)
    over: list[bool] = []
    desk = world.desk(SECOND, late=lambda: bool(over))
    watch = Watch(desk.books, lambda line: line["kind"] == "sent", lambda: over.append(True))
    record = hour(replace(desk, books=watch), SECOND)
    assert record.exit_code == 8
    assert record.reached == Step.SNAPSHOT
    assert len(world.references()) == 4
    assert sorted(statuses(record).values()).count(OrderStatus.NOT_SENT) == 1
    record = world.hour(THIRD)
    assert record.exit_code == 0
    assert not world.standing().latched
    assert dict(record.positions_expected) == world.holdings()


# ------------------------------------------------------------------ locks


def test_while_another_run_is_at_work_a_run_leaves_at_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with holding(world):
        assert run(world, FIRST) == LockBusy.exit_code == 6
    assert "is locked by process" in capsys.readouterr().err
    assert not (world.state / "runs").exists()
    assert world.mails() == []
    assert run(world, FIRST) == 0
    assert holder_of(world.state / "lock") is None


def test_a_run_that_hangs_is_told_by_mail_once_a_day(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with holding(world, hung=True):
        for _ in range(3):
            assert run(world, FIRST) == LockHung.exit_code == 7
    assert "end it by hand when you are sure" in capsys.readouterr().err
    assert not (world.state / "runs").exists()
    mails = sorted(world.reports.glob("*LockHung.txt"))
    assert len(mails) == 1
    told = " ".join(mails[0].read_text(encoding="utf-8").split())
    assert f"process {os.getpid()}" in told
    assert "it is past that time" in told
    assert "exit code 7" in told
    # Another day, another mail.
    mails[0].unlink()
    marker = world.state / "failures.told"
    marker.write_text('{"schema":1,"days":{"LockHung":"2020-01-01"}}\n', encoding="utf-8")
    with holding(world, hung=True):
        assert run(world, FIRST) == 7
    assert len(list(world.reports.glob("*LockHung.txt"))) == 1


def test_two_configurations_of_one_account_do_not_run_at_once(world: World) -> None:
    now = SystemClock().now().timestamp()
    with account_lock("simulated", world.config().account_key, now + 600, now):
        assert run(world, FIRST) == 6
    assert world.mails() == []


# ------------------------------------------------------------------ a disk that does not take it


def test_a_run_whose_record_cannot_be_written_says_so_and_is_finished_later(world: World) -> None:
    world.run_folder(FIRST).mkdir(parents=True)
    (world.run_folder(FIRST) / "host.json").mkdir()
    assert run(world, FIRST) == 9
    assert "books-unwritten" in world.alert(FIRST)
    (world.run_folder(FIRST) / "host.json").rmdir()
    record = world.hour(SECOND)
    assert record.exit_code == 0
    assert "run-repaired" in codes(record)
    assert world.record(FIRST) is not None
    assert dict(record.positions_expected) == world.holdings()
    assert len(world.references()) == 3

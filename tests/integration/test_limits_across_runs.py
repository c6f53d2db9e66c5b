"""What one run leaves must count in the next: orders that live on, turnover, accepted values."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.cli import main
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Mode, Outcome
from rebalancer.simulators.faults import Fault, FaultKind
from tests.integration.hours import EVER, TUESDAY
from tests.integration.test_flags_of_the_venue import GENERATOR
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, stock

SECOND = FIRST + HOUR
BRIEF = "\n[execution]\nwindow_seconds = 20\n"
PASSIVE = "\n[planning]\nlimit_style = 'passive'\nlimit_offset_bps = -60\n"


def thin(tmp_path: Path) -> World:
    """Return a portfolio whose big order trades a little at a time and is left working."""
    return make_world(
        tmp_path, symbols=("AAPL", "JNJ", "KO"), extra=QUIET + BRIEF, paper='depth = "50"'
    )


def test_what_would_not_die_and_the_new_orders_together_keep_the_cash(tmp_path: Path) -> None:
    world = thin(tmp_path)
    world.wants({"KO": "0.6"}, FIRST)
    left = world.hour(FIRST).orders[0]
    assert left.status is OrderStatus.WORKING
    text = world.path.read_text(encoding="utf-8")
    world.path.write_text(text.replace('max_order_weight = "0.9"', 'max_order_weight = "0.95"'))
    world.wants({"KO": "0.6", "AAPL": "0.2", "JNJ": "0.2"}, SECOND)
    refused = Fault(FaultKind.REFUSED_CANCEL, count=None)
    record = world.hour(FIRST + timedelta(minutes=1), faults=[refused])
    assert "order-will-not-die" in codes(record)
    assert record.before is not None
    cash = record.before.cash["USD"]
    working = next(o for o in world.venue()["orders"] if o["reference"] == left.reference)
    assert left.limit is not None
    open_quantity = Decimal(working["quantity"]) - record.before.quantity(left.instrument)
    new = sum((o.quantity * o.intent.limit for o in record.approved), Decimal(0))
    assert open_quantity * left.limit + new <= cash


def test_a_run_stopped_by_a_halt_file_moves_no_accepted_value(tmp_path: Path) -> None:
    world = make_world(tmp_path, extra=QUIET)
    world.wants({"AAPL": "0.5"}, FIRST)
    world.hour(FIRST)
    before = world.standing()
    (world.state / "HALT").write_text("not now", encoding="utf-8")
    record = world.hour(SECOND)
    assert record.outcome is Outcome.HALTED
    assert record.before is not None
    assert record.before.net_liquidation != before.accepted_net_liquidation
    after = world.standing()
    assert after.accepted_net_liquidation == before.accepted_net_liquidation
    assert after.high_water_mark == before.high_water_mark
    assert after.accepted_at == before.accepted_at


def test_what_an_order_left_working_trades_later_is_in_the_sessions_turnover(
    tmp_path: Path,
) -> None:
    world = thin(tmp_path)
    world.wants({"KO": "0.3"}, FIRST)
    world.hour(FIRST)
    first = world.standing().turnover_in_session
    world.hour(SECOND)
    rows = world.rows("trades.csv")
    traded = sum((abs(Decimal(r["quantity"])) * Decimal(r["price"]) for r in rows), Decimal(0))
    assert traded > first
    assert world.standing().turnover_in_session == traded
    equity = world.rows("equity.csv")
    assert sum(int(row["fills"]) for row in equity) == len(rows)
    assert sum((Decimal(row["turnover"]) for row in equity), Decimal(0)) == traded


@pytest.mark.parametrize("halted", [False, True])
def test_turnover_of_yesterdays_orders_counts_though_todays_first_run_is_halted(
    tmp_path: Path, halted: bool
) -> None:
    world = make_world(tmp_path, symbols=("AAPL", "JNJ"), extra=QUIET)
    world.wants({"AAPL": "0.5"}, FIRST, **EVER)
    world.hour(FIRST)
    text = world.path.read_text(encoding="utf-8")
    world.path.write_text(f"{text}{PASSIVE}", encoding="utf-8")
    world.wants({"AAPL": "0"}, SECOND, **EVER)
    (order,) = world.hour(SECOND).orders
    assert order.status is OrderStatus.WORKING
    monday = world.standing().turnover_in_session
    if halted:
        (world.state / "HALT").write_text("not yet", encoding="utf-8")
    world.hour(TUESDAY)
    if halted:
        (world.state / "HALT").unlink()
    world.hour(TUESDAY + HOUR)
    rows = [row for row in world.rows("trades.csv") if row["at"].startswith("2020-03-02")]
    traded = sum((abs(Decimal(r["quantity"])) * Decimal(r["price"]) for r in rows), Decimal(0))
    assert traded > monday
    (before,) = world.standing().sessions
    assert (before.session, before.turnover) == (FIRST.date(), traded)


def test_a_second_dry_run_of_a_slot_is_not_taken_for_a_death(tmp_path: Path) -> None:
    world = make_world(tmp_path, extra=QUIET)
    world.wants({"AAPL": "0.5"}, FIRST)
    for _ in range(2):
        record = world.hour(FIRST, mode=Mode.DRY_RUN)
        assert record.exit_code == 0
        assert not codes(record) & {"run-died", "run-repaired"}
        assert [order.status for order in record.orders] == [OrderStatus.NOT_SENT]


def test_an_account_that_is_not_adopted_has_no_breaks_latched(tmp_path: Path) -> None:
    world = make_world(tmp_path, extra=QUIET, paper=f'positions = {{ "{stock("KO")}" = "10" }}')
    world.wants({"AAPL": "0.5"}, FIRST)
    record = world.hour(FIRST)
    assert "not-adopted" in codes(record)
    assert world.standing().latched == ()
    assert world.references() == {}


@pytest.mark.parametrize("name", ["fills.jsonl", "equity.csv", "breakers.json", "paper/books.json"])
def test_check_refuses_what_a_run_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "even.py").write_text(GENERATOR, encoding="utf-8")
    world = make_world(tmp_path, generator='generator = "even.py"', extra=QUIET)
    world.hour(FIRST)
    assert main(["check", str(world.path)]) == 0
    (world.state / name).write_bytes(b"{ no such thing\n{}\n")
    assert main(["check", str(world.path)]) == 9
    assert Path(name).name in capsys.readouterr().out

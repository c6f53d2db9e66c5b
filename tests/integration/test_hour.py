"""Whole hours of a small portfolio, from the configuration to what lies in its state folder."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.clock import SystemClock
from rebalancer.hourly import hour
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Action, OrderStatus
from rebalancer.model.records import Mode, Outcome
from rebalancer.simulators.faults import Fault, FaultKind
from tests.integration.hours import (
    AAPL,
    CLOSED,
    EVER,
    JNJ,
    KO,
    MINUTE,
    MSFT,
    NIGHT,
    SECOND,
    SYMBOLS,
    THURSDAY,
    TUESDAY,
    TURNED,
    WANTED,
    held_for,
    holding,
    run,
    tree,
)
from tests.portfolios import FIRST, HOUR, World, codes, make_world, stamp, stock

pytestmark = pytest.mark.usefixtures("quick")


# ------------------------------------------------------------------ what an hour does


def test_the_first_hour_builds_the_portfolio_and_the_second_finds_nothing_to_do(
    world: World,
) -> None:
    record = world.hour(FIRST)
    assert (record.outcome, record.exit_code, record.attempt) == (Outcome.FINISHED, 0, 1)
    assert record.flags == ()
    assert {order.instrument for order in record.approved} == {AAPL, JNJ, KO}
    assert {order.status for order in record.orders} == {OrderStatus.FILLED}
    assert dict(record.positions_expected) == world.holdings()
    assert record.after is not None
    for symbol, weight in WANTED.items():
        share = record.after.quantity(InstrumentId(stock(symbol)))
        price = next(p.price for p in record.after.positions if p.instrument == stock(symbol))
        assert price is not None
        # Half a share is the most that rounding costs; the price moved by a few cents.
        wanted = Decimal(weight) * record.after.net_liquidation
        assert abs(share * price - wanted) < price + wanted / 200
    record = world.hour(SECOND)
    assert (record.outcome, record.exit_code) == (Outcome.FINISHED, 0)
    assert record.approved == ()
    assert {line.action for line in record.lines} == {Action.NOTHING}
    assert all(line.reason for line in record.lines)
    assert len(world.references()) == 3
    assert [row["slot"] for row in world.rows("equity.csv")] == [stamp(FIRST), stamp(SECOND)]


def test_when_targets_change_sells_are_filled_before_buys_are_sent(world: World) -> None:
    world.hour(FIRST)
    world.wants(TURNED, SECOND)
    record = world.hour(SECOND)
    assert record.exit_code == 0
    orders = [
        o for o in world.venue()["orders"] if o["reference"].split(".")[1][:10] == "2003021605"
    ]
    sells = [order for order in orders if order["quantity"].startswith("-")]
    buys = [order for order in orders if not order["quantity"].startswith("-")]
    assert {order["instrument"] for order in sells} == {AAPL, JNJ}
    assert {order["instrument"] for order in buys} == {MSFT}
    assert max(order["id"] for order in sells) < min(order["id"] for order in buys)
    # 40 % are bought with 10 % of cash: not before what was sold has brought its money.
    assert all(buy["placed_at"] >= sell["ended_at"] for buy in buys for sell in sells)
    assert all(order["status"] == "filled" for order in orders)
    assert Decimal(world.venue()["cash"]["USD"]) > 0


def test_every_instrument_of_the_universe_is_an_order_a_skip_or_unchanged(world: World) -> None:
    world.hour(FIRST)
    world.wants(TURNED, SECOND)
    missing = Fault(FaultKind.MISSING_QUOTE, subject=KO, count=None)
    record = world.hour(SECOND, faults=[missing])
    assert sorted(line.instrument for line in record.lines) == sorted(map(stock, SYMBOLS))
    wanted = {line.instrument for line in record.lines if line.action is not Action.NOTHING}
    approved = {order.instrument for order in record.approved}
    refused = {each.intent.instrument for each in record.refused}
    assert approved | refused == wanted == {AAPL, JNJ, MSFT}
    assert not approved & refused
    rows = {
        row["instrument"]: row for row in world.rows(f"runs/{SECOND:%Y-%m-%dT%H%MZ}/orders.csv")
    }
    assert sorted(rows) == sorted(map(stock, SYMBOLS))
    assert all(row["reason"] for row in rows.values())


def test_a_slot_that_has_its_record_is_not_run_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(world, FIRST) == 0
    before = tree(world, but="heartbeat")
    assert run(world, FIRST) == 0
    assert "nothing is run twice" in capsys.readouterr().out
    changed = {name for name, what in tree(world, but="heartbeat").items() if before[name] != what}
    assert changed <= {"lock"}


def test_reference_numbers_of_an_attempt_are_never_used_again(world: World) -> None:
    books = world.books()
    for attempt in (1, 2):
        line = {"kind": "begin", "attempt": attempt, "mode": "paper"}
        books.note(FIRST, line, durable=True)
    record = world.hour(FIRST)
    assert record.attempt == 3
    assert {name.split(".")[1] for name in world.references()} == {"2003021505r3"}


@pytest.mark.parametrize(
    ("at", "why"),
    [(NIGHT, "the night"), (datetime(2020, 3, 3, 14, 5, tzinfo=UTC), "before the opening")],
)
def test_outside_the_session_a_run_with_nothing_owed_does_not_connect(
    world: World, capsys: pytest.CaptureFixture[str], at: datetime, why: str
) -> None:
    assert run(world, FIRST) == 0
    before = tree(world)
    (world.state / "heartbeat").unlink()
    assert run(world, at) == 0, why
    assert "nothing is due" in capsys.readouterr().out
    after = tree(world)
    assert "heartbeat" in after
    assert {name for name in after if before[name] != after[name]} <= {"heartbeat", "lock"}


def test_a_run_of_a_new_portfolio_outside_the_session_is_not_due(world: World) -> None:
    assert run(world, NIGHT) == 0
    assert not (world.state / "runs").exists()
    assert not (world.state / "paper").exists()


def test_in_the_first_minutes_of_a_session_nothing_is_sent(world: World) -> None:
    early = FIRST - 30 * MINUTE
    world.wants(WANTED, early)
    record = world.hour(early)
    assert record.exit_code == 0
    assert "session-closed" in codes(record)
    assert held_for(record, "session") == {AAPL, JNJ, KO}
    assert world.references() == {}
    record = world.hour(FIRST)
    assert {order.instrument for order in record.approved} == {AAPL, JNJ, KO}


def test_a_run_after_a_gap_of_days_goes_on_where_the_last_one_was(world: World) -> None:
    world.hour(FIRST)
    world.wants(TURNED, THURSDAY, **EVER)
    held = world.holdings()
    record = world.hour(THURSDAY)
    assert record.before is not None
    assert {p.instrument: p.quantity for p in record.before.positions} == held
    # In those days the account lost more than a session may lose; but they are not one session.
    assert "daily-loss" not in codes(record)
    assert record.exit_code == 0
    assert record.fills
    assert dict(record.positions_expected) == world.holdings()


# ------------------------------------------------------------------ a day


def test_a_whole_day_has_three_mails_one_commit_and_one_row_an_hour(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS)
    world.wants(WANTED, FIRST)
    slots = [FIRST + n * HOUR for n in range(6)] + [CLOSED]
    for at in slots:
        assert run(world, at) == 0
        if at != CLOSED:
            assert world.standing().due["commit"] == "2020-02-28"
    assert [row["slot"] for row in world.rows("equity.csv")] == [stamp(at) for at in slots]
    kinds = [name.partition("daily-")[2] for name in world.mails() if "daily" in name]
    assert kinds == ["1-start", "2-middle", "3-end"]
    due = world.standing().due
    assert due == {
        "mail:start": "2020-03-02",
        "mail:middle": "2020-03-02",
        "mail:end": "2020-03-02",
        "commit": "2020-03-02",
    }
    assert committed(world) == [stamp(at) for at in slots]
    # An hour later nothing is owed any more.
    before = tree(world)
    assert run(world, CLOSED + HOUR) == 0
    assert not (world.run_folder(CLOSED + HOUR)).exists()
    assert {n for n, what in tree(world).items() if before[n] != what} <= {"heartbeat", "lock"}


def committed(world: World) -> list[str]:
    """Return the slots of the runs that the database has."""
    import sqlite3

    with closing(sqlite3.connect(world.state / "rebalancer.db")) as database:
        return sorted(str(row[0]) for row in database.execute("SELECT slot FROM runs"))


def test_a_commit_that_was_missed_is_made_by_the_next_run_that_can(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS)
    world.wants(WANTED, FIRST)
    assert run(world, FIRST) == 0
    assert run(world, TUESDAY) == 0
    assert world.standing().due["commit"] == "2020-03-02"
    assert committed(world) == [stamp(FIRST)]


# ------------------------------------------------------------------ dry runs


def test_a_dry_run_leaves_the_live_state_as_it_is(
    afternoon: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(afternoon)
    assert run(afternoon, SECOND, "--dry-run") == 0
    assert tree(afternoon) == before
    said = capsys.readouterr().out
    assert "DRY RUN" in said
    record = hour(afternoon.desk(SECOND, mode=Mode.DRY_RUN), SECOND)
    assert tree(afternoon) == before
    assert record.mode is Mode.DRY_RUN
    assert {"dry-run", "margin-not-asked"} <= codes(record)
    assert {order.status for order in record.orders} == {OrderStatus.NOT_SENT}
    # The order that works counts as cancelled, and is wanted again.
    assert [order.instrument for order in record.cancelled] == [KO]
    assert {order.instrument for order in record.approved} >= {AAPL, JNJ, KO}
    rows = afternoon.rows(f"dry/runs/{SECOND:%Y-%m-%dT%H%MZ}/orders.csv")
    assert {row["mode"] for row in rows} == {"dry-run"}
    assert not (afternoon.state / "dry" / "rebalancer.db").exists()


def test_a_dry_run_works_while_a_live_run_holds_the_lock(afternoon: World) -> None:
    with holding(afternoon):
        before = tree(afternoon)
        assert run(afternoon, SECOND, "--dry-run") == 0
        assert tree(afternoon) == before


def test_a_dry_run_marks_nothing_as_done(afternoon: World) -> None:
    assert run(afternoon, SECOND, "--dry-run") == 0
    record = afternoon.hour(SECOND)
    assert record.attempt == 1
    assert record.fills
    assert not codes(record) & {"run-died", "run-repaired", "reconciliation-break"}


# ------------------------------------------------------------------ market time and wall time


def test_the_record_knows_the_market_s_time_and_the_host_file_the_wall_s(world: World) -> None:
    assert run(world, FIRST) == 0
    now = f"{SystemClock().now():%Y-}"
    for name in ("record.json", "orders.csv", "journal.jsonl"):
        assert now not in (world.run_folder(FIRST) / name).read_text(encoding="utf-8")
    for name in ("breakers.json", "fills.jsonl", "trades.csv", "equity.csv", "paper/books.json"):
        assert now not in (world.state / name).read_text(encoding="utf-8")
    host = (world.run_folder(FIRST) / "host.json").read_text(encoding="utf-8")
    assert f'"started": "{now}' in host
    for name in ("heartbeat", "lock"):
        assert now in (world.state / name).read_text(encoding="utf-8")

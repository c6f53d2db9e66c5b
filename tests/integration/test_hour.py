"""Whole hours of a small portfolio, from the configuration to what lies in its state folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli import main
from rebalancer.clock import SystemClock
from rebalancer.errors import DeadlineExceeded, LockBusy, LockHung
from rebalancer.hourly import hour
from rebalancer.model.flags import Step, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Action, OrderStatus
from rebalancer.model.records import Mode, Outcome, RunRecord
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.store.lock import account_lock, holder_of, portfolio_lock
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, stamp, stock

AAPL, JNJ, KO, MSFT, GE = (
    InstrumentId(stock(symbol)) for symbol in ("AAPL", "JNJ", "KO", "MSFT", "GE")
)
SYMBOLS = ("AAPL", "JNJ", "KO", "MSFT")
WANTED = {"AAPL": "0.3", "JNJ": "0.3", "KO": "0.3"}
TURNED = {"AAPL": "0.1", "JNJ": "0.1", "KO": "0.3", "MSFT": "0.4"}
SECOND, THIRD = FIRST + HOUR, FIRST + 2 * HOUR
MINUTE = timedelta(minutes=1)
TUESDAY = datetime(2020, 3, 3, 15, 5, tzinfo=UTC)
THURSDAY = datetime(2020, 3, 12, 15, 5, tzinfo=UTC)
NIGHT = datetime(2020, 3, 3, 3, 5, tzinfo=UTC)
CLOSED = datetime(2020, 3, 2, 21, 25, tzinfo=UTC)
EVER = {"valid_until": "2020-12-31T00:00:00Z"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setenv("REBALANCER_LOCKS", str(tmp_path / "locks"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a portfolio that has not run yet; nothing but orders is ever owed in it."""
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET)
    world.wants(WANTED, FIRST)
    return world


def run(world: World, at: datetime, *options: str) -> int:
    """Run `rebalancer run --at ...`; return its exit code."""
    return main(["run", "--config", str(world.path), "--at", stamp(at), *options])


def command(world: World, name: str, *options: str) -> int:
    """Run another command of the portfolio."""
    return main([name, *options, "--config", str(world.path)])


def tree(world: World, *, but: str = "dry") -> dict[str, str]:
    """Return the hash of every file of the state folder, except below one folder."""
    return {
        str(path.relative_to(world.state)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(world.state.rglob("*"))
        if path.is_file() and path.relative_to(world.state).parts[0] != but
    }


def message(record: RunRecord, code: str) -> str:
    return next(flag.message for flag in record.flags if flag.code == code)


def statuses(record: RunRecord) -> dict[InstrumentId, OrderStatus]:
    """Return the last known status of a run's orders by instrument."""
    return {order.instrument: order.status for order in record.orders}


def held_for(record: RunRecord, gate: str) -> set[InstrumentId]:
    """Return the instruments whose orders a gate refused."""
    return {each.intent.instrument for each in record.refused if each.gate == gate}


def set_position(quantity: str | Decimal, name: str = AAPL) -> Callable[[Any], None]:
    """Return a change of the venue's books: it holds so many, and paid nothing for them."""

    def change(books: Any) -> None:
        books["holdings"][name]["quantity"] = str(quantity)

    return change


def add_cash(amount: str) -> Callable[[Any], None]:
    """Return a change of the venue's books: so many dollars arrive."""

    def change(books: Any) -> None:
        books["cash"]["USD"] = str(Decimal(books["cash"]["USD"]) + Decimal(amount))

    return change


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


@pytest.fixture
def afternoon(world: World) -> World:
    """Return a portfolio that was built, has an order of its own at work and new wishes."""
    no_fill = Fault(FaultKind.NO_FILL, subject=KO, count=None)
    world.hour(FIRST, faults=[no_fill])
    world.wants(TURNED, SECOND)
    assert [o["status"] for o in world.venue()["orders"]].count("working") == 1
    return world


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


class Watch:
    """`ports.Books` that do something when a line of a kind is journaled."""

    def __init__(self, books: Any, what: Callable[[Any], bool], action: Callable[[], None]) -> None:
        self._books, self._what, self._action = books, what, action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._books, name)

    def note(self, slot: Any, line: Any, *, durable: bool) -> None:
        self._books.note(slot, line, durable=durable)
        if self._what(line):
            self._action()


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


@contextmanager
def holding(world: World, *, hung: bool = False) -> Iterator[None]:
    """Hold the portfolio's lock as another run would, past its deadline or not."""
    now = SystemClock().now().timestamp()
    with portfolio_lock(world.state, now - 60 if hung else now + 600, now - 3600):
        yield


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
    assert not (world.state / "runs").exists()
    mails = sorted(world.reports.glob("*hung.txt"))
    assert len(mails) == 1
    told = " ".join(mails[0].read_text(encoding="utf-8").split())
    assert f"process {os.getpid()}" in told
    assert "it is past that time" in told
    assert "exit code 7" in told
    assert "end it by hand when you are sure" in capsys.readouterr().err
    (world.state / "lock.told").write_text('{"schema":1,"day":"2020-01-01"}\n', encoding="utf-8")
    with holding(world, hung=True):
        assert run(world, FIRST) == 7
    assert len(list(world.reports.glob("*hung*.txt"))) >= 1
    assert "2020-01-01" not in (world.state / "lock.told").read_text(encoding="utf-8")


def test_two_configurations_of_one_account_do_not_run_at_once(world: World) -> None:
    now = SystemClock().now().timestamp()
    with account_lock("simulated", "PAPER-demo", now + 600, now):
        assert run(world, FIRST) == 6
    assert world.mails() == []


# ------------------------------------------------------------------ positions


@pytest.fixture
def inherited(tmp_path: Path) -> World:
    """Return a portfolio whose account held something before its first run."""
    world = make_world(
        tmp_path,
        symbols=SYMBOLS,
        extra=QUIET,
        paper='positions = { "GE.STK.USD@IB" = "100", "KO.STK.USD@IB" = "500" }',
    )
    world.wants(WANTED, FIRST)
    return world


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


def test_an_unmanaged_position_is_listed_counted_and_never_traded(inherited: World) -> None:
    assert command(inherited, "adopt", "--yes") == 0
    for at, wanted in ((FIRST, WANTED), (SECOND, TURNED)):
        inherited.wants(wanted, at)
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
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, risk='drawdown = "0.05"')
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

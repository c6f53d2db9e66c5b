"""Orders of which the venue says nothing, too late, or the wrong thing: never twice, never lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from rebalancer.cli import main
from rebalancer.hourly import hour
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Action, OrderStatus
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.ports import Books
from rebalancer.simulators.faults import Fault, FaultKind
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, stock

AAPL, KO, MSFT = (InstrumentId(stock(symbol)) for symbol in ("AAPL", "KO", "MSFT"))
SYMBOLS = ("AAPL", "KO", "MSFT")
WANTED = {"AAPL": "0.3", "KO": "0.3", "MSFT": "0.3"}
SECOND, THIRD = FIRST + HOUR, FIRST + 2 * HOUR
MINUTE = timedelta(minutes=1)

PATIENT = "\n[execution]\nwindow_seconds = 20\ncancel_seconds = 120\n"


pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET)
    world.wants(WANTED, FIRST)
    return world


def on(kind: FaultKind, subject: str = "", **more: float) -> Fault:
    """Return a fault that strikes at every occasion."""
    return Fault(kind, subject=subject, count=None, seconds=more.get("seconds", 0.0))


def subjects(world: World, code: str = "unresolved-order") -> set[str]:
    """Return what is latched with a code."""
    return {flag.subject for flag in world.standing().latched if flag.code == code}


def held(record: RunRecord) -> set[str]:
    """Return the instruments in which a gate refused an order because of a hold."""
    return {each.intent.instrument for each in record.refused if each.gate == "hold"}


def prove_never_twice(world: World) -> None:
    """Prove that no reference is at the venue twice and each instrument traded once."""
    assert set(world.references().values()) == {1}
    traded = [o["instrument"] for o in world.venue()["orders"] if Decimal(o["filled"])]
    assert sorted(traded) == [AAPL, KO, MSFT]
    booked = [line["fill"]["exec_id"] for line in world.fill_lines() if line["kind"] == "fill"]
    assert sorted(booked) == sorted(each["id"] for each in world.venue()["executions"])
    assert dict(world.last().positions_expected) == world.holdings()


# ------------------------------------------------------------------ acknowledgements


def test_a_lost_acknowledgement_is_found_by_looking_the_order_up(world: World) -> None:
    record = world.hour(FIRST, faults=[on(FaultKind.LOST_ACKNOWLEDGEMENT, KO)])
    assert (record.outcome, record.exit_code) == (Outcome.FINISHED, 0)
    assert not codes(record) & {"unresolved-order", "reconciliation-break"}
    assert {order.instrument: order.status for order in record.orders}[KO] is OrderStatus.FILLED
    prove_never_twice(world)


def test_an_order_that_cannot_be_looked_up_is_latched_and_freed_by_proof(world: World) -> None:
    silent = [on(FaultKind.LOST_ACKNOWLEDGEMENT, KO), on(FaultKind.UNKNOWN_LOOKUP)]
    record = world.hour(FIRST, faults=silent)
    assert (record.outcome, record.exit_code) == (Outcome.FINISHED, 5)
    assert "unresolved-order" in codes(record)
    assert subjects(world) == {KO}
    assert "unresolved-order" in world.alert(FIRST)
    # Its executions are at the venue and in the books; what is not known is whether it still works.
    prove_never_twice(world)
    record = world.hour(SECOND)
    assert record.exit_code == 0
    assert not subjects(world)
    assert "recovered: unresolved-order" in world.alert(SECOND)
    prove_never_twice(world)


def test_while_look_ups_fail_the_order_stays_latched_and_its_instrument_held(world: World) -> None:
    lost = on(FaultKind.LOST_ORDER, KO)
    world.hour(FIRST, faults=[lost, on(FaultKind.UNKNOWN_LOOKUP)])
    world.wants({"AAPL": "0.1", "KO": "0.5", "MSFT": "0.3"}, SECOND)
    record = world.hour(SECOND, faults=[on(FaultKind.UNKNOWN_LOOKUP)])
    assert record.exit_code == 5
    assert subjects(world) == held(record) == {KO}
    assert record.fills  # the others trade on
    since = world.standing().latched[0].since
    assert since <= FIRST + 5 * MINUTE
    # Told once, not every hour.
    assert "New" not in world.alert(SECOND)


def test_an_order_that_never_arrived_is_sent_anew_only_after_two_proofs(world: World) -> None:
    record = world.hour(FIRST, faults=[on(FaultKind.LOST_ORDER, KO)])
    assert record.exit_code == 5
    assert subjects(world) == {KO}
    lost = next(order.reference for order in record.approved if order.instrument == KO)
    assert lost not in world.references()
    record = world.hour(SECOND)
    assert (record.exit_code, held(record)) == (5, {KO})
    assert subjects(world) == {KO}
    record = world.hour(THIRD)
    assert (record.exit_code, held(record)) == (0, set())
    assert not subjects(world)
    assert lost not in world.references()
    prove_never_twice(world)


def test_two_looks_within_ten_minutes_are_one_proof(world: World) -> None:
    world.hour(FIRST, faults=[on(FaultKind.LOST_ORDER, KO)])
    assert world.hour(FIRST + 10 * MINUTE).exit_code == 5  # the first look of a new connection
    assert world.hour(FIRST + 19 * MINUTE).exit_code == 5
    assert world.hour(FIRST + 20 * MINUTE).exit_code == 0
    prove_never_twice(world)


# ------------------------------------------------------------------ a wire that breaks


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_a_wire_that_breaks_half_way_through_a_wave_leaves_nothing_sent_twice(
    world: World, sent: int
) -> None:
    broken = Fault(FaultKind.DISCONNECT, nth=sent + 1, subject="submit")
    record = world.hour(FIRST, faults=[broken])
    assert (record.outcome, record.exit_code, record.reached) == (Outcome.FAILED, 5, 7)
    wanted = sorted(record.approved, key=lambda order: order.intent.sequence)
    queue = [order.instrument for order in wanted]
    # Those before the break and the one at it are unknown; what stands behind never left.
    assert subjects(world) == set(queue[: sent + 1])
    never = {order.instrument for order in record.orders if order.status is OrderStatus.NOT_SENT}
    assert never == set(queue[sent + 1 :])
    assert len(world.references()) == sent
    assert "step 7" in world.alert(FIRST)
    record = world.hour(SECOND)
    assert subjects(world) == held(record) == {queue[sent]}
    assert record.exit_code == 5
    # The unknown one counts at its worst: not all of those that never left find room beside it.
    assert {order.instrument for order in record.approved} <= set(queue[sent + 1 :])
    assert "fills-while-away" in codes(record) or not sent
    record = world.hour(THIRD)
    assert record.exit_code == 0
    assert queue[sent] in {order.instrument for order in record.approved}
    assert set(world.holdings()) == set(queue)
    prove_never_twice(world)


def test_a_connection_that_breaks_while_orders_are_worked_is_repaired_by_the_next_run(
    world: World,
) -> None:
    broken = Fault(FaultKind.DISCONNECT, nth=2, subject="wait")
    record = world.hour(FIRST, faults=[broken])
    assert (record.outcome, record.reached) == (Outcome.FAILED, 7)
    assert record.exit_code in {4, 5}
    assert len(world.references()) == 3
    record = world.hour(SECOND)
    assert record.exit_code == 0
    assert not record.approved
    prove_never_twice(world)


# ------------------------------------------------------------------ by hand


def resolve(world: World, reference: str, *fate: str) -> int:
    """Run `rebalancer resolve`."""
    return main(["resolve", reference, *fate, "--yes", "--config", str(world.path)])


def test_resolve_dead_lets_the_instrument_trade_in_the_very_next_run(world: World) -> None:
    record = world.hour(FIRST, faults=[on(FaultKind.LOST_ORDER, KO)])
    lost = next(order.reference for order in record.approved if order.instrument == KO)
    assert resolve(world, lost, "--dead") == 0
    assert not subjects(world)
    record = world.hour(SECOND)
    assert record.exit_code == 0
    assert [order.instrument for order in record.approved] == [KO]
    prove_never_twice(world)


def test_resolve_filled_books_what_the_owner_saw(world: World) -> None:
    record = world.hour(FIRST, faults=[on(FaultKind.LOST_ORDER, KO)])
    lost = next(order for order in record.approved if order.instrument == KO)

    def trade(books: dict[str, object]) -> None:
        # The venue did trade it, and shows nothing of it but the position and the cash.
        holdings, cash = books["holdings"], books["cash"]
        assert isinstance(holdings, dict)
        assert isinstance(cash, dict)
        paid = lost.quantity * lost.intent.limit
        holdings[KO] = {
            "quantity": str(lost.quantity),
            "average_cost": str(lost.intent.limit),
            "realised": "0",
        }
        cash["USD"] = str(Decimal(cash["USD"]) - paid)

    world.change_venue(trade)
    told = f"{lost.quantity}@{lost.intent.limit}"
    assert resolve(world, lost.reference, "--filled", told) == 0
    record = world.hour(SECOND)
    assert record.exit_code == 0
    assert not codes(record) & {"reconciliation-break", "unexplained-cash"}
    assert record.positions_expected[KO] == lost.quantity
    assert not record.approved


# ------------------------------------------------------------------ commissions


def test_a_late_commission_is_completed_by_the_next_run(world: World) -> None:
    record = world.hour(FIRST, faults=[on(FaultKind.LATE_COMMISSION, KO, seconds=1800)])
    assert record.exit_code == 0
    assert "commission-late" in codes(record)
    empty = {row["instrument"] for row in world.rows("trades.csv") if not row["commission"]}
    assert empty == {KO}
    record = world.hour(SECOND)
    # The account was charged at once; being told of it later moves no money.
    assert not codes(record) & {"commission-late", "unexplained-cash", "reconciliation-break"}
    told = {row["exec_id"]: row["commission"] for row in world.rows("trades.csv")}
    there = {each["id"]: each["commission"] for each in world.venue()["executions"]}
    assert {name: Decimal(fee) for name, fee in told.items()} == {
        name: Decimal(fee) for name, fee in there.items()
    }
    kinds = [line["kind"] for line in world.fill_lines() if line["fill"]["instrument"] == KO]
    assert kinds == ["fill"] * (len(kinds) // 2) + ["commission"] * (len(kinds) // 2)


def test_a_commission_that_is_never_told_stays_empty_and_never_zero(world: World) -> None:
    world.hour(FIRST, faults=[on(FaultKind.MISSING_COMMISSION, KO)])
    for at in (SECOND, THIRD):
        record = world.hour(at)
        assert record.exit_code == 0
        assert not codes(record) & {"unexplained-cash", "reconciliation-break"}
    rows = [row for row in world.rows("trades.csv") if row["instrument"] == KO]
    assert {row["commission"] for row in rows} == {""}


# ------------------------------------------------------------------ cancels


@pytest.fixture
def slow(tmp_path: Path) -> World:
    """Return a portfolio whose big order trades 50 shares a minute, worked for 20 seconds."""
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET + PATIENT, paper='depth = "50"')
    world.wants({"KO": "0.3"}, FIRST)
    record = world.hour(FIRST)
    assert [order.status for order in record.orders] == [OrderStatus.WORKING]
    return world


def test_what_trades_while_it_is_being_cancelled_is_booked_before_the_plan(slow: World) -> None:
    late = on(FaultKind.LATE_CANCEL, seconds=65)
    record = slow.hour(FIRST + MINUTE, faults=[late])
    assert record.exit_code == 0
    assert [order.status for order in record.cancelled] == [OrderStatus.CANCELLED]
    cancelled = record.cancelled[0]
    assert record.before is not None
    before = {p.instrument: p.quantity for p in record.before.positions}
    # More than what had traded when the cancel was asked for, and all of it known to the plan.
    assert before[KO] == cancelled.filled
    assert len([f for f in record.fills if f.reference == cancelled.reference]) >= 1
    line = next(line for line in record.lines if line.instrument == KO)
    assert line.current_quantity == before[KO]
    assert line.target_quantity is not None
    assert line.quantity == line.target_quantity - before[KO]
    assert dict(record.positions_expected) == slow.holdings()
    assert not codes(record) & {"reconciliation-break", "order-will-not-die"}


def test_a_small_order_that_will_not_die_holds_its_instrument(slow: World) -> None:
    record = slow.hour(FIRST + MINUTE, faults=[on(FaultKind.REFUSED_CANCEL)])
    assert record.exit_code == 0
    assert "order-will-not-die" in codes(record)
    assert "orders-will-not-die" not in codes(record)
    assert held(record) == {KO}
    assert "order-will-not-die" in slow.alert(FIRST + MINUTE)
    assert len(slow.references()) == 1
    record = slow.hour(FIRST + 10 * MINUTE)
    assert "order-will-not-die" not in codes(record)
    assert set(slow.references().values()) == {1}


def test_orders_that_will_not_die_and_are_large_halt_the_run(slow: World) -> None:
    text = slow.path.read_text(encoding="utf-8")
    slow.path.write_text(
        text.replace('max_order_weight = "0.9"', 'max_order_weight = "0.01"'), encoding="utf-8"
    )
    slow.wants({"AAPL": "0.2", "KO": "0.3"}, FIRST + MINUTE)
    record = slow.hour(FIRST + MINUTE, faults=[on(FaultKind.LOST_CANCEL)])
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert "orders-will-not-die" in codes(record)
    assert not record.approved
    assert any(line.action is Action.BUY for line in record.lines)
    assert len(slow.references()) == 1


# ------------------------------------------------------------------ the same slot once more


class Killed(BaseException):
    """The process dies here."""


class Dying:
    """Books in which the process dies when it would journal the venue's word of an order."""

    def __init__(self, books: Any) -> None:
        self._books = books

    def __getattr__(self, name: str) -> Any:
        return getattr(self._books, name)

    def note(self, slot: datetime, line: Mapping[str, Any], *, durable: bool) -> None:
        if line["kind"] == "order":
            raise Killed
        self._books.note(slot, line, durable=durable)


def killed(world: World, at: datetime, *, faults: Sequence[Fault] = ()) -> str:
    """Let a run die after it sent an order; return the order's reference."""
    desk = world.desk(at, faults=faults)
    with pytest.raises(Killed):
        hour(replace(desk, books=cast("Books", Dying(desk.books))), at)
    sent = [line for line in world.journal(at) if line["kind"] == "intents"]
    return str(sent[-1]["orders"][0]["reference"])


def test_what_a_dead_run_left_is_not_forgotten_when_the_next_attempt_cannot_connect(
    world: World,
) -> None:
    lost = killed(world, FIRST, faults=[on(FaultKind.LOST_ORDER)])
    record = world.hour(FIRST, faults=[on(FaultKind.REFUSED_CONNECTION)])
    assert (record.outcome, record.attempt) == (Outcome.FAILED, 2)
    assert world.books().unfinished() == (FIRST,)
    record = world.hour(SECOND)
    assert {"run-died", "unresolved-order"} <= codes(record)
    assert any(lost in flag.message for flag in record.flags)
    assert held(record) == subjects(world) != set()
    kept = world.record(FIRST)  # what the second attempt says of itself still stands
    assert kept is not None
    assert (kept.attempt, "cannot-connect" in codes(kept)) == (2, True)
    assert world.books().unfinished() == ()


def test_a_second_attempt_that_dies_after_a_good_first_one_is_finished_too(world: World) -> None:
    world.hour(FIRST)
    world.wants({"AAPL": "0.1", "KO": "0.5", "MSFT": "0.3"}, FIRST)
    lost = killed(world, FIRST, faults=[on(FaultKind.LOST_ORDER)])
    assert world.books().unfinished() == (FIRST,)
    world.wants(WANTED, SECOND)
    record = world.hour(SECOND)
    assert {"run-died", "unresolved-order"} <= codes(record)
    assert any(lost in flag.message for flag in record.flags)
    dead = world.record(FIRST)
    assert dead is not None
    assert (dead.attempt, dead.outcome) == (2, Outcome.FAILED)
    assert world.books().unfinished() == ()

"""The end of a session: what a run may still send, and what it leaves resting over night."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rebalancer.hourly import hour
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import RunRecord
from rebalancer.ports import Hands, Venue
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.working.by_hand import flatten_by_hand
from tests.portfolios import FIRST, QUIET, World, make_world, stock

LATE = datetime(2020, 3, 2, 20, 53, tzinfo=UTC)
"""Seven minutes before the close, in a session whose last five minutes take no orders."""
NO_MORE = datetime(2020, 3, 2, 20, 55, tzinfo=UTC)
MORNING = datetime(2020, 3, 3, 15, 5, tzinfo=UTC)
HALF = Fault(FaultKind.PARTIAL_ONLY, subject=stock("AAPL"), count=None)


def invested(folder: Path, execution: str = "") -> World:
    """Return a portfolio that holds one stock since the morning."""
    world = make_world(
        folder,
        symbols=("AAPL", "JNJ", "KO", "PG"),
        risk="max_turnover_per_session = 20\n",
        extra=f"\n[execution]\nwindow_seconds = 600\n{execution}{QUIET}",
    )
    world.wants({"AAPL": "0.85"}, FIRST)
    world.hour(FIRST)
    return world


def late_hour(folder: Path, execution: str = "", *faults: Fault) -> tuple[World, RunRecord]:
    """Sell most of a holding, and buy with it, shortly before the close."""
    world = invested(folder, execution)
    world.wants({"KO": "0.6", "PG": "0.1", "AAPL": "0.1"}, LATE)
    return world, world.hour(LATE, faults=faults)


class SlowBooks:
    """Books into which the order file is written only when the last minutes have begun."""

    def __init__(self, books: Any) -> None:
        self._books = books
        self.venue: Venue | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._books, name)

    def save_orders(self, *args: Any, **kwargs: Any) -> None:
        assert self.venue is not None
        self.venue.wait(NO_MORE + timedelta(seconds=1))
        self._books.save_orders(*args, **kwargs)


def sent_at(world: World) -> list[str]:
    """Return when each order of the late hour went out."""
    return [line["order"]["at"] for line in world.journal(LATE)
            if line["kind"] == "order" and line["order"]["status"] == "sent"]  # fmt: skip


def test_no_buy_goes_out_after_the_last_minutes_began_and_none_trades_at_the_next_opening(
    tmp_path: Path,
) -> None:
    # The sale that is to pay for them expires at the close, half done: then one would fit.
    world, record = late_hour(tmp_path, "", HALF)
    assert sent_at(world)
    assert all(at < f"{NO_MORE:%Y-%m-%dT%H:%M}" for at in sent_at(world))
    assert {each.intent.instrument for each in record.refused} == {stock("KO"), stock("PG")}
    assert record.now < NO_MORE + timedelta(minutes=1)
    world.wants({"AAPL": "0.85"}, MORNING)
    world.hour(MORNING)
    fills = [line.fill for line in world.books().entries() if line.fill.at > NO_MORE]
    assert {fill.instrument for fill in fills} == {stock("AAPL")}
    assert all(fill.at >= MORNING for fill in fills)


@pytest.mark.parametrize(
    ("leftover", "status"), [("leave", OrderStatus.WORKING), ("cancel", OrderStatus.CANCELLED)]
)
def test_what_rests_when_the_last_minutes_begin_is_left_or_cancelled_as_at_any_end(
    tmp_path: Path, leftover: str, status: OrderStatus
) -> None:
    _, record = late_hour(tmp_path, f'leftover = "{leftover}"\n', HALF)
    (sale,) = record.orders
    assert (sale.instrument, sale.status) == (stock("AAPL"), status)
    assert sale.filled
    assert record.exit_code == 0


@pytest.mark.parametrize(("seconds", "moved"), [(60, True), (150, False)])
def test_no_price_is_moved_in_the_last_minutes(
    tmp_path: Path, seconds: int, *, moved: bool
) -> None:
    _, record = late_hour(tmp_path, f"reprice_after_seconds = {seconds}\n", HALF)
    (sale,) = record.orders
    (order,) = (each for each in record.approved if each.instrument == sale.instrument)
    assert (sale.limit == order.worst_price) is moved
    assert record.exit_code == 0


def test_a_run_that_is_overtaken_by_the_last_minutes_sends_nothing_and_does_not_fail(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, extra=QUIET)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    desk = world.desk(LATE)
    books = SlowBooks(desk.books)

    def hands(venue: Venue) -> Hands:
        books.venue = venue
        return desk.hands(venue)

    record = hour(replace(desk, hands=hands, books=books), LATE)
    assert record.orders == ()
    assert {each.gate for each in record.refused} == {"time"}
    assert record.exit_code == 0


def test_what_the_owner_sells_by_hand_is_not_left_resting_after_the_close(tmp_path: Path) -> None:
    world = invested(tmp_path)
    record, _ = flatten_by_hand(world.desk(LATE, faults=[HALF]), LATE, ())
    close = NO_MORE + timedelta(minutes=5)
    assert {order.deadline for order in record.approved} == {close}
    assert all(order.status.terminal for order in record.orders)
    assert record.now <= close + timedelta(minutes=1)

"""That an order was never there: what proves it, what does not, and what an end told before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.paper import PaperBroker, PaperVenue
from rebalancer.hourly import hour
from rebalancer.model.codec import to_plain
from rebalancer.model.orders import OrderStatus, WorkingOrder
from rebalancer.model.records import RunRecord
from rebalancer.ports import Page
from rebalancer.simulators.faults import Fault, FaultKind
from tests.integration.test_unresolved import KO, held, killed, on, subjects
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world

SECOND = FIRST + HOUR
MINUTE = timedelta(minutes=1)
SKEWED = Fault(FaultKind.CLOCK_SKEW, count=None, seconds=60)

pytestmark = pytest.mark.usefixtures("quick")


class ShowingVenue(PaperVenue):
    """The paper venue, which shows one order more when it is looked up."""

    order: WorkingOrder

    def find(self, reference: str) -> tuple[WorkingOrder, ...]:
        return (self.order,) if reference == self.order.reference else super().find(reference)


@dataclass(frozen=True)
class ShowingBroker:
    """A `ports.Broker` of that venue."""

    paper: PaperBroker
    order: WorkingOrder

    @contextmanager
    def connect(self, page: Page) -> Iterator[PaperVenue]:
        with self.paper.connect(page) as venue:
            showing = ShowingVenue(venue.exchange, venue.fees)
            showing.order = self.order
            yield showing


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a portfolio whose first order was lost on its way, and is unresolved."""
    world = make_world(tmp_path, symbols=("AAPL", "KO"), extra=QUIET)
    world.wants({"KO": "0.3"}, FIRST)
    assert world.hour(FIRST, faults=[on(FaultKind.LOST_ORDER, KO)]).exit_code == 5
    return world


def lost(world: World) -> WorkingOrder:
    """Return the lost order as a venue shows it that has it after all and tells nothing of it."""
    record = world.record(FIRST)
    assert record is not None
    (order,) = record.approved
    return WorkingOrder(order.reference, "77", KO, order.quantity, Decimal(0),
                        order.intent.limit, OrderStatus.SENT, FIRST)  # fmt: skip


def shown(world: World, at: datetime, order: WorkingOrder) -> RunRecord:
    """Run an hour in which the venue shows an order."""
    desk = world.desk(at)
    assert isinstance(desk.broker, PaperBroker)
    return hour(replace(desk, broker=ShowingBroker(desk.broker, order)), at)


def first_look(world: World) -> str:
    """Return what is remembered of when a look first found nothing."""
    return world.standing().latched[0].evidence.partition("|")[2]


def settled(world: World, at: datetime = FIRST) -> list[str]:
    """Return the states that the journal of a run tells of its order."""
    return [line["order"]["status"] for line in world.journal(at) if line["kind"] == "order"]


def test_a_look_that_shows_the_order_ends_the_proof_that_it_is_not_there(world: World) -> None:
    world.hour(FIRST + 10 * MINUTE)
    assert first_look(world) == (FIRST + 10 * MINUTE).isoformat()
    record = shown(world, FIRST + 30 * MINUTE, lost(world))
    assert (record.exit_code, first_look(world)) == (5, "")
    record = world.hour(FIRST + 50 * MINUTE)
    assert (record.exit_code, subjects(world), held(record)) == (5, {KO}, {KO})
    assert world.hour(FIRST + 60 * MINUTE).exit_code == 0
    assert settled(world)[-1] == "not sent"


def test_a_look_that_the_venue_does_not_answer_leaves_the_proof_as_it_is(world: World) -> None:
    world.hour(FIRST + 10 * MINUTE)
    assert world.hour(FIRST + 20 * MINUTE, faults=[on(FaultKind.UNKNOWN_LOOKUP)]).exit_code == 5
    assert first_look(world) == (FIRST + 10 * MINUTE).isoformat()
    assert world.hour(FIRST + 21 * MINUTE).exit_code == 0


def test_a_run_whose_clock_is_wrong_neither_begins_the_proof_nor_completes_it(
    world: World,
) -> None:
    assert "clock-skew" in codes(world.hour(FIRST + 10 * MINUTE, faults=[SKEWED]))
    assert first_look(world) == ""
    world.hour(FIRST + 20 * MINUTE)
    since = (FIRST + 20 * MINUTE).isoformat()
    assert first_look(world) == since
    world.hour(FIRST + 40 * MINUTE, faults=[SKEWED])
    assert (subjects(world), first_look(world)) == ({KO}, since)
    assert world.hour(FIRST + 41 * MINUTE).exit_code == 0
    assert not subjects(world)


def test_a_first_look_of_a_time_that_is_still_to_come_is_taken_anew(world: World) -> None:
    (flag,) = world.standing().latched
    ahead = f"{lost(world).reference}|{(FIRST + timedelta(days=2)).isoformat()}"
    latched = (replace(flag, evidence=ahead),)
    world.books().save_standing(replace(world.standing(), latched=latched))
    assert world.hour(FIRST + 10 * MINUTE).exit_code == 5
    assert first_look(world) == (FIRST + 10 * MINUTE).isoformat()
    assert world.hour(FIRST + 20 * MINUTE).exit_code == 0


# ------------------------------------------------------------------ an end, and then nothing


def tell(world: World, order: WorkingOrder, at: datetime = FIRST) -> None:
    """Journal a state of an order, as the next attempt at its slot would hear it."""
    line: Mapping[str, Any] = {"kind": "order", "attempt": 2, "order": to_plain(order)}
    world.books().note(at, line, durable=True)


def test_an_end_that_the_venue_took_back_needs_the_proof_again(world: World) -> None:
    order = lost(world)
    tell(world, replace(order, status=OrderStatus.CANCELLED))
    record = shown(world, FIRST + 10 * MINUTE, order)  # it shows as sent once more
    assert (record.exit_code, subjects(world)) == (5, {KO})
    assert settled(world)[-1] == "sent"
    record = world.hour(FIRST + 20 * MINUTE)  # and then not at all
    assert (record.exit_code, subjects(world), held(record)) == (5, {KO}, {KO})
    assert world.hour(FIRST + 30 * MINUTE).exit_code == 0


def test_an_end_whose_executions_were_lost_leaves_the_position_to_hold_the_instrument(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, symbols=("AAPL", "KO"), extra=QUIET)
    world.wants({"AAPL": "0.3"}, FIRST)
    assert world.hour(FIRST).fills
    world.wants({"AAPL": "0.3", "KO": "0.3"}, SECOND)
    reference = killed(world, SECOND, faults=[on(FaultKind.LOST_ORDER)])
    (intents,) = [line for line in world.journal(SECOND) if line["kind"] == "intents"]
    quantity, price = (Decimal(intents["orders"][0]["intent"][n]) for n in ("quantity", "limit"))

    def trade(books: dict[str, Any]) -> None:
        # It did arrive and traded; of itself and its executions the venue tells nothing.
        held = {"quantity": str(quantity), "average_cost": str(price), "realised": "0"}
        books["holdings"][KO] = held
        books["cash"]["USD"] = str(Decimal(books["cash"]["USD"]) - quantity * price)

    world.change_venue(trade)
    record = world.hour(SECOND)  # the next attempt at the slot latches it
    assert subjects(world) == subjects(world, "reconciliation-break") == {KO}
    order = WorkingOrder(reference, "1", KO, quantity, quantity, None, OrderStatus.FILLED, SECOND)
    tell(world, order, SECOND)  # and hears its end, without an execution
    record = world.hour(SECOND + MINUTE)
    assert subjects(world) == set()
    assert subjects(world, "reconciliation-break") == {KO}
    assert (record.exit_code, record.approved) == (0, ())
    assert settled(world, SECOND)[-1] == "filled"  # not: never sent
    assert reference not in world.references()
    world.wants({"AAPL": "0.3", "KO": "0.1"}, SECOND)
    assert held(world.hour(SECOND + 2 * MINUTE)) == {KO}
    assert world.holdings()[KO] == quantity

"""Orders that a run leaves working: what they trade is read, booked and never traded twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from rebalancer.hourly import hour
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Outcome
from rebalancer.ports import Books, Broker, Page, Venue
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.wiring import sessions_for
from rebalancer.working.due import why_due
from tests.gateways import Gateways
from tests.integration.hours import EVER, KO, SECOND, SYMBOLS, Watch
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world

pytestmark = pytest.mark.usefixtures("quick")

BRIEF = "\n[execution]\nwindow_seconds = 20\n"
LAST = datetime(2020, 3, 2, 20, 5, tzinfo=UTC)
"""The last run of Monday's session, which closes at 21:00 UTC."""

NO_VENUE = Fault(FaultKind.REFUSED_CONNECTION, count=None)


def is_due(world: World, at: datetime) -> bool:
    """Return whether a run is due of which neither a mail nor a commit is wanted."""
    sessions = sessions_for(world.config(), at)
    never = 100_000
    return bool(why_due(world.books(), sessions, at, mails=(), commit_after_close_minutes=never))


def left(world: World, at: datetime = LAST) -> None:
    """Run an hour of which an order is left working."""
    world.wants({"KO": "0.3"}, at, **EVER)
    (order,) = world.hour(at, faults=[Fault(FaultKind.NO_FILL, count=None)]).orders
    assert order.status is OrderStatus.WORKING


# ------------------------------------------------------------------ until it is known


@pytest.fixture
def evening(world: World) -> World:
    """Return a portfolio that left an order, and whose two runs after the close saw no venue."""
    left(world)
    for hours in (1, 2):
        at = LAST + hours * HOUR
        assert is_due(world, at)
        assert world.hour(at, faults=[NO_VENUE]).outcome is Outcome.FAILED
    return world


def test_a_run_is_due_until_one_has_read_what_the_order_traded(evening: World) -> None:
    at = LAST + 3 * HOUR
    assert is_due(evening, at)
    assert evening.hour(at).outcome is Outcome.FINISHED
    assert not is_due(evening, at + HOUR)


def test_nothing_is_due_any_more_when_the_venue_has_forgotten(evening: World) -> None:
    close = datetime(2020, 3, 6, 21, 0, tzinfo=UTC)  # a Friday
    assert not is_due(evening, close + timedelta(hours=2))
    left(evening, close - timedelta(minutes=55))
    for hours in (1, 23):
        assert evening.hour(close + hours * HOUR, faults=[NO_VENUE]).outcome is Outcome.FAILED
        assert is_due(evening, close + hours * HOUR + timedelta(minutes=30))
    assert not is_due(evening, close + 24 * HOUR)


def test_an_order_that_the_next_run_cancelled_makes_nothing_due(world: World) -> None:
    left(world, LAST - HOUR)
    world.wants({"KO": "0"}, LAST, **EVER)
    (cancelled,) = world.hour(LAST).cancelled
    assert cancelled.status is OrderStatus.CANCELLED
    assert world.hour(LAST + HOUR, faults=[NO_VENUE]).outcome is Outcome.FAILED
    assert not is_due(world, LAST + 2 * HOUR)


def test_an_order_that_a_broken_run_did_not_cancel_is_not_forgotten(world: World) -> None:
    left(world, LAST - HOUR)
    blind = Fault(FaultKind.BLIND_ORDERS, count=None)
    assert world.hour(LAST, faults=[blind]).outcome is Outcome.FAILED
    assert world.hour(LAST + HOUR, faults=[NO_VENUE]).outcome is Outcome.FAILED
    assert is_due(world, LAST + 2 * HOUR)


# ------------------------------------------------------------------ before it is known


@pytest.fixture
def gateways(tmp_path: Path) -> Gateways:
    """Return a gateway at which an hour left an order of KO working that trades bit by bit."""
    risk = "order_window_after_open_minutes = 0"
    world = make_world(
        tmp_path,
        symbols=SYMBOLS,
        extra=QUIET + BRIEF,
        transport="memory",
        paper='depth = "50"',
        risk=risk,
    )
    world.wants({"KO": "0.6"}, FIRST, **EVER)
    gateways = Gateways(world)
    gateways.hour(FIRST)
    assert "working" in {order["status"] for order in world.venue()["orders"]}
    return gateways


def test_what_a_cancelled_order_filled_by_its_own_word_is_not_bought_again(
    gateways: Gateways,
) -> None:
    after = gateways.world.last().after
    assert after is not None
    ago = (SECOND - after.at).total_seconds()
    asked = "reqPositions|reqAccountUpdates"
    gateways.faults = [
        WireFault("execDetails", Do.LOSE, count=None, subject=KO),
        WireFault(asked, Do.OLD_ACCOUNT, count=None, seconds=ago),
    ]
    record = gateways.hour(SECOND)
    assert any(order.filled > 0 for order in record.cancelled)
    assert "reconciliation-break" not in codes(record)  # the account lacks it as well
    assert [flag.subject for flag in record.flags if flag.code == "fills-missing"] == [KO]
    assert not record.approved
    gateways.faults = []
    record = gateways.hour(SECOND + HOUR)
    assert not codes(record) & {"reconciliation-break", "fills-missing"}
    assert record.approved


def test_executions_that_are_told_when_asked_for_once_more_hold_nothing(
    gateways: Gateways,
) -> None:
    def late(local: LocalGateway) -> None:
        """Lose them in the lists of the connection, of its recovery and after the cancel."""
        known = [e for e in local.gateway.exchange.account.executions if e.instrument == KO]
        gateways.faults = [
            WireFault("execDetails", Do.LOSE, count=3 * len(known), subject=KO),
        ]

    gateways.before = late
    record = gateways.hour(SECOND)
    assert any(order.filled > 0 for order in record.cancelled)
    # Booked in step 2: nothing is left to explain in step 4.
    assert not codes(record) & {"reconciliation-break", "fills-missing", "fills-found"}
    assert [order.instrument for order in record.approved] == [KO]


class Seen:
    """A broker that keeps the venue it opened, so that a test can let its time pass."""

    def __init__(self, inner: Broker) -> None:
        self._inner = inner

    @contextmanager
    def connect(self, page: Page) -> Iterator[Venue]:
        with self._inner.connect(page) as self.venue:
            yield self.venue

    def let_pass(self, until: datetime) -> None:
        while self.venue.now() < until:
            self.venue.wait(until)


def test_an_order_that_works_before_the_opening_holds_its_instrument(gateways: Gateways) -> None:
    def everlasting(books: Any) -> None:
        for order in books["orders"]:
            # Nobody sells for that, and it does not end with its session.
            order |= {"time_in_force": "GTC", "expires_at": None, "limit": "1"}

    gateways.world.change_venue(everlasting)
    at = datetime(2020, 3, 3, 14, 29, tzinfo=UTC)
    desk = gateways.desk(at)
    broker = Seen(desk.broker)
    watch = Watch(
        desk.books,
        lambda line: (line["kind"], line.get("step")) == ("step", 3),
        lambda: broker.let_pass(at + timedelta(minutes=1, seconds=5)),
    )
    record = hour(replace(desk, broker=broker, books=cast("Books", watch)), at)
    assert [flag.subject for flag in record.flags if flag.code == "order-will-not-die"] == [KO]
    assert "session-closed" not in codes(record)  # it had opened when orders were sent
    assert not record.approved

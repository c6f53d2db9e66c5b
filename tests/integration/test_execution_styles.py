"""Whole hours in which orders rest, follow the market, and take when their time is up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.paper import PaperHands
from rebalancer.hourly import hour
from rebalancer.model.orders import (
    Fill,
    OrderStatus,
    OrderType,
    Place,
    Replace,
    TimeInForce,
    VenueEvent,
    WorkingOrder,
)
from rebalancer.model.records import RunRecord
from rebalancer.planning import LimitStyle
from rebalancer.ports import Venue
from rebalancer.simulators.faults import Fault, FaultKind
from tests.integration.hours import AAPL, JNJ, KO, SECOND
from tests.portfolios import FIRST, QUIET, World, make_world

pytestmark = pytest.mark.usefixtures("quick")
WANTED = {"AAPL": "0.3", "JNJ": "0.3"}
PASSIVE = '\n[planning]\nlimit_style = "passive"\nlimit_offset_bps = 0\n'


class Wire:
    """Hands on the paper venue that note what goes out, and may refuse what would take."""

    sends = True

    def __init__(self, venue: Any, sent: list[Any], refuse: int = 0) -> None:
        self.paper, self.sent, self.refuse = PaperHands(venue), sent, refuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self.paper, name)

    def submit(self, places: list[Place]) -> tuple[VenueEvent, ...]:
        self.sent += places
        place = places[0]
        if place.order_type is OrderType.POST_ONLY and self.refuse:
            self.refuse -= 1
            at = self.paper._venue.now()
            words = "Due to the order could not be executed as maker, it will be rejected"
            return (
                WorkingOrder(
                    place.reference, "", place.instrument, place.quantity, Decimal(0),
                    place.limit, OrderStatus.EXPIRED, at, words,
                ),
            )  # fmt: skip
        return self.paper.submit(places)

    def replace(self, move: Replace) -> tuple[VenueEvent, ...]:
        self.sent.append(move)
        return self.paper.replace(move)

    def cancel(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        self.sent.append(order)
        return self.paper.cancel(order)


def world_with(tmp_path: Path, execution: str) -> World:
    made = make_world(
        tmp_path, symbols=("AAPL", "JNJ"), extra=f"{PASSIVE}[execution]\n{execution}\n{QUIET}"
    )
    made.wants(WANTED, FIRST)
    return made


def run(
    world: World, *faults: Fault, refuse: int = 0, **planning: Any
) -> tuple[RunRecord, list[Any]]:
    sent: list[Any] = []
    desk = world.desk(FIRST, faults=faults)
    planned = replace(desk.planning, **planning)

    def hands(venue: Venue) -> Any:
        return Wire(venue, sent, refuse)

    return hour(replace(desk, planning=planned, hands=hands), FIRST), sent


def filled(fills: tuple[Fill, ...]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        total[fill.reference] += fill.quantity
    return total


def test_an_order_that_rests_too_long_is_cancelled_and_its_rest_takes(tmp_path: Path) -> None:
    world = world_with(tmp_path, "taker_after_seconds = 30")
    half = Fault(FaultKind.PARTIAL_ONLY, count=None, subject=AAPL)
    record, sent = run(world, half, limit_style=LimitStyle.MARKETABLE)
    places = [each for each in sent if isinstance(each, Place) and each.instrument == AAPL]
    assert [each.time_in_force for each in places] == [TimeInForce.DAY, TimeInForce.IOC]
    first, second = places
    cancels = [n for n, each in enumerate(sent) if isinstance(each, WorkingOrder)]
    assert sent.index(second) > cancels[0] > sent.index(first)
    assert second.limit is not None and first.limit is not None
    assert second.limit > first.limit
    done = filled(record.fills)
    assert 0 < done[first.reference] < first.quantity
    assert second.quantity == first.quantity - done[first.reference]
    assert first.reference != second.reference
    approved = {order.reference: order for order in record.approved}
    assert second.limit == approved[first.reference].worst_price
    assert first.reference in approved[second.reference].intent.reason


def test_both_references_are_in_the_journal_before_they_are_sent(tmp_path: Path) -> None:
    world = world_with(tmp_path, "taker_after_seconds = 30")
    _, sent = run(world, Fault(FaultKind.PARTIAL_ONLY, count=None, subject=AAPL))
    intended = [
        order["reference"]
        for line in world.journal(FIRST)
        if line["kind"] == "intents"
        for order in line["orders"]
    ]
    assert sorted(intended) == sorted(each.reference for each in sent if isinstance(each, Place))
    assert len(set(intended)) == len(intended)


def test_what_filled_while_it_rested_is_followed_by_nothing(tmp_path: Path) -> None:
    world = world_with(tmp_path, "taker_after_seconds = 119")
    record, sent = run(world)
    for order in record.approved:
        if filled(record.fills)[order.reference] == order.quantity:
            heirs = [each for each in record.approved if order.reference in each.intent.reason]
            assert heirs == []
    assert sum(isinstance(each, Place) for each in sent) == len(record.approved)


def test_the_last_resort_goes_to_market_only_where_it_may(tmp_path: Path) -> None:
    for allowed, types in ((False, 2), (True, 3)):
        folder = tmp_path / str(allowed)
        folder.mkdir()
        text = f"taker_after_seconds = 30\nmarket_as_last_resort = {str(allowed).lower()}"
        _, sent = run(
            world_with(folder, text), Fault(FaultKind.PARTIAL_ONLY, count=None, subject=AAPL)
        )
        places = [each for each in sent if isinstance(each, Place) and each.instrument == AAPL]
        assert len(places) == types
        assert (places[-1].order_type is OrderType.MARKET) == allowed


def test_a_resting_order_follows_the_market_and_stays_within_its_worst_price(
    tmp_path: Path,
) -> None:
    world = world_with(tmp_path, "repeg_seconds = 10")
    held = Fault(FaultKind.PARTIAL_ONLY, count=None, subject=AAPL)
    record, sent = run(world, held)
    moves = [each for each in sent if isinstance(each, Replace) and each.instrument == AAPL]
    worst = {order.reference: order.worst_price for order in record.approved}
    assert all(move.limit <= worst[move.reference] for move in moves)
    assert len({move.limit for move in moves}) == len(moves)


def test_a_refused_post_only_order_is_priced_once_more_and_then_takes(tmp_path: Path) -> None:
    world = world_with(tmp_path, "taker_after_seconds = 60")
    record, sent = run(world, refuse=99, order_type=OrderType.POST_ONLY)
    for name in (AAPL, JNJ):
        places = [each for each in sent if isinstance(each, Place) and each.instrument == name]
        assert [each.order_type for each in places] == [
            OrderType.POST_ONLY, OrderType.POST_ONLY, OrderType.LIMIT,
        ]  # fmt: skip
        assert places[-1].time_in_force is TimeInForce.IOC
        assert len({each.reference for each in places}) == 3
    assert record.exit_code == 0


def test_without_taker_a_refused_post_only_order_is_left_to_the_next_run(tmp_path: Path) -> None:
    world = world_with(tmp_path, "repeg_seconds = 20")
    record, sent = run(world, refuse=99, order_type=OrderType.POST_ONLY)
    assert sum(isinstance(each, Place) for each in sent) == 4
    assert record.fills == ()
    assert record.exit_code == 0


def test_what_follows_an_unknown_end_is_nothing(tmp_path: Path) -> None:
    world = world_with(tmp_path, "taker_after_seconds = 30")
    lost = Fault(FaultKind.LOST_CANCEL, count=None)
    record, sent = run(world, Fault(FaultKind.PARTIAL_ONLY, count=None), lost)
    assert all(each.time_in_force is TimeInForce.DAY for each in sent if isinstance(each, Place))
    assert record.approved


class Wavering(Wire):
    """Hands of a venue that says an order is cancelled, and in the same breath something else."""

    def cancel(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        told = super().cancel(order)
        at = self.paper._venue.now()
        ended = replace(order, status=OrderStatus.CANCELLED, at=at)
        return (*told, ended, replace(ended, status=OrderStatus.UNKNOWN))


def test_what_follows_an_end_that_was_taken_back_is_nothing(tmp_path: Path) -> None:
    world = world_with(tmp_path, "taker_after_seconds = 30")
    half = Fault(FaultKind.PARTIAL_ONLY, count=None, subject=AAPL)
    sent: list[Any] = []
    desk = world.desk(FIRST, faults=(half, Fault(FaultKind.LOST_CANCEL, count=None)))
    planned = replace(desk.planning, limit_style=LimitStyle.MARKETABLE)

    def hands(venue: Venue) -> Any:
        return Wavering(venue, sent)

    hour(replace(desk, planning=planned, hands=hands), FIRST)
    places = [each for each in sent if isinstance(each, Place) and each.instrument == AAPL]
    assert any(isinstance(each, WorkingOrder) and each.instrument == AAPL for each in sent)
    assert [each.time_in_force for each in places] == [TimeInForce.DAY]


def test_the_money_of_an_order_in_doubt_is_not_spent_on_another(tmp_path: Path) -> None:
    symbols, risk = ("AAPL", "JNJ", "KO"), "max_turnover_per_session = 3"
    world = make_world(tmp_path, symbols=symbols, risk=risk, extra=QUIET)
    world.wants({"KO": "0.8"}, FIRST)
    world.hour(FIRST)
    world.wants({"KO": "0", "AAPL": "0.45", "JNJ": "0.2"}, SECOND)
    halves = (Fault(FaultKind.PARTIAL_ONLY, count=None, subject=each) for each in (KO, AAPL))
    sent: list[Any] = []
    desk = world.desk(SECOND, faults=(*halves, Fault(FaultKind.LOST_CANCEL, count=None)))

    def hands(venue: Venue) -> Any:
        return Wavering(venue, sent)

    working = replace(desk.working, taker_after_seconds=30)
    record = hour(replace(desk, working=working, hands=hands), SECOND)
    places = [each.instrument for each in sent if isinstance(each, Place)]
    assert places == [KO, AAPL]
    assert [(flag.code, flag.subject) for flag in record.flags if flag.subject] == [
        ("not-funded", JNJ)
    ]


class Losing(Wire):
    """Hands of a venue that lets no order rest at its first try, and rejects one of them."""

    def __init__(self, venue: Any, sent: list[Any], loses: str, at_try: int) -> None:
        super().__init__(venue, sent, refuse=2 if at_try > 1 else 1)
        self.loses, self.at_try = loses, at_try

    def submit(self, places: list[Place]) -> tuple[VenueEvent, ...]:
        place = places[0]
        tries = sum(isinstance(e, Place) and e.instrument == place.instrument for e in self.sent)
        if place.instrument != self.loses or tries + 1 < self.at_try:
            return super().submit(places)
        self.sent += places
        return (
            WorkingOrder(
                place.reference, "", place.instrument, place.quantity, Decimal(0),
                place.limit, OrderStatus.REJECTED, self.paper._venue.now(), "no permission",
            ),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("loses", "at_try", "places", "cancelled"),
    [
        (JNJ, 1, [JNJ], []),
        (AAPL, 1, [JNJ, AAPL], []),  # the other would not rest, and is not sent again
        (JNJ, 2, [JNJ, AAPL, JNJ], []),
        (AAPL, 2, [JNJ, AAPL, JNJ, AAPL], [JNJ]),  # what follows the other rests already
    ],
)
def test_of_a_neutral_sleeve_that_lost_a_leg_nothing_works_on(
    tmp_path: Path, loses: str, at_try: int, places: list[str], cancelled: list[str]
) -> None:
    style = f"{PASSIVE}[execution]\nrepeg_seconds = 10\ntaker_after_seconds = 30\n{QUIET}"
    world = make_world(tmp_path, symbols=("AAPL", "JNJ"), generator="neutral = true", extra=style)
    world.wants(WANTED, FIRST)
    sent: list[Any] = []
    desk = world.desk(FIRST, faults=[Fault(FaultKind.NO_FILL, count=None)])

    def hands(venue: Venue) -> Any:
        return Losing(venue, sent, loses, at_try)

    planning = replace(desk.planning, order_type=OrderType.POST_ONLY)
    record = hour(replace(desk, planning=planning, hands=hands), FIRST)
    assert [each.instrument for each in sent if isinstance(each, Place)] == places
    assert [e.instrument for e in sent if isinstance(e, WorkingOrder)] == cancelled
    assert not [each for each in sent if isinstance(each, Replace)]
    assert all(order.status.terminal for order in record.orders)
    assert not record.fills


@pytest.mark.parametrize(
    ("execution", "ends"),
    [
        ("", OrderStatus.WORKING),  # an order for the day ends by itself
        ('leftover = "cancel"', OrderStatus.CANCELLED),
    ],
)
def test_what_is_found_working_after_the_window_is_left_only_where_it_may_be(
    tmp_path: Path, execution: str, ends: OrderStatus
) -> None:
    world = world_with(tmp_path, execution)
    silent = Fault(FaultKind.LOST_ACKNOWLEDGEMENT, subject=AAPL)
    record = world.hour(FIRST, faults=[silent, Fault(FaultKind.NO_FILL, subject=AAPL, count=None)])
    (order,) = [each for each in world.venue()["orders"] if each["instrument"] == AAPL]
    assert order["status"] == ends.value
    assert record.standing is not None
    assert record.standing.latched == ()


def test_a_leg_is_not_left_when_the_look_up_shows_that_the_other_was_rejected(
    tmp_path: Path,
) -> None:
    world = make_world(
        tmp_path, symbols=("AAPL", "JNJ"), generator="neutral = true", extra=PASSIVE + QUIET
    )
    world.wants(WANTED, FIRST)
    faults = [
        Fault(FaultKind.NO_FILL, subject=AAPL, count=None),
        Fault(FaultKind.LOST_ACKNOWLEDGEMENT, subject=JNJ),
        Fault(FaultKind.REJECT, subject=JNJ),
    ]
    record = world.hour(FIRST, faults=faults)
    assert {order.instrument: order.status for order in record.orders} == {
        AAPL: OrderStatus.CANCELLED,
        JNJ: OrderStatus.REJECTED,
    }

"""Whole hours with the stop-loss ladder on: what has a stop is never without one unless flat."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.flags import Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import parse_reference
from rebalancer.model.records import Mode, RunRecord
from rebalancer.model.stops import StopOrder
from rebalancer.risk import ProtectParameters
from tests.integration.hours import AAPL, JNJ, KO, SECOND, THIRD, message
from tests.integration.stopping import Exchange, stopping_hour
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, write_portfolio

pytestmark = pytest.mark.usefixtures("quick")
WANTED = {"AAPL": "0.3", "JNJ": "0.3"}
FOURTH = FIRST + 3 * HOUR


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path, symbols=("AAPL", "JNJ", "KO"), extra=QUIET)
    made.wants(WANTED, FIRST)
    return made


def covers(exchange: Exchange) -> dict[InstrumentId, Decimal]:
    """Return what the waiting stops close, by instrument, positive."""
    found: dict[InstrumentId, Decimal] = {}
    for stop in exchange.waiting():
        found[stop.instrument] = found.get(stop.instrument, Decimal(0)) - stop.quantity
    return found


def flagged(record: RunRecord, code: str) -> set[str]:
    return {flag.subject for flag in record.flags if flag.code == code}


def never_less(exchange: Exchange, world: World) -> None:
    """Make the exchange complain when what had a stop and is held is left without one."""
    had: set[InstrumentId] = set()

    def look(stops: tuple[StopOrder, ...]) -> None:
        now = {stop.instrument for stop in stops}
        held = {InstrumentId(name) for name in world.holdings()}
        assert not (had - now) & held, "a position lost its last stop"
        had.update(now)
        had.intersection_update(held | now)

    exchange.watch = look


def test_positions_get_their_stops_in_the_run_that_opens_them(world: World) -> None:
    exchange = Exchange()
    record = stopping_hour(world, FIRST, exchange)
    assert record.exit_code == 0
    assert covers(exchange) == world.holdings()
    assert len(exchange.stops) == 10
    assert {stop.reference for stop in record.stops} == set(exchange.stops)
    for stop in record.stops:
        parts = parse_reference(stop.reference, "demo")
        assert parts is not None
        assert parts["purpose"] == "p"


def test_every_stop_is_in_the_journal_before_it_is_on_the_wire(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    lines = [line for line in world.journal(FIRST) if line["kind"] in ("stops", "stop")]
    assert [line["kind"] for line in lines] == ["stops", *["stop"] * 5] * 2
    intended = [s["reference"] for line in lines if "stops" in line for s in line["stops"]]
    assert intended == [reference for _, reference in exchange.log]


def test_an_unchanged_position_is_left_alone(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    before = list(exchange.log)
    world.wants(WANTED, SECOND)
    record = stopping_hour(world, SECOND, exchange)
    assert exchange.log == before
    assert len(record.stops) == 10


def test_a_changed_position_has_new_stops_before_the_old_ones_go(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    never_less(exchange, world)
    first = set(exchange.stops)
    world.wants({"AAPL": "0.1", "JNJ": "0.3", "KO": "0.3"}, SECOND)
    record = stopping_hour(world, SECOND, exchange)
    assert codes(record) <= {"unexplained-cash"}
    assert covers(exchange) == world.holdings()
    mine = [
        (what, exchange.stops[name].instrument, name in first)
        for what, name in exchange.log[10:]
        if exchange.stops[name].instrument == AAPL
    ]
    assert mine == [("place", AAPL, False)] * 5 + [("cancel", AAPL, True)] * 5
    assert len(exchange.stops) == len({*exchange.stops})


def test_a_flat_position_loses_its_stops_and_only_then(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    never_less(exchange, world)
    world.wants({"AAPL": "0.3", "JNJ": "0"}, SECOND)
    stopping_hour(world, SECOND, exchange)
    assert set(world.holdings()) == {AAPL}
    assert covers(exchange) == world.holdings()


def test_nothing_is_cancelled_while_a_new_stop_is_refused(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    old = set(exchange.stops)
    exchange.refuses = lambda n, stop: (
        "too many open algo orders" if n in (12, 13, 14, 17, 18, 19) else ""
    )
    world.wants({"AAPL": "0.2", "JNJ": "0.3"}, SECOND)
    record = stopping_hour(world, SECOND, exchange)
    assert flagged(record, "protection-failed") == {AAPL}
    assert "too many open algo orders" in message(record, "protection-failed")
    # the old set covers more than two of five new stops do: it stays, whole
    assert {stop.reference for stop in exchange.waiting()} == old
    exchange.refuses = lambda n, stop: ""
    world.wants({"AAPL": "0.2", "JNJ": "0.3"}, THIRD)
    repaired = stopping_hour(world, THIRD, exchange)
    assert "protection-failed" not in codes(repaired)
    assert covers(exchange) == world.holdings()


@pytest.mark.parametrize("fate", ["before", "after"])
def test_one_unknown_outcome_is_settled_within_the_run(world: World, fate: str) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    never_less(exchange, world)
    exchange.lost = lambda n: fate if n == 12 else ""
    world.wants({"AAPL": "0.2", "JNJ": "0.3"}, SECOND)
    record = stopping_hour(world, SECOND, exchange)
    assert "protection-failed" not in codes(record)
    # Five were wanted; what was lost before it acted is placed once more, as a set.
    assert exchange.placed == (20 if fate == "before" else 15)
    assert covers(exchange) == world.holdings()


@pytest.mark.parametrize("fate", ["before", "after"])
def test_unknown_outcomes_leave_everything_and_the_next_run_settles_them(
    world: World, fate: str
) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    old = {stop.reference for stop in exchange.waiting()}
    never_less(exchange, world)
    exchange.lost = lambda n: "before" if n % 5 == 2 and n > 10 else fate if n == 11 else ""
    world.wants({"AAPL": "0.2", "JNJ": "0.3"}, SECOND)
    record = stopping_hour(world, SECOND, exchange)
    assert flagged(record, "protection-failed") == {AAPL}
    assert old <= {stop.reference for stop in exchange.waiting()}
    assert exchange.placed == 20  # two sets, and no more of them
    exchange.lost = lambda n: ""
    world.wants({"AAPL": "0.2", "JNJ": "0.3"}, THIRD)
    after = stopping_hour(world, THIRD, exchange)
    assert "protection-failed" not in codes(after)
    assert covers(exchange) == world.holdings()


def test_a_dry_run_and_a_portfolio_without_ladder_send_no_stop(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange, ProtectParameters(enabled=False))
    world.wants(WANTED, SECOND)
    stopping_hour(world, SECOND, exchange, mode=Mode.DRY_RUN)
    assert exchange.log == []


def test_a_halted_run_touches_no_stop_and_protects_what_has_none(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange, ProtectParameters(enabled=False))
    only_one = Exchange(stops={}, marks=exchange.marks)
    world.wants({"AAPL": "0", "JNJ": "0.3"}, SECOND)
    record = stopping_hour(world, SECOND, only_one, faults=[_skew()])
    assert "clock-skew" in codes(record)
    assert record.exit_code == 3
    assert covers(only_one) == world.holdings()
    # more than five per cent of them have gone: in a halted run the rest stays as it is
    kept = [stop for stop in only_one.waiting() if stop.instrument != AAPL][1:]
    only_one.stops = {stop.reference: stop for stop in kept}
    log = len(only_one.log)
    world.wants(WANTED, THIRD)
    stopping_hour(world, THIRD, only_one, faults=[_skew()])
    placed = {only_one.stops[name].instrument for _, name in only_one.log[log:]}
    assert placed == {AAPL}
    assert all(what == "place" for what, _ in only_one.log)


def _skew() -> object:
    from rebalancer.simulators.faults import Fault, FaultKind

    return Fault(FaultKind.CLOCK_SKEW, count=None, seconds=60.0)


def test_with_a_halt_file_no_stop_is_sent_and_none_is_cancelled(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    log = list(exchange.log)
    (world.state / "HALT").write_text("enough", encoding="utf-8")
    set_aside = exchange.stops.copy()
    exchange.stops = {}
    world.wants(WANTED, SECOND)
    record = stopping_hour(world, SECOND, exchange)
    assert "halt-file" in codes(record)
    assert flagged(record, "protection-failed") == {AAPL, JNJ}
    words = [flag.message for flag in record.flags if flag.code == "protection-failed"]
    assert all("no stop of ours is seen at the venue" in each for each in words)
    assert all("a HALT file forbids sending: enough" in each for each in words)
    exchange.stops = set_aside
    stopping_hour(world, THIRD, exchange)
    assert exchange.log == log


def test_a_position_beyond_its_stop_is_held_by_one_and_closed_by_the_next_plan(
    world: World,
) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange, ProtectParameters(enabled=False))
    mark = Decimal(str(world.venue()["holdings"][AAPL]["average_cost"])) * Decimal("0.8")
    exchange.marks[AAPL] = mark.quantize(Decimal("0.01"))
    world.wants(WANTED, SECOND)
    record = stopping_hour(world, SECOND, exchange)
    assert flagged(record, "protection-missing") == {AAPL}
    (only,) = [stop for stop in exchange.waiting() if stop.instrument == AAPL]
    assert -only.quantity == world.holdings()[AAPL]
    assert [f.severity for f in record.flags if f.code == "protection-missing"] == [Severity.HOLD]
    del exchange.marks[AAPL]
    world.wants(WANTED, THIRD)
    closing = stopping_hour(world, THIRD, exchange)
    assert "instrument-leaving" in codes(closing)
    assert AAPL not in world.holdings()
    assert AAPL not in covers(exchange)
    world.wants(WANTED, FOURTH)
    again = stopping_hour(world, FOURTH, exchange)
    assert not {"protection-missing", "instrument-leaving"} & codes(again)
    assert AAPL in world.holdings()


def test_what_the_venue_closes_is_sold_from_the_first_run_that_sees_it(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    exchange.leaving = {JNJ: "the exchange delists it at 2020-03-09 09:00 UTC"}
    # no signal at all any more
    (world.state / "signals" / "hand.csv").unlink()
    record = stopping_hour(world, SECOND, exchange)
    assert {"signal-missing", "instrument-leaving"} <= codes(record)
    assert set(world.holdings()) == {AAPL}
    assert covers(exchange) == world.holdings()


def test_many_positions_share_the_venues_room_for_stops(world: World) -> None:
    exchange = Exchange()
    world.wants({"AAPL": "0.3", "JNJ": "0.3", "KO": "0.3"}, FIRST)
    few = ProtectParameters(enabled=True, most_open=7)
    most: list[int] = []
    exchange.watch = lambda stops: most.append(len(stops))
    record = stopping_hour(world, FIRST, exchange, few)
    assert record.exit_code == 0
    assert covers(exchange) == world.holdings()
    assert max(most) <= 7
    # one each: (7 - 5) // 3 rounds to nothing, and nothing is none
    assert {stop.instrument for stop in exchange.waiting()} == {AAPL, JNJ, KO}


def test_stops_of_others_are_not_touched(world: World) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    strange = replace(exchange.waiting()[0], reference="by-hand", quantity=Decimal(-3))
    exchange.stops["by-hand"] = strange
    world.wants({"AAPL": "0", "JNJ": "0.2"}, SECOND)
    stopping_hour(world, SECOND, exchange)
    assert exchange.stops["by-hand"] == strange


@pytest.mark.parametrize("beyond", [False, True])
def test_what_the_configuration_does_not_have_any_more_keeps_its_stops_until_it_is_flat(
    world: World, beyond: bool
) -> None:
    exchange = Exchange()
    stopping_hour(world, FIRST, exchange)
    never_less(exchange, world)
    old = {stop.reference for stop in exchange.waiting() if stop.instrument == JNJ}
    if beyond:  # what stops cannot keep of it is latched; the next plan would close it
        cost = Decimal(str(world.venue()["holdings"][JNJ]["average_cost"]))
        exchange.marks[JNJ] = (cost * Decimal("0.8")).quantize(Decimal("0.01"))
        exchange.stops = {name: s for name, s in exchange.stops.items() if s.instrument != JNJ}
        world.wants(WANTED, SECOND)
        stopping_hour(world, SECOND, exchange)
        old = {stop.reference for stop in exchange.waiting() if stop.instrument == JNJ}
    latched = [flag.subject for flag in world.standing().latched]
    assert old
    assert latched == [JNJ] * beyond
    write_portfolio(world.folder, symbols=("AAPL", "KO"), extra=QUIET)
    world.wants({"AAPL": "0.2", "KO": "0.2"}, THIRD)
    record = stopping_hour(world, THIRD, exchange)
    assert record.unmanaged == (JNJ,)
    assert {stop.reference for stop in exchange.waiting() if stop.instrument == JNJ} == old
    assert [flag.subject for flag in world.standing().latched] == latched
    world.change_venue(_sold_by_hand)
    world.wants({"AAPL": "0.2", "KO": "0.2"}, FOURTH)
    stopping_hour(world, FOURTH, exchange)
    assert covers(exchange) == world.holdings()
    assert world.standing().latched == ()


def _sold_by_hand(books: Any) -> None:
    gone = books["holdings"].pop(JNJ)
    worth = Decimal(gone["quantity"]) * Decimal(str(gone["average_cost"]))
    books["cash"]["USD"] = str(Decimal(books["cash"]["USD"]) + worth)


def test_a_venue_that_keeps_no_stops_says_so(world: World) -> None:
    desk = world.desk(FIRST)
    from rebalancer.hourly import hour

    record = hour(replace(desk, protect=ProtectParameters(enabled=True)), FIRST)
    assert "protection-failed" in codes(record)
    assert record.fills


def test_a_second_attempt_never_uses_a_reference_again(world: World) -> None:
    exchange = Exchange()

    def die(stops: tuple[StopOrder, ...]) -> None:
        if len(stops) == 3:
            raise KeyboardInterrupt

    exchange.watch = die
    with pytest.raises(KeyboardInterrupt):
        stopping_hour(world, FIRST, exchange)
    exchange.watch = lambda stops: None
    record = stopping_hour(world, FIRST, exchange)
    assert record.attempt == 2
    assert covers(exchange) == world.holdings()
    assert len(exchange.waiting()) == 10

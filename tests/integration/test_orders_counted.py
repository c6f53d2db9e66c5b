"""Orders of runs that died count against the limits, each once, whoever finds them and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Outcome, Standing
from rebalancer.simulators.faults import FaultKind
from rebalancer.working.counters import KEPT_ATTEMPTS, count_orders, mark
from rebalancer.working.page import RunPage
from tests.integration.test_unresolved import killed, on
from tests.portfolios import FIRST, HOUR, QUIET, World, make_world
from tests.unit.risk.builders import an_approved

SECOND, THIRD = FIRST + HOUR, FIRST + 2 * HOUR
SYMBOLS = ("AAPL", "KO", "MSFT")
WANTED = dict.fromkeys(SYMBOLS, "0.1")
MORE = WANTED | {"JNJ": "0.2"}

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a portfolio whose first run died with three orders on their way."""
    world = make_world(tmp_path, symbols=(*SYMBOLS, "JNJ"), extra=QUIET)
    world.wants(WANTED, FIRST)
    killed(world, FIRST, faults=[on(FaultKind.LOST_ORDER)])
    return world


def tallies(world: World) -> dict[str, int]:
    """Return how many orders each attempt is remembered to have sent; prove that it adds up."""
    standing = world.standing()
    found = {tally.run: tally.orders for tally in standing.recent_orders}
    assert standing.orders_in_session == sum(found.values())
    assert list(found) == sorted(found) == list(standing.counted_runs)
    return found


def test_a_run_that_cannot_connect_does_not_lose_the_orders_of_the_one_that_died(
    world: World,
) -> None:
    record = world.hour(SECOND, faults=[on(FaultKind.REFUSED_CONNECTION)])
    assert (record.outcome, world.standing().orders_in_session) == (Outcome.FAILED, 0)
    world.hour(THIRD)
    assert tallies(world)[mark(FIRST, 1)] == len(SYMBOLS)


def test_a_run_that_fails_between_recovery_and_the_books_has_counted_what_it_recovered(
    world: World,
) -> None:
    record = world.hour(SECOND, faults=[on(FaultKind.BLIND_ACCOUNT)])
    assert record.outcome is Outcome.FAILED
    assert world.books().unfinished() == ()
    assert tallies(world) == {mark(FIRST, 1): len(SYMBOLS)}
    world.hour(THIRD)
    assert tallies(world)[mark(FIRST, 1)] == len(SYMBOLS)


@pytest.mark.parametrize("fails", [False, True])
def test_the_next_attempt_at_a_slot_counts_its_own_orders_too(world: World, fails: bool) -> None:
    world.wants(MORE, FIRST)
    if fails:
        world.hour(FIRST, faults=[on(FaultKind.REFUSED_CONNECTION)])
    record = world.hour(FIRST)
    sent = [o for o in record.orders if o.status is not OrderStatus.NOT_SENT]
    assert sent
    expected = {mark(FIRST, 1): len(SYMBOLS), mark(FIRST, record.attempt): len(sent)}
    assert tallies(world) == expected
    world.hour(SECOND)
    assert {run: n for run, n in tallies(world).items() if run in expected} == expected


def test_each_of_several_attempts_that_die_at_a_slot_counts_once(world: World) -> None:
    world.wants(MORE, FIRST)
    killed(world, FIRST)
    wanted = [line for line in world.journal(FIRST) if line["kind"] == "intents"]
    each = {mark(FIRST, line["attempt"]): len(line["orders"]) for line in wanted}
    assert len(each) == 2
    world.hour(FIRST, faults=[on(FaultKind.BLIND_ACCOUNT)])
    assert tallies(world) == each
    world.hour(SECOND, faults=[on(FaultKind.BLIND_ACCOUNT)])
    assert tallies(world) == each


def test_orders_of_yesterday_that_are_found_today_count_in_their_own_session(
    world: World,
) -> None:
    tuesday = FIRST + timedelta(days=1)
    record = world.hour(tuesday)
    standing = world.standing()
    (monday,) = standing.sessions
    assert (monday.session, monday.orders) == (FIRST.date(), len(SYMBOLS))
    assert standing.orders_in_session == len(record.orders)


def test_what_an_older_program_counted_is_not_counted_again(world: World) -> None:
    plain = to_plain(replace(world.standing(), counted_run=mark(FIRST, 1)))
    del plain["counted_runs"]
    world.books().save_standing(from_plain(Standing, plain))
    world.hour(SECOND, faults=[on(FaultKind.BLIND_ACCOUNT)])
    assert world.standing().orders_in_session == 0


def test_however_late_attempts_are_found_each_counts_once_and_few_names_are_kept(
    tmp_path: Path,
) -> None:
    desk = make_world(tmp_path).desk(FIRST)
    hours = list(range(KEPT_ATTEMPTS + 30))
    late = [*hours[10:20], *hours[:10], *hours[20:]]
    for number in (*late, *late):
        page = RunPage(desk, FIRST + number * HOUR, 1)
        page.intents = {"an order": an_approved()}
        count_orders(page)
    standing = desk.books.standing()
    assert standing.orders_in_session == len(hours)
    assert len(standing.counted_runs) == KEPT_ATTEMPTS
    assert standing.counted_run < standing.counted_runs[0]
    assert [tally.run for tally in standing.recent_orders] == list(standing.counted_runs[-10:])

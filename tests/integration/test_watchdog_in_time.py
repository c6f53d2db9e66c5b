"""`rebalancer watchdog` tells in time: runs that never end, long intervals, a clock once ahead."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from rebalancer.cli import watchdog
from rebalancer.cli.rough import read_roughly
from rebalancer.model.heartbeat import Heartbeat
from rebalancer.store.atomic import Files
from rebalancer.store.heartbeat import Pulse, write_heartbeat
from tests.integration.test_watchdog import HOUR, MINUTE, MONDAY, beats, look, told, words
from tests.portfolios import World

pytestmark = pytest.mark.usefixtures("quick")
DAY = timedelta(days=1)


@pytest.fixture
def unborn(world: World) -> World:
    """Return a portfolio with a state folder in which no run has ever begun."""
    world.state.mkdir(parents=True, exist_ok=True)
    return world


def daily(world: World, more: str = "") -> None:
    """Let a portfolio have one run a day."""
    text = world.path.read_text(encoding="utf-8")
    lines = f'calendar = "XNYS"\ninterval_minutes = 1440\n{more}'
    world.path.write_text(text.replace('calendar = "XNYS"\n', lines), encoding="utf-8")
    assert "interval_minutes = 1440" in world.path.read_text(encoding="utf-8")


def first_mail(world: World, since: datetime, step: timedelta = HOUR) -> timedelta:
    """Return after which time the watchdog mails for the first time."""
    now = since
    while not told(world):
        now += step
        assert now < since + 14 * DAY
        look(world, now)
    return now - since


# ------------------------------------------------------------------ runs that never end


def test_runs_that_are_all_killed_just_after_they_begin_are_told(unborn: World) -> None:
    for hour in range(4):
        at = MONDAY + hour * HOUR
        Pulse(Files(), unborn.state).begin(at)  # a SIGKILL follows: it never ends
        look(unborn, at + 30 * MINUTE)
    assert told(unborn) == ["runs-failing"]
    assert "no good one is known since 2020-03-02 15:35 UTC" in words(unborn, "runs-failing")
    assert "how the last one ended is not known" in words(unborn, "runs-failing")


def test_the_first_run_of_all_has_its_time(unborn: World) -> None:
    Pulse(Files(), unborn.state).begin(MONDAY)
    assert look(unborn, MONDAY + MINUTE) == 0
    assert look(unborn, MONDAY + 140 * MINUTE) == 0
    assert told(unborn) == []


# ------------------------------------------------------------------ long intervals


@pytest.mark.parametrize("deadline", ["", "deadline_minutes = 1435\n"])
def test_two_sessions_without_the_daily_run_are_told(unborn: World, deadline: str) -> None:
    daily(unborn, deadline)
    beats(unborn, MONDAY)
    wednesday = first_mail(unborn, MONDAY)
    # Two sessions and a deadline, at most three: with nothing longer than a session in it.
    latest = 2 * DAY + 90 * MINUTE if not deadline else 3 * DAY + 90 * MINUTE
    assert wednesday <= latest, wednesday
    assert told(unborn) == ["runs-missing"]


def test_one_session_without_the_daily_run_is_not_told(unborn: World) -> None:
    daily(unborn)
    beats(unborn, MONDAY)
    # Two sessions of 6.5 h and a deadline of 20 min end with the deadline of Wednesday's run.
    assert look(unborn, MONDAY + 2 * DAY) == 0
    assert look(unborn, MONDAY + 2 * DAY + 21 * MINUTE) == 3
    assert "13 h 20 min are allowed" in words(unborn, "runs-missing")


def test_an_hourly_run_is_allowed_no_less_than_before(unborn: World) -> None:
    beats(unborn, MONDAY)
    assert look(unborn, MONDAY + 140 * MINUTE) == 0
    assert look(unborn, MONDAY + 142 * MINUTE) == 3


# ------------------------------------------------------------------ a clock that was ahead


def test_a_clock_that_was_ahead_once_does_not_silence_the_watchdog(unborn: World) -> None:
    look(unborn, MONDAY.replace(year=2036))
    for hour in range(4):
        at = MONDAY + hour * HOUR
        write_heartbeat(Files(), unborn.state, Heartbeat(at, at, "failed", 4, None))
        look(unborn, at + 5 * MINUTE)
    assert told(unborn) == ["runs-failing"]


def test_what_is_remembered_of_the_future_is_of_now(unborn: World) -> None:
    beats(unborn, MONDAY)
    look(unborn, MONDAY.replace(year=2036))
    look(unborn, MONDAY + MINUTE)
    plain = json.loads((unborn.state / "watchdog.json").read_text(encoding="utf-8"))
    now = (MONDAY + MINUTE).isoformat()
    assert (plain["watching"], plain["saved"]) == (now, now)


def test_a_newer_memory_is_believed_before_one_of_the_future(unborn: World) -> None:
    beats(unborn, MONDAY)
    here, apart = watchdog._places(read_roughly(unborn.path))
    plain = {"schema": 1, "watching": MONDAY.isoformat(), "told": {}}
    future = plain | {"saved": MONDAY.replace(year=2036).isoformat()}
    Files().replace(apart, json.dumps(future).encode("ascii"))
    late = MONDAY + 3 * HOUR
    for minutes in range(3):
        assert look(unborn, late + minutes * MINUTE) == 3
    assert told(unborn) == ["runs-missing"]
    assert here.exists()

"""Bugs are planted one at a time: the observer finds each, and nothing where there is none."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.driver import run_schedule
from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.stage import Stage
from rebalancer.simulators.faults.schedule import Schedule
from tests.rehearsal.bugs import BUGS, Bug

pytestmark = pytest.mark.slow


EXAMPLE = Path(__file__).resolve().parents[2] / "portfolio.binance.example.toml"


@cache
def _stage(venue: str, config: str = "") -> Stage:
    return Stages(config)(venue)


def _violations(schedule: Schedule, config: str = "") -> tuple[Violation, ...]:
    logging.disable(logging.CRITICAL)
    try:
        return run_schedule(_stage(schedule.venue, config), schedule)[1]
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_and_nothing_without_it(
    bug: Bug, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [str(each) for each in _violations(bug.schedule)] == []
    bug.plant(monkeypatch)
    found = _violations(bug.schedule)
    assert {each.invariant for each in found} & bug.breaks, [str(each) for each in found]


def test_stops_that_a_portfolio_has_on_by_itself_are_watched_in_every_schedule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (bug,) = (each for each in BUGS if each.name == "take protection down on HALT")
    schedule = replace(bug.schedule, protect=False)
    assert [str(each) for each in _violations(schedule, str(EXAMPLE))] == []
    bug.plant(monkeypatch)
    assert {each.invariant for each in _violations(schedule, str(EXAMPLE))} >= bug.breaks


def test_there_are_enough_bugs_of_different_kinds() -> None:
    assert len(BUGS) >= 12
    assert len({name for bug in BUGS for name in bug.breaks}) >= 8

"""Bugs are planted one at a time: the observer finds each, and nothing where there is none."""

from __future__ import annotations

import logging
from functools import cache

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.driver import run_schedule
from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.stage import Stage
from rebalancer.simulators.faults.schedule import Schedule
from tests.rehearsal.bugs import BUGS, Bug

pytestmark = pytest.mark.slow


@cache
def _stage(venue: str) -> Stage:
    return Stages("")(venue)


def _violations(schedule: Schedule) -> tuple[Violation, ...]:
    logging.disable(logging.CRITICAL)
    try:
        return run_schedule(_stage(schedule.venue), schedule)[1]
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


def test_there_are_enough_bugs_of_different_kinds() -> None:
    assert len(BUGS) >= 12
    assert len({name for bug in BUGS for name in bug.breaks}) >= 8

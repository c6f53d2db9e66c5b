"""The owner's `flatten` and `cancel` in schedules: played, judged, and never more than they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.model.flags import ErrorFlag
from rebalancer.rehearsal.driver import Played, play
from rebalancer.rehearsal.evidence import RunEvidence
from rebalancer.rehearsal.observer.ours import Ours
from rebalancer.simulators.faults.hours import CANCEL, FLATTEN, Happening, Hour, Schedule, Trouble

STAGE = {venue: Stages()(venue) for venue in ("ib", "binance")}
VENUES = tuple(STAGE)
REST = Trouble("no-fill", count=None, step=7)
OLD = Trouble("account-stale", count=None, seconds=5400.0, step=7)
"""The account is as it was an hour and a half ago, whenever a sale looks at it."""


def _hour(venue: str, *weights: str, troubles: tuple[Trouble, ...] = ()) -> Hour:
    return Hour(60, dict(zip(STAGE[venue].instruments, weights, strict=True)), troubles)


def _played(venue: str, *hours: Hour, folder: Path | None = None, **more: Any) -> Played:
    played = play(STAGE[venue], Schedule(venue, 3, hours, **more), folder=folder)
    assert [str(each) for each in played.violations] == []
    return played


def _by_hand(command: str, *troubles: Trouble, minutes: int = 20, halted: bool = False) -> Hour:
    happenings = (Happening("halt-file-between"),) if halted else ()
    return Hour(minutes, {}, troubles, happenings, command=command)


def _flags(run: RunEvidence) -> tuple[ErrorFlag, ...]:
    assert run.record is not None
    return run.record.flags


@pytest.mark.parametrize("halted", [False, True])
@pytest.mark.parametrize("venue", VENUES)
def test_a_sale_leaves_nothing_and_the_next_run_buys_again(venue: str, halted: bool) -> None:
    whole = _hour(venue, "0.2", "0.2", "0.2")
    bought, sold, calm, _ = _played(venue, whole, _by_hand(FLATTEN, halted=halted)).evidence.runs
    assert (sold.command, sold.exit_code, _flags(sold)) == (FLATTEN, 0, ())
    assert sold.held_before == bought.held_after
    assert all(sold.held_before.values())
    assert not any(sold.held_after.values())
    assert not sold.halt  # it went on in spite of the file that the owner had put there
    assert all(calm.held_after.values())


@pytest.mark.parametrize("venue", VENUES)
def test_a_halt_file_that_comes_in_the_middle_stops_a_sale(venue: str) -> None:
    whole = _hour(venue, "0.2", "0.2", "0.2")
    file = Trouble("halt-file", at="venue.market", step=7)
    sold = _played(venue, whole, _by_hand(FLATTEN, file, halted=True)).evidence.runs[1]
    assert "halt-file" in {flag.code for flag in _flags(sold)}
    assert sold.held_after == sold.held_before


@pytest.mark.parametrize("venue", VENUES)
def test_a_cancel_ends_what_a_dead_run_left_at_work_and_sends_nothing(venue: str) -> None:
    kill = Trouble("kill-port-after", at="venue.wait", nth=2, step=7)
    died = _hour(venue, "0.2", "0.2", "0.2", troubles=(REST, kill))
    runs = _played(venue, died, _by_hand(CANCEL, minutes=5)).evidence.runs
    assert runs[0].killed
    assert (runs[1].exit_code, runs[1].told) == (0, ())
    assert runs[1].record is not None
    cancelled = [each.reference for each in runs[1].record.cancelled]
    assert len(cancelled) == len(set(cancelled)) == 3
    assert {each.verb for each in runs[1].arrivals} == {"cancel"}


@pytest.mark.parametrize("at", ["hands.submit", "venue.wait"])
@pytest.mark.parametrize("fault", ["kill-port-before", "kill-port-after"])
@pytest.mark.parametrize("venue", VENUES)
def test_a_sale_that_is_killed_is_finished_by_the_next_run(
    venue: str, fault: str, at: str, tmp_path: Path
) -> None:
    whole = _hour(venue, "0.2", "0.2", "0.2")
    sale = _by_hand(FLATTEN, Trouble(fault, at=at, step=7))
    played = _played(venue, whole, sale, folder=tmp_path)
    assert played.outcomes["flatten, killed"] == 1
    sold = played.evidence.runs[1]
    record = Ours(played.evidence.state).records[sold.slot]
    assert (record.command, record.attempt) == (FLATTEN, sold.attempt)


@pytest.mark.parametrize("venue", VENUES)
def test_a_share_that_was_sold_by_a_run_is_not_sold_again_from_an_old_account(venue: str) -> None:
    hours = (_hour(venue, "0.2", "0.2", "0.2"), _hour(venue, "0.2", "0", "0.2"))
    sold = _played(venue, *hours, _by_hand(FLATTEN, OLD, minutes=45)).evidence.runs[2]
    name = STAGE[venue].universe.ids[1]
    assert not sold.held_before[name]
    assert not any(each.instrument == name for each in sold.arrivals)
    assert ("sources-disagree", name) in {(flag.code, flag.subject) for flag in _flags(sold)}


@pytest.mark.parametrize("venue", VENUES)
def test_a_sale_that_sees_an_old_empty_account_does_not_say_that_all_is_sold(venue: str) -> None:
    whole = _hour(venue, "0.2", "0.2", "0.2")
    name = STAGE[venue].universe.ids[1]
    quoteless = Trouble("quote-missing", count=None, step=7, subject=name)
    played = play(STAGE[venue], Schedule(venue, 3, (whole, _by_hand(FLATTEN, quoteless, OLD))))
    sold = played.evidence.runs[1]
    assert {each for each, held in sold.held_after.items() if held} == {name}
    assert sold.exit_code == 3


def test_after_the_close_nothing_is_sold_and_mails_and_commits_are_left_to_runs() -> None:
    whole = _hour("ib", "0.2", "0.2", "0.2")
    closed = _played("ib", whole, _by_hand(FLATTEN, minutes=275), post=True).evidence.runs[1]
    assert closed.arrivals == ()
    assert closed.exit_code == 3
    assert "session-closed" in {flag.code for flag in _flags(closed)}

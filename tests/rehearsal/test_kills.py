"""Real processes at real sockets, killed at a message of theirs by the venue they talk to."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli import guard
from rebalancer.cli.rehearse_kills import house_of, run_kills
from rebalancer.rehearsal.kills import KillSummary, strike_every
from rebalancer.rehearsal.kills.scene import Stage
from rebalancer.rehearsal.kills.script import Blow, Script, meeting_at
from rebalancer.simulators.killing import Side

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FIRST_RUN, LADDER = 0, 5
"""Worlds: nothing has happened before the run that is struck; two hours have, and (at Binance)
every position has its stop."""


def said(_line: str) -> None:
    """Take a line of progress."""


def broken(summary: KillSummary) -> str:
    """Return the summary when something did not hold, '' when all did."""
    return "\n".join(summary.lines()) if summary.violations else ""


@pytest.mark.parametrize(
    ("venue", "world", "stride", "struck"),
    [
        ("ib", FIRST_RUN, 5, {"placeOrder", "reqCurrentTime"}),
        ("ib", LADDER, 5, {"placeOrder", "reqCurrentTime"}),
        ("binance", LADDER, 5, {"GET /fapi/v1/userTrades", "GET /fapi/v3/account"}),
    ],
)
def test_no_kill_at_any_message_of_a_run_breaks_an_invariant(
    venue: str, world: int, stride: int, struck: set[str]
) -> None:
    summary = strike_every(venue, stride, 1, said, house_of=house_of, worlds=(world,))
    assert not broken(summary)
    assert summary.missed == 0
    assert summary.count == summary.seeds >= 8
    assert struck <= {name for name, _ in summary.kills}
    assert {side for _, side in summary.kills} == {"lost", "before", "after"}
    # What comes after a kill finishes, or says that the fate of an order is not known yet.
    assert set(summary.outcomes) <= {"exit 0", "exit 5"}


@pytest.mark.parametrize(("venue", "stride"), [("ib", 9), ("binance", 16)])
def test_a_run_that_is_told_to_end_closes_its_books_wherever_it_is(venue: str, stride: int) -> None:
    summary = strike_every(
        venue, stride, 1, said, house_of=house_of, sign=signal.SIGTERM, worlds=(LADDER,)
    )
    assert not broken(summary)
    told = {name for name in summary.outcomes if name.startswith("told to end")}
    # 8 is what the signal says; 5 that an order was on its way; 0 that the record stood already.
    assert "told to end: exit 8" in told
    assert told <= {f"told to end: exit {code}" for code in (0, 5, 8)}


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Stage:
    """Return a warm stage in this process: what is patched here is patched in its runs."""
    monkeypatch.setenv("REBALANCER_LOCKS", str(tmp_path / "locks"))
    made = Stage(house_of(request.param), tmp_path / "stage")
    made.warm()
    return made


def met_at(nth: int) -> Script:
    """Return a script without a kill whose first calm run meets a second one."""
    never = Blow(nth=100_000, side=Side.AFTER)
    return Script(
        seed=1, first=never, second=None, again=False, minutes=(30, 30, 30), meeting=meeting_at(nth)
    )


@pytest.mark.parametrize("stage", ["ib", "binance"], indirect=True)
def test_a_second_run_beside_one_at_work_ends_with_6_and_does_nothing(stage: Stage) -> None:
    results = [stage.play(FIRST_RUN, met_at(nth)) for nth in (1, 9, 15)]
    assert [str(bad) for each in results for bad in each.violations] == []
    assert [each.met for each in results] == [(6,), (6,), (6,)]


@pytest.mark.parametrize("stage", ["ib"], indirect=True)
def test_a_run_that_takes_no_lock_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "portfolio_lock", lambda *_: nullcontext())
    monkeypatch.setattr(guard, "account_lock", lambda *_: nullcontext())
    result = stage.play(FIRST_RUN, met_at(9))
    assert result.met != (6,)
    assert "single-flight" in {each.invariant for each in result.violations}


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_seeds_are_dealt_over_messages_and_sides(venue: str) -> None:
    summary = run_kills(venue, 6, 7200, 1, said)
    assert not broken(summary)
    assert 6 <= summary.count == len(summary.distinct)

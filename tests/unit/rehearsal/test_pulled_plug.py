"""A pulled plug takes what was not synced; what the books need must have been."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.driver import Played, play
from rebalancer.simulators.faults.files import BreakableFiles
from rebalancer.simulators.faults.schedule import Hour, Schedule, Trouble

STAGE = {venue: Stages()(venue) for venue in ("ib", "binance")}


def _plug_pulled(venue: str, step: int) -> Played:
    """Play an hour that trades and dies in a step, and the next one a day later."""
    wanted = dict.fromkeys(STAGE[venue].instruments, "0.2")
    plug = Trouble("kill-file-unsynced", step=step)
    return play(STAGE[venue], Schedule(venue, 3, (Hour(60, wanted, (plug,)), Hour(1440, {}))))


@pytest.mark.parametrize("step", [7, 8, 9, 10, 13])
@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_no_plug_pulled_in_a_run_loses_an_execution(venue: str, step: int) -> None:
    played = _plug_pulled(venue, step)
    assert played.hits["kill-file-unsynced", step] == 1
    assert played.violations == ()


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_executions_that_were_never_synced_are_missed(
    venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = BreakableFiles.append

    def lazy(self: BreakableFiles, path: Path, content: bytes, *, durable: bool = True) -> None:
        append(self, path, content, durable=durable and path.name != "fills.jsonl")

    monkeypatch.setattr(BreakableFiles, "append", lazy)
    invariants = {each.invariant for each in _plug_pulled(venue, 10).violations}
    assert "no-lost-fill" in invariants


def test_a_database_that_syncs_for_itself_survives_a_pulled_plug() -> None:
    down, plug = Trouble("database-down", step=12), Trouble("kill-file-unsynced", step=13)
    hours = (Hour(60, {}), Hour(1440, {}, (down, plug)), Hour(60, {}))
    played = play(STAGE["ib"], Schedule("ib", 3, hours, post=True))
    assert played.hits["kill-file-unsynced", 13] == 1
    assert played.violations == ()

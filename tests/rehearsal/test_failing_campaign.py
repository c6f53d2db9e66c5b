"""A campaign that finds a bug: told at once, made short, written down, and found again."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli import main, rehearse, rehearse_stages
from rebalancer.model.codec import from_json
from rebalancer.simulators.faults.schedule import Schedule

UNANNOUNCED = "no-order-without-intent"
CAMPAIGN = ["rehearse", "--schedules", "1", "--seed", "2", "--workers", "1", "--folder", "short"]


@pytest.fixture(autouse=True)
def buggy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Plant a bug into this process and into those that play; files go to a folder of ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    planted = import_module("buggy_stages")
    monkeypatch.setattr(rehearse, "Stages", planted.Stages)
    yield planted
    planted.mend()


def _commands(told: str) -> list[list[str]]:
    """Return the commands that are told, without the program's name."""
    lines = (line.split() for line in told.splitlines())
    return [words[1:] for words in lines if words[:2] == ["rebalancer", "rehearse"]]


def test_what_breaks_is_told_at_once_made_short_written_and_breaks_again(
    capsys: pytest.CaptureFixture[str], buggy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(CAMPAIGN) == 1
    told = capsys.readouterr()
    assert "No invariant was broken." not in told.out

    # At once: before the first line of progress, in which the other venue is still to be played.
    lines = told.err.splitlines()
    progress = next(place for place, line in enumerate(lines) if line.startswith("1 of 2 sched"))
    early = [line for line in lines[:progress] if line.startswith("broken at ib, seed 2: ")]
    assert any(UNANNOUNCED in line for line in early)
    assert any(line.startswith("broken at binance, seed 2: ") for line in lines[progress:])

    files = ["short/binance-2.json", "short/ib-2.json"]
    assert sorted(path.as_posix() for path in Path("short").iterdir()) == files
    commands = _commands(told.out)
    for venue in ("ib", "binance"):
        assert ["rehearse", "--venue", venue, "--seed", "2"] in commands
        short = ["rehearse", "--replay", f"short/{venue}-2.json"]
        assert short in commands
        schedule = from_json(Schedule, Path(short[-1]).read_text(encoding="ascii"), venue)
        (hour,) = schedule.hours
        assert (schedule.venue, hour.troubles, len(hour.wanted)) == (venue, (), 1)
        assert main(short) == 1
        assert f"broken: {UNANNOUNCED} " in capsys.readouterr().out

    buggy.mend()
    monkeypatch.setattr(rehearse, "Stages", rehearse_stages.Stages)
    assert main(["rehearse", "--replay", files[0]]) == 0
    assert "No invariant was broken." in capsys.readouterr().out

"""Schedules drawn from seeds find planted bugs: as a campaign would, by nobody's choice.

`drawn` looks for the first seed of each and writes `drawn.toml`; here those seeds are played.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rebalancer.rehearsal.workers import quiet
from tests.rehearsal import drawn
from tests.rehearsal.bugs import BUGS
from tests.rehearsal.drawn import FEW, TABLE, Planted, Row, main, read

pytestmark = pytest.mark.slow

RENEW = "what is drawn or the program has changed; renew the row: python tests/rehearsal/drawn.py"
ROWS = read(TABLE)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.seed], ids=lambda r: f"{r.bug}-{r.venue}"
)
def test_a_drawn_schedule_finds_a_planted_bug(row: Row) -> None:
    with quiet():
        result = Planted(row.bug)(row.venue, row.seed)
    broken = {each.invariant for each in result.violations}
    assert broken, f"{row.venue} {row.seed}: {RENEW} --bug {row.bug!r}"


def test_each_bug_was_looked_for_and_drawn_seeds_find_most() -> None:
    wanted = {(bug.name, venue) for bug in BUGS for venue in bug.venues}
    assert {(row.bug, row.venue) for row in ROWS} == wanted, RENEW
    assert len({row.bug for row in ROWS if row.seed}) >= 0.85 * len(BUGS)


def test_the_command_writes_who_was_found_and_keeps_the_other_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, one, other = tmp_path / "drawn.toml", BUGS[0].name, "tell nobody"
    words = ["--table", str(table), "--most"]
    assert main(["--bug", other, *words, "1"]) == 1
    told = capsys.readouterr().out
    assert "0 of 2 were found." in told
    assert "NOT FOUND in 1 schedules at ib: tell nobody" in told
    assert main(["--bug", one, *words, "9"]) == 0
    assert "2 of 2 were found." in capsys.readouterr().out
    rows = {(row.bug, row.venue): row for row in read(table)}
    assert set(rows) == {(name, venue) for name in (one, other) for venue in ("ib", "binance")}
    for venue in ("ib", "binance"):
        assert 0 < rows[one, venue].seed == rows[one, venue].played <= 9
        assert rows[one, venue].breaks
        assert rows[other, venue] == Row(other, venue, 0, 1)


def test_seeds_that_other_processes_play_are_heard_too(tmp_path: Path) -> None:
    # A process of its own: those that pytest starts would look for `tests` in the wrong place.
    # Of some thousand seeds one finds this bug.
    words = ["--bug", "forget at what price it was held", "--most", str(FEW + 2), "--workers", "1"]
    command = [sys.executable, drawn.__file__, *words, "--table", str(tmp_path / "drawn.toml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert [row.played for row in read(tmp_path / "drawn.toml")] == [FEW + 2]
    assert ended.returncode == 1

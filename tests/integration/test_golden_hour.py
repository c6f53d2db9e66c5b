"""The same inputs and the same seed give the same bytes: here, and on every Python.

`tests/answers/golden_hour.json` has the hashes of what a day of runs leaves. When a change of
what is recorded is meant, renew it with the command it names, and say so in the commit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pytest

from rebalancer.simulators.faults import Fault, FaultKind
from tests.integration.hours import KO, SYMBOLS, TURNED, WANTED
from tests.portfolios import FIRST, HOUR, World, codes, make_world

pytestmark = pytest.mark.usefixtures("quick")

ROOT = Path(__file__).resolve().parents[2]
ANSWER = ROOT / "tests" / "answers" / "golden_hour.json"
RENEW = "REBALANCER_RENEW=1 python -m pytest tests/integration/test_golden_hour.py"
SECOND, THIRD, FOURTH = (FIRST + n * HOUR for n in (1, 2, 3))
CLOSED = FIRST + 6 * HOUR + HOUR / 3
SAME = ("orders.csv", "record.json")
"""What the answer file has, of each run."""

ALSO_SAME = ("fills.jsonl", "trades.csv", "equity.csv", "breakers.json", "paper/books.json")


def day(folder: Path) -> World:
    """Run a day: built, turned with a rejected leg, repaired, idle with a bad file, closed."""
    folder.mkdir(exist_ok=True)
    world = make_world(folder, symbols=SYMBOLS)
    world.wants(WANTED, FIRST)
    assert world.hour(FIRST).fills
    world.wants(TURNED, SECOND)
    rejected = Fault(FaultKind.REJECT, subject=KO, count=None)
    half = Fault(FaultKind.PARTIAL_ONLY, count=1)
    world.hour(SECOND, faults=[rejected, half])
    assert world.hour(THIRD).fills
    world.wants(TURNED, FOURTH, target_unit="no such column")
    assert "signal-invalid" in codes(world.hour(FOURTH))
    world.wants(TURNED, CLOSED)
    assert world.hour(CLOSED).exit_code == 0
    return world


def hashes(world: World) -> dict[str, str]:
    """Return the hash of each run's order file and record, by path below the state folder."""
    paths = [world.run_folder(at) / name for at in slots() for name in SAME]
    return {
        path.relative_to(world.state).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def slots() -> tuple[datetime, ...]:
    return FIRST, SECOND, THIRD, FOURTH, CLOSED


def test_two_fresh_folders_hold_the_same_bytes(tmp_path: Path) -> None:
    one, other = day(tmp_path / "one"), day(tmp_path / "other")
    assert hashes(one) == hashes(other)
    for name in ALSO_SAME:
        assert (one.state / name).read_bytes() == (other.state / name).read_bytes(), name
    for at in slots():
        journals = [world.run_folder(at) / "journal.jsonl" for world in (one, other)]
        assert journals[0].read_bytes() == journals[1].read_bytes()


def test_the_bytes_are_those_of_the_answer_file(tmp_path: Path) -> None:
    found = hashes(day(tmp_path))
    if os.environ.get("REBALANCER_RENEW"):
        answer = {"renewed_by": RENEW, "sha256": found}
        ANSWER.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    assert json.loads(ANSWER.read_text(encoding="utf-8"))["sha256"] == found, (
        f"if the change is meant: {RENEW}"
    )


def test_the_bytes_do_not_hang_on_hash_order_zone_or_language(tmp_path: Path) -> None:
    expected = day(tmp_path / "here")
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from rebalancer.cli import main\n"
        "os.fsync = lambda fd: None\n"
        "sys.exit(main(['run', '--config', sys.argv[1], '--at', '2020-03-02T15:05Z']))\n"
    )
    for number, strange in enumerate(
        (
            {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
            {"PYTHONHASHSEED": "4711", "TZ": "America/New_York", "LC_ALL": "de_DE.UTF-8"},
        )
    ):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        world = make_world(folder, symbols=SYMBOLS)
        world.wants(WANTED, FIRST)
        done = subprocess.run(
            [sys.executable, "-c", script, str(world.path)],
            env=os.environ | strange,
            cwd=ROOT,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        for name in SAME:
            ours = (expected.run_folder(FIRST) / name).read_bytes()
            assert (world.run_folder(FIRST) / name).read_bytes() == ours

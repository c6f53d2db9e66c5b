"""A run killed between, and in the middle of, any two writes leaves books that can be trusted."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rebalancer.errors import StateError
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder
from tests.unit.store.samples import HOUR, MONDAY, SLOT, folder, run

ROOT = Path(__file__).resolve().parents[3]
NEXT = SLOT + HOUR

# Runs one hour in a child of its own for each write, and kills the child there: before the
# write, after half of it, or after all of it.
CAMPAIGN = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, "tests/unit/store")
    from samples import HOUR, SLOT, folder, run
    from rebalancer.store.atomic import Files

    class Killed(Files):
        def __init__(self, number, when):
            self.left, self.when = number, when

        def _due(self, when):
            if self.left == 0 and self.when == when:
                os.kill(os.getpid(), signal.SIGKILL)

        def replace(self, path, content):
            self._due("before")
            if self.left == 0 and self.when == "half":
                self.make_folder(path.parent)
                path.with_name(f".{path.name}.{os.getpid()}.tmp").write_bytes(content[:9])
            self._due("half")
            super().replace(path, content)
            self._due("after")
            self.left -= 1

        def append(self, path, content, *, durable=True):
            self._due("before")
            if self.left == 0 and self.when == "half":
                super().append(path, content[: len(content) // 2], durable=durable)
            self._due("half")
            super().append(path, content, durable=durable)
            self._due("after")
            self.left -= 1

    root = Path(sys.argv[1])
    for when in ("before", "half", "after"):
        for number in range(100):
            place = root / f"{when}-{number}"
            child = os.fork()
            if child == 0:
                run(folder(place))
                run(folder(place, Killed(number, when)), SLOT + HOUR, "E2")
                os._exit(0)
            if os.waitpid(child, 0)[1] == 0:
                break
        print(when, number, flush=True)
    """
)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the state folder that each kill left, by when and at which write."""
    root = tmp_path_factory.mktemp("campaign")
    done = subprocess.run(
        [sys.executable, "-c", CAMPAIGN, str(root)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    counts = dict(each.split() for each in done.stdout.splitlines())
    # header + begin, orders, intents, fills, breakers, equity, trades, host, record, end
    assert counts == {"before": "11", "half": "11", "after": "11"}
    return {
        f"{when}-{n}": root / f"{when}-{n}" for when, count in counts.items() for n in range(11)
    }


def check(books: StateFolder) -> None:
    """Check what docs/STATE.md says is true at any time."""
    entries = books.entries()
    ids = [(each.kind, each.fill.exec_id) for each in entries]
    assert len(ids) == len(set(ids))
    last = books.last_record()
    assert last is not None
    assert last.entries <= len(entries)
    assert last.equity in books.equity()
    assert books.standing().high_water_mark is not None
    for slot in (SLOT, NEXT):
        record = books.record(slot)
        if record is not None:
            folder_of_run = books.root / f"runs/{slot:%Y-%m-%dT%H%MZ}"
            assert json.loads((folder_of_run / "host.json").read_text())["schema"] == 2
            assert books.journal(slot)[0]["kind"] == "begin"
    slots = [point.slot for point in books.equity()]
    assert slots == sorted(set(slots))


def test_whatever_a_killed_run_leaves_can_be_read_and_finished(campaign: dict[str, Path]) -> None:
    assert len(campaign) == 33
    finished = 0
    for name, place in campaign.items():
        books = folder(place)
        check(books)
        dead = books.unfinished()
        assert dead in {(), (NEXT,)}, name
        finished += books.record(NEXT) is not None
        run(folder(place), NEXT, "E2")  # the next attempt at the same slot
        check(folder(place))
        again = folder(place)
        assert [each.fill.exec_id for each in again.entries()] == ["E1", "E2"], name
        assert [point.slot for point in again.equity()] == [SLOT, NEXT], name
        assert [record.slot for record in again.records(MONDAY)] == [SLOT, NEXT], name
        assert again.unfinished() == (), name
    assert finished == 4  # after the record; around the journal's last line


class Failing(Files):
    """A disk that is full from the n-th write on."""

    def __init__(self, number: int) -> None:
        self.left = number

    def _spend(self, path: Path) -> None:
        self.left -= 1
        if self.left < 0:
            raise StateError(f"cannot write {path}: the disk is full")

    def replace(self, path: Path, content: bytes) -> None:
        self._spend(path)
        super().replace(path, content)

    def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        self._spend(path)
        super().append(path, content, durable=durable)


@pytest.mark.parametrize("number", range(11))
def test_a_disk_that_fills_up_at_any_write_leaves_good_books(tmp_path: Path, number: int) -> None:
    run(folder(tmp_path))
    with pytest.raises(StateError, match="the disk is full"):
        run(folder(tmp_path, Failing(number)), NEXT, "E2")
    check(folder(tmp_path))
    run(folder(tmp_path), NEXT, "E2")
    check(folder(tmp_path))
    assert [each.fill.exec_id for each in folder(tmp_path).entries()] == ["E1", "E2"]

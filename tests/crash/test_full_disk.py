"""The disk fills up, turns read-only or reports errors: at every write of a run in turn."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rebalancer.errors import StateError
from rebalancer.hourly import hour
from rebalancer.model.records import RunRecord
from rebalancer.store.atomic import Files, FileTrouble
from tests.crash.conftest import ROOT, prove_rows
from tests.integration.hours import SYMBOLS, TURNED, WANTED
from tests.portfolios import FIRST, HOUR, World, codes, copy_world, make_world, read_json

SECOND, THIRD, FOURTH, FIFTH = (FIRST + n * HOUR for n in (1, 2, 3, 4))
SHARES = 3
WORDS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk reports an error",
}


class FailingDisk(Files):
    """A disk that refuses every write from the n-th on; the venue's own is another one."""

    def __init__(self, at: int | None, number: int = errno.ENOSPC) -> None:
        self.writes: list[str] = []
        self.sent = 0
        self.sent_at_failure: int | None = None
        self._at, self._number = at, number

    def replace(self, path: Path, content: bytes) -> None:
        if path.parent.name == "paper":
            super().replace(path, content)
            self.sent = len(read_json(path)["orders"])
            return
        self._refuse(path, "write")
        super().replace(path, content)

    def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        self._refuse(path, "append to")
        super().append(path, content, durable=durable)

    def _refuse(self, path: Path, what: str) -> None:
        self.writes.append(path.name)
        if self._at is None or len(self.writes) <= self._at:
            return
        if self.sent_at_failure is None:
            self.sent_at_failure = self.sent
        error = FileTrouble(f"cannot {what} {path}: {WORDS[self._number]}")
        error.errno = self._number
        raise error


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def noon(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a portfolio that was built and wants to be turned around."""
    world = make_world(tmp_path_factory.mktemp("noon"), symbols=SYMBOLS)
    world.wants(WANTED, FIRST)
    assert world.hour(FIRST).exit_code == 0
    world.wants(TURNED, SECOND)
    return world


@pytest.fixture(scope="module")
def writes(noon: World, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what an undisturbed run writes, in order."""
    world, disk = copy_world(noon, tmp_path_factory.mktemp("whole")), FailingDisk(None)
    assert run(world, disk).exit_code == 0
    return disk.writes


def run(world: World, disk: FailingDisk) -> RunRecord | StateError:
    """Run the second hour; return its record, or what kept it from having one."""
    try:
        return hour(world.desk(SECOND, files=disk), SECOND)
    except StateError as error:
        return error


def assert_repaired(world: World, where: str) -> None:
    """Let the hours after it run, and prove what they leave."""
    unresolved = False
    for at in (THIRD, FOURTH, FIFTH):
        world.wants(TURNED, at)
        record = world.hour(at)
        held = "unresolved-order" in codes(record)
        unresolved = unresolved or held
        assert record.exit_code == (5 if held else 0), (where, record.flags)
        assert not codes(record) & {"reconciliation-break", "unexplained-cash"}, where
    assert not world.standing().latched, where
    assert all(count == 1 for count in world.references().values()), where
    assert dict(world.last().positions_expected) == world.holdings(), where
    ids = [line["fill"]["exec_id"] for line in world.fill_lines() if line["kind"] == "fill"]
    assert len(ids) == len(set(ids)), where
    assert set(ids) == {each["id"] for each in world.venue()["executions"]}, where
    prove_rows(world)
    # The targets of the second hour are reached, if later: nothing trades any more.
    assert not world.last().fills or unresolved, where


@pytest.mark.parametrize("share", range(SHARES))
def test_a_disk_that_fills_up_at_any_write_stops_what_is_sent_and_is_repaired(
    noon: World, writes: list[str], tmp_path: Path, share: int
) -> None:
    assert {"journal.jsonl", "fills.jsonl", "breakers.json", "equity.csv", "record.json"} <= set(
        writes
    )
    for place in range(share, len(writes), SHARES):
        where = f"full at write {place}, {writes[place]}"
        world, disk = copy_world(noon, tmp_path / f"{place}"), FailingDisk(place)
        done = run(world, disk)
        # Nothing is sent any more once something could not be written.
        assert disk.sent_at_failure is not None, where
        assert disk.sent <= disk.sent_at_failure + 1, where  # the one whose answer it was
        if isinstance(done, StateError):
            assert "the disk is full; free some space" in str(done), where
            assert len(world.venue()["orders"]) == 3, where  # those of the first hour
        elif writes.index("record.json") >= place:
            assert done.exit_code == 9, (where, done.flags)
            assert any("the disk is full" in flag.message for flag in done.flags), where
            assert world.record(SECOND) is None, where
        assert_repaired(world, where)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO])
def test_a_disk_that_turns_read_only_or_bad_is_named(
    noon: World, writes: list[str], tmp_path: Path, number: int
) -> None:
    for place in (0, writes.index("orders.csv"), writes.index("fills.jsonl")):
        world, disk = copy_world(noon, tmp_path / f"{place}"), FailingDisk(place, number)
        done = run(world, disk)
        told = str(done) if isinstance(done, StateError) else " ".join(
            flag.message for flag in done.flags
        )  # fmt: skip
        assert WORDS[number] in told
        assert_repaired(world, f"{number} at {place}")


def test_executions_that_cannot_be_booked_leave_the_run_unfinished(
    noon: World, tmp_path: Path
) -> None:
    """A record without them would hide them from the next run once the venue forgot them."""

    class NoFills(Files):
        def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
            if path.name == "fills.jsonl":
                raise FileTrouble(f"cannot append to {path}: {WORDS[errno.EIO]}")
            super().append(path, content, durable=durable)

    world = copy_world(noon, tmp_path)
    desk = world.desk(SECOND, files=NoFills())
    assert hour(desk, SECOND).exit_code == 9
    assert world.record(SECOND) is None
    # The venue has forgotten them by the next run; the journal of the run has not.
    world.change_venue(forget_executions)
    world.wants(TURNED, THIRD)
    record = world.hour(THIRD)
    assert {"run-died", "fills-while-away"} <= codes(record)
    assert "reconciliation-break" not in codes(record)
    assert dict(record.positions_expected) == world.holdings()


def forget_executions(books: dict[str, object]) -> None:
    """Let the venue forget every trade, as Interactive Brokers does at midnight."""
    holdings, cash = books["holdings"], books["cash"]
    assert isinstance(holdings, dict)
    assert isinstance(cash, dict)
    books["executions"] = []
    books["carried_positions"] = {name: each["quantity"] for name, each in holdings.items()}
    books["carried_cash"] = dict(cash)


def test_a_full_device_is_told_in_plain_words() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with pytest.raises(FileTrouble, match="cannot append to /dev/full: the disk is full"):
        Files().append(Path("/dev/full"), b"x\n", durable=False)


SMALL = """
mount -t tmpfs -o size=4m tmpfs "$1"
cp -a "$2/." "$1/"
head -c 9000000 /dev/zero > "$1/fill" 2> /dev/null || true
truncate -s -{spare}k "$1/fill"
exec "{python}" -c "
import sys
from rebalancer.cli import main
sys.exit(main(['run', '--config', sys.argv[1], '--at', '2020-03-02T16:05:00Z']))
" "$1/demo.toml"
"""


@pytest.mark.slow
def test_a_real_disk_that_is_full(noon: World, tmp_path: Path) -> None:
    """A memory file system of some kilobytes, where this user may mount one for itself."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare")
    within = [unshare, "--user", "--map-root-user", "--mount", "sh", "-ec"]
    if subprocess.run(
        [*within, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False
    ).returncode:
        pytest.skip("this user may not mount a file system")
    told = []
    for spare in (0, 8, 40):
        disk = tmp_path / f"disk-{spare}"
        disk.mkdir()
        script = SMALL.format(spare=spare, python=sys.executable)
        done = subprocess.run(
            [*within, script, "sh", str(disk), str(noon.folder)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | {"REBALANCER_LOCKS": str(tmp_path / f"locks-{spare}")},
            timeout=100,
            check=False,
        )
        assert done.returncode == 9, done.stdout + done.stderr
        told.append(done.stdout + done.stderr)
    assert all("the disk is full" in words for words in told)

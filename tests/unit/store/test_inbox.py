"""Signal files are read as a stranger would: kept as they were, judged, never trusted."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.model.flags import Severity, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.universe import Sleeve
from rebalancer.ports import SignalsRead
from rebalancer.store.inbox import SignalFolder

NOW = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
SLOT = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
WALL = datetime(2026, 11, 21, 12, tzinfo=UTC)
A = InstrumentId("AAA.STK.USD@IB")
HEADER = "instrument,target,unit,leverage,as_of,valid_until,coverage\n"
GOOD = f"{HEADER}{A},0.5,weight,1,2020-03-02T15:00:00Z,2020-03-02T16:00:00Z,complete\n"
OTHER = GOOD.replace("0.5", "0.25")


class PlainFiles:
    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def replace(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)


class Room:
    """A folder of signal files, a clock on the wall, and what happens during each pause."""

    def __init__(self, root: Path) -> None:
        self.folder, self.runs = root / "signals", root / "runs"
        self.folder.mkdir()
        self.pauses: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.wall = WALL

    def put(self, name: str, text: str | bytes, age_seconds: float = 600) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        at = (WALL - timedelta(seconds=age_seconds)).timestamp()
        os.utime(path, (at, at))
        return path

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.meanwhile()

    def read(self, *names: str, generator: str = "", now: datetime = NOW) -> SignalsRead:
        sleeves = [Sleeve(name, (A,), Decimal("0.1"), generator=generator) for name in names]
        inbox = SignalFolder(
            self.folder, self.runs, PlainFiles(), lambda: self.wall, pause=self._pause
        )
        return inbox.read(sleeves, now, SLOT)

    def refused(self, name: str, code: str, now: datetime = NOW) -> str:
        """Read one sleeve that must be refused; return the flag's message."""
        found = self.read(name, now=now)
        assert found.signals == {}
        (flag,) = found.flags
        assert (flag.code, flag.subject) == (code, f"sleeve:{name}")
        assert (flag.severity, flag.step) == (Severity.HOLD, Step.TARGETS)
        assert flag.message.startswith(f"signals/{name}.csv: ")
        assert flag.message.endswith("; the sleeve keeps its last accepted lots")
        return flag.message


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_file_is_read_and_kept_as_it_was(room: Room) -> None:
    room.put("core.csv", GOOD)
    found = room.read("core")
    assert found.flags == ()
    assert found.signals["core"].targets == {A: Decimal("0.5")}
    assert (room.runs / "2020-03-02T1505Z" / "signals" / "core.csv").read_text() == GOOD
    assert room.pauses == []


def test_each_sleeve_is_judged_by_itself(room: Room) -> None:
    room.put("good.csv", GOOD)
    room.put("bad.csv", GOOD.replace("0.5", "nan"))
    room.put(
        "old.csv", GOOD.replace("T16", "T15").replace("15:00:00Z,complete", "15:04:00Z,complete")
    )
    found = room.read("missing", "bad", "good", "old")
    assert set(found.signals) == {"good"}
    assert [(flag.code, flag.subject) for flag in found.flags] == [
        ("signal-missing", "sleeve:missing"),
        ("signal-invalid", "sleeve:bad"),
        ("signal-stale", "sleeve:old"),
    ]


def test_a_missing_file_is_missing(room: Room) -> None:
    assert "there is no such file" in room.refused("core", "signal-missing")


def test_a_missing_folder_is_a_missing_file(room: Room) -> None:
    room.folder.rmdir()
    room.refused("core", "signal-missing")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is empty"),
        (HEADER.encode(), "it has no rows"),
        (GOOD.encode()[:-1], "its last line has no end"),
        (GOOD.replace("0.5", "NaN").encode(), "line 2, column target: 'NaN' is not finite"),
        (GOOD.replace("0.5", "1.5").encode(), "over the sleeve's leverage_max 1"),
        (GOOD.replace(A, "ZZZ").encode(), "'ZZZ' is not in the sleeve's universe"),
        (GOOD.encode("utf-16"), "byte 0 is not UTF-8"),
    ],
)
def test_a_bad_file_is_kept_and_refused(room: Room, content: bytes, expected: str) -> None:
    room.put("core.csv", content)
    assert expected in room.refused("core", "signal-invalid")
    assert (room.runs / "2020-03-02T1505Z" / "signals" / "core.csv").read_bytes() == content


def test_an_old_signal_is_stale(room: Room) -> None:
    room.put("core.csv", GOOD)
    message = room.refused("core", "signal-stale", now=NOW + timedelta(hours=1))
    assert "it was valid until 2020-03-02T16:00:00Z" in message


def test_an_endless_file_is_not_read_to_its_end(room: Room) -> None:
    room.put("core.csv", b"x" * (2**20 + 1))
    assert "longer than 1048576 bytes" in room.refused("core", "signal-invalid")
    assert not room.runs.exists()


def test_a_file_that_just_changed_is_read_again(room: Room) -> None:
    room.put("core.csv", GOOD, age_seconds=1.9)
    assert room.read("core").signals["core"].targets == {A: Decimal("0.5")}
    assert room.pauses == [0.25]


def test_a_file_in_the_making_is_waited_for(room: Room) -> None:
    room.put("core.csv", GOOD[:-20], age_seconds=0.5)

    def finish() -> None:
        room.put("core.csv", GOOD, age_seconds=0.1)

    room.meanwhile = finish
    assert room.read("core").signals["core"].targets == {A: Decimal("0.5")}
    assert room.pauses == [0.25, 0.25]


def test_a_file_that_never_settles_is_refused(room: Room) -> None:
    room.put("core.csv", GOOD, age_seconds=1)
    texts = [GOOD, OTHER] * 5

    def rewrite() -> None:
        room.put("core.csv", texts.pop(), age_seconds=1)

    room.meanwhile = rewrite
    assert "it is being written right now" in room.refused("core", "signal-invalid")
    assert len(room.pauses) == 3


def test_the_same_bytes_written_again_are_not_settled(room: Room) -> None:
    room.put("core.csv", GOOD, age_seconds=1)
    ages = iter([0.9, 0.8, 0.7])
    room.meanwhile = lambda: room.put("core.csv", GOOD, age_seconds=next(ages))
    room.refused("core", "signal-invalid")


def test_our_own_files_are_not_waited_for(room: Room) -> None:
    room.put("core.csv", GOOD, age_seconds=0.01)
    assert room.read("core", generator="momentum.py").flags == ()
    assert room.pauses == []


def test_a_file_from_the_future_is_not_waited_for(room: Room) -> None:
    room.put("core.csv", GOOD, age_seconds=-3600)
    assert room.read("core").flags == ()
    assert room.pauses == []


def test_a_link_within_the_folder_is_followed(room: Room) -> None:
    room.put("v2.csv", GOOD)
    (room.folder / "core.csv").symlink_to("v2.csv")
    assert room.read("core").flags == ()


def test_a_link_out_of_the_folder_is_not(room: Room, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(GOOD)
    (room.folder / "core.csv").symlink_to("../secret")
    assert "a link that leads out" in room.refused("core", "signal-invalid")
    assert not room.runs.exists()


def test_a_link_to_nothing_is_a_missing_file(room: Room) -> None:
    (room.folder / "core.csv").symlink_to("gone.csv")
    room.refused("core", "signal-missing")


def test_links_in_a_circle_are_refused(room: Room) -> None:
    (room.folder / "core.csv").symlink_to("other.csv")
    (room.folder / "other.csv").symlink_to("core.csv")
    assert "cannot be read" in room.refused("core", "signal-invalid")


def test_a_folder_or_a_pipe_is_no_signal_file(room: Room) -> None:
    (room.folder / "core.csv").mkdir()
    room.refused("core", "signal-invalid")
    os.mkfifo(room.folder / "pipe.csv")
    assert "it is not a file" in room.refused("pipe", "signal-invalid")


def test_a_sleeve_name_cannot_leave_the_folder(room: Room, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(GOOD)
    assert "a name has letters" in room.refused("../secret", "signal-invalid")

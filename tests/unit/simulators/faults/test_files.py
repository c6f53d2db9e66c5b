"""Files break as their troubles say, and leave what a real disk would leave."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.errors import StateError
from rebalancer.rehearsal.observer.watch import _WatchedFiles
from rebalancer.simulators.faults.files import BreakableFiles
from rebalancer.simulators.faults.hours import Trouble
from rebalancer.simulators.faults.killed import Killed
from rebalancer.store.atomic import Files
from tests.unit.simulators.faults.rigs import Rig, rig

LINE = b'{"kind":"intents","orders":[]}\n'


def broken(*troubles: Trouble) -> tuple[Rig, Files]:
    """Return files with these troubles."""
    made = rig(*troubles)
    return made, made.injector.files(Files())


def everything(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_files_without_troubles_are_as_they_were(tmp_path: Path) -> None:
    _, files = broken()
    path = tmp_path / "deep" / "a.jsonl"
    files.append(path, LINE)
    files.append(path, LINE, durable=False)
    assert files.read(path) == LINE * 2
    files.replace(path, b"new")
    assert (files.exists(path), files.listing(path.parent)) == (True, ("a.jsonl",))
    files.remove(path)
    assert everything(path.parent) == {}


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("kill-file-before", {"a.jsonl": b"old\n"}),
        ("kill-file-torn", {"a.jsonl": b"old\n" + LINE[: len(LINE) // 2]}),
        ("kill-file-after", {"a.jsonl": b"old\n" + LINE}),
    ],
)
def test_a_kill_leaves_none_half_or_all_of_a_line(
    tmp_path: Path, fault: str, left: dict[str, bytes]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"old\n")
    made, files = broken(Trouble(fault, at="append a.jsonl:intents"))
    with pytest.raises(Killed):
        files.append(path, LINE)
    assert everything(tmp_path) == left
    assert made.hits == {(fault, 7): 1}


@pytest.mark.parametrize(
    ("fault", "whole", "temporary"),
    [
        ("kill-file-before", b"old", False),
        ("kill-file-torn", b"old", True),
        ("kill-file-after", b"brand-new", False),
    ],
)
def test_a_kill_leaves_a_replaced_file_all_old_or_all_new(
    tmp_path: Path, fault: str, whole: bytes, temporary: bool
) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b"old")
    _, files = broken(Trouble(fault))
    with pytest.raises(Killed):
        files.replace(path, b"brand-new")
    left = everything(tmp_path)
    assert left.pop("record.json") == whole
    assert list(left.values()) == ([b"bran"] if temporary else [])
    assert Files().listing(tmp_path) == ("record.json",)


def test_a_pulled_plug_takes_back_what_was_not_synced(tmp_path: Path) -> None:
    log, other, new = (tmp_path / name for name in ("a.jsonl", "b.jsonl", "c.jsonl"))
    log.write_bytes(b"old\n")
    made, files = broken(Trouble("kill-file-unsynced", at="replace record.json"))
    files.append(log, b"synced\n")
    files.append(log, b"lost\n", durable=False)
    files.append(other, b"carried along\n", durable=False)
    files.append(other, b"synced\n")
    files.append(new, b"lost\n", durable=False)
    files.append(log, b"lost too\n", durable=False)
    with pytest.raises(Killed):
        files.replace(tmp_path / "record.json", b"whole")
    assert everything(tmp_path) == {
        "a.jsonl": b"old\nsynced\n",
        "b.jsonl": b"carried along\nsynced\n",
        "c.jsonl": b"",
        "record.json": b"whole",
    }
    assert made.hits == {("kill-file-unsynced", 7): 1}


def test_a_plug_that_is_not_pulled_loses_nothing(tmp_path: Path) -> None:
    _, files = broken(Trouble("kill-file-after", at="replace record.json"))
    files.append(tmp_path / "a.jsonl", LINE, durable=False)
    with pytest.raises(Killed):
        files.replace(tmp_path / "record.json", b"whole")
    assert everything(tmp_path)["a.jsonl"] == LINE


@pytest.mark.parametrize("stands_before", [BreakableFiles, _WatchedFiles])
def test_no_operation_goes_past_those_that_stand_before_the_files(stands_before: type) -> None:
    public = {name for name in vars(Files) if not name.startswith("_")}
    assert {"replace", "append", "remove", "remove_folder"} < public
    assert public <= set(vars(stands_before))


def test_a_folder_is_removed_by_nobody_who_is_dead(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    made, files = broken(Trouble("kill-file-before", at="remove_folder empty"))
    with pytest.raises(Killed):
        files.remove_folder(folder)
    assert folder.is_dir()
    assert made.hits == {("kill-file-before", 7): 1}
    _, living = broken()
    living.remove_folder(folder)
    assert not folder.exists()


def test_after_a_kill_nothing_is_written_removed_or_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    made, files = broken(Trouble("kill-file-before", at="replace b"))
    with pytest.raises(Killed):
        files.replace(tmp_path / "b", b"")
    operations: list[Callable[[], object]] = [
        lambda: files.append(path, LINE),
        lambda: files.replace(path, LINE),
        lambda: files.remove(path),
        lambda: files.remove_folder(tmp_path),
        lambda: files.make_folder(tmp_path / "c"),
        lambda: files.read(path),
        lambda: files.exists(path),
        lambda: files.listing(tmp_path),
    ]
    for do in operations:
        with pytest.raises(Killed):
            do()
    assert everything(tmp_path) == {"a": b"old"}
    assert sum(made.hits.values()) == 1


@pytest.mark.parametrize(
    ("fault", "code"), [("disk-full", errno.ENOSPC), ("disk-read-only", errno.EROFS)]
)
def test_a_disk_that_is_full_or_read_only_stays_so(tmp_path: Path, fault: str, code: int) -> None:
    path = tmp_path / "a"
    made, files = broken(Trouble(fault, nth=2))
    files.replace(path, b"first")
    operations: list[Callable[[], object]] = [
        lambda: files.replace(path, b"second"),
        lambda: files.append(path, b"third"),
        lambda: files.make_folder(tmp_path / "b"),
    ]
    for do in operations:
        with pytest.raises(StateError, match="made up") as caught:
            do()
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == code
        assert made.injector.raised(caught.value)
    assert files.read(path) == b"first"
    assert everything(tmp_path) == {"a": b"first"}
    assert made.hits == {(fault, 7): 1}


@pytest.mark.parametrize(
    ("fault", "left"), [("disk-error", b"old"), ("disk-torn", b"old" + LINE[: len(LINE) // 2])]
)
def test_one_write_fails_and_the_next_one_does_not(tmp_path: Path, fault: str, left: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    _, files = broken(Trouble(fault))
    with pytest.raises(StateError) as caught:
        files.append(path, LINE)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.EIO
    assert path.read_bytes() == left
    files.append(path, b"next")
    assert path.read_bytes() == left + b"next"


def test_a_file_that_cannot_be_read_is_there_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    made, files = broken(Trouble("read-error", at="read a"))
    with pytest.raises(StateError):
        files.read(path)
    assert files.read(path) == b"old"
    assert made.hits == {("read-error", 7): 1}


def test_a_folder_that_is_there_is_no_occasion(tmp_path: Path) -> None:
    made, files = broken(Trouble("kill-file-before", at="make_folder *"))
    files.make_folder(tmp_path)
    assert not made.hits
    with pytest.raises(Killed):
        files.make_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@given(content=st.binary(max_size=80))
def test_the_name_of_an_occasion_can_be_told_for_any_content(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    _, files = broken()
    assert isinstance(files, BreakableFiles)
    files.append(folder / "a.jsonl", content)
    assert files.read(folder / "a.jsonl") == content

"""Files of lines survive a pulled plug at their end, and nothing else is excused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rebalancer.errors import NewerState, StateError
from rebalancer.store.atomic import Files
from rebalancer.store.journal import JsonLines

LAST = b'{"kind":"sent","n":2}\n'


def three(path: Path) -> Path:
    lines = JsonLines(Files(), path)
    lines.append([{"kind": "begin", "n": 0}, {"kind": "intents", "n": 1}], durable=True)
    lines.append([{"kind": "sent", "n": 2}], durable=False)
    return path


def numbers(path: Path) -> list[int]:
    return [line["n"] for line in JsonLines(Files(), path).lines()]


def test_the_first_line_says_the_version_and_is_no_fact(tmp_path: Path) -> None:
    path = three(tmp_path / "journal.jsonl")
    assert path.read_bytes() == (
        b'{"schema":2}\n{"kind":"begin","n":0}\n{"kind":"intents","n":1}\n' + LAST
    )
    assert numbers(path) == [0, 1, 2]
    assert JsonLines(Files(), path).lines(2) == ({"kind": "sent", "n": 2},)


@pytest.mark.parametrize("left", range(len(LAST)))
def test_a_torn_end_is_left_out_and_the_next_line_is_whole(tmp_path: Path, left: int) -> None:
    path = three(tmp_path / "journal.jsonl")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - len(LAST) + left])
    assert numbers(path) == [0, 1]
    JsonLines(Files(), path).append([{"n": 9}], durable=True)
    assert numbers(path) == [0, 1, 9]


@pytest.mark.parametrize("content", [b"", b'{"sch', b"\0" * 40])
def test_a_file_without_its_first_line_is_damaged_and_not_empty(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    with pytest.raises(StateError, match="line 1 is damaged"):
        JsonLines(Files(), path).lines()
    with pytest.raises(StateError, match="line 1 is damaged"):
        JsonLines(Files(), path).append([{"n": 1}], durable=True)
    assert path.read_bytes() == content


def test_there_is_nothing_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert JsonLines(Files(), tmp_path / "journal.jsonl").lines() == ()


@pytest.mark.parametrize("damage", [b'{"kind":', b"[1]", b"", b"\0\0\0"])
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, damage: bytes) -> None:
    path = three(tmp_path / "journal.jsonl")
    lines = path.read_bytes().split(b"\n")
    lines[2] = damage
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(StateError, match=r"journal\.jsonl line 3 is damaged .*restore"):
        JsonLines(Files(), path).lines()


def test_a_newer_file_is_not_read_and_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"schema":3}\n{"n":0}\n')
    with pytest.raises(NewerState, match="schema 3; this program knows up to 2"):
        JsonLines(Files(), path).lines()
    with pytest.raises(NewerState):
        JsonLines(Files(), path).append([{"n": 1}], durable=True)
    assert path.read_bytes() == b'{"schema":3}\n{"n":0}\n'


def renamed(line: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"n": line["number"]}


def same(line: Mapping[str, Any]) -> Mapping[str, Any]:
    return line


MIGRATIONS = {"journal.jsonl": {0: renamed, 1: same}}
OLD = b'{"schema":0}\n{"number":4}\n{"number":5}\n'


def test_an_older_file_is_migrated_and_a_copy_of_it_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(OLD)
    assert JsonLines(Files(), path, MIGRATIONS).lines() == ({"n": 4}, {"n": 5})
    assert path.read_bytes() == b'{"schema":2}\n{"n":4}\n{"n":5}\n'
    assert (tmp_path / "journal.jsonl.schema0").read_bytes() == OLD


def test_an_older_file_is_migrated_before_it_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(OLD)
    JsonLines(Files(), path, MIGRATIONS).append([{"n": 6}], durable=True)
    assert numbers(path) == [4, 5, 6]


def test_a_mere_reader_migrates_in_memory_only(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(OLD)
    reader = JsonLines(Files(), path, MIGRATIONS, writable=False)
    assert reader.lines() == ({"n": 4}, {"n": 5})
    assert [each.name for each in tmp_path.iterdir()] == ["journal.jsonl"]
    assert path.read_bytes() == OLD


def test_an_older_file_without_a_way_forward_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(OLD)
    with pytest.raises(StateError, match="schema 0, which cannot be migrated"):
        JsonLines(Files(), path).lines()


def test_after_a_failed_append_the_torn_end_is_cut_before_the_next(tmp_path: Path) -> None:
    class Tearing(Files):
        broken = False

        def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
            if self.broken:
                super().append(path, content[:5], durable=durable)
                raise StateError("the disk is full")
            super().append(path, content, durable=durable)

    files, path = Tearing(), tmp_path / "journal.jsonl"
    lines = JsonLines(files, path)
    lines.append([{"n": 1}], durable=True)
    files.broken = True
    with pytest.raises(StateError):
        lines.append([{"n": 2}], durable=True)
    files.broken = False
    lines.append([{"n": 3}], durable=True)
    assert numbers(path) == [1, 3]

"""Old runs are packed, a few at once, and nothing of them is lost."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rebalancer.errors import StateError
from rebalancer.store.atomic import Files
from rebalancer.store.packing import MOST_AT_ONCE, old_runs, pack_run

NOW = datetime(2020, 6, 1, 15, 5, tzinfo=UTC)


def a_run(root: Path, name: str = "2020-01-02T1505Z") -> Path:
    folder = root / "runs" / name
    (folder / "signals").mkdir(parents=True)
    (folder / "record.json").write_bytes(b'{"schema": 1}\n')
    (folder / "journal.jsonl").write_bytes(b'{"kind": "begin"}\n')
    (folder / "signals" / "hand.csv").write_bytes(b"CASH,1\n")
    return folder


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes()), mode="r:gz") as opened:
        return {m.name: (opened.extractfile(m) or io.BytesIO()).read() for m in opened}


def test_a_packed_run_is_one_archive_with_every_file_and_no_folder(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    archive = pack_run(Files(), folder)
    assert not folder.exists()
    assert archive == tmp_path / "runs" / "packed" / "2020-01-02T1505Z.tar.gz"
    assert members(archive) == {
        "2020-01-02T1505Z/journal.jsonl": b'{"kind": "begin"}\n',
        "2020-01-02T1505Z/record.json": b'{"schema": 1}\n',
        "2020-01-02T1505Z/signals/hand.csv": b"CASH,1\n",
    }


def test_the_same_run_packs_to_the_same_bytes(tmp_path: Path) -> None:
    first = pack_run(Files(), a_run(tmp_path / "a")).read_bytes()
    assert first == pack_run(Files(), a_run(tmp_path / "b")).read_bytes()


class BreaksWhileRemoving(Files):
    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def remove(self, path: Path) -> None:
        if not self.left:
            raise StateError("the plug was pulled")
        self.left -= 1
        super().remove(path)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_pulled_plug_while_packing_loses_nothing(tmp_path: Path, after: int) -> None:
    folder = a_run(tmp_path)
    with pytest.raises(StateError):
        pack_run(BreaksWhileRemoving(after), folder)
    assert (folder / "record.json").exists()
    archive = pack_run(Files(), folder)
    assert not folder.exists()
    assert len(members(archive)) == 3


def test_only_runs_before_the_time_are_old_and_only_so_many_at_once() -> None:
    slots = [(NOW - timedelta(days=day), Path(str(day))) for day in range(200)]
    found = old_runs(slots, NOW - timedelta(days=90))
    assert found[0] == Path("199")
    assert len(found) == MOST_AT_ONCE
    assert old_runs(slots, NOW - timedelta(days=300)) == []

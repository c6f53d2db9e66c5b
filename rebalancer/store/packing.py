"""Old runs become one small file each; nothing of them is lost."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rebalancer.store.atomic import Files

PACKED = "packed"
MOST_AT_ONCE = 50
"""How many runs are packed in one go: the time of a run is bounded."""


def pack_run(files: Files, folder: Path) -> Path:
    """Pack a run's folder into `packed/<slot>.tar.gz` beside it and remove the folder.

    The archive is complete on disk before anything is removed; killed in between, the next
    call makes the same archive again from what is left only if `record.json`, which goes
    last, is still there.
    """
    target = folder.parent / PACKED / f"{folder.name}.tar.gz"
    contents = list(_contents(files, folder))
    if not files.exists(target):
        files.replace(target, _archive(folder.name, contents))
    for path, _ in sorted(contents, key=lambda item: item[0].name == "record.json"):
        files.remove(path)
    for inner in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        inner.rmdir()
    folder.rmdir()
    return target


def old_runs(slots: list[tuple[datetime, Path]], before: datetime) -> list[Path]:
    """Return the folders of the runs before a time, oldest first, at most `MOST_AT_ONCE`."""
    return [folder for slot, folder in sorted(slots) if slot < before][:MOST_AT_ONCE]


def _contents(files: Files, folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, files.read(path)


def _archive(name: str, contents: list[tuple[Path, bytes]]) -> bytes:
    """Return a gzipped tar whose bytes depend on the contents only."""
    import tarfile  # noqa: PLC0415 - few runs pack anything, all of them import this module

    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in contents:
            parts = path.parts[path.parts.index(name) :]
            member = tarfile.TarInfo("/".join(parts))
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(inner.getvalue(), mtime=0)

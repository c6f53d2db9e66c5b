"""Old runs become one small file each; nothing of them is lost, and all can still be read."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rebalancer.errors import StateError
from rebalancer.store.atomic import Files
from rebalancer.store.schema import RESTORE

PACKED = "packed"
_ENDING = ".tar.gz"
MOST_AT_ONCE = 50
"""How many runs are packed in one go: the time of a run is bounded."""


def pack_run(files: Files, folder: Path) -> Path:
    """Pack a run's folder into `packed/<slot>.tar.gz` beside it and remove the folder.

    The archive is complete on disk before anything is removed; killed in between, the next
    call makes the same archive again from what is left only if `record.json`, which goes
    last, is still there.
    """
    target = archive_of(folder)
    contents = list(_contents(files, folder))
    if not files.exists(target):
        files.replace(target, _archive(folder.name, contents))
    for path, _ in sorted(contents, key=lambda item: item[0].name == "record.json"):
        files.remove(path)
    for inner in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        files.remove_folder(inner)
    files.remove_folder(folder)
    return target


def archive_of(folder: Path) -> Path:
    """Return where a run's folder is packed to, whether or not it is."""
    return folder.parent / PACKED / f"{folder.name}{_ENDING}"


def packed_names(files: Files, runs: Path) -> tuple[str, ...]:
    """Return the names of the runs that are packed, in the order of their slots."""
    names = files.listing(runs / PACKED)
    return tuple(sorted(name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)))


class PackedRun(Files):
    """The files of a packed run, to be read as if they lay in a folder of the archive's name.

    A file of a run that is not packed does not exist. Raises `StateError` for an archive that
    is damaged. It is for reading only.
    """

    def __init__(self, files: Files, archive: Path) -> None:
        super().__init__()
        self._files, self._archive = files, archive
        self._known: dict[Path, bytes] | None = None

    def exists(self, path: Path) -> bool:
        """Return whether the archive has this file."""
        return path in self._members()

    def read(self, path: Path) -> bytes:
        """Return a file's content; one that is not there is an error."""
        members = self._members()
        if path not in members:
            raise StateError(f"cannot read {path}: the archive does not have it; {RESTORE}")
        return members[path]

    def _members(self) -> dict[Path, bytes]:
        if self._known is None:
            packed = self._files.exists(self._archive)
            content = self._files.read(self._archive) if packed else b""
            self._known = _opened(self._archive, content) if packed else {}
        return self._known


def old_runs(slots: list[tuple[datetime, Path]], before: datetime) -> list[Path]:
    """Return the folders of the runs before a time, oldest first, at most `MOST_AT_ONCE`."""
    return [folder for slot, folder in sorted(slots) if slot < before][:MOST_AT_ONCE]


def _contents(files: Files, folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, files.read(path)


def _opened(path: Path, content: bytes) -> dict[Path, bytes]:
    import tarfile  # noqa: PLC0415 - few runs read what is packed, all import this module

    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive.getmembers():
                inner = archive.extractfile(member)
                if inner is not None:
                    found[path.joinpath(*member.name.split("/")[1:])] = inner.read()
    except (tarfile.TarError, OSError, EOFError, KeyError, ValueError, zlib.error) as error:
        raise StateError(f"{path} is damaged ({error}); {RESTORE}") from error
    return found


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

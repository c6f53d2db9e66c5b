"""Files that break: killed while they are written, on a full, a read-only or a broken disk.

What is replaced is on the disk when `replace` returns; what is appended without `durable` is
not, and a pulled plug takes it back to where the file was last synced.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.store.atomic import Files, FileTrouble

if TYPE_CHECKING:
    from rebalancer.simulators.faults.hours import Trouble
    from rebalancer.simulators.faults.injection import Injector

LASTING = {"disk-full": errno.ENOSPC, "disk-read-only": errno.EROFS}
"""Once struck, every write fails to the end of the run."""

UNSYNCED = "kill-file-unsynced"
"""The plug is pulled: what the disk was not asked to keep is gone."""


class BreakableFiles(Files):
    """Files of one run; an occasion is called "append journal.jsonl:intents", "replace x.json".

    After the colon stands the `kind` of the line that is appended, where it has one.
    """

    def __init__(self, injector: Injector, inner: Files) -> None:
        self._injector, self._inner = injector, inner
        self._lasting = 0
        self._kept: dict[Path, int] = {}
        """Up to where files have been synced, of those that have grown by more than that."""

    def replace(self, path: Path, content: bytes) -> None:
        """Put content at a path, or what is left of it after a kill."""
        name = f"replace {path.name}"
        torn = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        kill = self._before(name, path, torn, content)
        self._inner.replace(path, content)
        self._kept.pop(path, None)
        self._after(name, kill)

    def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        """Add content to a file, or what is left of it after a kill."""
        name = f"append {path.name}{_kind(path, content)}"
        kill = self._before(name, path, path, content)
        size = path.stat().st_size if self._inner.exists(path) else 0
        self._inner.append(path, content, durable=durable)
        if durable:
            self._kept.pop(path, None)
        elif content:  # a database syncs for itself what it writes behind our back
            self._kept.setdefault(path, size)
        self._after(name, kill)

    def make_folder(self, path: Path) -> None:
        """Make a folder, unless it is there: then nothing can go wrong."""
        if self._injector.dead or not self._inner.exists(path):
            kill = self._before(f"make_folder {path.name}", path, None, b"")
            self._inner.make_folder(path)
            self._after(f"make_folder {path.name}", kill)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        kill = self._before(f"remove {path.name}", path, None, b"")
        self._inner.remove(path)
        self._kept.pop(path, None)
        self._after(f"remove {path.name}", kill)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        kill = self._before(f"remove_folder {path.name}", path, None, b"")
        self._inner.remove_folder(path)
        self._after(f"remove_folder {path.name}", kill)

    def read(self, path: Path) -> bytes:
        """Return a file's content."""
        self._reads(f"read {path.name}", path)
        return self._inner.read(path)

    def exists(self, path: Path) -> bool:
        """Return whether something is at a path."""
        self._injector.require_alive()
        return self._inner.exists(path)

    def require_no_folder(self, path: Path) -> None:
        """Raise when a folder stands where a file is to be written."""
        self._injector.require_alive()
        self._inner.require_no_folder(path)

    def listing(self, folder: Path) -> tuple[str, ...]:
        """Return the names in a folder."""
        self._reads(f"listing {folder.name}", folder)
        return self._inner.listing(folder)

    # ------------------------------------------------------------------ inside

    def _before(self, name: str, path: Path, torn: Path | None, content: bytes) -> Trouble | None:
        """Bring about what comes before a write; return the kill that comes after it."""
        injector = self._injector
        injector.require_alive()
        for trouble in injector.due("file", name):
            injector.hit(trouble.fault, name)
            self._lasting = LASTING.get(trouble.fault, self._lasting)
            if trouble.fault == "disk-torn" and torn is not None:
                _half(torn, content)
                raise self._trouble(name, path, errno.EIO)
            if trouble.fault not in LASTING:
                raise self._trouble(name, path, errno.EIO)
        if self._lasting:
            raise self._trouble(name, path, self._lasting)
        after = None
        for trouble in injector.due("kill-file", name):
            if trouble.fault in ("kill-file-after", UNSYNCED):
                after = trouble
                continue
            if trouble.fault == "kill-file-torn" and torn is not None:
                _half(torn, content)
            injector.kill(trouble.fault, name)
        return after

    def _after(self, name: str, kill: Trouble | None) -> None:
        if kill is None:
            return
        if kill.fault == UNSYNCED:
            for path, size in self._kept.items():
                os.truncate(path, size)
        self._injector.kill(kill.fault, name)

    def _reads(self, name: str, path: Path) -> None:
        self._injector.require_alive()
        for trouble in self._injector.due("read", name):
            self._injector.hit(trouble.fault, name)
            raise self._trouble(name, path, errno.EIO)

    def _trouble(self, name: str, path: Path, code: int) -> FileTrouble:
        verb = name.partition(" ")[0]
        trouble = FileTrouble(f"cannot {verb} {path}: {os.strerror(code)} (made up)")
        trouble.errno = code
        self._injector.raising(trouble)
        return trouble


def _kind(path: Path, content: bytes) -> str:
    """Return the kind of the first line that is appended, after a colon; '' without one."""
    if path.suffix != ".jsonl":
        return ""
    try:
        kind = json.loads(content.split(b"\n", 1)[0]).get("kind", "")
    except (ValueError, AttributeError):
        return ""
    return f":{kind}" if kind else ""


def _half(path: Path, content: bytes) -> None:
    """Leave the first half of the bytes, as a write does that was cut short."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, content[: max(1, len(content) // 2)])
    finally:
        os.close(handle)

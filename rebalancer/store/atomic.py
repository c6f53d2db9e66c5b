"""The one way to the disk: files are replaced in one piece or appended to, never rewritten."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rebalancer.errors import StateError

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the disk is read-only; mount it so that it can be written",
    errno.EACCES: "permission denied; give the folder to the user that runs this program",
    errno.EPERM: "permission denied; give the folder to the user that runs this program",
    errno.ENOENT: "there is no such file or folder; restore it",
    errno.ENOTDIR: "a file stands where a folder should be; move it away",
    errno.EISDIR: "a folder stands where a file should be; move it away",
    errno.ELOOP: "it is a symbolic link; put the file itself there",
    errno.EIO: "the disk reports an error; check it before anything is written again",
    errno.EMFILE: "too many files are open; raise the limit of open files",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter path",
}


class FileTrouble(StateError, OSError):
    """The disk refused something; an `OSError` too, for rooms that know nothing of state."""


class Files:
    """Writes, reads and lists files; fault campaigns put their own in its place.

    Every `OSError` becomes a `FileTrouble`, a `StateError` that names the file and what to
    do. New files are for the owner alone (0600), folders too (0700).
    """

    def replace(self, path: Path, content: bytes) -> None:
        """Put `content` at `path`: afterwards, and after a pulled plug, all old or all new.

        Makes the folder when there is none.
        """
        self.make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with _telling(path, "write"):
            try:
                self._write(temporary, content)
                temporary.replace(path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            _sync_folder(path.parent)

    def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        """Add `content` to the end of a file in one write; `durable` waits for the disk.

        Makes file and folder when there are none. A write that the disk cuts short is taken
        back as far as the disk allows.
        """
        if new := not self.exists(path):
            self.make_folder(path.parent)
        with _telling(path, "append to"):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            handle = os.open(path, flags, 0o600)
            try:
                _write_or_take_back(handle, content)
                if durable:
                    _sync(handle)
            finally:
                os.close(handle)
            if new:
                _sync_folder(path.parent)

    def read(self, path: Path) -> bytes:
        """Return a file's content; a missing file is an error (ask `exists` before)."""
        with _telling(path, "read"):
            return path.read_bytes()

    def exists(self, path: Path) -> bool:
        """Return whether something is at `path`; not knowing is an error."""
        with _telling(path, "look at"):
            try:
                path.lstat()
            except FileNotFoundError:
                return False
            return True

    def require_no_folder(self, path: Path) -> None:
        """Raise when a folder stands where a file is to be written; nothing there is fine."""
        with _telling(path, "write"):
            try:
                found = path.lstat().st_mode
            except FileNotFoundError:
                return
            if stat.S_ISDIR(found):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))

    def listing(self, folder: Path) -> tuple[str, ...]:
        """Return the names in a folder, sorted, without hidden ones; () for a missing folder."""
        with _telling(folder, "list"):
            try:
                names = os.listdir(folder)  # noqa: PTH208 - as quick as it gets, names only
            except FileNotFoundError:
                return ()
        return tuple(sorted(name for name in names if not name.startswith(".")))

    def make_folder(self, path: Path) -> None:
        """Make a folder and the folders above it, where they are missing."""
        with _telling(path, "make"):
            if _is_folder(path):
                return
            self.make_folder(path.parent)
            with suppress(FileExistsError):
                path.mkdir(mode=0o700)
                _sync_folder(path.parent)
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def remove(self, path: Path) -> None:
        """Remove a file; a missing one is fine."""
        with _telling(path, "remove"):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _sync_folder(path.parent)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder; a missing one is fine."""
        with _telling(path, "remove"):
            try:
                path.rmdir()
            except FileNotFoundError:
                return
            _sync_folder(path.parent)

    def _write(self, path: Path, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(path, flags, 0o600)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(handle, rest) :]
            _sync(handle)
        finally:
            os.close(handle)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _write_or_take_back(handle: int, content: bytes) -> None:
    before = os.fstat(handle).st_size
    try:
        if os.write(handle, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, before)
        raise


def _sync(handle: int) -> None:
    """Wait until the disk has a file (macOS: its plates, not only its memory)."""
    full: int | None = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with suppress(OSError):
            fcntl.fcntl(handle, full)
            return
    os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _telling(path: Path, what: str) -> Iterator[None]:
    """Turn an `OSError` into a `FileTrouble` about `path`."""
    try:
        yield
    except FileTrouble:
        raise
    except OSError as error:
        reason = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        trouble = FileTrouble(f"cannot {what} {path}: {reason}")
        trouble.errno = error.errno
        raise trouble from error

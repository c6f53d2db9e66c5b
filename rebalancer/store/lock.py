"""One run at a time: a lock for each portfolio and one for each venue account.

The operating system frees a lock when its process ends, however it ends; so a lock is never
broken by us, and what its file says is only for people.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from rebalancer.errors import LockBusy, LockHung, StateError
from rebalancer.model.records import SCHEMA
from rebalancer.store.atomic import Files

NAME = "lock"
FOLDER_VARIABLE = "REBALANCER_LOCKS"
"""Environment variable that names the folder of the account locks."""

TRIES = 3
"""How often a lock is tried for: `status` may hold it for a moment, to look."""

_PAUSE_SECONDS = 0.02
_MOST_BYTES = 4096


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as its file says; times are ISO 8601 in UTC."""

    pid: int
    host: str
    started: str
    deadline: str

    def __str__(self) -> str:
        """Return it in words."""
        return (
            f"process {self.pid} on {self.host}, at work since {self.started}, "
            f"to be done by {self.deadline}"
        )


@contextmanager
def portfolio_lock(folder: Path, until: float, now: float, *, tries: int = TRIES) -> Iterator[None]:
    """Hold the lock of a portfolio's state folder while the context lasts.

    `until` is this run's deadline and `now` the wall time, in seconds since 1970. Raises
    `LockBusy` at once when another run holds it, `LockHung` when that run is past its own
    deadline, `StateError` when the file cannot be used.
    """
    with _held(folder / NAME, f"the portfolio in {folder}", until, now, tries):
        yield


@contextmanager
def account_lock(venue: str, account: str, until: float, now: float) -> Iterator[None]:
    """Hold the lock of a venue account, one per user of this machine; raises the same."""
    with _held(account_lock_path(venue, account), f"the account at {venue}", until, now, TRIES):
        yield


def account_lock_path(venue: str, account: str) -> Path:
    """Return the file that locks an account, whatever configuration names the account.

    It carries a hash of the account id, not the id.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    state_home = os.environ.get("XDG_STATE_HOME")
    home = Path(state_home) if state_home else Path.home() / ".local" / "state"
    folder = Path(chosen) if chosen else home / "rebalancer" / "locks"
    name = re.sub(r"[^a-z0-9]+", "-", venue.lower())
    return folder / f"{name}-{sha256(account.encode()).hexdigest()[:16]}.lock"


def holder_of(path: Path) -> Holder | None:
    """Return who holds the lock file `path` now; None when nobody does.

    Raises `StateError` when the file cannot be looked at.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"cannot look at {path}: {error.strerror}") from error
    try:
        # A run that starts in this very moment tries again (`_taken`).
        if _taken(handle, fcntl.LOCK_SH, tries=1):
            return None
        return _told(handle) or Holder(0, "this machine", "just now", "an unknown time")
    finally:
        os.close(handle)


@contextmanager
def _held(path: Path, what: str, until: float, now: float, tries: int) -> Iterator[None]:
    handle = _opened(path)
    try:
        if not _taken(handle, fcntl.LOCK_EX, tries=tries):
            raise _refusal(handle, what, now)
        _tell(handle, until, now)
        yield
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        Files().make_folder(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except StateError as error:
        raise StateError(f"cannot use the lock {path}: {error}") from error
    except OSError as error:
        raise StateError(f"cannot use the lock {path}: {error.strerror}") from error


def _taken(handle: int, kind: int, *, tries: int) -> bool:
    """Return whether the lock was free; tries again for a moment, because `status` may look."""
    for attempt in range(tries):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise StateError(f"this file system cannot lock: {error.strerror}") from error
        else:
            return True
    return False


def _refusal(handle: int, what: str, now: float) -> LockBusy | LockHung:
    holder = _told(handle)
    if holder is None:
        return LockBusy(f"{what} is locked by a run that has just started")
    with suppress(ValueError):
        if datetime.fromisoformat(holder.deadline).timestamp() < now:
            return LockHung(f"{what} is locked by {holder}; it is past that time")
    return LockBusy(f"{what} is locked by {holder}")


def _tell(handle: int, until: float, now: float) -> None:
    """Write into the file who we are; a disk that is full does not matter here."""
    holder = Holder(os.getpid(), socket.gethostname(), _iso(now), _iso(until))
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"schema": SCHEMA} | asdict(holder)).encode() + b"\n", 0)


def _told(handle: int) -> Holder | None:
    try:
        plain = json.loads(os.pread(handle, _MOST_BYTES, 0))
        return Holder(
            int(plain["pid"]), str(plain["host"]), str(plain["started"]), str(plain["deadline"])
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _iso(seconds: float) -> str:
    at = datetime.fromtimestamp(round(seconds), UTC)
    return at.isoformat().replace("+00:00", "Z")

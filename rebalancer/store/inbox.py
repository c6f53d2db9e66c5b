"""The folder of signal files, read as a stranger would: nobody vouches for what is in it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from rebalancer.errors import DataError
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import ErrorFlag, Step
from rebalancer.model.signal_file import (
    LARGEST_FILE,
    StaleSignal,
    parse_signal,
    signal_file_name,
)
from rebalancer.model.signals import Signal
from rebalancer.model.universe import Sleeve
from rebalancer.ports import SignalsRead

SETTLED_AFTER = timedelta(seconds=2)
"""A file that changed less than this ago may still be written: it is read again."""

PAUSE_SECONDS = 0.25
READS = 4
_CONSEQUENCE = "the sleeve keeps its last accepted lots"


class _Files(Protocol):
    def make_folder(self, path: Path, /) -> None: ...
    def replace(self, path: Path, content: bytes, /) -> None: ...


class SignalFolder:
    """Reads `<folder>/<sleeve>.csv` and keeps what it read under `<runs_folder>/<slot>/signals`.

    `wall_now` tells the real time (files carry the real time of their last change, also in
    paper), `pause` waits before a file that may still be written is read again; the files of
    sleeves with a generator of ours are replaced in one piece and need no pause.
    """

    def __init__(
        self,
        folder: Path,
        runs_folder: Path,
        files: _Files,
        wall_now: Callable[[], datetime],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder, self._runs_folder, self._files = folder, runs_folder, files
        self._wall_now, self._pause = wall_now, pause

    def read(self, sleeves: Sequence[Sleeve], now: datetime, slot: datetime) -> SignalsRead:
        """Return the valid signals by sleeve, and one HOLD flag for each sleeve without one."""
        kept = self._runs_folder / f"{slot:%Y-%m-%dT%H%MZ}" / "signals"
        signals: dict[str, Signal] = {}
        flags = []
        for sleeve in sleeves:
            try:
                signals[sleeve.name] = self._signal(sleeve, now, kept)
            except FileNotFoundError:
                flags.append(_flag("signal-missing", sleeve, "there is no such file"))
            except StaleSignal as error:
                flags.append(_flag("signal-stale", sleeve, str(error)))
            except DataError as error:
                flags.append(_flag("signal-invalid", sleeve, str(error)))
        return SignalsRead(signals, tuple(flags))

    def _signal(self, sleeve: Sleeve, now: datetime, kept: Path) -> Signal:
        name = signal_file_name(sleeve.name)
        content = self._settled(name, patient=not sleeve.generator)
        self._files.make_folder(kept)
        self._files.replace(kept / name, content)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"byte {error.start} is not UTF-8") from error
        return parse_signal(text, sleeve, now)

    def _settled(self, name: str, *, patient: bool) -> bytes:
        """Return a file's bytes; one that changed just now must be the same when read again."""
        content, changed = self._bytes(name)
        for _ in range(READS - 1):
            if abs(self._wall_now().timestamp() - changed) > SETTLED_AFTER.total_seconds():
                return content
            if patient:
                self._pause(PAUSE_SECONDS)
            before = content, changed
            content, changed = self._bytes(name)
            if (content, changed) == before:
                return content
        raise DataError("it is being written right now; write another file and rename it")

    def _bytes(self, name: str) -> tuple[bytes, float]:
        """Return a file's bytes and when it last changed (seconds since 1970).

        Raises `FileNotFoundError`, or `DataError` for what is not a plain file of this folder.
        """
        path = self._folder / name
        try:
            if path.is_symlink():
                path = path.resolve(strict=True)
                if path.parent != self._folder.resolve():
                    raise DataError("it is a link that leads out of the folder")
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                about = os.fstat(handle)
                if not stat.S_ISREG(about.st_mode):
                    raise DataError("it is not a file")
                content = file.read(LARGEST_FILE + 1)
                after = os.fstat(handle)
        except FileNotFoundError:
            raise
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle (3.11, 3.12)
            raise DataError(f"it cannot be read: {error}") from error
        if len(content) > LARGEST_FILE:
            raise DataError(f"it is longer than {LARGEST_FILE} bytes")
        return content, max(about.st_mtime, after.st_mtime)


def _flag(code: str, sleeve: Sleeve, why: str) -> ErrorFlag:
    message = f"signals/{sleeve.name}.csv: {why}; {_CONSEQUENCE}"
    severity = FLAG_TABLE[code].severity
    return ErrorFlag(Step.TARGETS, code, f"sleeve:{sleeve.name}", severity, message)


class SplitInbox:
    """Two folders of signal files: `own` for sleeves with a generator, `others` for the rest."""

    def __init__(self, own: SignalFolder, others: SignalFolder) -> None:
        self._own, self._others = own, others

    def read(self, sleeves: Sequence[Sleeve], now: datetime, slot: datetime) -> SignalsRead:
        """Return what each sleeve's folder has."""
        own = self._own.read([s for s in sleeves if s.generator], now, slot)
        others = self._others.read([s for s in sleeves if not s.generator], now, slot)
        return SignalsRead({**own.signals, **others.signals}, (*own.flags, *others.flags))

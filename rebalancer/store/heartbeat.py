"""The file `heartbeat` of a state folder: a run began, and how the last one ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rebalancer.errors import DataError, NewerState, StateError
from rebalancer.model.codec import from_plain, to_json, to_plain
from rebalancer.model.heartbeat import GOOD_CODES, Heartbeat
from rebalancer.model.records import SCHEMA
from rebalancer.store.atomic import Files
from rebalancer.store.schema import RESTORE, read_object

HEARTBEAT = "heartbeat"


def read_heartbeat(files: Files, folder: Path) -> Heartbeat | None:
    """Return what the last run said, None when none ever did.

    A file that only says when a run began (older programs) is read too. Raises `StateError`
    for a damaged file and `NewerState` for a newer one.
    """
    path = folder / HEARTBEAT
    if not files.exists(path):
        return None
    plain = {key: each for key, each in read_object(files, path, keep=False).items()
             if key != "schema"}  # fmt: skip
    try:
        return from_plain(Heartbeat, plain, str(path))
    except DataError as error:
        raise StateError(f"{error}; the file is damaged: {RESTORE}") from error


def write_heartbeat(files: Files, folder: Path, beat: Heartbeat) -> None:
    """Replace what the last run said."""
    text = to_json({"schema": SCHEMA} | to_plain(beat))
    files.replace(folder / HEARTBEAT, f"{text}\n".encode("ascii"))


class Pulse:
    """The heartbeat of one run: written when it begins and when it ends."""

    def __init__(self, files: Files, folder: Path) -> None:
        self._files, self._folder = files, folder
        self._beat: Heartbeat | None = None

    def begin(self, at: datetime) -> None:
        """Say that a run began; what is known of those before stays. Raises `StateError`.

        What cannot be read any more is forgotten: a run does not end for want of it.
        """
        try:
            before = read_heartbeat(self._files, self._folder)
        except NewerState:
            raise
        except StateError:
            before = None
        self._beat = Heartbeat(at) if before is None else replace(before, at=at)
        write_heartbeat(self._files, self._folder, self._beat)

    def end(self, at: datetime, outcome: str, exit_code: int) -> None:
        """Say how it ended; never raises: the run is over whatever the disk says."""
        if self._beat is None:
            return
        good = at if exit_code in GOOD_CODES else self._beat.good
        ended = replace(self._beat, ended=at, outcome=outcome, exit_code=exit_code, good=good)
        try:
            write_heartbeat(self._files, self._folder, ended)
        except StateError:
            return

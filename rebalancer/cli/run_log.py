"""`log.jsonl` of a run: when each step began on the wall clock, and what libraries warned of."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rebalancer.errors import StateError
from rebalancer.model.secret import masked
from rebalancer.store.atomic import Files

NAME = "log.jsonl"
OURS = "rebalancer"
LONGEST_MESSAGE = 2000


class JsonLines(logging.Handler):
    """Appends one JSON object a message: `at` (UTC), `level`, `logger`, `message`.

    Of our own loggers everything from INFO, of libraries' from WARNING. A log that cannot be
    written never stops a run.
    """

    def __init__(self, path: Path, files: Files) -> None:
        super().__init__(logging.INFO)
        self._path, self._files = path, files

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        ours = record.name.partition(".")[0] == OURS
        if record.levelno < (logging.INFO if ours else logging.WARNING):
            return
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage())[:LONGEST_MESSAGE],
        }
        try:
            content = json.dumps(line).encode("ascii") + b"\n"
            self._files.append(self._path, content, durable=False)
        except StateError:
            return


@contextmanager
def run_log(folder: Path, files: Files | None = None) -> Iterator[None]:
    """Write the log of a run into its folder while the context lasts."""
    handler = JsonLines(folder / NAME, files or Files())
    root, ours = logging.getLogger(), logging.getLogger(OURS)
    before = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(before)
        root.removeHandler(handler)

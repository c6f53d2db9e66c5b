"""Files of JSON lines that only grow: the first line says the version, each other is a fact.

A line counts when its newline is on the disk. What follows the last newline is the torn end
of a write that never returned: readers leave it out, and the next writer cuts it off.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rebalancer.errors import StateError
from rebalancer.model.codec import to_json
from rebalancer.model.records import SCHEMA
from rebalancer.store.atomic import Files
from rebalancer.store.schema import (
    MIGRATIONS,
    RESTORE,
    Migrations,
    check_version,
    keep_older,
    migrated,
)

_HEADER = to_json({"schema": SCHEMA}).encode("ascii")


class JsonLines:
    """One file of JSON lines.

    `writable` False (somebody else's folder): nothing is written, neither lines nor what a
    migration gives. `trouble` says what is wrong with a line, '' for nothing.
    """

    def __init__(
        self,
        files: Files,
        path: Path,
        migrations: Migrations = MIGRATIONS,
        *,
        writable: bool = True,
        trouble: Callable[[Mapping[str, Any]], str] = lambda _line: "",
    ) -> None:
        self._files, self._path, self._migrations = files, path, migrations
        self._writable, self._trouble = writable, trouble
        self._sound: set[bytes] = set()
        self._ready = False

    def raw(self) -> list[bytes]:
        """Return the complete lines as bytes, without the header; [] when there is no file.

        Raises `NewerState`, `StateError`.
        """
        if not self._files.exists(self._path):
            return []
        content = self._files.read(self._path)
        lines = content.split(b"\n")
        lines.pop()  # nothing, or a torn end
        if not lines:  # the first line is written in one piece: it cannot be torn
            raise self._damaged(1, "not a whole line")
        version = check_version(self._object(lines[0], 1).get("schema"), self._path)
        if version == SCHEMA:
            return lines[1:]
        return self._migrate(content, lines[1:], version)

    def lines(self, start: int = 0) -> tuple[dict[str, Any], ...]:
        """Return the complete lines from `start` on.

        Raises `StateError` naming the line that is damaged.
        """
        return self.parsed(self.raw()[start:], start)

    def parsed(self, raw: Sequence[bytes], start: int = 0) -> tuple[dict[str, Any], ...]:
        """Return lines as objects; `start` is the place of the first, for the message."""
        # The header is line 1 of the file, as an editor counts them.
        return tuple(self._line(line, start + place + 2) for place, line in enumerate(raw))

    def append(self, lines: Sequence[Mapping[str, Any]], *, durable: bool) -> None:
        """Add lines in one write; `durable` waits for the disk."""
        self._prepare()
        texts = [to_json(line).encode("ascii") for line in lines]
        try:
            self._files.append(self._path, b"\n".join([*texts, b""]), durable=durable)
        except BaseException:
            self._ready = False  # the end may be torn now
            raise

    def _prepare(self) -> None:
        """Before the first line of this process: make the file, or cut a torn end off."""
        if self._ready:
            return
        if self._files.exists(self._path):
            self.raw()  # an older version is migrated before anything is added to it
            content = self._files.read(self._path)
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                self._files.replace(self._path, whole)
        else:
            self._files.replace(self._path, _HEADER + b"\n")
        self._ready = True

    def _line(self, line: bytes, number: int) -> dict[str, Any]:
        plain = self._object(line, number)
        if line not in self._sound:  # looked at once, read in many steps
            if trouble := self._trouble(plain):
                raise self._damaged(number, trouble)
            self._sound.add(line)
        return plain

    def _object(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._damaged(number, str(error)) from error
        if not isinstance(plain, dict):
            raise self._damaged(number, "not an object")
        return plain

    def _damaged(self, number: int, why: str) -> StateError:
        return StateError(f"{self._path} line {number} is damaged ({why}); {RESTORE}")

    def _migrate(self, content: bytes, old: Sequence[bytes], version: int) -> list[bytes]:
        new = [
            to_json(migrated(self._object(line, number), version, self._path, self._migrations))
            for number, line in enumerate(old, 2)
        ]
        lines = [text.encode("ascii") for text in new]
        if self._writable:
            keep_older(self._files, self._path, content, version)
            self._files.replace(self._path, b"\n".join([_HEADER, *lines, b""]))
        return lines

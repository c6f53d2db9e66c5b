"""Every frame of every connection, both ways: in memory, in a file, on the terminal."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

LONGEST_FIELD = 40
LONGEST_LINE = 600
KEPT = 20_000
"""Frames that are kept in memory: the newest."""


class WireEntry(NamedTuple):
    """One frame. `microseconds` of the loop since the log began, `connection` counts from 1.

    `heard`: it came from the client. `fields` are the frame's, its message id first; `note`
    says what a fault did to it.
    """

    microseconds: int
    connection: int
    client_id: int | None
    heard: bool
    name: str
    fields: tuple[str, ...]
    note: str = ""

    def line(self) -> str:
        """Return it for people: long fields shortened, empty fields at the end left out."""
        who = "?" if self.client_id is None else str(self.client_id)
        arrow = "->" if self.heard else "<-"
        shown = [_shown(field) for field in self.fields]
        while shown and not shown[-1]:
            shown.pop()
        text = ",".join(shown)
        if len(text) > LONGEST_LINE:
            text = f"{text[:LONGEST_LINE]}... ({len(self.fields)} fields)"
        note = f"   ** {self.note}" if self.note else ""
        at = f"{self.microseconds // 1_000_000:>6}.{self.microseconds % 1_000_000:06d}"
        return f"{at} {self.connection}/{who} {arrow} {self.name:<20} {text}{note}"


class WireLog:
    """What went over the wire since the gateway began.

    `write` gets each line, with its line feed (a file's or the terminal's `write`). `digest`,
    `heard` and `said` (how often each message) are over everything, also what memory has let
    go of. `placed` has client and order id of every order that was sent.
    """

    def __init__(self, write: Callable[[str], object] | None = None, *, kept: int = KEPT) -> None:
        self.entries: deque[WireEntry] = deque(maxlen=kept)
        self.heard: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self.placed: set[tuple[int | None, int]] = set()
        self._write = write
        self._digest = hashlib.sha256()
        self._began: float | None = None

    def microseconds(self, at: float) -> int:
        """Return a time of the loop as microseconds since the first frame."""
        if self._began is None:
            self._began = at
        return round((at - self._began) * 1_000_000)

    def add(self, entry: WireEntry) -> None:
        """Keep a frame."""
        at, connection, _, heard, name, fields, note = entry
        self.entries.append(entry)
        (self.heard if heard else self.said)[name] += 1
        key = f"{at}|{connection}|{heard:d}|{name}|{note}|" + "\0".join(fields) + "\n"
        self._digest.update(key.encode("utf-8", "backslashreplace"))
        if self._write is not None:
            self._write(entry.line() + "\n")

    def keep(self, most: int) -> None:
        """Keep the newest frames in memory only, so many at most."""
        self.entries = deque(self.entries, maxlen=most)

    def digest(self) -> str:
        """Return the SHA-256 of everything so far: the same wire has the same digest."""
        return self._digest.hexdigest()

    def names(self, *, heard: bool | None = None) -> Sequence[str]:
        """Return the names of the messages in memory, one way or (None) both."""
        return [e.name for e in self.entries if heard is None or e.heard is heard]


def _shown(field: str) -> str:
    clean = field if field.isprintable() else ascii(field)[1:-1]
    return clean if len(clean) <= LONGEST_FIELD else f"{clean[: LONGEST_FIELD - 3]}..."

"""Every request and what it was answered: in memory, in a file, on the terminal."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rebalancer.simulators.binance_server.call import Request, Response

LONGEST_LINE = 600
KEPT = 20_000
"""Requests that are kept in memory: the newest."""

_OF_THE_MOMENT = re.compile(r"(^|&)(timestamp|signature)=[^&]*")
"""What depends on the client's clock, or proves who it is: never kept."""


@dataclass(frozen=True, slots=True)
class WireEntry:
    """One request and its answer. `at` is the exchange's time when it arrived.

    `parameters` are query and body as they were sent, without time and signature. `status` 0:
    there was no answer; `note` says what a fault did.
    """

    at: datetime
    name: str
    parameters: str
    status: int
    body: bytes
    used: str = ""
    note: str = ""

    def line(self) -> str:
        """Return it for people, one line."""
        asked = f"?{_shown(self.parameters)}" if self.parameters else ""
        answer = _shown(self.body.decode("utf-8", "replace"))
        used = f" [{self.used}]" if self.used else ""
        note = f"   ** {self.note}" if self.note else ""
        at = self.at.strftime("%Y-%m-%d %H:%M:%S.") + f"{self.at.microsecond // 1000:03d}"
        return f"{at} {self.name}{asked} <- {self.status or 'nothing'}{used} {answer}{note}"


class WireLog:
    """What went over the wire since the exchange began.

    `write` gets each line, with its line feed (a file's or the terminal's `write`). `heard`
    (how often each request, by method and path) and `digest` are over everything, also what
    memory has let go of.
    """

    def __init__(self, write: Callable[[str], object] | None = None, *, kept: int = KEPT) -> None:
        self.entries: deque[WireEntry] = deque(maxlen=kept)
        self.heard: Counter[str] = Counter()
        self._write = write
        self._digest = hashlib.sha256()

    def add(
        self, at: datetime, request: Request, response: Response | None, note: str = ""
    ) -> None:
        """Keep a request and its answer (None: there was none)."""
        name = f"{request.method} {request.path}"
        self.heard[name] += 1
        status, body, used = 0, b"", ""
        if response is not None:
            status, body = response.status, response.body
            used = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
        parts = (_OF_THE_MOMENT.sub("", text).lstrip("&") for text in (request.query, request.body))
        entry = WireEntry(at, name, " + ".join(filter(None, parts)), status, body, used, note)
        self.entries.append(entry)
        key = f"{at.isoformat()}|{name}|{entry.parameters}|{status}|{used}|{note}|"
        self._digest.update(key.encode("utf-8", "backslashreplace") + body + b"\n")
        if self._write is not None:
            self._write(entry.line() + "\n")

    def keep(self, most: int) -> None:
        """Keep the newest requests in memory only, so many at most."""
        self.entries = deque(self.entries, maxlen=most)

    def digest(self) -> str:
        """Return the SHA-256 of everything so far: the same wire has the same digest."""
        return self._digest.hexdigest()

    def names(self) -> Sequence[str]:
        """Return method and path of the requests in memory, oldest first."""
        return [entry.name for entry in self.entries]


def _shown(text: str) -> str:
    clean = text if text.isprintable() else ascii(text)[1:-1]
    if len(clean) <= LONGEST_LINE:
        return clean
    return f"{clean[:LONGEST_LINE]}... ({len(clean)} characters)"

"""The order-efficiency ratio: how many messages an account sends for each order that trades.

(submits + revisions + cancels) / (orders executed + 1), by day of New York; Interactive Brokers
calls more than 20 excessive (IBKR knowledge base 1343, 1765). An hourly cancel-and-resend counts
in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

FILE = "order_messages.log"
WARN_ABOVE = 10
EXCESSIVE_ABOVE = 20

NEW_YORK = ZoneInfo("America/New_York")
"""Where the venue's day begins: a UTC day would end in the middle of Asia's sessions of it."""

SUBMIT, REVISION, CANCEL = "submit", "revision", "cancel"


class SmallFiles(Protocol):
    """What small state files need of `store.atomic.Files`."""

    def replace(self, path: Path, content: bytes, /) -> None: ...
    def append(self, path: Path, content: bytes, /, *, durable: bool = True) -> None: ...
    def read(self, path: Path, /) -> bytes: ...
    def exists(self, path: Path, /) -> bool: ...


def day_of(at: datetime) -> str:
    """Return the venue's day of a time, `2026-11-20`."""
    return f"{at.astimezone(NEW_YORK):%Y-%m-%d}"


def ratio(messages: int, executed: int) -> float:
    """Return the order-efficiency ratio of a day, from its order messages and executed orders."""
    return messages / (executed + 1)


def words_about(messages: int, executed: int) -> str:
    """Return a sentence when the ratio is high, '' when it is not."""
    found = ratio(messages, executed)
    if found <= WARN_ABOVE:
        return ""
    orders = "order" if executed == 1 else "orders"
    judged = "excessive" if found > EXCESSIVE_ABOVE else "high"
    return (
        f"order-efficiency ratio today {found:.1f} ({messages} messages, {executed} {orders} "
        f"executed): {judged}; Interactive Brokers calls more than {EXCESSIVE_ABOVE} excessive"
    )


@dataclass
class Tally:
    """Counts order messages of the venue's day in a small file of one line each."""

    folder: Path
    files: SmallFiles

    def count(self, what: str, at: datetime) -> None:
        """Count one message. A pulled plug may lose the last ones: it is a statistic."""
        line = f"{day_of(at)} {what}\n".encode("ascii")
        self.files.append(self.folder / FILE, line, durable=False)

    def messages(self, day: str) -> int:
        """Return how many messages were counted on a day; earlier days are dropped."""
        path = self.folder / FILE
        if not self.files.exists(path):
            return 0
        lines = self.files.read(path).decode("ascii", "replace").splitlines()
        today = [line for line in lines if line.startswith(f"{day} ")]
        if len(today) < len(lines):
            self.files.replace(path, "".join(f"{line}\n" for line in today).encode("ascii"))
        return len(today)

"""What a connection has heard about itself: farms, the way to Interactive Brokers, its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rebalancer.brokers.ib.client import LOG
from rebalancer.brokers.ib.errors import About, ErrorKind, meaning

LOST, BACK_WITHOUT_DATA, BACK = 1100, 1101, 1102
NOBODY, TOO_OLD = 502, 503
INVALID = frozenset({320, 321, 322})
"""Codes that refuse a request; one that has no number of its own is refused with -1."""

_BROKEN = frozenset({2103, 2105, 2157})
_MENDED = {2104: 2103, 2108: 2103, 2106: 2105, 2107: 2105, 2158: 2157}
"""A farm that sleeps until it is asked (2107, 2108) is not broken any more."""

_LEVELS = {
    ErrorKind.INFORMATION: logging.DEBUG,
    ErrorKind.HALT: logging.WARNING,
    ErrorKind.UNKNOWN: logging.WARNING,
}


@dataclass
class Heard:
    """Errors and notices of one connection.

    `lost` says that the gateway has lost Interactive Brokers (1100) and not found it again;
    `returns` counts how often it did: whatever was read before must be read again. `farms` are
    the broken data farms by (code, name). `fatal` is what ends the run, `broken` why the wire
    is. `errors` are (request or order id, code, words), oldest first. `on_lost` is told True
    and False, `on_refusal` code and words of a refused request that has no number, `on_fatal`
    that `fatal` was said.
    """

    errors: list[tuple[int, int, str]] = field(default_factory=list)
    farms: set[tuple[int, str]] = field(default_factory=set)
    lost: bool = False
    returns: int = 0
    fatal: str = ""
    broken: str = ""
    garbage: str = ""
    on_lost: Callable[[bool], None] = lambda _: None
    on_refusal: Callable[[int, str], None] = lambda _code, _words: None
    on_fatal: Callable[[], None] = lambda: None

    def listen(self, ib: Any) -> None:
        """Hear everything from before the connection is made."""
        ib.errorEvent += self.on_error

    def on_error(self, request_id: int, code: int, words: str, *_: object) -> None:
        """Take in one error message."""
        self.errors.append((request_id, code, words))
        known = meaning(code)
        LOG.log(_LEVELS.get(known.kind, logging.INFO), "ib: %d: %s", request_id, said(code, words))
        if code == LOST:
            self.lost = True
            self.on_lost(True)
        elif code in (BACK, BACK_WITHOUT_DATA):
            self.lost = False
            self.returns += 1
            self.on_lost(False)
        elif code in _BROKEN:
            self.farms.add((code, _farm(words)))
        elif code in _MENDED:
            self.farms.discard((_MENDED[code], _farm(words)))
        elif known.kind is ErrorKind.HALT and known.about is About.CONNECTION:
            self.fatal = self.fatal or said(code, words)
            self.on_fatal()
        elif code in INVALID and request_id == -1:
            self.on_refusal(code, words)

    def about(self, code: int) -> str:
        """Return the words of the newest message with a code, '' when there was none."""
        return next((words for _, found, words in reversed(self.errors) if found == code), "")


def said(code: int, words: str) -> str:
    """Return an error message with what it means and what to do about it."""
    known = meaning(code)
    advice = f"; {known.advice}" if known.advice else ""
    return f"{words.strip()} (code {code}: {known.meaning}{advice})"


def _farm(words: str) -> str:
    """Return the farm's name: behind the colon, or behind `... upon demand.`."""
    _, sleeps, name = words.rpartition("demand.")
    return (name if sleeps else words.rpartition(":")[2]).strip()

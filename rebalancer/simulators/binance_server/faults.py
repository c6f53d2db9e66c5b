"""What goes wrong between a client and the exchange: on a script, or by a seed.

A fault waits for requests, named by method and path: `POST /fapi/v1/order`. `*` and `?` stand
for anything and for one character, several names have `|` between them, '' is every request.
One further occasion is `advance`: somebody lets simulated time pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol


class Do(StrEnum):
    """What a fault does to a request, or to its answer."""

    # The client cannot tell these apart: was it acted upon?
    CUT_BEFORE = "cut-before"  # the connection breaks, nothing has happened
    CUT_AFTER = "cut-after"  # acted upon, then the connection breaks
    TIMEOUT_BEFORE = "timeout-before"  # it never arrives, no answer ever comes
    TIMEOUT_AFTER = "timeout-after"  # acted upon, no answer ever comes
    STATUS_BEFORE = "status-before"  # `status`, `code` and `message` instead of acting
    STATUS_AFTER = "status-after"  # acted upon, then `status`, `code` and `message`
    # Answers that are not what they should be; acted upon.
    TRUNCATE = "truncate"  # half of the bytes
    EMPTY = "empty"  # no byte
    HTML = "html"  # a gateway's page with `status` instead of acting
    HTML_AFTER = "html-after"  # acted upon, then such a page
    # Answers about positions that are whole and not true.
    NO_ROWS = "no-rows"  # no position, all else as it is
    OLD_ROWS = "old-rows"  # the positions of `seconds` ago, all else as it is
    OLD_ACCOUNT = "old-account"  # everything as it was `seconds` ago
    # Time.
    DELAY = "delay"  # it arrives `seconds` later
    DELAY_AFTER = "delay-after"  # acted upon at once, its answer comes `seconds` later
    SKEW = "skew"  # from then on the exchange's clock is `seconds` ahead
    # What the exchange says no to.
    RATE = "rate-limit"  # 429 with Retry-After of `seconds`
    BAN = "ban"  # 418, and so does every request for `seconds`
    FORBIDDEN = "forbidden"  # 403 of the web firewall, a page
    MAINTENANCE = "maintenance"  # 503 for `seconds` (0: to the end)
    OUTAGE = "outage"  # connections break for `seconds` (0: until the next run)
    # Things it should not do.
    TWICE = "twice"  # it arrives twice: acted upon two times, the second answer is told
    WRONG_ACCOUNT = "wrong-account"  # from then on `message` is shown as the account's uid
    # To quotes (of `subject`, '' all of them).
    NO_QUOTE = "no-quote"  # it is not there
    CROSSED = "crossed-quote"  # bid and ask have changed sides
    ONE_SIDED = "one-sided-quote"  # no ask
    STALE = "stale-quote"  # its time is `seconds` old
    ZERO = "zero-quote"  # every price is 0
    NAN = "nan-quote"  # every price is no number


QUOTES = frozenset({Do.NO_QUOTE, Do.CROSSED, Do.ONE_SIDED, Do.STALE, Do.ZERO, Do.NAN})
"""What is done to rows of an answer; `subject` names the row, not the request."""

TEXTS = {
    0: "Service Unavailable.",
    -1000: "Unknown error, please check your request or try again later.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests; current limit is reached.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: (
        "Timeout waiting for response from backend server. Send status unknown; execution "
        "status unknown."
    ),
    -1008: (
        "Server is currently overloaded with other requests. Please try again in a few minutes."
    ),
    -1015: "Too many new orders.",
    -1016: "This service is no longer available.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -2010: "Account has insufficient balance for requested action.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2019: "Margin is insufficient.",
    -2022: "ReduceOnly Order is rejected.",
    -5022: (
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history"
    ),
    -5028: "Timestamp for this request is outside of the ME recvWindow.",
}
"""The words that come with a code when a fault gives none."""


@dataclass(frozen=True, slots=True)
class HttpFault:
    """One fault: it strikes at occasions `nth` to `nth + count - 1` (count None: for ever).

    `where`: the requests it waits for. `subject` limits it to a symbol or an order's client id
    ('' any; requests of others are not counted). `seconds` are of simulated time; `lasts` too:
    so long after it struck it strikes every request it waits for. `status` 0: the usual one.
    """

    where: str
    do: Do
    nth: int = 1
    count: int | None = 1
    subject: str = ""
    status: int = 0
    code: int = -1007
    message: str = ""
    seconds: float = 0.0
    lasts: float = 0.0

    def words(self) -> str:
        """Return what the exchange says with its code."""
        return self.message or TEXTS.get(self.code, f"Made up for a rehearsal ({self.code}).")

    def note(self) -> str:
        """Return what the log says about what it did."""
        more = f" {self.seconds:g} s" if self.seconds else ""
        coded = self.do in (Do.STATUS_BEFORE, Do.STATUS_AFTER)
        return f"fault: {self.do.value}{more}{f' {self.code}' if coded else ''}"

    def waits_for(self, name: str, subjects: Sequence[str]) -> bool:
        """Return whether a request of this name and with these subjects is an occasion."""
        if self.subject and self.do not in QUOTES and self.subject not in subjects:
            return False
        if not self.where:
            return name != "advance"
        return any(fnmatchcase(name, each.strip()) for each in self.where.split("|"))


@dataclass(frozen=True, slots=True)
class HttpRate:
    """A fault that a seed may draw at each of its occasions, and how likely: from 0 to 1."""

    fault: HttpFault
    rate: float


class HttpFaults(Protocol):
    """Who decides what goes wrong."""

    def strikes(self, name: str, subjects: Sequence[str], now: datetime) -> tuple[HttpFault, ...]:
        """Count an occasion; return the faults that strike, the one that acts first.

        Of several that are no quotes' only the first strikes; those of quotes all do.
        """

    def add(self, faults: Iterable[HttpFault]) -> None:
        """Let these wait too; their occasions are counted from now on."""


@dataclass
class HttpScript:
    """Faults that strike at their occasions; of several the first that was given."""

    faults: Sequence[HttpFault] = ()
    _occasions: dict[int, int] = field(default_factory=dict)
    _until: dict[int, datetime] = field(default_factory=dict)

    def strikes(self, name: str, subjects: Sequence[str], now: datetime) -> tuple[HttpFault, ...]:
        """Count an occasion; return the faults that strike."""
        struck = []
        for place, fault in enumerate(self.faults):
            if not fault.waits_for(name, subjects):
                continue
            if place in self._until and now < self._until[place]:
                struck.append(fault)
                continue
            count = self._occasions[place] = self._occasions.get(place, 0) + 1
            last = float("inf") if fault.count is None else fault.nth + fault.count - 1
            if fault.nth <= count <= last:
                struck.append(fault)
                self._until[place] = now + timedelta(seconds=fault.lasts)
        return first_of(struck)

    def add(self, faults: Iterable[HttpFault]) -> None:
        """Let these wait too; their occasions are counted from now on."""
        self.faults = (*self.faults, *faults)


@dataclass
class SeededHttpFaults(HttpScript):
    """Faults that strike with a probability each, drawn from a seed.

    `rates` has the faults that may be drawn; their `nth` and `count` mean nothing here.
    """

    seed: int = 0
    rates: Sequence[HttpRate] = ()
    _draws: dict[int, int] = field(default_factory=dict)

    def strikes(self, name: str, subjects: Sequence[str], now: datetime) -> tuple[HttpFault, ...]:
        """Return the faults that the script or the seed has for this occasion."""
        struck = list(super().strikes(name, subjects, now))
        for place, drawable in enumerate(self.rates):
            fault = drawable.fault
            if not fault.waits_for(name, subjects):
                continue
            number = self._draws[place] = self._draws.get(place, 0) + 1
            text = f"{self.seed}|{place}|{fault.where}|{fault.do.value}|{number}".encode()
            drawn = int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / 2**48
            if drawn < drawable.rate:
                struck.append(fault)
        return first_of(struck)


def first_of(struck: Sequence[HttpFault]) -> tuple[HttpFault, ...]:
    """Return the first that is no quote's, and all that are."""
    quotes = [fault for fault in struck if fault.do in QUOTES]
    others = [fault for fault in struck if fault.do not in QUOTES]
    return (*others[:1], *quotes)

"""What goes wrong at the simulated venue: on a script, or by a seed.

A script is a list of faults, each with the occasions at which it strikes: the second order,
the first three cancels of one instrument, every look-up. An occasion is counted for each
kind of fault on its own, from 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """What can go wrong; the first group in the engine, the second between it and us."""

    REJECT = "the order is rejected"
    LOST_ORDER = "the order never arrives"
    LOST_ACKNOWLEDGEMENT = "the order works and its news are lost"
    LATE_ACKNOWLEDGEMENT = "the order begins to work late"
    LATE_CANCEL = "the cancel takes long"
    REFUSED_CANCEL = "the cancel is refused"
    LOST_CANCEL = "the cancel never arrives"
    PARTIAL_ONLY = "at most half of the order ever trades"
    NO_FILL = "the order never trades"
    LATE_COMMISSION = "the commission is told late"
    MISSING_COMMISSION = "the commission is never told"

    REFUSED_CONNECTION = "the venue cannot be reached"
    WRONG_ACCOUNT = "the venue shows another account"
    DISCONNECT = "the connection breaks at this call"
    BLIND_ACCOUNT = "the account does not arrive completely"
    BLIND_POSITIONS = "the positions do not arrive completely"
    BLIND_ORDERS = "the open orders do not arrive completely"
    BLIND_EXECUTIONS = "the executions do not arrive completely"
    UNKNOWN_LOOKUP = "the venue does not answer a look-up"
    STALE_QUOTE = "the quote is old"
    CLOCK_SKEW = "clock skew"
    MISSING_QUOTE = "there is no quote"
    CROSSED_QUOTE = "bid and ask have changed sides"
    ONE_SIDED_QUOTE = "the quote has no ask"


@dataclass(frozen=True)
class Fault:
    """One fault: it strikes at occasions `nth` to `nth + count - 1` (count None: for ever).

    `subject` limits it to an instrument or a call's name ('' any; occasions of others are
    not counted); `seconds` is how long, where it is about time; `message` the venue's words.
    """

    kind: FaultKind
    nth: int = 1
    count: int | None = 1
    subject: str = ""
    seconds: float = 0.0
    message: str = ""


@dataclass
class FaultScript:
    """The faults of one test or rehearsal, and how often each had its occasion.

    `also` is asked when none of them strikes.
    """

    faults: Sequence[Fault] = ()
    _occasions: dict[int, int] = field(default_factory=dict)
    also: Callable[[FaultKind, str], Fault | None] | None = None

    def strikes(self, kind: FaultKind, subject: str = "") -> Fault | None:
        """Count an occasion for a kind of fault; return the fault that strikes, or None."""
        struck = None
        for place, fault in enumerate(self.faults):
            if fault.kind is not kind or fault.subject not in ("", subject):
                continue
            count = self._occasions[place] = self._occasions.get(place, 0) + 1
            last = float("inf") if fault.count is None else fault.nth + fault.count - 1
            if struck is None and fault.nth <= count <= last:
                struck = fault
        if struck is None and self.also is not None:
            return self.also(kind, subject)
        return struck


@dataclass
class SeededFaults(FaultScript):
    """Faults that strike with a probability each, drawn from a seed."""

    seed: int = 0
    rates: Mapping[FaultKind, float] = field(default_factory=dict)
    seconds: float = 60.0
    _draws: dict[FaultKind, int] = field(default_factory=dict)

    def strikes(self, kind: FaultKind, subject: str = "") -> Fault | None:
        """Return a fault if the script or the seed has one for this occasion."""
        scripted = super().strikes(kind, subject)
        rate = self.rates.get(kind, 0.0)
        if scripted is not None or rate <= 0:
            return scripted
        number = self._draws[kind] = self._draws.get(kind, 0) + 1
        text = f"{self.seed}|{kind.name}|{number}".encode("ascii")
        drawn = int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / 2**48
        return Fault(kind, seconds=self.seconds) if drawn < rate else None

"""Facts about a run that somebody should know, how grave they are, and how long they last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from rebalancer.model.words import plain


class Severity(StrEnum):
    """NOTE: a fact. HOLD: nothing is sent for its subject. HALT: nothing is sent at all."""

    NOTE = "NOTE"
    HOLD = "HOLD"
    HALT = "HALT"


class TradingState(StrEnum):
    """ACTIVE: trade. REDUCING: only orders that reduce. HALTED: only cancels."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Step(IntEnum):
    """The thirteen steps of the hour, with the seed's numbers; 0 is before the first."""

    START = 0
    CONNECT = 1
    CANCEL = 2
    SIGNALS = 3
    NET_LIQUIDATION = 4
    TARGETS = 5
    ORDER_FILE = 6
    SUBMIT = 7
    LOG_TRADES = 8
    SNAPSHOT = 9
    ALERT = 10
    DAILY_UPDATE = 11
    DATABASE = 12
    DISCONNECT = 13


RUN = ""
"""The subject of a flag that is about the whole run."""


@dataclass(frozen=True, slots=True)
class ErrorFlag:
    """One fact about a run.

    `code` names its row in the flag table (`FLAG_TABLE`); `subject` is an instrument id,
    `sleeve:<name>`, `currency:<code>`, `order:<reference>` or RUN; `message` says in plain
    words what is the matter and what was not done because of it.
    """

    step: Step
    code: str
    subject: str
    severity: Severity
    message: str

    def __post_init__(self) -> None:
        """Take what acts instead of being read out of the words: strangers' are among them."""
        object.__setattr__(self, "subject", plain(self.subject))
        object.__setattr__(self, "message", plain(self.message))


@dataclass(frozen=True, slots=True)
class LatchedFlag:
    """A flag that stays until something clears it, across runs."""

    code: str
    subject: str
    severity: Severity
    message: str
    since: datetime
    evidence: str = ""
    """What the clearing rule compares with, in that flag's own form (a reference, a quantity)."""
    until: datetime | None = None
    """When it may end by itself; None: at no time, but by what its row of the flag table says."""

    def __post_init__(self) -> None:
        """Do as `ErrorFlag` does."""
        object.__setattr__(self, "subject", plain(self.subject))
        object.__setattr__(self, "message", plain(self.message))


@dataclass(frozen=True, slots=True)
class FlagKind:
    """One row of the flag table: what a code means and how it ends.

    `clears` says what ends it by itself; `command` which command ends it by hand ('' none).
    """

    code: str
    severity: Severity
    scope: str
    latched: bool
    meaning: str
    clears: str
    command: str = ""

    @property
    def ended_by(self) -> str:
        """Return who may end it: `itself`, `the owner`, or `itself or the owner`."""
        if not self.command:
            return "itself"
        return "the owner" if self.clears == NEVER else "itself or the owner"


NEVER = "never by itself"
"""What a row of the flag table says of a flag that only the owner ends."""


def worst(flags: Iterable[ErrorFlag | LatchedFlag]) -> Severity | None:
    """Return the gravest severity among `flags`, or None when there are none."""
    order = list(Severity)
    return max((flag.severity for flag in flags), key=order.index, default=None)


def held(flags: Iterable[ErrorFlag | LatchedFlag]) -> frozenset[str]:
    """Return the subjects that a HOLD flag blocks (HALT blocks the run, not a subject)."""
    return frozenset(flag.subject for flag in flags if flag.severity is Severity.HOLD)


def halted(flags: Iterable[ErrorFlag | LatchedFlag]) -> bool:
    """Return whether any flag forbids every order of the run."""
    return any(flag.severity is Severity.HALT for flag in flags)

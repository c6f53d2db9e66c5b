"""Where our books and the venue disagree, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.model.instrument import InstrumentId


@dataclass(frozen=True, slots=True)
class Break:
    """A position on which books and venue disagree; signed units, zero = not held."""

    instrument: InstrumentId
    expected: Decimal
    found: Decimal


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A change with the shape of a corporate action, in plain words.

    `evidence` is what it was seen from: a ratio, or the venue's old and new contract.
    `followed`: the position has changed as its price had before, which settles the price.
    """

    instrument: InstrumentId
    reason: str
    evidence: str = ""
    followed: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """A break as it is remembered from run to run until it is explained; signed units.

    `first` is the slot of the run that saw these very quantities first, `asked` the one that
    last asked the venue for executions because of it (None: none could).
    """

    expected: Decimal
    found: Decimal
    first: datetime
    asked: datetime | None = None

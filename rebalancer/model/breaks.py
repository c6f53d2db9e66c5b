"""Where our books and the venue disagree, as values."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    instrument: InstrumentId
    reason: str
    evidence: str = ""

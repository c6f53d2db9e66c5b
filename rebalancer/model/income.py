"""Money that a venue books by itself: realised profit, funding, fees, transfers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.model.instrument import InstrumentId


class IncomeKind(StrEnum):
    """Why it was booked. COMMISSION is told with its execution too and must not count twice.

    APART is whatever happened in an asset that the account's value does not have, nor its cash.
    """

    REALISED = "realised"
    FUNDING = "funding"
    COMMISSION = "commission"
    TRANSFER = "transfer"
    OTHER = "other"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class Income:
    """One line of a venue's own ledger.

    `id` tells it from every other line, for ever (time, type, amount, asset, trade id).
    `amount` is in `asset`, positive came in. `instrument` is None for what concerns none (a
    transfer). `words` is the venue's own name of its kind.
    """

    id: str
    kind: IncomeKind
    asset: str
    amount: Decimal
    at: datetime
    instrument: InstrumentId | None = None
    words: str = ""

"""How trading has gone lately, in numbers that breakers are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.model.instrument import InstrumentId


@dataclass(frozen=True, slots=True)
class Result:
    """What one execution or funding payment gained (negative: lost), in base currency.

    Price gains of what was closed, at average cost, less fees.
    """

    at: datetime
    instrument: InstrumentId
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What one execution cost against its decision price; positive = cost, base currency.

    `notional` is what it was worth at the decision price, without sign.
    """

    at: datetime
    notional: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Conduct:
    """What step 4 gathered of the past. `failed_runs` in a row, killed ones among them.

    `universe` are all instruments that may be traded.
    """

    results: tuple[Result, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    failed_runs: int = 0
    universe: tuple[InstrumentId, ...] = ()

"""What an instrument costs now, as one venue said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.model.instrument import InstrumentId


class Freshness(StrEnum):
    """How the venue labels its data; only LIVE and SYNTHETIC may be priced from."""

    LIVE = "live"
    DELAYED = "delayed"
    FROZEN = "frozen"
    SYNTHETIC = "synthetic intraday"


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask, last closed session's close, and when they were true.

    Prices are in the instrument's currency; None is unknown, never zero. `trading` says
    whether the venue itself takes orders in it now (None: it does not say). `volume` is
    the units traded in the current session so far, `average_volume` per full session.
    """

    instrument: InstrumentId
    at: datetime
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    close: Decimal | None = None
    freshness: Freshness = Freshness.LIVE
    trading: bool | None = None
    volume: Decimal | None = None
    average_volume: Decimal | None = None
    next_funding: datetime | None = None
    """When the venue next exchanges funding payments; None: never, or it does not say."""

    @property
    def mid(self) -> Decimal | None:
        """Return the middle of bid and ask; None when either side is missing."""
        if self.bid is None or self.ask is None:
            return None
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """Quotes by instrument; an instrument that is not in it is unknown."""

    at: datetime
    quotes: Mapping[InstrumentId, Quote]

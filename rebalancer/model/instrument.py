"""What can be traded, and by which rules."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NewType

from rebalancer.errors import DataError
from rebalancer.model.rules import TradingRules

InstrumentId = NewType("InstrumentId", str)
"""`AAPL.STK.USD@IB`, `BTCUSDT.PERP@BINANCE`: symbol, kind, what tells it apart, venue."""

_SHAPE = re.compile(
    r"(?:(?P<symbol>[A-Z0-9][A-Z0-9 _-]{0,23})\.(?P<kind>STK|FUT|OPT|PERP|SPOT)"
    r"(?P<rest>(?:\.[A-Z0-9.]{1,24})?)|(?P<bought>[A-Z]{3})\.(?P<paid>[A-Z]{3})\.FX)"
    r"@(?P<venue>IB|BINANCE)"
)


class Kind(StrEnum):
    """What sort of thing it is, in the words of the identifiers."""

    STOCK = "STK"
    FOREX = "FX"
    FUTURE = "FUT"
    OPTION = "OPT"
    PERPETUAL = "PERP"
    SPOT = "SPOT"


class PriceSign(StrEnum):
    """Whether a price at or below zero is bad data (POSITIVE) or possible (ANY, combos)."""

    POSITIVE = "positive"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One thing that can be traded at one venue.

    `currency` is the one its price is quoted and settled in. A position of `q` units at
    price `p` is worth `q * p * multiplier / magnifier` in that currency. `con_id` is the
    number by which Interactive Brokers knows it (0: to be found), `exchange` the primary
    exchange of a stock or the exchange of a future there ('' any).
    """

    id: InstrumentId
    kind: Kind
    symbol: str
    currency: str
    calendar: str
    rules: TradingRules = field(default_factory=TradingRules)
    multiplier: Decimal = Decimal(1)
    magnifier: Decimal = Decimal(1)
    price_sign: PriceSign = PriceSign.POSITIVE
    shortable: bool = True
    con_id: int = 0
    exchange: str = ""
    leaving: str = ""
    """Why it is given up (the venue delists it): only the way out is open; '' it stays."""

    @property
    def venue(self) -> str:
        """Return the venue's name, the part of the id after `@`."""
        return self.id.rpartition("@")[2]


def parse_instrument_id(text: str) -> InstrumentId:
    """Return `text` as an identifier.

    Raises `DataError` when it does not have the shape `SYMBOL.KIND[.MORE]@VENUE`.
    """
    if not _SHAPE.fullmatch(text):
        raise DataError(
            f"{text!r} is not an instrument: expected SYMBOL.KIND[.MORE]@VENUE, for example "
            "AAPL.STK.USD@IB, EUR.USD.FX@IB or BTCUSDT.PERP@BINANCE"
        )
    return InstrumentId(text)


def split_instrument_id(identifier: InstrumentId) -> tuple[str, Kind, str, str]:
    """Return symbol, kind, what tells it apart ('' if nothing) and venue of an identifier.

    A currency pair's symbol is the currency that is bought, what tells it apart the one paid.
    """
    match = _SHAPE.fullmatch(identifier)
    if match is None:
        raise DataError(f"{identifier!r} is not an instrument")
    if match["bought"]:
        return match["bought"], Kind.FOREX, match["paid"], match["venue"]
    return match["symbol"], Kind(match["kind"]), match["rest"].removeprefix("."), match["venue"]

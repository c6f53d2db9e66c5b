"""One symbol as the exchange describes it, and the table of the real ones."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.simulators.candle_recording import EPOCH

TABLE = Path(__file__).parent / "symbol_data" / "symbols.txt"
SPOT, USDM = "spot", "usdm"
TRADING, BREAK, SETTLING = "TRADING", "BREAK", "SETTLING"

FIRST_DAY = datetime(2019, 9, 25, 8, tzinfo=UTC)
"""When the oldest perpetual was listed; of most symbols nobody recorded it."""

NEVER = datetime(2100, 12, 25, 8, tzinfo=UTC)
"""The delivery date of a perpetual that is not delisted."""

_KINDS = {SPOT: Kind.SPOT, USDM: Kind.PERPETUAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """One symbol as the exchange describes it now. Sizes are in base, notionals in quote asset.

    `market_step` and `market_min_qty` of 0 (spot) mean that LOT_SIZE alone holds.
    """

    product: str
    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    market_step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_min_qty: Decimal
    market_max_qty: Decimal
    min_price: Decimal
    max_price: Decimal
    min_notional: Decimal
    max_notional: Decimal
    multiplier_up: Decimal
    multiplier_down: Decimal
    max_orders: int = 200
    status: str = TRADING
    contract_type: str = "PERPETUAL"
    onboard: datetime = FIRST_DAY
    delivery: datetime = NEVER
    max_position: Decimal | None = None

    @property
    def id(self) -> InstrumentId:
        """Return our identifier of it."""
        return InstrumentId(f"{self.symbol}.{_KINDS[self.product]}@BINANCE")


def instrument_of(symbol: Symbol) -> Instrument:
    """Return a symbol as the engine knows instruments."""
    margined = symbol.product == USDM
    return Instrument(
        id=symbol.id,
        kind=_KINDS[symbol.product],
        symbol=symbol.symbol,
        currency=symbol.quote,
        calendar="24/7",
        rules=TradingRules(
            price_levels=(PriceLevel(Decimal(0), symbol.tick),),
            limit_step=symbol.step,
            market_step=symbol.market_step or symbol.step,
            min_size=symbol.min_qty,
            max_size=symbol.max_qty,
            min_notional=symbol.min_notional,
            reduce_only_exempt=margined,
        ),
        shortable=margined,
    )


@cache
def symbol_table() -> Mapping[tuple[str, str], Symbol]:
    """Return every symbol that is known, by product and name; usual values fill the gaps."""
    text = TABLE.read_text("ascii")
    rows = (_filled(line) for line in csv.DictReader(text.splitlines()))
    return {(each.product, each.symbol): each for each in rows}


def _filled(line: Mapping[str, str]) -> Symbol:
    """Return a symbol, with values of the usual size where nobody recorded it."""
    tick, step = Decimal(line["tick"]), Decimal(line["step"])
    spot = line["product"] == SPOT
    usual = {
        "market_step": Decimal(0) if spot else step,
        "min_qty": step,
        "max_qty": Decimal(9_000_000) if spot else step * 100_000_000,
        "market_min_qty": Decimal(0) if spot else step,
        "market_max_qty": step * 10_000_000,
        "min_price": tick,
        "max_price": Decimal(1_000_000),
        "min_notional": Decimal(5),
        "max_notional": Decimal(9_000_000),
        "multiplier_up": Decimal(5) if spot else Decimal("1.05"),
        "multiplier_down": Decimal("0.2") if spot else Decimal("0.95"),
    }
    onboard = line["onboard"]
    numbers: dict[str, Any] = {
        name: Decimal(line[name]) if line[name] else each for name, each in usual.items()
    }
    return Symbol(
        product=line["product"],
        symbol=line["symbol"],
        base=line["base"],
        quote=line["quote"],
        tick=tick,
        step=step,
        max_orders=int(line["max_orders"] or 200),
        contract_type="" if spot else "PERPETUAL",
        onboard=EPOCH + timedelta(milliseconds=int(onboard)) if onboard else FIRST_DAY,
        **numbers,
    )

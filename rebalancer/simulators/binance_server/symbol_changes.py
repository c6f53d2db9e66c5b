"""What the simulated exchange changes about its symbols over time, as a script says."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal

from rebalancer.simulators.binance_server.symbol_table import BREAK, TRADING, USDM, Symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolChange:
    """What the exchange changes about one symbol from `at` on; what is None or '' stays.

    `listed` True: it did not exist before `at`; False: from then on it exists no more.
    `delivery` announces a delisting: at that time (whatever else is said) trading ends, the
    status is SETTLING and positions are closed at the mark price.
    """

    at: datetime
    symbol: str
    product: str = USDM
    status: str = ""
    listed: bool | None = None
    delivery: datetime | None = None
    tick: Decimal | None = None
    step: Decimal | None = None
    market_step: Decimal | None = None
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    market_max_qty: Decimal | None = None
    min_notional: Decimal | None = None
    multiplier_up: Decimal | None = None
    multiplier_down: Decimal | None = None
    max_position: Decimal | None = None
    contract_type: str = ""


def halted(
    symbol: str, start: datetime, stop: datetime, product: str = USDM
) -> tuple[SymbolChange, SymbolChange]:
    """Return the changes of a symbol that does not trade from `start` to `stop`."""
    return (
        SymbolChange(at=start, symbol=symbol, product=product, status=BREAK),
        SymbolChange(at=stop, symbol=symbol, product=product, status=TRADING),
    )


def delisted(
    symbol: str, announced: datetime, delivery: datetime, product: str = USDM
) -> tuple[SymbolChange, ...]:
    """Return the changes of a symbol whose end is announced, and comes."""
    return (SymbolChange(at=announced, symbol=symbol, product=product, delivery=delivery),)


_KEPT = frozenset({"at", "symbol", "product", "listed"})
_CHANGED = tuple(each.name for each in fields(SymbolChange) if each.name not in _KEPT)


def changed(symbol: Symbol, change: SymbolChange) -> Symbol:
    """Return a symbol after a change."""
    given = {name: getattr(change, name) for name in _CHANGED}
    return replace(symbol, **{name: each for name, each in given.items() if each not in (None, "")})

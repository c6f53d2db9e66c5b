"""Maker and taker rates, read off the engine's own fee schedule."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.model.fees import OrderSoFar

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol

_LARGE = Decimal(1_000_000)


def rates_of(server: BinanceServer, symbol: Symbol) -> tuple[Decimal, Decimal]:
    """Return maker and taker commission as fractions of the notional."""
    instrument = server.exchange.instruments.get(symbol.id)
    if instrument is None:
        return Decimal(0), Decimal(0)
    nothing = OrderSoFar(Decimal(0), Decimal(0), Decimal(0))
    maker, taker = (
        server.exchange.fees.fill_fee(instrument, _LARGE, Decimal(1), nothing, maker=maker).amount
        / _LARGE
        for maker in (True, False)
    )
    return maker, taker

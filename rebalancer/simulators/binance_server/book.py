"""A book around the touch and a tape of trades: made up, on the grid, the same every time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.binance_server.market_view import on_step, price_at, touch_of

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol

_MINUTE = timedelta(minutes=1)
_SHAPE = (4, 6, 5, 9, 7, 12, 8, 15)
"""Quarters of the touch's size, level by level behind it."""

Level = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """A trade of others; `number` counts the minutes since 1970."""

    number: int
    at: datetime
    price: Decimal
    quantity: Decimal
    buyer_rests: bool


def book_sides(
    server: BinanceServer, symbol: Symbol, levels: int
) -> tuple[list[Level], list[Level]]:
    """Return bids and asks, best first, a tick apart; the first level is the engine's touch."""
    bid, ask, size = touch_of(server, symbol)
    if not size:
        return [], []
    count = min(levels, int(bid / symbol.tick) - 1 if symbol.tick else 0)
    bids, asks = [(bid, size)], [(ask, size)]
    for level in range(1, max(count, 1)):
        quantity = on_step(size * _SHAPE[level % len(_SHAPE)] / 4, symbol.step)
        bids.append((bid - level * symbol.tick, quantity))
        asks.append((ask + level * symbol.tick, quantity))
    return bids, asks


def recent_trades(server: BinanceServer, symbol: Symbol, count: int) -> list[MarketTrade]:
    """Return one trade for each of the last minutes that had a price, oldest first."""
    last = server.exchange.now.replace(second=0, microsecond=0)
    found = []
    for back in range(count - 1, -1, -1):
        at = last - back * _MINUTE
        price = price_at(server, symbol, at)
        if price is not None:
            number = milliseconds(at) // 60_000
            found.append(
                MarketTrade(number, at, price, max(symbol.min_qty, symbol.step), bool(number % 2))
            )
    return found

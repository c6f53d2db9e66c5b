"""What the reading routes see of the market: the one module that asks symbols and candles."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from rebalancer.model.instrument import InstrumentId, Kind
from rebalancer.simulators.binance_server.call import ApiError, Call
from rebalancer.simulators.binance_server.figures import coin, on_grid
from rebalancer.simulators.candle_sums import Candle, bounds

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol

_ZERO = Decimal(0)
_DAY = timedelta(days=1)
_DOLLARS = frozenset({"USDT", "USD", "USDC", "FDUSD"})


def listed(server: BinanceServer, product: str) -> tuple[Symbol, ...]:
    """Return the symbols of a product as they are now, in the order of the listing."""
    return server.symbols.listed(product, server.exchange.now)


def symbol_named(server: BinanceServer, product: str, name: str) -> Symbol:
    """Return a symbol as it is now; raises the exchange's -1121."""
    found = server.symbols.find(product, name, server.exchange.now)
    if found is None:
        raise ApiError(-1121, "Invalid symbol.")
    return found


def wanted_symbol(call: Call) -> Symbol:
    """Return the symbol a request names; -1102 when it names none, -1121 when there is none."""
    return symbol_named(call.server, call.product, call.text("symbol"))


def perpetual_name(server: BinanceServer, instrument: InstrumentId) -> str:
    """Return the exchange's name of a contract, '' for what is no contract here."""
    found = server.exchange.instruments.get(instrument)
    return found.symbol if found is not None and found.kind is Kind.PERPETUAL else ""


def leaving_symbols(server: BinanceServer, product: str) -> list[tuple[Symbol, datetime]]:
    """Return the symbols whose end is announced, and its time."""
    return server.symbols.leaving(product, server.exchange.now)


def mark_price(server: BinanceServer, symbol: Symbol, at: datetime | None = None) -> Decimal:
    """Return the mark price (spot: the last price), 0 when there is none."""
    return price_at(server, symbol, at or server.exchange.now) or _ZERO


def price_at(server: BinanceServer, symbol: Symbol, at: datetime) -> Decimal | None:
    """Return the price of a time, None when there is none."""
    instrument = server.exchange.instruments.get(symbol.id)
    return None if instrument is None else server.market.mark(instrument, at)


def index_price(server: BinanceServer, symbol: Symbol) -> Decimal:
    """Return the index price, 0 when there is none."""
    instrument = server.exchange.instruments.get(symbol.id)
    if instrument is None:
        return _ZERO
    return server.market.index(instrument, server.exchange.now) or _ZERO


def touch_of(server: BinanceServer, symbol: Symbol) -> tuple[Decimal, Decimal, Decimal]:
    """Return bid, ask and the size of both; zeros when there is no market now."""
    instrument = server.exchange.instruments.get(symbol.id)
    touch = (
        None
        if instrument is None or symbol.status != "TRADING"
        else server.market.touch(instrument, server.exchange.now)
    )
    if touch is None:
        return _ZERO, _ZERO, _ZERO
    size = on_step(touch.depth or symbol.min_qty, symbol.step)
    return touch.bid, touch.ask, max(size, symbol.step)


def asset_price(server: BinanceServer, asset: str) -> Decimal | None:
    """Return US dollars for one unit of an asset by its pair with USDT, None without one."""
    if asset in _DOLLARS:
        return Decimal(1)
    for product in ("spot", "usdm"):
        symbol = server.symbols.find(product, f"{asset}USDT", server.exchange.now)
        if symbol is not None:
            found = price_at(server, symbol, server.exchange.now)
            if found is not None:
                return found
    return None


def funding_rows(server: BinanceServer, name: str) -> tuple[tuple[datetime, Decimal], ...]:
    """Return every recorded payment of a perpetual, oldest first, future ones included."""
    return tuple(server.market.funding(name))


def candles(
    server: BinanceServer,
    symbol: Symbol,
    interval: str,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[Candle]:
    """Return the candles that open in [start, end], the first `limit` of them.

    Without a start they are the last ones. The last candle of all is the unfinished one; an
    hour in which nothing was recorded has none, nor has a time before the symbol was listed.
    """
    now = server.exchange.now
    if price_at(server, symbol, now) is None:
        return []
    first, _ = bounds(interval, symbol.onboard)
    if start is not None:
        start = max(start, first)
    found = server.market.candles(symbol.symbol, interval, start, end, limit, now=now)
    return [each for each in found if each.opens >= first]


def day_of(server: BinanceServer, symbol: Symbol) -> Candle:
    """Return the last 24 hours as one candle; zeros when nothing is recorded of them."""
    now = server.exchange.now
    hours = candles(server, symbol, "1h", now - _DAY, now, 25)
    if not hours:
        return Candle(now - _DAY, now, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, 0)
    return Candle(
        now - _DAY,
        now,
        hours[0].open,
        max(each.high for each in hours),
        min(each.low for each in hours),
        hours[-1].close,
        sum((each.volume for each in hours), _ZERO),
        sum((each.turnover for each in hours), _ZERO),
        sum(each.trades for each in hours),
    )


def on_step(value: Decimal, step: Decimal) -> Decimal:
    """Return a size rounded down to its step."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step if step else value


def price_text(symbol: Symbol, value: Decimal) -> str:
    """Return a price as the product writes it: eight decimals, or those of its tick."""
    return coin(value) if symbol.product == "spot" else on_grid(value, symbol.tick)


def size_text(symbol: Symbol, value: Decimal) -> str:
    """Return a quantity as the product writes it: eight decimals, or those of its step."""
    return coin(value) if symbol.product == "spot" else on_grid(value, symbol.step)

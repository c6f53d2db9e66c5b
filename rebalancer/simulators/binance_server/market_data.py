"""Prices as the exchange tells them: candles, book, trades and tickers of both products."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.book import book_sides, recent_trades
from rebalancer.simulators.binance_server.call import ApiError, Call, Route, illegal, mandatory
from rebalancer.simulators.binance_server.figures import coin, fixed, milliseconds, time_of
from rebalancer.simulators.binance_server.market_view import (
    candles,
    day_of,
    listed,
    mark_price,
    price_text,
    size_text,
    touch_of,
    wanted_symbol,
)
from rebalancer.simulators.candle_sums import INTERVALS

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol

_LONGEST = {"spot": 1000, "usdm": 1500}
_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)


def klines(call: Call) -> list[list[Any]]:
    """Return candles of twelve columns, oldest first; the last one may be unfinished."""
    symbol = wanted_symbol(call)
    interval = call.text("interval")
    if interval not in INTERVALS:
        raise ApiError(-1120, "Invalid interval.")
    start, end = call.integer("startTime", -1), call.integer("endTime", -1)
    found = candles(
        call.server,
        symbol,
        interval,
        time_of(start) if start >= 0 else None,
        time_of(end) if end >= 0 else None,
        _kline_limit(call),
    )
    rows: list[list[Any]] = []
    for bar in found:
        half = bar.volume / 2
        rows.append(
            [
                milliseconds(bar.opens),
                *(price_text(symbol, p) for p in (bar.open, bar.high, bar.low, bar.close)),
                size_text(symbol, bar.volume),
                milliseconds(bar.ends) - 1,
                _quote_text(symbol, bar.turnover),
                bar.trades,
                size_text(symbol, half),
                _quote_text(symbol, bar.turnover / 2),
                "0",
            ]
        )
    return rows


def _kline_limit(call: Call) -> int:
    limit = call.integer("limit", 500)
    longest = _LONGEST[call.product]
    if limit < 1 or (limit > longest and call.product == "usdm"):
        raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, longest)


def kline_weight(call: Call) -> int:
    """Return what candles weigh: on futures by how many are asked for."""
    if call.product == "spot":
        return 2
    try:
        limit = int(call.parameters.get("limit") or 500)
    except ValueError:
        return 1
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _quote_text(symbol: Symbol, value: Decimal) -> str:
    """Return an amount of the quote asset: eight decimals on spot, five on futures."""
    return coin(value) if symbol.product == "spot" else fixed(value, 5)


def depth(call: Call) -> dict[str, Any]:
    """Return the book around the touch."""
    symbol = wanted_symbol(call)
    limit = call.integer("limit", 100 if call.product == "spot" else 500)
    if call.product == "usdm" and limit not in _DEPTHS:
        raise ApiError(-4021, f"Invalid depth limit {limit}, not in {list(_DEPTHS)}.")
    bids, asks = book_sides(call.server, symbol, min(limit, 5000))
    sides = {
        "bids": [[price_text(symbol, p), size_text(symbol, q)] for p, q in bids],
        "asks": [[price_text(symbol, p), size_text(symbol, q)] for p, q in asks],
    }
    if call.product == "spot":
        return {"lastUpdateId": call.now_ms, **sides}
    return {"lastUpdateId": call.now_ms, "E": call.now_ms, "T": call.now_ms, **sides}


def _depth_weight(call: Call) -> int:
    try:
        limit = int(call.parameters.get("limit") or (100 if call.product == "spot" else 500))
    except ValueError:
        return 1
    steps = ((100, 5), (500, 25), (1000, 50), (5000, 250))
    if call.product == "usdm":
        steps = ((50, 2), (100, 5), (500, 10), (1000, 20))
    return next((weight for most, weight in steps if limit <= most), steps[-1][1])


def trades(call: Call) -> list[dict[str, Any]]:
    """Return the market's last trades: one a minute, of a size that nobody notices."""
    symbol = wanted_symbol(call)
    rows = []
    for trade in recent_trades(call.server, symbol, min(call.integer("limit", 500), 1000)):
        row: dict[str, Any] = {
            "id": trade.number,
            "price": price_text(symbol, trade.price),
            "qty": size_text(symbol, trade.quantity),
            "quoteQty": coin(trade.price * trade.quantity)
            if call.product == "spot"
            else fixed(trade.price * trade.quantity, 2),
            "time": milliseconds(trade.at),
            "isBuyerMaker": trade.buyer_rests,
        }
        last = {"isBestMatch": True} if call.product == "spot" else {"isRPITrade": False}
        rows.append(row | last)
    return rows


def aggregate_trades(call: Call) -> list[dict[str, Any]]:
    """Return the market's last trades, compressed (each is alone)."""
    symbol = wanted_symbol(call)
    start, end = call.integer("startTime", -1), call.integer("endTime", -1)
    first = call.integer("fromId", -1)
    rows = []
    for trade in recent_trades(call.server, symbol, min(call.integer("limit", 500), 1000)):
        at = milliseconds(trade.at)
        if at < start or (0 <= end < at) or trade.number < first:
            continue
        size = size_text(symbol, trade.quantity)
        row: dict[str, Any] = {
            "a": trade.number,
            "p": price_text(symbol, trade.price),
            "q": size,
            "f": trade.number,
            "l": trade.number,
            "T": at,
            "m": trade.buyer_rests,
        }
        rows.append(row | ({"M": True} if call.product == "spot" else {"nq": size}))
    return rows


def _asked(call: Call, row: Callable[[Call, Symbol], dict[str, Any]]) -> Any:
    """Return the row of one symbol, or a list: of those named, or of all."""
    if call.parameters.get("symbol"):
        return row(call, wanted_symbol(call))
    every = listed(call.server, call.product)
    named = _names(call)
    if named is not None:
        known = {symbol.symbol: symbol for symbol in every}
        if any(name not in known for name in named):
            raise ApiError(-1121, "Invalid symbol.")
        every = tuple(known[name] for name in named)
    return [row(call, symbol) for symbol in every]


def _names(call: Call) -> list[str] | None:
    """Return the list `symbols` of spot, None when it was not sent."""
    text = call.parameters.get("symbols")
    if not text or call.product != "spot":
        return None
    try:
        names = json.loads(text)
    except ValueError:
        raise illegal(
            "symbols", '^\\\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\\\]$'
        ) from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise mandatory("symbols")
    return names


def _weight(one: int, every: int) -> Callable[[Call], int]:
    def weight(call: Call) -> int:
        return one if call.parameters.get("symbol") else every

    return weight


def _price_row(call: Call, symbol: Symbol) -> dict[str, Any]:
    row = {"symbol": symbol.symbol, "price": price_text(symbol, mark_price(call.server, symbol))}
    return row if call.product == "spot" else row | {"time": call.now_ms}


def ticker_price(call: Call) -> Any:
    """Return the last price."""
    return _asked(call, _price_row)


def _book_row(call: Call, symbol: Symbol) -> dict[str, Any]:
    bid, ask, size = touch_of(call.server, symbol)
    row = {
        "symbol": symbol.symbol,
        "bidPrice": price_text(symbol, bid),
        "bidQty": size_text(symbol, size),
        "askPrice": price_text(symbol, ask),
        "askQty": size_text(symbol, size),
    }
    # Clients tell the products apart by this very key: spot has no time here.
    return row if call.product == "spot" else row | {"time": call.now_ms}


def book_ticker(call: Call) -> Any:
    """Return best bid and ask; zeros for a symbol that has no market now."""
    return _asked(call, _book_row)


def _day_row(call: Call, symbol: Symbol) -> dict[str, Any]:
    day = day_of(call.server, symbol)
    change = day.close - day.open
    percent = change / day.open * 100 if day.open else Decimal(0)
    average = day.turnover / day.volume if day.volume else Decimal(0)
    last = {"lastQty": size_text(symbol, symbol.step)}
    row: dict[str, Any] = {
        "symbol": symbol.symbol,
        "priceChange": price_text(symbol, change),
        "priceChangePercent": fixed(percent, 3),
        "weightedAvgPrice": price_text(symbol, average),
        "lastPrice": price_text(symbol, day.close),
        **last,
        "openPrice": price_text(symbol, day.open),
        "highPrice": price_text(symbol, day.high),
        "lowPrice": price_text(symbol, day.low),
        "volume": size_text(symbol, day.volume),
        "quoteVolume": coin(day.turnover) if call.product == "spot" else fixed(day.turnover, 2),
        "openTime": call.now_ms - 86_400_000,
        "closeTime": call.now_ms,
        "firstId": 1,
        "lastId": max(day.trades, 1),
        "count": day.trades,
    }
    if call.product != "spot":
        return row
    bid, ask, size = touch_of(call.server, symbol)
    return row | {
        "prevClosePrice": price_text(symbol, day.open),
        "bidPrice": price_text(symbol, bid),
        "bidQty": size_text(symbol, size),
        "askPrice": price_text(symbol, ask),
        "askQty": size_text(symbol, size),
    }


def ticker_day(call: Call) -> Any:
    """Return what the last 24 hours were."""
    return _asked(call, _day_row)


def _day_weight(call: Call) -> int:
    if call.parameters.get("symbol"):
        return 2 if call.product == "spot" else 1
    if call.product != "spot":
        return 40
    named = call.parameters.get("symbols", "")
    count = named.count(",") + 1 if named else 1_000
    return 2 if count <= 20 else 40 if count <= 100 else 80


def average_price(call: Call) -> dict[str, Any]:
    """Return the average price of the last five minutes (spot)."""
    symbol = wanted_symbol(call)
    last = recent_trades(call.server, symbol, 5)
    mean = sum((each.price for each in last), Decimal(0)) / len(last) if last else Decimal(0)
    return {"mins": 5, "price": coin(mean), "closeTime": call.now_ms}


def open_interest(call: Call) -> dict[str, Any]:
    """Return a made-up open interest: a day's volume."""
    symbol = wanted_symbol(call)
    volume = day_of(call.server, symbol).volume
    return {
        "symbol": symbol.symbol,
        "openInterest": size_text(symbol, volume),
        "time": call.now_ms,
    }


ROUTES: Mapping[str, Route] = {
    "GET /api/v3/klines": Route(klines, kline_weight),
    "GET /api/v3/depth": Route(depth, _depth_weight),
    "GET /api/v3/trades": Route(trades, 25),
    "GET /api/v3/aggTrades": Route(aggregate_trades, 4),
    "GET /api/v3/avgPrice": Route(average_price, 2),
    "GET /api/v3/ticker/price": Route(ticker_price, _weight(2, 4)),
    "GET /api/v3/ticker/bookTicker": Route(book_ticker, _weight(2, 4)),
    "GET /api/v3/ticker/24hr": Route(ticker_day, _day_weight),
    "GET /fapi/v1/klines": Route(klines, kline_weight),
    "GET /fapi/v1/depth": Route(depth, _depth_weight),
    "GET /fapi/v1/trades": Route(trades, 5),
    "GET /fapi/v1/aggTrades": Route(aggregate_trades, 20),
    "GET /fapi/v1/openInterest": Route(open_interest, 1),
    "GET /fapi/v1/ticker/price": Route(ticker_price, _weight(1, 2)),
    "GET /fapi/v2/ticker/price": Route(ticker_price, _weight(1, 2)),
    "GET /fapi/v1/ticker/bookTicker": Route(book_ticker, _weight(2, 5)),
    "GET /fapi/v1/ticker/24hr": Route(ticker_day, _day_weight),
}

"""The account's own trades: myTrades on spot, userTrades on perpetuals."""

from __future__ import annotations

from typing import Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.figures import coin, milliseconds, on_grid, plain
from rebalancer.simulators.binance_server.income_rows import trade_number
from rebalancer.simulators.binance_server.market_view import wanted_symbol
from rebalancer.simulators.binance_server.orders_usdm import limit_of, week
from rebalancer.simulators.books import Execution

_DAY_MS = 86_400_000


def spot_trades(call: Call) -> list[dict[str, Any]]:
    """Return trades of a spot symbol, oldest first: the newest, or from a number or a time."""
    symbol = wanted_symbol(call)
    limit = limit_of(call)
    first, order = call.integer("fromId", -1), call.integer("orderId", -1)
    start, stop = call.integer("startTime", -1), call.integer("endTime", -1)
    if first >= 0 and (start >= 0 or stop >= 0):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    if start >= 0 and stop >= 0 and stop - start > _DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    found = [
        each
        for each in _of_symbol(call, symbol.id)
        if (order < 0 or each.order == order)
        and trade_number(each.id) >= first
        and milliseconds(each.at) >= start
        and (stop < 0 or milliseconds(each.at) <= stop)
    ]
    found = found[:limit] if first >= 0 or start >= 0 else found[-limit:]
    return [
        {
            "symbol": symbol.symbol,
            "id": trade_number(each.id),
            "orderId": each.order,
            "orderListId": -1,
            "price": coin(each.price),
            "qty": coin(abs(each.quantity)),
            "quoteQty": coin(abs(each.quantity) * each.price),
            "commission": coin(each.commission),
            "commissionAsset": each.commission_currency,
            "time": milliseconds(each.at),
            "isBuyer": each.quantity > 0,
            "isMaker": each.liquidity == "maker",
            "isBestMatch": True,
        }
        for each in found
    ]


def usdm_trades(call: Call) -> list[dict[str, Any]]:
    """Return trades of a perpetual, oldest first, of at most a week or from a number."""
    symbol = wanted_symbol(call)
    limit = limit_of(call)
    first, order = call.integer("fromId", -1), call.integer("orderId", -1)
    timed = call.parameters.get("startTime") or call.parameters.get("endTime")
    if first >= 0 and timed:
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    start, stop, from_start = week(call, by_number=first >= 0 or order >= 0)
    found = [
        each
        for each in _of_symbol(call, symbol.id)
        if (order < 0 or each.order == order)
        and trade_number(each.id) >= first
        and start <= milliseconds(each.at) <= stop
    ]
    found = found[:limit] if from_start else found[-limit:]
    return [
        {
            "symbol": symbol.symbol,
            "id": trade_number(each.id),
            "orderId": each.order,
            "side": "BUY" if each.quantity > 0 else "SELL",
            "price": on_grid(each.price, symbol.tick),
            "qty": on_grid(abs(each.quantity), symbol.step),
            "realizedPnl": coin(each.realised) if each.realised else "0",
            "quoteQty": plain(abs(each.quantity) * each.price),
            "commission": coin(each.commission),
            "commissionAsset": each.commission_currency,
            "time": milliseconds(each.at),
            "positionSide": "BOTH",
            "buyer": each.quantity > 0,
            "maker": each.liquidity == "maker",
        }
        for each in found
    ]


def _of_symbol(call: Call, identifier: str) -> list[Execution]:
    found = call.server.exchange.account.executions
    return [each for each in found if each.instrument == identifier]


def _weight_spot(call: Call) -> int:
    return 5 if call.parameters.get("orderId") else 20


ROUTES = {
    "GET /api/v3/myTrades": Route(spot_trades, _weight_spot, signed=True),
    "GET /fapi/v1/userTrades": Route(usdm_trades, 5, signed=True),
}

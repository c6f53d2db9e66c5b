"""USDⓈ-M: what is configured for the account and its symbols, and what it may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.brackets import brackets_of, largest_notional
from rebalancer.simulators.binance_server.call import Call, Route
from rebalancer.simulators.binance_server.commissions import rates_of
from rebalancer.simulators.binance_server.exchange_info import ORDER_LIMITS
from rebalancer.simulators.binance_server.figures import fixed
from rebalancer.simulators.binance_server.market_view import listed, wanted_symbol
from rebalancer.simulators.binance_server.modes import (
    hedged,
    multi_assets,
    symbol_settings,
)

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol


def _asked(call: Call) -> tuple[Symbol, ...]:
    """Return the symbol a request names, or all."""
    one = call.parameters.get("symbol")
    return (wanted_symbol(call),) if one else listed(call.server, "usdm")


def account_config(call: Call) -> dict[str, Any]:
    """Return what is configured for the whole account."""
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": False,
        "dualSidePosition": hedged(call.server),
        "updateTime": 0,
        "multiAssetsMargin": multi_assets(call.server),
        "tradeGroupId": -1,
    }


def symbol_config(call: Call) -> list[dict[str, Any]]:
    """Return margin type and leverage of one symbol, or of all."""
    settings = symbol_settings(call.server.exchange.account)
    rows = []
    for symbol in _asked(call):
        leverage = settings.leverage(symbol.symbol)
        rows.append(
            {
                "symbol": symbol.symbol,
                "marginType": settings.margin_type(symbol.symbol),
                "isAutoAddMargin": False,
                "leverage": leverage,
                "maxNotionalValue": str(largest_notional(symbol.symbol, leverage)),
            }
        )
    return rows


def commission_rate(call: Call) -> dict[str, Any]:
    """Return maker and taker rate of a symbol."""
    symbol = wanted_symbol(call)
    maker, taker = rates_of(call.server, symbol)
    return {
        "symbol": symbol.symbol,
        "makerCommissionRate": fixed(maker, 6),
        "takerCommissionRate": fixed(taker, 6),
        "rpiCommissionRate": fixed(maker, 6),
    }


def leverage_bracket(call: Call) -> list[dict[str, Any]]:
    """Return the brackets of one symbol or of all; both are lists, as the exchange answers."""
    return [_bracket_row(symbol.symbol) for symbol in _asked(call)]


def _bracket_row(symbol: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "brackets": [
            {
                "bracket": each.number,
                "initialLeverage": each.leverage,
                "notionalCap": each.cap,
                "notionalFloor": each.floor,
                "maintMarginRatio": float(each.ratio),
                "cum": int(each.deducted),
            }
            for each in brackets_of(symbol)
        ],
    }


def order_limits(call: Call) -> list[dict[str, Any]]:
    """Return how many orders the account may send."""
    return [dict(each) for each in ORDER_LIMITS[call.product]]


def trading_status(call: Call) -> dict[str, Any]:
    """Return the account's quantitative rules indicators: none is breached."""
    return {"indicators": {}, "updateTime": call.now_ms}


ROUTES = {
    "GET /fapi/v1/accountConfig": Route(account_config, 5, signed=True),
    "GET /fapi/v1/symbolConfig": Route(symbol_config, 5, signed=True),
    "GET /fapi/v1/commissionRate": Route(commission_rate, 20, signed=True),
    "GET /fapi/v1/leverageBracket": Route(leverage_bracket, 1, signed=True),
    "GET /fapi/v1/rateLimit/order": Route(order_limits, 1, signed=True),
    "GET /fapi/v1/apiTradingStatus": Route(trading_status, 1, signed=True),
}

"""exchangeInfo: limits, assets, and every symbol with its filters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.figures import milliseconds, places
from rebalancer.simulators.binance_server.filters_listed import spot_filters, usdm_filters
from rebalancer.simulators.binance_server.market_view import listed

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol

_Limit = Mapping[str, str | int]


def _limit(kind: str, interval: str, number: int, limit: int) -> _Limit:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }


ORDER_LIMITS: Mapping[str, tuple[_Limit, ...]] = {
    "spot": (_limit("ORDERS", "SECOND", 10, 100), _limit("ORDERS", "DAY", 1, 200_000)),
    "usdm": (_limit("ORDERS", "SECOND", 10, 300), _limit("ORDERS", "MINUTE", 1, 1200)),
}
RATE_LIMITS: Mapping[str, tuple[_Limit, ...]] = {
    "spot": (
        _limit("REQUEST_WEIGHT", "MINUTE", 1, 6000),
        *ORDER_LIMITS["spot"],
        _limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
    ),
    "usdm": (_limit("REQUEST_WEIGHT", "MINUTE", 1, 2400), *reversed(ORDER_LIMITS["usdm"])),
}
"""What the exchange publishes; the server's own counting uses the same numbers."""

_ASSETS = (
    ("USDT", "-10000"),
    ("BTC", "-0.10000000"),
    ("BNB", "0"),
    ("ETH", "0"),
    ("USDC", "-10000"),
)
_SPOT_ORDERS = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
_USDM_ORDERS = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
_SELF_TRADES = ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")


def usdm_info(call: Call) -> dict[str, Any]:
    """Return everything about USDⓈ-M; it takes no parameter that narrows it."""
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [dict(each) for each in RATE_LIMITS["usdm"]],
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": threshold}
            for asset, threshold in _ASSETS
        ],
        "symbols": [usdm_symbol(symbol) for symbol in listed(call.server, "usdm")],
    }


def usdm_symbol(symbol: Symbol) -> dict[str, Any]:
    """Return one contract."""
    return {
        "symbol": symbol.symbol,
        "pair": symbol.symbol.partition("_")[0],
        "contractType": symbol.contract_type,
        "deliveryDate": milliseconds(symbol.delivery),
        "onboardDate": milliseconds(symbol.onboard),
        "status": symbol.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": symbol.quote,
        "pricePrecision": places(symbol.tick),
        "quantityPrecision": places(symbol.step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": usdm_filters(symbol),
        "orderTypes": list(_USDM_ORDERS),
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }


def spot_info(call: Call) -> dict[str, Any]:
    """Return spot: all symbols, or those of `symbol`, `symbols` or `permissions`."""
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": [dict(each) for each in RATE_LIMITS["spot"]],
        "exchangeFilters": [],
        "symbols": [spot_symbol(symbol) for symbol in _asked(call)],
    }


def _asked(call: Call) -> tuple[Symbol, ...]:
    every = listed(call.server, "spot")
    names = _texts(call, "symbols")
    one = call.parameters.get("symbol")
    if one and names is not None:
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    if one:
        names = [one]
    if names is not None:
        known = {symbol.symbol: symbol for symbol in every}
        if not names or any(name not in known for name in names):
            raise ApiError(-1121, "Invalid symbol.")
        return tuple(known[name] for name in names)
    wanted = _texts(call, "permissions")
    if wanted is not None and not {"SPOT", "MARGIN"} & set(wanted):
        return ()
    status = call.parameters.get("symbolStatus", "")
    return tuple(symbol for symbol in every if status in ("", symbol.status))


def _texts(call: Call, name: str) -> list[str] | None:
    """Return a parameter that is a JSON list of texts, or one bare text."""
    text = call.parameters.get(name)
    if not text:
        return None
    if not text.startswith("["):
        return [text]
    try:
        return [str(each) for each in json.loads(text)]
    except ValueError:
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'.") from None


def spot_symbol(symbol: Symbol) -> dict[str, Any]:
    """Return one pair."""
    return {
        "symbol": symbol.symbol,
        "status": symbol.status,
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(_SPOT_ORDERS),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": spot_filters(symbol),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": list(_SELF_TRADES),
    }


ROUTES = {
    "GET /api/v3/exchangeInfo": Route(spot_info, 20),
    "GET /fapi/v1/exchangeInfo": Route(usdm_info, 1),
}

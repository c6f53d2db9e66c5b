"""The filters of a symbol as exchangeInfo lists them: what an order has to keep to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.figures import coin, on_grid, plain

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol


def usdm_filters(symbol: Symbol) -> list[dict[str, Any]]:
    """Return the seven filters of a contract; MAX_NUM_ALGO_ORDERS is gone since 2025-12-29."""
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": on_grid(symbol.min_price, symbol.tick),
            "maxPrice": plain(symbol.max_price),
            "tickSize": f"{symbol.tick:f}",
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": plain(symbol.min_qty),
            "maxQty": plain(symbol.max_qty),
            "stepSize": plain(symbol.step),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": plain(symbol.market_min_qty),
            "maxQty": plain(symbol.market_max_qty),
            "stepSize": plain(symbol.market_step),
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": symbol.max_orders},
        {"filterType": "MIN_NOTIONAL", "notional": plain(symbol.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": f"{symbol.multiplier_up:.4f}",
            "multiplierDown": f"{symbol.multiplier_down:.4f}",
            "multiplierDecimal": "4",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]


def spot_filters(symbol: Symbol) -> list[dict[str, Any]]:
    """Return the nine filters of a pair, and MAX_POSITION where there is one.

    A step of nothing switches a limit off.
    """
    most = symbol.max_position
    bound = [] if most is None else [{"filterType": "MAX_POSITION", "maxPosition": coin(most)}]
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": coin(symbol.min_price),
            "maxPrice": coin(symbol.max_price),
            "tickSize": coin(symbol.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": coin(symbol.min_qty),
            "maxQty": coin(symbol.max_qty),
            "stepSize": coin(symbol.step),
        },
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": coin(symbol.market_min_qty),
            "maxQty": coin(symbol.market_max_qty),
            "stepSize": coin(symbol.market_step),
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": plain(symbol.multiplier_up),
            "bidMultiplierDown": plain(symbol.multiplier_down),
            "askMultiplierUp": plain(symbol.multiplier_up),
            "askMultiplierDown": plain(symbol.multiplier_down),
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": coin(symbol.min_notional),
            "applyMinToMarket": True,
            "maxNotional": coin(symbol.max_notional),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": symbol.max_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        *bound,
    ]

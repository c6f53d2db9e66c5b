"""All routes of the simulated exchange, by method and path."""

from __future__ import annotations

from collections.abc import Mapping

from rebalancer.simulators.binance_server import (
    account_spot,
    account_usdm,
    algo,
    countdown,
    dapi,
    exchange_info,
    haircuts,
    income_rows,
    mark_candles,
    market_data,
    market_info,
    modes,
    orders_batch,
    orders_spot,
    orders_usdm,
    positions_usdm,
    sapi,
    settings_usdm,
    trades,
)
from rebalancer.simulators.binance_server.call import Route

_MODULES = (
    account_spot,
    account_usdm,
    algo,
    countdown,
    dapi,
    exchange_info,
    haircuts,
    income_rows,
    mark_candles,
    market_data,
    market_info,
    modes,
    orders_batch,
    orders_spot,
    orders_usdm,
    positions_usdm,
    sapi,
    settings_usdm,
    trades,
)

ROUTES: Mapping[str, Route] = {
    name: route for module in _MODULES for name, route in module.ROUTES.items()
}

"""COIN-M: it is there and lists nothing; clients that load every market ask."""

from __future__ import annotations

from typing import Any

from rebalancer.simulators.binance_server.call import Call, Route
from rebalancer.simulators.binance_server.exchange_info import RATE_LIMITS


def exchange_info(call: Call) -> dict[str, Any]:
    """Return an exchange without symbols."""
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": [dict(each) for each in RATE_LIMITS["usdm"]],
        "exchangeFilters": [],
        "symbols": [],
    }


ROUTES = {"GET /dapi/v1/exchangeInfo": Route(exchange_info, 1)}

"""What each reading route weighs, against the exchange's published table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rebalancer.simulators.binance_server import (
    account_spot,
    account_usdm,
    dapi,
    exchange_info,
    haircuts,
    income_rows,
    market_data,
    market_info,
    modes,
    positions_usdm,
    sapi,
    settings_usdm,
)
from rebalancer.simulators.binance_server.call import Call, Route

ROUTES: dict[str, Route] = {}
for _module in (
    account_spot, account_usdm, dapi, exchange_info, haircuts, income_rows, market_data,
    market_info, modes, positions_usdm, sapi, settings_usdm,
):  # fmt: skip
    assert not ROUTES.keys() & _module.ROUTES.keys()
    ROUTES |= _module.ROUTES

BTC = {"symbol": "BTCUSDT"}
TABLE = [
    ("GET /api/v3/ping", {}, 1),
    ("GET /api/v3/time", {}, 1),
    ("GET /api/v3/exchangeInfo", {}, 20),
    ("GET /api/v3/klines", BTC | {"limit": "1000"}, 2),
    ("GET /api/v3/depth", BTC, 5),
    ("GET /api/v3/depth", BTC | {"limit": "100"}, 5),
    ("GET /api/v3/depth", BTC | {"limit": "500"}, 25),
    ("GET /api/v3/depth", BTC | {"limit": "1000"}, 50),
    ("GET /api/v3/depth", BTC | {"limit": "5000"}, 250),
    ("GET /api/v3/ticker/bookTicker", BTC, 2),
    ("GET /api/v3/ticker/bookTicker", {}, 4),
    ("GET /api/v3/ticker/price", BTC, 2),
    ("GET /api/v3/ticker/price", {}, 4),
    ("GET /api/v3/ticker/24hr", BTC, 2),
    ("GET /api/v3/ticker/24hr", {"symbols": '["A","B"]'}, 2),
    ("GET /api/v3/ticker/24hr", {"symbols": ",".join("A" * 21)}, 40),
    ("GET /api/v3/ticker/24hr", {}, 80),
    ("GET /api/v3/aggTrades", BTC, 4),
    ("GET /api/v3/account", {}, 20),
    ("GET /api/v3/account/commission", BTC, 20),
    ("GET /api/v3/rateLimit/order", {}, 40),
    ("GET /fapi/v1/ping", {}, 1),
    ("GET /fapi/v1/time", {}, 1),
    ("GET /fapi/v1/exchangeInfo", {}, 1),
    ("GET /fapi/v1/klines", BTC | {"limit": "99"}, 1),
    ("GET /fapi/v1/klines", BTC | {"limit": "100"}, 2),
    ("GET /fapi/v1/klines", BTC | {"limit": "499"}, 2),
    ("GET /fapi/v1/klines", BTC, 5),
    ("GET /fapi/v1/klines", BTC | {"limit": "1000"}, 5),
    ("GET /fapi/v1/klines", BTC | {"limit": "1500"}, 10),
    ("GET /fapi/v1/depth", BTC | {"limit": "50"}, 2),
    ("GET /fapi/v1/depth", BTC | {"limit": "100"}, 5),
    ("GET /fapi/v1/depth", BTC, 10),
    ("GET /fapi/v1/depth", BTC | {"limit": "1000"}, 20),
    ("GET /fapi/v1/ticker/bookTicker", BTC, 2),
    ("GET /fapi/v1/ticker/bookTicker", {}, 5),
    ("GET /fapi/v2/ticker/price", BTC, 1),
    ("GET /fapi/v2/ticker/price", {}, 2),
    ("GET /fapi/v1/ticker/24hr", BTC, 1),
    ("GET /fapi/v1/ticker/24hr", {}, 40),
    ("GET /fapi/v1/aggTrades", BTC, 20),
    ("GET /fapi/v1/premiumIndex", BTC, 1),
    ("GET /fapi/v1/premiumIndex", {}, 10),
    ("GET /fapi/v1/fundingRate", {}, 0),
    ("GET /fapi/v1/fundingInfo", {}, 0),
    ("GET /fapi/v2/account", {}, 5),
    ("GET /fapi/v3/account", {}, 5),
    ("GET /fapi/v2/balance", {}, 5),
    ("GET /fapi/v3/balance", {}, 5),
    ("GET /fapi/v2/positionRisk", {}, 5),
    ("GET /fapi/v3/positionRisk", {}, 5),
    ("GET /fapi/v1/accountConfig", {}, 5),
    ("GET /fapi/v1/symbolConfig", {}, 5),
    ("GET /fapi/v1/leverageBracket", {}, 1),
    ("GET /fapi/v1/commissionRate", BTC, 20),
    ("GET /fapi/v1/income", {}, 30),
    ("GET /fapi/v1/positionSide/dual", {}, 30),
    ("POST /fapi/v1/positionSide/dual", {}, 1),
    ("GET /fapi/v1/multiAssetsMargin", {}, 30),
    ("POST /fapi/v1/multiAssetsMargin", {}, 1),
    ("POST /fapi/v1/marginType", BTC, 1),
    ("POST /fapi/v1/leverage", BTC, 1),
    ("GET /fapi/v1/rateLimit/order", {}, 1),
]


@pytest.mark.parametrize(("route", "parameters", "weight"), TABLE)
def test_a_request_weighs_what_the_exchange_publishes(
    route: str, parameters: dict[str, str], weight: int
) -> None:
    product = "spot" if "/api/" in route else "usdm"
    path = route.partition(" ")[2]
    call = Call(cast(Any, None), product, path, parameters, datetime(2025, 3, 20, tzinfo=UTC))
    found = ROUTES[route].weight
    assert (found if isinstance(found, int) else found(call)) == weight


def test_only_the_market_is_read_without_a_signature() -> None:
    unsigned = {name for name, route in ROUTES.items() if not route.signed}
    words = (
        "ping", "time", "exchangeInfo", "klines", "depth", "rades", "ticker", "avgPrice",
        "premiumIndex", "funding", "assetIndex", "openInterest", "margin/", "delist",
        "system/status",
    )  # fmt: skip
    assert all(any(word in name for word in words) for name in unsigned), sorted(unsigned)
    assert all(name.startswith("GET ") for name in unsigned)

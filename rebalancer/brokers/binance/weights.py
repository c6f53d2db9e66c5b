"""What each call weighs: the exchange's own table, by path and parameters.

Sources: binance-spot-api-docs and the USDⓈ-M general information and endpoint pages. The
used-weight header is the truth; this says it before the call, so that a run can be planned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rebalancer.brokers.binance.parameters import BinanceSettings, Product

Asked = Mapping[str, str]

UNLISTED = 40
"""What a call that is not in the table is taken for: the heaviest that is asked often."""


def _by_limit(default: int, *steps: tuple[int, int], most: int) -> Callable[[Asked], int]:
    """Weigh by `limit`: each step is (limit up to and with it, weight)."""

    def weight(asked: Asked) -> int:
        limit = asked.get("limit", "")
        wanted = int(limit) if limit.isdigit() else default
        return next((each for upto, each in steps if wanted <= upto), most)

    return weight


def _by_symbol(one: int, every: int) -> Callable[[Asked], int]:
    """Weigh what is asked of one symbol, and what of all."""
    return lambda asked: one if asked.get("symbol") else every


def _day_tickers(asked: Asked) -> int:
    """Weigh spot's 24 hour tickers by how many symbols are asked."""
    if asked.get("symbol"):
        return 2
    count = asked.get("symbols", "").count(",") + 1 if asked.get("symbols") else 101
    return 2 if count <= 20 else 40 if count <= 100 else 80


_WEIGHTS: Mapping[str, int | Callable[[Asked], int]] = {
    "GET /fapi/v1/ping": 1,
    "GET /fapi/v1/time": 1,
    "GET /fapi/v1/exchangeInfo": 1,
    "GET /fapi/v1/klines": _by_limit(500, (99, 1), (499, 2), (1000, 5), most=10),
    "GET /fapi/v1/depth": _by_limit(500, (50, 2), (100, 5), (500, 10), most=20),
    "GET /fapi/v1/ticker/bookTicker": _by_symbol(2, 5),
    "GET /fapi/v1/ticker/price": _by_symbol(1, 2),
    "GET /fapi/v2/ticker/price": _by_symbol(1, 2),
    "GET /fapi/v1/ticker/24hr": _by_symbol(1, 40),
    "GET /fapi/v1/premiumIndex": _by_symbol(1, 10),
    "GET /fapi/v1/assetIndex": _by_symbol(1, 10),
    "GET /fapi/v1/fundingRate": 0,
    "GET /fapi/v1/fundingInfo": 0,
    "GET /fapi/v2/account": 5,
    "GET /fapi/v3/account": 5,
    "GET /fapi/v2/balance": 5,
    "GET /fapi/v3/balance": 5,
    "GET /fapi/v2/positionRisk": 5,
    "GET /fapi/v3/positionRisk": 5,
    "GET /fapi/v1/accountConfig": 5,
    "GET /fapi/v1/symbolConfig": 5,
    "GET /fapi/v1/leverageBracket": 1,
    "GET /fapi/v1/commissionRate": 20,
    "GET /fapi/v1/rateLimit/order": 1,
    "GET /fapi/v1/income": 30,
    "GET /fapi/v1/positionSide/dual": 30,
    "POST /fapi/v1/positionSide/dual": 1,
    "GET /fapi/v1/multiAssetsMargin": 30,
    "POST /fapi/v1/multiAssetsMargin": 1,
    "POST /fapi/v1/marginType": 1,
    "POST /fapi/v1/leverage": 1,
    "POST /fapi/v1/countdownCancelAll": 10,
    "POST /fapi/v1/order": 0,
    "POST /fapi/v1/order/test": 0,
    "PUT /fapi/v1/order": 1,
    "GET /fapi/v1/order": 1,
    "DELETE /fapi/v1/order": 1,
    "DELETE /fapi/v1/allOpenOrders": 1,
    "POST /fapi/v1/batchOrders": 5,
    "DELETE /fapi/v1/batchOrders": 1,
    "GET /fapi/v1/openOrder": 1,
    "GET /fapi/v1/openOrders": _by_symbol(1, 40),
    "GET /fapi/v1/allOrders": 5,
    "GET /fapi/v1/userTrades": 5,
    "GET /fapi/v1/forceOrders": _by_symbol(20, 50),
    "POST /fapi/v1/algoOrder": 0,
    "GET /fapi/v1/algoOrder": 1,
    "DELETE /fapi/v1/algoOrder": 1,
    "GET /fapi/v1/openAlgoOrders": _by_symbol(1, 40),
    "GET /fapi/v1/allAlgoOrders": 5,
    "DELETE /fapi/v1/algoOpenOrders": 1,
    "GET /api/v3/ping": 1,
    "GET /api/v3/time": 1,
    "GET /api/v3/exchangeInfo": 20,
    "GET /api/v3/klines": 2,
    "GET /api/v3/depth": _by_limit(100, (100, 5), (500, 25), (1000, 50), most=250),
    "GET /api/v3/avgPrice": 2,
    "GET /api/v3/ticker/bookTicker": _by_symbol(2, 4),
    "GET /api/v3/ticker/price": _by_symbol(2, 4),
    "GET /api/v3/ticker/24hr": _day_tickers,
    "GET /api/v3/account": 20,
    "GET /api/v3/account/commission": 20,
    "GET /api/v3/rateLimit/order": 40,
    "GET /api/v3/myFilters": 40,
    "GET /api/v3/myTrades": lambda asked: 5 if asked.get("orderId") else 20,
    "POST /api/v3/order": 1,
    "POST /api/v3/order/test": lambda asked: 20 if asked.get("computeCommissionRates") else 1,
    "GET /api/v3/order": 4,
    "DELETE /api/v3/order": 1,
    "DELETE /api/v3/openOrders": 1,
    "POST /api/v3/order/cancelReplace": 1,
    "GET /api/v3/openOrders": _by_symbol(6, 80),
    "GET /api/v3/allOrders": 20,
    "GET /sapi/v1/account/apiRestrictions": 1,
    "GET /sapi/v1/capital/deposit/hisrec": 1,
    "GET /sapi/v1/capital/withdraw/history": 1,
    "GET /sapi/v1/asset/transfer": 1,
    "GET /sapi/v1/spot/delist-schedule": 100,
}

_ORDERS: Mapping[str, int] = {
    "POST /fapi/v1/order": 1,
    "PUT /fapi/v1/order": 1,
    "POST /fapi/v1/algoOrder": 1,
    "POST /fapi/v1/batchOrders": 5,
    "POST /api/v3/order": 1,
    "POST /api/v3/order/cancelReplace": 1,
}


def weight_of(method: str, path: str, asked: Asked) -> int:
    """Return what a call adds to the used weight of its address."""
    found = _WEIGHTS.get(f"{method} {path}", UNLISTED)
    return found if isinstance(found, int) else found(asked)


def orders_of(method: str, path: str) -> int:
    """Return how much a call counts as new orders."""
    return _ORDERS.get(f"{method} {path}", 0)


def is_listed(method: str, path: str) -> bool:
    """Return whether the table has a call."""
    return f"{method} {path}" in _WEIGHTS


@dataclass(frozen=True, slots=True)
class WeightPlan:
    """What a run will weigh, by what it asks; nothing is sent before it is known to fit."""

    parts: Mapping[str, int]
    per_minute: int

    @property
    def total(self) -> int:
        """Return the whole weight."""
        return sum(self.parts.values())

    @property
    def minutes(self) -> int:
        """Return in how many of the exchange's minutes it fits."""
        return -(-self.total // max(self.per_minute, 1))

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {weight}" for name, weight in self.parts.items())
        return f"weight {self.total} of {self.per_minute} a minute: {parts}"


def plan_weight(
    product: Product, symbols: int, settings: BinanceSettings, per_minute: int
) -> WeightPlan:
    """Return what a run over so many symbols weighs at the most, its history from nothing.

    Calls that depend on what is found (trades of symbols that traded, orders looked up) are
    taken for a twentieth of the symbols.
    """
    few = -(-symbols // 20)
    parts: dict[str, int] = {}
    if product is Product.USDM:
        hours = 2 * -(-settings.history_hours // 499) if settings.history_hours else 0
        own_days = settings.history_days * 24 > settings.history_hours > 0 or not hours
        days = 2 * -(-settings.history_days // 499) if settings.history_days and own_days else 0
        parts["connect"] = 1 + 1 + 5 + 5
        parts["account"] = 3 * (5 + 5 + 5)
        parts["orders"] = 3 * (40 + 40)
        parts["income and trades"] = 30 + 5 * few
        parts["quotes"] = 2 * (5 + 10)
        parts["history"] = (hours + days) * symbols
        parts["modes"] = 2 * symbols * bool(settings.margin_type or settings.leverage)
    else:
        pages = sum(-(-each // 1000) for each in (settings.history_days, settings.history_hours))
        parts["connect"] = 1 + 20 + 1 + 20
        parts["account"] = 3 * (20 + 20 + 80 + 4)
        parts["orders"] = 3 * 80
        parts["trades"] = 20 * symbols
        parts["quotes"] = 2 * 80
        parts["history"] = 2 * pages * symbols
    return WeightPlan(parts, per_minute)

"""Spot: balances and commissions, as signed requests see them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rebalancer.simulators.binance_server.call import Call, Route
from rebalancer.simulators.binance_server.commissions import rates_of
from rebalancer.simulators.binance_server.exchange_info import ORDER_LIMITS
from rebalancer.simulators.binance_server.figures import coin, milliseconds
from rebalancer.simulators.binance_server.market_view import listed, wanted_symbol

_ZERO = Decimal(0)


def locked_amounts(call: Call) -> dict[str, Decimal]:
    """Return what open spot orders hold back, by asset: quote for buys, base for sells."""
    symbols = {symbol.id: symbol for symbol in listed(call.server, "spot")}
    locked: dict[str, Decimal] = {}
    for order in call.server.exchange.account.orders:
        symbol = symbols.get(order.instrument)
        if symbol is None or not order.live:
            continue
        if order.quantity > 0:
            asset, amount = symbol.quote, order.remaining * (order.limit or _ZERO)
        else:
            asset, amount = symbol.base, -order.remaining
        locked[asset] = locked.get(asset, _ZERO) + amount
    return locked


def account(call: Call) -> dict[str, Any]:
    """Return the account; what is owed shows as nothing free."""
    cash = call.server.exchange.account.cash
    locked = locked_amounts(call)
    symbols = listed(call.server, "spot")
    assets = dict.fromkeys(
        asset for symbol in symbols for asset in (symbol.base, symbol.quote)
    ) | dict.fromkeys(sorted(cash))
    balances = [
        {
            "asset": asset,
            "free": coin(max(_ZERO, cash.get(asset, _ZERO) - locked.get(asset, _ZERO))),
            "locked": coin(locked.get(asset, _ZERO)),
        }
        for asset in assets
        if not call.flag("omitZeroBalances") or cash.get(asset)
    ]
    maker, taker = rates_of(call.server, symbols[0]) if symbols else (_ZERO, _ZERO)
    executions = call.server.exchange.account.executions
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": _rates(maker, taker),
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": milliseconds(executions[-1].at) if executions else 0,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": _uid(call.server.exchange.account.account),
    }


def _uid(account: str) -> int | str:
    """Return the uid of the account in the books; one that is no number is shown as it is."""
    return int(account) if account.isdigit() else account


def _rates(maker: Decimal, taker: Decimal) -> dict[str, str]:
    nothing = coin(_ZERO)
    return {"maker": coin(maker), "taker": coin(taker), "buyer": nothing, "seller": nothing}


def commission(call: Call) -> dict[str, Any]:
    """Return the commission rates of a symbol; no discount in BNB is on."""
    symbol = wanted_symbol(call)
    maker, taker = rates_of(call.server, symbol)
    return {
        "symbol": symbol.symbol,
        "standardCommission": _rates(maker, taker),
        "specialCommission": _rates(_ZERO, _ZERO),
        "taxCommission": _rates(_ZERO, _ZERO),
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": coin(Decimal("0.75")),
        },
    }


def order_limits(call: Call) -> list[dict[str, Any]]:
    """Return how many orders the account may send, and how many count now."""
    counts = call.server.limits.order_counts("spot", call.now)
    return [
        {**each, "count": counts.get(f"{each['intervalNum']}{str(each['interval'])[0]}", 0)}
        for each in ORDER_LIMITS["spot"]
    ]


ROUTES = {
    "GET /api/v3/account": Route(account, 20, signed=True),
    "GET /api/v3/account/commission": Route(commission, 20, signed=True),
    "GET /api/v3/rateLimit/order": Route(order_limits, 40, signed=True),
}

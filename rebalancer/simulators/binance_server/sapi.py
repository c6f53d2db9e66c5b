"""/sapi: the key's permissions, coins, deposits and withdrawals, and margin lists (empty)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rebalancer.simulators.binance_server.account_spot import locked_amounts
from rebalancer.simulators.binance_server.call import Call, Route
from rebalancer.simulators.binance_server.commissions import rates_of
from rebalancer.simulators.binance_server.figures import milliseconds, plain
from rebalancer.simulators.binance_server.market_view import (
    leaving_symbols,
    listed,
    symbol_named,
)
from rebalancer.simulators.binance_server.transfers import Transfer, booked_transfers

_KEY_MADE = 1_698_645_219_000


def restrictions(_call: Call) -> dict[str, Any]:
    """Return what the key may do: read and trade, not withdraw."""
    return {
        "ipRestrict": True,
        "createTime": _KEY_MADE,
        "enableReading": True,
        "enableSpotAndMarginTrading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": True,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enablePortfolioMarginTrading": False,
    }


def trading_status(call: Call) -> dict[str, Any]:
    """Return that the account is not locked."""
    return {
        "data": {
            "isLocked": False,
            "plannedRecoverTime": 0,
            "triggerCondition": {"GCR": 150, "IFER": 150, "UFR": 300},
            "updateTime": call.now_ms,
        }
    }


def nothing(_call: Call) -> list[Any]:
    """Return an empty list."""
    return []


def coins(call: Call) -> list[dict[str, Any]]:
    """Return every asset of the spot pairs with what is owned of it; no networks."""
    cash = call.server.exchange.account.cash
    locked = locked_amounts(call)
    symbols = listed(call.server, "spot")
    names = dict.fromkeys(a for symbol in symbols for a in (symbol.base, symbol.quote))
    names |= dict.fromkeys(sorted(cash))
    zero = Decimal(0)
    return [
        {
            "coin": name,
            "depositAllEnable": True,
            "withdrawAllEnable": True,
            "name": name,
            "free": plain(max(zero, cash.get(name, zero) - locked.get(name, zero))),
            "locked": plain(locked.get(name, zero)),
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for name in names
    ]


def _moved(call: Call, sign: int) -> list[tuple[int, Transfer]]:
    """Return the transfers of one direction that a request asks for, newest first."""
    start, end = call.integer("startTime", -1), call.integer("endTime", -1)
    start = start if start >= 0 else call.now_ms - 90 * 86_400_000
    coin_wanted = call.text("coin", "")
    found = [
        (number, each)
        for number, each in booked_transfers(call.server)
        if each.amount * sign > 0
        and milliseconds(each.at) >= start
        and (end < 0 or milliseconds(each.at) <= end)
        and coin_wanted in ("", each.asset)
    ]
    offset = call.integer("offset", 0)
    return found[::-1][offset : offset + min(call.integer("limit", 1000), 1000)]


def deposits(call: Call) -> list[dict[str, Any]]:
    """Return deposits, newest first."""
    return [
        {
            "id": f"{number}",
            "amount": plain(each.amount),
            "coin": each.asset,
            "network": "ETH",
            "status": 1,
            "address": "",
            "addressTag": "",
            "txId": f"simulated-{number}",
            "insertTime": milliseconds(each.at),
            "completeTime": milliseconds(each.at),
            "transferType": 0,
            "confirmTimes": "1/1",
            "unlockConfirm": 0,
            "walletType": 0,
        }
        for number, each in _moved(call, 1)
    ]


def withdrawals(call: Call) -> list[dict[str, Any]]:
    """Return withdrawals, newest first."""
    return [
        {
            "id": f"{number}",
            "amount": plain(-each.amount),
            "transactionFee": "0",
            "coin": each.asset,
            "status": 6,
            "address": "",
            "txId": f"simulated-{number}",
            "applyTime": f"{each.at:%Y-%m-%d %H:%M:%S}",
            "network": "ETH",
            "transferType": 0,
            "withdrawOrderId": "",
            "info": "",
            "confirmNo": 1,
            "walletType": 0,
            "txKey": "",
            "completeTime": f"{each.at:%Y-%m-%d %H:%M:%S}",
        }
        for number, each in _moved(call, -1)
    ]


def delist_schedule(call: Call) -> list[dict[str, Any]]:
    """Return the spot pairs whose end is announced, by its time."""
    times: dict[int, list[str]] = {}
    for symbol, at in leaving_symbols(call.server, "spot"):
        times.setdefault(milliseconds(at), []).append(symbol.symbol)
    return [{"delistTime": at, "symbols": sorted(names)} for at, names in sorted(times.items())]


def trade_fees(call: Call) -> list[dict[str, Any]]:
    """Return maker and taker commission of one spot pair, or of all."""
    name = call.parameters.get("symbol")
    server = call.server
    asked = (symbol_named(server, "spot", name),) if name else listed(server, "spot")
    rows = []
    for symbol in asked:
        maker, taker = rates_of(server, symbol)
        rows.append(
            {
                "symbol": symbol.symbol,
                "makerCommission": plain(maker),
                "takerCommission": plain(taker),
            }
        )
    return rows


def system_status(_call: Call) -> dict[str, Any]:
    """Return that the exchange is up; its maintenance is a fault on the wire."""
    return {"status": 0, "msg": "normal"}


ROUTES = {
    "GET /sapi/v1/account/apiRestrictions": Route(restrictions, 1, signed=True),
    "GET /sapi/v1/account/apiTradingStatus": Route(trading_status, 1, signed=True),
    "GET /sapi/v1/capital/config/getall": Route(coins, 10, signed=True),
    "GET /sapi/v1/capital/deposit/hisrec": Route(deposits, 1, signed=True),
    "GET /sapi/v1/capital/withdraw/history": Route(withdrawals, 1, signed=True),
    "GET /sapi/v1/asset/tradeFee": Route(trade_fees, 1, signed=True),
    "GET /sapi/v1/system/status": Route(system_status, 1),
    "GET /sapi/v1/margin/allPairs": Route(nothing, 1, keyed=True),
    "GET /sapi/v1/margin/isolated/allPairs": Route(nothing, 1, signed=True),
    "GET /sapi/v1/margin/allAssets": Route(nothing, 1, keyed=True),
    "GET /sapi/v1/spot/delist-schedule": Route(delist_schedule, 100, keyed=True),
}

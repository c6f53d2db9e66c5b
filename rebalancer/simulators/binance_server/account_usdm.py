"""USDⓈ-M: account and balances, as signed requests see them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rebalancer.simulators.binance_server.brackets import largest_notional
from rebalancer.simulators.binance_server.call import Call, Route
from rebalancer.simulators.binance_server.figures import amount, coin, held_size, price
from rebalancer.simulators.binance_server.haircuts import MARGIN_ASSETS
from rebalancer.simulators.binance_server.margin import (
    MarginView,
    PositionLine,
    Wallet,
    margin_view,
)
from rebalancer.simulators.binance_server.modes import multi_assets

_ALIAS = "SgsR"


def _totals(view: MarginView) -> dict[str, Any]:
    total = view.total
    return {
        "totalInitialMargin": coin(total.initial_margin),
        "totalMaintMargin": coin(total.maintenance_margin),
        "totalWalletBalance": coin(total.balance),
        "totalUnrealizedProfit": coin(total.profit),
        "totalMarginBalance": coin(total.margin_balance),
        "totalPositionInitialMargin": coin(total.position_margin),
        "totalOpenOrderInitialMargin": coin(total.order_margin),
        "totalCrossWalletBalance": coin(total.cross_balance),
        "totalCrossUnPnl": coin(total.cross_profit),
        "availableBalance": coin(total.available),
        "maxWithdrawAmount": coin(total.withdrawable),
    }


def _asset(wallet: Wallet, now_ms: int) -> dict[str, Any]:
    return {
        "asset": wallet.asset,
        "walletBalance": coin(wallet.balance),
        "unrealizedProfit": coin(wallet.profit),
        "marginBalance": coin(wallet.margin_balance),
        "maintMargin": coin(wallet.maintenance_margin),
        "initialMargin": coin(wallet.initial_margin),
        "positionInitialMargin": coin(wallet.position_margin),
        "openOrderInitialMargin": coin(wallet.order_margin),
        "crossWalletBalance": coin(wallet.cross_balance),
        "crossUnPnl": coin(wallet.cross_profit),
        "availableBalance": coin(wallet.available),
        "maxWithdrawAmount": coin(wallet.withdrawable),
        "updateTime": now_ms,
    }


def account_v2(call: Call) -> dict[str, Any]:
    """Return the account with every listed symbol and every margin asset."""
    view = margin_view(call.server, MARGIN_ASSETS)
    assets = []
    for wallet in view.wallets:
        row = _asset(wallet, call.now_ms)
        updated = row.pop("updateTime")
        assets.append(row | {"marginAvailable": True, "updateTime": updated})
    return {
        "feeTier": 0,
        "feeBurn": False,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": False,
        "updateTime": 0,
        "multiAssetsMargin": multi_assets(call.server),
        "tradeGroupId": -1,
        **_totals(view),
        "assets": assets,
        "positions": [_account_v2_line(line) for line in view.lines],
    }


def _account_v2_line(line: PositionLine) -> dict[str, Any]:
    return {
        "symbol": line.symbol.symbol,
        "initialMargin": amount(line.initial_margin),
        "maintMargin": amount(line.maintenance_margin),
        "unrealizedProfit": coin(line.profit),
        "positionInitialMargin": amount(line.position_margin),
        "openOrderInitialMargin": amount(line.order_margin),
        "leverage": str(line.leverage),
        "isolated": line.isolated,
        "entryPrice": price(line.entry),
        "maxNotional": str(largest_notional(line.symbol.symbol, line.leverage)),
        "bidNotional": amount(line.bid_notional),
        "askNotional": amount(line.ask_notional),
        "positionSide": "BOTH",
        "positionAmt": held_size(line.quantity, line.symbol.step),
        "updateTime": line.updated,
    }


def account_v3(call: Call) -> dict[str, Any]:
    """Return the account with the symbols that are held or ordered, and the assets it has."""
    view = margin_view(call.server, ("USDT",))
    return {
        **_totals(view),
        "assets": [_asset(wallet, call.now_ms) for wallet in view.wallets],
        "positions": [
            {
                "symbol": line.symbol.symbol,
                "positionSide": "BOTH",
                "positionAmt": held_size(line.quantity, line.symbol.step),
                "unrealizedProfit": coin(line.profit),
                "isolatedMargin": coin(line.isolated_wallet + line.profit)
                if line.isolated
                else coin(Decimal(0)),
                "notional": amount(line.notional),
                "isolatedWallet": amount(line.isolated_wallet),
                "initialMargin": amount(line.initial_margin),
                "maintMargin": amount(line.maintenance_margin),
                "updateTime": line.updated,
            }
            for line in view.lines
            if line.open
        ],
    }


def balances(call: Call) -> list[dict[str, Any]]:
    """Return the wallets, one row for each margin asset and each asset in cash."""
    return [
        {
            "accountAlias": _ALIAS,
            "asset": wallet.asset,
            "balance": coin(wallet.balance),
            "crossWalletBalance": coin(wallet.cross_balance),
            "crossUnPnl": coin(wallet.cross_profit),
            "availableBalance": coin(wallet.available),
            "maxWithdrawAmount": coin(wallet.withdrawable),
            "marginAvailable": True,
            "updateTime": call.now_ms,
        }
        for wallet in margin_view(call.server, MARGIN_ASSETS).wallets
    ]


ROUTES = {
    "GET /fapi/v2/account": Route(account_v2, 5, signed=True),
    "GET /fapi/v3/account": Route(account_v3, 5, signed=True),
    "GET /fapi/v2/balance": Route(balances, 5, signed=True),
    "GET /fapi/v3/balance": Route(balances, 5, signed=True),
}

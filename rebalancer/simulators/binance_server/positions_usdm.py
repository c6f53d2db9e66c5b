"""USDⓈ-M: positions, with the price at which they would be closed by force."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rebalancer.simulators.binance_server.brackets import brackets_of, largest_notional
from rebalancer.simulators.binance_server.call import Call, Route
from rebalancer.simulators.binance_server.commissions import rates_of
from rebalancer.simulators.binance_server.figures import (
    amount,
    coin,
    fixed,
    held_size,
    price,
)
from rebalancer.simulators.binance_server.margin import (
    MarginView,
    PositionLine,
    margin_view,
    position_lines,
)
from rebalancer.simulators.binance_server.market_view import wanted_symbol


def _asked(call: Call) -> list[PositionLine]:
    name = wanted_symbol(call).symbol if call.parameters.get("symbol") else ""
    lines = position_lines(call.server)
    return [line for line in lines if name in ("", line.symbol.symbol)]


def positions_v2(call: Call) -> list[dict[str, Any]]:
    """Return every listed symbol, held or not."""
    view = margin_view(call.server)
    return [
        {
            "entryPrice": price(line.entry),
            "breakEvenPrice": price(_break_even(call, line)),
            "marginType": "isolated" if line.isolated else "cross",
            "isAutoAddMargin": "false",
            "isolatedMargin": coin(line.isolated_wallet + line.profit)
            if line.isolated
            else coin(Decimal(0)),
            "leverage": str(line.leverage),
            "liquidationPrice": price(_liquidation(view, line)),
            "markPrice": fixed(line.mark, 8),
            "maxNotionalValue": str(largest_notional(line.symbol.symbol, line.leverage)),
            "positionAmt": held_size(line.quantity, line.symbol.step),
            "notional": amount(line.notional),
            "isolatedWallet": amount(line.isolated_wallet),
            "symbol": line.symbol.symbol,
            "unRealizedProfit": coin(line.profit),
            "positionSide": "BOTH",
            "updateTime": line.updated,
        }
        for line in _asked(call)
    ]


def positions_v3(call: Call) -> list[dict[str, Any]]:
    """Return the symbols that are held or ordered."""
    view = margin_view(call.server)
    return [
        {
            "symbol": line.symbol.symbol,
            "positionSide": "BOTH",
            "positionAmt": held_size(line.quantity, line.symbol.step),
            "entryPrice": price(line.entry),
            "breakEvenPrice": price(_break_even(call, line)),
            "markPrice": fixed(line.mark, 8),
            "unRealizedProfit": coin(line.profit),
            "liquidationPrice": price(_liquidation(view, line)),
            "isolatedMargin": amount(line.isolated_wallet + line.profit if line.isolated else 0),
            "notional": coin(line.notional),
            "marginAsset": line.symbol.quote,
            "isolatedWallet": amount(line.isolated_wallet),
            "initialMargin": amount(line.initial_margin),
            "maintMargin": amount(line.maintenance_margin),
            "positionInitialMargin": amount(line.position_margin),
            "openOrderInitialMargin": amount(line.order_margin),
            "adl": 1 if line.quantity else 0,
            "bidNotional": amount(line.bid_notional),
            "askNotional": amount(line.ask_notional),
            "updateTime": line.updated,
        }
        for line in _asked(call)
        if line.open
    ]


def _break_even(call: Call, line: PositionLine) -> Decimal:
    """Return the entry price with one taker commission on it."""
    if not line.quantity:
        return Decimal(0)
    _, taker = rates_of(call.server, line.symbol)
    return line.entry * (1 + (taker if line.quantity > 0 else -taker))


def _liquidation(view: MarginView, line: PositionLine) -> Decimal:
    """Return the mark price at which the account's margin is used up, 0 when there is none.

    The other positions stay where they are: margin balance + quantity * (price - mark) equals
    all maintenance margin, this position's with the ratio of its bracket.
    """
    if not line.quantity:
        return Decimal(0)
    others = view.total.maintenance_margin - line.maintenance_margin
    equity = view.total.cross_balance + view.total.cross_profit - others
    if line.isolated:
        equity = line.isolated_wallet + line.profit
    value = abs(line.notional)
    brackets = brackets_of(line.symbol.symbol)
    bracket = next((each for each in brackets if value <= each.cap), brackets[-1])
    held = line.quantity
    below = abs(held) * bracket.ratio - held
    price = (equity - held * line.mark + bracket.deducted) / below
    return max(price, Decimal(0))


ROUTES = {
    "GET /fapi/v2/positionRisk": Route(positions_v2, 5, signed=True),
    "GET /fapi/v3/positionRisk": Route(positions_v3, 5, signed=True),
}

"""What an asset counts as margin in multi-assets mode: its index price less a haircut."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.figures import fixed
from rebalancer.simulators.binance_server.market_view import asset_price

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

MARGIN_ASSETS = ("USDT", "BTC", "BNB", "ETH", "USDC")
"""The assets that the account shows, and that are margin in multi-assets mode."""

_DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "USD"})
_BUFFER = Decimal("0.05")
_AUTO_BUFFER = Decimal("0.025")


def buffer_of(asset: str) -> Decimal:
    """Return the haircut of an asset, a fraction: none on dollars, 5 % on coins."""
    return Decimal(0) if asset in _DOLLARS else _BUFFER


def in_dollars(server: BinanceServer, asset: str) -> tuple[Decimal, Decimal]:
    """Return US dollars for one unit owned and for one unit owed; nothing without a price."""
    index = asset_price(server, asset)
    if index is None:
        return Decimal(0), Decimal(0)
    return index * (1 - buffer_of(asset)), index * (1 + buffer_of(asset))


def asset_index(call: Call) -> Any:
    """Return index price and haircut of one margin asset (`BTCUSD`), or of all."""
    wanted = call.text("symbol", "")
    rows = [_row(call, asset) for asset in MARGIN_ASSETS]
    if not wanted:
        return [row for row in rows if row is not None]
    found = next((row for row in rows if row is not None and row["symbol"] == wanted), None)
    if found is None:
        raise ApiError(-1121, "Invalid symbol.")
    return found


def _row(call: Call, asset: str) -> dict[str, Any] | None:
    index = asset_price(call.server, asset)
    if index is None:
        return None
    buffer = buffer_of(asset)
    narrow = _AUTO_BUFFER if buffer else buffer
    return {
        "symbol": f"{asset}USD",
        "time": call.now_ms,
        "index": fixed(index, 8),
        "bidBuffer": fixed(buffer, 8),
        "askBuffer": fixed(buffer, 8),
        "bidRate": fixed(index * (1 - buffer), 8),
        "askRate": fixed(index * (1 + buffer), 8),
        "autoExchangeBidBuffer": fixed(narrow, 8),
        "autoExchangeAskBuffer": fixed(narrow, 8),
        "autoExchangeBidRate": fixed(index * (1 - narrow), 8),
        "autoExchangeAskRate": fixed(index * (1 + narrow), 8),
    }


def _weight(call: Call) -> int:
    return 1 if call.parameters.get("symbol") else 10


ROUTES = {"GET /fapi/v1/assetIndex": Route(asset_index, _weight)}

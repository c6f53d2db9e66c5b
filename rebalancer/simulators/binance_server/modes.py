"""Account settings of USDⓈ-M: position mode, asset mode, margin type and leverage by symbol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.brackets import largest_leverage, largest_notional
from rebalancer.simulators.binance_server.call import ApiError, Call, Route, mandatory
from rebalancer.simulators.binance_server.codec_notes import recall, remember
from rebalancer.simulators.binance_server.market_view import mark_price, wanted_symbol
from rebalancer.simulators.books import Account

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol

USUAL_LEVERAGE = 20
CROSSED, ISOLATED = "CROSSED", "ISOLATED"
_MODES, _LEVERAGE, _MARGIN = "modes", "modes.leverage", "modes.margin"


def hedged(server: BinanceServer) -> bool:
    """Return whether the account holds longs and shorts of a symbol apart."""
    modes = recall(server.exchange.account, _MODES, {})
    return bool(modes.get("hedged", server.spec.hedge))


def multi_assets(server: BinanceServer) -> bool:
    """Return whether every asset of the account is margin for every position."""
    modes = recall(server.exchange.account, _MODES, {})
    return bool(modes.get("multi_assets", server.spec.multi_assets))


@dataclass(frozen=True, slots=True)
class SymbolSettings:
    """Leverage and margin type of all symbols, read once for a request that asks about many."""

    leverages: Mapping[str, int]
    margins: Mapping[str, str]

    def leverage(self, symbol: str) -> int:
        """Return the leverage that was chosen for a symbol, else the usual one."""
        usual = min(USUAL_LEVERAGE, largest_leverage(symbol))
        return int(self.leverages.get(symbol, usual))

    def margin_type(self, symbol: str) -> str:
        """Return CROSSED or ISOLATED."""
        return self.margins.get(symbol, CROSSED)


def symbol_settings(account: Account) -> SymbolSettings:
    """Return what is set by symbol."""
    return _parsed(account.codec.get(_LEVERAGE, "{}"), account.codec.get(_MARGIN, "{}"))


@lru_cache(maxsize=4)
def _parsed(leverages: str, margins: str) -> SymbolSettings:
    return SymbolSettings(json.loads(leverages), json.loads(margins))


def leverage_of(account: Account, symbol: str) -> int:
    """Return the leverage of one symbol."""
    return symbol_settings(account).leverage(symbol)


def margin_type(account: Account, symbol: str) -> str:
    """Return CROSSED or ISOLATED for one symbol."""
    return symbol_settings(account).margin_type(symbol)


def _set_mode(server: BinanceServer, name: str, value: bool) -> dict[str, Any]:
    account = server.exchange.account
    remember(account, _MODES, recall(account, _MODES, {}) | {name: value})
    server.exchange.save()
    return {"code": 200, "msg": "success"}


def _set_of_symbol(server: BinanceServer, table: str, symbol: str, value: Any) -> None:
    account = server.exchange.account
    remember(account, table, recall(account, table, {}) | {symbol: value})
    server.exchange.save()


def _truth(call: Call, name: str) -> bool:
    """Return a mandatory true or false."""
    if not call.parameters.get(name):
        raise mandatory(name)
    return call.flag(name)


def _has_orders(server: BinanceServer, symbol: Symbol | None = None) -> bool:
    of = None if symbol is None else symbol.id
    return any(
        order.live and ".PERP" in order.instrument and of in (None, order.instrument)
        for order in server.exchange.account.orders
    )


def _has_position(server: BinanceServer, symbol: Symbol | None = None) -> bool:
    of = None if symbol is None else symbol.id
    return any(
        holding.quantity and ".PERP" in name and of in (None, name)
        for name, holding in server.exchange.account.holdings.items()
    )


def read_position_mode(call: Call) -> dict[str, Any]:
    """Return whether the account is in hedge mode."""
    return {"dualSidePosition": hedged(call.server)}


def set_position_mode(call: Call) -> dict[str, Any]:
    """Change between one-way and hedge mode; nothing may be open or held."""
    wanted = _truth(call, "dualSidePosition")
    if wanted == hedged(call.server):
        raise ApiError(-4059, "No need to change position side.")
    if _has_orders(call.server):
        raise ApiError(-4067, "Position side cannot be changed if there exists open orders.")
    if _has_position(call.server):
        raise ApiError(-4068, "Position side cannot be changed if there exists position.")
    return _set_mode(call.server, "hedged", wanted)


def read_asset_mode(call: Call) -> dict[str, Any]:
    """Return whether the account is in multi-assets mode."""
    return {"multiAssetsMargin": multi_assets(call.server)}


def set_asset_mode(call: Call) -> dict[str, Any]:
    """Change between single-asset and multi-assets mode."""
    wanted = _truth(call, "multiAssetsMargin")
    if wanted == multi_assets(call.server):
        raise ApiError(
            -4171,
            "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.",
        )
    if _has_orders(call.server):
        raise ApiError(
            -4170, "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures."
        )
    if wanted and ISOLATED in recall(call.server.exchange.account, _MARGIN, {}).values():
        raise ApiError(
            -4167,
            "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under "
            "isolated-margin mode.",
        )
    return _set_mode(call.server, "multi_assets", wanted)


def set_leverage(call: Call) -> dict[str, Any]:
    """Change the leverage of a symbol; what is held must fit into its bracket."""
    symbol = wanted_symbol(call)
    wanted = call.integer("leverage")
    if not 1 <= wanted <= largest_leverage(symbol.symbol):
        raise ApiError(-4028, f"Leverage {wanted} is not valid")
    account = call.server.exchange.account
    now = leverage_of(account, symbol.symbol)
    holding = account.holdings.get(symbol.id)
    held = holding.quantity if holding else Decimal(0)
    if wanted < now and held and margin_type(account, symbol.symbol) == ISOLATED:
        raise ApiError(
            -4161,
            "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
        )
    largest = largest_notional(symbol.symbol, wanted)
    if held and abs(held) * mark_price(call.server, symbol) > largest:
        raise ApiError(-2027, "Exceeded the maximum allowable position at current leverage.")
    _set_of_symbol(call.server, _LEVERAGE, symbol.symbol, wanted)
    return {"leverage": wanted, "maxNotionalValue": str(largest), "symbol": symbol.symbol}


def set_margin_type(call: Call) -> dict[str, Any]:
    """Change the margin type of a symbol; it may be neither held nor ordered."""
    symbol = wanted_symbol(call)
    wanted = call.text("marginType").upper()
    if wanted not in (CROSSED, ISOLATED):
        raise ApiError(-1130, "Data sent for parameter 'marginType' is not valid.")
    if wanted == margin_type(call.server.exchange.account, symbol.symbol):
        raise ApiError(-4046, "No need to change margin type.")
    if wanted == ISOLATED and multi_assets(call.server):
        raise ApiError(
            -4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode."
        )
    if _has_orders(call.server, symbol):
        raise ApiError(-4047, "Margin type cannot be changed if there exists open orders.")
    if _has_position(call.server, symbol):
        raise ApiError(-4048, "Margin type cannot be changed if there exists position.")
    _set_of_symbol(call.server, _MARGIN, symbol.symbol, wanted)
    return {"code": 200, "msg": "success"}


ROUTES = {
    "GET /fapi/v1/positionSide/dual": Route(read_position_mode, 30, signed=True),
    "POST /fapi/v1/positionSide/dual": Route(set_position_mode, 1, signed=True),
    "GET /fapi/v1/multiAssetsMargin": Route(read_asset_mode, 30, signed=True),
    "POST /fapi/v1/multiAssetsMargin": Route(set_asset_mode, 1, signed=True),
    "POST /fapi/v1/leverage": Route(set_leverage, 1, signed=True),
    "POST /fapi/v1/marginType": Route(set_margin_type, 1, signed=True),
}

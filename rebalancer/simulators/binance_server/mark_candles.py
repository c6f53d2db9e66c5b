"""Candles of the mark price, of the index and of a pair's contract, by the perpetual's own.

No other price was recorded: mark and index are the perpetual's price, their difference is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.market_data import kline_weight, klines

_NOTHING = "0.00000000"
_CONTRACTS = ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL")


def mark_klines(call: Call) -> list[list[Any]]:
    """Return candles of the mark price: no volumes."""
    return [_bare(row, row[1:5]) for row in klines(call)]


def index_klines(call: Call) -> list[list[Any]]:
    """Return candles of a pair's index: no volumes."""
    return mark_klines(_of_pair(call))


def premium_klines(call: Call) -> list[list[Any]]:
    """Return candles of the premium index: there is none."""
    return [_bare(row, [_NOTHING] * 4) for row in klines(call)]


def contract_klines(call: Call) -> list[list[Any]]:
    """Return candles of a pair's contract; only perpetuals are listed."""
    kind = call.text("contractType")
    if kind not in _CONTRACTS:
        raise ApiError(-1130, "Data sent for parameter 'contractType' is not valid.")
    return klines(_of_pair(call)) if kind == "PERPETUAL" else []


def _of_pair(call: Call) -> Call:
    """Return the call with the perpetual of its pair as the symbol."""
    return replace(call, parameters={**call.parameters, "symbol": call.text("pair")})


def _bare(row: list[Any], prices: list[str]) -> list[Any]:
    """Return a candle of twelve columns whose volumes mean nothing."""
    return [row[0], *prices, "0", row[6], "0", 60, "0", "0", "0"]


ROUTES: Mapping[str, Route] = {
    "GET /fapi/v1/markPriceKlines": Route(mark_klines, kline_weight),
    "GET /fapi/v1/indexPriceKlines": Route(index_klines, kline_weight),
    "GET /fapi/v1/premiumIndexKlines": Route(premium_klines, kline_weight),
    "GET /fapi/v1/continuousKlines": Route(contract_klines, kline_weight),
}

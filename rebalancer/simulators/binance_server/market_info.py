"""Time, mark price and funding: what a client asks about the market besides its prices."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.figures import fixed, milliseconds
from rebalancer.simulators.binance_server.market_view import (
    funding_rows,
    index_price,
    listed,
    mark_price,
    wanted_symbol,
)

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol

_HOUR = timedelta(hours=1)


def ping(_call: Call) -> dict[str, Any]:
    """Return nothing, which says that somebody is there."""
    return {}


def time(call: Call) -> dict[str, Any]:
    """Return the server's time in milliseconds."""
    return {"serverTime": call.now_ms}


def premium_index(call: Call) -> Any:
    """Return mark and index price, the last funding rate and when funding is paid next."""
    if call.parameters.get("symbol"):
        return _premium(call, wanted_symbol(call))
    return [_premium(call, symbol) for symbol in listed(call.server, "usdm")]


def _premium(call: Call, symbol: Symbol) -> dict[str, Any]:
    rows = funding_rows(call.server, symbol.symbol)
    last = next((rate for at, rate in reversed(rows) if at <= call.now), Decimal(0))
    mark = mark_price(call.server, symbol)
    index = index_price(call.server, symbol)
    perpetual = symbol.contract_type != "CURRENT_QUARTER"
    return {
        "symbol": symbol.symbol,
        "markPrice": fixed(mark, 8),
        "indexPrice": fixed(index, 8),
        "estimatedSettlePrice": fixed(index, 8),
        "lastFundingRate": fixed(last, 8) if perpetual else "",
        "interestRate": "0.00010000" if perpetual else "",
        "nextFundingTime": milliseconds(next_funding_time(rows, call.now)) if perpetual else 0,
        "time": call.now_ms,
    }


def next_funding_time(rows: tuple[tuple[datetime, Decimal], ...], now: datetime) -> datetime:
    """Return when funding is paid next, as announced: the whole hour, without its jitter."""
    due = next((at for at, _ in rows if at > now), None)
    if due is not None:
        return _whole_hour(due)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (((now - midnight) // (8 * _HOUR)) + 1) * 8 * _HOUR


def _whole_hour(at: datetime) -> datetime:
    """Return the nearest whole hour: recorded times are some milliseconds off."""
    middle = at + _HOUR / 2
    return middle.replace(minute=0, second=0, microsecond=0)


def funding_rate(call: Call) -> list[dict[str, Any]]:
    """Return paid funding, oldest first, at its recorded times.

    With a start it is the first rows from there, without one the last rows.
    """
    call.server.limits.take_funding(call.now)
    limit = min(max(call.integer("limit", 100), 1), 1000)
    start, end = call.integer("startTime", -1), call.integer("endTime", -1)
    if 0 <= end < start:
        raise ApiError(-1023, "Start time is greater than end time.")
    if call.parameters.get("symbol"):
        asked: tuple[Symbol, ...] = (wanted_symbol(call),)
    else:
        asked = listed(call.server, "usdm")
    found = []
    for symbol in asked:
        for at, rate in funding_rows(call.server, symbol.symbol):
            number = milliseconds(at)
            if at <= call.now and number >= start and (end < 0 or number <= end):
                found.append((number, symbol, at, rate))
    found.sort(key=lambda row: (row[0], row[1].symbol))
    found = found[:limit] if start >= 0 else found[-limit:]
    return [
        {
            "symbol": symbol.symbol,
            "fundingTime": number,
            "fundingRate": fixed(rate, 8),
            "markPrice": fixed(mark_price(call.server, symbol, at), 8),
            "rateType": "Regular",
        }
        for number, symbol, at, rate in found
    ]


def funding_info(call: Call) -> list[dict[str, Any]]:
    """Return interval and bounds of the funding of every perpetual that has any."""
    call.server.limits.take_funding(call.now)
    rows = []
    for symbol in listed(call.server, "usdm"):
        paid = funding_rows(call.server, symbol.symbol)
        if paid:
            rows.append(
                {
                    "symbol": symbol.symbol,
                    "adjustedFundingRateCap": "0.03000000",
                    "adjustedFundingRateFloor": "-0.03000000",
                    "fundingIntervalHours": funding_hours(paid),
                    "disclaimer": False,
                    "updateTime": milliseconds(symbol.onboard),
                }
            )
    return rows


def funding_hours(rows: tuple[tuple[datetime, Decimal], ...]) -> int:
    """Return the hours between two payments, 8 when there are not two."""
    if len(rows) < 2:
        return 8
    return round((rows[-1][0] - rows[-2][0]) / _HOUR)


def _premium_weight(call: Call) -> int:
    return 1 if call.parameters.get("symbol") else 10


ROUTES = {
    "GET /api/v3/ping": Route(ping, 1),
    "GET /api/v3/time": Route(time, 1),
    "GET /fapi/v1/ping": Route(ping, 1),
    "GET /fapi/v1/time": Route(time, 1),
    "GET /fapi/v1/premiumIndex": Route(premium_index, _premium_weight),
    "GET /fapi/v1/fundingRate": Route(funding_rate, 0),
    "GET /fapi/v1/fundingInfo": Route(funding_info, 0),
}

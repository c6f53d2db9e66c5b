"""Contract details as frames of the wire (server version 176)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HOURS = "20261123:0930-20261123:1600;20261124:0930-20261124:1600;20261126:CLOSED"

APPLE: Mapping[str, object] = {
    "symbol": "AAPL",
    "secType": "STK",
    "expiry": "",
    "exchange": "SMART",
    "currency": "USD",
    "localSymbol": "AAPL",
    "tradingClass": "NMS",
    "conId": 265598,
    "minTick": "0.01",
    "multiplier": "",
    "validExchanges": "SMART,ISLAND",
    "magnifier": "1",
    "longName": "APPLE INC",
    "primary": "NASDAQ",
    "month": "",
    "zone": "US/Eastern",
    "hours": HOURS,
    "liquid": HOURS,
    "rules": "26,26",
    "minSize": "0.0001",
    "increment": "0.0001",
    "suggested": "100",
}


def details(request: object, **changes: object) -> Sequence[object]:
    """Return one `contractDetails` frame; Apple's unless told otherwise."""
    v: dict[str, Any] = {**APPLE, **changes}
    return (
        10, request, v["symbol"], v["secType"], v["expiry"], "0", "", v["exchange"], v["currency"],
        v["localSymbol"], v["tradingClass"], v["tradingClass"], v["conId"], v["minTick"],
        v["multiplier"], "LMT,MKT,ALGO", v["validExchanges"], v["magnifier"], "0", v["longName"],
        v["primary"], v["month"], "Technology", "", "", v["zone"], v["hours"], v["liquid"], "", "0",
        "0", "1", "", "", v["rules"], "", "COMMON", v["minSize"], v["increment"], v["suggested"],
    )  # fmt: skip


def end(request: object) -> Sequence[object]:
    return (52, 1, request)

"""The engine's own kinds of faults, where they are felt between the exchange and its client.

`FaultKind` has two groups: the first strikes in the engine, whatever protocol is before it; the
second strikes between engine and client and is translated here to what happens to requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.faults import Fault, FaultKind

RETRIED = 1.5
"""Seconds of simulated time: a client that asks again in vain gives up within them."""

_STALE_SECONDS = 3600.0
_SKEW_SECONDS = 30.0

_TICKER = "GET /fapi/v1/ticker/bookTicker|GET /api/v3/ticker/24hr|GET /api/v3/ticker/bookTicker"
_ACCOUNT = "GET /fapi/v?/account|GET /fapi/v?/balance|GET /api/v3/account"
_ORDERS = "GET /fapi/v1/openOrders|GET /api/v3/openOrders"
_TRADES = "GET /fapi/v1/income|GET /fapi/v1/userTrades|GET /api/v3/myTrades"
_ONE_ORDER = "GET /fapi/v1/order|GET /api/v3/order"

_CALLS: Mapping[str, str] = {
    "submit": "POST /fapi/v1/order|POST /api/v3/order|POST /fapi/v1/batchOrders",
    "replace": "PUT /fapi/v1/order|PUT /fapi/v1/batchOrders|POST /api/v3/order/cancelReplace",
    "preview": "POST /*/order/test",
    "cancel": "DELETE /fapi/v1/order|DELETE /api/v3/order|DELETE /*Orders",
    "account": _ACCOUNT,
    "open_orders": _ORDERS,
    "executions": _TRADES,
    "find": _ONE_ORDER,
    "market": _TICKER,
    "bars": "GET /*/klines",
    "wait": "advance",
}
"""The calls of `ports`, and the requests that each of them sends."""

_BLIND: Mapping[FaultKind, str] = {
    FaultKind.BLIND_ACCOUNT: _ACCOUNT,
    FaultKind.BLIND_POSITIONS: "GET /fapi/v?/positionRisk|GET /api/v3/account",
    FaultKind.BLIND_ORDERS: _ORDERS,
    FaultKind.BLIND_EXECUTIONS: _TRADES,
    FaultKind.UNKNOWN_LOOKUP: _ONE_ORDER,
}

_QUOTES: Mapping[FaultKind, Do] = {
    FaultKind.MISSING_QUOTE: Do.NO_QUOTE,
    FaultKind.CROSSED_QUOTE: Do.CROSSED,
    FaultKind.ONE_SIDED_QUOTE: Do.ONE_SIDED,
    FaultKind.STALE_QUOTE: Do.STALE,
}

OF_A_CONNECTION = (FaultKind.REFUSED_CONNECTION, FaultKind.WRONG_ACCOUNT)
"""Kinds whose occasion is a whole run with all its attempts, not a request."""


@dataclass
class ConnectionFaults:
    """The faults whose occasion is a whole run: counted at each `opened`."""

    faults: Sequence[Fault] = ()
    refused: bool = False
    account: str = ""
    _occasions: dict[int, int] = field(default_factory=dict)

    def opened(self) -> None:
        """Count an occasion; afterwards `refused` and `account` say what holds until the next."""
        self.refused, self.account = False, ""
        for place, fault in enumerate(self.faults):
            if fault.kind not in OF_A_CONNECTION:
                continue
            count = self._occasions[place] = self._occasions.get(place, 0) + 1
            last = float("inf") if fault.count is None else fault.nth + fault.count - 1
            if not fault.nth <= count <= last:
                continue
            if fault.kind is FaultKind.REFUSED_CONNECTION:
                self.refused = True
            else:
                self.account = self.account or fault.message or "999999999"


def on_the_wire(faults: Sequence[Fault]) -> tuple[HttpFault, ...]:
    """Return what the second group of kinds does to requests; the rest is left out."""
    found = (_translated(fault) for fault in faults)
    return tuple(fault for fault in found if fault is not None)


def _translated(fault: Fault) -> HttpFault | None:
    kind = fault.kind
    if kind is FaultKind.DISCONNECT:
        # REST has no connection to break: the exchange cannot be reached any more.
        where = _CALLS[fault.subject] if fault.subject else ""
        return HttpFault(where, Do.OUTAGE, fault.nth, fault.count, message=fault.message)
    if kind in _BLIND:
        return HttpFault(_BLIND[kind], Do.TRUNCATE, fault.nth, fault.count, lasts=RETRIED)
    if kind in _QUOTES:
        seconds = fault.seconds or (_STALE_SECONDS if kind is FaultKind.STALE_QUOTE else 0.0)
        symbol = fault.subject.partition(".")[0]
        do = _QUOTES[kind]
        return HttpFault(_TICKER, do, fault.nth, fault.count, symbol, seconds=seconds)
    if kind is FaultKind.CLOCK_SKEW:
        # A clock that is wrong stays wrong, however often it is asked.
        return HttpFault("", Do.SKEW, fault.nth, 1, seconds=fault.seconds or _SKEW_SECONDS)
    return None

"""The engine's own kinds of faults, where they are felt between the venue and its client.

`FaultKind` has two groups: the first strikes in the engine, whatever protocol is before it; the
second strikes between engine and client and is translated here to what happens on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault

_STALE_SECONDS = 3600.0
_SKEW_SECONDS = 30.0

_CALLS: Mapping[str, str] = {
    "submit": "placeOrder:new",
    "replace": "placeOrder:change",
    "preview": "placeOrder:whatIf",
    "cancel": "cancelOrder",
    "account": "reqAccountSummary|reqAccountUpdates|reqAccountUpdatesMulti|reqPositions",
    "open_orders": "reqAllOpenOrders|reqOpenOrders",
    "executions": "reqExecutions",
    "find": "reqCompletedOrders",
    "market": "reqMktData",
    "bars": "reqHistoricalData",
    "wait": "advance",
}
"""The calls of `ports`, and the message that each of them sends."""

_BLIND: Mapping[FaultKind, str] = {
    FaultKind.BLIND_ACCOUNT: "reqAccountSummary|reqAccountUpdates|reqAccountUpdatesMulti",
    FaultKind.BLIND_POSITIONS: "reqPositions",
    FaultKind.BLIND_ORDERS: "reqAllOpenOrders|reqOpenOrders",
    FaultKind.BLIND_EXECUTIONS: "reqExecutions",
    FaultKind.UNKNOWN_LOOKUP: "reqCompletedOrders",
}

_QUOTES: Mapping[FaultKind, Do] = {
    FaultKind.MISSING_QUOTE: Do.NO_QUOTE,
    FaultKind.CROSSED_QUOTE: Do.CROSSED,
    FaultKind.ONE_SIDED_QUOTE: Do.ONE_SIDED,
    FaultKind.STALE_QUOTE: Do.STALE,
}

OF_A_CONNECTION = (FaultKind.REFUSED_CONNECTION, FaultKind.WRONG_ACCOUNT)
"""Kinds whose occasion is a whole connection with all its attempts, not a message."""


@dataclass
class ConnectionFaults:
    """The faults whose occasion is a whole connection: counted at each `opened`."""

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
                self.account = self.account or fault.message or "SOMEBODY-ELSE"


def on_the_wire(faults: Sequence[Fault]) -> tuple[WireFault, ...]:
    """Return what the second group of kinds is on the wire; the rest is left out."""
    found = (_translated(fault) for fault in faults)
    return tuple(fault for fault in found if fault is not None)


def _translated(fault: Fault) -> WireFault | None:
    kind = fault.kind
    if kind is FaultKind.DISCONNECT:
        on = _CALLS[fault.subject] if fault.subject else "|".join(_CALLS.values())
        return WireFault(on, Do.CUT, fault.nth, fault.count, text=fault.message)
    if kind in _BLIND:
        return WireFault(_BLIND[kind], Do.NO_END, fault.nth, fault.count)
    if kind in _QUOTES:
        seconds = fault.seconds or (_STALE_SECONDS if kind is FaultKind.STALE_QUOTE else 0.0)
        return WireFault(
            "reqMktData", _QUOTES[kind], fault.nth, fault.count, fault.subject, seconds
        )
    if kind is FaultKind.CLOCK_SKEW:
        # A clock that is wrong stays wrong, however often it is asked.
        seconds = fault.seconds or _SKEW_SECONDS
        return WireFault("reqCurrentTime", Do.SKEW, fault.nth, None, seconds=seconds)
    return None

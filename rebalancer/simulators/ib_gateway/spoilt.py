"""What faults change in the gateway's own words: account, clock, quotes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.ib_gateway.faults import Do, WireFault

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

_ASK_PRICES = frozenset({2, 67})
_ASK_SIZES = frozenset({3, 70})
_LAST_TIMES = frozenset({45, 88})
_OTHER_SIDE = {1: 2, 2: 1, 66: 67, 67: 66, 0: 3, 3: 0, 69: 70, 70: 69}
_DELAYED = {1: 66, 2: 67, 4: 68, 6: 72, 7: 73, 9: 75, 14: 76, 0: 69, 3: 70, 5: 71, 8: 74, 45: 88}
_TICKS = frozenset({"tickPrice", "tickSize", "tickString", "tickGeneric"})
_DELAYED_TYPE = 3
_PRICE = 4
"""Where a price stands in the fields of `tickPrice`."""


class Spoilt:
    """What is spoilt on one connection, and how its messages are changed by it.

    `account`: shown instead of the account's id ('' the right one); `skew_seconds`: how far
    the gateway's clock is ahead; `quotes`: the fault of each request for market data.
    """

    def __init__(self) -> None:
        self.account = ""
        self.skew_seconds = 0.0
        self.quotes: dict[int, WireFault] = {}

    def message(
        self, name: str, values: Mapping[str, Any], gateway: Gateway
    ) -> Mapping[str, Any] | None:
        """Return the values as they are sent; None when nothing is to be sent."""
        account = self.account or gateway.faults.account
        if account:
            values = _renamed(values, gateway.exchange.account.account, account)
        if name == "currentTime" and self.skew_seconds:
            return {**values, "time": int(values["time"]) + round(self.skew_seconds)}
        fault = self.quotes.get(values.get("reqId", -1))
        if fault is None or name not in (*_TICKS, "marketDataType"):
            return values
        return _quote(fault, name, values)

    def fields(
        self, name: str, values: Mapping[str, Any], fields: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return a message's fields as they are sent; no layout lets no number pass."""
        fault = self.quotes.get(values.get("reqId", -1))
        if fault is None or fault.do is not Do.NAN or name != "tickPrice":
            return fields
        return (*fields[:_PRICE], "NaN", *fields[_PRICE + 1 :])


def _renamed(values: Mapping[str, Any], right: str, wrong: str) -> Mapping[str, Any]:
    """Return values in which one account's id stands for another's."""
    changed = dict(values)
    for key, value in values.items():
        if isinstance(value, str) and right in value.split(","):
            changed[key] = ",".join(wrong if each == right else each for each in value.split(","))
    return changed


def _quote(fault: WireFault, name: str, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if name == "marketDataType":
        return {**values, "marketDataType": _DELAYED_TYPE} if fault.do is Do.DELAYED else values
    tick = int(values["tickType"])
    if fault.do is Do.NO_QUOTE:
        return None
    if fault.do is Do.CROSSED and name in ("tickPrice", "tickSize"):
        return {**values, "tickType": _OTHER_SIDE.get(tick, tick)}
    if fault.do is Do.ONE_SIDED and name == "tickPrice" and tick in _ASK_PRICES:
        return {**values, "price": -1, "size": 0}
    if fault.do is Do.ONE_SIDED and name == "tickSize" and tick in _ASK_SIZES:
        return {**values, "size": 0}
    if fault.do is Do.ZERO and name == "tickPrice":
        return {**values, "price": 0}
    if fault.do is Do.STALE and tick in _LAST_TIMES:
        return {**values, "value": str(int(values["value"]) - round(fault.seconds))}
    if fault.do is Do.DELAYED:
        return {**values, "tickType": _DELAYED.get(tick, tick)}
    return values

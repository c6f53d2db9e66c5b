"""Which instrument or order a frame is about, so that a fault can wait for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

NO_NUMBER = -1


def number_of(values: Mapping[str, Any], *keys: str) -> int:
    """Return the number under the first key that is there; -1 for none, and for an unset one."""
    for key in keys:
        if key in values:
            found = values[key]
            return NO_NUMBER if found is None else int(found)
    return NO_NUMBER


class Subjects:
    """Remembers what the numbers of one connection stand for."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._requests: dict[int, tuple[str, ...]] = {}
        self._orders: dict[int, tuple[str, ...]] = {}
        self._executions: dict[str, int] = {}

    def of_request(self, name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return instrument id, symbol and order reference of a client's message."""
        found = self._contract(values)
        if name == "placeOrder":
            found = (*found, str(values.get("orderRef", "")))
            self._orders[number_of(values, "orderId")] = found
        elif "reqId" in values and found:
            self._requests[number_of(values, "reqId")] = found
        elif "orderId" in values:
            found = self._orders.get(number_of(values, "orderId"), ())
        return found

    def of_message(self, name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the same of one of the gateway's messages."""
        number = self.order_of(name, values)
        if name == "execDetails" and "execId" in values and number is not None:
            self._executions[str(values["execId"])] = number
        if "symbol" in values:
            reference = str(values.get("orderRef", ""))
            return (*self._contract(values), *([reference] if reference else []))
        if number is not None and number in self._orders:
            return self._orders[number]
        asked = number_of(values, "reqId", "id")
        return () if asked == NO_NUMBER else self._requests.get(asked, ())

    def order_of(self, name: str, values: Mapping[str, Any]) -> int | None:
        """Return the order's number that a message is about, None for none."""
        if name == "commissionReport":
            return self._executions.get(str(values.get("execId", "")))
        if name == "errMsg":
            number = number_of(values, "id")
            return number if number in self._orders else None
        number = number_of(values, "orderId")
        return None if number == NO_NUMBER else number

    def _contract(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        if not {"conId", "symbol"} & values.keys():
            return ()
        instrument = self._gateway.directory.instrument(int(values.get("conId") or 0))
        if instrument is not None:
            return (instrument.id, instrument.symbol)
        symbol, currency = str(values.get("symbol", "")), str(values.get("currency", ""))
        kind = str(values.get("secType", ""))
        if kind == "CASH":
            return (f"{symbol}.{currency}.FX@IB", f"{symbol}.{currency}")
        month = str(values.get("lastTradeDateOrContractMonth", ""))[:6]
        if kind == "FUT":
            return (f"{symbol}.FUT.{month}@IB", symbol)
        return (f"{symbol}.{kind}.{currency}@IB", symbol)

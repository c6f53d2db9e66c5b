"""The real library's encoder and decoder without a socket: what it writes, how it reads ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from rebalancer.brokers.ib.client import library
from rebalancer.simulators.ib_gateway.frames import Unpacker, pack

PLAIN_ORDER: Mapping[str, Any] = {
    "orderId": 7,
    "conId": 265598,
    "symbol": "AAPL",
    "secType": "STK",
    "exchange": "SMART",
    "currency": "USD",
    "localSymbol": "AAPL",
    "tradingClass": "NMS",
    "action": "BUY",
    "totalQuantity": Decimal(100),
    "orderType": "LMT",
    "lmtPrice": Decimal("189.54"),
    "tif": "DAY",
    "account": "DU1234567",
    "clientId": 100,
    "permId": 1376327563,
    "status": "PreSubmitted",
}
"""What must be given of an order at the very least."""

ADAPTIVE: Mapping[str, Any] = {
    "algoStrategy": "Adaptive",
    "algoParams": ({"tag": "adaptivePriority", "value": "Normal"},),
}


def plain_completed(**more: Any) -> dict[str, Any]:
    """Return what must be given of an order that ended."""
    values = {k: v for k, v in PLAIN_ORDER.items() if k not in ("orderId", "clientId")}
    return {
        **values,
        "filledQuantity": Decimal(100),
        "completedTime": "20230306 12:28:30 America/Los_Angeles",
        "completedStatus": "Filled Size: 100",
        **more,
    }


def versions() -> tuple[int, ...]:
    """Return the versions of ours that the installed library speaks."""
    client = library().client.Client
    return tuple(range(client.MinClientVersion, client.MaxClientVersion + 1))


def newest() -> int:
    """Return the version that the installed library would agree on."""
    return versions()[-1]


def frame_of(version: int, method: str, *arguments: Any) -> tuple[str, ...]:
    """Return the fields that the library's client sends for a call of one of its methods."""
    lib = library()
    client = lib.client.Client(SimpleNamespace())
    client._serverVersion = version
    client.connState = lib.client.Client.CONNECTED
    sent: list[bytes] = []
    client.sendMsg = lambda text: sent.append(client._prefix(text.encode()))
    getattr(client, method)(*arguments)
    (fields,) = Unpacker().feed(b"".join(sent))
    return fields


class Ears:
    """Takes the calls of the library's decoder: name and arguments, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[Any, ...]]] = []
        self.ib = SimpleNamespace(TimezoneTWS="America/New_York")
        self.defaultTimezone = None

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.heard.append((name, arguments))


class Loud:
    """A log that does not swallow errors, as the decoder's would."""

    def exception(self, text: str) -> None:
        """Raise what is being handled."""
        raise AssertionError(text)


def heard_from(version: int, fields: Sequence[str]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return what the library's decoder makes of a frame of ours; raises when it cannot."""
    ears = Ears()
    decoder = library().decoder.Decoder(ears, version)
    decoder.logger = Loud()
    (again,) = Unpacker().feed(pack(fields))
    decoder.interpret(list(again))
    return ears.heard


def default_of(thing: Any, name: str) -> Any:
    """Return the default of a dataclass's field."""
    found = next(each for each in dataclasses.fields(thing) if each.name == name)
    if found.default_factory is not dataclasses.MISSING:
        return found.default_factory()
    return found.default

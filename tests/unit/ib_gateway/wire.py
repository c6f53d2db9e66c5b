"""A client that writes its frames by hand, and a gateway without a transport for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rebalancer.simulators.ib_gateway.frames import pack
from rebalancer.simulators.ib_gateway.gateway import Gateway
from rebalancer.simulators.ib_gateway.spec import open_gateway
from rebalancer.simulators.ib_gateway.virtual_loop import VirtualLoop
from rebalancer.simulators.ib_gateway.wire_log import WireEntry
from rebalancer.store.atomic import Files
from tests.unit.ib_gateway.clients import SLOT
from tests.unit.ib_gateway.trading.scene import spec


@contextmanager
def gateway_of(**changes: Any) -> Iterator[Gateway]:
    """Yield a gateway at the slot, on a loop whose time nobody moves."""
    loop = VirtualLoop()
    gateway = open_gateway(spec(**changes), Files())
    gateway.exchange.play_to(SLOT)
    gateway.loop = loop
    try:
        yield gateway
    finally:
        loop.close()


def pass_wire_seconds(gateway: Gateway, seconds: float) -> None:
    """Let time of the wire pass."""
    assert isinstance(gateway.loop, VirtualLoop)
    gateway.loop.jump(seconds)


class Caller:
    """One connection. `said` are the gateway's frames to it, `closed` whether it hung up."""

    def __init__(self, gateway: Gateway, versions: str = "v157..176", *, greet: bool = True):
        self.gateway = gateway
        self.closed = False
        self.data = b""
        self.session = gateway.attach(self)
        if greet:
            self.bytes(greeting(versions))

    def write(self, data: bytes) -> None:
        """Take bytes of the gateway."""
        self.data += data

    def close(self) -> None:
        """Take the end of the connection."""
        self.closed = True

    def bytes(self, data: bytes) -> list[WireEntry]:
        """Send bytes; return what was answered at once."""
        before = len(self.said)
        self.session.receive(data)
        return self.said[before:]

    def say(self, *fields: object) -> list[WireEntry]:
        """Send one message; return what was answered at once. None is an empty field."""
        return self.bytes(pack(["" if each is None else str(each) for each in fields]))

    def start(self, client_id: int = 1) -> list[WireEntry]:
        """Say who we are."""
        return self.say(71, 2, client_id, "")

    @property
    def said(self) -> list[WireEntry]:
        """Return what the gateway said on this connection so far."""
        number = self.session.number
        return [e for e in self.gateway.log.entries if e.connection == number and not e.heard]


def greeting(versions: str) -> bytes:
    """Return what a client sends first."""
    text = versions.encode("ascii")
    return b"API\0" + len(text).to_bytes(4, "big") + text


def errors(entries: list[WireEntry]) -> list[tuple[int, int]]:
    """Return request ids and codes of the errors among messages."""
    return [(int(e.fields[2]), int(e.fields[3])) for e in entries if e.name == "errMsg"]


def names(entries: list[WireEntry]) -> list[str]:
    """Return the names of messages."""
    return [each.name for each in entries]


def contract(symbol: str = "AAPL", kind: str = "STK", **changes: Any) -> tuple[Any, ...]:
    """Return the twelve fields of a contract; `changes` by their names on the wire."""
    fields = {
        "conId": 0, "symbol": symbol, "secType": kind, "expiry": "", "strike": 0, "right": "",
        "multiplier": "", "exchange": "SMART", "primaryExchange": "", "currency": "USD",
        "localSymbol": "", "tradingClass": "", **changes,
    }  # fmt: skip
    assert len(fields) == 12, changes
    return tuple(fields.values())

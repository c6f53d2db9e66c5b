"""A gateway that only counts and echoes: what a transport needs, and nothing of the protocol."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any


class ToySession:
    """Sends every byte back, `times` over; b"!" breaks it, b"bye" makes it hang up."""

    def __init__(self, gateway: ToyGateway, wire: Any, number: int) -> None:
        self.gateway, self.wire, self.number = gateway, wire, number
        self.tap = SimpleNamespace(stalled=False)
        self.received = b""

    def receive(self, data: bytes) -> None:
        self.received += data
        if b"!" in data:
            raise ZeroDivisionError("a bug of the gateway's")
        if b"stall" in data:
            self.tap.stalled = True
            return
        self.wire.write(data * self.gateway.times)
        if data == b"bye":
            self.close()

    def close(self) -> None:
        self.gateway.closed.append(self.number)
        self.gateway.sessions.pop(self.number, None)
        self.wire.close()


class ToyGateway:
    """What transports use of a gateway."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.loop: asyncio.AbstractEventLoop | None = None
        self.faults = SimpleNamespace(closed_until=0.0)
        self.sessions: dict[int, ToySession] = {}
        self.closed: list[int] = []
        self.attached = 0

    def attach(self, wire: Any) -> ToySession:
        self.attached += 1
        self.sessions[self.attached] = ToySession(self, wire, self.attached)
        return self.sessions[self.attached]

"""One connection: the handshake, then one request after the other."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.ib_gateway.account import HANDLERS as ACCOUNT
from rebalancer.simulators.ib_gateway.codec import parse
from rebalancer.simulators.ib_gateway.connection import HANDLERS as CONNECTION
from rebalancer.simulators.ib_gateway.connection import connected_at, not_simulated
from rebalancer.simulators.ib_gateway.contract_requests import HANDLERS as CONTRACTS
from rebalancer.simulators.ib_gateway.feeds import Feeds
from rebalancer.simulators.ib_gateway.frames import READING, Unpacker, WireError
from rebalancer.simulators.ib_gateway.history import HANDLERS as HISTORY
from rebalancer.simulators.ib_gateway.market_data import HANDLERS as MARKET_DATA
from rebalancer.simulators.ib_gateway.tap import Tap, Wire
from rebalancer.simulators.ib_gateway.trading import HANDLERS as TRADING

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

HELLO = b"API\0"
FIRST_VERSION = 157
MESSAGES_PER_SECOND = 50
JITTER = 0.1
"""Seconds by which a message may have been late on its way: what a client sent in two bursts a
second apart may arrive in less, and the real gateway lets it pass."""

VIOLATIONS = 3
"""How often a client may be too fast before its connection is cut."""

_LONGEST_HELLO = 1024
_OFFER = re.compile(r"v(\d{1,6})(?:\.\.(\d{1,6}))?(?: .*)?")
_START = "startApi"

Handler = Callable[["Session", Mapping[str, Any]], None]

HANDLERS: Mapping[str, Handler] = {
    **CONNECTION,
    **ACCOUNT,
    **CONTRACTS,
    **MARKET_DATA,
    **HISTORY,
    **TRADING,
}
"""What is done about each request of a client, by its name."""


class Session:
    """A client's connection. `client_id` is None until it has said who it is."""

    def __init__(self, gateway: Gateway, wire: Wire, number: int) -> None:
        self.gateway = gateway
        self.number = number
        self.version = 0
        self.client_id: int | None = None
        self.feeds = Feeds(self)
        self.tap = Tap(gateway, wire, number)
        self._open = True
        self._beginning: bytearray | None = bytearray()
        self._unpacker = Unpacker()
        self._times: deque[float] = deque()
        self._on_their_way: deque[float] = deque()
        self._punished = 0

    # ------------------------------------------------------------------ what transports call

    def receive(self, data: bytes) -> None:
        """Take bytes of the client: whole messages are acted upon, the rest waits."""
        if self._beginning is not None:
            self._beginning.extend(data)
            data = self._greet(self._beginning)
        if not self._open or not data:
            return
        try:
            frames = self._unpacker.feed(data)
        except WireError as error:
            self._refuse(error, ())
            self.close()
            return
        for fields in frames:
            if self._open:
                self._take(fields)

    def close(self) -> None:
        """End the connection; its client id is free again."""
        if self._open:
            self._open = False
            self.gateway.detach(self)
            self.tap.close()

    # ------------------------------------------------------------------ what handlers call

    def send(self, name: str, **values: Any) -> None:
        """Send a message by its name."""
        self.tap.say(name, values)

    def error(self, request_id: int, code: int, text: str) -> None:
        """Send an error or a notice; -1 is no request in particular."""
        self.tap.say("errMsg", {"id": request_id, "code": code, "text": text})

    def begin(self, client_id: int) -> None:
        """Take the connection for a client's."""
        self.client_id = self.tap.client_id = client_id

    # ------------------------------------------------------------------ the beginning

    def _greet(self, heard: bytearray) -> bytes:
        """Read the greeting and the frame with the client's versions; return what follows them."""
        start = bytes(heard[: len(HELLO)])
        if not HELLO.startswith(start):
            self.close()
            return b""
        head = len(HELLO) + 4
        if len(heard) < head:
            return b""
        length = int.from_bytes(heard[len(HELLO) : head], "big")
        if length > _LONGEST_HELLO:
            self.close()
            return b""
        if len(heard) < head + length:
            return b""
        text = bytes(heard[head : head + length]).decode("ascii", "replace").rstrip("\0")
        rest, self._beginning = bytes(heard[head + length :]), None
        self.tap.heard("handshake", {}, (text,), partial(self._agree, text))
        return rest

    def _agree(self, offer: str) -> None:
        """Answer with the highest version that both sides speak, or hang up when there is none."""
        found = _OFFER.fullmatch(offer)
        if found is None:
            self.close()
            return
        lowest = int(found[1])
        version = min(int(found[2] or lowest), self.gateway.spec.max_version)
        if version < max(lowest, FIRST_VERSION):
            self.close()
            return
        self.version = self.tap.version = version
        self.tap.say_raw("serverVersion", (str(version), connected_at(self.gateway)))

    # ------------------------------------------------------------------ requests

    def _take(self, fields: tuple[str, ...]) -> None:
        if not self.version:
            self.close()
            return
        if self._is_too_fast():
            return
        try:
            request = parse(fields, self.version)
        except WireError as error:
            self._refuse(error, fields)
            return
        for number in ("reqId", "orderId"):
            if request.values.get(number, 0) is None:
                self._refuse(WireError(READING, f"Error reading request. No {number}"), fields)
                return
        self.tap.heard(
            request.name, request.values, fields, partial(self._act, request.name, request.values)
        )

    def _act(self, name: str, values: Mapping[str, Any]) -> None:
        if self.client_id is None and name != _START:
            self.error(-1, 504, "Not connected")
            return
        handler = HANDLERS.get(name)
        if handler is None:
            not_simulated(self, name, values)
        else:
            handler(self, values)

    def _refuse(self, error: WireError, fields: tuple[str, ...]) -> None:
        self.tap.heard(
            "garbage", {}, fields, partial(self.error, error.request_id, error.code, error.text)
        )

    def _is_too_fast(self) -> bool:
        """Count a message; return whether it is the one too many that cuts the connection.

        A message too many is acted upon all the same; a second without one begins after it.
        What is counted is strict, what is punished allows for messages that were late on
        their way.
        """
        now = self.tap.loop.time()
        if _too_many(self._times, now, 1.0):
            self.gateway.violations += 1
        count = len(self._on_their_way) + 1
        if not _too_many(self._on_their_way, now, 1.0 - JITTER):
            return False
        self._punished += 1
        self.error(
            -1,
            100,
            "Max rate of messages per second has been exceeded:"
            f"max={MESSAGES_PER_SECOND} rec={count} ({self._punished})",
        )
        if self._punished < VIOLATIONS:
            return False
        self.close()
        return True


def _too_many(times: deque[float], now: float, seconds: float) -> bool:
    """Count a message at `now`; return whether it is one too many of the last `seconds`."""
    while times and times[0] <= now - seconds:
        times.popleft()
    times.append(now)
    if len(times) <= MESSAGES_PER_SECOND:
        return False
    times.clear()
    return True

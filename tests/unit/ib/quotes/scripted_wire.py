"""The real client library on virtual time, with a wire whose other end a test scripts."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from rebalancer.errors import BlindError, ConnectError
from rebalancer.simulators.ib_gateway.virtual_loop import VirtualLoop

T = TypeVar("T")
NOW = datetime(2026, 11, 23, 15, 5, tzinfo=UTC)
"""A Monday, 10:05 in New York."""

Frames = Iterable[Sequence[object]]
Answer = Callable[[list[str]], Frames]

REQUESTS = {
    "1": "reqMktData",
    "2": "cancelMktData",
    "9": "reqContractDetails",
    "20": "reqHistoricalData",
    "25": "cancelHistoricalData",
    "49": "reqCurrentTime",
    "59": "reqMarketDataType",
    "91": "reqMarketRule",
}


def client_library() -> Any:
    """Return ib_insync, or ib_async where that one is installed."""
    try:
        import ib_insync
    except ImportError:
        import ib_async

        return ib_async
    return ib_insync


def silence(_fields: list[str]) -> Frames:
    """Return nothing."""
    return ()


class ScriptedWire:
    """A transport: each request is handed to the answer of its name; frames go back later."""

    def __init__(self, ib: Any) -> None:
        self.ib = ib
        self.answers: dict[str, Answer] = {}
        self.sent: list[tuple[str, list[str]]] = []
        self.answers["reqCurrentTime"] = lambda _fields: [(49, 1, int(NOW.timestamp()))]

    def write(self, data: bytes) -> None:
        while data:
            (length,) = struct.unpack(">I", data[:4])
            fields = data[4 : 4 + length].decode().split("\0")[:-1]
            data = data[4 + length :]
            name = REQUESTS.get(fields[0], fields[0])
            self.sent.append((name, fields))
            for frame in self.answers.get(name, silence)(fields):
                self.later(*frame)

    def later(self, *frame: object) -> None:
        asyncio.get_running_loop().call_soon(self.feed, frame)

    def feed(self, frame: Sequence[object]) -> None:
        """Let the client hear a frame."""
        text = "".join(f"{value}\0" for value in frame).encode()
        self.ib.client._onSocketHasData(struct.pack(">I", len(text)) + text)

    def names(self) -> list[str]:
        return [name for name, _fields in self.sent]

    def write_eof(self) -> None: ...
    def close(self) -> None: ...


@dataclass
class Settings:
    request_seconds: float = 30.0
    quote_seconds: float = 10.0
    market_data_lines: int = 100
    market_data_type: int = 1
    last_trade_seconds: float = 300.0
    history_requests: int = 8
    history_bars: int = 1300


@dataclass
class Passage:
    at: datetime = NOW
    simulated: bool = False
    tick: timedelta = timedelta()
    """By how much time goes on each time somebody looks at it."""

    def now(self) -> datetime:
        self.at += self.tick
        return self.at


@dataclass
class ScriptedLine:
    """What `Contracts`, `quotes` and `bars` use of a connected line."""

    lib: Any = field(default_factory=client_library)
    settings: Settings = field(default_factory=Settings)
    passage: Passage = field(default_factory=Passage)
    start: float = 0.0
    """The loop's time at which each question is asked."""

    def __post_init__(self) -> None:
        self.ib = self.lib.IB()
        self.ib.RaiseRequestErrors = True
        self.wire = ScriptedWire(self.ib)
        client = self.ib.client
        client.conn.transport = self.wire
        client.connState, client._serverVersion, client._apiReady = client.CONNECTED, 176, True
        client.decoder.serverVersion = 176
        client._reqIdSeq = 1
        client.MaxRequests = 0

    def ask(
        self, what: str, factory: Callable[[], Awaitable[T]], seconds: float | None = None
    ) -> T:
        async def bounded() -> T:
            return await asyncio.wait_for(factory(), seconds or self.settings.request_seconds)

        loop = VirtualLoop(start=self.start)
        asyncio.set_event_loop(loop)  # the library asks for it, as `Line` knows
        try:
            return loop.run_until_complete(bounded())
        except TimeoutError as error:
            raise BlindError(f"{what} did not arrive") from error
        except ConnectionError as error:
            raise ConnectError(str(error)) from error
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def require(self) -> None:
        if not self.ib.client.isConnected():
            raise ConnectError("not connected")


def error(request: object, code: int, words: str) -> Sequence[object]:
    """Return an error message of the wire."""
    return (4, 2, request, code, words, "")

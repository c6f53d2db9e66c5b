"""The exchange on an HTTP port of this machine; never of any other."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from rebalancer.simulators.binance_server.call import Request, Response
from rebalancer.simulators.binance_server.mishaps import Cut, refusal
from rebalancer.simulators.killing import Hearing
from rebalancer.simulators.loopback import bound, loopback, unusable

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

WHO = "the simulated exchange"
LONGEST_HEAD = 64 * 2**10
LONGEST_BODY = 8 * 2**20

_END = b"\r\n\r\n"


class HttpServer:
    """Takes clients for an exchange at an address of this machine's loopback.

    `port` 0: any free one; afterwards `port` has it. `before` is called before each request,
    `hearing` is asked and told of each.
    Raises `UsageError` for an address that others could reach, and for a port that is taken.
    One request is handled at a time, in the order in which they arrived.
    """

    def __init__(
        self,
        server: BinanceServer,
        host: str = "127.0.0.1",
        port: int = 0,
        before: Callable[[], object] = lambda: None,
    ) -> None:
        self.server = server
        self.host = loopback(host, WHO)
        self.port = port
        self.before = before
        self.hearing: Hearing | None = None
        self.connections: set[_Connection] = set()
        self._listener: asyncio.Server | None = None

    async def start(self) -> int:
        """Begin to listen; return the port."""
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                lambda: _Connection(self), sock=bound(self.host, self.port)
            )
        except OSError as error:
            raise unusable(self.host, self.port, error, "exchange") from error
        self.port = self._listener.sockets[0].getsockname()[1]
        return self.port

    async def obey(self) -> None:
        """Listen, or stop listening, as it should be now."""
        if self.server.refused and self._listener is not None:
            self.stop()
        elif not self.server.refused and self._listener is None:
            await self.start()

    def stop(self) -> None:
        """Stop listening and break every connection."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        for connection in tuple(self.connections):
            connection.abort()


class _Bad(Exception):
    """What arrived is no HTTP."""


class _Connection(asyncio.Protocol):
    """One client's connection; it stays open for as many requests as the client likes."""

    def __init__(self, http: HttpServer) -> None:
        self._http = http
        self._transport: asyncio.Transport | None = None
        self._heard = bytearray()
        self._waiting = False
        self._told_to_go_on = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen to a client. asyncio has turned Nagle's delay off."""
        self._transport = cast("asyncio.Transport", transport)
        self._http.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the client."""
        self._transport = None
        self._http.connections.discard(self)

    def abort(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes; each whole request is handled at once."""
        self._heard += data
        try:
            self._serve()
        except _Bad:
            self._write(Response(400, b"", {}), keep=False)

    def _serve(self) -> None:
        while self._transport is not None and not self._waiting:
            taken = self._take()
            if taken is None:
                return
            request, keep = taken
            hearing, name = self._http.hearing, f"{request.method} {request.path}"
            if hearing is not None and not hearing.before(name):
                self.abort()
                return
            try:
                self._http.before()
                response = self._http.server.handle(request)
            except Cut as cut:
                # Who waits in vain is let wait; the client hangs up.
                if cut.timed_out:
                    self._waiting = True
                elif self._transport is not None:
                    self._transport.close()
                return
            except Exception:  # an exchange does not die of one request: tell it on stderr
                traceback.print_exc()
                response = refusal(500, -1000, "An unknown error occurred while processing.")
            if response.delay:
                self._waiting = True
                loop = asyncio.get_running_loop()
                loop.call_later(response.delay, self._late, response, keep, request.method)
                return
            self._write(response, keep=keep, body=request.method != "HEAD")
            if hearing is not None:
                hearing.after(name)

    def _late(self, response: Response, keep: bool, method: str) -> None:
        self._waiting = False
        self._write(response, keep=keep, body=method != "HEAD")
        self.data_received(b"")

    def _write(self, response: Response, *, keep: bool, body: bool = True) -> None:
        """Send an answer in one piece."""
        if self._transport is None:
            return
        head = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        head += [f"{name}: {value}" for name, value in response.headers.items()]
        head += [f"Content-Length: {len(response.body)}"]
        head += [f"Connection: {'keep-alive' if keep else 'close'}"]
        text = "\r\n".join(head).encode("latin-1", "replace") + _END
        self._transport.write(text + (response.body if body else b""))
        if not keep:
            self._transport.close()

    def _take(self) -> tuple[Request, bool] | None:
        """Return the next whole request and whether the connection stays, None for not yet."""
        end = self._heard.find(_END)
        if end < 0:
            if len(self._heard) > LONGEST_HEAD:
                raise _Bad
            return None
        method, target, version, headers = _head(bytes(self._heard[:end]))
        rest = bytes(self._heard[end + len(_END) :])
        if "chunked" in headers.get("transfer-encoding", "").lower():
            found = _chunks(rest)
        else:
            length = _length(headers.get("content-length", "0"))
            found = (rest[:length], length) if len(rest) >= length else None
        if found is None:
            self._go_on(headers)
            return None
        body, used = found
        self._told_to_go_on = False
        del self._heard[: end + len(_END) + used]
        path, _, query = target.partition("?")
        keep = headers.get("connection", "").lower() != "close" and version != "HTTP/1.0"
        text = body.decode("utf-8", "surrogateescape")
        return Request(method, path, query.partition("#")[0], text, headers), keep

    def _go_on(self, headers: dict[str, str]) -> None:
        """Tell a client that asks first (curl does, with much to send) to send the rest."""
        asks = headers.get("expect", "").lower() == "100-continue"
        if asks and not self._told_to_go_on and self._transport is not None:
            self._told_to_go_on = True
            self._transport.write(b"HTTP/1.1 100 Continue" + _END)


def _head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    """Return method, target, version and headers (names in lower case)."""
    first, *lines = head.decode("utf-8", "surrogateescape").lstrip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Bad
    method, target, version = words
    if target.startswith("http://"):
        target = "/" + target[len("http://") :].partition("/")[2]
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise _Bad
        headers[name.lower()] = value.strip()
    return method, target, version, headers


def _length(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > LONGEST_BODY:
        raise _Bad
    return int(text)


def _chunks(data: bytes) -> tuple[bytes, int] | None:
    """Return a chunked body and how many bytes it took, None when it is not whole yet."""
    body, place = b"", 0
    while True:
        end = data.find(b"\r\n", place)
        if end < 0:
            return None
        try:
            size = int(data[place:end].partition(b";")[0], 16)
        except ValueError:
            raise _Bad from None
        if not 0 <= size <= LONGEST_BODY - len(body):
            raise _Bad
        place = end + 2
        if len(data) < place + size + 2:
            return None
        if data[place + size : place + size + 2] != b"\r\n":
            raise _Bad
        body += data[place : place + size]
        place += size + 2
        if not size:
            return body, place


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

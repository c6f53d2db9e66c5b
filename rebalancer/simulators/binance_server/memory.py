"""The exchange in this process, without sockets: a `requests` session asks it directly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from rebalancer.simulators.binance_server.call import Request, Response
from rebalancer.simulators.binance_server.control import Steering
from rebalancer.simulators.binance_server.faults import HttpFault
from rebalancer.simulators.binance_server.server import BinanceServer, Cut
from rebalancer.simulators.binance_server.spec import BinanceSpec
from rebalancer.simulators.books import FilesLike
from rebalancer.simulators.killing import Hearing

PORT = 9090


class LocalServer:
    """A `Control` over an exchange in this process.

    Sessions that were mounted reach it at `http://<host>:<port>`; a client that asks anything
    else goes to the network as ever. The same spec and the same client have the same trace.
    `hearing` is asked and told of each request.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        spec: BinanceSpec,
        files: FilesLike,
        write: Callable[[str], object] | None = None,
    ) -> None:
        self.port = spec.port or PORT
        self.server = BinanceServer(spec, files, write)
        self.hearing: Hearing | None = None
        self._steering = Steering(self.server)

    def now(self) -> datetime:
        """Return the simulated time."""
        return self._steering.now()

    def open(self, slot: datetime, attempt: int) -> None:
        """Play up to a run's slot; see `Control.open`."""
        self._steering.open(slot, attempt)

    def advance(self, until: datetime) -> datetime:
        """Let time pass; see `Control.advance`."""
        return self._steering.advance(until)

    def ended(self, at: datetime) -> bool:
        """Return whether the recording has no prices after `at`."""
        return self._steering.ended(at)

    def arm(self) -> None:
        """Let the faults of single calls strike from now on."""
        self._steering.arm()

    def inject(self, *faults: HttpFault) -> None:
        """Let more faults wait for requests."""
        self._steering.inject(*faults)

    def counts(self) -> Mapping[str, int]:
        """Return how many requests arrived, by method and path."""
        return self._steering.counts()

    def used_weight(self) -> Mapping[str, int]:
        """Return weights and orders, as `limits.Limits.weights` names them."""
        return self._steering.used_weight()

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""
        return self._steering.trace()

    def mount(self, session: Any) -> None:
        """Let a `requests` session reach this exchange."""
        session.mount(f"http://{self.host}:{self.port}/", _adapter(self))

    def close(self) -> None:
        """Save the books."""
        self._steering.save()


def _adapter(control: LocalServer) -> Any:
    """Return a transport adapter that asks an exchange instead of opening a socket."""
    server = control.server
    # requests is the client's; who serves over a socket needs none.
    import requests  # noqa: PLC0415
    from requests.adapters import BaseAdapter  # noqa: PLC0415
    from requests.structures import CaseInsensitiveDict  # noqa: PLC0415

    class Direct(BaseAdapter):
        """Raises what `requests` raises over a socket, after the same simulated time."""

        def send(self, request: Any, *_: Any, timeout: Any = None, **_words: Any) -> Any:
            patience = _patience(timeout)
            try:
                answer = _heard(control, as_heard(request))
            except Cut as cut:
                if not cut.timed_out:
                    words = "('Connection aborted.', RemoteDisconnected('closed'))"
                    raise requests.ConnectionError(words, request=request) from None
                server.let_pass(timedelta(seconds=patience))
                raise requests.ReadTimeout("Read timed out.", request=request) from None
            if answer.delay >= patience:
                raise requests.ReadTimeout("Read timed out.", request=request)
            return self.answered(request, answer)

        def answered(self, request: Any, answer: Response) -> Any:
            """Return an answer as `requests` has it."""
            found = requests.Response()
            found.status_code = answer.status
            found.headers = CaseInsensitiveDict(answer.headers)
            found.encoding = requests.utils.get_encoding_from_headers(found.headers)
            found.url, found.request = request.url, request
            found.reason = "" if answer.status == 200 else "error"
            found._content, found._content_consumed = answer.body, True
            return found

        def close(self) -> None:
            """Nothing is open."""

    return Direct()


def _heard(control: LocalServer, request: Request) -> Response:
    """Answer a request; who listens is asked before, and told afterwards."""
    hearing, name = control.hearing, f"{request.method} {request.path}"
    if hearing is not None and not hearing.before(name):
        raise Cut
    try:
        return control.server.handle(request)
    finally:
        if hearing is not None:
            hearing.after(name)


_FOREVER = 60.0
"""Seconds that a client without a time-out of its own waits at most."""


def _patience(timeout: Any) -> float:
    """Return how many seconds a client waits for an answer."""
    read = timeout[1] if isinstance(timeout, tuple) else timeout
    return _FOREVER if read is None else float(read)


def as_heard(request: Any) -> Request:
    """Return a prepared request of `requests` as it arrives at the exchange."""
    path, _, query = request.path_url.partition("?")
    body = request.body or b""
    if isinstance(body, bytes):
        body = body.decode("utf-8", "surrogateescape")
    headers = {str(name).lower(): _text(value) for name, value in request.headers.items()}
    return Request(request.method, path, query, body, headers)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)

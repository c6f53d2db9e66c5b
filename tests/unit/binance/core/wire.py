"""An exchange that answers from a script, below python-binance: real client, no socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.secret import Secret
from rebalancer.model.universe import Universe

NOW = datetime(2026, 1, 5, 15, 5, tzinfo=UTC)
KEY, SECRET = "a-key-of-no-account", "a-secret-of-no-account"
TIME = "GET /fapi/v1/time"


@dataclass(frozen=True)
class Answer:
    """What is answered: a body (anything but bytes as JSON), or an error of the wire."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: type[requests.RequestException] | None = None
    seconds: float = 0.0


def refused(code: int, words: str = "No.", status: int = 400, **headers: str) -> Answer:
    """Return a refusal in the exchange's form."""
    return Answer({"code": code, "msg": words}, status, headers)


@dataclass
class Heard:
    """One request as it would have left."""

    name: str
    url: str
    parameters: dict[str, str]
    headers: Mapping[str, str]
    raw: str
    at: datetime


Reply = Answer | Callable[[Heard], Any] | Sequence[Any] | Any


class Wire:
    """A passage to the script: its time moves with pauses and with slow answers only.

    `replies` by "METHOD /path": an answer, plain data, a function, or a list of them, of which
    the last goes on for ever. `ahead` is how far the exchange's clock is before ours.
    """

    simulated = True

    def __init__(self, base_url: str = "https://fapi.example", account_url: str = "") -> None:
        self.base_url, self.account_url = base_url, account_url or base_url
        self.replies: dict[str, Reply] = {}
        self.heard: list[Heard] = []
        self.paused: list[float] = []
        self.time = NOW
        self.ahead = timedelta()
        self._asked: dict[str, int] = {}

    def now(self) -> datetime:
        return self.time

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.time += timedelta(seconds=seconds)

    def pass_time(self, until: datetime) -> None:
        self.time = max(self.time, until)

    def mount(self, session: requests.Session) -> None:
        for prefix in ("https://", "http://"):
            session.mount(prefix, _Adapter(self))

    def ready(self) -> None:
        """Nothing."""

    def names(self) -> list[str]:
        """Return what was asked, in order."""
        return [each.name for each in self.heard]

    def answer(self, heard: Heard) -> Answer:
        reply = self.replies.get(heard.name)
        if isinstance(reply, list) and reply and isinstance(reply[0], Answer | type):
            number = self._asked.get(heard.name, 0)
            self._asked[heard.name] = number + 1
            reply = reply[min(number, len(reply) - 1)]
        if reply is None and heard.name.endswith("/time"):
            at = self.time + self.ahead
            reply = {
                "serverTime": int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
            }
        if reply is None:
            return Answer({"code": -5000, "msg": f"{heard.name} is not in the script"}, 404)
        if callable(reply):
            reply = reply(heard)
        return reply if isinstance(reply, Answer) else Answer(reply)


class _Adapter(HTTPAdapter):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        parts = urlsplit(request.url or "")
        body = request.body or ""
        text = body.decode() if isinstance(body, bytes) else str(body)
        raw = parts.query or text
        heard = Heard(
            f"{request.method} {parts.path}",
            request.url or "",
            dict(parse_qsl(raw, keep_blank_values=True)),
            {str(k): str(v) for k, v in request.headers.items()},
            raw,
            self._wire.time,
        )
        self._wire.heard.append(heard)
        answer = self._wire.answer(heard)
        self._wire.time += timedelta(seconds=answer.seconds)
        if answer.error is not None:
            raise answer.error(f"HTTPSConnectionPool: Max retries exceeded with url: {request.url}")
        content = (
            answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        )
        raw_answer = HTTPResponse(
            BytesIO(content),
            headers=dict(answer.headers),
            status=answer.status,
            preload_content=False,
        )
        return self.build_response(request, raw_answer)


def perp(symbol: str = "BTCUSDT", currency: str = "USDT") -> Instrument:
    """Return a perpetual as a configuration describes it."""
    name = InstrumentId(f"{symbol}.PERP@BINANCE")
    return Instrument(name, Kind.PERPETUAL, symbol, currency, "24/7")


def pair(symbol: str = "BTCUSDT", currency: str = "USDT") -> Instrument:
    """Return a spot pair as a configuration describes it."""
    return Instrument(InstrumentId(f"{symbol}.SPOT@BINANCE"), Kind.SPOT, symbol, currency, "24/7")


def line_on(
    wire: Wire,
    *instruments: Instrument,
    product: Product = Product.USDM,
    read_only: bool = False,
    secret: str = SECRET,
    **settings: Any,
) -> BinanceLine:
    """Return a line through the real client library to a script."""
    return BinanceLine(
        wire,
        BinanceSettings(**settings),
        product,
        Universe(instruments or (perp(),)),
        Secret(KEY),
        Secret(secret),
        read_only=read_only,
    )

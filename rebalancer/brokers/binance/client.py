"""The one module that speaks python-binance: its client, on our hosts, our clock, our terms.

Each method here closes a trap of the library's (1.0.37): tests/unit/binance/core/test_traps.py
shows them one by one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from binance.client import Client
from binance.exceptions import BinanceAPIException, BinanceRequestException

from rebalancer.brokers.binance.errors import WriteForbidden
from rebalancer.brokers.binance.questions import milliseconds
from rebalancer.clock import SystemClock
from rebalancer.errors import ConnectError
from rebalancer.model.secret import Secret

__all__ = ["BinanceAPIException", "BinanceRequestException", "PointedClient"]

_VERSIONS = {"v1": 1, "v2": 2, "v3": 3}

# What it writes for debugging has addresses with signatures in them.
logging.getLogger("urllib3").setLevel(logging.WARNING)


class PointedClient(Client):  # type: ignore[misc]
    """python-binance's client whose every address is ours, and whose time is `now()`.

    `base` is the product's host, `account` that of spot. A call to any other host raises
    `ConnectError`, one that writes although `read_only` raises `WriteForbidden`, both before
    anything leaves; redirects are not followed.
    """

    def __init__(
        self,
        base: str,
        account: str,
        key: Secret,
        secret: Secret,
        now: Callable[[], datetime],
        *,
        recv_window_ms: int,
        seconds: float,
        read_only: bool = False,
    ) -> None:
        self._now, self._key, self._secret = now, key, secret
        self._hosts, self._read_only = (_place(base), _place(account)), read_only
        with _an_event_loop():
            super().__init__(ping=False)
        self.API_URL = f"{account}/api"
        self.MARGIN_API_URL = f"{account}/sapi"
        self.FUTURES_URL = f"{base}/fapi"
        # Nobody asks these. Where they pointed, at the live exchange, nothing may be sent.
        for name in ("FUTURES_DATA", "FUTURES_COIN", "FUTURES_COIN_DATA", "OPTIONS", "PAPI"):
            setattr(self, f"{name}_URL", f"{base}/not-spoken-here")
        self.WEBSITE_URL = f"{base}/not-spoken-here"
        self.REQUEST_RECVWINDOW = recv_window_ms
        self.REQUEST_TIMEOUT = seconds

    def __repr__(self) -> str:
        """Return where it points; the keys are nobody's business."""
        return f"PointedClient({self._hosts[0]!r})"

    @property
    def API_KEY(self) -> str:  # noqa: N802 - the library's name
        """Return the key, which the library would keep as plain text."""
        return self._key.reveal()

    @API_KEY.setter
    def API_KEY(self, value: object) -> None:  # noqa: N802
        """Take no notice: the library sets it when it is made."""

    @property
    def API_SECRET(self) -> str:  # noqa: N802
        """Return the secret, which the library would keep as plain text."""
        return self._secret.reveal()

    @API_SECRET.setter
    def API_SECRET(self, value: object) -> None:  # noqa: N802
        """Take no notice: the library sets it when it is made."""

    @property
    def timestamp_offset(self) -> float:
        """Return what is missing from this machine's clock to the exchange's, milliseconds."""
        return (self._now() - SystemClock().now()).total_seconds() * 1000

    @timestamp_offset.setter
    def timestamp_offset(self, value: object) -> None:
        """Take no notice: the library sets it to zero when it is made."""

    def call(self, method: str, path: str, parameters: Mapping[str, str], *, signed: bool) -> Any:
        """Send one call (`/fapi/v1/order`) through the library and return its answer.

        Raises the library's and `requests`' errors; `parameters` are plain texts.
        """
        _, family, version, rest = path.split("/", 3)
        words: dict[str, Any] = {"data": dict(parameters)}
        verb = method.lower()
        if family == "fapi":
            return self._request_futures_api(verb, rest, signed, _VERSIONS[version], **words)
        if family == "sapi":
            return self._request_margin_api(verb, rest, signed, _VERSIONS[version], **words)
        if family != "api" or version != "v3":
            raise ConnectError(f"{path}: no such way to the exchange")
        return self._request_api(verb, rest, signed, **words)

    # ------------------------------------------------------------------ what the library calls

    def _generate_signature(self, data: dict[str, Any], uri_encode: bool = True) -> str:
        """Sign with the exchange's time to the millisecond, and with our receive window.

        The library's own timestamp is the same but for the moment between two looks at this
        machine's clock: a simulated run would not repeat itself.
        """
        data["timestamp"] = milliseconds(self._now())
        data["recvWindow"] = self.REQUEST_RECVWINDOW
        signature: str = super()._generate_signature(data, uri_encode)
        return signature

    def _get_headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "User-Agent": "rebalancer",
            "X-MBX-APIKEY": self._key.reveal(),
        }

    def _init_session(self) -> requests.Session:
        session = _Session(self._check)
        session.headers.update(self._get_headers())
        session.trust_env = False  # no proxy, no certificate, no .netrc of the surroundings
        return session

    def _check(self, request: requests.PreparedRequest) -> None:
        place = _place(request.url or "")
        if place not in self._hosts:
            raise ConnectError(f"a call to {place} was about to leave; {self._hosts[0]} is meant")
        if self._read_only and request.method != "GET":
            path = urlsplit(request.url or "").path
            raise WriteForbidden(f"{request.method} {path}: this connection only reads")


class _Session(requests.Session):
    """A session that asks before anything leaves, and goes nowhere else."""

    def __init__(self, check: Callable[[requests.PreparedRequest], None]) -> None:
        super().__init__()
        self._check = check

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request; an answer that points elsewhere is returned as it is."""
        self._check(request)
        return super().send(request, **kwargs | {"allow_redirects": False})


@contextmanager
def _an_event_loop() -> Iterator[None]:
    """Give the library the event loop that it asks for and that nobody here ever runs."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _place(url: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

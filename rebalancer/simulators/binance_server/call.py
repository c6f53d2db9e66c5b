"""One request as a handler sees it: its parameters, checked as the exchange checks them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived: method, path, query and body as they were sent, headers in lower case."""

    method: str
    path: str
    query: str = ""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered; `delay` is how many seconds later (a fault)."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


class ApiError(Exception):
    """A refusal in the exchange's words; `status` is that of the HTTP answer."""

    def __init__(
        self,
        code: int,
        message: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way to a handler. `product` is "spot", "usdm", "sapi" or "dapi".

    `skew` is how far the exchange's clock is ahead of its time (a fault).
    """

    server: BinanceServer
    product: str
    path: str
    parameters: Mapping[str, str]
    now: datetime
    skew: timedelta = timedelta(0)

    @property
    def now_ms(self) -> int:
        """Return what the exchange's clock says, in milliseconds since 1970."""
        return (self.now + self.skew - _EPOCH) // _MILLISECOND

    def text(self, name: str, default: str | None = None) -> str:
        """Return a parameter; without a default it is mandatory (-1102)."""
        value = self.parameters.get(name, "")
        if value:
            return value
        if default is None:
            raise mandatory(name)
        return default

    def number(self, name: str, default: Decimal | None = None) -> Decimal:
        """Return a decimal; anything but plain digits is -1100."""
        if not self.parameters.get(name) and default is not None:
            return default
        value = self.text(name)
        if not _NUMBER.fullmatch(value):
            raise illegal(name, "^([0-9]{1,20})(\\\\.[0-9]{1,20})?$")
        return Decimal(value)

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number; anything else is -1102."""
        if not self.parameters.get(name) and default is not None:
            return default
        value = self.text(name)
        if not value.lstrip("-").isascii() or not value.lstrip("-").isdigit():
            raise mandatory(name)
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a true or false; the exchange takes any case."""
        value = self.parameters.get(name, "").lower()
        if value not in ("", "true", "false"):
            raise mandatory(name)
        return default if not value else value == "true"


def mandatory(name: str) -> ApiError:
    """Return the refusal of a parameter that is missing or no good."""
    words = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return ApiError(-1102, words)


def illegal(name: str, legal: str) -> ApiError:
    """Return the refusal of a parameter with characters that it may not have."""
    words = f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    return ApiError(-1100, words)


@dataclass(frozen=True, slots=True)
class Route:
    """One thing the exchange answers: who does it, what it weighs, whether it is signed.

    `keyed`: it needs a key and no signature. `orders`: how much it counts as orders.
    """

    handler: Callable[[Call], Any]
    weight: int | Callable[[Call], int] = 1
    signed: bool = False
    keyed: bool = False
    orders: int = 0

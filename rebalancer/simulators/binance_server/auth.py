"""Who asks, and is it really they: key, time, signature."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from urllib.parse import parse_qsl

from rebalancer.simulators.binance_server.call import ApiError, Request, mandatory

LARGEST_WINDOW = 60_000
USUAL_WINDOW = 5_000
AHEAD = 1_000
"""Milliseconds that a request's time may be ahead of the exchange's: less than these."""

_KEY = re.compile(r"[A-Za-z0-9]{64}")
_MICROSECONDS = 16
"""Digits of a time in microseconds; spot takes either."""

_UNESCAPED = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]|%(?![0-9A-Fa-f]{2})")
"""What no percent-encoded text has in it."""


def parameters_of(request: Request) -> dict[str, str]:
    """Return the parameters of query and body, decoded; of two the query's counts.

    Raises -1101 for one that comes twice in the same place.
    """
    return dict(_parsed(request.query, request.body))


@lru_cache(maxsize=64)
def _parsed(query: str, body: str) -> Mapping[str, str]:
    """Return the parameters; a request's are asked for more than once."""
    found: dict[str, str] = {}
    for text in (query, body):
        here: dict[str, str] = {}
        for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
            if name in here:
                raise ApiError(-1101, f"Duplicate values for parameter '{name}'.")
            here[name] = value
        found = here | found
    return found


def signature(secret: str, payload: str) -> str:
    """Return the HMAC-SHA256 of a payload, in hexadecimal."""
    message = payload.encode("utf-8", "surrogateescape")
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def require_key(request: Request, key: str) -> None:
    """Raise -2014 or -2015 for a request that does not carry the account's key."""
    given = request.headers.get("x-mbx-apikey", "")
    if given == key:
        return
    if not _KEY.fullmatch(given):
        raise ApiError(-2014, "API-key format invalid.", 401)
    raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def require_signature(
    request: Request, parameters: Mapping[str, str], secret: str, now_ms: int, product: str
) -> None:
    """Raise what the exchange raises for a bad time or a signature that does not fit."""
    if not parameters.get("signature"):
        raise mandatory("signature")
    require_time(parameters, now_ms, product)
    payload = signed_part(request)
    made = signature(secret, payload)
    given = parameters["signature"].lower().encode("utf-8", "replace")
    # What was signed as it is read, and only then encoded, is no good at spot since 2026.
    unescaped = product in ("spot", "sapi") and _UNESCAPED.search(payload)
    if unescaped or not hmac.compare_digest(made.encode(), given):
        raise ApiError(-1022, "Signature for this request is not valid.")


def require_time(parameters: Mapping[str, str], now_ms: int, product: str) -> None:
    """Raise -1021 for a request that is too old or from the future."""
    stamp = parameters.get("timestamp", "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > _MICROSECONDS:
        raise mandatory("timestamp")
    at = Decimal(stamp)
    if len(stamp) == _MICROSECONDS and product in ("spot", "sapi"):
        at /= 1000
    window = _window(parameters.get("recvWindow", ""), product)
    if at >= now_ms + AHEAD:
        words = "Timestamp for this request was 1000ms ahead of the server's time."
        raise ApiError(-1021, words)
    if now_ms - at > window:
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _window(text: str, product: str) -> Decimal:
    """Return a request's window in milliseconds; spot takes three decimals."""
    if not text:
        return Decimal(USUAL_WINDOW)
    pattern = r"\d{1,6}(\.\d{1,3})?" if product in ("spot", "sapi") else r"\d{1,6}"
    if not re.fullmatch(pattern, text, re.ASCII):
        raise mandatory("recvWindow")
    try:
        window = Decimal(text)
    except InvalidOperation:
        raise mandatory("recvWindow") from None
    if window > LARGEST_WINDOW:
        raise ApiError(-1131, "recvWindow must be less than 60000.")
    return window


def signed_part(request: Request) -> str:
    """Return what was signed: query and body as they were sent, without the signature.

    Between the two there is nothing, not even an ampersand.
    """
    return "".join(
        "&".join(each for each in text.split("&") if each and not each.startswith("signature="))
        for text in (request.query, request.body)
    )

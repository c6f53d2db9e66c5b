"""What becomes of a request that a fault strikes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server import lies
from rebalancer.simulators.binance_server.call import Request, Response
from rebalancer.simulators.binance_server.faults import QUOTES, Do, HttpFault

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

JSON = {"Content-Type": "application/json;charset=UTF-8"}
PAGE = {"Content-Type": "text/html"}

_GATEWAY = b"<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n"
_NAMES = {
    403: "403 Forbidden",
    404: "404 Not Found",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}
_LONG = timedelta(days=365)
_NO_PRICE = {Do.ZERO: "0.00", Do.NAN: "NaN"}

Answer = Callable[[Request], Response]


class Cut(Exception):
    """No answer: the connection breaks; `timed_out`: the client waits for one in vain."""

    def __init__(self, *, timed_out: bool = False) -> None:
        super().__init__("no answer ever comes" if timed_out else "the connection breaks")
        self.timed_out = timed_out


def struck(server: BinanceServer, fault: HttpFault, request: Request, answer: Answer) -> Response:
    """Return what a request that a fault strikes is answered; raises `Cut` for nothing."""
    if fault.do in (Do.CUT_BEFORE, Do.TIMEOUT_BEFORE):
        raise Cut(timed_out=fault.do is Do.TIMEOUT_BEFORE)
    state = _STATES.get(fault.do)
    if state is not None:
        return state(server, fault, request, answer)
    instead = _INSTEAD.get(fault.do)
    if instead is not None:
        return instead(fault)
    if fault.do in lies.LIES:
        return lies.told(server, fault, request, answer)
    if fault.do is Do.DELAY:
        server.let_pass(timedelta(seconds=fault.seconds))
        return replace(answer(request), delay=fault.seconds)
    response = answer(request)
    if fault.do is Do.DELAY_AFTER:
        server.let_pass(timedelta(seconds=fault.seconds))
        return replace(response, delay=fault.seconds)
    if fault.do is Do.TWICE:
        return answer(request)
    if fault.do in (Do.CUT_AFTER, Do.TIMEOUT_AFTER):
        raise Cut(timed_out=fault.do is Do.TIMEOUT_AFTER)
    return _AFTER[fault.do](fault, response)


def refusal(
    status: int, code: int, words: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error in the exchange's shape."""
    body = {"code": code, "msg": words}
    return Response(status, encoded(body), JSON | dict(headers or {}))


def encoded(body: Any) -> bytes:
    """Return a plain value as compact JSON."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def page(status: int) -> Response:
    """Return the page of a gateway that is no exchange."""
    name = _NAMES.get(status, str(status)).encode()
    return Response(status, _GATEWAY % (name, name) + b"</body>\r\n</html>\r\n", PAGE)


def _status(fault: HttpFault) -> Response:
    return refusal(fault.status or _usual(fault.code), fault.code, fault.words())


def _usual(code: int) -> int:
    """Return the HTTP status that usually comes with a code."""
    if code in (0, -1000, -1001, -1006, -1007, -1008, -1016):
        return 503
    return {-1003: 429, -1015: 429, -2014: 401, -2015: 401}.get(code, 400)


def _rate(fault: HttpFault) -> Response:
    wait = {"Retry-After": str(round(fault.seconds or 30))}
    words = fault.message or "Too many requests; current limit is reached."
    return refusal(429, -1003, words, wait)


_INSTEAD: Mapping[Do, Callable[[HttpFault], Response]] = {
    Do.STATUS_BEFORE: _status,
    Do.HTML: lambda fault: page(fault.status or 502),
    Do.FORBIDDEN: lambda fault: page(fault.status or 403),
    Do.RATE: _rate,
}

_AFTER: Mapping[Do, Callable[[HttpFault, Response], Response]] = {
    Do.STATUS_AFTER: lambda fault, _: _status(fault),
    Do.HTML_AFTER: lambda fault, _: page(fault.status or 502),
    Do.TRUNCATE: lambda _, response: replace(
        response, body=response.body[: len(response.body) // 2]
    ),
    Do.EMPTY: lambda _, response: replace(response, body=b""),
}


# ------------------------------------------------------------------ what lasts


def _skew(server: BinanceServer, fault: HttpFault, request: Request, answer: Answer) -> Response:
    server.skew = timedelta(seconds=fault.seconds)
    return answer(request)


def _account(server: BinanceServer, fault: HttpFault, request: Request, answer: Answer) -> Response:
    server.shown_account = fault.message or "999999999"
    return answer(request)


def _ban(server: BinanceServer, fault: HttpFault, request: Request, answer: Answer) -> Response:
    server.limits.ban(server.now, timedelta(seconds=fault.seconds or 120))
    return answer(request)


def _maintain(
    server: BinanceServer, fault: HttpFault, request: Request, answer: Answer
) -> Response:
    server.closed_until = server.now + (timedelta(seconds=fault.seconds) or _LONG)
    return answer(request)


def _outage(server: BinanceServer, fault: HttpFault, *_: object) -> Response:
    server.gone_until = server.now + (timedelta(seconds=fault.seconds) or _LONG)
    raise Cut


_STATES: Mapping[Do, Callable[[BinanceServer, HttpFault, Request, Answer], Response]] = {
    Do.SKEW: _skew,
    Do.WRONG_ACCOUNT: _account,
    Do.BAN: _ban,
    Do.MAINTENANCE: _maintain,
    Do.OUTAGE: _outage,
}


# ------------------------------------------------------------------ rows of answers


def with_account(response: Response, account: str) -> Response:
    """Return an answer that shows another account's uid, where it shows one."""
    plain = _plain(response)
    if not isinstance(plain, dict) or "uid" not in plain:
        return response
    plain["uid"] = int(account) if account.isdigit() else account
    return replace(response, body=encoded(plain))


def with_quotes(response: Response, faults: Sequence[HttpFault]) -> Response:
    """Return an answer whose quotes have suffered."""
    plain = _plain(response)
    faults = [fault for fault in faults if fault.do in QUOTES]
    if not faults or response.status != 200:
        return response
    rows = plain if isinstance(plain, list) else [plain]
    if not all(isinstance(row, dict) and "bidPrice" in row for row in rows):
        return response
    for fault in faults:
        hit = [row for row in rows if fault.subject in ("", row["symbol"])]
        if fault.do is Do.NO_QUOTE and isinstance(plain, list):
            rows = [row for row in rows if row not in hit]
            plain = rows
        else:
            for row in hit:
                _spoil(row, fault)
    return replace(response, body=encoded(plain))


def _spoil(row: dict[str, Any], fault: HttpFault) -> None:
    if fault.do is Do.CROSSED:
        row["bidPrice"], row["askPrice"] = row["askPrice"], row["bidPrice"]
    if fault.do in (Do.ONE_SIDED, Do.NO_QUOTE):
        row["askPrice"] = row["askQty"] = "0.00"
    if fault.do is Do.NO_QUOTE:
        row["bidPrice"] = row["bidQty"] = "0.00"
    for name in ("bidPrice", "askPrice") if fault.do in _NO_PRICE else ():
        row[name] = _NO_PRICE[fault.do]
    for name in ("time", "closeTime"):
        if fault.do is Do.STALE and name in row:
            row[name] -= round(fault.seconds * 1000)


def _plain(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except ValueError:
        return None

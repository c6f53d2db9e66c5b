"""Answers about the account that are whole, come with 200, and are not true."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import Request, Response
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.past import has_changed, shown_as_of

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

LIES = frozenset({Do.NO_ROWS, Do.OLD_ROWS, Do.OLD_ACCOUNT})


def would_show(server: BinanceServer, fault: HttpFault) -> bool:
    """Return whether a lie about positions would be another than the truth."""
    account, exchange = server.exchange.account, server.exchange
    if fault.do is Do.NO_ROWS:
        return any(each.quantity for each in account.holdings.values())
    if fault.do in (Do.OLD_ROWS, Do.OLD_ACCOUNT):
        at = exchange.now - timedelta(seconds=fault.seconds)
        return has_changed(account, exchange.instruments, at)
    return True


def told(
    server: BinanceServer,
    fault: HttpFault,
    request: Request,
    answer: Callable[[Request], Response],
) -> Response:
    """Return an answer in which positions are missing or old."""
    if fault.do is Do.NO_ROWS:
        return _with_rows(answer(request), [])
    exchange = server.exchange
    at = exchange.now - timedelta(seconds=fault.seconds)
    old = fault.do is Do.OLD_ACCOUNT
    with shown_as_of(exchange.account, exchange.instruments, at, cash_too=old):
        then = answer(request)
    if old:
        return then
    plain = json.loads(then.body)
    return _with_rows(answer(request), plain if isinstance(plain, list) else plain["positions"])


def _with_rows(response: Response, rows: list[Any]) -> Response:
    """Return an answer with other positions; one that is a refusal stays."""
    plain = json.loads(response.body)
    if response.status != 200:
        return response
    changed = rows if isinstance(plain, list) else {**plain, "positions": rows}
    text = json.dumps(changed, separators=(",", ":"), ensure_ascii=False)
    return replace(response, body=text.encode("utf-8", "replace"))

"""A simulated exchange to ask in a test, and somebody who may sign."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from rebalancer.simulators.binance_server.auth import signature
from rebalancer.simulators.binance_server.call import ApiError, Request, Response
from rebalancer.simulators.binance_server.server import BinanceServer
from rebalancer.simulators.binance_server.spec import KEY, SECRET, BinanceSpec
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files

START = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)
"""Inside the recording of the nine perpetuals, an hour before funding is paid."""


def spec(**changes: Any) -> BinanceSpec:
    """Return a spec in memory; `settings` replaces single settings of the paper account."""
    settings = PaperSettings(
        recording="binance_perps_2025", seed=7, start=START, cash={"USDT": Decimal(10_000)}
    )
    settings = replace(settings, **changes.pop("settings", {}))
    made = BinanceSpec(
        account="700700700", base="USDT", folder=None, settings=settings, fee_schedule="binance"
    )
    return replace(made, **changes)


def server(**changes: Any) -> BinanceServer:
    """Return a new exchange with changes of `spec`."""
    return BinanceServer(spec(**changes), Files())


def request(
    server: BinanceServer, method: str, path: str, sign: bool = True, **parameters: Any
) -> Request:
    """Return a request that is signed (or not) at the exchange's own time, all in the query."""
    if sign:
        parameters = {**parameters, "timestamp": stamp(server)}
    query = urlencode(parameters, quote_via=quote)
    if sign:
        query += f"&signature={signature(SECRET, query)}"
    return Request(method, path, query, "", {"x-mbx-apikey": KEY})


def stamp(server: BinanceServer) -> str:
    """Return the exchange's time as clients send it."""
    return str(round(server.now.timestamp() * 1000))


def call(server: BinanceServer, method: str, path: str, **parameters: Any) -> Any:
    """Return the answer to a request; raises the exchange's refusal as `ApiError`."""
    return parsed(server.handle(request(server, method, path, **parameters)))


def parsed(response: Response) -> Any:
    """Return an answer's JSON; raises `ApiError` for a refusal."""
    answer = json.loads(response.body)
    if response.status != 200:
        raise ApiError(answer["code"], answer["msg"], response.status, response.headers)
    return answer

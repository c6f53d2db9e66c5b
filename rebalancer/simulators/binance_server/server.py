"""The simulated exchange: a request in, an answer out, deterministic."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rebalancer.simulators.account import new_account
from rebalancer.simulators.binance_server import algo_trigger, auth, closing, countdown, timers
from rebalancer.simulators.binance_server.call import ApiError, Call, Request, Response, Route
from rebalancer.simulators.binance_server.faults import QUOTES, HttpScript, SeededHttpFaults
from rebalancer.simulators.binance_server.fees import fees_of
from rebalancer.simulators.binance_server.limits import Limits
from rebalancer.simulators.binance_server.mishaps import (
    JSON,
    PAGE,
    Cut,
    encoded,
    refusal,
    struck,
    with_account,
    with_quotes,
)
from rebalancer.simulators.binance_server.routes import ROUTES
from rebalancer.simulators.binance_server.spec import KEY, SECRET, BinanceSpec
from rebalancer.simulators.binance_server.symbols import symbols_for
from rebalancer.simulators.binance_server.wire_log import WireLog
from rebalancer.simulators.books import FilesLike, open_books
from rebalancer.simulators.exchange import Exchange
from rebalancer.simulators.faults import FaultScript

__all__ = ["BinanceServer", "Cut"]

PRODUCTS = {"api": "spot", "fapi": "usdm", "futures": "usdm", "sapi": "sapi", "dapi": "dapi"}
"""The first word of a path, and what it belongs to."""

_NAMING = ("symbol", "newClientOrderId", "origClientOrderId", "clientAlgoId")
_FAR_AWAY = b"<html><body><h2>404 Not found</h2></body></html>"  # what spot says of an unknown path


class BinanceServer:
    """One exchange with one account and one client's address, over the engine.

    `skew` is how far its clock is ahead of its time, `shown_account` the uid that it shows
    ('' the right one), `refused` whether nobody can reach it; until `gone_until` connections
    break, until `closed_until` it is under maintenance.
    """

    def __init__(
        self,
        spec: BinanceSpec,
        files: FilesLike,
        write: Callable[[str], object] | None = None,
    ) -> None:
        self.spec = spec
        self.limits = Limits()
        self.log = WireLog(write)
        self.faults = HttpScript(spec.faults)
        if spec.rates:
            self.faults = SeededHttpFaults(spec.faults, seed=spec.fault_seed, rates=spec.rates)
        self.skew = timedelta(0)
        self.shown_account = ""
        self.refused = False
        self.gone_until: datetime | None = None
        self.closed_until: datetime | None = None
        self.symbols, self.market, instruments = symbols_for(spec)
        books = open_books(
            None if spec.folder is None else Path(spec.folder),
            files,
            lambda: new_account(spec.account, spec.base, spec.settings, self.market, instruments),
            keep=spec.keep,
        )
        self.exchange = Exchange(
            books,
            self.market,
            instruments,
            spec.settings,
            fees_of(spec.fee_schedule, spec.fee_prices),
            FaultScript(spec.engine_faults),
        )
        self._latency = timedelta(seconds=spec.latency_seconds)
        for module in (timers, algo_trigger, countdown, closing):
            module.attach(self)

    @property
    def now(self) -> datetime:
        """Return the simulated time."""
        return self.exchange.now

    def let_pass(self, time: timedelta) -> None:
        """Let simulated time pass, whatever happens meanwhile."""
        until = self.now + time
        while self.now < until:
            self.exchange.advance(until)

    def reachable(self) -> bool:
        """Return whether a connection can be made, and holds."""
        gone = self.gone_until is not None and self.now < self.gone_until
        return not self.refused and not gone

    def handle(self, request: Request) -> Response:
        """Answer a request; raises `Cut` when it is not answered.

        Books, counts and the wire log are complete when this returns or raises.
        """
        self.let_pass(self._latency)
        at, note = self.now, ""
        response: Response | None = None
        try:
            if not self.reachable():
                raise Cut
            struck_by = self.faults.strikes(
                f"{request.method} {request.path}", _subjects(request), at
            )
            note = ", ".join(fault.note() for fault in struck_by)
            first = next((fault for fault in struck_by if fault.do not in QUOTES), None)
            if first is None:
                response = self._answer(request)
            else:
                response = struck(self, first, request, self._answer)
            if struck_by:
                response = with_quotes(response, struck_by)
        except Cut:
            note = note or "it cannot be reached"
            raise
        finally:
            self.log.add(at, request, response, note)
        return response

    # ------------------------------------------------------------------ inside

    def _answer(self, request: Request) -> Response:
        """Return what the exchange answers when nothing goes wrong on the way."""
        now = self.now
        if self.closed_until is not None and now < self.closed_until:
            return refusal(503, 1, "System is under maintenance.")
        product = PRODUCTS.get(request.path.split("/")[1] if "/" in request.path else "", "")
        route = ROUTES.get(f"{request.method} {request.path}")
        headers: dict[str, str] = {}
        ordered = False
        try:
            self.limits.require_welcome(now)
            if route is None:
                self.limits.take(product, 1, now)
                response = _unknown(product, request)
            else:
                parameters = auth.parameters_of(request)
                call = Call(self, product, request.path, parameters, now, self.skew)
                answer = self._served(route, call, request)
                response = Response(200, encoded(answer), JSON)
                ordered = bool(route.orders)
        except ApiError as error:
            body: dict[str, Any] = {"code": error.code, "msg": error.message}
            if getattr(error, "data", None) is not None:
                body["data"] = error.data  # type: ignore[attr-defined]
            response = Response(error.status, encoded(body), JSON)
            headers = error.headers
        used = self.limits.headers(product, now, orders=ordered)
        response = Response(response.status, response.body, {**response.headers, **used, **headers})
        return with_account(response, self.shown_account) if self.shown_account else response

    def _served(self, route: Route, call: Call, request: Request) -> Any:
        """Return a route's answer, weighed, authenticated and counted; raises `ApiError`."""
        product, now = call.product, call.now
        weight = route.weight if isinstance(route.weight, int) else route.weight(call)
        self.limits.take(product, weight, now)
        if route.signed or route.keyed:
            auth.require_key(request, KEY)
        if route.signed:
            auth.require_signature(request, call.parameters, SECRET, call.now_ms, product)
        if not route.orders:
            return route.handler(call)
        self.limits.take_orders(product, route.orders, now)
        traded = self.exchange.account.next_execution
        answer = route.handler(call)
        if product == "spot":
            # Since 2026-04-02 an order that is taken weighs nothing; only unfilled ones count.
            self.limits.give_back(product, weight, now)
            if self.exchange.account.next_execution > traded:
                self.limits.give_orders_back(product, route.orders, now)
        return answer


def _unknown(product: str, request: Request) -> Response:
    """Return what is said of a path that there is not."""
    if product in ("usdm", "dapi"):
        words = f"Path {request.path}, Method {request.method} is invalid"
        return refusal(404, -5000, words)
    return Response(404, _FAR_AWAY, PAGE)


def _subjects(request: Request) -> list[str]:
    """Return what a request is about: its symbol and its client ids."""
    try:
        parameters = auth.parameters_of(request)
    except ApiError:
        return []
    return [parameters[name] for name in _NAMING if name in parameters]

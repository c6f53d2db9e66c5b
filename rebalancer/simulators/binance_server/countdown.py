"""Countdown-cancel: a symbol's open orders end when its timer is not set again in time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import Call, Route
from rebalancer.simulators.binance_server.codec_notes import recall, remember
from rebalancer.simulators.binance_server.figures import milliseconds, time_of
from rebalancer.simulators.binance_server.market_view import wanted_symbol
from rebalancer.simulators.binance_server.order_words import not_valid
from rebalancer.simulators.binance_server.orders_kept import open_orders
from rebalancer.simulators.binance_server.orders_send import end

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

_NOTE = "countdown"


def attach(server: BinanceServer) -> None:
    """Let the engine keep the timers."""
    server.exchange.register(
        "countdown", lambda after: _next(server, after), lambda at: _cancel(server, at)
    )


def set_timer(call: Call) -> dict[str, Any]:
    """Set a symbol's timer to so many milliseconds from now; 0 takes it away."""
    symbol = wanted_symbol(call).symbol
    countdown = call.integer("countdownTime")
    if countdown < 0:
        raise not_valid("countdownTime")
    account = call.server.exchange.account
    timers: dict[str, int] = recall(account, _NOTE, {})
    timers.pop(symbol, None)
    if countdown:
        timers[symbol] = milliseconds(call.now) + countdown
    remember(account, _NOTE, timers)
    call.server.exchange.save()
    return {"symbol": symbol, "countdownTime": str(countdown)}


def _next(server: BinanceServer, after: datetime) -> datetime | None:
    """Return when the first timer runs out, at once when that is past."""
    timers: dict[str, int] = recall(server.exchange.account, _NOTE, {})
    return max(time_of(min(timers.values())), after) if timers else None


def _cancel(server: BinanceServer, at: datetime) -> None:
    account = server.exchange.account
    timers: dict[str, int] = recall(account, _NOTE, {})
    over = sorted(name for name, due in timers.items() if due <= milliseconds(at))
    remember(account, _NOTE, {name: due for name, due in timers.items() if name not in over})
    for name in over:
        for order in open_orders(server, "usdm"):
            if order.instrument.partition(".")[0] == name:
                end(server, order)


ROUTES = {"POST /fapi/v1/countdownCancelAll": Route(set_timer, 10, signed=True)}

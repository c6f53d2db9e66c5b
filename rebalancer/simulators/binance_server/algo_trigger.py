"""Conditional orders against the price: looked at each minute, then an ordinary order at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.binance_server.algo_kept import AlgoOrder, ended, keep, waiting
from rebalancer.simulators.binance_server.algo_terms import reached, working_price
from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.binance_server.filters import SHUT, touch_of
from rebalancer.simulators.binance_server.market_view import mark_price
from rebalancer.simulators.binance_server.order_terms import Terms
from rebalancer.simulators.binance_server.orders_kept import held
from rebalancer.simulators.binance_server.orders_send import kept, wanted_order
from rebalancer.simulators.clock import next_minute

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol

_ZERO = Decimal(0)
_PROTECT = Decimal("0.05")
_TRAILING = "TRAILING_STOP_MARKET"


def attach(server: BinanceServer) -> None:
    """Let the engine look at the triggers every minute in which there are any."""
    server.exchange.register(
        "algo", lambda after: _next(server, after), lambda at: look(server, at)
    )


def _next(server: BinanceServer, after: datetime) -> datetime | None:
    return next_minute(after) if waiting(server.exchange.account) else None


def look(server: BinanceServer, at: datetime) -> None:
    """Trigger what the price of this minute triggers."""
    account = server.exchange.account
    now_ms, prices = milliseconds(at), _Prices(server)
    for each in waiting(account):
        changed = _seen(server, each, now_ms, prices)
        if changed is not each:
            keep(account, [changed])
            server.exchange.save()


class _Prices:
    """Symbols and prices of one minute, each looked up once however many orders wait for it."""

    def __init__(self, server: BinanceServer) -> None:
        self._server = server
        self._symbols: dict[str, Symbol | None] = {}
        self._prices: dict[tuple[str, str], Decimal | None] = {}

    def symbol(self, name: str) -> Symbol | None:
        """Return a perpetual as it is listed now, None when it is not."""
        if name not in self._symbols:
            server = self._server
            self._symbols[name] = server.symbols.find("usdm", name, server.exchange.now)
        return self._symbols[name]

    def working(self, symbol: Symbol, kind: str) -> Decimal | None:
        """Return the price that triggers orders of a kind; None while nothing trades."""
        key = symbol.symbol, kind
        if key not in self._prices:
            trades = touch_of(self._server, symbol) is not None
            self._prices[key] = working_price(self._server, symbol, kind) if trades else None
        return self._prices[key]


def _seen(server: BinanceServer, each: AlgoOrder, now_ms: int, prices: _Prices) -> AlgoOrder:
    """Return a conditional order after a look at the price; the same object when nothing was."""
    if each.good_till and each.good_till <= now_ms:
        return ended(each, "EXPIRED", now_ms)
    symbol = prices.symbol(each.symbol)
    if symbol is None or symbol.status in SHUT:
        return ended(each, "EXPIRED", now_ms)
    if each.force == "GTE_GTC" and not held(server, symbol):
        return ended(each, "EXPIRED", now_ms)
    price = prices.working(symbol, each.working) if symbol.status == "TRADING" else None
    if not price or (each.protect and _apart(server, symbol, price)):
        return each
    if each.kind == _TRAILING:
        return _trailed(server, symbol, each, price, now_ms)
    return _fire(server, symbol, each, now_ms) if reached(each, price) else each


def _apart(server: BinanceServer, symbol: Symbol, price: Decimal) -> bool:
    """Return whether the working price is too far from the mark price for priceProtect."""
    mark = mark_price(server, symbol)
    return bool(mark) and abs(price - mark) / mark > _PROTECT


def _trailed(
    server: BinanceServer, symbol: Symbol, each: AlgoOrder, price: Decimal, now_ms: int
) -> AlgoOrder:
    """Follow the price to its best; trigger when it has come back by the callback rate."""
    if not each.extreme and each.activate:
        active = price <= each.activate if each.buys else price >= each.activate
        if not active:
            return each
    best = min(each.extreme or price, price) if each.buys else max(each.extreme, price)
    rate = each.callback / 100
    back = price >= best * (1 + rate) if each.buys else price <= best * (1 - rate)
    if back:
        return _fire(server, symbol, each, now_ms)
    return each if best == each.extreme else replace(each, extreme=best, updated=now_ms)


def _fire(server: BinanceServer, symbol: Symbol, each: AlgoOrder, now_ms: int) -> AlgoOrder:
    """Place the ordinary order of a conditional one; what may not be placed ends it."""
    position = held(server, symbol)
    only = each.reduce_only or each.close_position
    if only and position * (1 if each.buys else -1) >= 0:
        return ended(each, "EXPIRED", now_ms)
    size = abs(position) if each.close_position else each.quantity
    if only:
        size = min(size, abs(position))
    limit = each.price or None
    if each.match != "NONE" and limit is None:
        touch = touch_of(server, symbol)
        opposite = each.match.startswith("OPPONENT")
        limit = None if touch is None else touch.ask if each.buys == opposite else touch.bid
    terms = Terms(
        product="usdm",
        symbol=symbol,
        buys=each.buys,
        kind="MARKET" if limit is None else "LIMIT",
        quantity=size,
        price=limit,
        force="GTC" if each.force == "GTE_GTC" else each.force,
        client_id=each.client_id,
        answer="RESULT",
        reduce_only=only,
        position_side=each.position_side,
        price_match=each.match,
        self_trade=each.self_trade,
        good_till=each.good_till,
    )
    wanted = wanted_order(terms, each.client_id)
    tags = {"origin": each.kind, "stop": f"{each.trigger:f}", "working": each.working}
    if each.close_position:
        tags["close"] = "1"
    wanted = replace(wanted, tags={**wanted.tags, **tags})
    order = kept(server, server.exchange.place([wanted], at_once=True)[0].id)
    if order is None or order.status is OrderStatus.REJECTED:
        return replace(ended(each, "REJECTED", now_ms), triggered=now_ms)
    return replace(ended(each, "TRIGGERED", now_ms), triggered=now_ms, order=order.id)

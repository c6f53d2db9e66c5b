"""The orders that the exchange still knows: found by id, open, or of a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.model.instrument import Kind
from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.binance_server.call import Call
from rebalancer.simulators.binance_server.order_words import neither_sent

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol
    from rebalancer.simulators.books import Execution, Order

KNOWN_UNFILLED = timedelta(days=3)
KNOWN = timedelta(days=90)
_KINDS = {"spot": f".{Kind.SPOT}", "usdm": f".{Kind.PERPETUAL}"}
_ZERO = Decimal(0)


def orders_of(server: BinanceServer, product: str, symbol: Symbol | None = None) -> list[Order]:
    """Return the orders of a product that were taken, oldest first, the engine's own objects.

    One that was refused never existed; one that ended without a trade is forgotten after three
    days, any order after ninety.
    """
    now, kind = server.exchange.now, _KINDS[product]
    found = []
    for order in server.exchange.account.orders:
        if symbol is not None and order.instrument != symbol.id:
            continue
        if kind not in order.instrument or order.status is OrderStatus.REJECTED:
            continue
        kept = KNOWN if order.filled or order.status is OrderStatus.FILLED else KNOWN_UNFILLED
        if order.live or order.placed_at + kept >= now:
            found.append(order)
    return found


def open_orders(server: BinanceServer, product: str, symbol: Symbol | None = None) -> list[Order]:
    """Return the open orders of a product, oldest first."""
    kind = _KINDS[product]
    return [
        order
        for order in server.exchange.live
        if kind in order.instrument and (symbol is None or order.instrument == symbol.id)
    ]


def symbol_of(server: BinanceServer, order: Order) -> Symbol:
    """Return the symbol of an order, also when it is not listed any more."""
    return server.symbols.of(order.instrument, server.exchange.now)


def find_order(
    call: Call, symbol: Symbol, *, id_name: str = "orderId", client_name: str = "origClientOrderId"
) -> Order | None:
    """Return the order that a request names, None when it is not known.

    A client's id may have been used again: the newest order has it.
    """
    name = call.parameters.get(client_name, "")
    if not call.parameters.get(id_name) and not name:
        raise neither_sent(client_name, id_name)
    known = orders_of(call.server, call.product, symbol)
    if call.parameters.get(id_name):
        number = call.integer(id_name)
        return next((order for order in known if order.id == number), None)
    return next((order for order in reversed(known) if order.reference == name), None)


def held(server: BinanceServer, symbol: Symbol) -> Decimal:
    """Return the signed quantity held of a symbol: the base asset's balance on spot."""
    account = server.exchange.account
    if symbol.product == "spot":
        return account.cash.get(symbol.base, _ZERO)
    holding = account.holdings.get(symbol.id)
    return holding.quantity if holding else _ZERO


def free_to_reduce(server: BinanceServer, symbol: Symbol, but: Order | None = None) -> Decimal:
    """Return how much of a position no open reduce-only order will close, not negative.

    `but` is an order that does not count.
    """
    position = held(server, symbol)
    taken = sum(
        (
            abs(order.remaining)
            for order in open_orders(server, "usdm", symbol)
            if order is not but and order.reduce_only and order.quantity * position < 0
        ),
        _ZERO,
    )
    return max(abs(position) - taken, _ZERO)


def executions_by_order(executions: Iterable[Execution]) -> dict[int, list[Execution]]:
    """Return executions by the order they belong to, oldest first."""
    found: dict[int, list[Execution]] = {}
    for execution in executions:
        found.setdefault(execution.order, []).append(execution)
    return found

"""Amending orders on perpetuals, and doing up to five (or cancelling ten) with one request."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.binance_server.filters import usdm_filters
from rebalancer.simulators.binance_server.market_view import wanted_symbol
from rebalancer.simulators.binance_server.order_terms import Terms, side_of
from rebalancer.simulators.binance_server.order_words import no_such_order, not_valid
from rebalancer.simulators.binance_server.orders_kept import find_order
from rebalancer.simulators.binance_server.orders_send import end
from rebalancer.simulators.binance_server.orders_usdm import cancel, place, told

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol
    from rebalancer.simulators.books import Order

_MOST_PLACED, _MOST_CANCELLED = 5, 10
_MOST_AMENDMENTS = 10_000


def amend(call: Call) -> dict[str, Any]:
    """Change price and quantity of an open limit order."""
    symbol = wanted_symbol(call)
    buys, quantity, price = side_of(call), call.number("quantity"), call.number("price")
    order = find_order(call, symbol)
    if order is None or not order.live or (order.quantity > 0) != buys:
        raise no_such_order()
    _refuse_amendment(call, symbol, order)
    if price == order.limit and quantity == abs(order.quantity):
        raise ApiError(-5027, "No need to modify the order.")
    if order.filled and quantity <= abs(order.filled):
        return told(call.server, symbol, end(call.server, order))
    terms = Terms(
        product="usdm",
        symbol=symbol,
        buys=buys,
        kind="LIMIT",
        quantity=quantity,
        price=price,
        force=order.tags.get("tif", "GTC"),
        client_id=order.reference,
        answer="RESULT",
        reduce_only=order.reduce_only,
    )
    usdm_filters(call.server, terms, amended=order)
    exchange = call.server.exchange
    moved = exchange.move(order.id, price, quantity=terms.signed, at_once=True)
    order.tags["amendments"] = str(_amendments(order) + 1)
    order.tags["amended"] = str(milliseconds(call.now))
    exchange.save()
    if moved is not None and moved.live and moved.limit != price:
        # Only a post-only order is refused here: one that would take at its new price ends.
        end(call.server, order)
    return told(call.server, symbol, order)


def _amendments(order: Order) -> int:
    return int(order.tags.get("amendments", "0"))


def _refuse_amendment(call: Call, symbol: Symbol, order: Order) -> None:
    """Raise when an open order is none that may be changed."""
    if symbol.status != "TRADING":
        raise ApiError(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
    if order.tags.get("type", "LIMIT") != "LIMIT":
        raise ApiError(-5025, "Only limit order is supported.")
    if call.flag("reduceOnly") and not order.reduce_only:
        raise ApiError(-5047, "The original order is not a reduce-only order")
    if _amendments(order) >= _MOST_AMENDMENTS:
        raise ApiError(-5026, "Exceed maximum modify order limit.")


def _legs(call: Call, name: str, most: int) -> list[dict[str, str]]:
    """Return the parameters of the orders of a batch; numbers as they were written."""
    try:
        plain: Any = json.loads(call.text(name), parse_float=str, parse_int=str)
    except ValueError as error:
        raise not_valid(name) from error
    if not isinstance(plain, list) or not all(isinstance(leg, dict) for leg in plain):
        raise not_valid(name)
    if not 1 <= len(plain) <= most:
        raise ApiError(-4082, f"Invalid number of batch place orders: {len(plain)}")
    return [{key: _text(value) for key, value in leg.items()} for leg in plain]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _each(call: Call, legs: list[dict[str, str]], do: Callable[[Call], Any]) -> list[Any]:
    """Do every leg by itself; a leg that is refused says so in its place."""
    answers: list[Any] = []
    for leg in legs:
        try:
            answers.append(do(dataclasses.replace(call, parameters=leg)))
        except ApiError as error:
            answers.append({"code": error.code, "msg": error.message})
    return answers


def place_batch(call: Call) -> list[Any]:
    """Place up to five orders."""
    return _each(call, _legs(call, "batchOrders", _MOST_PLACED), place)


def amend_batch(call: Call) -> list[Any]:
    """Change up to five orders."""
    return _each(call, _legs(call, "batchOrders", _MOST_PLACED), amend)


def cancel_batch(call: Call) -> list[Any]:
    """Cancel up to ten orders of one symbol."""
    symbol = wanted_symbol(call).symbol
    by_number = bool(call.parameters.get("orderIdList"))
    name = "orderIdList" if by_number else "origClientOrderIdList"
    try:
        plain: Any = json.loads(call.text(name))
    except ValueError as error:
        raise not_valid(name) from error
    if not isinstance(plain, list) or not plain:
        raise not_valid(name)
    if len(plain) > _MOST_CANCELLED:
        raise ApiError(-4032, "Exceed maximum cancel order size.")
    key = "orderId" if by_number else "origClientOrderId"
    return _each(call, [{"symbol": symbol, key: str(each)} for each in plain], cancel)


ROUTES = {
    "PUT /fapi/v1/order": Route(amend, 1, signed=True, orders=1),
    "POST /fapi/v1/batchOrders": Route(place_batch, 5, signed=True, orders=5),
    "PUT /fapi/v1/batchOrders": Route(amend_batch, 5, signed=True, orders=5),
    "DELETE /fapi/v1/batchOrders": Route(cancel_batch, 1, signed=True),
}

"""Orders on perpetuals: place, test, query, cancel, and the lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.figures import milliseconds, on_grid
from rebalancer.simulators.binance_server.market_view import wanted_symbol
from rebalancer.simulators.binance_server.order_terms import Terms, new_order_terms
from rebalancer.simulators.binance_server.order_words import (
    no_such_order,
    not_valid,
    unknown_order,
)
from rebalancer.simulators.binance_server.orders_echo import usdm_new, usdm_row
from rebalancer.simulators.binance_server.orders_kept import (
    executions_by_order,
    find_order,
    open_orders,
    orders_of,
    symbol_of,
)
from rebalancer.simulators.binance_server.orders_send import (
    end,
    executions_of,
    invented_id,
    send,
    test,
)

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol
    from rebalancer.simulators.books import Order

_WEEK_MS = 7 * 86_400_000
_REACH_MS = 90 * 86_400_000
FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-", "delivery_autoclose-")
"""How the ids of orders begin that the exchange itself made."""


def place(call: Call) -> dict[str, Any]:
    """Place an order; ACK tells it as it was taken up, RESULT as it is afterwards."""
    return answer(call, new_order_terms(call))


def answer(call: Call, terms: Terms) -> dict[str, Any]:
    """Send an order and return the answer."""
    order = send(call.server, terms)
    row = told(call.server, terms.symbol, order)
    if terms.answer == "RESULT":
        return row
    nothing = {
        "status": "NEW",
        "avgPrice": "0.00",
        "executedQty": on_grid(terms.quantity * 0, terms.symbol.step),
        "cumQty": on_grid(terms.quantity * 0, terms.symbol.step),
        "cumQuote": "0.00000",
        "updateTime": milliseconds(order.placed_at),
    }
    return row | {name: value for name, value in nothing.items() if name in row}


def told(server: BinanceServer, symbol: Symbol, order: Order) -> dict[str, Any]:
    """Return an order as POST, PUT and DELETE answer it."""
    averages = server.spec.averages_in_answers
    return usdm_new(symbol, order, executions_of(server, order), averages=averages)


def try_out(call: Call) -> dict[str, Any]:
    """Check an order and book nothing; the answer has the shape of a new order's."""
    terms = new_order_terms(call)
    test(call.server, terms)
    symbol, zero = terms.symbol, terms.quantity * 0
    return {
        "orderId": 0,
        "symbol": symbol.symbol,
        "status": "NEW",
        "clientOrderId": terms.client_id or invented_id(call.server, "test"),
        "price": on_grid(terms.price or zero, symbol.tick),
        "avgPrice": "0.00",
        "origQty": on_grid(terms.quantity, symbol.step),
        "executedQty": on_grid(zero, symbol.step),
        "cumQty": on_grid(zero, symbol.step),
        "cumQuote": "0.00000",
        "timeInForce": terms.force,
        "type": terms.kind,
        "reduceOnly": terms.reduce_only,
        "closePosition": False,
        "side": "BUY" if terms.buys else "SELL",
        "positionSide": terms.position_side,
        "stopPrice": on_grid(zero, symbol.tick),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": terms.kind,
        "priceMatch": terms.price_match,
        "selfTradePreventionMode": terms.self_trade,
        "goodTillDate": terms.good_till,
        "updateTime": milliseconds(call.now),
    }


def query(call: Call) -> dict[str, Any]:
    """Return one order by number or by the client's id."""
    symbol = wanted_symbol(call)
    order = find_order(call, symbol)
    if order is None:
        raise no_such_order()
    return usdm_row(symbol, order, executions_of(call.server, order))


def query_open(call: Call) -> dict[str, Any]:
    """Return one order that is open."""
    symbol = wanted_symbol(call)
    order = find_order(call, symbol)
    if order is None or not order.live:
        raise no_such_order()
    return usdm_row(symbol, order, executions_of(call.server, order))


def cancel(call: Call) -> dict[str, Any]:
    """Cancel one open order."""
    symbol = wanted_symbol(call)
    order = find_order(call, symbol)
    if order is None or not order.live:
        raise unknown_order()
    return told(call.server, symbol, end(call.server, order))


def cancel_all(call: Call) -> dict[str, Any]:
    """Cancel every open ordinary order of a symbol; algo orders stay."""
    symbol = wanted_symbol(call)
    for order in open_orders(call.server, "usdm", symbol):
        end(call.server, order)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def list_open(call: Call) -> list[dict[str, Any]]:
    """Return the open ordinary orders of a symbol, or all; algo orders are not among them."""
    symbol = wanted_symbol(call) if call.parameters.get("symbol") else None
    return rows_of(call, open_orders(call.server, "usdm", symbol))


def list_all(call: Call) -> list[dict[str, Any]]:
    """Return orders, open or not: from an order's number, or of a time of at most a week."""
    symbol = wanted_symbol(call) if call.parameters.get("symbol") else None
    limit = limit_of(call)
    first = call.integer("orderId", -1)
    start, stop, _ = week(call, by_number=first >= 0)
    found = [
        order
        for order in orders_of(call.server, "usdm", symbol)
        if (first < 0 or order.id >= first) and start <= milliseconds(order.placed_at) <= stop
    ]
    from_start = first >= 0 or bool(call.parameters.get("startTime"))
    return rows_of(call, found[:limit] if from_start else found[-limit:])


def forced(call: Call) -> list[dict[str, Any]]:
    """Return the orders by which the exchange closed positions itself."""
    symbol = wanted_symbol(call) if call.parameters.get("symbol") else None
    kind = call.text("autoCloseType", "")
    begins = {"": FORCED, "LIQUIDATION": FORCED[:1], "ADL": FORCED[1:2]}.get(kind)
    if begins is None:
        raise not_valid("autoCloseType")
    limit = call.integer("limit", 50)
    start, stop, _ = week(call, by_number=False)
    found = [
        order
        for order in orders_of(call.server, "usdm", symbol)
        if order.reference.startswith(begins) and start <= milliseconds(order.placed_at) <= stop
    ]
    left_out = ("priceProtect", "priceMatch", "selfTradePreventionMode", "goodTillDate")
    return [
        {name: value for name, value in row.items() if name not in left_out}
        for row in rows_of(call, found[-limit:])
    ]


def limit_of(call: Call, usual: int = 500) -> int:
    """Return how many rows are wanted, at most a thousand."""
    limit = call.integer("limit", usual)
    if not 1 <= limit <= 1000:
        raise not_valid("limit")
    return limit


def week(call: Call, *, by_number: bool) -> tuple[int, int, bool]:
    """Return the time that is asked for, milliseconds: at most a week, at most 90 days ago.

    Without times it is the last week, or everything that is kept when rows are asked for by
    number. The last value says whether the rows are told from the start of that time.
    """
    start, stop = call.integer("startTime", -1), call.integer("endTime", -1)
    now = milliseconds(call.now)
    oldest = now - _REACH_MS
    if start < 0 and stop < 0:
        return (oldest if by_number else now - _WEEK_MS), now, by_number
    if 0 <= stop < start:
        raise ApiError(-1023, "Start time is greater than end time.")
    if 0 <= start < oldest:
        raise ApiError(-4166, "Search window is restricted to recent 90 days only.")
    if start >= 0 and stop - start > _WEEK_MS:
        raise ApiError(-4165, "Maximum time interval is 7 days.")
    if start < 0:
        return max(stop - _WEEK_MS, oldest), stop, False
    return start, start + _WEEK_MS if stop < 0 else stop, True


def rows_of(call: Call, orders: list[Order]) -> list[dict[str, Any]]:
    """Return orders as the lists tell them."""
    by_order = executions_by_order(call.server.exchange.account.executions)
    return [
        usdm_row(symbol_of(call.server, order), order, by_order.get(order.id, []))
        for order in orders
    ]


def _weight_open(call: Call) -> int:
    return 1 if call.parameters.get("symbol") else 40


def _weight_forced(call: Call) -> int:
    return 20 if call.parameters.get("symbol") else 50


ROUTES = {
    "POST /fapi/v1/order": Route(place, 0, signed=True, orders=1),
    "POST /fapi/v1/order/test": Route(try_out, 0, signed=True),
    "GET /fapi/v1/order": Route(query, 1, signed=True),
    "DELETE /fapi/v1/order": Route(cancel, 1, signed=True),
    "GET /fapi/v1/openOrder": Route(query_open, 1, signed=True),
    "GET /fapi/v1/openOrders": Route(list_open, _weight_open, signed=True),
    "DELETE /fapi/v1/allOpenOrders": Route(cancel_all, 1, signed=True),
    "GET /fapi/v1/allOrders": Route(list_all, 5, signed=True),
    "GET /fapi/v1/forceOrders": Route(forced, _weight_forced, signed=True),
}

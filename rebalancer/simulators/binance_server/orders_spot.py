"""Spot orders: place, test, query, cancel, replace, and the lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route, mandatory
from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.binance_server.market_view import wanted_symbol
from rebalancer.simulators.binance_server.order_terms import Terms, new_order_terms
from rebalancer.simulators.binance_server.order_words import (
    PartlyRefused,
    no_such_order,
    not_valid,
    unknown_order,
)
from rebalancer.simulators.binance_server.orders_echo import (
    spot_ack,
    spot_cancelled,
    spot_full,
    spot_result,
    spot_row,
)
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

_STOP_ON_FAILURE, _ALLOW_FAILURE = "STOP_ON_FAILURE", "ALLOW_FAILURE"
_PARTLY = 409


def place(call: Call) -> dict[str, Any]:
    """Place an order; the answer has the detail that newOrderRespType asks for."""
    return _placed(call.server, new_order_terms(call))


def _placed(server: BinanceServer, terms: Terms) -> dict[str, Any]:
    order = send(server, terms)
    if terms.answer == "ACK":
        return spot_ack(terms.symbol, order)
    if terms.answer == "RESULT":
        return spot_result(terms.symbol, order)
    return spot_full(terms.symbol, order, executions_of(server, order))


def try_out(call: Call) -> dict[str, Any]:
    """Check an order and book nothing."""
    test(call.server, new_order_terms(call))
    return {}


def query(call: Call) -> dict[str, Any]:
    """Return one order by number or by the client's id."""
    symbol = wanted_symbol(call)
    order = find_order(call, symbol)
    if order is None:
        raise no_such_order()
    return spot_row(symbol, order, executions_of(call.server, order))


def cancel(call: Call) -> dict[str, Any]:
    """Cancel one open order."""
    symbol = wanted_symbol(call)
    order = find_order(call, symbol)
    if order is None or not order.live:
        raise unknown_order()
    restriction = call.text("cancelRestrictions", "")
    if restriction not in ("", "ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        raise not_valid("cancelRestrictions")
    if restriction and (restriction == "ONLY_NEW") == bool(order.filled):
        raise ApiError(-2011, "Order was not canceled due to cancel restrictions.")
    return _cancelled(call, symbol, order)


def _cancelled(call: Call, symbol: Symbol, order: Order) -> dict[str, Any]:
    name = call.parameters.get("cancelNewClientOrderId") or call.parameters.get(
        "newClientOrderId", ""
    )
    ended = end(call.server, order)
    return spot_cancelled(
        symbol, ended, name or invented_id(call.server, f"cancel{order.id}"), milliseconds(call.now)
    )


def cancel_all(call: Call) -> list[dict[str, Any]]:
    """Cancel every open order of a symbol; -2011 when there is none."""
    symbol = wanted_symbol(call)
    found = open_orders(call.server, "spot", symbol)
    if not found:
        raise unknown_order()
    return [_cancelled(call, symbol, order) for order in found]


def replace(call: Call) -> dict[str, Any]:
    """Cancel an order and place another; 409 when only one of the two was done."""
    mode = call.text("cancelReplaceMode")
    if mode not in (_STOP_ON_FAILURE, _ALLOW_FAILURE):
        raise not_valid("cancelReplaceMode")
    symbol = wanted_symbol(call)
    terms = new_order_terms(call)
    answers: dict[str, Any] = {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": None,
        "newOrderResponse": None,
    }
    try:
        order = find_order(
            call, symbol, id_name="cancelOrderId", client_name="cancelOrigClientOrderId"
        )
        if order is None or not order.live:
            raise unknown_order()
        answers |= {
            "cancelResponse": _cancelled(call, symbol, order),
            "cancelResult": "SUCCESS",
        }
    except ApiError as error:
        if error.code == mandatory("").code:
            raise
        answers["cancelResponse"] = _refusal(error)
    if answers["cancelResult"] == "SUCCESS" or mode == _ALLOW_FAILURE:
        try:
            answers["newOrderResponse"] = _placed(call.server, terms)
            answers["newOrderResult"] = "SUCCESS"
        except ApiError as error:
            answers |= {"newOrderResult": "FAILURE", "newOrderResponse": _refusal(error)}
    done = (answers["cancelResult"], answers["newOrderResult"]).count("SUCCESS")
    if done == 1:
        raise PartlyRefused(-2021, "Order cancel-replace partially failed.", answers, _PARTLY)
    if not done:
        raise PartlyRefused(-2022, "Order cancel-replace failed.", answers, 400)
    return answers


def _refusal(error: ApiError) -> dict[str, Any]:
    return {"code": error.code, "msg": error.message}


def list_open(call: Call) -> list[dict[str, Any]]:
    """Return the open orders of a symbol, or all."""
    symbol = wanted_symbol(call) if call.parameters.get("symbol") else None
    return _rows(call, open_orders(call.server, "spot", symbol))


def list_all(call: Call) -> list[dict[str, Any]]:
    """Return the orders of a symbol, open or not: from an order's number, or of a time."""
    symbol = wanted_symbol(call)
    limit = call.integer("limit", 500)
    if not 1 <= limit <= 1000:
        raise not_valid("limit")
    first = call.integer("orderId", -1)
    start, stop = call.integer("startTime", -1), call.integer("endTime", -1)
    if start >= 0 and stop >= 0 and stop - start > 24 * 3_600_000:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    rows = [
        row
        for row in _rows(call, orders_of(call.server, "spot", symbol))
        if (first < 0 or row["orderId"] >= first)
        and (start < 0 or row["updateTime"] >= start)
        and (stop < 0 or row["updateTime"] <= stop)
    ]
    return rows[:limit] if first >= 0 or start >= 0 else rows[-limit:]


def _rows(call: Call, orders: list[Order]) -> list[dict[str, Any]]:
    by_order = executions_by_order(call.server.exchange.account.executions)
    rows = []
    for order in orders:
        symbol = symbol_of(call.server, order)
        rows.append(spot_row(symbol, order, by_order.get(order.id, [])))
    return rows


def _weight_open(call: Call) -> int:
    return 6 if call.parameters.get("symbol") else 80


def _weight_tried(call: Call) -> int:
    return 20 if call.parameters.get("computeCommissionRates") == "true" else 1


ROUTES = {
    "POST /api/v3/order": Route(place, 1, signed=True, orders=1),
    "POST /api/v3/order/test": Route(try_out, _weight_tried, signed=True),
    "GET /api/v3/order": Route(query, 4, signed=True),
    "DELETE /api/v3/order": Route(cancel, 1, signed=True),
    "GET /api/v3/openOrders": Route(list_open, _weight_open, signed=True),
    "DELETE /api/v3/openOrders": Route(cancel_all, 1, signed=True),
    "GET /api/v3/allOrders": Route(list_all, 20, signed=True),
    "POST /api/v3/order/cancelReplace": Route(replace, 1, signed=True, orders=1),
}

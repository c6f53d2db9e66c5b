"""The algo service of perpetuals: conditional orders wait here, apart from ordinary ones."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.binance_server.algo_kept import (
    AlgoOrder,
    all_algos,
    ended,
    keep,
    next_number,
    status_word,
    waiting,
)
from rebalancer.simulators.binance_server.algo_terms import new_algo
from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.figures import fixed, milliseconds, on_grid
from rebalancer.simulators.binance_server.market_view import wanted_symbol
from rebalancer.simulators.binance_server.order_words import (
    neither_sent,
    no_such_order,
    unknown_order,
)
from rebalancer.simulators.binance_server.orders_send import kept
from rebalancer.simulators.binance_server.orders_usdm import limit_of, week

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol

_MOST_OPEN = 200
_ZERO = Decimal(0)


def place(call: Call) -> dict[str, Any]:
    """Take up a conditional order; margin and position are looked at when it triggers."""
    account = call.server.exchange.account
    wanted = new_algo(call, next_number(account))
    open_now = waiting(account)
    if any(each.client_id == wanted.client_id for each in open_now):
        raise ApiError(-4116, "ClientOrderId is duplicated.")
    if len(open_now) >= _MOST_OPEN:
        raise ApiError(-4045, "Reach max stop order limit.")
    if wanted.close_position and any(
        each.close_position and (each.symbol, each.buys) == (wanted.symbol, wanted.buys)
        and each.kind == wanted.kind
        for each in open_now
    ):  # fmt: skip
        raise ApiError(
            -4130,
            "An open stop or take profit order with GTE and closePosition in the direction is "
            "existing.",
        )
    keep(account, [wanted])
    call.server.exchange.save()
    return _new(call, wanted)


def _find(call: Call) -> AlgoOrder | None:
    """Return the conditional order a request names, the newest of a client's id."""
    name = call.parameters.get("clientAlgoId", "")
    if not call.parameters.get("algoId") and not name:
        raise neither_sent("clientAlgoId", "algoId")
    known = all_algos(call.server.exchange.account)
    if call.parameters.get("algoId"):
        number = call.integer("algoId")
        return next((each for each in known if each.number == number), None)
    return next((each for each in reversed(known) if each.client_id == name), None)


def query(call: Call) -> dict[str, Any]:
    """Return one conditional order by number or by the client's id."""
    found = _find(call)
    if found is None:
        raise no_such_order()
    return _queried(call, found)


def cancel(call: Call) -> dict[str, Any]:
    """Cancel a conditional order that waits."""
    found = _find(call)
    if found is None or not found.waits:
        raise unknown_order()
    keep(call.server.exchange.account, [ended(found, "CANCELED", milliseconds(call.now))])
    call.server.exchange.save()
    return {
        "algoId": found.number,
        "clientAlgoId": found.client_id,
        "code": "200",
        "msg": "success",
    }


def cancel_all(call: Call) -> dict[str, Any]:
    """Cancel every waiting conditional order of a symbol."""
    account = call.server.exchange.account
    found = waiting(account, wanted_symbol(call).symbol)
    keep(account, [ended(each, "CANCELED", milliseconds(call.now)) for each in found])
    call.server.exchange.save()
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def list_open(call: Call) -> list[dict[str, Any]]:
    """Return the waiting conditional orders of a symbol, or all."""
    symbol = wanted_symbol(call).symbol if call.parameters.get("symbol") else ""
    kind, number = call.text("algoType", ""), call.integer("algoId", -1)
    return [
        _listed(call, each)
        for each in waiting(call.server.exchange.account, symbol)
        if kind in ("", "CONDITIONAL") and number in (-1, each.number)
    ]


def list_all(call: Call) -> list[dict[str, Any]]:
    """Return conditional orders of a symbol, open or not, of at most a week or from a number."""
    symbol = wanted_symbol(call).symbol
    limit = limit_of(call)
    first = call.integer("algoId", -1)
    start, stop, from_start = week(call, by_number=first >= 0)
    found = [
        each
        for each in all_algos(call.server.exchange.account)
        if each.symbol == symbol and each.number >= first and start <= each.created <= stop
    ]
    page = max(call.integer("page", 1), 1) - 1
    if from_start:
        return [_listed(call, each) for each in found[page * limit : (page + 1) * limit]]
    return [_listed(call, each) for each in found[-limit:]]


def _symbol_of(call: Call, each: AlgoOrder) -> Symbol:
    """Return the symbol of a conditional order, also when it is not listed any more."""
    identifier = InstrumentId(f"{each.symbol}.PERP@BINANCE")
    return call.server.symbols.of(identifier, call.now)


def _head(call: Call, each: AlgoOrder) -> dict[str, Any]:
    symbol = _symbol_of(call, each)
    return {
        "algoId": each.number,
        "clientAlgoId": each.client_id,
        "algoType": "CONDITIONAL",
        "orderType": each.kind,
        "symbol": each.symbol,
        "side": "BUY" if each.buys else "SELL",
        "positionSide": each.position_side,
        "timeInForce": each.force,
        "quantity": on_grid(each.quantity, symbol.step),
        "algoStatus": status_word(call.server, each),
    }


def _prices(call: Call, each: AlgoOrder) -> dict[str, Any]:
    symbol = _symbol_of(call, each)
    return {
        "triggerPrice": on_grid(each.trigger, symbol.tick),
        "price": on_grid(each.price, symbol.tick),
        "icebergQuantity": None,
    }


def _actual(call: Call, each: AlgoOrder) -> dict[str, Any]:
    order = kept(call.server, each.order) if each.order else None
    average = order.notional / abs(order.filled) if order is not None and order.filled else _ZERO
    return {
        "actualOrderId": str(each.order) if each.order else "",
        "actualPrice": fixed(average, 5),
    }


def _ways(each: AlgoOrder) -> dict[str, Any]:
    return {
        "selfTradePreventionMode": each.self_trade,
        "workingType": each.working,
        "priceMatch": each.match,
        "closePosition": each.close_position,
        "priceProtect": each.protect,
        "reduceOnly": each.reduce_only,
    }


def _times(each: AlgoOrder) -> dict[str, Any]:
    return {
        "createTime": each.created,
        "updateTime": each.updated,
        "triggerTime": each.triggered,
        "goodTillDate": each.good_till,
    }


def _new(call: Call, each: AlgoOrder) -> dict[str, Any]:
    """Return a conditional order as POST algoOrder answers it."""
    symbol = _symbol_of(call, each)
    return {
        **_head(call, each),
        **_prices(call, each),
        **_ways(each),
        "activatePrice": on_grid(each.activate, symbol.tick) if each.activate else "",
        "callbackRate": f"{each.callback:f}" if each.callback else "",
        **_times(each),
    }


def _queried(call: Call, each: AlgoOrder) -> dict[str, Any]:
    """Return a conditional order as GET algoOrder tells it."""
    symbol = _symbol_of(call, each)
    order = kept(call.server, each.order) if each.order else None
    return {
        **_head(call, each),
        **_actual(call, each),
        "actualType": order.tags.get("type", "") if order else "",
        "actualQty": on_grid(abs(order.filled) if order else _ZERO, symbol.step),
        **_prices(call, each),
        "tpOrderType": "",
        **_ways(each),
        **_times(each),
    }


def _listed(call: Call, each: AlgoOrder) -> dict[str, Any]:
    """Return a conditional order as openAlgoOrders and allAlgoOrders tell it."""
    symbol = _symbol_of(call, each)
    none = on_grid(_ZERO, symbol.tick)
    return {
        **_head(call, each),
        **_actual(call, each),
        **_prices(call, each),
        "tpTriggerPrice": none,
        "tpPrice": none,
        "slTriggerPrice": none,
        "slPrice": none,
        "tpOrderType": "",
        **_ways(each),
        **_times(each),
    }


def _weight_open(call: Call) -> int:
    return 1 if call.parameters.get("symbol") else 40


ROUTES = {
    "POST /fapi/v1/algoOrder": Route(place, 0, signed=True, orders=1),
    "GET /fapi/v1/algoOrder": Route(query, 1, signed=True),
    "DELETE /fapi/v1/algoOrder": Route(cancel, 1, signed=True),
    "GET /fapi/v1/openAlgoOrders": Route(list_open, _weight_open, signed=True),
    "GET /fapi/v1/allAlgoOrders": Route(list_all, 5, signed=True),
    "DELETE /fapi/v1/algoOpenOrders": Route(cancel_all, 1, signed=True),
}

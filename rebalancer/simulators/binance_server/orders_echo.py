"""How orders look in answers: the documented keys of each route and no others."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.binance_server.figures import coin, fixed, milliseconds, on_grid
from rebalancer.simulators.binance_server.income_rows import trade_number

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol
    from rebalancer.simulators.books import Execution, Order

_ZERO = Decimal(0)
_AVERAGE_PLACES = 5
_ENDED = {
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELLED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}


def status_of(order: Order) -> str:
    """Return an order's state in the exchange's word."""
    if order.tags.get("expired") and order.status is OrderStatus.CANCELLED:
        return "EXPIRED"
    return _ENDED.get(order.status) or ("PARTIALLY_FILLED" if order.filled else "NEW")


def updated_ms(order: Order, executions: Sequence[Execution]) -> int:
    """Return when something last happened to an order, milliseconds."""
    times = [order.placed_at, *(each.at for each in executions)]
    if order.ended_at is not None:
        times.append(order.ended_at)
    return max(milliseconds(max(times)), int(order.tags.get("amended", "0")))


def spot_ack(symbol: Symbol, order: Order) -> dict[str, Any]:
    """Return the shortest answer to a new order."""
    return {
        "symbol": symbol.symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.reference,
        "transactTime": milliseconds(order.placed_at),
    }


def spot_result(symbol: Symbol, order: Order) -> dict[str, Any]:
    """Return the answer to a new order without its fills."""
    return {
        **spot_ack(symbol, order),
        **_spot_terms(order),
        "workingTime": milliseconds(order.placed_at),
        "selfTradePreventionMode": order.tags.get("stp", "EXPIRE_MAKER"),
    }


def spot_full(symbol: Symbol, order: Order, executions: Sequence[Execution]) -> dict[str, Any]:
    """Return the answer to a new order with its fills."""
    fills = [
        {
            "price": coin(each.price),
            "qty": coin(abs(each.quantity)),
            "commission": coin(each.commission),
            "commissionAsset": each.commission_currency,
            "tradeId": trade_number(each.id),
        }
        for each in executions
    ]
    row = spot_result(symbol, order)
    working, mode = row.pop("workingTime"), row.pop("selfTradePreventionMode")
    return {**row, "workingTime": working, "fills": fills, "selfTradePreventionMode": mode}


def spot_cancelled(symbol: Symbol, order: Order, cancel_id: str, now_ms: int) -> dict[str, Any]:
    """Return the answer to a cancel; `cancel_id` is the id of the cancel itself."""
    return {
        "symbol": symbol.symbol,
        "origClientOrderId": order.reference,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": now_ms,
        **_spot_terms(order),
        "selfTradePreventionMode": order.tags.get("stp", "EXPIRE_MAKER"),
    }


def spot_row(symbol: Symbol, order: Order, executions: Sequence[Execution]) -> dict[str, Any]:
    """Return an order as GET order, openOrders and allOrders tell it."""
    terms = _spot_terms(order)
    spends = terms.pop("origQuoteOrderQty")
    placed = milliseconds(order.placed_at)
    return {
        "symbol": symbol.symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.reference,
        **terms,
        "stopPrice": coin(_ZERO),
        "icebergQty": coin(_ZERO),
        "time": placed,
        "updateTime": updated_ms(order, executions),
        "isWorking": True,
        "workingTime": placed,
        "origQuoteOrderQty": spends,
        "selfTradePreventionMode": order.tags.get("stp", "EXPIRE_MAKER"),
    }


def _spot_terms(order: Order) -> dict[str, Any]:
    return {
        "price": coin(order.limit or _ZERO),
        "origQty": coin(abs(order.quantity)),
        "executedQty": coin(abs(order.filled)),
        "origQuoteOrderQty": coin(Decimal(order.tags.get("quote", "0"))),
        "cummulativeQuoteQty": coin(order.notional),
        "status": status_of(order),
        "timeInForce": order.tags.get("tif", "GTC"),
        "type": order.tags.get("type", "LIMIT"),
        "side": side_word(order),
    }


def side_word(order: Order) -> str:
    """Return BUY or SELL."""
    return "BUY" if order.quantity > 0 else "SELL"


def usdm_new(
    symbol: Symbol, order: Order, executions: Sequence[Execution], *, averages: bool
) -> dict[str, Any]:
    """Return an order as POST, DELETE and PUT order answer it.

    `averages`: with avgPrice and cumQuote, which newer descriptions of the answer leave out.
    """
    row = {
        "orderId": order.id,
        "symbol": symbol.symbol,
        "status": status_of(order),
        "clientOrderId": order.reference,
        "price": on_grid(order.limit or _ZERO, symbol.tick),
        "avgPrice": _average(order),
        "origQty": on_grid(abs(order.quantity), symbol.step),
        "executedQty": on_grid(abs(order.filled), symbol.step),
        "cumQty": on_grid(abs(order.filled), symbol.step),
        "cumQuote": fixed(order.notional, _AVERAGE_PLACES),
        **_usdm_terms(symbol, order),
        "updateTime": updated_ms(order, executions),
    }
    if not averages:
        del row["avgPrice"], row["cumQuote"]
    return row


def usdm_row(symbol: Symbol, order: Order, executions: Sequence[Execution]) -> dict[str, Any]:
    """Return an order as GET order, openOrder, openOrders and allOrders tell it."""
    return {
        "orderId": order.id,
        "symbol": symbol.symbol,
        "status": status_of(order),
        "clientOrderId": order.reference,
        "price": on_grid(order.limit or _ZERO, symbol.tick),
        "avgPrice": _average(order),
        "origQty": on_grid(abs(order.quantity), symbol.step),
        "executedQty": on_grid(abs(order.filled), symbol.step),
        "cumQuote": fixed(order.notional, _AVERAGE_PLACES),
        **_usdm_terms(symbol, order),
        "time": milliseconds(order.placed_at),
        "updateTime": updated_ms(order, executions),
    }


def _average(order: Order) -> str:
    return fixed(order.notional / abs(order.filled) if order.filled else _ZERO, _AVERAGE_PLACES)


def _usdm_terms(symbol: Symbol, order: Order) -> dict[str, Any]:
    tags = order.tags
    forced = order.reference.startswith(("autoclose-", "adl_autoclose"))
    kind = tags.get("type", "LIMIT")
    return {
        "timeInForce": tags.get("tif", "IOC" if forced else "GTC"),
        "type": kind,
        "reduceOnly": order.reduce_only and not tags.get("close"),
        "closePosition": bool(tags.get("close")),
        "side": side_word(order),
        "positionSide": tags.get("position", "BOTH"),
        "stopPrice": on_grid(Decimal(tags.get("stop", "0")), symbol.tick),
        "workingType": tags.get("working", "CONTRACT_PRICE"),
        "priceProtect": False,
        "origType": tags.get("origin", kind),
        "priceMatch": tags.get("match", "NONE"),
        "selfTradePreventionMode": tags.get("stp", "EXPIRE_MAKER"),
        "goodTillDate": int(tags.get("gtd", "0")),
    }

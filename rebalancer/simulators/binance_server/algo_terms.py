"""What a request says about a new conditional order, checked as the exchange checks it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.simulators.binance_server.algo_kept import AlgoOrder
from rebalancer.simulators.binance_server.call import ApiError, Call, mandatory
from rebalancer.simulators.binance_server.figures import milliseconds, plain
from rebalancer.simulators.binance_server.filters import (
    price_filters,
    quantity_filters,
    refuse_shut,
    touch_of,
)
from rebalancer.simulators.binance_server.market_view import mark_price, wanted_symbol
from rebalancer.simulators.binance_server.order_terms import (
    CONDITIONAL,
    chosen,
    client_id,
    good_till,
    position_side,
    reduce_only,
    side_of,
)
from rebalancer.simulators.binance_server.order_words import not_required, not_valid
from rebalancer.simulators.binance_server.orders_send import invented_id

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol

_ZERO = Decimal(0)
_LIMITS = frozenset({"STOP", "TAKE_PROFIT"})
_FORCES = frozenset({"GTC", "IOC", "FOK", "GTX", "GTD", "GTE_GTC"})
_WORKING = frozenset({"MARK_PRICE", "CONTRACT_PRICE"})
_MATCHES = frozenset({"NONE", "OPPONENT", "OPPONENT_5", "QUEUE", "QUEUE_5", "QUEUE_10", "QUEUE_20"})
_SELF_TRADES = frozenset({"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"})
_LEAST_CALLBACK, _MOST_CALLBACK = Decimal("0.1"), Decimal(20)


def working_price(server: BinanceServer, symbol: Symbol, working: str) -> Decimal:
    """Return the price that triggers are compared with, 0 when there is none now."""
    if working == "MARK_PRICE":
        return mark_price(server, symbol)
    touch = touch_of(server, symbol)
    return (touch.bid + touch.ask) / 2 if touch else _ZERO


def reached(each: AlgoOrder, price: Decimal) -> bool:
    """Return whether a price is at or beyond a conditional order's trigger."""
    above = each.buys == each.kind.startswith("STOP")
    return price >= each.trigger if above else price <= each.trigger


def new_algo(call: Call, number: int) -> AlgoOrder:
    """Return the conditional order that a request asks for; raises the exchange's refusals."""
    if call.text("algoType") != "CONDITIONAL":
        raise not_valid("algoType")
    symbol = wanted_symbol(call)
    buys = side_of(call)
    kind = call.text("type")
    if kind not in CONDITIONAL:
        raise ApiError(-1116, "Invalid orderType.")
    refuse_shut(symbol)
    force = chosen(call, "timeInForce", _FORCES, "GTC")
    reduces, closes = reduce_only(call), call.flag("closePosition")
    quantity = _quantity(call, symbol, kind, closes=closes)
    trails = kind == "TRAILING_STOP_MARKET"
    match = chosen(call, "priceMatch", _MATCHES, "NONE")
    price = _ZERO
    if kind in _LIMITS and match == "NONE":
        price = call.number("price")
        price_filters(symbol, price)
    trigger = _ZERO if trails else call.number("triggerPrice")
    if not trails:
        price_filters(symbol, trigger)
    wanted = AlgoOrder(
        number=number,
        client_id=client_id(call, "clientAlgoId") or invented_id(call.server, f"algo{number}"),
        symbol=symbol.symbol,
        buys=buys,
        kind=kind,
        force=force,
        quantity=quantity,
        trigger=trigger,
        price=price,
        created=milliseconds(call.now),
        updated=milliseconds(call.now),
        working=chosen(call, "workingType", _WORKING, "CONTRACT_PRICE"),
        match=match,
        position_side=position_side(call),
        self_trade=chosen(call, "selfTradePreventionMode", _SELF_TRADES, "EXPIRE_MAKER"),
        reduce_only=reduces,
        close_position=closes,
        protect=call.parameters.get("priceProtect", "").lower() == "true",
        good_till=good_till(call, force),
        activate=call.number("activatePrice", _ZERO) if trails else _ZERO,
        callback=_callback(call) if trails else _ZERO,
    )
    if not reduces and not closes:
        _notional(call.server, symbol, wanted)
    _refuse_immediate(call.server, symbol, wanted)
    return wanted


def _quantity(call: Call, symbol: Symbol, kind: str, *, closes: bool) -> Decimal:
    if closes:
        if kind not in ("STOP_MARKET", "TAKE_PROFIT_MARKET"):
            raise ApiError(
                -4136, f"Target strategy invalid for orderType {kind},closePosition true"
            )
        if call.parameters.get("quantity"):
            raise ApiError(-4137, "Quantity must be zero with closePosition equals true")
        if call.parameters.get("reduceOnly"):
            raise not_required("reduceonly")
        return _ZERO
    quantity = call.number("quantity")
    quantity_filters(symbol, quantity, market=kind not in _LIMITS)
    return quantity


def _callback(call: Call) -> Decimal:
    if not call.parameters.get("callbackRate"):
        raise mandatory("callbackRate")
    rate = call.number("callbackRate")
    if not _LEAST_CALLBACK <= rate <= _MOST_CALLBACK:
        raise not_valid("callbackRate")
    return rate


def _notional(server: BinanceServer, symbol: Symbol, wanted: AlgoOrder) -> None:
    price = wanted.price or wanted.trigger or mark_price(server, symbol)
    if wanted.quantity * price < symbol.min_notional:
        raise ApiError(
            -4164,
            f"Order's notional must be no smaller than {plain(symbol.min_notional)} (unless you "
            "choose reduce only).",
        )


def _refuse_immediate(server: BinanceServer, symbol: Symbol, wanted: AlgoOrder) -> None:
    price = working_price(server, symbol, wanted.working)
    if wanted.kind == "TRAILING_STOP_MARKET":
        passed = price <= wanted.activate if wanted.buys else price >= wanted.activate
        at_once = bool(wanted.activate) and passed
    else:
        at_once = bool(price) and reached(wanted, price)
    if at_once:
        raise ApiError(-2021, "Order would immediately trigger.")

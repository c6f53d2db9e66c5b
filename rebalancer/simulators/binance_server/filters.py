"""The symbols' filters, product by product, in the order and the words of the exchange."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.simulators.binance_server.brackets import largest_notional
from rebalancer.simulators.binance_server.call import ApiError
from rebalancer.simulators.binance_server.figures import places, plain
from rebalancer.simulators.binance_server.market_view import mark_price
from rebalancer.simulators.binance_server.modes import leverage_of
from rebalancer.simulators.binance_server.order_words import filter_failure, too_precise
from rebalancer.simulators.binance_server.orders_kept import free_to_reduce, held, open_orders

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.order_terms import Terms
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol
    from rebalancer.simulators.books import Order
    from rebalancer.simulators.market import Touch

_OPEN = "TRADING"
SHUT = frozenset({"CLOSE", "DELIVERED", "SETTLING", "DELIVERING", "PENDING_TRADING"})
"""What a perpetual is called in which nobody may trade any more, or not yet."""


def refuse_status(terms: Terms) -> None:
    """Raise when the symbol does not trade; a perpetual that leaves may still be reduced."""
    status = terms.symbol.status
    if status == _OPEN:
        return
    if terms.product == "spot":
        raise ApiError(-1013, "Market is closed.")
    if status in SHUT:
        raise ApiError(-4141, "Symbol is closed.")
    if not terms.reduce_only:
        raise ApiError(-4140, "Invalid symbol status for opening position.")


def refuse_shut(symbol: Symbol) -> None:
    """Raise when a perpetual is closed for good, or not open yet."""
    if symbol.status in SHUT:
        raise ApiError(-4141, "Symbol is closed.")


def touch_of(server: BinanceServer, symbol: Symbol) -> Touch | None:
    """Return the best prices of a symbol now."""
    exchange = server.exchange
    return exchange.market.touch(exchange.instruments[symbol.id], exchange.now)


def _off(value: Decimal, step: Decimal) -> bool:
    """Return whether a value is between two steps; a step of zero is none."""
    return bool(step) and value % step != 0


def _beyond(price: Decimal, symbol: Symbol) -> bool:
    """Return whether a price is outside the price filter; zero is no limit."""
    low, high = symbol.min_price, symbol.max_price
    return bool((low and price < low) or (high and price > high))


def spot_filters(server: BinanceServer, terms: Terms) -> None:
    """Raise -1013 with the first filter that a spot order fails."""
    symbol, price, quantity = terms.symbol, terms.price, terms.quantity
    if quantity <= 0 and not terms.quote_quantity:
        raise ApiError(-1013, "Invalid quantity.")
    if price is not None:
        _spot_price(server, symbol, price)
    if _off(quantity, symbol.step) or not symbol.min_qty <= quantity <= symbol.max_qty:
        raise filter_failure("LOT_SIZE")
    if price is None and (quantity > symbol.market_max_qty or _off(quantity, symbol.market_step)):
        raise filter_failure("MARKET_LOT_SIZE")
    if quantity * (price or mark_price(server, symbol)) < symbol.min_notional:
        raise filter_failure("NOTIONAL")
    resting = open_orders(server, "spot", symbol)
    if len(resting) >= symbol.max_orders:
        raise filter_failure("MAX_NUM_ORDERS")
    largest = symbol.max_position
    if terms.buys and largest:
        bought = sum((order.remaining for order in resting if order.quantity > 0), quantity)
        if held(server, symbol) + bought > largest:
            raise filter_failure("MAX_POSITION")


def _spot_price(server: BinanceServer, symbol: Symbol, price: Decimal) -> None:
    if price <= 0:
        raise ApiError(-1013, "Invalid price.")
    if _off(price, symbol.tick) or _beyond(price, symbol):
        raise filter_failure("PRICE_FILTER")
    reference = mark_price(server, symbol)
    if not reference * symbol.multiplier_down <= price <= reference * symbol.multiplier_up:
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def usdm_filters(server: BinanceServer, terms: Terms, amended: Order | None = None) -> None:
    """Raise the code of the first filter that an order on a perpetual fails.

    `amended` is the open order that these terms will replace.
    """
    symbol, price = terms.symbol, terms.price
    quantity_filters(symbol, terms.quantity, market=price is None)
    if price is not None:
        price_filters(symbol, price)
    mark = mark_price(server, symbol)
    _band(server, terms, mark)
    least = symbol.min_notional
    if not terms.reduce_only and terms.quantity * (price or mark) < least:
        raise ApiError(
            -4164,
            f"Order's notional must be no smaller than {plain(least)} (unless you choose reduce "
            "only).",
        )
    if amended is None and len(open_orders(server, "usdm", symbol)) >= symbol.max_orders:
        raise ApiError(-2025, "Reach max open order limit.")
    if terms.reduce_only:
        _reduces(server, terms, amended)
        return
    after = abs(held(server, symbol) + terms.signed) * mark
    leverage = leverage_of(server.exchange.account, symbol.symbol)
    if after > abs(held(server, symbol)) * mark and after > largest_notional(
        symbol.symbol, leverage
    ):
        raise ApiError(-2027, "Exceeded the maximum allowable position at current leverage.")


def quantity_filters(symbol: Symbol, quantity: Decimal, *, market: bool) -> None:
    """Raise when a quantity of a perpetual is none that can be ordered."""
    if quantity <= 0:
        raise ApiError(-4003, "Quantity less than or equal to zero.")
    if places(quantity.normalize()) > places(symbol.step):
        raise too_precise()
    step = symbol.market_step if market else symbol.step
    if _off(quantity, step or symbol.step):
        raise ApiError(-4023, "Qty not increased by step size.")
    if quantity < symbol.min_qty:
        raise ApiError(-4004, "Quantity less than min quantity.")
    if quantity > (symbol.market_max_qty if market else symbol.max_qty):
        raise ApiError(-4005, "Quantity greater than max quantity.")


def price_filters(symbol: Symbol, price: Decimal) -> None:
    """Raise when a price of a perpetual is none that can be asked for."""
    if price <= 0 or price < symbol.min_price:
        raise ApiError(-4013, "Price less than min price.")
    if symbol.max_price and price > symbol.max_price:
        raise ApiError(-4002, "Price greater than max price.")
    if places(price.normalize()) > places(symbol.tick):
        raise too_precise()
    if _off(price, symbol.tick):
        raise ApiError(-4014, "Price not increased by tick size.")


def _band(server: BinanceServer, terms: Terms, mark: Decimal) -> None:
    """Raise when a buy is too high or a sell too low, seen from the mark price."""
    symbol, price = terms.symbol, terms.price
    highest, lowest = mark * symbol.multiplier_up, mark * symbol.multiplier_down
    digits = Decimal(1).scaleb(-places(symbol.tick))
    if price is None:
        touch = touch_of(server, symbol)
        if touch is None:
            raise ApiError(-2020, "Unable to fill.")
        if touch.ask > highest if terms.buys else touch.bid < lowest:
            raise ApiError(
                -4131,
                "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
            )
        return
    if terms.buys and price > highest:
        raise ApiError(-4016, f"Limit price can't be higher than {highest.quantize(digits):f}.")
    if not terms.buys and price < lowest:
        raise ApiError(-4024, f"Limit price can't be lower than {lowest.quantize(digits):f}.")


def _reduces(server: BinanceServer, terms: Terms, amended: Order | None) -> None:
    """Raise when a reduce-only order has nothing to reduce, or others have taken it already."""
    position = held(server, terms.symbol)
    if position * terms.signed >= 0:
        raise ApiError(-2022, "ReduceOnly Order is rejected.")
    free = free_to_reduce(server, terms.symbol, but=amended)
    if free < abs(position) and terms.quantity > free:
        raise ApiError(
            -4118, "ReduceOnly Order Failed. Please check your existing position and open orders"
        )

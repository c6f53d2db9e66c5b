"""From an order's terms to the engine: the checks in their order, then placed at once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.simulators.binance_server.call import ApiError
from rebalancer.simulators.binance_server.figures import time_of
from rebalancer.simulators.binance_server.filters import (
    refuse_status,
    spot_filters,
    touch_of,
    usdm_filters,
)
from rebalancer.simulators.binance_server.order_terms import Terms
from rebalancer.simulators.binance_server.order_words import (
    refusal_of,
    status_unknown,
    unknown_order,
)
from rebalancer.simulators.binance_server.orders_kept import open_orders
from rebalancer.simulators.news import NewOrder

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.books import Execution, Order

_FORCES = {
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.IOC,
    "GTD": TimeInForce.GTD,
}
_NOT_FILLED = (
    -5021,
    "Due to the order could not be filled immediately, the FOK order has been rejected. The "
    "order will not be recorded in the order history",
)


def check(server: BinanceServer, terms: Terms) -> None:
    """Raise what the exchange says of an order before it comes to the book."""
    refuse_status(terms)
    if terms.product == "spot":
        spot_filters(server, terms)
    else:
        usdm_filters(server, terms)
    if terms.client_id and any(
        order.reference == terms.client_id for order in open_orders(server, terms.product)
    ):
        raise refusal_of(terms.product, "duplicate", "")


def test(server: BinanceServer, terms: Terms) -> None:
    """Raise what the exchange says of an order that is only tried: nothing is booked."""
    check(server, terms)
    _, refusal = server.exchange.preview(wanted_order(terms, ""))
    if refusal is not None:
        raise refusal_of(terms.product, refusal.code, refusal.message)


def send(server: BinanceServer, terms: Terms) -> Order:
    """Place an order and return it as it is afterwards, the engine's own object.

    Raises the exchange's refusal, and -1007 when the engine lost the order or its answer.
    """
    check(server, terms)
    dead = terms.force == "FOK" and not _fills_now(server, terms)
    if dead and terms.product == "usdm":
        raise ApiError(*_NOT_FILLED)
    wanted = wanted_order(terms, terms.client_id or invented_id(server, "order"))
    # Spot books a fill-or-kill that cannot fill as EXPIRED: it is held back and ended.
    wanted = replace(wanted, held=dead)
    sent = server.exchange.place([wanted], at_once=True)[0]
    order = kept(server, sent.id)
    if order is None:
        raise status_unknown()
    if order.status is OrderStatus.REJECTED:
        raise refusal_of(terms.product, order.refusal, order.message)
    if dead:
        end(server, order, expired=True)
    if order.silent:
        raise status_unknown()
    return order


def invented_id(server: BinanceServer, what: str) -> str:
    """Return an id as the exchange makes them for those who send none: 22 letters and digits."""
    account = server.exchange.account
    text = f"{account.seed}|{what}|{account.next_order}|{server.exchange.now}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:22]


def kept(server: BinanceServer, number: int) -> Order | None:
    """Return the engine's own order of a number."""
    orders = server.exchange.account.orders
    return next((order for order in reversed(orders) if order.id == number), None)


def end(server: BinanceServer, order: Order, *, expired: bool = False) -> Order:
    """Cancel an open order at once and return it; `expired`: the exchange itself ended it.

    Raises -2011 when the engine refuses the cancel, -1007 when it was lost.
    """
    asked = server.exchange.cancel(order.id, at_once=True)
    if asked is None:
        raise unknown_order()
    if order.live:
        if order.message:
            raise ApiError(-2011, order.message)
        raise status_unknown()
    if expired:
        order.tags["expired"] = "1"
        server.exchange.save()
    return order


def executions_of(server: BinanceServer, order: Order) -> list[Execution]:
    """Return the executions of an order, oldest first."""
    found: list[Execution] = []
    for each in reversed(server.exchange.account.executions):
        if each.at < order.placed_at:
            break
        if each.order == order.id:
            found.append(each)
    return found[::-1]


def wanted_order(terms: Terms, reference: str) -> NewOrder:
    """Return an order as the engine takes it; what the exchange echoes travels in its tags."""
    # What a minute does not show of an order at market trades in the next: it is never dropped.
    force = _FORCES.get(terms.force, TimeInForce.GTC)
    good_till: datetime | None = time_of(terms.good_till) if terms.good_till else None
    tags = {"type": terms.kind, "tif": terms.force, "stp": terms.self_trade}
    if terms.product == "usdm":
        tags |= {"position": terms.position_side, "match": terms.price_match}
    if terms.good_till:
        tags["gtd"] = str(terms.good_till)
    if terms.quote_quantity:
        tags["quote"] = f"{terms.quote_quantity:f}"
    return NewOrder(
        reference=reference,
        instrument=terms.symbol.id,
        quantity=terms.signed,
        limit=terms.price,
        order_type=OrderType.MARKET if terms.price is None else OrderType.LIMIT,
        time_in_force=force,
        reduce_only=terms.reduce_only,
        good_till=good_till,
        tags=tags,
        post_only=terms.post_only,
    )


def _fills_now(server: BinanceServer, terms: Terms) -> bool:
    """Return whether all of an order could trade at the touch of this minute."""
    touch = touch_of(server, terms.symbol)
    if touch is None:
        return False
    price = touch.ask if terms.buys else touch.bid
    limit = terms.price
    if limit is not None and (limit < price if terms.buys else limit > price):
        return False
    return touch.depth is None or terms.quantity <= touch.depth - _used(server, terms)


def _used(server: BinanceServer, terms: Terms) -> Decimal:
    """Return how much of this minute's depth has been traded already."""
    exchange = server.exchange
    side = f"{terms.symbol.id}|{'B' if terms.buys else 'S'}"
    taken = exchange.account.taken.get(side)
    minute = exchange.now.replace(second=0, microsecond=0)
    return taken.quantity if taken and taken.minute == minute else Decimal(0)

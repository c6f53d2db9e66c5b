"""Lists of orders that are not over: a client's own, everybody's, those made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.books import Order
from rebalancer.simulators.ib_gateway.order_rules import READ_ONLY, invalid
from rebalancer.simulators.ib_gateway.orders_echo import send_both
from rebalancer.simulators.ib_gateway.orders_state import by_hand, client_of, number_for, owner

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.session import Session


def refused_for_reading(session: Session, number: int, mark: str) -> bool:
    """Return whether orders are out of reach because the API is read-only, after saying so."""
    if session.gateway.spec.read_only_api:
        session.error(number, *invalid(READ_ONLY, mark))
    return bool(session.gateway.spec.read_only_api)


def req_open_orders(session: Session, values: Mapping[str, Any]) -> None:
    """Send the client's own live orders; client 0 also gets those made by hand."""
    if not refused_for_reading(session, -1, "as"):
        _send(session, (order for order in _live(session) if is_own(session, order)))


def req_all_open_orders(session: Session, values: Mapping[str, Any]) -> None:
    """Send every live order of the account; the client's next id is above all of them then."""
    if refused_for_reading(session, -1, "at"):
        return
    orders = tuple(_live(session))
    floors, client = session.gateway.trading.floors, owner(session)
    seen = (number_for(order, client) for order in orders)
    floors[client] = max((floors.get(client, 0), *seen))
    _send(session, orders)


def req_auto_open_orders(session: Session, values: Mapping[str, Any]) -> None:
    """Bind orders made by hand to client 0, which they always are here; nobody else may ask."""
    if session.client_id != 0:
        session.error(-1, *invalid("Only the default client (i.e 0) can auto bind orders", "bF"))


def is_own(session: Session, order: Order) -> bool:
    """Return whether an order belongs to the client of a session."""
    if by_hand(order):
        return session.client_id == 0
    return client_of(order) == session.client_id


def _live(session: Session) -> Iterable[Order]:
    return (order for order in session.gateway.exchange.account.orders if order.live)


def _send(session: Session, orders: Iterable[Order]) -> None:
    for order in orders:
        send_both(session, order)
    session.send("openOrderEnd")


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "reqOpenOrders": req_open_orders,
    "reqAllOpenOrders": req_all_open_orders,
    "reqAutoOpenOrders": req_auto_open_orders,
}

"""Orders at the gateway: what clients may ask, and what they hear of what happens.

The engine has the orders; here its news become frames, for the client that owns the order and
for those that hear of others' (`hearers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rebalancer.model.orders import OrderStatus, TimeInForce
from rebalancer.simulators.books import Execution, Order
from rebalancer.simulators.ib_gateway import (
    completed,
    executions,
    orders_cancel,
    orders_lists,
    orders_place,
)
from rebalancer.simulators.ib_gateway.order_rules import TICK, Refusal
from rebalancer.simulators.ib_gateway.orders_cancel import CANCELED, not_cancellable
from rebalancer.simulators.ib_gateway.orders_echo import (
    is_held,
    send_both,
    send_open_order,
    send_status,
)
from rebalancer.simulators.ib_gateway.orders_linked import follow
from rebalancer.simulators.ib_gateway.orders_state import TradingState, number_for, plain
from rebalancer.simulators.ib_gateway.orders_times import SHOWN, ZONE
from rebalancer.simulators.news import Cause, News, OrderNews

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

_NO_CANCEL = "the cancel is refused"
"""What the engine says of a refused cancel where a fault has no words of its own."""

_REASONS = {
    "margin": "We are unable to accept your order. Your Available Funds are insufficient.",
    "short": "The contract is not available for short sale.",
    "closed": "Exchange is closed.",
}


def prepare(gateway: Gateway) -> None:
    """Let the engine call executions as the wire does, and let orders follow one another."""
    exchange = gateway.exchange
    exchange.name_executions(executions.execution_namer(exchange.account.account))
    exchange.react = partial(follow, gateway)


def restarted(gateway: Gateway, *, roll_back_ids: bool) -> None:
    """Forget what only the process knew; `roll_back_ids`: order ids begin again at 1."""
    first = gateway.exchange.account.next_order if roll_back_ids else gateway.trading.rolled_back
    gateway.trading = TradingState(rolled_back=first)


def hearers(gateway: Gateway, order: Order) -> tuple[Session, ...]:
    """Return the connections that hear of an order: its owner's, client 0's, the master's."""
    master = gateway.spec.orders.master_client
    return tuple(
        session
        for session in gateway.sessions.values()
        if session.client_id is not None
        and (orders_lists.is_own(session, order) or session.client_id == master)
    )


def tell(gateway: Gateway, news: Sequence[News]) -> None:
    """Tell clients what happened to their orders, in the order in which it did."""
    for each in news:
        if isinstance(each, OrderNews):
            for session in hearers(gateway, each.order):
                _tell_order(session, each.order, each.cause)
        else:
            _tell_trade(gateway, each.execution)


def _tell_order(session: Session, order: Order, cause: Cause) -> None:
    number = number_for(order, session.client_id)
    if cause is Cause.MOVE_REFUSED:
        session.error(number, *TICK)
    elif cause is Cause.CANCEL_REFUSED:
        words = "" if order.message == _NO_CANCEL else order.message
        refusal = not_cancellable(order)
        session.error(number, refusal.code, words or refusal.text)
        send_status(session, order)
    elif cause is Cause.ENDED:
        _tell_end(session, number, order)
    else:
        send_both(session, order)
        if cause is Cause.TAKEN and order.live and is_held(session.gateway, order):
            session.error(number, *_held_until_open(session.gateway, order))


def _tell_end(session: Session, number: int, order: Order) -> None:
    if order.status is OrderStatus.REJECTED:
        send_both(session, order)
        session.error(number, *_rejection(order))
        return
    send_status(session, order)
    immediate = order.time_in_force is TimeInForce.IOC
    if order.status is OrderStatus.CANCELLED or immediate:
        session.error(number, *CANCELED)


def _rejection(order: Order) -> Refusal:
    if order.refusal == "instrument":
        return Refusal(200, "No security definition has been found for the request")
    if order.refusal == "tick":
        return TICK
    reason = order.message
    if order.refusal in _REASONS:
        reason = f"{_REASONS[order.refusal]} ({order.message})"
    return Refusal(201, f"Order rejected - reason:{reason}")


def _held_until_open(gateway: Gateway, order: Order) -> Refusal:
    exchange = gateway.exchange
    listed = gateway.directory.listed(order.instrument)
    session = exchange.market.next_session(listed.instrument, exchange.now)
    until = "the next session"
    if session is not None:
        until = f"{session.open.astimezone(ZONE):%Y-%m-%d %H:%M:%S} {SHOWN}"
    side = "BUY" if order.quantity > 0 else "SELL"
    size = plain(abs(order.quantity))
    where = ".".join(part for part in (listed.primary, listed.trading_class) if part)
    return Refusal(
        399,
        f"Order Message:\n{side} {size} {listed.local_symbol} {where}\n"
        f"Warning: Your order will not be placed at the exchange until {until}.",
    )


def _tell_trade(gateway: Gateway, execution: Execution) -> None:
    order = executions.order_of(gateway, execution)
    if order is None:
        return
    for session in hearers(gateway, order):
        if execution.told:
            _tell_commission(session, order, execution)
        else:
            executions.send_execution(session, execution)


def _tell_commission(session: Session, order: Order, execution: Execution) -> None:
    told = _told(session.gateway, order)
    paid = {
        "commission": plain(sum((each.commission for each in told), execution.commission * 0)),
        "commissionCurrency": execution.commission_currency,
    }
    send_open_order(session, order, more=paid)
    executions.send_commission(session, execution)


def _told(gateway: Gateway, order: Order) -> Iterable[Execution]:
    return (e for e in gateway.exchange.account.executions if e.order == order.id and e.told)


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "placeOrder": orders_place.place_order,
    **orders_cancel.HANDLERS,
    **orders_lists.HANDLERS,
    **completed.HANDLERS,
    **executions.HANDLERS,
}

"""placeOrder: a new order, a change of one that is there, or a question (whatIf)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.simulators.books import Order
from rebalancer.simulators.ib_gateway.algos import (
    CANNOT_CHANGE,
    OUTSIDE_HOURS,
    algo_refusal,
    ignores_outside_hours,
)
from rebalancer.simulators.ib_gateway.order_rules import (
    Refusal,
    crowd_refusal,
    form_refusal,
    instrument_refusal,
    invalid,
)
from rebalancer.simulators.ib_gateway.orders_echo import send_both
from rebalancer.simulators.ib_gateway.orders_linked import has_parent, must_wait, released_with
from rebalancer.simulators.ib_gateway.orders_lists import refused_for_reading
from rebalancer.simulators.ib_gateway.orders_state import (
    find,
    highest_id,
    number_in,
    owner,
    tags_of,
)
from rebalancer.simulators.ib_gateway.orders_times import read_time
from rebalancer.simulators.ib_gateway.what_if import answer_what_if
from rebalancer.simulators.news import NewOrder

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.contracts import Listed
    from rebalancer.simulators.ib_gateway.session import Session

_PRESET = Refusal(10349, "Order TIF was set to DAY based on order preset.")
_UNKNOWN = Refusal(200, "No security definition has been found for the request")
_MISMATCH = Refusal(105, "Order being modified does not match original order.")


def place_order(session: Session, values: Mapping[str, Any]) -> None:
    """Take an order: refuse it at once, keep it until it is transmitted, or send it."""
    number, gateway, client = number_in(values), session.gateway, owner(session)
    if refused_for_reading(session, number, "bN"):
        return
    known = None if values["whatIf"] else find(gateway, client, number)
    waits = (client, number) in gateway.trading.waiting
    refusal = form_refusal(gateway, values)
    if not values["whatIf"]:
        refusal = _number_refusal(session, number, known, waits) or refusal
    wanted = refusal or _judged(session, values)
    if isinstance(wanted, Refusal):
        session.error(number, *wanted)
    elif values["whatIf"]:
        _notices(session, values)
        answer_what_if(session, number, wanted)
    elif known is not None:
        _change(session, known, wanted, values)
    else:
        _send(session, wanted, values)


def _number_refusal(
    session: Session, number: int, known: Order | None, waits: bool
) -> Refusal | None:
    """Return what is wrong with the id of an order, None when it is new or a live order's."""
    if known is not None and known.status is OrderStatus.FILLED:
        return Refusal(104, "Cannot modify a filled order.")
    if known is not None and known.live:
        return None
    if number <= 0:
        return Refusal(10149, f"Invalid order id: {number}")
    used = number <= highest_id(session.gateway, owner(session))
    return Refusal(103, "Duplicate order id") if used and not waits else None


def _judged(session: Session, values: Mapping[str, Any]) -> NewOrder | Refusal:
    """Return the engine's order for what was asked, or what is wrong with it."""
    listed = _listed(session, values)
    if isinstance(listed, Refusal):
        return listed
    gateway, instrument = session.gateway, listed.instrument
    return (
        instrument_refusal(gateway, instrument, values)
        or algo_refusal(gateway, instrument, values)
        or _wanted(session, listed, values)
    )


def _listed(session: Session, values: Mapping[str, Any]) -> Listed | Refusal:
    found = session.gateway.directory.lookup(values)
    if len(found) == 1:
        return found[0]
    if not found:
        return _UNKNOWN
    return Refusal(200, f"The contract description specified for {values['symbol']} is ambiguous.")


def _wanted(session: Session, listed: Listed, values: Mapping[str, Any]) -> NewOrder | Refusal:
    """Return the engine's order; the reference is the client's orderRef."""
    tags = tags_of(owner(session), values)
    if listed.exchange != session.gateway.directory.listed(listed.instrument.id).exchange:
        tags["exchange"] = listed.exchange
    market = str(values["orderType"]).upper() == "MKT"
    kind = OrderType.ADAPTIVE if values.get("algoStrategy") else OrderType.LIMIT
    force = TimeInForce(str(values["tif"]).upper() or "DAY")
    good_till = read_time(str(values["goodTillDate"])) if force is TimeInForce.GTD else None
    if force is TimeInForce.GTD:
        if good_till is None:
            return Refusal(391, "Enter a valid expiration time for the order.")
        if good_till <= session.gateway.exchange.now:
            return Refusal(201, "Order rejected - reason:Order is already expired.")
    size: Decimal = values["totalQuantity"]
    return NewOrder(
        reference=str(values["orderRef"]),
        instrument=listed.instrument.id,
        quantity=size if values["action"] == "BUY" else -size,
        limit=None if market else values["lmtPrice"],
        order_type=OrderType.MARKET if market else kind,
        time_in_force=force,
        good_till=good_till,
        tags=tags,
    )


def _send(session: Session, wanted: NewOrder, values: Mapping[str, Any]) -> None:
    """Send a new order on its way, with those of its family that waited for it."""
    gateway, number = session.gateway, number_in(values)
    client = owner(session)
    key = (client, number)
    instrument = gateway.exchange.instruments[wanted.instrument]
    crowd = crowd_refusal(gateway, instrument, wanted.quantity > 0)
    if crowd is not None:
        session.error(number, *crowd)
        return
    gateway.trading.waiting.pop(key, None)
    if not values["transmit"]:
        gateway.trading.waiting[key] = {**values, "transmit": True}
        return
    for other in released_with(session, values):
        if (client, number_in(other)) in gateway.trading.waiting:
            place_order(session, other)
    if number_in(values, "parentId") and not has_parent(session, values):
        session.error(number, 135, f"Can't find order with id ={values['parentId']}")
        return
    before = len(gateway.exchange.account.orders)
    held = must_wait(gateway, client, values)
    gateway.exchange.place([replace(wanted, held=held)])
    if len(gateway.exchange.account.orders) == before:
        return
    _notices(session, values)
    if held:
        send_both(session, gateway.exchange.account.orders[-1])


def _notices(session: Session, values: Mapping[str, Any]) -> None:
    """Say what the gateway changed of an order that it takes."""
    number = number_in(values)
    if not values["tif"]:
        session.error(number, *_PRESET)
    if ignores_outside_hours(values):
        session.error(number, *OUTSIDE_HOURS)


def _change(session: Session, known: Order, wanted: NewOrder, values: Mapping[str, Any]) -> None:
    """Change price, size or time in force of a live order; what becomes of it is news."""
    number, exchange = number_in(values), session.gateway.exchange
    refusal = _change_refusal(known, wanted)
    if refusal is not None:
        session.error(number, *refusal)
        return
    _notices(session, values)
    if wanted == _as_wanted(known, wanted):
        if known.status is not OrderStatus.SENT:
            send_both(session, known)
        return
    exchange.move(
        known.id,
        wanted.limit,
        quantity=wanted.quantity,
        time_in_force=wanted.time_in_force,
    )


def _change_refusal(known: Order, wanted: NewOrder) -> Refusal | None:
    same = (known.instrument, known.quantity > 0) == (wanted.instrument, wanted.quantity > 0)
    if not same:
        return _MISMATCH
    algo = (known.tags.get("algoStrategy"), wanted.tags.get("algoStrategy"))
    if algo[0] != algo[1]:
        return CANNOT_CHANGE
    if wanted.time_in_force is TimeInForce.GTD and known.time_in_force is not TimeInForce.GTD:
        return invalid("The time in force of this order cannot be changed to GTD", "w")
    if abs(wanted.quantity) <= abs(known.filled):
        return Refusal(
            201, "Order rejected - reason:The new size is not above what has been filled already."
        )
    return None


def _as_wanted(known: Order, wanted: NewOrder) -> NewOrder:
    """Return what would be wanted to have an order as it is, changes on their way included."""
    moving = known.move_at is not None
    limit = known.move_to if moving else known.limit
    size = known.resize_to if moving and known.resize_to is not None else known.quantity
    force = known.retime_to if moving and known.retime_to is not None else known.time_in_force
    return replace(wanted, quantity=size, limit=limit, time_in_force=force)

"""What happens in an account without its clients: hand-made orders, liquidations, corrections.

For tests and rehearsals; each is told to the clients that hear of it, like everything else.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderType, TimeInForce, execution_revision
from rebalancer.simulators.booking import correct_trade
from rebalancer.simulators.books import Execution, Order
from rebalancer.simulators.ib_gateway.executions import (
    order_of,
    send_commission,
    send_execution,
)
from rebalancer.simulators.ib_gateway.orders_state import LIQUIDATION
from rebalancer.simulators.ib_gateway.trading import hearers
from rebalancer.simulators.news import NewOrder

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway


def order_by_hand(
    gateway: Gateway,
    instrument: InstrumentId,
    quantity: Decimal,
    limit: Decimal | None = None,
    time_in_force: TimeInForce = TimeInForce.DAY,
) -> Order:
    """Let the owner send an order from another screen: no client, no order id, no reference.

    `quantity` is signed; without a limit it is a market order. What becomes of it takes time.
    """
    return _place(gateway, instrument, quantity, limit, time_in_force, {})


def liquidate(gateway: Gateway, instrument: InstrumentId, quantity: Decimal) -> Order:
    """Let the venue trade for the account, at market, as it does when margin is missing.

    `quantity` is signed: what is sold is negative.
    """
    tags = {LIQUIDATION: "1"}
    return _place(gateway, instrument, quantity, None, TimeInForce.DAY, tags)


def correct(
    gateway: Gateway,
    execution_id: str,
    *,
    quantity: Decimal | None = None,
    price: Decimal | None = None,
    commission: Decimal | None = None,
) -> Execution:
    """Correct an execution: its id ends in the next number from now on, the books follow.

    What is None stays; a quantity of 0 is a bust. Raises `DataError` for an unknown id.
    """
    exchange = gateway.exchange
    found = next((e for e in exchange.account.executions if e.id == execution_id), None)
    if found is None:
        raise DataError(f"no execution {execution_id} at the venue")
    family, revision = execution_revision(found.id)
    correct_trade(
        exchange.account,
        exchange.instruments[found.instrument],
        found,
        quantity=found.quantity if quantity is None else quantity,
        price=found.price if price is None else price,
        commission=found.commission if commission is None else commission,
    )
    found.id = f"{family}.{revision + 1:02d}"
    exchange.save()
    order = order_of(gateway, found)
    for session in hearers(gateway, order) if order is not None else ():
        send_execution(session, found)
        if found.told:
            send_commission(session, found)
    return found


def bust(gateway: Gateway, execution_id: str) -> Execution:
    """Take an execution back, its commission too."""
    return correct(gateway, execution_id, quantity=Decimal(0), commission=Decimal(0))


def _place(
    gateway: Gateway,
    instrument: InstrumentId,
    quantity: Decimal,
    limit: Decimal | None,
    time_in_force: TimeInForce,
    tags: dict[str, str],
) -> Order:
    wanted = NewOrder(
        reference="",
        instrument=instrument,
        quantity=quantity,
        limit=limit,
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        time_in_force=time_in_force,
        tags=tags,
    )
    (order,) = gateway.exchange.place([wanted])
    return order

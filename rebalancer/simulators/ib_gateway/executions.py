"""Executions and what they cost: pushed when they happen, and asked for.

The engine calls its executions as the wire does, so the ids in the books are those that
clients see: `0000hhhh.ssssssss.nnnnnn.rr` (account, time, number, revision).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.books import Execution, Order
from rebalancer.simulators.ib_gateway.orders_state import (
    LIQUIDATION,
    PERM_BASE,
    client_of,
    number_for,
    number_in,
    plain,
)
from rebalancer.simulators.ib_gateway.orders_times import midnight, read_time, stamp

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

_FINEST = Decimal("1E-8")
_LIQUIDITY = {"maker": "1", "taker": "2"}
_SIDES = {"BUY": True, "BOT": True, "BOUGHT": True, "SELL": False, "SLD": False, "SOLD": False}
LIVE = -1
"""The request id of an execution that nobody asked for."""


def execution_namer(account: str) -> Callable[[datetime, int], str]:
    """Return how the executions of an account are called: the same for ever, and unique."""
    head = "0000" + hashlib.sha256(account.encode("utf-8")).hexdigest()[:4]

    def name(at: datetime, number: int) -> str:
        return f"{head}.{int(at.timestamp()):08x}.{number:06d}.01"

    return name


def req_executions(session: Session, values: Mapping[str, Any]) -> None:
    """Send today's executions that pass the filter, then what is known of their commissions.

    Today is the account's day; clients are told apart by the filter only (0: all of them).
    """
    gateway, number = session.gateway, number_in(values, "reqId")
    found = [
        execution
        for execution in gateway.exchange.executions(midnight(gateway.exchange.now))
        if _passes(gateway, execution, values)
    ]
    for execution in found:
        send_execution(session, execution, number)
    for execution in found:
        if execution.told:
            send_commission(session, execution)
    session.send("execDetailsEnd", reqId=number)


def send_execution(session: Session, execution: Execution, number: int = LIVE) -> None:
    """Send execDetails: what was traded, for which order, and how far that is."""
    gateway = session.gateway
    order = order_of(gateway, execution)
    listed = gateway.directory.listed(execution.instrument)
    total, value = _so_far(gateway.exchange.account.executions, execution)
    average = (value / total).quantize(_FINEST, ROUND_HALF_EVEN) if total else Decimal(0)
    place = listed.primary or listed.exchange
    session.send(
        "execDetails",
        **listed.values(),
        exchange=place,
        reqId=number,
        orderId=_number(order, session),
        execId=execution.id,
        time=stamp(execution.at, session.version),
        account=gateway.exchange.account.account,
        execExchange=place,
        side="BOT" if _bought(order, execution) else "SLD",
        shares=plain(abs(execution.quantity)),
        price=plain(execution.price),
        permId=PERM_BASE + execution.order,
        clientId=0 if order is None else client_of(order),
        liquidation=1 if order is not None and LIQUIDATION in order.tags else 0,
        cumQty=plain(total),
        avgPrice=plain(average),
        orderRef=execution.reference,
        lastLiquidity=_LIQUIDITY.get(execution.liquidity, "0"),
    )


def send_commission(session: Session, execution: Execution) -> None:
    """Send commissionReport; the profit is unset for what only opened."""
    realised = execution.realised
    profit: dict[str, Any] = {}
    if realised is not None:
        profit["realizedPNL"] = plain(realised - execution.commission)
    session.send(
        "commissionReport",
        execId=execution.id,
        commission=plain(execution.commission),
        currency=execution.commission_currency,
        **profit,
    )


def order_of(gateway: Gateway, execution: Execution) -> Order | None:
    """Return the order of an execution, None when it is forgotten."""
    orders = gateway.exchange.account.orders
    return next((order for order in orders if order.id == execution.order), None)


def _number(order: Order | None, session: Session) -> int:
    if order is None:
        return 0
    return -1 if LIQUIDATION in order.tags else number_for(order, session.client_id)


def _bought(order: Order | None, execution: Execution) -> bool:
    """Return the side; that of the order where nothing is left of the execution (a bust)."""
    size = execution.quantity or (order.quantity if order is not None else Decimal(0))
    return size > 0


def _so_far(executions: Sequence[Execution], until: Execution) -> tuple[Decimal, Decimal]:
    """Return quantity and value (price times quantity) of an order up to an execution."""
    total = value = Decimal(0)
    for each in executions:
        if each.order == until.order:
            total += abs(each.quantity)
            value += abs(each.quantity) * each.price
        if each.id == until.id:
            break
    return total, value


def _passes(gateway: Gateway, execution: Execution, values: Mapping[str, Any]) -> bool:
    instrument = gateway.exchange.instruments[execution.instrument]
    listed = gateway.directory.listed(execution.instrument)
    order = order_of(gateway, execution)
    client = number_in(values, "clientId")
    since = read_time(str(values.get("time") or ""))
    side = _SIDES.get(str(values.get("side") or "").upper())
    account = gateway.exchange.account.account
    wanted = (
        (values.get("acctCode"), (account, gateway.faults.account)),
        (values.get("symbol"), (instrument.symbol,)),
        (values.get("secType"), (listed.sec_type,)),
        (values.get("exchange"), (listed.primary or listed.exchange, listed.exchange)),
    )
    return (
        (not client or (order is not None and client_of(order) == client))
        and (since is None or execution.at >= since)
        and (side is None or _bought(order, execution) is side)
        and all(not asked or str(asked) in known for asked, known in wanted)
    )


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "reqExecutions": req_executions,
}

"""What an order would do to the margin: the answer to a placeOrder with whatIf."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.errors import StateError
from rebalancer.model.instrument import Kind
from rebalancer.simulators.ib_gateway.orders_echo import send_open_order
from rebalancer.simulators.ib_gateway.orders_state import plain
from rebalancer.simulators.kinds import is_margined
from rebalancer.simulators.news import NewOrder

if TYPE_CHECKING:
    from rebalancer.simulators.exchange import Exchange
    from rebalancer.simulators.ib_gateway.session import Session


def answer_what_if(session: Session, number: int, wanted: NewOrder) -> None:
    """Send the order back with its margins; also error 201 when it would be refused.

    Initial margin is as if this and all other orders had traded, in base currency. The
    minimum and maximum commission are unset, since the commission is known.
    """
    exchange = session.gateway.exchange
    try:
        values = margins(exchange, wanted)
    except StateError as error:
        session.error(number, 201, f"Order rejected - reason:{error}")
        return
    order, refusal = exchange.preview(wanted)
    send_open_order(session, order, status="PreSubmitted", more={**values, "whatIf": True})
    if refusal is not None:
        session.error(number, 201, f"Order rejected - reason:{refusal.message}")


def margins(exchange: Exchange, wanted: NewOrder) -> dict[str, Any]:
    """Return margins before, change and after, equity, and the commission, of an order.

    Raises `StateError` when the instrument has no price.
    """
    worth = exchange.worth()
    before, after = exchange.initial_margin(), exchange.initial_margin_with(wanted)
    kept_before, kept_after = worth.maintenance, _maintenance_with(exchange, wanted)
    equity = worth.net_liquidation
    return {
        "initMarginBefore": _money(before),
        "initMarginChange": _money(after - before),
        "initMarginAfter": _money(after),
        "maintMarginBefore": _money(kept_before),
        "maintMarginChange": _money(kept_after - kept_before),
        "maintMarginAfter": _money(kept_after),
        "equityWithLoanBefore": _money(equity),
        "equityWithLoanChange": "0.0",
        "equityWithLoanAfter": _money(equity),
        **_commission(exchange, wanted),
    }


def _maintenance_with(exchange: Exchange, wanted: NewOrder) -> Decimal:
    """Return the maintenance margin if this order alone traded."""
    worth, valuer = exchange.worth(), exchange.valuer
    instrument = valuer.instrument(wanted.instrument)
    if instrument.kind is Kind.FOREX:
        return worth.maintenance
    holding = exchange.account.holdings.get(wanted.instrument)
    held = holding.quantity if holding else Decimal(0)
    unit = valuer.mark(wanted.instrument, exchange.now) * valuer.factor(instrument)
    if is_margined(instrument):
        sizes = (abs(held), abs(held + wanted.quantity))
        now, then = (exchange.maintenance(instrument.id, size * unit) for size in sizes)
    else:
        now, then = (_needs(exchange, size) * unit for size in (held, held + wanted.quantity))
    return worth.maintenance - now + then


def _needs(exchange: Exchange, quantity: Decimal) -> Decimal:
    settings = exchange.settings
    long, short = settings.maintenance_margin_long, settings.maintenance_margin_short
    return abs(quantity) * (long if quantity > 0 else short)


def _commission(exchange: Exchange, wanted: NewOrder) -> dict[str, Any]:
    instrument = exchange.instruments[wanted.instrument]
    price = wanted.limit
    if price is None:
        price = exchange.market.mark(instrument, exchange.now)
    if price is None:
        return {}
    fee = exchange.fees.order_fee(instrument, wanted.quantity, price)
    return {"commission": plain(fee.amount), "commissionCurrency": fee.currency}


def _money(amount: Decimal) -> str:
    """Return an amount as the gateway writes it, exact: it is not rounded for show."""
    return plain(amount)

"""What a trade does to an account's cash and positions, and how it is taken back."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from rebalancer.model.instrument import Instrument
from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.books import Account, Execution, Holding
from rebalancer.simulators.kinds import base_asset, is_margined, is_pair

_ZERO = Decimal(0)
FINEST = Decimal("1E-8")
"""The smallest amount of money: fees, and the profits of margined positions, are whole ones."""


def book(
    account: Account, instrument: Instrument, quantity: Decimal, price: Decimal
) -> Decimal | None:
    """Book a trade without its fee: cash against position, or one asset against another.

    A margined position (a perpetual, a future) costs no cash; what it realises becomes cash at
    once, rounded to 1E-8. Returns the profit the trade realised; None when it closed nothing.
    """
    pay(account.cash, instrument, quantity, price)
    if is_pair(instrument):
        return None
    holding = account.holdings.setdefault(instrument.id, Holding())
    held = holding.quantity
    if held * quantity >= 0:
        cost = held * holding.average_cost + quantity * price
        holding.quantity = held + quantity
        holding.average_cost = cost / holding.quantity
        return None
    closed = min(abs(held), abs(quantity)).copy_sign(held)
    unit = instrument.multiplier / instrument.magnifier
    realised = closed * (price - holding.average_cost) * unit
    if is_margined(instrument):
        realised = realised.quantize(FINEST, ROUND_HALF_EVEN)
        add(account.cash, instrument.currency, realised)
    holding.realised += realised
    holding.quantity = held + quantity
    if not holding.quantity:
        holding.average_cost = _ZERO
    elif abs(quantity) > abs(held):
        holding.average_cost = price
    return realised


def correct_trade(
    account: Account,
    instrument: Instrument,
    execution: Execution,
    *,
    quantity: Decimal,
    price: Decimal,
    commission: Decimal,
) -> None:
    """Change an execution as a venue does that corrects it: cash, position and order follow.

    A quantity of 0 takes the trade back; a filled order that is not full any more is
    CANCELLED. What it realised is corrected for its price, not for its quantity; of a margined
    position for both, since it is cash.
    """
    before, paid = execution.quantity, execution.quantity * execution.price
    value = quantity * price
    pay(account.cash, instrument, -before, execution.price)
    pay(account.cash, instrument, quantity, price)
    unit = instrument.multiplier / instrument.magnifier
    if is_margined(instrument):
        _correct_gain(account, instrument, execution, quantity=quantity, price=price)
    elif not is_pair(instrument):
        holding = account.holdings.setdefault(instrument.id, Holding())
        held = holding.quantity
        holding.quantity = held + quantity - before
        if execution.realised is not None:
            execution.realised += (paid - value) * unit if quantity == before else _ZERO
        elif holding.quantity:
            cost = held * holding.average_cost + value - paid
            holding.average_cost = cost / holding.quantity
    difference = commission - execution.commission
    add(account.cash, execution.commission_currency, -difference)
    add(account.fees, execution.commission_currency, difference)
    execution.quantity, execution.price, execution.commission = quantity, price, commission
    for order in account.orders:
        if order.id == execution.order:
            order.filled += quantity - before
            order.notional += (abs(value) - abs(paid)) * unit
            order.fee += difference
            if order.status is OrderStatus.FILLED and order.remaining:
                order.status = OrderStatus.CANCELLED


def _correct_gain(
    account: Account,
    instrument: Instrument,
    execution: Execution,
    *,
    quantity: Decimal,
    price: Decimal,
) -> None:
    """Correct a margined holding and what it realised, so that the account is worth the trades."""
    holding = account.holdings.setdefault(instrument.id, Holding())
    unit = instrument.multiplier / instrument.magnifier
    before, difference = execution.quantity, quantity * price - execution.quantity * execution.price
    cost = holding.quantity * holding.average_cost
    if not holding.quantity and execution.realised is not None:
        # What it closed is open again, at what it had cost.
        holding.average_cost = execution.price + execution.realised / (before * unit)
    holding.quantity += quantity - before
    if execution.realised is None and holding.quantity:
        holding.average_cost = (cost + difference) / holding.quantity
    gain = (holding.quantity * holding.average_cost - cost - difference) * unit
    gain = gain.quantize(FINEST, ROUND_HALF_EVEN)
    add(account.cash, instrument.currency, gain)
    if gain or execution.realised is not None:
        execution.realised = (execution.realised or _ZERO) + gain
        holding.realised += gain


def carry(account: Account, instrument: Instrument, execution: Execution) -> None:
    """Move an execution that is about to be forgotten into the balances carried over."""
    pay(account.carried_cash, instrument, execution.quantity, execution.price)
    add(account.carried_cash, execution.commission_currency, -execution.commission)
    if is_margined(instrument):
        add(account.carried_cash, execution.currency, execution.realised or _ZERO)
    if not is_pair(instrument):
        held = account.carried_positions.get(instrument.id, _ZERO)
        account.carried_positions[instrument.id] = held + execution.quantity


def pay(
    cash: dict[str, Decimal], instrument: Instrument, quantity: Decimal, price: Decimal
) -> None:
    """Book the cash of a trade: against a position, or one asset against another."""
    if is_margined(instrument):
        return
    if is_pair(instrument):
        add(cash, base_asset(instrument), quantity)
    value = quantity * price * instrument.multiplier / instrument.magnifier
    add(cash, instrument.currency, -value)


def add(amounts: dict[str, Decimal], asset: str, amount: Decimal) -> None:
    """Add an amount of an asset."""
    amounts[asset] = amounts.get(asset, _ZERO) + amount

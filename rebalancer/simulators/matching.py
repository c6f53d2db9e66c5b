"""How an order meets the recorded market, and what a trade does to the books."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from rebalancer.model.fees import FeeSchedule, OrderSoFar
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.books import Account, Execution, Holding, Order, Taken
from rebalancer.simulators.clock import latency
from rebalancer.simulators.faults import FaultKind, FaultScript
from rebalancer.simulators.market import Market, Touch
from rebalancer.simulators.parameters import PaperSettings

_ZERO = Decimal(0)
_FINEST_FEE = Decimal("1E-8")


def plain_execution_id(at: datetime, number: int) -> str:
    """Return what the engine calls an execution where no codec has a name of its own."""
    return f"{at:%Y%m%dT%H%M%S}-{number:06d}"


class Matcher:
    """Trades orders at the touch.

    An order that could trade when it was taken up pays the touch (taker), as much as is shown
    in that minute, and the rest in later minutes. An order that could not rests, and trades at
    its own limit (maker) once the other side's touch reaches it. Nobody stands before it in
    the queue, and it moves no price: both flatter it.
    """

    def __init__(
        self,
        market: Market,
        instruments: Mapping[InstrumentId, Instrument],
        settings: PaperSettings,
        fees: FeeSchedule,
        faults: FaultScript,
    ) -> None:
        self._market = market
        self._instruments = instruments
        self._settings = settings
        self._fees = fees
        self._faults = faults
        self.execution_id: Callable[[datetime, int], str] = plain_execution_id

    def match(self, account: Account, order: Order, at: datetime) -> Execution | None:
        """Trade what can be traded of an order at `at`; return the execution, if any.

        An order that has traded completely is FILLED afterwards.
        """
        instrument = self._instruments[order.instrument]
        if self._market.session(instrument, at) is None:
            return None
        touch = self._market.touch(instrument, at)
        if touch is None:
            return None
        buying = order.quantity > 0
        price = touch.ask if buying else touch.bid
        limit = order.limit
        reached = limit is None or (limit >= price if buying else limit <= price)
        if order.taker is None:
            order.taker = reached
        if not reached:
            return None
        size = self._size(account, order, touch, at)
        if size <= 0:
            return None
        traded_at = price if order.taker or limit is None else limit
        return self._trade(account, order, size if buying else -size, traded_at, at)

    def _size(self, account: Account, order: Order, touch: Touch, at: datetime) -> Decimal:
        """Return how much can trade now, not negative."""
        size = abs(order.remaining)
        if order.cap is not None:
            size = min(size, order.cap - abs(order.filled))
        if order.reduce_only:
            holding = account.holdings.get(order.instrument, Holding())
            size = (
                min(size, abs(holding.quantity)) if holding.quantity * order.quantity < 0 else _ZERO
            )
        if touch.depth is not None:
            minute = at.replace(second=0, microsecond=0)
            taken = account.taken.get(_side(order))
            used = taken.quantity if taken and taken.minute == minute else _ZERO
            size = min(size, touch.depth - used)
            if size > 0:
                account.taken[_side(order)] = Taken(minute, used + size)
        return size

    def _trade(
        self, account: Account, order: Order, quantity: Decimal, price: Decimal, at: datetime
    ) -> Execution:
        instrument = self._instruments[order.instrument]
        before = OrderSoFar(abs(order.filled), order.notional, order.fee)
        fee = self._fees.fill_fee(instrument, quantity, price, before, maker=not order.taker)
        commission = fee.amount.quantize(_FINEST_FEE, ROUND_HALF_EVEN)
        number = account.next_execution
        execution = Execution(
            id=self.execution_id(at, number),
            order=order.id,
            reference=order.reference,
            instrument=order.instrument,
            quantity=quantity,
            price=price,
            currency=instrument.currency,
            at=at,
            liquidity="taker" if order.taker else "maker",
            commission=commission,
            commission_currency=fee.currency,
            tell_at=self._tell_at(order, number, at),
        )
        account.next_execution += 1
        account.executions += (execution,)
        order.filled += quantity
        order.notional += abs(quantity * price) * instrument.multiplier / instrument.magnifier
        order.fee += commission
        if not order.remaining:
            order.status, order.ended_at = OrderStatus.FILLED, at
        execution.realised = book(account, instrument, quantity, price)
        _add(account.cash, fee.currency, -commission)
        _add(account.fees, fee.currency, commission)
        return execution

    def _tell_at(self, order: Order, number: int, at: datetime) -> datetime | None:
        if self._faults.strikes(FaultKind.MISSING_COMMISSION, order.instrument):
            return None
        late = self._faults.strikes(FaultKind.LATE_COMMISSION, order.instrument)
        delay = latency(
            self._settings.seed, f"commission|{number}", self._settings.commission_seconds
        )
        return at + delay + timedelta(seconds=late.seconds if late else 0)


def book(
    account: Account, instrument: Instrument, quantity: Decimal, price: Decimal
) -> Decimal | None:
    """Book a trade without its fee: cash against position, or one currency against another.

    Returns the profit it realised; None when it closed nothing.
    """
    _pay(account.cash, instrument, quantity, price)
    if instrument.kind is Kind.FOREX:
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
    CANCELLED. What it realised is corrected for its price, not for its quantity.
    """
    before, paid = execution.quantity, execution.quantity * execution.price
    value = quantity * price
    _pay(account.cash, instrument, -before, execution.price)
    _pay(account.cash, instrument, quantity, price)
    unit = instrument.multiplier / instrument.magnifier
    if instrument.kind is not Kind.FOREX:
        holding = account.holdings.setdefault(instrument.id, Holding())
        held = holding.quantity
        holding.quantity = held + quantity - before
        if execution.realised is not None:
            execution.realised += (paid - value) * unit if quantity == before else _ZERO
        elif holding.quantity:
            cost = held * holding.average_cost + value - paid
            holding.average_cost = cost / holding.quantity
    difference = commission - execution.commission
    _add(account.cash, execution.commission_currency, -difference)
    _add(account.fees, execution.commission_currency, difference)
    execution.quantity, execution.price, execution.commission = quantity, price, commission
    for order in account.orders:
        if order.id == execution.order:
            order.filled += quantity - before
            order.notional += (abs(value) - abs(paid)) * unit
            order.fee += difference
            if order.status is OrderStatus.FILLED and order.remaining:
                order.status = OrderStatus.CANCELLED


def carry(account: Account, instrument: Instrument, execution: Execution) -> None:
    """Move an execution that is about to be forgotten into the balances carried over."""
    _pay(account.carried_cash, instrument, execution.quantity, execution.price)
    _add(account.carried_cash, execution.commission_currency, -execution.commission)
    if instrument.kind is not Kind.FOREX:
        held = account.carried_positions.get(instrument.id, _ZERO)
        account.carried_positions[instrument.id] = held + execution.quantity


def _pay(
    cash: dict[str, Decimal], instrument: Instrument, quantity: Decimal, price: Decimal
) -> None:
    """Book the cash of a trade: against a position, or one currency against another."""
    if instrument.kind is Kind.FOREX:
        _add(cash, instrument.symbol, quantity)
    value = quantity * price * instrument.multiplier / instrument.magnifier
    _add(cash, instrument.currency, -value)


def _add(amounts: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    amounts[currency] = amounts.get(currency, _ZERO) + amount


def _side(order: Order) -> str:
    return f"{order.instrument}|{'B' if order.quantity > 0 else 'S'}"

"""How an order meets the recorded market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from rebalancer.model.fees import FeeSchedule, OrderSoFar
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.orders import OrderStatus
from rebalancer.simulators.booking import FINEST, add, book
from rebalancer.simulators.books import Account, Execution, Holding, Order, Taken
from rebalancer.simulators.clock import latency
from rebalancer.simulators.faults import FaultKind, FaultScript
from rebalancer.simulators.kinds import base_asset, is_crypto, is_pair
from rebalancer.simulators.market import Market, Touch
from rebalancer.simulators.parameters import PaperSettings

_ZERO = Decimal(0)


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
        return self.trade(account, order, size if buying else -size, traded_at, at)

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

    def trade(
        self, account: Account, order: Order, quantity: Decimal, price: Decimal, at: datetime
    ) -> Execution:
        """Book a trade of an order; one that has traded completely is FILLED afterwards."""
        instrument = self._instruments[order.instrument]
        before = OrderSoFar(abs(order.filled), order.notional, order.fee)
        fee = self._fees.fill_fee(instrument, quantity, price, before, maker=not order.taker)
        charged = commission = fee.amount.quantize(FINEST, ROUND_HALF_EVEN)
        paid_in = fee.currency
        if is_crypto(instrument) and is_pair(instrument) and quantity > 0:
            # Spot keeps its fee back from what the trade brings: the asset that was bought.
            paid_in = base_asset(instrument)
            commission = (fee.amount / price).quantize(FINEST, ROUND_HALF_EVEN)
        number = account.next_execution
        tell_at = self._tell_at(instrument, order, number, at)
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
            commission_currency=paid_in,
            tell_at=tell_at,
            told=is_crypto(instrument) and tell_at == at,
        )
        account.next_execution += 1
        account.executions += (execution,)
        order.filled += quantity
        order.notional += abs(quantity * price) * instrument.multiplier / instrument.magnifier
        order.fee += charged
        if not order.remaining:
            order.status, order.ended_at = OrderStatus.FILLED, at
        execution.realised = book(account, instrument, quantity, price)
        add(account.cash, paid_in, -commission)
        add(account.fees, paid_in, commission)
        return execution

    def _tell_at(
        self, instrument: Instrument, order: Order, number: int, at: datetime
    ) -> datetime | None:
        if self._faults.strikes(FaultKind.MISSING_COMMISSION, order.instrument):
            return None
        late = self._faults.strikes(FaultKind.LATE_COMMISSION, order.instrument)
        delay = timedelta(0)
        if not is_crypto(instrument):
            seconds = self._settings.commission_seconds
            delay = latency(self._settings.seed, f"commission|{number}", seconds)
        return at + delay + timedelta(seconds=late.seconds if late else 0)


def _side(order: Order) -> str:
    return f"{order.instrument}|{'B' if order.quantity > 0 else 'S'}"

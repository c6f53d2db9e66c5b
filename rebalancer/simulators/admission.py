"""What the simulated venue refuses, and in which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.simulators.books import Account, Order
from rebalancer.simulators.kinds import base_asset, is_margined, is_pair
from rebalancer.simulators.market import Market, Touch
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.worth import Valuer

_ZERO = Decimal(0)


class Refusal(NamedTuple):
    """Why an order is refused: a word that codecs translate, and a sentence."""

    code: str
    message: str


class Admission:
    """Judges new orders against rules, session and account."""

    def __init__(
        self,
        market: Market,
        instruments: Mapping[InstrumentId, Instrument],
        settings: PaperSettings,
        valuer: Valuer,
    ) -> None:
        self._market = market
        self._instruments = instruments
        self._settings = settings
        self._valuer = valuer

    def refusal(
        self, order: Order, account: Account, working: Sequence[Order], at: datetime
    ) -> Refusal | None:
        """Return why a new order is refused at `at`, None when it is taken.

        `working` are the other orders that can still trade.
        """
        instrument = self._instruments.get(order.instrument)
        if instrument is None or self._market.mark(instrument, at) is None:
            return Refusal("instrument", f"no such instrument here: {order.instrument}")
        return (
            self._doubled(order, working)
            or price_refusal(instrument, order)
            or self._size(instrument, order, at)
            or self._hours(instrument, order, at)
            or self._post_only(instrument, order, at)
            or self._position(instrument, order, account, working)
            or self._money(instrument, order, account, working, at)
        )

    def _doubled(self, order: Order, working: Sequence[Order]) -> Refusal | None:
        if self._settings.unique_references and any(
            other.reference == order.reference for other in working
        ):
            return Refusal("duplicate", f"reference {order.reference} is in use by an open order")
        return None

    def _size(self, instrument: Instrument, order: Order, at: datetime) -> Refusal | None:
        rules, size = instrument.rules, abs(order.quantity)
        market = order.order_type is OrderType.MARKET
        step = rules.market_step if market else rules.limit_step
        if not size.is_finite() or size <= 0 or size % step:
            return Refusal("lot", f"quantity {order.quantity} is not a multiple of {step}")
        if size < rules.min_size:
            return Refusal("size", f"quantity {size} is below the minimum of {rules.min_size}")
        if rules.max_size is not None and size > rules.max_size:
            return Refusal("size", f"quantity {size} is above the maximum of {rules.max_size}")
        price = order.limit if order.limit is not None else self._market.mark(instrument, at)
        notional = size * (price or _ZERO) * instrument.multiplier / instrument.magnifier
        exempt = order.reduce_only and rules.reduce_only_exempt
        if notional < rules.min_notional and not exempt:
            return Refusal(
                "notional", f"notional {notional} is below the minimum of {rules.min_notional}"
            )
        return None

    def _hours(self, instrument: Instrument, order: Order, at: datetime) -> Refusal | None:
        if self._market.session(instrument, at) is not None:
            return None
        if order.order_type is OrderType.MARKET or order.time_in_force is TimeInForce.IOC:
            return Refusal("closed", "the market is closed: only resting limit orders are taken")
        if self._market.ended(at) or self._market.next_session(instrument, at) is None:
            return Refusal("closed", "the market is closed, and no later session is known")
        return None

    def _post_only(self, instrument: Instrument, order: Order, at: datetime) -> Refusal | None:
        if not order.post_only:
            return None
        return post_only_refusal(order, self._market.touch(instrument, at))

    def _position(
        self, instrument: Instrument, order: Order, account: Account, working: Sequence[Order]
    ) -> Refusal | None:
        if is_pair(instrument):
            no = Refusal("reduce-only", "a conversion has no position to reduce")
            return no if order.reduce_only else None
        holding = account.holdings.get(order.instrument)
        held = holding.quantity if holding else _ZERO
        if order.reduce_only and held * order.quantity >= 0:
            return Refusal("reduce-only", f"reduce-only order would not reduce {held}")
        if order.reduce_only or order.quantity > 0:
            return None
        sold = sum(
            (o.remaining for o in working if o.instrument == order.instrument and o.quantity < 0),
            order.quantity,
        )
        if held + sold < 0 and self._settings.cash_account:
            return Refusal("short", "no short sales in a cash account")
        if held + sold < 0 and not instrument.shortable:
            return Refusal("short", f"{instrument.id} cannot be borrowed for a short sale")
        return None

    def _money(
        self,
        instrument: Instrument,
        order: Order,
        account: Account,
        working: Sequence[Order],
        at: datetime,
    ) -> Refusal | None:
        if self._settings.cash_account or instrument.kind is Kind.SPOT:
            return self._settled(instrument, order, account, working, at)
        before, after = self._valuer.initial_after(account, working, order, at)
        there = self._valuer.net(account, at)
        if after > there and after > before:
            return Refusal(
                "margin",
                f"margin: {after:.2f} {account.base} would be needed, equity is {there:.2f}",
            )
        return None

    def _settled(
        self,
        instrument: Instrument,
        order: Order,
        account: Account,
        working: Sequence[Order],
        at: datetime,
    ) -> Refusal | None:
        if order.quantity < 0 and not is_pair(instrument):
            return None
        spends = instrument.currency if order.quantity > 0 else base_asset(instrument)
        needed = self._spends(order, spends, at)
        needed += sum((self._spends(other, spends, at) for other in working), _ZERO)
        there = self._valuer.settled_cash(account, at).get(spends, _ZERO)
        if needed > there:
            return Refusal(
                "margin", f"cash: {needed:.2f} {spends} needed, {there:.2f} settled and free"
            )
        return None

    def _spends(self, order: Order, currency: str, at: datetime) -> Decimal:
        """Return how much of a currency an order takes when all of it trades."""
        instrument = self._instruments[order.instrument]
        if is_margined(instrument):
            return _ZERO
        if order.quantity > 0 and instrument.currency == currency:
            price = order.limit
            if price is None:
                touch = self._market.touch(instrument, at)
                price = touch.ask if touch else _ZERO
            return order.remaining * price * instrument.multiplier / instrument.magnifier
        sold = is_pair(instrument) and base_asset(instrument) == currency
        return -order.remaining if order.quantity < 0 and sold else _ZERO


def price_refusal(instrument: Instrument, order: Order) -> Refusal | None:
    """Return why an order's price is not one of the instrument's, None when it is."""
    if order.order_type is OrderType.MARKET:
        return None
    if order.limit is None or not order.limit.is_finite() or order.limit <= 0:
        return Refusal("tick", f"a limit order needs a positive price, not {order.limit}")
    step = instrument.rules.price_step(order.limit)
    if order.limit % step:
        return Refusal("tick", f"price {order.limit} is not a multiple of {step}")
    return None


def post_only_refusal(order: Order, touch: Touch | None) -> Refusal | None:
    """Return why a post-only order is refused: it would trade at once; None when it rests."""
    if touch is None or order.limit is None:
        return None
    buying = order.quantity > 0
    if order.limit < touch.ask if buying else order.limit > touch.bid:
        return None
    side = f"ask of {touch.ask}" if buying else f"bid of {touch.bid}"
    return Refusal("post-only", f"price {order.limit} would trade at once against the {side}")

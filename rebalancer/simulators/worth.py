"""What a simulated account is worth, and what margin it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.errors import StateError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.simulators.books import Account, Order
from rebalancer.simulators.market import Market
from rebalancer.simulators.parameters import PaperSettings

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Worth:
    """An account at one time, in base currency; `marks` are prices by instrument held."""

    net_liquidation: Decimal
    gross: Decimal
    initial: Decimal
    maintenance: Decimal
    marks: Mapping[InstrumentId, Decimal]

    @property
    def excess(self) -> Decimal:
        """Return what is left above the maintenance margin; negative: a real venue would sell."""
        return self.net_liquidation - self.maintenance


class Valuer:
    """Values accounts with the prices of one market and the constant rates of the settings."""

    def __init__(
        self,
        market: Market,
        instruments: Mapping[InstrumentId, Instrument],
        settings: PaperSettings,
        base: str,
    ) -> None:
        self._market = market
        self._instruments = instruments
        self._settings = settings
        self.rates: Mapping[str, Decimal] = {**settings.fx, base: Decimal(1)}

    def factor(self, instrument: Instrument) -> Decimal:
        """Return the base-currency value of one unit at a price of one."""
        rate = self.rates.get(instrument.currency)
        if rate is None:
            raise StateError(f"paper.fx has no rate for {instrument.currency} ({instrument.id})")
        return rate * instrument.multiplier / instrument.magnifier

    def instrument(self, identifier: InstrumentId) -> Instrument:
        """Return an instrument that is held; raises `StateError` when it is not known here."""
        found = self._instruments.get(identifier)
        if found is None:
            raise StateError(f"the paper account holds {identifier}, which is not known any more")
        return found

    def mark(self, identifier: InstrumentId, at: datetime) -> Decimal:
        """Return the price at which a holding is valued."""
        price = self._market.mark(self.instrument(identifier), at)
        if price is None:
            raise StateError(f"the paper account holds {identifier}, which has no price at {at}")
        return price

    def worth(self, account: Account, at: datetime) -> Worth:
        """Return what an account is worth at `at`, its holdings alone."""
        net = sum((amount * self._rate(cur) for cur, amount in account.cash.items()), _ZERO)
        gross = initial = maintenance = _ZERO
        marks = {}
        for identifier, holding in sorted(account.holdings.items()):
            if not holding.quantity:
                continue
            marks[identifier] = self.mark(identifier, at)
            value = holding.quantity * marks[identifier] * self.factor(self.instrument(identifier))
            net += value
            gross += abs(value)
            initial += abs(value) * self._ratio(value, initial=True)
            maintenance += abs(value) * self._ratio(value, initial=False)
        return Worth(net, gross, initial, maintenance, marks)

    def initial_with(self, account: Account, orders: Iterable[Order], at: datetime) -> Decimal:
        """Return the initial margin when every one of `orders` that makes it larger trades."""
        buys: dict[InstrumentId, Decimal] = {}
        sells: dict[InstrumentId, Decimal] = {}
        for order in orders:
            side = buys if order.quantity > 0 else sells
            if not order.reduce_only:
                side[order.instrument] = side.get(order.instrument, _ZERO) + order.remaining
        held = {name: each.quantity for name, each in account.holdings.items() if each.quantity}
        total = _ZERO
        for identifier in sorted({*held, *buys, *sells}):
            instrument = self.instrument(identifier)
            if instrument.kind is Kind.FOREX:
                continue
            unit = self.mark(identifier, at) * self.factor(instrument)
            now = held.get(identifier, _ZERO)
            ends = (now + buys.get(identifier, _ZERO), now + sells.get(identifier, _ZERO), now)
            total += max(abs(end) * unit * self._ratio(end, initial=True) for end in ends)
        return total

    def settled_cash(self, account: Account, at: datetime) -> dict[str, Decimal]:
        """Return the cash without the proceeds of sales that have not settled yet."""
        settled = dict(account.cash)
        needed = self._settings.settlement_sessions
        for execution in account.executions:
            instrument = self.instrument(execution.instrument)
            if execution.quantity > 0 or instrument.kind is Kind.FOREX or not needed:
                continue
            if self._market.sessions_since(instrument, execution.at, at) < needed:
                proceeds = -execution.quantity * execution.price
                proceeds *= instrument.multiplier / instrument.magnifier
                settled[execution.currency] = settled.get(execution.currency, _ZERO) - proceeds
        return settled

    def _rate(self, currency: str) -> Decimal:
        rate = self.rates.get(currency)
        if rate is None:
            raise StateError(f"paper.fx has no rate for {currency}, which the paper account holds")
        return rate

    def _ratio(self, quantity: Decimal, *, initial: bool) -> Decimal:
        chosen = self._settings
        if initial:
            return chosen.initial_margin_long if quantity > 0 else chosen.initial_margin_short
        return chosen.maintenance_margin_long if quantity > 0 else chosen.maintenance_margin_short

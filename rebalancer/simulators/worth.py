"""What a simulated account is worth, and what margin it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.errors import StateError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.simulators.books import Account, Holding, Order
from rebalancer.simulators.kinds import base_asset, is_crypto, is_margined, is_pair
from rebalancer.simulators.market import Market
from rebalancer.simulators.parameters import PaperSettings

_ZERO = Decimal(0)
_DOLLARS = frozenset({"USD", "USDT", "USDC", "FDUSD"})
"""Assets that an account in one of the others values at one, where no pair prices them."""


@dataclass(frozen=True)
class Worth:
    """An account at one time, in base currency; `marks` are prices by instrument held.

    `gross` is without futures, as Interactive Brokers tells it.
    """

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
        self._dollars = base in _DOLLARS and any(map(is_crypto, instruments.values()))
        self._pairs: dict[str, InstrumentId] | None = None
        self.leverage: Callable[[InstrumentId], Decimal] = self._usual_leverage
        self.maintenance: Callable[[InstrumentId, Decimal], Decimal] = self._usual_maintenance

    def rate(self, asset: str) -> Decimal | None:
        """Return the constant base-currency value of an asset, None when it has none."""
        found = self.rates.get(asset)
        return Decimal(1) if found is None and self._dollars and asset in _DOLLARS else found

    def factor(self, instrument: Instrument) -> Decimal:
        """Return the base-currency value of one unit at a price of one."""
        rate = self.rate(instrument.currency)
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
        net = sum((self.cash_worth(cur, amount, at) for cur, amount in account.cash.items()), _ZERO)
        gross = initial = maintenance = _ZERO
        marks = {}
        for identifier, holding in sorted(account.holdings.items()):
            if not holding.quantity:
                continue
            instrument = self.instrument(identifier)
            marks[identifier] = self.mark(identifier, at)
            if is_margined(instrument):
                profit, value = self._margined(identifier, holding, marks[identifier])
                net += profit
                gross += _ZERO if instrument.kind is Kind.FUTURE else value
                initial += value / self.leverage(identifier)
                maintenance += self.maintenance(identifier, value)
                continue
            value = holding.quantity * marks[identifier] * self.factor(instrument)
            gross += abs(value)
            net += value
            initial += abs(value) * self._ratio(value, initial=True)
            maintenance += abs(value) * self._ratio(value, initial=False)
        return Worth(net, gross, initial, maintenance, marks)

    def _margined(
        self, identifier: InstrumentId, holding: Holding, mark: Decimal
    ) -> tuple[Decimal, Decimal]:
        """Return open profit and absolute notional of a margined position."""
        factor = self.factor(self.instrument(identifier))
        profit = holding.quantity * (mark - holding.average_cost) * factor
        return profit, abs(holding.quantity * mark * factor)

    def net(self, account: Account, at: datetime) -> Decimal:
        """Return the net liquidation value alone."""
        net = sum((self.cash_worth(cur, amount, at) for cur, amount in account.cash.items()), _ZERO)
        for identifier, holding in sorted(account.holdings.items()):
            if not holding.quantity:
                continue
            instrument, mark = self.instrument(identifier), self.mark(identifier, at)
            if is_margined(instrument):
                net += self._margined(identifier, holding, mark)[0]
            else:
                net += holding.quantity * mark * self.factor(instrument)
        return net

    def initial_with(self, account: Account, orders: Iterable[Order], at: datetime) -> Decimal:
        """Return the initial margin when every one of `orders` that makes it larger trades."""
        return sum(self._needs(account, orders, at).values(), _ZERO)

    def initial_after(
        self, account: Account, orders: Iterable[Order], order: Order, at: datetime
    ) -> tuple[Decimal, Decimal]:
        """Return `initial_with` without one more order, and with it."""
        others = list(orders)
        needs = self._needs(account, others, at)
        same = [each for each in others if each.instrument == order.instrument]
        one = self._needs(account, [*same, order], at, order.instrument)
        with_it = needs | one
        after = sum((with_it[name] for name in sorted(with_it)), _ZERO)
        return sum(needs.values(), _ZERO), after

    def _needs(
        self,
        account: Account,
        orders: Iterable[Order],
        at: datetime,
        only: InstrumentId | None = None,
    ) -> dict[InstrumentId, Decimal]:
        """Return the initial margin by instrument, when what makes it larger trades."""
        buys: dict[InstrumentId, Decimal] = {}
        sells: dict[InstrumentId, Decimal] = {}
        for order in orders:
            side = buys if order.quantity > 0 else sells
            if not order.reduce_only:
                side[order.instrument] = side.get(order.instrument, _ZERO) + order.remaining
        held = {name: each.quantity for name, each in account.holdings.items() if each.quantity}
        needs = {}
        for identifier in sorted({*held, *buys, *sells}) if only is None else [only]:
            instrument = self.instrument(identifier)
            if is_pair(instrument):
                continue
            unit = self.mark(identifier, at) * self.factor(instrument)
            now = held.get(identifier, _ZERO)
            ends = (now + buys.get(identifier, _ZERO), now + sells.get(identifier, _ZERO), now)
            if is_margined(instrument):
                largest = max(abs(end) for end in ends)
                needs[identifier] = largest * unit / self.leverage(identifier)
                continue
            each = (abs(end) * unit * self._ratio(end, initial=True) for end in ends)
            needs[identifier] = max(each)
        return needs

    def settled_cash(self, account: Account, at: datetime) -> dict[str, Decimal]:
        """Return the cash without the proceeds of sales that have not settled yet."""
        settled = dict(account.cash)
        needed = self._settings.settlement_sessions
        for execution in account.executions:
            instrument = self.instrument(execution.instrument)
            if execution.quantity > 0 or not needed or _settles_at_once(instrument):
                continue
            if self._market.sessions_since(instrument, execution.at, at) < needed:
                proceeds = -execution.quantity * execution.price
                proceeds *= instrument.multiplier / instrument.magnifier
                settled[execution.currency] = settled.get(execution.currency, _ZERO) - proceeds
        return settled

    def cash_worth(self, asset: str, amount: Decimal, at: datetime) -> Decimal:
        """Return an amount of an asset in base currency: by its rate, else by its spot pair.

        Raises `StateError` when neither prices it; nothing of it is worth nothing.
        """
        rate = self.rate(asset)
        if rate is None and not amount:
            return _ZERO
        if rate is None:
            rate = self.pair_price(asset, at)
        if rate is None:
            raise StateError(f"paper.fx has no rate for {asset}, which the paper account holds")
        return amount * rate

    def pair_price(self, asset: str, at: datetime) -> Decimal | None:
        """Return base currency for one unit of an asset by its spot pair, None without one."""
        if self._pairs is None:
            self._pairs = {
                base_asset(each): name
                for name, each in sorted(self._instruments.items())
                if each.kind is Kind.SPOT and self.rate(each.currency) is not None
            }
        identifier = self._pairs.get(asset)
        if identifier is None:
            return None
        instrument = self._instruments[identifier]
        price = self._market.mark(instrument, at)
        return None if price is None else price * self.factor(instrument)

    def _usual_leverage(self, _identifier: InstrumentId) -> Decimal:
        return 1 / self._settings.initial_margin_long

    def _usual_maintenance(self, identifier: InstrumentId, notional: Decimal) -> Decimal:
        return notional / self.leverage(identifier) / 2

    def _ratio(self, quantity: Decimal, *, initial: bool) -> Decimal:
        chosen = self._settings
        if initial:
            return chosen.initial_margin_long if quantity > 0 else chosen.initial_margin_short
        return chosen.maintenance_margin_long if quantity > 0 else chosen.maintenance_margin_short


def _settles_at_once(instrument: Instrument) -> bool:
    return is_pair(instrument) or is_margined(instrument)

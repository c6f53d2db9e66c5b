"""What an account has to spend and what it is exposed to, before any order of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.instrument import InstrumentId, Kind
from rebalancer.model.market import Quote
from rebalancer.model.orders import WorkingOrder
from rebalancer.risk.candidates import unit, worst_of_others
from rebalancer.risk.parameters import Limits, Override
from rebalancer.risk.terms import GateInput

_MARGINED = frozenset({Kind.FUTURE, Kind.PERPETUAL})


@dataclass(frozen=True)
class Means:
    """The account as the shared limits see it; amounts in base currency unless said.

    `cash` is spendable, by currency, less what buys of others may take. `exposure` is each
    holding's value without sign, `net` the sum with signs. `others_*` is what orders of
    others may add at their worst. `blind` says what is unknown ('' nothing): then only
    reductions pass. `by_owner`: these are a command's.
    """

    base: str
    net_liquidation: Decimal
    limits: Limits
    cash: Mapping[str, Decimal]
    rates: Mapping[str, Decimal]
    proceeds_usable: bool
    reserve: Decimal
    borrow_limit: Decimal | None
    exposure: Mapping[InstrumentId, Decimal]
    exposure_per_unit: Mapping[InstrumentId, Decimal]
    net: Decimal
    excess_liquidity: Decimal | None
    orders_in_session: int
    turnover_in_session: Decimal
    others_gross: Decimal = Decimal(0)
    others_bought: Decimal = Decimal(0)
    others_sold: Decimal = Decimal(0)
    others_position: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    blind: str = ""
    orders_before: int = 0
    turnover_before: Decimal = Decimal(0)
    overrides: Mapping[InstrumentId, Override] = field(default_factory=dict)
    by_owner: bool = False

    def floor(self, currency: str) -> Decimal:
        """Return the least cash that must be left in a currency (negative: may be borrowed)."""
        rate = self.rates.get(currency)
        if self.borrow_limit is None or rate is None:
            return Decimal(0)
        return -self.borrow_limit / rate

    def in_base(self, cash: Mapping[str, Decimal]) -> Decimal | None:
        """Return cash of all currencies; what has no rate counts nothing, owed: None."""
        total = Decimal(0)
        for currency in sorted(cash):
            rate = self.rates.get(currency)
            if rate is not None:
                total += cash[currency] * rate
            elif cash[currency] < 0:
                return None
        return total


@dataclass
class _Others:
    """What orders of others may take, while it is added up."""

    gross: Decimal = Decimal(0)
    bought: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)
    position: dict[InstrumentId, Decimal] = field(default_factory=dict)
    cash: dict[str, Decimal] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def means_of(given: GateInput) -> Means:
    """Return what the account has before any order of this run."""
    account = given.account
    exposure: dict[InstrumentId, Decimal] = {}
    per_unit: dict[InstrumentId, Decimal] = {}
    net = Decimal(0)
    blind = [f"its {what} is unknown" for what in account.margin_unknown]
    for position in account.positions:
        if not position.quantity:
            continue
        value = _value(position, account)
        if value is None:
            blind.append(f"{position.instrument} is held and its value is unknown")
            continue
        name = position.instrument
        exposure[name] = exposure.get(name, Decimal(0)) + abs(value)
        per_unit[name] = abs(value / position.quantity)
        net += value
    others = _worst(given, per_unit)
    cash = _spendable(account)
    for currency in sorted(others.cash):
        cash[currency] = cash.get(currency, Decimal(0)) - others.cash[currency]
    currencies = {*cash, *(instrument.currency for instrument in given.universe)}
    return Means(
        base=account.rates.base,
        net_liquidation=account.net_liquidation,
        limits=given.limits,
        cash=cash,
        rates={c: account.rates.rate(c) for c in sorted(currencies) if account.rates.knows(c)},
        proceeds_usable=account.settled_cash is None,
        reserve=given.reserve,
        borrow_limit=given.borrow_limit,
        exposure=exposure,
        exposure_per_unit=per_unit,
        net=net,
        excess_liquidity=account.excess_liquidity,
        orders_in_session=given.orders_in_session,
        turnover_in_session=given.turnover_in_session,
        others_gross=others.gross,
        others_bought=others.bought,
        others_sold=others.sold,
        others_position=others.position,
        blind="; ".join((*blind, *others.unknown)),
        orders_before=given.orders_before,
        turnover_before=given.turnover_before,
        overrides=given.overrides,
        by_owner=given.by_owner,
    )


def _value(position: Position, account: AccountSnapshot) -> Decimal | None:
    value = position.value
    if value is None or not value.is_finite() or not account.rates.knows(position.currency):
        return None
    return value * account.rates.rate(position.currency)


def _spendable(account: AccountSnapshot) -> dict[str, Decimal]:
    """Return cash by currency; in a cash account only what is settled."""
    if account.settled_cash is None:
        return {currency: account.cash[currency] for currency in sorted(account.cash)}
    settled = account.settled_cash
    names = sorted({*account.cash, *settled})
    zero = Decimal(0)
    return {name: min(account.cash.get(name, zero), settled.get(name, zero)) for name in names}


def _worst(given: GateInput, per_unit: Mapping[InstrumentId, Decimal]) -> _Others:
    found = _Others()
    remaining = worst_of_others(given.others)
    for name in sorted(remaining):
        buys, sells = remaining[name]
        price = _worth_of_one(given, name, per_unit)
        if price is None:
            found.unknown.append(f"what orders of others in {name} may cost is unknown")
            continue
        held = given.account.quantity(name)
        more = max(abs(held + buys), abs(held + sells), abs(held)) - abs(held)
        found.gross += more * price
        found.position[name] = more * price
        found.bought += buys * price
        found.sold += sells * price
        _take_cash(found, given, name, buys * price)
    return found


def _take_cash(found: _Others, given: GateInput, name: InstrumentId, cost: Decimal) -> None:
    if name in given.universe:
        if given.universe[name].kind in _MARGINED:
            return
        currency = given.universe[name].currency
    else:
        held = (p.currency for p in given.account.positions if p.instrument == name)
        currency = next(held, given.account.rates.base)
    in_currency = cost / given.account.rates.rate(currency)
    found.cash[currency] = found.cash.get(currency, Decimal(0)) + in_currency


def _worth_of_one(
    given: GateInput, name: InstrumentId, per_unit: Mapping[InstrumentId, Decimal]
) -> Decimal | None:
    """Return what one unit of an instrument of others' orders may cost in base currency."""
    if name not in given.universe:
        return per_unit.get(name)
    instrument = given.universe[name]
    if not given.account.rates.knows(instrument.currency):
        return None
    prices = [*_limits(given.others, name), *_quoted(given.market.quotes.get(name))]
    if not prices:
        return per_unit.get(name)
    return max(prices) * unit(instrument) * given.account.rates.rate(instrument.currency)


def _limits(others: tuple[WorkingOrder, ...], name: InstrumentId) -> list[Decimal]:
    return [
        abs(order.limit)
        for order in others
        if order.instrument == name and order.limit is not None and order.limit.is_finite()
    ]


def _quoted(quote: Quote | None) -> list[Decimal]:
    if quote is None:
        return []
    known = (quote.bid, quote.ask, quote.close)
    return [abs(price) for price in known if price is not None and price.is_finite()]

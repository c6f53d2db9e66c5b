"""Budgets: the session's turnover, and cash above the reserve, order by order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.fees import FeeSchedule
from rebalancer.model.plan import price_of, units
from rebalancer.planning.columns import Bools, Floats, Ints
from rebalancer.planning.live import LiveColumns
from rebalancer.planning.parameters import Funding, PlanParameters
from rebalancer.planning.sizing import NEAR, Capital

_PRECISION = 60


@dataclass(frozen=True, slots=True)
class Purse:
    """Cash above every floor, before what short positions set aside.

    `total` is in base currency, less the reserve; `own` per currency of the universe's
    currencies, each in that currency. Both may be negative: then nothing opens.
    """

    total: Decimal
    own: tuple[Decimal, ...]
    proceeds_count: bool


def purse(
    account: AccountSnapshot, live: LiveColumns, capital: Capital, parameters: PlanParameters
) -> Purse:
    """Return what may be spent before anything is sold.

    A venue that tells settled cash apart lets only that be spent, and no proceeds of this
    run. Cash in a currency without a rate is not counted when it is positive; a debt in one,
    or an amount that is not a finite number, makes the total unknown, and nothing opens.
    REFUSE keeps each currency at zero or above; BORROW lets each one and the total go
    `borrow_limit` (base currency) lower.
    """
    cash = {currency: amount for currency, amount in account.cash.items() if amount}
    unknown = [currency for currency, amount in cash.items() if not amount.is_finite()]
    cash |= dict.fromkeys(unknown, Decimal(0))
    settled = account.settled_cash
    if settled is not None:
        cash = {c: min(amount, settled.get(c, Decimal(0))) for c, amount in cash.items()}
    total = -parameters.cash_reserve * capital.sizing
    for currency, amount in sorted(cash.items()):
        if account.rates.knows(currency):
            total += amount * account.rates.rate(currency)
        elif amount < 0:
            total -= abs(capital.investable) * 1_000_000
    total -= len(unknown) * abs(capital.investable) * 1_000_000
    lower = parameters.borrow_limit if parameters.funding is Funding.BORROW else Decimal(0)
    own = tuple(
        cash.get(currency, Decimal(0)) + (lower / rate if rate else Decimal(0))
        for currency, rate in zip(live.rules.currencies, live.rates, strict=True)
    )
    return Purse(total + lower, own, settled is None)


@dataclass(frozen=True, eq=False)
class Wants:
    """Orders by priority (first served first); columns of shape (m,).

    `row`: the instrument's; `sign`: 1 buys, -1 sells; `size`: size units, not negative;
    `lot`: what an order is a multiple of; `least`: below it an order is dust; `limit`: price
    units; `crossed`: how much of an opening order only takes back what is left of the
    opposite holding; `notional`: base currency per size unit at the reference; `fee`: the
    whole order's in its currency, estimated.
    """

    row: Ints
    sign: Ints
    size: Ints
    lot: Ints
    least: Ints
    limit: Ints
    reducing: Bools
    crossed: Ints
    notional: Floats
    fee: Floats


def within_turnover(wants: Wants, budget: float | None) -> Ints:
    """Return sizes that fit the turnover budget (base currency; None: no bound), in order."""
    if budget is None:
        return wants.size
    worth = wants.size * wants.notional
    if float(worth.sum()) <= budget * (1 - NEAR):
        return wants.size
    sizes, left = wants.size.copy(), max(budget, 0.0) * (1 + NEAR)
    for place in range(len(sizes)):
        if float(worth[place]) > left:
            lot = int(wants.lot[place])
            lots = int(left // float(wants.notional[place] * lot))
            sizes[place] = _not_dust(min(lots * lot, int(sizes[place])), int(wants.least[place]))
        left -= float(sizes[place] * wants.notional[place])
    return sizes


def within_cash(
    wants: Wants, sizes: Ints, have: Purse, live: LiveColumns, fees: FeeSchedule
) -> Ints:
    """Return sizes that cash pays for, fees included, in order of priority.

    A paid short sets aside what it is worth at the reference price: its proceeds are owed.
    Reductions are never refused here; what they bring or cost at their limits is booked
    first. Opening sales come before buys: they cost a fee and may bring a little. What does
    not fit is cut to the lots that do, and dropped when that is dust; the next one is tried
    with what is left. In the end not one more lot of anything that was cut could be paid
    for: so a second plan finds nothing to buy. Floats decide only what is clear; the rest is
    counted in exact decimals.
    """
    if _clearly_paid(wants, sizes, have, live):
        return sizes
    with localcontext(prec=_PRECISION):
        till = _Till(wants, have, live, fees)
        result = sizes.copy()
        for place in np.flatnonzero(wants.reducing & (sizes > 0)).tolist():
            till.book(place, int(sizes[place]))
        opening = ~wants.reducing & (sizes > 0)
        sales = np.flatnonzero(opening & (wants.sign < 0)).tolist()
        for place in [*sales, *np.flatnonzero(opening & (wants.sign > 0)).tolist()]:
            result[place] = till.affordable(place, int(sizes[place]))
            till.book(place, int(result[place]))
        return result


def _released(
    sign: Ints | int, reducing: Bools | bool, size: Ints | int, crossed: Ints | int
) -> Ints:
    """Return how many size units of shorts an order no longer sets aside (negative: more)."""
    cover, opened = np.where(reducing, size, crossed), np.where(reducing, 0, crossed - size)
    return np.where(sign > 0, cover, opened)


def _clearly_paid(wants: Wants, sizes: Ints, have: Purse, live: LiveColumns) -> bool:
    """Return whether floats are sure that everything can be paid for."""
    rules, row = live.rules, wants.row
    fx, coin, paid = live.fx[row], rules.currency[row], rules.paid[row]
    value = wants.limit / rules.price_unit[row] * rules.worth[row] / rules.size_unit[row]
    aside = np.abs(live.exposure[row]) / fx
    released = _released(wants.sign, wants.reducing, sizes, wants.crossed)
    flow = np.where(paid, -wants.sign * sizes * value + released * aside, 0.0)
    if not have.proceeds_count:
        flow = np.where(wants.reducing, np.minimum(flow, 0.0), flow)
    flow = np.where(sizes > 0, flow - wants.fee, 0.0)
    short = np.flatnonzero(rules.paid & (live.held < 0) & ~np.isnan(live.mark))
    owed = -live.held[short] * np.abs(live.mark[short])
    count = len(rules.currencies)
    left = np.bincount(coin, flow, count) + np.array([float(own) for own in have.own])
    left = left - np.bincount(rules.currency[short], owed / live.fx[short], count)
    total = float(have.total) + float((flow * fx).sum()) - float(owed.sum())
    scale = float((np.abs(flow) * fx).sum()) + abs(float(have.total)) + float(owed.sum())
    needy = np.zeros(count, np.bool_)
    needy[coin[~wants.reducing & (sizes > 0)]] = True
    rates = np.array([float(rate or 1) for rate in live.rates])
    return total > NEAR * scale and bool(np.all((left * rates > NEAR * scale) | ~needy))


class _Till:
    """Cash while orders are booked one by one, in exact decimals."""

    def __init__(self, wants: Wants, have: Purse, live: LiveColumns, fees: FeeSchedule) -> None:
        self.wants, self.live, self.fees = wants, live, fees
        self.total, self.own = have.total, list(have.own)
        self.proceeds_count = have.proceeds_count
        self.last: tuple[int, int, Decimal] | None = None
        rules = live.rules
        for row in np.flatnonzero(rules.paid & (live.held < 0)).tolist():
            coin, rate = int(rules.currency[row]), live.rates[int(rules.currency[row])]
            if live.known[row]:
                owed = -int(live.held[row]) * self._aside(row)
            elif rate and not np.isnan(live.mark[row]):
                owed = Decimal(-int(live.held[row]) * float(live.mark[row])) / rate
            else:
                continue
            self.own[coin] -= owed
            self.total -= owed * (rate or 0)

    def _value(self, row: int, price: int) -> Decimal:
        instrument, rules = self.live.rules.universe.instruments[row], self.live.rules
        exact = price_of(price, int(rules.price_digits[row]))
        worth = exact * instrument.multiplier / instrument.magnifier
        return worth.scaleb(-int(rules.size_digits[row]))

    def _aside(self, row: int) -> Decimal:
        return abs(self._value(row, int(self.live.reference[row])))

    def _flow(self, place: int, size: int) -> Decimal:
        """Return how an order of `size` size units changes spendable cash, in its currency."""
        if self.last is None or self.last[:2] != (place, size):
            self.last = (place, size, self._new_flow(place, size))
        return self.last[2]

    def _new_flow(self, place: int, size: int) -> Decimal:
        wants, row = self.wants, int(self.wants.row[place])
        rules, sign = self.live.rules, int(wants.sign[place])
        quantity, limit = units(sign * size, int(rules.size_digits[row])), int(wants.limit[place])
        flow = Decimal(0)
        if rules.paid[row]:
            crossed = min(int(wants.crossed[place]), size)
            if wants.reducing[place]:
                released = size if sign > 0 else 0
            else:
                released = crossed if sign > 0 else crossed - size
            flow = -sign * size * self._value(row, limit) + released * self._aside(row)
        if wants.reducing[place] and not self.proceeds_count:
            flow = min(flow, Decimal(0))
        price = price_of(limit, int(rules.price_digits[row]))
        return flow - self.fees.order_fee(rules.universe.instruments[row], quantity, price).amount

    def book(self, place: int, size: int) -> None:
        """Take an order's cash out, or put it in."""
        if size:
            flow, coin = (
                self._flow(place, size),
                int(self.live.rules.currency[self.wants.row[place]]),
            )
            self.own[coin] += flow
            self.total += flow * self._rate(coin)

    def _coin(self, place: int) -> int:
        return int(self.live.rules.currency[self.wants.row[place]])

    def _rate(self, coin: int) -> Decimal:
        return self.live.rates[coin] or Decimal(0)

    def affordable(self, place: int, size: int) -> int:
        """Return the largest size up to `size` that can be paid for, 0 when that is dust."""
        lot, least = int(self.wants.lot[place]), int(self.wants.least[place])
        smallest = max(lot, -(-least // lot) * lot)
        if self._fits(place, size):
            return size
        if smallest > size or not self._fits(place, smallest):
            return 0
        low, high = smallest // lot, size // lot
        while high - low > 1:  # low lots can be paid for, high cannot
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits(place, middle * lot) else (low, middle)
        return low * lot

    def _fits(self, place: int, size: int) -> bool:
        flow, coin = self._flow(place, size), self._coin(place)
        return self.own[coin] + flow >= 0 and self.total + flow * self._rate(coin) >= 0


def _not_dust(size: int, least: int) -> int:
    return size if size >= least else 0

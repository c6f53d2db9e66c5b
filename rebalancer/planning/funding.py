"""Budgets: the session's turnover, and cash above the reserve, order by order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import fsum

import numpy as np

from rebalancer.model.account import AccountSnapshot
from rebalancer.planning.columns import Bools, Floats, Ints
from rebalancer.planning.live import LiveColumns
from rebalancer.planning.parameters import Funding, PlanParameters
from rebalancer.planning.sizing import NEAR, Capital


@dataclass(frozen=True, eq=False)
class Purse:
    """Cash that opening orders may use, above every floor.

    `total` is in base currency, less the reserve; `own` per currency of the universe's
    currencies, each in that currency. Both may be negative: then nothing opens.
    """

    total: float
    own: Floats
    proceeds_count: bool


def purse(
    account: AccountSnapshot, live: LiveColumns, capital: Capital, parameters: PlanParameters
) -> Purse:
    """Return what may be spent before anything is sold.

    A venue that tells settled cash apart lets only that be spent, and no proceeds of this
    run. What short positions are worth is set aside: their proceeds are owed, not spendable.
    Cash in a currency without a rate is not counted when it is positive; a debt in one makes
    the total unknown, and nothing opens. REFUSE keeps each currency at zero or above; BORROW
    lets each one and the total go `borrow_limit` (base currency) lower.
    """
    cash = {currency: amount for currency, amount in account.cash.items() if amount}
    settled = account.settled_cash
    if settled is not None:
        cash = {c: min(amount, settled.get(c, Decimal(0))) for c, amount in cash.items()}
    total = -parameters.cash_reserve * capital.sizing
    for currency, amount in sorted(cash.items()):
        if account.rates.knows(currency):
            total += amount * account.rates.rate(currency)
        elif amount < 0:
            total -= abs(capital.investable) * 1_000_000
    lower = parameters.borrow_limit if parameters.funding is Funding.BORROW else Decimal(0)
    shorts = np.flatnonzero(live.rules.paid & (live.held < 0) & ~np.isnan(live.mark))
    owed = -live.held[shorts] * np.abs(live.mark[shorts])
    coins = live.rules.currency[shorts]
    owed_own = np.bincount(coins, owed / live.fx[shorts], len(live.rules.currencies))
    own = [
        float(cash.get(currency, Decimal(0)) + (lower / rate if rate else Decimal(0)))
        for currency, rate in zip(live.rules.currencies, live.rates, strict=True)
    ]
    left = float(total + lower) - fsum(owed.tolist())
    return Purse(left, np.array(own, np.float64) - owed_own, settled is None)


@dataclass(frozen=True, eq=False)
class Wants:
    """Orders by priority (first served first); columns of shape (m,).

    `row`: the instrument's; `size`: size units, not negative; `lot`: size units an order is a
    multiple of; `least`: size units below which an order is dust; `price`: settlement units
    needed per size unit to open at the limit (for a short, what it brings less than is set
    aside for it); `notional`: base currency per size unit at the reference; `fee`: the whole
    order's, in its currency; `gives`: settlement units per size unit that a reduction brings;
    `relief`: settlement units that an opening order needs less, all in all, because it first
    crosses what is left of the opposite holding (dust).
    """

    row: Ints
    size: Ints
    lot: Ints
    least: Ints
    price: Floats
    notional: Floats
    fee: Floats
    gives: Floats
    relief: Floats
    opening: Bools
    selling: Bools


FeeOf = Callable[[int, int], float]
"""Fee, in its currency, of a smaller order: place among the wants, size in size units."""


def within_turnover(wants: Wants, budget: float | None) -> Ints:
    """Return sizes that fit the turnover budget (base currency; None: no bound), in order."""
    if budget is None:
        return wants.size
    worth = wants.size * wants.notional
    if float(worth.sum()) <= budget * (1 - NEAR):
        return wants.size
    sizes, left = wants.size.copy(), max(budget, 0.0) * (1 - NEAR)
    for place in range(len(sizes)):
        if float(worth[place]) > left:
            lot = int(wants.lot[place])
            lots = int(left // float(wants.notional[place] * lot)) if worth[place] else 0
            sizes[place] = _not_dust(min(lots * lot, int(sizes[place])), int(wants.least[place]))
        left -= float(sizes[place] * wants.notional[place])
    return sizes


def within_cash(
    wants: Wants, sizes: Ints, have: Purse, live: LiveColumns, capital: Capital, fee_of: FeeOf
) -> Ints:
    """Return sizes that cash pays for, fees included, in order of priority.

    Reductions are never refused here; what they bring or cost at their limits is booked
    first. Opening sales come before buys (they cost a fee and may bring a little). An order that does not fit is cut to the lots that do, and dropped when
    that is dust; the next one is tried with what is left. No more than one lot of anything
    that was cut could still be paid for in the end: so a second plan finds nothing to buy.
    """
    rules = live.rules
    currency, fx = rules.currency[wants.row], live.fx[wants.row]
    own, total = have.own.copy(), have.total
    gone = ~wants.opening & (sizes > 0)
    incoming = np.where(have.proceeds_count | (wants.gives < 0), wants.gives, 0.0)
    booked = np.where(gone, sizes * incoming - wants.fee, 0.0)
    np.add.at(own, currency, booked)
    total += float((booked * fx).sum())
    margin = NEAR * float(abs(capital.investable))
    cost = sizes * wants.price + wants.fee - wants.relief
    opening = wants.opening & (sizes > 0)
    spent = np.bincount(currency[opening], cost[opening], len(own))
    everything = float((cost * fx)[opening].sum())
    if everything <= total - margin and bool(np.all(spent <= own - margin)):
        return sizes
    result = sizes.copy()
    sales, buys = np.flatnonzero(opening & wants.selling), np.flatnonzero(opening & ~wants.selling)
    for place in [*sales.tolist(), *buys.tolist()]:
        coin, rate = int(currency[place]), float(fx[place])
        left = min(total / rate, float(own[coin])) - margin / rate
        size, fee = _affordable(wants, int(sizes[place]), place, left, fee_of)
        result[place] = size
        need = size * float(wants.price[place]) + fee - float(wants.relief[place]) if size else 0.0
        total -= need * rate
        own[coin] -= need
    return result


def _affordable(
    wants: Wants, size: int, place: int, left: float, fee_of: FeeOf
) -> tuple[int, float]:
    """Return the largest size that `left` pays for with its fee, and that fee."""
    price, lot, least = float(wants.price[place]), int(wants.lot[place]), int(wants.least[place])
    left += float(wants.relief[place])
    whole = fee_of(place, size) if size != int(wants.size[place]) else float(wants.fee[place])
    if size * price + whole <= left:
        return size, whole
    smallest = max(lot, -(-least // lot) * lot)
    if smallest * price > left or smallest > size:
        return 0, 0.0
    low, high = 0, size // lot
    while high - low > 1:  # low lots can be paid for, high cannot
        middle = (low + high) // 2
        if middle * lot * price + fee_of(place, middle * lot) <= left:
            low = middle
        else:
            high = middle
    size = _not_dust(low * lot, least)
    return size, fee_of(place, size) if size else 0.0


def _not_dust(size: int, least: int) -> int:
    return size if size >= least else 0

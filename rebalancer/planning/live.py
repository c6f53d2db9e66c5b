"""What is held and quoted now, as columns of exact integers; the unusable has its trouble."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import numpy as np

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.market import Freshness, MarketSnapshot, Quote
from rebalancer.model.plan import Why
from rebalancer.planning.columns import (
    LARGEST,
    Bools,
    Floats,
    Ints,
    RuleColumns,
    digits_of,
    refined,
)

_PRICED_FROM = frozenset({Freshness.LIVE, Freshness.SYNTHETIC})

# A float times a power of ten is off by less than half a unit below this.
_SURE = float(2**50)


@dataclass(frozen=True, eq=False)
class LiveColumns:
    """What is held and quoted now, in units of `rules` (its size unit divides every holding).

    `trouble` is a `Why` code, 0 where price and rate are usable (`known`). Prices are 0 where
    they are not known and mean nothing there. `fx` is base per settlement unit, NaN unknown;
    `exposure` is base currency per size unit (an integer 1 of `held`), NaN unknown; `mark` is
    the same, from the venue's own valuation where there is no quote. `age` in seconds, -1
    without a quote.
    """

    rules: RuleColumns
    held: Ints
    trouble: Ints
    known: Bools
    bid: Ints
    ask: Ints
    reference: Ints
    fx: Floats
    exposure: Floats
    mark: Floats
    age: Ints
    rate_stale: Bools
    rates: tuple[Decimal | None, ...]

    def exact_exposure(self, row: int) -> Fraction:
        """Return `exposure` of a known row as an exact fraction."""
        instrument = self.rules.universe.instruments[row]
        rate = self.rates[int(self.rules.currency[row])] or Decimal(0)
        price: Fraction = Fraction(
            int(self.reference[row]), 10 ** int(self.rules.price_digits[row])
        )
        worth = Fraction(instrument.multiplier) / Fraction(instrument.magnifier)
        exact: Fraction = price * worth * Fraction(rate)
        return exact / Fraction(10 ** int(self.rules.size_digits[row]))


def read_live(
    rules: RuleColumns,
    account: AccountSnapshot,
    market: MarketSnapshot,
    now: datetime,
    rates_since: datetime | None,
    *,
    allow_delayed: bool = False,
) -> LiveColumns:
    """Return holdings, quotes and rates as columns; what is not usable has its `trouble`.

    `allow_delayed`: a delayed quote is a quote, by the owner's word; a frozen one never is.
    """
    count = len(rules.universe)
    quotes = [market.quotes.get(name) for name in rules.universe.ids]
    fresh = _PRICED_FROM | ({Freshness.DELAYED} if allow_delayed else set())
    trouble = np.fromiter((_quote_trouble(q, fresh) for q in quotes), np.int64, count)
    quoted = trouble == 0
    usable = [None if bad else q for q, bad in zip(quotes, trouble.tolist(), strict=True)]
    bid, bid_in = _prices([None if q is None else q.bid for q in usable], rules, up=False)
    ask, ask_in = _prices([None if q is None else q.ask for q in usable], rules, up=True)
    trouble[quoted & ~(bid_in & ask_in)] = Why.OUT_OF_RANGE
    quoted = trouble == 0
    trouble[quoted & (bid > ask)] = Why.CROSSED
    trouble[quoted & rules.positive & ((bid <= 0) | (ask <= 0))] = Why.NOT_POSITIVE
    # A price of exactly zero (a combo's may be) cannot size anything.
    trouble[(trouble == 0) & (_middle(bid, ask) == 0)] = Why.NOT_POSITIVE
    rates = tuple(
        account.rates.rate(c) if account.rates.knows(c) else None for c in rules.currencies
    )
    fx = np.array([np.nan if r is None else float(r) for r in rates], np.float64)[rules.currency]
    trouble[(trouble == 0) & np.isnan(fx)] = Why.NO_RATE
    rules, held, mark, in_range = _holdings(rules, account, fx)
    trouble[~in_range] = Why.OUT_OF_RANGE
    known = trouble == 0
    reference = np.where(known, _middle(bid, ask), 0)
    price = np.where(known, reference / rules.price_unit, np.nan)
    exposure = price * rules.worth * fx / rules.size_unit
    stale = _stale(rules, account, rates_since)
    return LiveColumns(
        rules=rules,
        held=held,
        trouble=trouble,
        known=known,
        bid=np.where(known, bid, 0),
        ask=np.where(known, ask, 0),
        reference=reference,
        fx=fx,
        exposure=exposure,
        mark=np.where(known, exposure, mark),
        age=_ages(quotes, now),
        rate_stale=stale[rules.currency],
        rates=rates,
    )


def _middle(bid: Ints, ask: Ints) -> Ints:
    # Both are multiples of ten unless a quote lies off the grid; then the lower middle is taken.
    middle: Ints = (bid + ask) // 2
    return middle


def _quote_trouble(quote: Quote | None, fresh: Set[Freshness]) -> int:
    if quote is None:
        return Why.NO_QUOTE
    if quote.freshness not in fresh:
        return Why.DELAYED
    if quote.bid is None or quote.ask is None:
        return Why.ONE_SIDED
    if not (quote.bid.is_finite() and quote.ask.is_finite()):
        return Why.ONE_SIDED
    return 0


def _ages(quotes: list[Quote | None], now: datetime) -> Ints:
    times = {quote.at for quote in quotes if quote is not None}
    ages = {at: max(0, int((now - at).total_seconds())) for at in times}
    return np.array([-1 if q is None else ages[q.at] for q in quotes], np.int64)


def _prices(values: list[Decimal | None], rules: RuleColumns, *, up: bool) -> tuple[Ints, Bools]:
    """Return prices as integers and whether they are in range; None as 0.

    A price between two units (off the venue's own grid) goes to the outer one.
    """
    floats = np.array([0.0 if v is None else float(v) for v in values], np.float64)
    scaled = floats * rules.price_unit
    near = np.rint(scaled)
    unsure = (np.abs(scaled - near) > 1e-6) | (np.abs(scaled) >= _SURE)
    in_range = np.abs(scaled) < LARGEST
    integers = np.where(in_range, near, 0.0).astype(np.int64)
    for row in np.flatnonzero(unsure & in_range).tolist():
        exact = Fraction(values[row] or 0) * 10 ** int(rules.price_digits[row])
        integers[row] = ceil(exact) if up else floor(exact)
        in_range[row] = abs(int(integers[row])) < LARGEST
    return integers, in_range


def _holdings(
    rules: RuleColumns, account: AccountSnapshot, fx: Floats
) -> tuple[RuleColumns, Ints, Floats, Bools]:
    """Return holdings as integers of a size unit that divides them, and the venue's marks."""
    held = np.zeros(len(rules.universe), np.int64)
    value = np.full(len(held), np.nan)
    in_range = np.ones(len(held), np.bool_)
    index, finer = rules.universe.index, dict[int, int]()
    digits = rules.size_digits.tolist()
    quantities: dict[int, Decimal] = {}
    for position in account.positions:
        row = index.get(position.instrument)
        if row is None:
            continue
        quantities[row] = position.quantity
        if position.value is not None:
            value[row] = float(position.value)
        more = digits_of(position.quantity) - digits[row]
        if more > 0:
            finer[row] = more
    if finer:
        rules = refined(rules, finer)
        digits = rules.size_digits.tolist()
    for row, quantity in quantities.items():
        small = quantity.is_finite() and abs(quantity) < LARGEST
        integer = int(quantity.scaleb(digits[row])) if small else LARGEST
        if abs(integer) < LARGEST:
            held[row] = integer
        else:
            in_range[row] = False
    sizes = np.where(held == 0, 1, held)
    mark = np.where(held == 0, np.nan, np.abs(value * fx / sizes))
    return rules, held, mark, in_range


def _stale(rules: RuleColumns, account: AccountSnapshot, since: datetime | None) -> Bools:
    old = [
        since is not None
        and currency != account.rates.base
        and currency in account.rates.rates
        and account.rates.rates[currency].at < since
        for currency in rules.currencies
    ]
    return np.array(old, np.bool_)

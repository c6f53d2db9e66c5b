"""The planner once more, slowly: fractions, one instrument after the other, no columns.

Written from the specification (docs/HOURLY_RUN.md, steps 5 and 6; the rules for numbers in
docs/ARCHITECTURE.md), not from the planner. Leverage and its scaling are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.fees import FeeSchedule
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import MarketSnapshot, Quote
from rebalancer.model.orders import OrderType
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve
from rebalancer.planning import BandRule, Funding, LimitStyle, PlanParameters

F = Fraction


@dataclass(frozen=True)
class Expected:
    """One order as it should be: units, price, base currency."""

    quantity: Fraction
    limit: Fraction
    reducing: bool
    notional: Fraction
    fee: Fraction
    target: Fraction
    current_weight: Fraction
    target_weight: Fraction


@dataclass(frozen=True)
class Case:
    """Everything that a plan depends on."""

    instruments: Sequence[Instrument]
    sleeves: Sequence[Sleeve]
    signals: Mapping[str, Signal]
    memory: Mapping[str, Mapping[InstrumentId, Decimal]]
    account: AccountSnapshot
    market: MarketSnapshot
    parameters: PlanParameters
    fees: FeeSchedule


def expected_orders(case: Case) -> dict[tuple[InstrumentId, bool], Expected]:
    """Return the orders of a plan by instrument and whether they reduce."""
    found: dict[tuple[InstrumentId, bool], Expected] = {}
    held = {p.instrument: F(p.quantity) for p in case.account.positions}
    capital = F(case.account.net_liquidation) * F(case.parameters.capital_share)
    for instrument in case.instruments:
        for order in _of_one(case, instrument, held.get(instrument.id, F(0)), capital):
            found[instrument.id, order.reducing] = order
    return found


def within_budgets(
    case: Case, orders: Mapping[tuple[InstrumentId, bool], Expected], used: Decimal
) -> dict[tuple[InstrumentId, bool], Fraction]:
    """Return what turnover and cash leave of orders: signed quantities, without those of zero."""
    line = sorted(orders, key=lambda key: (not key[1], -orders[key].notional, key[0]))
    sizes = {key: abs(orders[key].quantity) for key in line}
    _turnover(case, orders, line, sizes, used)
    till = _Till(case, orders)
    for key in line:
        if key[1] and sizes[key]:
            till.book(key, sizes[key], sizes)
    opening = [key for key in line if not key[1] and sizes[key]]
    for key in sorted(opening, key=lambda key: orders[key].quantity > 0):
        lot = till.lot(key)
        fewest = ceil(max(lot, till.least(key)) / lot)
        few, many = fewest - 1, int(sizes[key] / lot)  # so many lots are paid for; perhaps so many
        while few < many:
            some = (few + many + 1) // 2
            if till.fits(key, some * lot, sizes):
                few = some
            else:
                many = some - 1
        sizes[key] = few * lot if few >= fewest else F(0)
        if sizes[key]:
            till.book(key, sizes[key], sizes)
    return {key: _sign(orders[key].quantity) * sizes[key] for key in line if sizes[key]}


def _turnover(
    case: Case,
    orders: Mapping[tuple[InstrumentId, bool], Expected],
    line: Sequence[tuple[InstrumentId, bool]],
    sizes: dict[tuple[InstrumentId, bool], Fraction],
    used: Decimal,
) -> None:
    if case.parameters.turnover_budget is None:
        return
    till = _Till(case, orders)
    capital = F(case.account.net_liquidation) * F(case.parameters.capital_share)
    left = max(F(0), F(case.parameters.turnover_budget) * capital - F(used))
    for key in line:
        unit = orders[key].notional / abs(orders[key].quantity)
        if sizes[key] * unit > left:
            lot = till.lot(key)
            sizes[key] = min(sizes[key], left // (unit * lot) * lot)
            if sizes[key] < till.least(key):
                sizes[key] = F(0)
        left -= sizes[key] * unit


class _Till:
    """Cash by currency and in all, while orders are paid one by one."""

    def __init__(self, case: Case, orders: Mapping[tuple[InstrumentId, bool], Expected]) -> None:
        self.case, self.orders = case, orders
        self.by_id = {each.id: each for each in case.instruments}
        self.held = {p.instrument: F(p.quantity) for p in case.account.positions}
        parameters, account = case.parameters, case.account
        cash = {name: F(amount) for name, amount in account.cash.items()}
        if account.settled_cash is not None:
            settled = account.settled_cash
            cash = {name: min(have, F(settled.get(name, 0))) for name, have in cash.items()}
        borrow = F(parameters.borrow_limit) if parameters.funding is Funding.BORROW else F(0)
        capital = F(account.net_liquidation) * F(parameters.capital_share)
        self.total = borrow - F(parameters.cash_reserve) * capital
        self.total += sum(have * self.rate(name) for name, have in cash.items())
        self.own = {
            each.currency: cash.get(each.currency, F(0)) + borrow / self.rate(each.currency)
            for each in case.instruments
        }
        for name, quantity in self.held.items():
            if quantity < 0:
                each = self.by_id[name]
                owed = -quantity * self.middle(each)
                self.own[each.currency] -= owed
                self.total -= owed * self.rate(each.currency)

    def rate(self, currency: str) -> Fraction:
        return F(self.case.account.rates.rate(currency))

    def worth(self, each: Instrument, price: Fraction) -> Fraction:
        return price * F(each.multiplier) / F(each.magnifier)

    def middle(self, each: Instrument) -> Fraction:
        quote = self.case.market.quotes[each.id]
        return self.worth(each, (F(quote.bid or 0) + F(quote.ask or 0)) / 2)

    def lot(self, key: tuple[InstrumentId, bool]) -> Fraction:
        rules = self.by_id[key[0]].rules
        market = self.case.parameters.order_type is OrderType.MARKET
        return F(rules.market_step if market else rules.limit_step)

    def least(self, key: tuple[InstrumentId, bool]) -> Fraction:
        each, order = self.by_id[key[0]], self.orders[key]
        rules, rate = each.rules, self.rate(each.currency)
        need = max(F(rules.min_notional), F(self.case.parameters.min_order_notional) / rate)
        left = abs(self.held.get(each.id, F(0))) - abs(order.quantity)
        if order.reducing and rules.reduce_only_exempt and left < self.lot(key):
            need = F(0)
        return max(F(rules.min_size), need / self.worth(each, order.limit))

    def flow(
        self,
        key: tuple[InstrumentId, bool],
        size: Fraction,
        sizes: Mapping[tuple[InstrumentId, bool], Fraction],
    ) -> Fraction:
        """Return how an order changes what may be spent, in its currency."""
        each, order = self.by_id[key[0]], self.orders[key]
        sign = _sign(order.quantity)
        before = self.held.get(each.id, F(0))
        if not order.reducing:
            before += sizes.get((each.id, True), F(0)) * -_sign(before)
        after = before + sign * size
        flow = -sign * size * self.worth(each, order.limit)
        # what is short is set aside at the reference price
        flow += (max(-before, F(0)) - max(-after, F(0))) * self.middle(each)
        if order.reducing and self.case.account.settled_cash is not None:
            flow = min(flow, F(0))
        signed, limit = _decimal(sign * size), _decimal(order.limit)
        return flow - F(self.case.fees.order_fee(each, signed, limit).amount)

    def fits(
        self,
        key: tuple[InstrumentId, bool],
        size: Fraction,
        sizes: Mapping[tuple[InstrumentId, bool], Fraction],
    ) -> bool:
        flow, currency = self.flow(key, size, sizes), self.by_id[key[0]].currency
        paid = self.own[currency] + flow >= 0
        return paid and self.total + flow * self.rate(currency) >= 0

    def book(
        self,
        key: tuple[InstrumentId, bool],
        size: Fraction,
        sizes: Mapping[tuple[InstrumentId, bool], Fraction],
    ) -> None:
        flow, currency = self.flow(key, size, sizes), self.by_id[key[0]].currency
        self.own[currency] += flow
        self.total += flow * self.rate(currency)


def _of_one(
    case: Case, instrument: Instrument, held: Fraction, capital: Fraction
) -> list[Expected]:
    quote = case.market.quotes[instrument.id]
    rate = F(case.account.rates.rate(instrument.currency))
    middle = (F(quote.bid or 0) + F(quote.ask or 0)) / 2
    exposure = middle * F(instrument.multiplier) / F(instrument.magnifier) * rate
    wish = _wish(case, instrument, held, capital, exposure)
    if wish is None:
        return []
    rules, parameters = instrument.rules, case.parameters
    market = parameters.order_type is OrderType.MARKET
    step = F(rules.market_step if market else rules.limit_step)
    target = _sign(wish) * floor(abs(wish) / step + F(1, 2)) * step
    change = _change(parameters, held, wish, target, exposure / capital, step)
    whole = abs(held) // step * step
    closing = F(0)
    if held * change < 0:
        closing = _sign(change) * min(abs(change), whole)
    opening = change - closing
    if opening < 0 and not (parameters.allow_short and instrument.shortable):
        opening = F(0)
    orders = []
    for quantity, reducing in ((closing, True), (opening, False)):
        most = step * 10**30
        if rules.max_size is not None:
            most = F(rules.max_size) // step * step
        size = min(abs(quantity), most)
        if not size:
            continue
        limit = _limit(instrument, quote, quantity > 0, parameters)
        emptied = reducing and rules.reduce_only_exempt and abs(held) - size < step
        worth = abs(limit) * F(instrument.multiplier) / F(instrument.magnifier)
        need = max(F(rules.min_notional), F(parameters.min_order_notional) / rate)
        if size < F(rules.min_size) or (not emptied and size * worth < need):
            continue
        signed = _sign(quantity) * size
        fee = case.fees.order_fee(instrument, _decimal(signed), _decimal(limit)).amount
        weights = held * exposure / capital, wish * exposure / capital
        orders.append(
            Expected(signed, limit, reducing, size * abs(exposure), F(fee) * rate, target, *weights)
        )
    return orders


def _wish(
    case: Case, instrument: Instrument, held: Fraction, capital: Fraction, exposure: Fraction
) -> Fraction | None:
    """Return the units wanted, None where it is to be held as it is."""
    signals, low, high, spoken = F(0), F(0), F(0), False
    members = [sleeve for sleeve in case.sleeves if instrument.id in sleeve.universe]
    if not members:
        return None
    for sleeve in members:
        signal = case.signals.get(sleeve.name)
        if signal is not None and instrument.id in signal.targets:
            spoken = True
            value = F(signal.targets[instrument.id])
            if signal.unit is Unit.WEIGHT:
                value *= F(sleeve.share) * F(signal.leverage) * capital / exposure
            signals += value
        elif signal is not None and signal.coverage is Coverage.COMPLETE:
            spoken = True
        else:
            kept = case.memory.get(sleeve.name, {}).get(instrument.id)
            if kept is None:
                return None
            low, high = low + min(F(kept), F(0)), high + max(F(kept), F(0))
    if not spoken:
        return None
    return min(max(held, signals + low), signals + high)


def _change(
    parameters: PlanParameters,
    held: Fraction,
    wish: Fraction,
    target: Fraction,
    weight_of_unit: Fraction,
    step: Fraction,
) -> Fraction:
    current, wanted = held * weight_of_unit, wish * weight_of_unit
    width = max(F(parameters.band_absolute), F(parameters.band_relative) * abs(wanted))
    if wish == 0:
        width = F(0)
        if held == 0:
            return F(0)
    elif abs(current - wanted) <= width:
        return F(0)
    lots = floor(abs(target - held) / step)
    if parameters.band_rule is BandRule.EDGE:
        beyond = (abs(current - wanted) - width) / (abs(weight_of_unit) * step)
        needed = floor(beyond) + 1  # on the edge itself is a hair too little
        lots = max(min(needed, lots), min(1, lots))
    return _sign(target - held) * lots * step


def _limit(
    instrument: Instrument, quote: Quote, buys: bool, parameters: PlanParameters
) -> Fraction:
    bid, ask = F(quote.bid or 0), F(quote.ask or 0)
    own, other = (bid, ask) if buys else (ask, bid)
    style = parameters.limit_style
    start = {
        LimitStyle.PASSIVE: own,
        LimitStyle.MID: (bid + ask) / 2,
        LimitStyle.MARKETABLE: other,
    }[style]
    sign = 1 if buys else -1
    price = start + sign * F(parameters.limit_offset_bps) / 10_000 * abs(start)
    step = _step(instrument, price)
    eager = style is LimitStyle.MARKETABLE
    limit = (ceil if buys == eager else floor)(price / step) * step
    if not eager:
        far = _step(instrument, other)
        bound = (floor if buys else ceil)(other / far) * far
        limit = min(limit, bound) if buys else max(limit, bound)
    return max(limit, F(instrument.rules.price_levels[0].step))


def _step(instrument: Instrument, price: Fraction) -> Fraction:
    levels = instrument.rules.price_levels
    return F([level.step for level in levels if F(level.edge) <= abs(price)][-1])


def _sign(number: Fraction) -> int:
    return (number > 0) - (number < 0)


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)

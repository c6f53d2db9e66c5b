"""What executions gained and what they cost against their decisions, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from rebalancer.ledger.entries import booked
from rebalancer.ledger.income import booked_income
from rebalancer.ledger.positions import HOLDINGS, Holding, held_after
from rebalancer.model.conduct import Result, Shortfall
from rebalancer.model.income import IncomeKind
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.money import FxRates, Money
from rebalancer.model.orders import Fill
from rebalancer.model.records import Entry, EntryKind
from rebalancer.model.universe import Universe


def results(
    entries: Sequence[Entry], universe: Universe, rates: FxRates, since: datetime
) -> tuple[Result, ...]:
    """Return what each execution and funding payment from `since` on gained, base currency.

    Price gains of what was closed at average cost, less the commission; a commission that is
    not known yet, or in a currency without a rate, counts nothing. What the venue books as
    realised profit is the same once more and left out. Instruments outside the universe, and
    currencies without a rate, are left out: they are not traded.
    """
    if all(entry.fill.at < since for entry in entries):
        return ()
    held: dict[InstrumentId, Holding] = {}
    found = []
    for each in booked(entries):
        fill = each.fill
        before = held.get(fill.instrument, Holding())
        now = held_after(before, each)
        held[fill.instrument] = now
        if fill.at < since or each.kind in HOLDINGS or not _valued(fill, universe, rates):
            continue
        gain = (now.realised - before.realised) * _unit(fill, universe)
        gain *= rates.rate(fill.currency)
        found.append(Result(fill.at, fill.instrument, gain - _fee(fill, rates)))
    for paid in booked_income(entries):
        name = paid.instrument
        if paid.kind is not IncomeKind.FUNDING or paid.at < since or name is None:
            continue
        if name in universe and rates.knows(paid.asset):
            amount = rates.to_base(Money(paid.amount, paid.asset))
            found.append(Result(paid.at, name, amount))
    return tuple(sorted(found, key=lambda result: (result.at, result.instrument)))


def shortfalls(
    entries: Sequence[Entry], universe: Universe, rates: FxRates, since: datetime
) -> tuple[Shortfall, ...]:
    """Return what each execution from `since` on cost against its decision price.

    That is the implementation shortfall of what was executed (Perold, The Implementation
    Shortfall, 1988), without fees. Executions that nobody here decided are left out.
    """
    if all(entry.fill.at < since for entry in entries):
        return ()
    found = []
    for each in booked(entries):
        fill, price = each.fill, each.decision_price
        if each.kind is not EntryKind.FILL or price is None or fill.at < since:
            continue
        if not _valued(fill, universe, rates):
            continue
        unit = _unit(fill, universe) * rates.rate(fill.currency)
        notional = abs(fill.quantity * price) * unit
        found.append(Shortfall(fill.at, notional, (fill.price - price) * fill.quantity * unit))
    return tuple(found)


def _valued(fill: Fill, universe: Universe, rates: FxRates) -> bool:
    return fill.instrument in universe and rates.knows(fill.currency)


def _unit(fill: Fill, universe: Universe) -> Decimal:
    instrument = universe[fill.instrument]
    return instrument.multiplier / instrument.magnifier


def _fee(fill: Fill, rates: FxRates) -> Decimal:
    currency = fill.commission_currency or fill.currency
    if fill.commission is None or not rates.knows(currency):
        return Decimal(0)
    return rates.to_base(Money(fill.commission, currency))

"""The equity curve: one row a run, and the simple returns one reads from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.money import Money
from rebalancer.model.records import EquityPoint, Standing


@dataclass(frozen=True, slots=True)
class Period:
    """What one period earned and what came and went; amounts in one currency.

    `profit` signed; `inflow` (at the start of the period) and `outflow` (at its end) are
    not negative.
    """

    profit: Decimal
    inflow: Decimal = Decimal(0)
    outflow: Decimal = Decimal(0)


def equity_point(  # noqa: PLR0913 - one row has that many sources
    account: AccountSnapshot,
    *,
    slot: datetime,
    session: date,
    previous: EquityPoint | None,
    standing: Standing,
    orders: int,
    fills: int,
    turnover: Decimal,
    flows: Decimal = Decimal(0),
) -> EquityPoint | None:
    """Return a run's row of `equity.csv`, None when the account cannot be valued.

    That is: net liquidation not a positive number, a position without value or a currency
    without rate; no row is made up. `flows` came in from outside since `previous` (base
    currency) and is no profit.
    """
    value = account.net_liquidation
    parts = position_values(account)
    cash = _cash(account)
    if parts is None or cash is None or not value.is_finite() or value <= 0:
        return None
    mark = max(standing.high_water_mark or value, value)
    since_last = value - (previous.net_liquidation if previous else value) - flows
    begin = standing.start_net_liquidation
    since_start = value - (begin if begin is not None else value) - flows
    if previous is not None:
        since_start = previous.profit_since_start + since_last
    return EquityPoint(
        slot=slot,
        session=session,
        net_liquidation=value,
        cash_base=cash,
        gross_leverage=sum((abs(part) for part in parts), Decimal(0)) / value,
        net_leverage=sum(parts, Decimal(0)) / value,
        profit_since_last=since_last if previous else since_start,
        profit_since_start=since_start,
        drawdown=1 - value / mark,
        orders=orders,
        fills=fills,
        turnover=turnover,
        state=standing.state,
    )


def position_values(account: AccountSnapshot) -> tuple[Decimal, ...] | None:
    """Return each position's signed value in base currency, None when one is unknown."""
    values = []
    for position in account.positions:
        if not position.quantity:
            continue
        if position.value is None or not position.value.is_finite():
            return None
        if not account.rates.knows(position.currency):
            return None
        values.append(position.value * account.rates.rate(position.currency))
    return tuple(values)


def time_weighted_return(start: Decimal, periods: Iterable[Period]) -> tuple[Decimal, ...]:
    """Return each period's return as a fraction; linked by `linked` they are the whole's.

    `start` is the value before the first period. A period earns on what it began with and
    what came in at its start; what goes out at its end still earned. Raises `DataError` when
    a period begins with nothing. Source: Bacon, Practical Portfolio Performance Measurement
    and Attribution, 2nd ed., 2.5 (unit prices).
    """
    value, returns = start, []
    for period in periods:
        invested = value + period.inflow
        if invested <= 0:
            raise DataError(f"a period begins with {invested:f}: it has no return")
        returns.append(period.profit / invested)
        value = invested + period.profit - period.outflow
    return tuple(returns)


def linked(returns: Iterable[Decimal]) -> Decimal:
    """Return what consecutive returns compound to, as a fraction; none: zero."""
    growth = Decimal(1)
    for each in returns:
        growth *= 1 + each
    return growth - 1


def drawdowns(values: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Return the fall from the highest value so far, at each value: a fraction, zero or more.

    Raises `DataError` for a first value that is not positive.
    """
    if values and values[0] <= 0:
        raise DataError(f"the first value is {values[0]:f}: nothing can fall from it")
    found, highest = [], Decimal(0)
    for value in values:
        highest = max(highest, value)
        found.append(1 - value / highest)
    return tuple(found)


def _cash(account: AccountSnapshot) -> Decimal | None:
    total = Decimal(0)
    for currency in sorted(account.cash):
        amount = account.cash[currency]
        if not amount:
            continue
        if not amount.is_finite() or not account.rates.knows(currency):
            return None
        total += account.rates.to_base(Money(amount, currency))
    return total

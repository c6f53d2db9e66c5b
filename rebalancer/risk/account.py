"""Step 4: the account's value must be what its parts add up to and what the owner expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import RUN, ErrorFlag, Step
from rebalancer.model.instrument import Kind, split_instrument_id
from rebalancer.risk.parameters import Limits
from rebalancer.risk.words import money, percent

PARTS_TOLERANCE = Decimal("0.005")
"""Cash and positions must add up to net liquidation within this fraction of it."""

GROSS_TOLERANCE = Decimal("0.02")
"""Positions must add up to the venue's gross position value within this fraction of it."""


def check_account(
    account: AccountSnapshot,
    limits: Limits,
    expected_range: tuple[Decimal, Decimal] | None,
    *,
    now: datetime,
) -> tuple[ErrorFlag, ...]:
    """Return the HALT flags of an account that nobody should trade on, none when it is proved.

    Net liquidation must be finite and positive, within the owner's range when one is given,
    and proved: sum of cash x rate, accrued amounts and positions within 0.5 % of it, gross
    position value within 2 % when the venue gives one, every value and rate known, the snapshot
    not too old. Of futures the gain counts, in the cash or beside it; the gross value has their
    whole value or nothing of them. What is unknown proves nothing.
    """
    value = account.net_liquidation
    base = account.rates.base
    if not value.is_finite() or value <= 0:
        return (_flag("net-liquidation-invalid", f"net liquidation is {value} {base}"),)
    flags = []
    if expected_range is not None and not expected_range[0] <= value <= expected_range[1]:
        low, high = expected_range
        message = (
            f"net liquidation {money(value, base)} is outside the expected range "
            f"{money(low, base)} to {money(high, base)}"
        )
        flags.append(_flag("net-liquidation-range", message))
    unknown = tuple(_unknown(account, limits, now))
    reasons = unknown or tuple(_contradictions(account))
    if reasons:
        flags.append(_flag("net-liquidation-unproved", "; ".join(reasons)))
    return tuple(flags)


def _unknown(account: AccountSnapshot, limits: Limits, now: datetime) -> Iterator[str]:
    """Say what is not known of the account: blind, not wrong."""
    age = now - account.at
    if age > timedelta(seconds=limits.account_max_age_seconds):
        yield f"blind: the account's snapshot is {age.total_seconds():.0f} s old"
    amounts = [(f"cash in {name}", name, account.cash[name]) for name in sorted(account.cash)]
    amounts += [
        (f"accrued {name}", name, account.accrued[name]) for name in sorted(account.accrued)
    ]
    for what, currency, amount in amounts:
        if not amount.is_finite():
            yield f"blind: {what} is {amount}"
        elif amount and not account.rates.knows(currency):
            yield f"blind: {what} is held and {_no_rate(account, currency)}"
    for position in account.positions:
        yield from _unknown_position(account, position)
    gross = account.gross_position_value
    if gross is not None and not gross.is_finite():
        yield f"blind: the gross position value is {gross}"


def _unknown_position(account: AccountSnapshot, position: Position) -> Iterator[str]:
    name = position.instrument
    if not position.quantity.is_finite():
        yield f"blind: the position in {name} is {position.quantity}"
        return
    if not position.quantity:
        return
    if position.value is None or not position.value.is_finite():
        yield f"blind: {name} is held and its value is unknown"
    elif _worth(position) is None:
        yield f"blind: {name} is held and its gain is unknown"
    if not account.rates.knows(position.currency):
        yield f"blind: {name} is held and {_no_rate(account, position.currency)}"


def _no_rate(account: AccountSnapshot, currency: str) -> str:
    return f"no rate from {currency} to {account.rates.base} is known"


def _contradictions(account: AccountSnapshot) -> Iterator[str]:
    """Say which parts do not add up; everything is known here."""
    base, value = account.rates.base, account.net_liquidation
    held = [position for position in account.positions if position.quantity]
    cash = sum((account.cash[c] * account.rates.rate(c) for c in account.cash if account.cash[c]),
               Decimal(0))  # fmt: skip
    accrued = sum((account.accrued[c] * account.rates.rate(c) for c in account.accrued
                   if account.accrued[c]), Decimal(0))  # fmt: skip
    worth, gain = _summed(held, account, _worth)
    # Interactive Brokers has the gains of futures in the cash already; others have them beside.
    totals = (cash + accrued + worth, cash + accrued + worth + gain)
    parts = min(totals, key=lambda total: abs(total - value))
    if abs(parts - value) > PARTS_TOLERANCE * value:
        yield (
            f"cash {money(cash + accrued, base)} and positions "
            f"{money(parts - cash - accrued, base)} add up to {money(parts, base)}, "
            f"net liquidation is {money(value, base)}: "
            f"{percent(abs(parts - value) / value)} apart, {percent(PARTS_TOLERANCE)} is allowed"
        )
    yield from _gross(held, account)


def _gross(held: Sequence[Position], account: AccountSnapshot) -> Iterator[str]:
    """Say when the positions are not what the venue's gross value says; all is known here."""
    base, stated = account.rates.base, account.gross_position_value
    if stated is None:
        return
    others, futures = _summed(held, account, lambda each: abs(each.value or Decimal(0)))
    # Interactive Brokers leaves futures out of it; with them it may be meant too.
    gross = min(others, others + futures, key=lambda each: abs(each - stated))
    if abs(gross - stated) > GROSS_TOLERANCE * max(abs(stated), gross):
        yield (
            f"the positions listed are worth {money(gross, base)} without signs, the venue says "
            f"{money(stated, base)}: some are missing or wrong"
        )


def _summed(
    held: Sequence[Position],
    account: AccountSnapshot,
    amount: Callable[[Position], Decimal | None],
) -> tuple[Decimal, Decimal]:
    """Return an amount of the positions in base currency: of all but futures, and of futures."""
    found = {True: Decimal(0), False: Decimal(0)}
    for each in held:
        worth = (amount(each) or Decimal(0)) * account.rates.rate(each.currency)
        found[_kind(each) is Kind.FUTURE] += worth
    return found[False], found[True]


def _worth(position: Position) -> Decimal | None:
    """Return what a position adds to net liquidation in its currency, None when unknown.

    Futures and perpetuals add their unrealised gain, everything else its value.
    """
    value = position.value
    if value is None or not _margined(position):
        return value
    price, cost = position.price, position.average_cost
    if price is None or cost is None or not price:
        return None
    return value * (1 - cost / price)


def _margined(position: Position) -> bool:
    return _kind(position) in {Kind.FUTURE, Kind.PERPETUAL}


def _kind(position: Position) -> Kind | None:
    try:
        return split_instrument_id(position.instrument)[1]
    except DataError:
        return None


def _flag(code: str, message: str) -> ErrorFlag:
    return ErrorFlag(Step.NET_LIQUIDATION, code, RUN, FLAG_TABLE[code].severity, message)

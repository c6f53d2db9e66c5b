"""What an account was some time ago: what a venue that lags behind itself still shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.simulators.booking import add, pay
from rebalancer.simulators.books import Account, Execution, Holding
from rebalancer.simulators.kinds import is_margined, is_pair

if TYPE_CHECKING:
    from rebalancer.model.instrument import Instrument, InstrumentId


def held_at(account: Account, at: datetime) -> dict[InstrumentId, Decimal]:
    """Return what was held by instrument at a time, without zeros: trades since are undone."""
    found = {name: each.quantity for name, each in account.holdings.items()}
    for each in _since(account, at):
        if each.instrument in found:
            found[each.instrument] -= each.quantity
    return {name: quantity for name, quantity in sorted(found.items()) if quantity}


def cash_at(
    account: Account, instruments: Mapping[InstrumentId, Instrument], at: datetime
) -> dict[str, Decimal]:
    """Return the cash by currency at a time: trades since are undone, other flows are not."""
    cash = dict(account.cash)
    for each in _since(account, at):
        instrument = instruments[each.instrument]
        pay(cash, instrument, -each.quantity, each.price)
        add(cash, each.commission_currency, each.commission)
        if is_margined(instrument):
            add(cash, each.currency, -(each.realised or Decimal(0)))
    return cash


@contextmanager
def shown_as_of(
    account: Account,
    instruments: Mapping[InstrumentId, Instrument],
    at: datetime,
    *,
    cash_too: bool,
) -> Iterator[None]:
    """Let an account look, for whoever asks meanwhile, as it was; average costs stay."""
    holdings, cash = account.holdings, account.cash
    then = held_at(account, at)
    account.holdings = {
        name: replace(each, quantity=then.get(name, Decimal(0))) for name, each in holdings.items()
    }
    if cash_too:
        account.cash = cash_at(account, instruments, at)
    try:
        yield
    finally:
        account.holdings, account.cash = holdings, cash


def has_changed(
    account: Account, instruments: Mapping[InstrumentId, Instrument], at: datetime
) -> bool:
    """Return whether any position is another than it was at a time."""
    return any(not is_pair(instruments[each.instrument]) for each in _since(account, at)) and (
        held_at(account, at) != _held(account.holdings)
    )


def _held(holdings: Mapping[InstrumentId, Holding]) -> dict[InstrumentId, Decimal]:
    return {name: each.quantity for name, each in sorted(holdings.items()) if each.quantity}


def _since(account: Account, at: datetime) -> list[Execution]:
    return [each for each in account.executions if each.at > at]

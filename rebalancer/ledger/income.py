"""What a venue books by itself, as lines of the books: each once, for ever.

A line of kind INCOME is a `Fill` of nothing: quantity and price zero, the amount as a negative
commission in its asset, the income's id (after `income:`) as execution id, its kind as origin.
So whatever adds up cash adds it up too, and whatever adds up positions finds nothing in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from rebalancer.model.income import Income, IncomeKind
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Fill
from rebalancer.model.records import Entry, EntryKind, ExternalFlow

PREFIX = "income:"
_NOTHING = InstrumentId("")


def income_entries(
    income: Sequence[Income], known: Iterable[Entry], slot: datetime
) -> tuple[Entry, ...]:
    """Return the lines that the books lack to know `income`; doubles give nothing.

    Commissions give nothing either: they are told, and booked, with their executions.
    """
    have = {entry.fill.exec_id for entry in known if entry.kind is EntryKind.INCOME}
    lines = []
    for each in income:
        name = f"{PREFIX}{each.id}"
        if each.kind is IncomeKind.COMMISSION or not each.amount or name in have:
            continue
        have.add(name)
        lines.append(Entry(EntryKind.INCOME, slot, _as_fill(each, name)))
    return tuple(lines)


def booked_income(entries: Iterable[Entry]) -> tuple[Income, ...]:
    """Return what the INCOME lines among `entries` book, in their order."""
    return tuple(_as_income(each.fill) for each in entries if each.kind is EntryKind.INCOME)


def external_flows(income: Iterable[Income]) -> tuple[ExternalFlow, ...]:
    """Return what came from outside or went there: deposits, withdrawals, transfers."""
    return tuple(
        ExternalFlow(each.at, each.amount, each.asset, each.words or each.id)
        for each in income
        if each.kind is IncomeKind.TRANSFER
    )


def _as_fill(income: Income, name: str) -> Fill:
    return Fill(
        exec_id=name,
        reference="",
        venue_order_id="",
        instrument=income.instrument or _NOTHING,
        quantity=Decimal(0),
        price=Decimal(0),
        currency=income.asset,
        at=income.at,
        commission=-income.amount,
        commission_currency=income.asset,
        origin=income.kind.value,
    )


def _as_income(fill: Fill) -> Income:
    return Income(
        id=fill.exec_id.removeprefix(PREFIX),
        kind=IncomeKind(fill.origin),
        asset=fill.commission_currency,
        amount=-(fill.commission or Decimal(0)),
        at=fill.at,
        instrument=fill.instrument or None,
    )

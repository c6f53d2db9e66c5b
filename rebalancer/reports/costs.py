"""What trading cost: commissions as billed, and executions against their decision prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rebalancer.model.income import Income, IncomeKind
from rebalancer.model.orders import Fill
from rebalancer.model.records import RunRecord
from rebalancer.reports.numbers import basis_points, count, money
from rebalancer.reports.rows import Fate, OrderRow, latest_fills, order_rows

NEVER_SENT = frozenset({Fate.REFUSED, Fate.NOT_SENT})
"""Fates of orders that did not leave."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of some executions.

    `commissions` by currency, positive = cost; `pending` executions have none yet.
    `execution_base` compares with the decision prices, positive = cost, None when nothing
    executed of which a decision price is known; `executed_base` is what was compared. `funding`
    and `realised` are what the venue booked by itself, by asset, positive = came in.
    """

    commissions: Mapping[str, Decimal]
    pending: int
    executions: int
    execution_base: Decimal | None
    executed_base: Decimal
    funding: Mapping[str, Decimal] = field(default_factory=dict)
    realised: Mapping[str, Decimal] = field(default_factory=dict)


def costs(rows: Sequence[OrderRow], fills: Sequence[Fill], income: Sequence[Income] = ()) -> Costs:
    """Return what these executions and the orders behind them cost, and the venue's `income`."""
    billed: dict[str, Decimal] = {}
    for fill in fills:
        if fill.commission is not None:
            name = fill.commission_currency or fill.currency
            billed[name] = billed.get(name, Decimal(0)) + fill.commission
    compared = [
        (row.cost_base, row.executed_base)
        for row in rows
        if row.cost_base is not None and row.executed_base is not None
    ]
    return Costs(
        commissions={name: billed[name] for name in sorted(billed)},
        pending=sum(1 for fill in fills if fill.commission is None),
        executions=len(fills),
        execution_base=sum((cost for cost, _ in compared), Decimal(0)) if compared else None,
        executed_base=sum((part for _, part in compared), Decimal(0)),
        funding=_sums(income, IncomeKind.FUNDING),
        realised=_sums(income, IncomeKind.REALISED),
    )


def costs_text(spent: Costs, base: str) -> str:
    """Return the costs as a few sentences; funding and realised profit apart from the fees."""
    return " ".join((_trading(spent, base), *_booked(spent)))


def _booked(spent: Costs) -> list[str]:
    """Return what the venue booked by itself, a sentence each."""
    told = (("Funding", spent.funding), ("Realised profit", spent.realised))
    return [
        f"{what}: {', '.join(money(amount, name, signed=True) for name, amount in sums.items())}."
        for what, sums in told
        if sums
    ]


def _sums(income: Sequence[Income], kind: IncomeKind) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for each in income:
        if each.kind is kind:
            sums[each.asset] = sums.get(each.asset, Decimal(0)) + each.amount
    return {name: sums[name] for name in sorted(sums)}


def _trading(spent: Costs, base: str) -> str:
    if not spent.executions:
        return "Nothing was executed, so trading cost nothing."
    parts = [money(amount, name) for name, amount in spent.commissions.items()]
    if spent.pending:
        parts.append(f"{count(spent.pending, 'execution')} pending (not billed yet)")
    text = f"Commissions: {', '.join(parts)}."
    if spent.execution_base is None or not spent.executed_base:
        return text
    worse = "more" if spent.execution_base > 0 else "less"
    rate = spent.execution_base / spent.executed_base * 10_000
    return (
        f"{text} Against the decision prices the executions cost about "
        f"{money(abs(spent.execution_base), base)} {worse} ({basis_points(rate)} of "
        f"{money(spent.executed_base, base)} traded)."
    )


def settle(records: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    """Return the runs, oldest first, each knowing what later ones learned of its orders.

    An order that one run left working may be filled or cancelled when the next one looks.
    """
    ordered = sorted(records, key=lambda record: (record.slot, record.attempt))
    fills = latest_fills(ordered)
    ends = {order.reference: order for record in ordered for order in record.cancelled}
    settled = []
    for record in ordered:
        orders = tuple(ends.get(order.reference, order) for order in record.orders)
        settled.append(replace(record, fills=fills, orders=orders))
    return tuple(settled)


def session_rows(records: Sequence[RunRecord]) -> tuple[OrderRow, ...]:
    """Return every wanted order of several runs with its fate as known by now, oldest first."""
    return tuple(row for record in settle(records) for row in order_rows(record))


def tally(rows: Sequence[OrderRow]) -> str:
    """Return how many orders met which fate: `3 orders sent (2 filled, 1 working), 1 refused`."""
    sent = Counter(row.fate for row in rows if row.fate not in NEVER_SENT)
    fates = ", ".join(f"{sent[fate]} {fate.value}" for fate in Fate if sent[fate])
    text = f"{count(sent.total(), 'order')} sent"
    text += f" ({fates})" if fates else ""
    kept = Counter(row.fate for row in rows)
    if kept[Fate.REFUSED]:
        text += f", {kept[Fate.REFUSED]} refused by a gate"
    closed = Counter(row.why for row in rows if row.gate == "session")
    if late := kept[Fate.NOT_SENT] - closed.total():
        text += f", {late} wanted but not sent"
    for why, number in closed.items():
        text += f", {number} not sent: {why}"
    return text

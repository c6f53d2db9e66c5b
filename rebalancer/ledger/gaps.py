"""Gaps between our books and the venue: how long they have been there, and which may be booked.

A gap is explained by executions that the venue still has, or it stays. What stays the same for
an hour, is small, and lies in an instrument in which nothing else can happen, is booked as an
adjustment; everything else is the owner's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.ledger.entries import booked
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import Break, Gap
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Fill, WorkingOrder, execution_revision
from rebalancer.model.records import Entry
from rebalancer.model.universe import Universe

PATIENCE = timedelta(hours=1)
"""So long, over two runs at least, a gap must be the same before it is booked as it is."""

EAGER = timedelta(days=1)
"""So long after a gap was seen first the venue is asked for executions every `PATIENCE`."""

_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class GapVerdict:
    """Which gaps are booked as the venue has them, and why the others are not, in words."""

    book: tuple[Break, ...]
    left: Mapping[InstrumentId, str]


def remembered_gaps(
    before: Mapping[InstrumentId, Gap], breaks: Sequence[Break], slot: datetime
) -> Mapping[InstrumentId, Gap]:
    """Return the gaps to remember, in id order; one whose quantities changed is a new one."""
    found = {}
    for each in sorted(breaks, key=lambda broken: broken.instrument):
        old = before.get(each.instrument)
        same = old is not None and (old.expected, old.found) == (each.expected, each.found)
        new = Gap(each.expected, each.found, slot)
        found[each.instrument] = old if same and old is not None else new
    return found


def to_ask(gaps: Mapping[InstrumentId, Gap], slot: datetime) -> tuple[InstrumentId, ...]:
    """Return the instruments for whose gaps the venue is asked in a run: new ones, then seldom.

    Within the first day of a gap once an hour, later once a day.
    """
    return tuple(
        name
        for name, gap in sorted(gaps.items())
        if gap.asked is None
        or slot - gap.asked >= (PATIENCE if slot - gap.first <= EAGER else EAGER)
    )


def judge_gaps(  # noqa: PLR0913 - every condition by its name
    breaks: Sequence[Break],
    gaps: Mapping[InstrumentId, Gap],
    account: AccountSnapshot,
    universe: Universe,
    prices: Mapping[InstrumentId, Decimal],
    blocked: Mapping[InstrumentId, str],
    *,
    slot: datetime,
    weight_limit: Decimal,
    most: int,
) -> GapVerdict:
    """Return which breaks may be booked as the venue has them in this run.

    All of these must hold: not `blocked` (by what, in words); asked for in vain; the same for
    `PATIENCE`; a known price and rate; fewer breaks than `most`; and all that is booked
    together is worth at most `weight_limit` of net liquidation.
    """
    book: list[Break] = []
    left: dict[InstrumentId, str] = {}
    spent, worth = _NONE, account.net_liquidation
    room = weight_limit * worth if worth.is_finite() and worth > 0 else _NONE
    for each in sorted(breaks, key=lambda broken: broken.instrument):
        name, gap = each.instrument, gaps.get(each.instrument)
        value = _value(each, account, universe, prices)
        if name in blocked:
            left[name] = blocked[name]
        elif len(breaks) >= most:
            left[name] = f"{len(breaks)} positions differ: that is for the owner to look at"
        elif value is None:
            left[name] = "what it is worth is not known"
        elif spent + value > room:
            left[name] = (
                f"it is worth {value:,.2f} {account.rates.base}, more than "
                f"{weight_limit:.2%} of net liquidation allow"
            )
        elif gap is None or gap.asked is None:
            left[name] = "the venue could not be asked for its executions"
        elif slot - gap.first < PATIENCE:
            left[name] = f"it is booked as the venue has it if it is the same {_later(gap)}"
        else:
            spent += value
            book.append(each)
    return GapVerdict(tuple(book), left)


def missing_fills(
    orders: Iterable[WorkingOrder], entries: Iterable[Entry], fills: Iterable[Fill] = ()
) -> Mapping[str, Decimal]:
    """Return what ended orders filled by the venue's word and no execution tells, by reference.

    Signed like the order; `fills` are executions that are not booked yet. An order of which
    more is executed than it says is not among them: its word is late.
    """
    newest: dict[str, Fill] = {}
    for fill in (*(each.fill for each in booked(entries)), *fills):
        family, revision = execution_revision(fill.exec_id)
        if family not in newest or revision >= execution_revision(newest[family].exec_id)[1]:
            newest[family] = fill
    executed: dict[str, Decimal] = {}
    for fill in newest.values():
        executed[fill.reference] = executed.get(fill.reference, _NONE) + fill.quantity
    missing = {}
    for order in orders:
        open_part = order.filled - executed.get(order.reference, _NONE)
        if order.reference and order.status.terminal and open_part * order.filled > 0:
            missing[order.reference] = open_part
    return {name: missing[name] for name in sorted(missing)}


def _later(gap: Gap) -> str:
    return f"from {gap.first + PATIENCE:%Y-%m-%d %H:%M} UTC on"


def _value(
    broken: Break,
    account: AccountSnapshot,
    universe: Universe,
    prices: Mapping[InstrumentId, Decimal],
) -> Decimal | None:
    """Return what a gap is worth in base currency, not negative; None when it is not known."""
    name = broken.instrument
    held = {position.instrument: position.price for position in account.positions}
    price = held.get(name) or prices.get(name)
    instrument = universe[name]
    if price is None or not price.is_finite() or not account.rates.knows(instrument.currency):
        return None
    unit = instrument.multiplier / instrument.magnifier * account.rates.rate(instrument.currency)
    return abs((broken.found - broken.expected) * price) * unit

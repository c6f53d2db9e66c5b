"""Executions into the books: each once, told if nobody here wanted it, with its plan's price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rebalancer.ledger import bookable, entries_for, expected_positions
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Fill, parse_reference
from rebalancer.model.records import EntryKind
from rebalancer.ports import Books, Desk
from rebalancer.working.foreign import tell_foreign
from rebalancer.working.page import RunPage


def book_fills(desk: Desk, page: RunPage, fills: Sequence[Fill]) -> int:
    """Append to the books what they do not have of `fills`; return how many lines.

    What no order of ours explains is told before it is booked: afterwards the books know it,
    and nobody would. Who dies in between leaves both to the next run.

    An execution belongs to the slot in its order's reference, else to this run's. Somebody
    else's from before the books began is in what they began with and gives nothing.
    """
    tell_foreign(desk, page, fills)
    by_slot: dict[datetime, list[Fill]] = defaultdict(list)
    for fill in bookable(fills, desk.books.entries(), page.standing.began, desk.portfolio):
        by_slot[slot_of(fill.reference, desk.portfolio) or page.slot].append(fill)
    booked = 0
    for when in sorted(by_slot):
        known = desk.books.entries()
        ordered = sorted(by_slot[when], key=lambda fill: (fill.at, fill.exec_id))
        lines = entries_for(ordered, known, when, {})
        if any(line.kind is EntryKind.FILL for line in lines):  # only those need their plan's price
            decisions = decision_prices(desk.books.journal(when))
            lines = entries_for(ordered, known, when, decisions)
        booked += desk.books.book(lines)
    return booked


def expected_now(books: Books) -> Mapping[InstrumentId, Decimal]:
    """Return the positions that the last record and the executions since then add up to."""
    record = books.last_record()
    start = 0 if record is None else record.entries
    return expected_positions(record, books.entries(start))


def slot_of(reference: str, portfolio: str) -> datetime | None:
    """Return the slot in an order reference of ours, None when it is not ours."""
    parts = parse_reference(reference, portfolio)
    if parts is None:
        return None
    return datetime.strptime(parts["slot"], "%y%m%d%H%M").replace(tzinfo=UTC)


def intents_in(journal: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the approved orders of a journal by reference, as they were written."""
    return {
        order["reference"]: order
        for line in journal
        if line.get("kind") == "intents"
        for order in line["orders"]
    }


def decision_prices(journal: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return the reference price of each order of a journal by reference; a stop's trigger."""
    lines = tuple(journal)
    triggers = {
        stop["reference"]: Decimal(stop["trigger"])
        for line in lines
        if line.get("kind") == "stops"
        for stop in line["stops"]
    }
    return triggers | {
        reference: Decimal(order["intent"]["reference_price"])
        for reference, order in intents_in(lines).items()
    }

"""Executions into lines of the books: each once, corrections and late fees in their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import LATE, Fill, execution_revision, parse_reference
from rebalancer.model.records import Entry, EntryKind


@dataclass(frozen=True, slots=True)
class Booked:
    """One execution (or booked holding) as it stands after all lines about it.

    `revision` counts the venue's corrections; `busted` says that nothing is left of it.
    """

    kind: EntryKind
    slot: datetime
    fill: Fill
    decision_price: Decimal | None
    revision: int = 0
    busted: bool = False
    completed: bool = False
    """Whether a COMMISSION line was written for this very execution id."""


def entries_for(
    fills: Sequence[Fill],
    known: Sequence[Entry],
    slot: datetime,
    decision_prices: Mapping[str, Decimal],
) -> tuple[Entry, ...]:
    """Return the lines that the books lack to know `fills`; doubles give nothing.

    A new execution gives FILL; a known one whose commission the venue has told since gives
    COMMISSION; a correction (same id but for the number after the last period, higher)
    gives CORRECTION, or BUST when its quantity is zero. `decision_prices` has the plan's
    reference price by order reference. Deterministic in the order of `fills`.

    An execution from before its instrument was adjusted to the venue's position is in that
    position already: it gives FILL, and before it an ADJUSTMENT that takes the same back (in
    this order, so that a torn write never counts it twice).
    """
    books = _standing(known)
    covered = _covered(known, EntryKind.ADJUSTMENT)
    lines: list[Entry] = []
    for fill in fills:
        line = _line(fill, books, slot, decision_prices)
        if line is None:
            continue
        if line.kind is EntryKind.FILL and _within(fill, covered):
            lines.append(Entry(EntryKind.ADJUSTMENT, slot, _taken_back(fill)))
        lines.append(line)
        _take(books, line)
    return tuple(lines)


def bookable(
    fills: Iterable[Fill], known: Sequence[Entry], began: datetime | None, portfolio: str
) -> tuple[Fill, ...]:
    """Return the executions that belong into the books of a portfolio.

    Somebody else's from before the books `began` (None: not known), or from before its
    instrument was adopted, is in what was held then. Orders of ours, and what is known of them
    or corrects it, always belong there.
    """
    have = {execution_revision(entry.fill.exec_id)[0] for entry in known}
    adopted = _covered(known, EntryKind.ADOPTION)
    return tuple(
        fill
        for fill in fills
        if execution_revision(fill.exec_id)[0] in have
        or parse_reference(fill.reference, portfolio) is not None
        or not ((began is not None and fill.at < began) or _within(fill, adopted))
    )


def booked(entries: Iterable[Entry]) -> tuple[Booked, ...]:
    """Return every execution and booked holding as it stands, in the order of booking.

    Busted ones are left out, and so is income, which executes nothing. A correction without
    its commission keeps the one known before.
    """
    return tuple(each for each in _standing(entries).values() if not each.busted)


def change(entry: Entry) -> tuple[Fill | None, Fill | None]:
    """Return what a line takes out of the books and what it puts in, None for nothing.

    Raises `DataError` for a correction that does not say what it corrects.
    """
    if entry.kind is EntryKind.COMMISSION:
        return entry.replaced or replace(entry.fill, commission=None), entry.fill
    if entry.kind in (EntryKind.CORRECTION, EntryKind.BUST):
        if entry.replaced is None:
            raise DataError(f"fills.jsonl: {entry.kind} of {entry.replaces}: replaced is missing")
        return entry.replaced, None if entry.kind is EntryKind.BUST else entry.fill
    return None, entry.fill


def _covered(known: Iterable[Entry], kind: EntryKind) -> dict[InstrumentId, datetime]:
    """Return until when lines of a kind took over the venue's word about an instrument."""
    until: dict[InstrumentId, datetime] = {}
    for entry in known:
        fill = entry.fill
        if entry.kind is kind and fill.origin != LATE:
            until[fill.instrument] = max(fill.at, until.get(fill.instrument, fill.at))
    return until


def _within(fill: Fill, covered: Mapping[InstrumentId, datetime]) -> bool:
    return fill.instrument in covered and fill.at <= covered[fill.instrument]


def _taken_back(fill: Fill) -> Fill:
    """Return what makes an execution count nothing: it, the other way round."""
    return replace(
        fill,
        # No periods: the digits after the last one would number a correction.
        exec_id=f"late:{fill.exec_id.replace('.', '-')}",
        reference="",
        venue_order_id="",
        quantity=-fill.quantity,
        commission=None if fill.commission is None else -fill.commission,
        liquidity="",
        origin=LATE,
    )


def _standing(entries: Iterable[Entry]) -> dict[str, Booked]:
    books: dict[str, Booked] = {}
    for entry in entries:
        _take(books, entry)
    return books


def _take(books: dict[str, Booked], entry: Entry) -> None:
    if entry.kind is EntryKind.INCOME:
        return
    family, revision = execution_revision(entry.fill.exec_id)
    before = books.get(family)
    if entry.kind is EntryKind.BUST:
        stood = before or Booked(entry.kind, entry.slot, entry.fill, entry.decision_price)
        books[family] = replace(stood, fill=entry.fill, revision=revision, busted=True)
        return
    if before is None:
        books[family] = Booked(entry.kind, entry.slot, entry.fill, entry.decision_price, revision)
    elif entry.kind is EntryKind.COMMISSION and not before.busted:
        fill = _with_commission(before.fill, entry.fill)
        books[family] = replace(before, fill=fill, completed=True)
    elif entry.kind is EntryKind.CORRECTION:
        fill = entry.fill
        if fill.commission is None:
            fill = _with_commission(fill, before.fill)
        books[family] = replace(before, fill=fill, revision=revision, busted=False, completed=False)


def _line(
    fill: Fill,
    books: Mapping[str, Booked],
    slot: datetime,
    decision_prices: Mapping[str, Decimal],
) -> Entry | None:
    family, revision = execution_revision(fill.exec_id)
    before = books.get(family)
    if before is None:
        decision = decision_prices.get(fill.reference)
        return None if not fill.quantity else Entry(EntryKind.FILL, slot, fill, decision)
    if revision < before.revision:
        return None
    if revision > before.revision:
        kind = EntryKind.CORRECTION if fill.quantity else EntryKind.BUST
        return Entry(
            kind,
            slot,
            fill,
            before.decision_price,
            replaces=before.fill.exec_id,
            replaced=before.fill,
        )
    told = fill.commission is not None and (
        fill.commission != before.fill.commission
        or fill.commission_currency != before.fill.commission_currency
    )
    if not told or before.completed or before.busted:
        return None
    return Entry(
        EntryKind.COMMISSION,
        slot,
        _with_commission(before.fill, fill),
        before.decision_price,
        replaced=before.fill,
    )


def _with_commission(fill: Fill, source: Fill) -> Fill:
    return replace(
        fill,
        commission=source.commission,
        commission_currency=source.commission_currency,
    )

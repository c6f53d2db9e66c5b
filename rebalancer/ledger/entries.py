"""Executions into lines of the books: each once, corrections and late fees in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import LATE, Fill, execution_revision, parse_reference
from rebalancer.model.records import Entry, EntryKind

RESOLVED = "resolve:"
"""How the id of a line begins in which the owner says what an order traded."""


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


@dataclass(slots=True)
class _Word:
    """What the owner said an order traded, `total` with what was booked before he said it.

    `line` names the line that says so. `until`: later executions move a position that was
    adjusted to the venue's since.
    """

    line: str
    instrument: InstrumentId
    total: Decimal
    until: datetime | None = None


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
    this order, so that a torn write never counts it twice). One of an order of which the owner
    has said what it traded takes the place of his word, as far as that goes: before it a
    CORRECTION or BUST of his line.
    """
    books, words = _read(known)
    covered = _covered(known, EntryKind.ADJUSTMENT)
    taken = {entry.fill.exec_id: entry for entry in known if _of_a_word(entry)}
    lines: list[Entry] = []
    for fill in fills:
        line = _line(fill, books, slot, decision_prices)
        if line is None:
            continue
        off = _off_the_word(line, books, words)
        if line.kind is EntryKind.FILL and _within(fill, covered):
            word, part = words.get(fill.reference), fill.quantity
            if word is not None and word.until is not None:  # the adjustment had it in the books
                part -= _amount(off or taken.get(_late_id(fill)))
            if part:
                lines.append(Entry(EntryKind.ADJUSTMENT, slot, _taken_back(fill, part)))
        for each in (line,) if off is None else (off, line):
            lines.append(each)
            _take(books, each)
    return tuple(lines)


def newly_traded(entries: Sequence[Entry]) -> tuple[Fill, ...]:
    """Return the executions that lines of the books add, each without what had been told by hand.

    What takes the place of the owner's word was told with that.
    """
    told = {entry.fill.exec_id: _amount(entry) for entry in entries if _of_a_word(entry)}
    found = []
    for entry in entries:
        if entry.kind is EntryKind.FILL:
            part = entry.fill.quantity - told.get(_late_id(entry.fill), 0)
            found.append(replace(entry.fill, quantity=part))
    return tuple(fill for fill in found if fill.quantity)


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


def _late_id(fill: Fill) -> str:
    """Return the id of lines that take back what an execution would count a second time."""
    # No periods: the digits after the last one would number a correction.
    return f"late:{fill.exec_id.replace('.', '-')}"


def _taken_back(fill: Fill, part: Decimal) -> Fill:
    """Return what makes `part` of an execution count nothing: it, the other way round."""
    return replace(
        fill,
        exec_id=_late_id(fill),
        reference="",
        venue_order_id="",
        quantity=-part,
        commission=None if fill.commission is None else -fill.commission,
        liquidity="",
        origin=LATE,
    )


def _of_a_word(entry: Entry) -> bool:
    """Return whether a line takes back (a part of) what the owner said an order traded."""
    return entry.fill.origin == LATE and entry.replaced is not None


def _amount(line: Entry | None) -> Decimal:
    """Return how much of the owner's word a line takes back; signed like the order."""
    if line is None or line.replaced is None:
        return Decimal(0)
    return line.replaced.quantity - line.fill.quantity


def _off_the_word(
    line: Entry, books: Mapping[str, Booked], words: Mapping[str, _Word]
) -> Entry | None:
    """Return what takes off the owner's word that a line of the same order tells; None: nothing.

    His word stands for what the venue has not told of the order: `total` less all executions.
    It never grows again.
    """
    word = words.get(line.fill.reference)
    if word is None or line.kind is EntryKind.COMMISSION:
        return None
    stood, at = books[word.line], line.fill.at
    if stood.busted or (word.until is not None and at > word.until):
        return None
    families = (word.line, execution_revision(line.fill.exec_id)[0])
    told = _executed(books, line.fill.reference, families) + line.fill.quantity
    left = word.total - told
    if left * word.total <= 0:
        left = Decimal(0)
    if abs(left) >= abs(stood.fill.quantity):
        return None
    kind = EntryKind.CORRECTION if left else EntryKind.BUST
    fill = replace(stood.fill, exec_id=_late_id(line.fill), quantity=left, origin=LATE)
    price = stood.decision_price
    return Entry(kind, line.slot, fill, price, replaces=word.line, replaced=stood.fill)


def _executed(
    books: Mapping[str, Booked], reference: str, without: Collection[str] = ()
) -> Decimal:
    """Return what is booked of an order, `without` some executions."""
    found = (
        each.fill.quantity
        for family, each in books.items()
        if each.fill.reference == reference and not each.busted and family not in without
    )
    return sum(found, Decimal(0))


def _standing(entries: Iterable[Entry]) -> dict[str, Booked]:
    return _read(entries)[0]


def _read(entries: Iterable[Entry]) -> tuple[dict[str, Booked], dict[str, _Word]]:
    """Return what stands after all lines, and the owner's words by order reference."""
    books: dict[str, Booked] = {}
    words: dict[str, _Word] = {}
    for entry in entries:
        fill = entry.fill
        if entry.kind is EntryKind.FILL and fill.exec_id.startswith(RESOLVED):
            total = fill.quantity + _executed(books, fill.reference)
            words[fill.reference] = _Word(fill.exec_id, fill.instrument, total)
        elif entry.kind is EntryKind.ADJUSTMENT and fill.origin != LATE:
            for word in words.values():
                if word.instrument == fill.instrument:
                    word.until = fill.at
        _take(books, entry)
    return books, words


def _take(books: dict[str, Booked], entry: Entry) -> None:
    if entry.kind is EntryKind.INCOME:
        return
    if _of_a_word(entry):  # its own id is that of the execution in whose favour it is
        fill = replace(entry.fill, exec_id=entry.replaces, origin="")
        entry = replace(entry, fill=fill)
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

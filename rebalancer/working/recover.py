"""Start is recovery: what earlier runs left is finished before this one plans.

Executions while nobody looked are booked, orders with an unknown fate are looked up, and a
run that died gets its record from its journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.errors import OutcomeUnknown
from rebalancer.ledger import trade_records
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.attempts import died
from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.flags import ErrorFlag, LatchedFlag, Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder, Fill, OrderStatus, WorkingOrder
from rebalancer.model.records import SCHEMA, EntryKind, Mode, Outcome, RunRecord, Standing
from rebalancer.ports import Books, Desk, Venue
from rebalancer.risk.parameters import Limits
from rebalancer.working.bookkeeping import book_fills, expected_now, intents_in, slot_of
from rebalancer.working.counters import count_dead_orders
from rebalancer.working.page import RunPage
from rebalancer.working.record import session_date

SILENT = frozenset({OrderStatus.SENT, OrderStatus.UNKNOWN})
"""What a venue may show of an order without having acknowledged it."""

DAY_SECONDS = 86_400

LOOK_BACK = timedelta(days=1)
"""Executions are asked for from this long before the last record: ids make doubles harmless."""

FARTHEST = timedelta(days=30)
"""After a longer absence executions are asked for from so long ago only."""


def clock_trouble(venue: Venue, limits: Limits) -> str:
    """Return by how much our clock and the venue's differ, '' when it is little enough."""
    skew = abs(venue.skew_seconds())
    if skew <= limits.max_clock_skew_seconds:
        return ""
    much = f"{skew:.1f} s" if skew < DAY_SECONDS else f"{skew / DAY_SECONDS:,.1f} days"
    return (
        f"our clock and the venue's differ by {much}; the limit is "
        f"{limits.max_clock_skew_seconds:g} s"
    )


def recover(desk: Desk, venue: Venue, page: RunPage) -> None:
    """Finish what earlier runs left: executions, unknown fates, records of runs that died."""
    page.now = venue.now()
    if words := clock_trouble(venue, desk.limits):
        page.flag("clock-skew", f"{words}; nothing is sent")
    page.standing = replace(page.standing, began=page.standing.began or _began(desk, page))
    dead = tuple(slot for slot in desk.books.unfinished() if slot != page.slot)
    own = died(desk.books.journal(page.slot), before=page.attempt)
    left = dead + ((page.slot,) if own else ())
    journals = {slot: desk.books.journal(slot) for slot in left}
    page.dead = dict(journals)
    book_what_happened(desk, venue, page, journals)
    suspects = _unresolved(page.standing.latched)
    for slot, journal in journals.items():
        suspects |= {name: slot for name in _silent(journal)}
    settle(desk, venue, page, suspects)
    for slot in left:
        _tell_death(page, slot, journals[slot])
    count_dead_orders(desk, page)
    if left:
        # What was killed could not count itself and is found dead once; records without what is
        # remembered would look like a lost memory.
        page.remember(failed_runs=page.standing.failed_runs + len(left))
    for slot in dead:
        _record_dead(desk, page, slot, desk.books.journal(slot))


def book_what_happened(
    desk: Desk,
    venue: Venue,
    page: RunPage,
    journals: Mapping[datetime, Sequence[Mapping[str, Any]]],
) -> None:
    """Book executions that the journals or the venue have and the books have not.

    Runs that could not look (no connection) do not count as looks: the venue is asked from
    where it was really read last.
    """
    now, since = venue.now(), read_until(desk.books, page.standing, page.slot)
    since = max(min([*journals, since]), now - FARTHEST) - LOOK_BACK
    seen = [
        from_plain(Fill, line["fill"], "journal")
        for journal in journals.values()
        for line in journal
        if line.get("kind") == "fill"
    ]
    newest = {fill.exec_id: fill for fill in (*seen, *venue.executions(since))}
    count = book_fills(desk, page, tuple(newest.values()))
    if count:
        page.flag(
            "fills-while-away", f"{count} lines were booked for executions since the last run"
        )
    page.standing = replace(page.standing, executions_read=now)


def read_until(books: Books, standing: Standing, default: datetime) -> datetime:
    """Return until when executions were surely read; `default` for new books."""
    last = books.last_record()
    times = [] if last is None else [last.slot]
    if standing.executions_read is not None:
        times.append(standing.executions_read)
    return min(times, default=default)


def _began(desk: Desk, page: RunPage) -> datetime:
    """Return when the books began: with the first run that left anything."""
    times = [page.slot, *desk.books.unfinished(), *(each.slot for each in desk.books.equity()[:1])]
    last = desk.books.last_record()
    return min(times if last is None else [*times, last.slot])


def settle(
    desk: Desk, venue: Venue, page: RunPage, suspects: Mapping[str, datetime | None]
) -> None:
    """Look up every order whose fate is unknown; what stays unknown stays latched."""
    for reference in sorted(suspects):
        try:
            found = venue.find(reference)
        except OutcomeUnknown as error:
            first = _first_look(page, reference)
            _keep(desk, page, reference, suspects[reference], str(error), first)
            continue
        for order in found:
            page.cancelled.setdefault(f"{reference}@{order.venue_id}", order)
        silent = [order for order in found if order.status in SILENT]
        if silent:
            why = f"the venue shows it as {silent[0].status}"
            _take_back_its_end(desk, reference, silent[0])
            _keep(desk, page, reference, suspects[reference], why, "")
        elif not found and _ended(desk, reference):
            _release(page, reference)
        elif found or _proved_absent(desk, page, venue, reference):
            _resolve(desk, page, reference, found)
        else:
            why, first = "the venue does not show it", _absent_since(page, reference)
            _keep(desk, page, reference, suspects[reference], why, first)


def _unresolved(latched: Sequence[LatchedFlag]) -> dict[str, datetime | None]:
    return {
        flag.evidence.partition("|")[0]: None for flag in latched if flag.code == "unresolved-order"
    }


def _silent(journal: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the references of a journal whose last known state is none or unknown."""
    status = {
        line["order"]["reference"]: OrderStatus(line["order"]["status"])
        for line in journal
        if line.get("kind") == "order"
    }
    return {name for name in intents_in(journal) if status.get(name, OrderStatus.SENT) in SILENT}


def _ended(desk: Desk, reference: str) -> bool:
    """Return whether the venue's newest word of an order, as its own run has it, is its end."""
    slot = slot_of(reference, desk.portfolio)
    told = [
        OrderStatus(line["order"]["status"])
        for line in (() if slot is None else desk.books.journal(slot))
        if line.get("kind") == "order" and line["order"]["reference"] == reference
    ]
    return bool(told) and told[-1].terminal


def _take_back_its_end(desk: Desk, reference: str, shown: WorkingOrder) -> None:
    """Journal that the venue shows an order as open again after it had told its end."""
    slot = slot_of(reference, desk.portfolio)
    if slot is not None and _ended(desk, reference):
        desk.books.note(slot, {"kind": "order", "order": to_plain(shown)}, durable=True)


def _first_look(page: RunPage, reference: str) -> str:
    """Return when a look first found nothing, and none since has shown it; '' when none has."""
    found = (f.evidence.partition("|") for f in page.standing.latched)
    return next((first for name, _, first in found if name == reference), "")


def _absent_since(page: RunPage, reference: str) -> str:
    """Return since when looks have found nothing, this one included.

    A clock that is wrong begins no proof; a first look that is still to come proves nothing.
    """
    first = _first_look(page, reference)
    if _clock_is_wrong(page) or (first and datetime.fromisoformat(first) <= page.now):
        return first
    return page.now.isoformat()


def _clock_is_wrong(page: RunPage) -> bool:
    return any(flag.code == "clock-skew" for flag in page.flags)


def _proved_absent(desk: Desk, page: RunPage, venue: Venue, reference: str) -> bool:
    """Return whether two looks, far enough apart, found nothing and the position agrees."""
    flag = next(
        (f for f in page.standing.latched if f.evidence.partition("|")[0] == reference), None
    )
    first = _first_look(page, reference)
    since = datetime.fromisoformat(first) if first else page.now
    if _clock_is_wrong(page) or (page.now - since).total_seconds() < venue.absence_seconds:
        return False
    subject = InstrumentId(flag.subject) if flag else None
    expected = expected_now(desk.books)
    return subject is None or venue.account().quantity(subject) == expected.get(subject, 0)


def _resolve(desk: Desk, page: RunPage, reference: str, found: Sequence[WorkingOrder]) -> None:
    """Journal what became of an order with its own run, then lift its flag.

    `found` empty: it was never there.
    """
    slot = slot_of(reference, desk.portfolio)
    told = None if slot is None else intents_in(desk.books.journal(slot)).get(reference)
    if slot is not None and told is not None:
        order = from_plain(ApprovedOrder, told, "journal")
        absent = WorkingOrder(
            reference=reference,
            venue_id="",
            instrument=order.instrument,
            quantity=order.quantity,
            filled=Decimal(0),
            limit=order.intent.limit,
            status=OrderStatus.NOT_SENT,
            at=page.now,
            message="the venue proved that it never had it",
        )
        for each in found or (absent,):
            line = {"kind": "order", "order": to_plain(each)}
            desk.books.note(slot, line, durable=False)
    _release(page, reference)


def _release(page: RunPage, reference: str) -> None:
    kept = tuple(
        flag
        for flag in page.standing.latched
        if flag.code != "unresolved-order" or flag.evidence.partition("|")[0] != reference
    )
    if kept != page.standing.latched:
        page.remember(latched=kept)


def _keep(
    desk: Desk, page: RunPage, reference: str, slot: datetime | None, why: str, first: str
) -> None:
    """Latch (or keep latched) an order whose fate is unknown and flag it in this run.

    `first`: since when looks have found nothing, '' when none has since it was shown.
    """
    old = next(
        (f for f in page.standing.latched if f.evidence.partition("|")[0] == reference), None
    )
    subject = old.subject if old else _instrument(desk, reference, slot)
    message = f"order {reference} is unresolved: {why}"
    since = old.since if old else page.now
    flag = LatchedFlag(
        "unresolved-order", subject, Severity.HOLD, message, since, f"{reference}|{first}"
    )
    others = tuple(f for f in page.standing.latched if f is not old)
    page.remember(latched=(*others, flag))
    page.flag("unresolved-order", message, subject)
    page.worsen(OutcomeUnknown.exit_code)


def _instrument(desk: Desk, reference: str, slot: datetime | None) -> str:
    if slot is None:
        return ""
    order = intents_in(desk.books.journal(slot))[reference]
    return str(order["intent"]["instrument"])


def _account(journal: Sequence[Mapping[str, Any]]) -> AccountSnapshot | None:
    """Return the account as the run saw it first, None when it did not."""
    told = next((line["account"] for line in journal if line.get("kind") == "account"), None)
    return None if told is None else from_plain(AccountSnapshot, told, "journal")


def _tell_death(page: RunPage, slot: datetime, journal: Sequence[Mapping[str, Any]]) -> None:
    which = died(journal, before=page.attempt if slot == page.slot else None)
    steps = [
        line
        for line in journal
        if line.get("kind") == "step" and which in (0, line["attempt"])  # 0: its record is gone
    ]
    reached = steps[-1]["step"] if steps else 0
    page.flag(
        "run-died",
        f"the run of {slot:%Y-%m-%d %H:%M} UTC ended in step {reached} without a record; its "
        "executions are booked and its orders were looked up",
        f"run:{slot:%Y-%m-%dT%H%MZ}",
    )
    page.flag("run-repaired", f"the books of {slot:%Y-%m-%d %H:%M} UTC were finished")


def _record_dead(
    desk: Desk, page: RunPage, slot: datetime, journal: Sequence[Mapping[str, Any]]
) -> None:
    """Write the record that a run which died did not write.

    Of several attempts it is the last one's: what an earlier one saw may long be over. Orders
    and executions are the slot's. A last one that wrote its own keeps it.
    """
    last = max((line["attempt"] for line in journal if line.get("kind") == "begin"), default=0)
    known = desk.books.record(slot)
    if known is not None and known.attempt >= last:
        return
    own = [line for line in journal if line.get("attempt") == last]
    approved = tuple(
        from_plain(ApprovedOrder, order, "journal") for order in intents_in(journal).values()
    )
    orders = {
        line["order"]["reference"]: from_plain(WorkingOrder, line["order"], "journal")
        for line in journal
        if line.get("kind") == "order"
    }
    flags = tuple(
        from_plain(ErrorFlag, line["flag"], "journal") for line in own if line.get("kind") == "flag"
    )
    steps = [int(line["step"]) for line in own if line.get("kind") == "step"]
    begins = [line for line in journal if line.get("kind") == "begin"]
    entries = desk.books.entries()
    record = RunRecord(
        schema=SCHEMA,
        portfolio=desk.portfolio,
        slot=slot,
        attempt=len(begins),
        mode=Mode(begins[-1].get("mode", desk.mode)) if begins else desk.mode,
        session=session_date(desk, slot),
        outcome=Outcome.FAILED,
        exit_code=70,
        reached=steps[-1] if steps else 0,
        now=slot,
        before=_account(own),
        approved=approved,
        orders=tuple(orders[name] for name in sorted(orders)),
        fills=tuple(e.fill for e in entries if e.slot == slot and e.kind is EntryKind.FILL),
        flags=flags,
        positions_expected=expected_now(desk.books),
        entries=len(entries),
        standing=replace(page.standing),
        command=str(begins[-1].get("command", "")) if begins else "",
    )
    desk.books.save_record(
        record, {"recovered_by": f"{page.slot:%Y-%m-%dT%H%MZ}"}, trade_records(entries)
    )

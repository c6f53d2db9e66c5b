"""Bugs to plant into the running program, one at a time (`bugs` has where they show).

Each takes something away that keeps the owner safe. None of them shows in a run in which nothing
goes wrong, but for those that break a rule at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer import hourly
from rebalancer.brokers.dry import DryHands
from rebalancer.brokers.ib.hands import IbHands
from rebalancer.brokers.ib.venue import IbVenue
from rebalancer.errors import BlindError, OutcomeUnknown
from rebalancer.ledger import adjustments, compare_books, entries, income
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.orders import ApprovedOrder, OrderStatus, order_reference
from rebalancer.model.records import EntryKind
from rebalancer.reports.daily import daily_mails
from rebalancer.risk import gates, run_gates
from rebalancer.store.books import StateFolder
from rebalancer.store.sql import database
from rebalancer.store.sql.rows import day_rows
from rebalancer.working import books, cancel, closing, healing, protect, recover, work
from rebalancer.working.page import RunPage

# ------------------------------------------------------------------ journal and wire


def send_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    """Intents are written when everything has gone out."""
    intend, look_up = RunPage.intend, work.Shift.look_up_silent
    kept: list[Sequence[ApprovedOrder]] = []

    def later(page: RunPage, orders: Sequence[ApprovedOrder]) -> None:
        kept.append(orders)
        page.intents |= {order.reference: order for order in orders}

    def now(shift: work.Shift) -> None:
        for orders in kept:
            for order in orders:
                shift.page.intents.pop(order.reference)
            intend(shift.page, orders)
        kept.clear()
        look_up(shift)

    patch.setattr(RunPage, "intend", later)
    patch.setattr(work.Shift, "look_up_silent", now)


def do_not_wait_for_the_disk(patch: pytest.MonkeyPatch) -> None:
    """The journal's lines may still be in memory when the order goes out."""
    note = StateFolder.note
    patch.setattr(
        StateFolder, "note", lambda self, slot, line, durable: note(self, slot, line, durable=False)
    )


def send_again_after_a_time_out(patch: pytest.MonkeyPatch) -> None:
    """An order that was not acknowledged is sent once more."""

    def again(shift: work.Shift) -> None:
        for reference in shift.page.unacknowledged():
            shift.take(shift.hands.submit([shift.page.intents[reference].place(shift.venue.now())]))

    patch.setattr(work.Shift, "look_up_silent", again)


def take_unknown_for_absent(patch: pytest.MonkeyPatch) -> None:
    """What the venue does not show at once is sent again, under a new name."""

    def again(shift: work.Shift) -> None:
        for reference in shift.page.unacknowledged():
            try:
                found = shift.venue.find(reference)
            except OutcomeUnknown:
                found = ()
            for order in found:
                shift.page.saw(order)
            if not found:
                old = shift.page.intents[reference]
                name = f"{reference.rpartition('.')[0]}.{shift.next_sequence}"
                shift.next_sequence += 1
                shift.send([replace(old, reference=name)])

    patch.setattr(work.Shift, "look_up_silent", again)


def use_a_reference_again(patch: pytest.MonkeyPatch) -> None:
    """The next attempt calls its orders like the one before."""

    def named(portfolio: str, slot: Any, attempt: int, *rest: Any) -> str:
        return order_reference(portfolio, slot, 1, *rest)

    patch.setattr(gates, "order_reference", named)


def send_more_than_was_approved(patch: pytest.MonkeyPatch) -> None:
    """The message says another number than the approval."""
    place = ApprovedOrder.place
    patch.setattr(
        ApprovedOrder,
        "place",
        lambda order, at: replace(place(order, at), quantity=order.quantity * 2),
    )


def ask_about_margin_in_a_dry_run(patch: pytest.MonkeyPatch) -> None:
    """A dry run sends the question that is an order message."""
    patch.setattr(DryHands, "preview", lambda hands, asked: _live(hands).preview(asked))


def _live(hands: Any) -> IbHands:
    venue = hands._venue
    while not isinstance(venue, IbVenue):
        venue = venue._inner
    return IbHands(venue)


def remember_a_dry_run(patch: pytest.MonkeyPatch) -> None:
    """What a dry run would have remembered is what the next live run remembers."""
    save = StateFolder.save_standing

    def both(folder: StateFolder, standing: Any) -> None:
        save(folder, standing)
        if folder.root.name == "dry":
            written = (folder.root / "breakers.json").read_bytes()
            (folder.root.parent / "breakers.json").write_bytes(written)

    patch.setattr(StateFolder, "save_standing", both)


# ------------------------------------------------------------------ what is believed


def trust_an_empty_position_list(patch: pytest.MonkeyPatch) -> None:
    """Positions that do not come are none, and nothing is compared with them."""
    account = IbVenue.account
    seen: list[AccountSnapshot] = []

    def believed(venue: IbVenue) -> AccountSnapshot:
        try:
            seen.append(account(venue))
        except BlindError:
            seen.append(replace(seen[-1], at=venue.now(), positions=()))
        return seen[-1]

    patch.setattr(IbVenue, "account", believed)
    patch.setattr(books, "check_account", lambda *_, **__: ())
    for module in (books, healing):
        patch.setattr(
            module,
            "compare_books",
            lambda expected, account, universe: (
                compare_books(expected, account, universe) if account.positions else ()
            ),
        )


def trust_a_cancel_that_was_asked_for(patch: pytest.MonkeyPatch) -> None:
    """What was asked to die is dead."""
    patch.setattr(cancel, "_barrier", lambda *_: ())


def forget_late_commissions(patch: pytest.MonkeyPatch) -> None:
    """A fee that comes after its trade is booked never."""
    line = entries._line

    def never(*asked: Any) -> Any:
        found = line(*asked)
        return None if found is not None and found.kind is EntryKind.COMMISSION else found

    patch.setattr(entries, "_line", never)


def count_a_correction_as_a_second_fill(patch: pytest.MonkeyPatch) -> None:
    """An execution with another revision is another execution."""
    patch.setattr(entries, "execution_revision", lambda exec_id: (exec_id, 0))


def book_income_with_the_wrong_sign(patch: pytest.MonkeyPatch) -> None:
    """What was paid counts as earned."""
    as_fill = income._as_fill

    def turned(each: Any, name: str) -> Any:
        fill = as_fill(each, name)
        return replace(fill, commission=-(fill.commission or Decimal(0)))

    patch.setattr(income, "_as_fill", turned)


def drop_fills_between_two_runs(patch: pytest.MonkeyPatch) -> None:
    """What traded while nobody looked is neither booked nor looked for."""
    patch.setattr(recover, "book_what_happened", lambda *_: None)
    patch.setattr(healing, "_asked", lambda *_: False)


# ------------------------------------------------------------------ what is forbidden


def clear_breakers_on_restart(patch: pytest.MonkeyPatch) -> None:
    """Nothing that was latched is remembered."""
    standing = StateFolder.standing
    patch.setattr(StateFolder, "standing", lambda self: replace(standing(self), latched=()))


def ignore_halts_at_the_gate(patch: pytest.MonkeyPatch) -> None:
    """A HALT flag refuses nothing."""
    open_gate = replace(gates.GATES[0], check=lambda *_: None)
    assert gates.GATES[0].name == "halt"
    patch.setattr(gates, "GATES", (open_gate, *gates.GATES[1:]))
    patch.setattr(run_gates, "no_halt", lambda *_: None)


def believe_old_quotes(patch: pytest.MonkeyPatch) -> None:
    """No gate asks how old a quote is."""
    blind = ("quote", "freshness")
    opened = [
        replace(gate, check=lambda *_: None) if gate.name in blind else gate for gate in gates.GATES
    ]
    assert sum(one is not two for one, two in zip(opened, gates.GATES, strict=True)) == len(blind)
    patch.setattr(gates, "GATES", tuple(opened))


def look_for_a_halt_file_once(patch: pytest.MonkeyPatch) -> None:
    """A HALT file that comes in the middle of a run is not seen."""
    stop = RunPage.stop
    asked: dict[int, Any] = {}

    def once(page: RunPage) -> Any:
        return asked.setdefault(id(page), stop(page))

    patch.setattr(RunPage, "stop", once)


def forget_at_what_price_it_was_held(patch: pytest.MonkeyPatch) -> None:
    """Prices are compared with the venue's own past alone."""
    patch.setattr(books, "_recent_marks", lambda _page: {})


def take_protection_down_on_halt(patch: pytest.MonkeyPatch) -> None:
    """A HALT file ends all orders, stops too."""
    look = protect._Shift.look

    def down(shift: Any) -> None:
        look(shift)
        if shift.page.stop() is not None:
            for stop in shift.own():
                shift.hands.cancel_stop(stop)

    patch.setattr(protect._Shift, "look", down)


def end_with_zero_whatever_happened(patch: pytest.MonkeyPatch) -> None:
    """No trouble makes the exit code worse."""
    patch.setattr(RunPage, "worsen", lambda *_: None)


def forget_the_record_of_a_dead_run(patch: pytest.MonkeyPatch) -> None:
    """A run that died stays without its record."""
    patch.setattr(recover, "_record_dead", lambda *_: None)


def believe_that_a_filled_order_works_again(patch: pytest.MonkeyPatch) -> None:
    """A late message of the venue's brings an order back to life."""
    look_up = work.Shift.look_up_silent

    def late(shift: work.Shift) -> None:
        look_up(shift)
        for order in tuple(shift.page.orders.values()):
            if order.status is OrderStatus.FILLED:
                shift.page.saw(replace(order, status=OrderStatus.WORKING))

    patch.setattr(work.Shift, "look_up_silent", late)


def adjust_the_books_silently(patch: pytest.MonkeyPatch) -> None:
    """What nobody looks for is booked as the venue has it, and no flag says so."""
    raised = RunPage.raised
    patch.setattr(recover, "book_what_happened", lambda *_: None)
    patch.setattr(healing, "_asked", lambda *_: True)
    patch.setattr(
        RunPage,
        "raised",
        lambda page, flag: None if flag.code == "books-adjusted" else raised(page, flag),
    )


def tell_of_an_adjustment_afterwards(patch: pytest.MonkeyPatch) -> None:
    """The lines are written first, and only then it is said that they are."""
    book = healing._book

    def first(desk: Any, account: Any, gaps: Any, prices: Any, page: RunPage) -> None:
        if gaps:
            lines = adjustments(gaps, account, desk.universe, page.slot, prices)
            desk.books.book(lines)
        book(desk, account, gaps, prices, page)

    patch.setattr(healing, "_book", first)


def tell_nobody(patch: pytest.MonkeyPatch) -> None:
    """Troubles are in the record; no mail tells of them."""
    for module in (closing, hourly):
        patch.setattr(module, "send_alert", lambda *_: None)


def write_no_daily_mail(patch: pytest.MonkeyPatch) -> None:
    """The session's start, middle and end pass without a mail."""
    for module in (closing, hourly):
        patch.setattr(module, "send_daily", lambda *_: None)


def commit_nothing(patch: pytest.MonkeyPatch) -> None:
    """A session that is over is not written to the database."""
    for module in (closing, hourly):
        patch.setattr(module, "commit", lambda *_: None)


def commit_every_trade_twice(patch: pytest.MonkeyPatch) -> None:
    """Each trade is inserted once more, as a correction of itself."""

    def twice(day: Any, portfolio: str) -> Any:
        again = (replace(each, exec_id=f"{each.exec_id[:-1]}9") for each in day.trades)
        return day_rows(replace(day, trades=(*day.trades, *again)), portfolio)

    patch.setattr(database, "day_rows", twice)


def commit_no_trades(patch: pytest.MonkeyPatch) -> None:
    """A session's days are committed, what was traded in them is not."""
    patch.setattr(
        database,
        "day_rows",
        lambda day, portfolio: day_rows(replace(day, trades=()), portfolio),
    )


def mail_another_number(patch: pytest.MonkeyPatch) -> None:
    """The daily mail tells a net liquidation that nobody has."""

    def lying(record: Any, *rest: Any, **more: Any) -> Any:
        after = replace(record.after, net_liquidation=record.after.net_liquidation + 100)
        return daily_mails(replace(record, after=after), *rest, **more)

    patch.setattr(closing, "daily_mails", lying)

"""Steps 4 and 9: gaps between books and venue are looked for, explained, fetched again, booked.

A break locks its instrument at once (`working.books`); healing only ends it. The venue is asked
for what it still has of the instruments in question; what it cannot explain is booked as the
venue has it only under the conditions of `ledger.judge_gaps`, and never silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.errors import BlindError
from rebalancer.ledger import (
    Break,
    adjustments,
    compare_books,
    corporate_actions,
    judge_gaps,
    remembered_gaps,
    to_ask,
)
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import Mode
from rebalancer.ports import Desk, Venue
from rebalancer.working.bookkeeping import book_fills, expected_now
from rebalancer.working.books import known_prices
from rebalancer.working.cancel import is_own
from rebalancer.working.income import book_income
from rebalancer.working.page import RunPage

LOOKS = (timedelta(days=7), timedelta(days=30))
"""How far back executions are asked for because of a gap: the second if the first finds nothing."""

MOST_ASKED = 10
"""For so many instruments at most in one run: the questions of a run are bounded."""


def explain(desk: Desk, venue: Venue, account: AccountSnapshot, page: RunPage) -> None:
    """Book what explains the account and the books lack: the venue's own lines, missed trades."""
    book_income(desk, venue, account, page)
    heal_books(desk, venue, account, page)


def heal_books(desk: Desk, venue: Venue, account: AccountSnapshot, page: RunPage) -> None:
    """Explain what the venue holds and the books do not say, before the books are judged.

    What cannot be explained yet is remembered; the lock on it is `check_books`'s.
    """
    breaks = find_gaps(desk, venue, account, page)
    if not breaks:
        return
    prices = _prices(desk, account, page)
    verdict = judge_gaps(
        breaks,
        page.standing.gaps,
        account,
        desk.universe,
        prices,
        _blocked(desk, venue, account, breaks, page),
        slot=page.slot,
        weight_limit=desk.limits.heal_weight,
        most=desk.limits.breaks_to_halt,
    )
    for name, why in verdict.left.items():
        message = f"{name}: no execution at the venue explains its position; {why}"
        page.flag("gap-unexplained", message, name)
    _book(desk, account, verdict.book, prices, page)


def find_gaps(
    desk: Desk, venue: Venue, account: AccountSnapshot, page: RunPage
) -> tuple[Break, ...]:
    """Return on what books and account disagree after the venue was asked why; remember it."""
    if not page.standing.adopted:
        return ()
    breaks = compare_books(expected_now(desk.books), account, desk.universe)
    gaps = dict(remembered_gaps(page.standing.gaps, breaks, page.slot))
    asked = to_ask(gaps, page.slot)[:MOST_ASKED]
    for far in LOOKS:
        broken = {each.instrument for each in breaks}
        names = [name for name in asked if name in broken]
        if not names or not _asked(desk, venue, account.at, far, names, page):
            break
        breaks = compare_books(expected_now(desk.books), account, desk.universe)
        now = remembered_gaps(gaps, breaks, page.slot)
        gaps = {
            name: replace(gap, asked=page.slot) if name in names else gap
            for name, gap in now.items()
        }
    if gaps != page.standing.gaps:
        page.remember(gaps=gaps)
    return breaks


def _asked(
    desk: Desk,
    venue: Venue,
    until: datetime,
    far: timedelta,
    names: Sequence[InstrumentId],
    page: RunPage,
) -> bool:
    """Book what the venue has of these instruments; return whether it answered.

    Only what the account that is compared shows already; the rest is for a later look.
    """
    try:
        fills = venue.executions(until - far, names)
    except BlindError as error:
        shown = ", ".join(names)
        page.flag("gap-unexplained", f"the executions in {shown} could not be asked for: {error}")
        return False
    told = tuple(fill for fill in fills if fill.at <= until)
    count = book_fills(desk, page, told)
    if count:
        page.flag(
            "fills-found",
            f"{count} lines were booked for executions of the last {far.days} days that the "
            "books lacked and the venue still had",
        )
    return True


def _blocked(
    desk: Desk,
    venue: Venue,
    account: AccountSnapshot,
    breaks: Sequence[Break],
    page: RunPage,
) -> Mapping[InstrumentId, str]:
    """Return the instruments in which something may still happen or has another name."""
    blocked: dict[InstrumentId, str] = {}
    expected = {each.instrument: each.expected for each in breaks}
    prices, contracts = known_prices(desk, account, page), page.standing.contracts
    named = corporate_actions(expected_now(desk.books), account, desk.universe, contracts, prices)
    for act in named:
        blocked[act.instrument] = f"{act.reason}: `rebalancer resume` says what it is"
    for flag in page.standing.latched:
        name = InstrumentId(flag.subject)
        if flag.code == "corporate-action":
            blocked[name] = "it may be a corporate action: `rebalancer resume` says what it is"
        elif flag.code == "unresolved-order":
            blocked[name] = "an order of it is unresolved"
    for order in venue.open_orders():
        whose = "ours" if is_own(order, desk.portfolio) else "not ours"
        blocked[order.instrument] = f"an order that is {whose} works in it"
    if desk.mode is Mode.DRY_RUN:
        return dict.fromkeys(expected, "a dry run books nothing as it is")
    return {name: why for name, why in blocked.items() if name in expected}


def _prices(desk: Desk, account: AccountSnapshot, page: RunPage) -> Mapping[InstrumentId, Decimal]:
    """Return a price for what the account does not hold any more: the last one known here."""
    last = desk.books.last_record()
    found = {
        line.instrument: line.reference_price
        for line in (() if last is None else last.lines)
        if line.reference_price is not None
    }
    closes = known_prices(desk, account, page)
    return found | {name: close for name, (close, _) in closes.items()}


def _book(
    desk: Desk,
    account: AccountSnapshot,
    gaps: Sequence[Break],
    prices: Mapping[InstrumentId, Decimal],
    page: RunPage,
) -> None:
    """Book gaps as the venue has them, and say so; nothing is sent in them in this run.

    It is said first: who dies in between has told of lines that the next run writes.
    """
    if not gaps:
        return
    lines = adjustments(gaps, account, desk.universe, page.slot, prices)
    for each in gaps:
        since = page.standing.gaps[each.instrument].first
        page.flag(
            "books-adjusted",
            f"{each.instrument}: the books said {each.expected:f} and the venue {each.found:f} "
            f"since {since:%Y-%m-%d %H:%M} UTC, and no execution that it still has explains it; "
            "booked as the venue has it, nothing is sent in it in this run",
            each.instrument,
        )
    desk.books.book(lines)
    left = {name: gap for name, gap in page.standing.gaps.items()
            if name not in {each.instrument for each in gaps}}  # fmt: skip
    page.remember(gaps=left)

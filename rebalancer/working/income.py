"""What the venue booked by itself goes into our books: realised profit, funding, transfers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rebalancer.ledger import booked_income, external_flows, income_entries
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.income import Income
from rebalancer.model.records import Entry, ExternalFlow, Standing
from rebalancer.ports import Desk, Venue
from rebalancer.working.page import RunPage

OVERLAP = timedelta(hours=1)
"""What was read is asked for again from so long before its end: ids make doubles harmless."""

READ = "income"
"""Under this name is remembered until when the venue's ledger was read."""


def book_income(desk: Desk, venue: Venue, account: AccountSnapshot, page: RunPage) -> None:
    """Book what the venue's ledger says up to the time of `account`, so that cash is explained.

    Later lines wait for the next look: the account does not show them yet. What was booked
    before our first run (the first that left anything, even if it died) is in what the account
    held then. A venue without such a ledger answers with nothing, and nothing changes.
    """
    since = read_since(page.standing, page.slot)
    told = _shown(venue.income(since), since, account)
    if not told:
        return
    lines = income_entries(told, desk.books.entries(), page.slot)
    if lines:
        desk.books.book(lines)
        page.income += booked_income(lines)
    read = max(each.at for each in told).isoformat()
    if page.standing.due.get(READ) != read:
        page.remember(due=dict(page.standing.due) | {READ: read})


def flows_since_accepted(
    entries: Iterable[Entry], standing: Standing, account: AccountSnapshot
) -> tuple[ExternalFlow, ...]:
    """Return what came from outside or went there since the last accepted run.

    Amounts in a currency without a rate are left out: they cannot be compared with anything,
    and the account's own check says so.
    """
    since = standing.accepted_at
    flows = external_flows(booked_income(entries))
    return tuple(
        flow
        for flow in flows
        if account.rates.knows(flow.currency) and (since is None or flow.at > since)
    )


def flows_by_now(
    told: Iterable[Income],
    entries: Sequence[Entry],
    standing: Standing,
    account: AccountSnapshot,
) -> tuple[ExternalFlow, ...]:
    """Return the flows since the last accepted run, with those that no run has booked yet.

    `told` is the venue's ledger since `read_since`. What `account` shows of it the next run
    books, and then it counts as one of these flows.
    """
    shown = _shown(told, read_since(standing, account.at), account)
    lines = income_entries(shown, entries, account.at)
    return flows_since_accepted((*entries, *lines), standing, account)


def flows_between(desk: Desk, after: datetime | None, slot: datetime) -> tuple[ExternalFlow, ...]:
    """Return the flows that were booked by runs after the slot `after`, up to `slot`."""
    lines = (
        line
        for line in desk.books.entries()
        if line.slot <= slot and (not after or line.slot > after)
    )
    return external_flows(booked_income(lines))


def read_since(standing: Standing, slot: datetime) -> datetime:
    """Return since when the venue's ledger is asked for; `slot` is that of a first run."""
    first = standing.began or slot
    read = standing.due.get(READ)
    return first if read is None else max(first, datetime.fromisoformat(read) - OVERLAP)


def _shown(told: Iterable[Income], since: datetime, account: AccountSnapshot) -> tuple[Income, ...]:
    return tuple(each for each in told if since <= each.at <= account.at)

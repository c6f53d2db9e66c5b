"""What the commands share that change the books by hand: the lock, the account, the minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rebalancer.cli.opened import LookPage, look_desk, time_of
from rebalancer.clock import SystemClock
from rebalancer.errors import UsageError

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.account import AccountSnapshot
    from rebalancer.model.income import Income
    from rebalancer.model.orders import Fill
    from rebalancer.store.books import StateFolder

    Look = tuple[AccountSnapshot, tuple[Fill, ...], tuple[Income, ...]]

LONGEST_SECONDS = 120.0
"""How long such a command may hold the portfolio's lock before a run calls it hung."""


@contextmanager
def locked_books(config: Config) -> Iterator[StateFolder]:
    """Return the real books while no run is at work. Raises `LockBusy`, `StateError`."""
    from rebalancer.store.atomic import Files
    from rebalancer.store.books import StateFolder
    from rebalancer.store.lock import portfolio_lock

    now = SystemClock().now().timestamp()
    with portfolio_lock(config.state_folder, now + LONGEST_SECONDS, now):
        yield StateFolder(config.state_folder, Files())


def look_at_trades(config: Config, since: datetime, income_since: datetime) -> Look:
    """Return the account and, looked at after it, executions and income since these times.

    So what the account shows is among them. Raises `ConnectError`.
    """
    with look_desk(config).broker.connect(LookPage(time_of(config))) as venue:
        return venue.account(), venue.executions(since), venue.income(income_since)


def look_as_a_run(config: Config, books: StateFolder) -> Look:
    """Return the account, and the executions and income that a run would ask for, read-only.

    Raises `ConnectError`, and `UsageError` for an account that a run would not believe either.
    """
    from rebalancer.risk import check_account
    from rebalancer.working.income import read_since
    from rebalancer.working.recover import LOOK_BACK, read_until

    standing, slot = books.standing(), minute(config)
    since = min([*books.unfinished(), read_until(books, standing, slot)]) - LOOK_BACK
    looked = look_at_trades(config, since, read_since(standing, slot))
    flags = check_account(looked[0], config.risk, config.net_liquidation_range, now=time_of(config))
    if flags:
        raise UsageError(
            "the account, as the venue tells it, is not one that a run would trade on; nothing was "
            f"changed: {'; '.join(flag.message for flag in flags)}"
        )
    return looked


def refuse_unfinished(books: StateFolder) -> None:
    """Raise `UsageError` while a run that died has executions that may not be booked yet."""
    if left := books.unfinished():
        slots = ", ".join(f"{slot:%Y-%m-%d %H:%M} UTC" for slot in left)
        raise UsageError(
            "a run ended without its record; nothing was changed; run once first: "
            f"`rebalancer run` finishes the books of {slots}"
        )


def refuse_unbooked(config: Config, books: StateFolder, fills: Sequence[Fill]) -> None:
    """Raise `UsageError` while executions are not booked: they would be booked twice."""
    from rebalancer.ledger import bookable, entries_for
    from rebalancer.model.orders import LATE
    from rebalancer.model.records import EntryKind

    refuse_unfinished(books)
    entries = books.entries()
    told = bookable(fills, entries, books.standing().began, config.name)
    missing = [
        line.fill
        for line in entries_for(told, entries, minute(config), {})
        if line.kind is not EntryKind.COMMISSION and line.fill.origin != LATE
    ]
    if missing:
        names = ", ".join(sorted({fill.instrument for fill in missing}))
        raise UsageError(
            f"the venue has {len(missing)} executions in {names} that the books do not have; "
            "nothing was changed; run once first: `rebalancer run` books them"
        )


def minute(config: Config) -> datetime:
    """Return the slot of what is booked by hand: the minute it is for the portfolio."""
    return time_of(config).replace(second=0, microsecond=0)

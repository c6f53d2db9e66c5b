"""What the commands share that change the books by hand: the lock, the account, the minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rebalancer.cli.opened import LookPage, look_desk, time_of
from rebalancer.clock import SystemClock
from rebalancer.errors import UsageError

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.account import AccountSnapshot
    from rebalancer.model.orders import Fill
    from rebalancer.store.books import StateFolder

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


def look_at_account(config: Config) -> AccountSnapshot:
    """Return what the account holds now, connecting read-only. Raises `ConnectError`."""
    with look_desk(config).broker.connect(LookPage(time_of(config))) as venue:
        return venue.account()


def look_at_trades(config: Config, since: datetime) -> tuple[AccountSnapshot, tuple[Fill, ...]]:
    """Return the account and, looked at after it, the executions since a time.

    So what the account shows is among the executions. Raises `ConnectError`.
    """
    with look_desk(config).broker.connect(LookPage(time_of(config))) as venue:
        return venue.account(), venue.executions(since)


def refuse_unfinished(books: StateFolder) -> None:
    """Raise `UsageError` while a run that died has executions that may not be booked yet."""
    if left := books.unfinished():
        slots = ", ".join(f"{slot:%Y-%m-%d %H:%M} UTC" for slot in left)
        raise UsageError(
            "a run ended without its record; nothing was changed; run once first: "
            f"`rebalancer run` finishes the books of {slots}"
        )


def minute(config: Config) -> datetime:
    """Return the slot of what is booked by hand: the minute it is for the portfolio."""
    return time_of(config).replace(second=0, microsecond=0)

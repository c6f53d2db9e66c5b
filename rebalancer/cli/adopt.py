"""`rebalancer adopt`: what the account already holds goes into the books."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from rebalancer.cli.changing import (
    locked_books,
    look_as_a_run,
    minute,
    refuse_unbooked,
    refuse_unfinished,
)
from rebalancer.cli.opened import books_of, confirmed
from rebalancer.cli.tables import show_table
from rebalancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebalancer.model.records import Entry


def execute(arguments: Namespace) -> int:
    """Show what is held and not booked, and book it once the owner confirmed."""
    from rebalancer.ledger import adoption, unmanaged
    from rebalancer.model.orders import parse_reference
    from rebalancer.working.bookkeeping import expected_now

    config, books = books_of(arguments.config, dry=False)
    account, fills, _ = look_as_a_run(config, books)
    for name in unmanaged(account, config.universe):
        print(f"{name} is held, but in no sleeve's universe: never traded, not adopted.")
    at = minute(config)
    entries = adoption(account, config.universe, expected_now(books), at)
    if entries and books.standing().adopted:
        names = ", ".join(entry.fill.instrument for entry in entries)
        raise UsageError(
            f"{config.name} was adopted before. That the account has another quantity of {names} "
            "than the books is a break: run once, then `rebalancer resume` shows it"
        )
    # What an order of ours traded is booked as that, whatever is adopted: never both.
    ours = [fill for fill in fills if parse_reference(fill.reference, config.name) is not None]
    if entries:
        _show(entries)
        question = f"This will book these {len(entries)} as holdings of {config.name}."
        if not confirmed(config.name, question, arguments):
            return 0
    with locked_books(config) as books:
        refuse_unfinished(books)
        refuse_unbooked(config, books, ours)
        if adoption(account, config.universe, expected_now(books), at) != entries:
            raise UsageError("a run changed the books meanwhile; nothing was booked, try again")
        books.book(entries)
        books.save_standing(replace(books.standing(), adopted=True))
    words = f"{len(entries)} holdings are booked" if entries else "The books agree with the account"
    print(f"{words}; {config.name} trades from its next run on.")
    return 0


def _show(entries: Sequence[Entry]) -> None:
    from rebalancer.reports.numbers import price, quantity

    rows = [
        (
            entry.fill.instrument,
            quantity(entry.fill.quantity, signed=True),
            price(entry.fill.price),
            entry.fill.currency,
        )
        for entry in entries
    ]
    show_table(("instrument", "quantity", "cost", "currency"), rows, right=(1, 2))

"""`rebalancer orders`: what a run ordered, what it did not, and why."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from rebalancer.cli.opened import books_of, read_time
from rebalancer.cli.tables import show_table
from rebalancer.errors import UsageError

if TYPE_CHECKING:
    from rebalancer.model.records import RunRecord
    from rebalancer.reports.rows import IdleRow, OrderRow
    from rebalancer.store.books import StateFolder

HEADERS = ("instrument", "order", "limit", "weight", "target", "reason", "what became of it")
_NUMBERS = (2, 3, 4)


def execute(arguments: Namespace) -> int:
    """Show the order table of the last run, or of the one of a slot."""
    from rebalancer.reports.numbers import slot_name

    at = read_time(arguments.slot, "SLOT") if arguments.slot else None
    config, books = books_of(arguments.config, dry=arguments.dry_run or None)
    record = books.last_record() if at is None else books.record(at)
    if record is None and at is not None:
        raise UsageError(f"{config.name} has no record of a run at {slot_name(at)}")
    if arguments.json:
        print(json.dumps(None if record is None else plain_orders(record), indent=2))
    elif record is None:
        print(f"{config.name} has no run on record yet.")
    else:
        _show(record)
        if at is None and record.command:
            _point_at_the_run_before(books, record)
    return 0


def plain_orders(record: RunRecord) -> dict[str, Any]:
    """Return the orders of a run and what was left alone as plain JSON values."""
    from rebalancer.model.codec import to_plain
    from rebalancer.reports.rows import idle_rows, order_rows

    return {
        "portfolio": record.portfolio,
        "slot": to_plain(record.slot),
        "mode": record.mode.value,
        "outcome": record.outcome.value,
        "orders": [to_plain(row) for row in order_rows(record)],
        "nothing": [to_plain(row) for row in idle_rows(record)],
    }


def _show(record: RunRecord) -> None:
    from rebalancer.reports.blocks import BANNERS
    from rebalancer.reports.numbers import slot_name
    from rebalancer.reports.rows import idle_rows, order_rows

    banner = BANNERS.get(record.mode, "")
    if banner:
        print(banner)
    what = f"`{record.command}`" if record.command else "run"
    print(f"{record.portfolio}, {what} {slot_name(record.slot)}: {record.outcome.value}")
    print()
    wanted, idle = order_rows(record), idle_rows(record)
    rows = [_wanted(row) for row in wanted] + [_idle(row) for row in idle]
    if rows:
        show_table(HEADERS, rows, right=_NUMBERS)
    else:
        print("No order was planned.")
        for flag in record.flags:
            print(f"  {flag.severity.value} {flag.code}: {flag.message}")


def _point_at_the_run_before(books: StateFolder, record: RunRecord) -> None:
    """Say how to see the last run's orders, which a command came after."""
    from rebalancer.reports.numbers import slot_name

    session = () if record.session is None else books.records(record.session)
    runs = [each.slot for each in session if not each.command]
    if runs:
        print(f"\nThe orders of the last run: rebalancer orders {slot_name(runs[-1])}")


def _wanted(row: OrderRow) -> tuple[str, ...]:
    from rebalancer.reports.numbers import percent, price, quantity
    from rebalancer.reports.rows import Fate

    fate = "refused by" if row.fate is Fate.REFUSED else f"{row.fate.value}:"
    became = f"{fate} {row.why}" if row.why else row.fate.value
    if row.filled:
        became += f" ({quantity(row.filled)} at {price(row.average_price)})"
    return (
        row.instrument,
        f"{row.action.value} {quantity(row.quantity)}",
        "market" if row.limit is None else price(row.limit),
        percent(row.current_weight),
        percent(row.target_weight),
        row.reason,
        became,
    )


def _idle(row: IdleRow) -> tuple[str, ...]:
    from rebalancer.reports.numbers import percent

    weights = percent(row.current_weight), percent(row.target_weight)
    return (row.instrument, "nothing", "", *weights, row.reason, "")

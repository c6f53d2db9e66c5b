"""`rebalancer flatten`: what is held goes to zero, through the gates, also while halted."""

from __future__ import annotations

import shlex
from argparse import Namespace
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from rebalancer.cli.by_hand import desk_by_hand, file_of, patiently, shown, trading_mode
from rebalancer.cli.halt_files import halt_files
from rebalancer.cli.opened import books_of, confirmed
from rebalancer.cli.tables import show_table
from rebalancer.errors import RunHalted, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rebalancer.config import Config
    from rebalancer.model.instrument import InstrumentId
    from rebalancer.model.orders import PlanLine
    from rebalancer.model.records import Mode, RunRecord
    from rebalancer.working.by_hand import Left

PLAN = ("instrument", "held", "orders", "each", "limit", "what a gate says")
DONE = ("instrument", "held", "traded", "at", "left")
BUYS_AGAIN = "There is no HALT file: the next run trades towards its signals again"


def execute(arguments: Namespace) -> int:
    """Show what would be sold; with `--send`, confirmed, sell it and show what is left."""
    from rebalancer.model.records import Mode

    config, books = books_of(file_of(arguments), dry=False)
    halts = books.halt_reason()  # one that comes while we show and ask is new: it stops the sale
    only = instruments_of(config, arguments.only or ())
    mode = trading_mode(config) if arguments.send else Mode.DRY_RUN
    if not arguments.send or not arguments.yes:
        record, _ = _flatten(config, Mode.DRY_RUN, only, halts)
        _show_plan(record, only)
        if not arguments.send:
            print(f"\nNothing was sent. To do it: {_again(arguments)} --send")
            return record.exit_code
        if not record.approved:
            print("\nThere is nothing that could be sent now.")
            return record.exit_code or (RunHalted.exit_code if record.lines else 0)
        question = f"This will cancel the open orders of {config.name} and sell what is above."
        if not halt_files(config):
            question += f" {BUYS_AGAIN}: `rebalancer halt` first if that is not what you want."
        if not confirmed(config.name, question, arguments):
            return 0
        # What a run buys while the question stands was not in it.
        only = tuple(line.instrument for line in _meant(record, only))
    record, left = patiently(config, lambda: _flatten(config, mode, only, halts))
    return shown(record.exit_code, lambda: _show_done(config, record, left, only))


def _again(arguments: Namespace) -> str:
    """Return the command as it was typed: of this portfolio, and of no more instruments."""
    from rebalancer.cli.arguments import DEFAULT_CONFIG

    file, words = file_of(arguments), ["rebalancer", "flatten"]
    if file != DEFAULT_CONFIG:
        words += ["--config", file]
    if arguments.only:
        words += ["--only", *arguments.only]
    return shlex.join(words)


def instruments_of(config: Config, words: Sequence[str]) -> tuple[InstrumentId, ...]:
    """Return the instruments of the universe that are meant: ids, aliases, or first parts of ids.

    Raises `UsageError` for what names none, or more than one.
    """
    aliases, found = dict(config.aliases), []
    for word in words:
        ids = [
            name
            for name in config.universe.ids
            if name in (word, aliases.get(word)) or name.partition(".")[0] == word
        ]
        if len(ids) != 1:
            what = f"{', '.join(ids)}: which one?" if ids else "not in the portfolio's universe"
            raise UsageError(f"--only {word}: {what}; nothing was done")
        found += ids
    return tuple(dict.fromkeys(found))


def _flatten(
    config: Config, mode: Mode, only: Sequence[InstrumentId], halts: str | None
) -> tuple[RunRecord, Left]:
    from rebalancer.working.by_hand import flatten_by_hand
    from rebalancer.working.page import HaltSeen

    with desk_by_hand(config, mode) as (desk, slot):
        return flatten_by_hand(desk, slot, only, HaltSeen(halts))


def _meant(record: RunRecord, only: Sequence[InstrumentId]) -> Iterator[PlanLine]:
    """Yield the lines of what is held and was to be sold."""
    for line in record.lines:
        if line.current_quantity and (not only or line.instrument in only):
            yield line


def _show_plan(record: RunRecord, only: Sequence[InstrumentId]) -> None:
    from rebalancer.reports.numbers import price, quantity

    chunks = {order.instrument: order for order in record.approved}
    noes = {each.intent.instrument: f"{each.gate}: {each.reason}" for each in record.refused}
    rows = []
    for line in _meant(record, only):
        held, order = line.current_quantity, chunks.get(line.instrument)
        if order is None:
            why = noes.get(line.instrument) or line.reason
            rows.append((line.instrument, quantity(held, signed=True), "0", "", "", why))
            continue
        number = abs(line.quantity / order.quantity).to_integral_value(ROUND_CEILING)
        each = quantity(order.quantity, signed=True)
        limit = price(order.intent.limit)
        rows.append(
            (line.instrument, quantity(held, signed=True), str(number), each, limit, "passes")
        )
    if rows:
        show_table(PLAN, rows, right=(1, 2, 3, 4))
    else:
        print("There is nothing to sell.")
    _tell_flags(record, shown_only=True)


def _show_done(config: Config, record: RunRecord, left: Left, only: Sequence[InstrumentId]) -> None:
    from rebalancer.cli.ended import folder_of
    from rebalancer.reports.numbers import count, price, quantity

    mine = {order.reference for order in record.approved}
    rest = None if left.holdings is None else dict(left.holdings)
    rows = []
    for line in _meant(record, only):
        fills = [f for f in record.fills
                 if f.instrument == line.instrument and f.reference in mine]  # fmt: skip
        traded = sum((fill.quantity for fill in fills), Decimal(0))
        paid = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
        over = "not known" if rest is None else quantity(rest.get(line.instrument, Decimal(0)))
        rows.append(
            (
                line.instrument,
                quantity(line.current_quantity, signed=True),
                quantity(traded, signed=True),
                price(paid / traded) if traded else "",
                over,
            )
        )
    if rows:
        show_table(DONE, rows, right=(1, 2, 3, 4))
    for each in record.refused:
        print(f"{each.intent.instrument}: gate {each.gate}: {each.reason}")
    _tell_flags(record)
    if left.holdings is None:
        print("FAILED: what is left is not known. Look at the account at the venue.")
    elif left.holdings:
        verb = "is" if len(left.holdings) == 1 else "are"
        held = f"{count(len(left.holdings), 'holding')} {verb} left"
        print(f"{held}; the same command again goes on.")
    else:
        print(f"{config.name} is flat in what was to be sold.")
    _tell_orders(left)
    if not halt_files(config):
        print(f"{BUYS_AGAIN}.")
    print(f"Written to {folder_of(config, record.mode, record.slot)}")


def _tell_orders(left: Left) -> None:
    """Say which orders of ours may still trade; after a sale that broke off, that some may."""
    from rebalancer.reports.numbers import count

    ends = "`rebalancer cancel` ends what is there; sell nothing by hand before"
    if left.orders is None:
        print(f"Orders of ours may still work at the venue: {ends}.")
    elif left.orders:
        verb = "works" if len(left.orders) == 1 else "work"
        print(f"{count(len(left.orders), 'order')} of ours still {verb} at the venue; {ends}:")
        for order in left.orders:
            print(f"  {order.reference}: {order.remaining:+f} {order.instrument}")


def _tell_flags(record: RunRecord, *, shown_only: bool = False) -> None:
    """Print the flags; `shown_only`: the owner asked to see, that nothing is sent is no news."""
    from rebalancer.reports.explain import flag_line

    for flag in record.flags:
        if not (shown_only and flag.code == "dry-run"):
            print(flag_line(flag))

"""`rebalancer resume`: what is latched, what clears it, and clearing it."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.cli.changing import locked_books, look_at_trades, minute, refuse_unfinished
from rebalancer.cli.opened import books_of, confirmed
from rebalancer.cli.tables import show_table
from rebalancer.errors import ConnectError, UsageError
from rebalancer.model.words import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rebalancer.config import Config
    from rebalancer.model.account import AccountSnapshot
    from rebalancer.model.orders import Fill
    from rebalancer.model.records import Standing
    from rebalancer.store.books import StateFolder

HALT_FILE = "halt-file"
HEADERS = (
    "code",
    "about",
    "severity",
    "since",
    "until",
    "ended by",
    "ends by itself with",
    "command",
    "what it says",
)
EVERY_BREAK = "many-breaks"
BREAKS = frozenset({"reconciliation-break", EVERY_BREAK, "corporate-action"})
"""Lifting these means that the venue's positions are right: the books are made to agree."""


def execute(arguments: Namespace) -> int:
    """Show what stops the portfolio; clear what was named, or else offer to end a HALT file."""
    config, books = books_of(arguments.config, dry=False)
    standing, halts = books.standing(), halt_files(config)
    show_latched(standing, halts)
    codes = ["all"] if arguments.all else [code for code in arguments.codes if code != HALT_FILE]
    ends_halt = bool(halts) and (
        arguments.all or HALT_FILE in arguments.codes or not arguments.codes
    )
    _refuse_unknown(codes, standing, halts, arguments.codes)
    if not ends_halt and (not codes or not standing.latched):
        if standing.latched:
            print("\nTo clear: rebalancer resume CODE ..., or rebalancer resume --all")
        return 0
    if not confirmed(config.name, _question(config, codes, standing, halts, ends_halt), arguments):
        return 0
    if codes and standing.latched:
        _clear(config, codes)
    for path in halts if ends_halt else ():
        _remove(path)
    return 0


def halt_files(config: Config) -> list[Path]:
    """Return the HALT files that stop this portfolio: its own, and the one that stops all."""
    found = (config.state_folder / "HALT", config.state_root / "HALT")
    return [path for path in found if os.path.lexists(path)]


def _words(path: Path) -> str:
    """Return what a HALT file says; whatever it is, that it is there is what halts."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"(it cannot be read: {error.strerror})"
    return " ".join(plain(text).split())


def show_latched(standing: Standing, halts: list[Path]) -> None:
    """Print what is latched, since when, and what ends it."""
    from rebalancer.reports.numbers import when
    from rebalancer.risk import clearing_rules

    for path in halts:
        print(f"HALT file {path}: {_words(path) or 'no reason given'}")
    rows = [
        (
            rule.code,
            rule.subject or "the run",
            rule.severity.value,
            when(rule.since),
            "" if rule.until is None else when(rule.until),
            rule.ended_by,
            rule.by_itself,
            rule.command or "nothing",
            rule.message,
        )
        for rule in clearing_rules(standing)
    ]
    if rows:
        show_table(HEADERS, rows)
    elif not halts:
        print("Nothing is latched and there is no HALT file.")


def _refuse_unknown(
    codes: list[str], standing: Standing, halts: list[Path], typed: list[str]
) -> None:
    known = {name for flag in standing.latched for name in (flag.code, flag.subject)}
    known |= {f"{flag.code}:{flag.subject}" for flag in standing.latched} | {"all"}
    strange = [code for code in codes if code not in known]
    if strange:
        raise UsageError(f"nothing latched is {', '.join(strange)}; nothing was cleared")
    if HALT_FILE in typed and not halts:
        raise UsageError("there is no HALT file; nothing was cleared")


def _question(
    config: Config, codes: list[str], standing: Standing, halts: list[Path], ends_halt: bool
) -> str:
    parts = []
    if codes and standing.latched:
        parts.append(f"clear {', '.join(codes)} of {config.name}")
    if ends_halt:
        parts.append(f"remove {' and '.join(str(path) for path in halts)}")
        if config.state_root / "HALT" in halts:
            parts.append("let every portfolio of that folder trade again")
    return "\nThis will " + ", ".join(parts) + "."


def _clear(config: Config, codes: list[str]) -> None:
    """Clear flags with the account as it is now; without it what can be cleared without it.

    Everything under the lock: no run may trade between the look at the account and the books.
    """
    from rebalancer.risk import ALL, clear

    with locked_books(config) as books:
        looked = _look(config, books)
        before, account = books.standing(), None if looked is None else looked[0]
        after, words = clear(before, codes, account, minute(config))
        lifted = [flag for flag in before.latched if flag not in after.latched]
        broken = [flag for flag in lifted if flag.code in BREAKS]
        if broken:
            _refuse_unbooked(config, books, () if looked is None else looked[1])
        if account is not None and broken:
            everything = ALL in codes or any(flag.code == EVERY_BREAK for flag in broken)
            subjects = None if everything else {flag.subject for flag in broken}
            _agree(config, books, account, subjects)
        books.save_standing(after)
    for line in words:
        print(line)
    print(f"Trading state: {after.state.value}.")


def _look(config: Config, books: StateFolder) -> tuple[AccountSnapshot, tuple[Fill, ...]] | None:
    """Return the account and the executions that a run would ask for; None without a venue."""
    from rebalancer.working.recover import LOOK_BACK, read_until

    read = read_until(books, books.standing(), minute(config))
    try:
        return look_at_trades(config, min([*books.unfinished(), read]) - LOOK_BACK)
    except ConnectError as error:
        print(f"The account cannot be looked at ({error}); the last known values are used.")
        return None


def _refuse_unbooked(config: Config, books: StateFolder, fills: Sequence[Fill]) -> None:
    """Raise `UsageError` while executions are not booked: they would be booked twice."""
    from rebalancer.ledger import bookable, entries_for
    from rebalancer.model.records import EntryKind

    refuse_unfinished(books)
    entries = books.entries()
    told = bookable(fills, entries, books.standing().began, config.name)
    missing = [
        line.fill
        for line in entries_for(told, entries, minute(config), {})
        if line.kind not in (EntryKind.COMMISSION, EntryKind.ADJUSTMENT)
    ]
    if missing:
        names = ", ".join(sorted({fill.instrument for fill in missing}))
        raise UsageError(
            f"the venue has {len(missing)} executions in {names} that the books do not have; "
            "nothing was changed; run once first: `rebalancer run` books them"
        )


def _agree(
    config: Config, books: StateFolder, account: AccountSnapshot, subjects: Collection[str] | None
) -> None:
    """Book what makes the books agree with the venue: the owner says that the venue is right.

    Only in `subjects`, the instruments whose flags were lifted; None means in all.
    """
    from rebalancer.ledger import adjustments, compare_books
    from rebalancer.working.bookkeeping import expected_now

    broken = tuple(
        each
        for each in compare_books(expected_now(books), account, config.universe)
        if subjects is None or each.instrument in subjects
    )
    if not broken:
        return
    last = books.last_record()
    prices = {
        line.instrument: line.reference_price
        for line in (() if last is None else last.lines)
        if line.reference_price is not None
    }
    at = minute(config)
    books.book(adjustments(broken, account, config.universe, at, prices))
    for each in broken:
        print(f"Booked as the venue has it: {each.instrument} {each.expected:f} -> {each.found:f}")


def _remove(path: Path) -> None:
    from rebalancer.store.atomic import Files

    Files().remove(path)
    print(f"Removed {path}.")

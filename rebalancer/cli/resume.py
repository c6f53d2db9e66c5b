"""`rebalancer resume`: what is latched, what clears it, and clearing it."""

from __future__ import annotations

from argparse import Namespace
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.cli.changing import locked_books, look_as_a_run, minute, refuse_unbooked
from rebalancer.cli.halt_files import (
    HALT_FILE,
    HALT_FILE_OF_ALL,
    HaltFile,
    halt_files,
    remove,
    to_end,
)
from rebalancer.cli.opened import books_of, confirmed
from rebalancer.cli.tables import show_table
from rebalancer.errors import ConnectError, RunHalted, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rebalancer.cli.changing import Look
    from rebalancer.config import Config
    from rebalancer.model.account import AccountSnapshot
    from rebalancer.model.flags import LatchedFlag
    from rebalancer.model.records import Standing
    from rebalancer.store.books import StateFolder

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
EVERY_BREAK, UNRESOLVED = "many-breaks", "unresolved-order"
BREAKS = frozenset({"reconciliation-break", EVERY_BREAK, "corporate-action"})
"""Lifting these means that the venue's positions are right: the books are made to agree."""


def execute(arguments: Namespace) -> int:
    """Show what stops the portfolio; clear what was named, or else offer to end a HALT file."""
    config, books = books_of(arguments.config, dry=False)
    standing, halts = books.standing(), [HaltFile.seen(path) for path in halt_files(config)]
    show_latched(standing, halts)
    typed: list[str] = arguments.codes
    codes = [code for code in typed if code not in (HALT_FILE, HALT_FILE_OF_ALL)]
    codes = ["all"] if arguments.all else codes
    ending = to_end(config, halts, typed, everything=arguments.all)
    _refuse_unknown(codes, standing)
    if any(halt.path.parent == config.state_root for halt in set(halts) - set(ending)):
        print(
            "\nThe HALT file of all portfolios stays, and so they send nothing. Only "
            f"`rebalancer resume {HALT_FILE_OF_ALL}` removes it."
        )
    if not ending and (not codes or not standing.latched):
        if standing.latched:
            _show_effects(standing.latched)
            print("\nTo clear: rebalancer resume CODE ..., or rebalancer resume --all")
        return RunHalted.exit_code if halts and arguments.yes else 0
    _show_effects([flag for flag in standing.latched if _named(flag, codes)])
    if not confirmed(config.name, _question(config, codes, standing, ending), arguments):
        return 0
    whole = not (codes and standing.latched) or _clear(config, codes, standing.latched)
    whole = all([remove(halt) for halt in ending]) and whole
    return 0 if whole else RunHalted.exit_code


def show_latched(standing: Standing, halts: Sequence[HaltFile]) -> None:
    """Print what is latched, since when, and what ends it."""
    from rebalancer.reports.numbers import when
    from rebalancer.risk import clearing_rules

    for halt in halts:
        print(f"HALT file {halt.path}: {halt.words or 'no reason given'}")
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


def _show_effects(flags: Collection[LatchedFlag]) -> None:
    """Print what clearing them does, a line for each code."""
    from rebalancer.model.flag_table import FLAG_TABLE
    from rebalancer.risk.clearing import EFFECTS

    about: dict[str, list[str]] = {}
    for flag in flags:
        about.setdefault(flag.code, []).extend([flag.subject] if flag.subject else [])
    if about:
        print()
    for code, subjects in about.items():
        of = f" of {', '.join(subjects)}" if subjects else ""
        known = EFFECTS.get(code)
        effect = f"only `{FLAG_TABLE[code].command}` does" if known is None else known[0]
        print(f"Clearing {code}{of}: {effect}.")


def _refuse_unknown(codes: list[str], standing: Standing) -> None:
    known = {name for flag in standing.latched for name in (flag.code, flag.subject)}
    known |= {f"{flag.code}:{flag.subject}" for flag in standing.latched} | {"all"}
    strange = [code for code in codes if code not in known]
    if strange:
        raise UsageError(f"nothing latched is {', '.join(strange)}; nothing was cleared")


def _question(
    config: Config, codes: list[str], standing: Standing, ending: Sequence[HaltFile]
) -> str:
    parts = []
    if codes and standing.latched:
        parts.append(f"clear {', '.join(codes)} of {config.name}")
    if ending:
        parts.append(f"remove {' and '.join(str(halt.path) for halt in ending)}")
        if any(halt.path.parent == config.state_root for halt in ending):
            parts.append("let EVERY PORTFOLIO of that folder trade again")
    return "This will " + ", ".join(parts) + "."


def _clear(config: Config, codes: Collection[str], shown: Collection[LatchedFlag]) -> bool:
    """Clear flags with the account as it is now; without it what can be cleared without it.

    Everything under the lock: no run may trade between the look at the account and the books.
    What a run latched, or latched anew, since it was `shown` stays, for nobody has seen it: then
    False comes back.
    """
    from rebalancer.risk import clear

    with locked_books(config) as books:
        before = books.standing()
        meant = [flag for flag in before.latched if _named(flag, codes)]
        stays = {
            flag: f"it changed meanwhile: {flag.message}" for flag in meant if flag not in shown
        } | _open_fate(before, meant)
        keys = [f"{flag.code}:{flag.subject}" for flag in meant if flag not in stays]
        for flag, why in stays.items():
            about = f" {flag.subject}" if flag.subject else ""
            print(f"{flag.code}{about}: stays, {why}")
        if not keys:
            print("Nothing was cleared.")
            return not stays
        looked = _look(config, books)
        account = None if looked is None else looked[0]
        moved = _moved(books, before, looked)
        after, words = clear(before, keys, account, minute(config), moved=moved)
        lifted = [flag for flag in before.latched if flag not in after.latched]
        broken = [flag for flag in lifted if flag.code in BREAKS]
        if broken:
            refuse_unbooked(config, books, () if looked is None else looked[1])
        if account is not None and broken:
            everything = any(flag.code == EVERY_BREAK for flag in broken)
            subjects = None if everything else {flag.subject for flag in broken}
            _agree(config, books, account, subjects, before)
        books.save_standing(after)
    for line in words:
        print(line)
    print(f"Trading state: {after.state.value}.")
    return not stays


def _open_fate(standing: Standing, flags: Collection[LatchedFlag]) -> dict[LatchedFlag, str]:
    """Return the breaks in which an order of unknown fate may be the reason, and what to do.

    Booked as the venue has it first, the order would be booked twice by `resolve`.
    """
    doubtful = {each.subject: each for each in standing.latched if each.code == UNRESOLVED}
    stays: dict[LatchedFlag, str] = {}
    for flag in flags:
        name = next(iter(doubtful), "") if flag.code == EVERY_BREAK else flag.subject
        if flag.code in BREAKS and name in doubtful:
            order = doubtful[name].evidence.partition("|")[0]
            stays[flag] = (
                f"order {order} in {name} is unresolved: a run may find out what became of it, "
                "or `rebalancer resolve` says it, and then the books may agree"
            )
    return stays


def _named(flag: LatchedFlag, codes: Collection[str]) -> bool:
    names = {flag.code, flag.subject, f"{flag.code}:{flag.subject}", "all"} - {""}
    return not names.isdisjoint(codes)


def _look(config: Config, books: StateFolder) -> Look | None:
    try:
        return look_as_a_run(config, books)
    except ConnectError as error:
        print(f"The account cannot be looked at ({error}); the last known values are used.")
        return None


def _moved(books: StateFolder, before: Standing, looked: Look | None) -> Decimal:
    """Return what came from outside since the last accepted run, whether booked yet or not."""
    from rebalancer.risk import moved_since
    from rebalancer.working.income import flows_by_now

    if looked is None:
        return Decimal(0)
    account, _, told = looked
    return moved_since(before, account, flows_by_now(told, books.entries(), before, account))


def _agree(
    config: Config,
    books: StateFolder,
    account: AccountSnapshot,
    subjects: Collection[str] | None,
    standing: Standing,
) -> None:
    """Book what makes the books agree with the venue: the owner says that the venue is right.

    Only in `subjects`, the instruments whose flags were lifted; None means in all. Where a
    corporate action was latched, it is booked as a split that changes no cost.
    """
    from rebalancer.ledger import adjustments, average_cost, compare_books
    from rebalancer.model.orders import SPLIT
    from rebalancer.working.bookkeeping import expected_now
    from rebalancer.working.books import split_doubts

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
    acts = split_doubts(standing)
    split = {
        name: held.average_cost
        for name, held in average_cost(books.entries()).items()
        if name in acts
    }
    lines = adjustments(broken, account, config.universe, at, prices, split)
    if books.book(lines) < len(lines):
        raise UsageError(
            "another adjustment of this very minute is booked already: what is left of the break "
            "stays latched; call the command again in a minute"
        )
    splits = {line.fill.instrument for line in lines if line.fill.origin == SPLIT}
    for each in broken:
        how = ", at the same cost in all" if each.instrument in splits else ""
        told = f"{each.instrument} {each.expected:f} -> {each.found:f}{how}"
        print(f"Booked as the venue has it: {told}")

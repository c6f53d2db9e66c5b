"""What the commands that look at a portfolio share: its books, its desk, its time."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rebalancer.errors import UsageError

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.flags import ErrorFlag, Step
    from rebalancer.model.orders import VenueEvent
    from rebalancer.ports import Desk
    from rebalancer.store.books import StateFolder

Fact = TypeVar("Fact")


def books_of(path: str, *, dry: bool | None = None) -> tuple[Config, StateFolder]:
    """Return a portfolio's configuration and its books, or those that its dry runs left.

    `dry` None: as the configured mode is. Raises `ConfigError`, `StateError`, and
    `AnotherAccount` when the books are of another account.
    """
    from rebalancer.config import load
    from rebalancer.model.records import Mode
    from rebalancer.store.atomic import Files
    from rebalancer.store.books import StateFolder
    from rebalancer.working.identity import require_own_books

    config = load(Path(path))
    dry = config.portfolio.mode is Mode.DRY_RUN if dry is None else dry
    books = StateFolder(config.state_folder / ("dry" if dry else ""), Files())
    require_own_books(books.standing(), config.identity)
    return config, books


def look_desk(config: Config, at: datetime | None = None) -> Desk:
    """Return a desk to look at the venue with: read-only, at the portfolio's time or `at`."""
    from rebalancer.model.records import Mode
    from rebalancer.wiring import desk_for

    return desk_for(config, mode=Mode.DRY_RUN, at=at or time_of(config))


def time_of(config: Config) -> datetime:
    """Return the time it is for a portfolio: in paper that of its market, else the wall's."""
    from rebalancer.clock import SystemClock
    from rebalancer.config import VenueName
    from rebalancer.wiring import paper_clock

    if config.account.venue is not VenueName.SIMULATED:
        return SystemClock().now()
    return paper_clock(config) or config.paper.start


def read_time(text: str, option: str) -> datetime:
    """Return a time as people write it: `2020-03-02T15:05Z`, or as folders are named.

    Raises `UsageError` for what is no time, or has no zone.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageError(f"{option} {text!r}: write a time with its zone, like 2020-03-02T15:05Z")
    return at.astimezone(UTC)


def confirmed(name: str, question: str, arguments: Namespace) -> bool:
    """Ask for the portfolio's name to be typed; return whether it was (or `--yes` given).

    Raises `UsageError` when nobody is there to be asked.
    """
    if arguments.yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():  # None: closed, as in `<&-`
        asked = question.strip().removesuffix(".")
        raise UsageError(f"{asked}: nobody is there to confirm it; --yes confirms it")
    print(f"\n{question.strip()}")
    try:
        typed = input(f"Type the portfolio's name ({name}) to do it: ")
    except EOFError:
        typed = ""
    if typed.strip() == name:
        return True
    print("Nothing was done.")
    return False


class LookPage:
    """The page of a mere look at a venue (`ports.Page`): keeps flags, journals nothing."""

    def __init__(self, at: datetime) -> None:
        self.slot = at
        self.attempt = 0
        self._flags: list[ErrorFlag] = []

    def step(self, step: Step) -> None:
        """Do nothing: a look has one step."""

    def keep(self, fact: Fact) -> Fact:
        """Hand the fact back."""
        return fact

    def flag(self, code: str, message: str, subject: str = "") -> None:
        """Keep a flag."""
        from rebalancer.model.flag_table import FLAG_TABLE
        from rebalancer.model.flags import ErrorFlag, Step

        severity = FLAG_TABLE[code].severity
        self._flags.append(ErrorFlag(Step.CONNECT, code, subject, severity, message))

    @property
    def flags(self) -> tuple[ErrorFlag, ...]:
        """Return the flags raised so far."""
        return tuple(self._flags)

    def stop(self) -> ErrorFlag | None:
        """Return None: a look sends nothing that could be stopped."""
        return None

    def intend(self, places: Sequence[object]) -> None:
        """Refuse: who looks does not trade."""
        raise AssertionError("a look sends no orders")

    def sent(self, references: Sequence[str]) -> None:
        """Refuse: who looks does not trade."""
        raise AssertionError("a look sends no orders")

    def saw(self, event: VenueEvent) -> None:
        """Leave the event to the next run."""

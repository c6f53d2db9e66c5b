"""What `cancel` and `flatten` share: the slot they are booked under, the lock, their patience."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from rebalancer.cli.guard import LAST_SECONDS, guarded, slot_of
from rebalancer.cli.halt_files import halt_files
from rebalancer.cli.opened import time_of
from rebalancer.clock import Deadline, SystemClock
from rebalancer.errors import LockBusy, UsageError

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.records import Mode
    from rebalancer.ports import Desk

Answer = TypeVar("Answer")
MINUTE = timedelta(minutes=1)
PATIENCE_SECONDS = 300.0
"""How long a command waits for a run that a HALT file is stopping."""
PAUSE_SECONDS = 1.0


def file_of(arguments: Namespace) -> str:
    """Return the portfolio's file, however it was named."""
    return str(arguments.file or arguments.config)


def trading_mode(config: Config) -> Mode:
    """Return the configured mode. Raises `UsageError` for one that sends nothing."""
    from rebalancer.model.records import Mode

    mode = config.portfolio.mode
    if mode is Mode.DRY_RUN:
        raise UsageError(
            f'{config.path.name}: mode = "dry-run": this portfolio sends nothing, and no option '
            "overrides that; what must be done at once is done at the venue itself"
        )
    return mode


@contextmanager
def desk_by_hand(config: Config, mode: Mode) -> Iterator[tuple[Desk, datetime]]:
    """Return desk and slot of a command, its time bounded; one that sends holds the locks.

    Raises `LockBusy`, `LockHung`, `UsageError` when the recording is over.
    """
    from rebalancer.cli.ended import folder_of
    from rebalancer.cli.run import recording_over
    from rebalancer.cli.run_log import run_log
    from rebalancer.model.records import Mode
    from rebalancer.wiring import desk_for

    seconds = config.portfolio.deadline_minutes * 60
    deadline = Deadline(seconds - min(LAST_SECONDS, seconds / 4))
    venue, sends = config.account.venue.value, mode is not Mode.DRY_RUN
    with guarded(
        config.state_folder, venue, config.account_key, seconds, trades=sends, beats=False
    ):
        slot = _slot(config, mode)
        if over := recording_over(config, slot):
            raise UsageError(over)
        desk = desk_for(config, mode=mode, at=slot, late=deadline.over)
        with run_log(folder_of(config, mode, slot)):
            yield desk, slot


def patiently(config: Config, act: Callable[[], Answer]) -> Answer:
    """Return what `act` does once no run is at work; wait only if a HALT file is ending that run.

    Raises `LockBusy` else, and after `PATIENCE_SECONDS`.
    """
    waited = Deadline(PATIENCE_SECONDS)
    told = False
    while True:
        try:
            return act()
        except LockBusy as error:
            if not halt_files(config):
                raise LockBusy(f"{error}; `rebalancer halt` stops it, then try again") from error
            if waited.over():
                raise
            if not told:
                print(f"{error}; a HALT file stands, waiting until that run has ended ...")
                told = True
        time.sleep(PAUSE_SECONDS)


def shown(code: int, show: Callable[[], object]) -> int:
    """Show how a command ended and return its exit code: also when nobody reads on (`| head`)."""
    from rebalancer.cli.crash import stop_talking

    try:
        show()
        sys.stdout.flush()
    except BrokenPipeError:
        stop_talking()
    return code


def _slot(config: Config, mode: Mode) -> datetime:
    """Return the minute that it is for the portfolio, and that no run has taken.

    A paper account's time has lived through its minute: the next one. A real account waits for
    the next when a run of this very minute is on record already.
    """
    from rebalancer.config import VenueName
    from rebalancer.wiring import books_for

    books, now = books_for(config, mode), time_of(config)
    if config.account.venue is VenueName.SIMULATED:
        slot = slot_of(now + MINUTE - timedelta(microseconds=1))
        while books.record(slot) is not None:
            slot += MINUTE
        return slot
    while books.record(slot_of(now)) is not None:
        time.sleep(PAUSE_SECONDS)
        now = SystemClock().now()
    return slot_of(now)

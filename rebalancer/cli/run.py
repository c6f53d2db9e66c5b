"""`rebalancer run`: one hour of each portfolio named, with everything that surrounds a run."""

from __future__ import annotations

import sys
from argparse import Namespace
from datetime import datetime, timedelta
from pathlib import Path

from rebalancer.cli.arguments import DEFAULT_CONFIG
from rebalancer.cli.guard import LAST_SECONDS, guarded, slot_of
from rebalancer.cli.opened import read_time
from rebalancer.cli.run_log import run_log
from rebalancer.clock import Deadline, SystemClock
from rebalancer.config import Config, check_folder
from rebalancer.config.sections import VenueName
from rebalancer.errors import LockHung, RebalancerError, UsageError
from rebalancer.hourly import hour
from rebalancer.model.records import Mode, RunRecord
from rebalancer.reports.summary import lead_text, summary_text
from rebalancer.store.books import slot_name
from rebalancer.wiring import books_for, desk_for, paper_clock, sessions_for
from rebalancer.working.due import why_due
from rebalancer.working.paper_slots import next_paper_slot

LADDER = (0, 3, 8, 6, 7, 4, 5, 2, 9, 70)
"""Exit codes from harmless to grave: of several portfolios the gravest is answered."""


def execute(arguments: Namespace) -> int:
    """Run one hour of every portfolio; return the gravest exit code."""
    configs = check_folder([Path(path) for path in arguments.config or [DEFAULT_CONFIG]])
    at = read_time(arguments.at, "--at") if arguments.at else None
    codes = [0]
    for config in configs:
        mode = chosen_mode(config, dry=arguments.dry_run, paper=arguments.paper)
        try:
            codes.append(run_one(config, mode, at))
        except RebalancerError as error:
            if isinstance(error, LockHung):
                from rebalancer.cli.hung import tell_hung

                tell_hung(config, error, SystemClock().now())
            if len(configs) == 1:
                raise
            print(f"{config.name}: {error}\n{type(error).advice}", file=sys.stderr)
            codes.append(error.exit_code)
    return max(codes, key=LADDER.index)


def chosen_mode(config: Config, *, dry: bool, paper: bool) -> Mode:
    """Return how to run; the command line may only make a run more careful."""
    if dry:
        return Mode.DRY_RUN
    return Mode.PAPER if paper else config.portfolio.mode


def run_one(config: Config, mode: Mode, at: datetime | None, *, brief: bool = False) -> int:
    """Run one hour of one portfolio and say what happened; return its exit code."""
    seconds = config.portfolio.deadline_minutes * 60
    deadline = Deadline(seconds - min(LAST_SECONDS, seconds / 4))
    venue = config.account.venue.value
    trades = mode is not Mode.DRY_RUN
    with guarded(config.state_folder, venue, config.account_id, seconds, trades=trades):
        slot = chosen_slot(config, mode, at)
        if slot is None:
            print(f"{config.name}: the calendar has no further session; nothing to do")
            return 0
        reason = why_not(config, mode, slot)
        if reason:
            print(f"{config.name} {slot_name(slot)}: {reason}")
            return 0
        desk = desk_for(config, mode=mode, at=slot, late=deadline.over)
        with run_log(books_for(config, mode).root / "runs" / slot_name(slot)):
            record = hour(desk, slot)
    show(config, mode, record, brief=brief)
    return record.exit_code


def chosen_slot(config: Config, mode: Mode, at: datetime | None) -> datetime | None:
    """Return the slot to run: the minute asked for, else now, in paper the next one due.

    Raises `UsageError` for a time that a paper account has already lived through, and for
    any time but now with a real account.
    """
    if config.account.venue is not VenueName.SIMULATED:
        if at is not None:
            raise UsageError("--at is for paper accounts; a real one is run at the time it is")
        return slot_of(SystemClock().now())
    lived = paper_clock(config)
    if at is not None and at < config.paper.start:
        raise UsageError(
            f"--at {at:%Y-%m-%dT%H:%MZ}: the paper account opens at "
            f"{config.paper.start:%Y-%m-%dT%H:%MZ} (paper.start in {config.path.name})"
        )
    if at is not None:
        books, slot = books_for(config, mode), slot_of(at)
        known = books.record(slot) is not None or slot in books.unfinished()
        if lived is not None and slot < lived and not known:
            raise UsageError(
                f"--at {at:%Y-%m-%dT%H:%MZ}: the paper account has lived until "
                f"{lived:%Y-%m-%d %H:%M} UTC; its time only goes forward"
            )
        return slot
    last = books_for(config, Mode.PAPER).last_record()
    after = config.paper.start if last is None else last.slot
    after = after if lived is None else max(after, slot_of(lived))
    interval = timedelta(minutes=config.portfolio.interval_minutes)
    commit_after = timedelta(minutes=config.database.commit_after_close_minutes)
    past = (after - config.paper.start) // interval
    coming: datetime | None = config.paper.start + interval * past
    sessions = sessions_for(config, after)
    while coming is not None:
        coming = next_paper_slot(coming, interval, sessions, commit_after)
        if coming is not None and coming > after and not why_not(config, mode, coming):
            break
    return coming


def why_not(config: Config, mode: Mode, slot: datetime) -> str:
    """Return why there is nothing to run in a slot, '' when there is."""
    books = books_for(config, mode)
    done = books.record(slot)
    if done is not None:
        return f"has its record already ({done.outcome}); nothing is run twice"
    due = why_due(
        books,
        sessions_for(config, slot),
        slot,
        mails=tuple(kind.value for kind in config.mail.session_mails),
        commit_after_close_minutes=config.database.commit_after_close_minutes,
    )
    return "" if due else "the market is closed and nothing is owed; nothing is due"


def show(config: Config, mode: Mode, record: RunRecord, *, brief: bool = False) -> None:
    """Print what the run did, and where it left it; `brief` leaves the tables out."""
    folder = config.state_folder / ("dry" if mode is Mode.DRY_RUN else "")
    print(lead_text(record) if brief else summary_text(record))
    print(f"Written to {folder / 'runs' / slot_name(record.slot)}")

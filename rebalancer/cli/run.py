"""`rebalancer run`: one hour of each portfolio named, with everything that surrounds a run."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rebalancer.cli.arguments import DEFAULT_CONFIG
from rebalancer.cli.ended import Idle, answer, folder_of, show
from rebalancer.cli.guard import LAST_SECONDS, guarded, slot_of
from rebalancer.cli.opened import read_time
from rebalancer.cli.outside import outside
from rebalancer.cli.run_log import run_log
from rebalancer.clock import Deadline, SystemClock
from rebalancer.config import Config, load, shared
from rebalancer.config.sections import VenueName
from rebalancer.errors import (
    EXIT_LADDER,
    ConfigError,
    DataError,
    RebalancerError,
    StateError,
    UsageError,
)
from rebalancer.hourly import hour
from rebalancer.model.records import Mode, RunRecord
from rebalancer.store.atomic import Files
from rebalancer.wiring import books_for, desk_for, paper_broker, paper_clock, sessions_for
from rebalancer.working.due import why_due
from rebalancer.working.paper_slots import next_paper_slot


def execute(arguments: Namespace) -> int:
    """Run one hour of every portfolio named; return the gravest exit code.

    Of several portfolios each runs whatever becomes of the others. Only when two that could
    be read share an account, a client or a state folder, none does: `ConfigError`.
    """
    at = read_time(arguments.at, "--at") if arguments.at else None
    paths = [Path(path) for path in arguments.config or [DEFAULT_CONFIG]]
    answers: list[dict[str, Any]] = []
    configs = []
    for path in paths:
        with _going_on(arguments, path, answers, alone=len(paths) == 1):
            configs.append(load(path))
    if problems := shared(configs):
        raise ConfigError(problems)
    for config in configs:
        with _going_on(arguments, config.path, answers, alone=len(paths) == 1):
            mode = chosen_mode(config, dry=arguments.dry_run, paper=arguments.paper)
            done = run_hour(config, mode, at)
            answers.append(answer(config, mode, done))
            if not arguments.json:
                show(config, mode, done)
    if arguments.json:
        print(json.dumps(answers[0] if len(paths) == 1 else answers, indent=2))
    return max((each["exit_code"] for each in answers), default=0, key=EXIT_LADDER.index)


@contextmanager
def _going_on(
    arguments: Namespace, path: Path, answers: list[dict[str, Any]], *, alone: bool
) -> Iterator[None]:
    """Let the other portfolios run after one failed; alone, and with --debug, `main` tells it."""
    try:
        yield
    except Exception as error:
        if alone or (arguments.debug and not isinstance(error, RebalancerError)):
            raise
        from rebalancer.cli.crash import explain, stop_talking

        if isinstance(error, BrokenPipeError):
            stop_talking()
            return
        code = explain(str(path), error, str(path))
        answers.append({"config": str(path), "error": str(error), "exit_code": code})


def chosen_mode(config: Config, *, dry: bool, paper: bool) -> Mode:
    """Return how to run; the command line may only make a run more careful.

    Raises `UsageError` for `--paper` with a real account: its books must not be mixed with
    those of made-up money.
    """
    if dry:
        return Mode.DRY_RUN
    if paper and config.real_money:
        raise UsageError(
            f"--paper: {config.path.name} is about the live account {config.account_id}; give "
            'paper money a file of its own (portfolio.name, venue = "simulated"), or see what '
            "a run would do with --dry-run"
        )
    return Mode.PAPER if paper else config.portfolio.mode


def run_one(config: Config, mode: Mode, at: datetime | None, *, brief: bool = False) -> int:
    """Run one hour of one portfolio and say what happened; return its exit code."""
    done = run_hour(config, mode, at)
    show(config, mode, done, brief=brief)
    return 0 if isinstance(done, Idle) else done.exit_code


def run_hour(config: Config, mode: Mode, at: datetime | None) -> RunRecord | Idle:
    """Run one hour of one portfolio; a failure that leaves no record is mailed, then raised."""
    seconds = config.portfolio.deadline_minutes * 60
    deadline = Deadline(seconds - min(LAST_SECONDS, seconds / 4))
    venue, trades = config.account.venue.value, mode is not Mode.DRY_RUN
    with outside(config, mode) as course:
        try:
            with (
                guarded(
                    config.state_folder, venue, config.account_key, seconds, trades=trades
                ) as pulse,
                course.beating(pulse),
            ):
                course.slot = chosen_slot(config, mode, at)
                course.done = _hour_or_idle(config, mode, course.slot, deadline)
        except Exception as error:
            if not _has_record(config, mode, course.slot):
                from rebalancer.cli.unrecorded import tell_unrecorded

                tell_unrecorded(config, mode, error, SystemClock().now())
            raise
    return course.done


def _hour_or_idle(
    config: Config, mode: Mode, slot: datetime | None, deadline: Deadline
) -> RunRecord | Idle:
    if slot is None:
        return Idle(None, "the calendar has no further session; nothing to do")
    reason = why_not(config, mode, slot) or recording_over(config, slot)
    if reason:
        return Idle(slot, reason)
    desk = desk_for(config, mode=mode, at=slot, late=deadline.over)
    with run_log(folder_of(config, mode, slot)):
        return hour(desk, slot)


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


def recording_over(config: Config, slot: datetime) -> str:
    """Return that the recording has no more prices for a slot, '' while it has.

    After the close of its last day there is still something to mail and to commit, until the
    calendar's next session.
    """
    if config.account.venue is not VenueName.SIMULATED:
        return ""
    if config.at_binance:
        return _candles_over(config, slot)
    sessions = sessions_for(config, slot)
    try:
        if not paper_broker(config, sessions, Files()).ended(slot):
            return ""
    except DataError:
        return ""  # there is no such recording: the hour tells it, and leaves a record
    from rebalancer.simulators.recording import recording

    last = recording(config.paper.recording).last_day
    if sessions.latest(slot).date <= last:
        return ""
    return f"the recording ended on {last.isoformat()}; nothing to do"


def _candles_over(config: Config, slot: datetime) -> str:
    from rebalancer.simulators.candle_recording import candle_recording

    try:
        end = candle_recording(config.paper.recording).end
    except DataError:
        return ""  # there is no such recording: the hour tells it, and leaves a record
    return "" if slot < end else f"the recording ended at {end:%Y-%m-%d %H:%M} UTC; nothing to do"


def _has_record(config: Config, mode: Mode, slot: datetime | None) -> bool:
    try:
        return slot is not None and books_for(config, mode).record(slot) is not None
    except StateError:
        return False

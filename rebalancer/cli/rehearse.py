"""`rebalancer rehearse`: fault campaigns, on a sample or on the owner's own portfolio."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rebalancer.cli.rehearse_stages import Stages, owners_venue
from rebalancer.cli.rehearse_words import SCHEDULES
from rebalancer.errors import DataError, UsageError
from rebalancer.model.codec import from_json, to_json, to_plain
from rebalancer.rehearsal.campaign import Campaign, Orders
from rebalancer.rehearsal.driver import Played, play
from rebalancer.rehearsal.words import schedule_words
from rebalancer.rehearsal.workers import quiet
from rebalancer.simulators.faults.schedule import Schedule, draw

BROKEN = 1
"""The exit code when an invariant was broken, or a cell is empty that must not be."""

MOST_TOLD = 20
"""How many violations are told in words; --json has them all."""


def execute(arguments: Namespace) -> int:
    """Rehearse; return 0 when nothing broke, 1 when something did."""
    if arguments.kills is not None:
        return _kills(arguments)
    if arguments.replay is not None:
        return _step_by_step(arguments, [_read(Path(arguments.replay))])
    venues = _venues(arguments)
    if arguments.seed is not None and arguments.schedules is None:
        stages = _stages(arguments)
        drawn = (draw(venue, arguments.seed, stages(venue).instruments) for venue in venues)
        return _step_by_step(arguments, list(drawn))
    return _campaign(arguments, venues)


def _venues(arguments: Namespace) -> tuple[str, ...]:
    if arguments.config is not None:
        return (owners_venue(Path(arguments.config)),)
    return ("ib", "binance") if arguments.venue == "both" else (arguments.venue,)


def _stages(arguments: Namespace) -> Stages:
    config = arguments.config
    return Stages("" if config is None else str(Path(config).absolute()))


# ---------------------------------------------------------------------- many schedules


def _campaign(arguments: Namespace, venues: tuple[str, ...]) -> int:
    stages = _stages(arguments)
    orders = Orders(
        venues=venues,
        schedules=arguments.schedules or SCHEDULES,
        seed=1 if arguments.seed is None else arguments.seed,
        workers=arguments.workers or os.cpu_count() or 1,
        minutes=arguments.minutes,
    )
    for venue in venues:
        for note in stages(venue).notes:
            print(f"{venue}: {note}")
    progress = _Progress()
    campaign = Campaign(orders, stages, progress.show, progress.say)
    campaign.run()
    progress.end()
    for summary in campaign.summaries.values():
        print("\n".join(summary.lines()), end="\n\n")
    print(
        f"{campaign.done} schedules in {campaign.seconds:.0f} s, {campaign.per_minute:.0f} a minute"
    )
    if campaign.interrupted:
        print("interrupted: what stands above is of the schedules that were played")
    short = _tell_failures(arguments, campaign)
    if arguments.json:
        _write_report(Path(arguments.json), arguments, campaign, short)
    empty = sum(len(each.empty) for each in campaign.summaries.values())
    if arguments.all_cells and empty:
        print(f"{empty} applicable cells are empty, and --all-cells asks for all: play more")
    if campaign.violations:
        return BROKEN
    print("No invariant was broken.")
    return BROKEN if arguments.all_cells and empty else 0


def _tell_failures(arguments: Namespace, campaign: Campaign) -> Mapping[str, Any]:
    """Print what broke, and short schedules that break it; return those by their file's name."""
    if not campaign.violations:
        return {}
    noun = "violation" if campaign.violations == 1 else "violations"
    seeds = sum(len(each.failed_seeds) for each in campaign.summaries.values())
    print(f"\n{campaign.violations} {noun} in {seeds} schedules:")
    for number, (venue, seed, violation) in enumerate(campaign.failures()):
        if number >= MOST_TOLD:
            print(f"  ... and {campaign.violations - MOST_TOLD} more (--json has all)")
            break
        print(f"  {violation}\n      {_replay_words(arguments, venue, seed)}")
    found: dict[str, Any] = {}
    folder = Path(arguments.folder)
    with quiet():
        for venue, seed, schedule in campaign.shortened():
            if schedule is None:
                print(f"\nSeed {seed} at {venue} broke nothing when it was played again. Was its")
                print("folder disturbed, or the machine? If it fails once more, please report it.")
                continue
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{venue}-{seed}.json"
            path.write_text(to_json(schedule, indent=1) + "\n", encoding="ascii")
            found[str(path)] = to_plain(schedule)
            print("\nMade short:")
            print("\n".join(schedule_words(schedule)))
            print(f"  rebalancer rehearse{_config_words(arguments)} --replay {path}")
    return found


def _replay_words(arguments: Namespace, venue: str, seed: int) -> str:
    where = "" if arguments.config else f" --venue {venue}"
    return f"rebalancer rehearse{_config_words(arguments)}{where} --seed {seed}"


def _config_words(arguments: Namespace) -> str:
    return f" {arguments.config}" if arguments.config else ""


def _write_report(
    path: Path, arguments: Namespace, campaign: Campaign, short: Mapping[str, Any]
) -> None:
    report = {
        "config": arguments.config,
        "first_seed": campaign.orders.seed,
        "workers": campaign.orders.workers,
        "seconds": round(campaign.seconds, 1),
        "schedules_per_minute": round(campaign.per_minute, 1),
        "venues": [each.plain() for each in campaign.summaries.values()],
        "short": dict(short),
    }
    _write(path, report)


def _write(path: Path, report: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"Written to {path}")


class _Progress:
    """The line that tells how far it is: written over on a terminal, else now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._calls = 0
        self._wide = 0

    def show(self, line: str) -> None:
        """Show how far it is."""
        if self._terminal:
            print(f"\r{line:<{self._wide}}", end="", file=sys.stderr, flush=True)
            self._wide = len(line)
        elif self._calls % 15 == 0:
            print(line, file=sys.stderr, flush=True)
        self._calls += 1

    def say(self, line: str) -> None:
        """Say at once what cannot wait for the summary: a campaign may take hours."""
        self.end()
        print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line empty."""
        if self._terminal and self._wide:
            print(f"\r{'':<{self._wide}}\r", end="", file=sys.stderr, flush=True)


# ---------------------------------------------------------------------- one schedule


def _step_by_step(arguments: Namespace, schedules: Sequence[Schedule]) -> int:
    """Play schedules and tell everything; return 1 when one broke something."""
    played = [_play_one(arguments, schedule) for schedule in schedules]
    if arguments.json:
        told = [_plain(*each) for each in zip(schedules, played, strict=True)]
        _write(Path(arguments.json), {"config": arguments.config, "schedules": told})
    return BROKEN if any(each.violations for each in played) else 0


def _plain(schedule: Schedule, played: Played) -> dict[str, Any]:
    return {
        "venue": schedule.venue,
        "schedule": to_plain(schedule),
        "struck": [
            {"fault": name, "step": step, "count": count}
            for (name, step), count in sorted(played.hits.items())
        ],
        "outcomes": dict(sorted(played.outcomes.items())),
        "violations": [to_plain(each) for each in played.violations],
        "trace": played.trace,
    }


def _play_one(arguments: Namespace, schedule: Schedule) -> Played:
    if arguments.config is not None and owners_venue(Path(arguments.config)) != schedule.venue:
        raise UsageError(f"{arguments.replay}: it is for {schedule.venue}, {arguments.config} not")
    stage = _stages(arguments)(schedule.venue)
    for note in stage.notes:
        print(f"{schedule.venue}: {note}")
    print("\n".join(schedule_words(schedule)))
    with quiet():
        played = play(stage, schedule, tell=print, wire=arguments.wire)
    print()
    print("\n".join(_verdict(played)))
    return played


def _verdict(played: Played) -> Iterator[str]:
    for violation in played.violations:
        yield f"broken: {violation}"
    if not played.violations:
        yield "No invariant was broken."
    yield f"trace {played.trace}"


def _read(path: Path) -> Schedule:
    try:
        return from_json(Schedule, path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError as error:
        raise UsageError(f"--replay {path}: there is no such file") from error
    except (DataError, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--replay {path}: {error}") from error


# ---------------------------------------------------------------------- real processes


def _kills(arguments: Namespace) -> int:
    """Kill real processes; return 1 when that broke something."""
    from rebalancer.cli.rehearse_kills import run_kills

    if arguments.config is not None:
        raise UsageError("--kills is for the samples; your own portfolio is rehearsed without it")
    progress = _Progress()
    broken, told = 0, []
    seed = 1 if arguments.seed is None else arguments.seed
    for venue in _venues(arguments):
        workers = arguments.workers or os.cpu_count() or 1
        summary = run_kills(venue, arguments.kills, seed, workers, progress.show)
        progress.end()
        print("\n".join(summary.lines()), end="\n\n")
        broken += len(summary.violations)
        told.append(summary.plain())
    if arguments.json:
        _write(Path(arguments.json), {"first_seed": seed, "venues": told})
    if broken:
        return BROKEN
    print("No invariant was broken.")
    return 0

"""One schedule from its first hour to its last calm one, and what is said of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rebalancer.rehearsal.endings import ending, latches
from rebalancer.rehearsal.evidence import Evidence, Violation
from rebalancer.rehearsal.observer import judge
from rebalancer.rehearsal.runs import Play
from rebalancer.rehearsal.stage import Stage
from rebalancer.simulators.faults.schedule import Schedule

Tell = Callable[[str], object]
"""Gets each line of what happens, for people."""

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one
"""Where state is kept while a schedule is played, if it is there and can be written."""


@dataclass(frozen=True)
class Played:
    """A schedule that was played: what it left, what is wrong with it, which faults struck.

    `hits` counts by fault and step, `dry_hits` those of them in dry runs. `outcomes`
    counts how runs ended, in a word each.
    `trace` is the SHA-256 of everything that may depend on the schedule alone. `ending` is where
    the last run left the account, in a few words; `latches` are the codes latched at any time.
    """

    evidence: Evidence
    violations: tuple[Violation, ...]
    hits: Counter[tuple[str, int]]
    outcomes: Counter[str]
    trace: str
    dry_hits: Counter[tuple[str, int]] = field(default_factory=Counter)
    ending: str = ""
    latches: frozenset[str] = frozenset()


def run_schedule(
    stage: Stage, schedule: Schedule
) -> tuple[Evidence, tuple[Violation, ...], Counter[tuple[str, int]]]:
    """Play a schedule and judge it; return evidence, violations and hits by fault and step.

    The state folder of the evidence is gone when this returns.
    """
    played = play(stage, schedule)
    return played.evidence, played.violations, played.hits


def play(
    stage: Stage,
    schedule: Schedule,
    *,
    folder: Path | None = None,
    tell: Tell | None = None,
    wire: bool = False,
) -> Played:
    """Play a schedule and judge it, its state in `folder` (None: one that is gone afterwards).

    `tell` gets what happens, line by line; `wire`: what went over the wire too.
    """
    with _somewhere(folder) as place:
        run = Play(stage, schedule, place, tell, wire=wire)
        evidence = run.play()
        violations = (*run.violations, *judge(evidence))
        trace = _trace(evidence)
        return Played(
            evidence,
            violations,
            run.hits,
            run.outcomes,
            trace,
            run.dry_hits,
            ending(evidence),
            latches(evidence),
        )


def _trace(evidence: Evidence) -> str:
    """Return the SHA-256 of the wire and of the state that no wall clock has a part in."""
    digest, here = hashlib.sha256(), str(evidence.state)
    for run in evidence.runs:
        words = f"{run.slot.isoformat()}|{run.attempt}|{run.killed}|{run.error}|{run.trace}\n"
        digest.update(words.replace(here, "state").encode("utf-8", "backslashreplace"))
    for path in _told(evidence.state):
        digest.update(path.relative_to(evidence.state).as_posix().encode())
        digest.update(path.read_bytes().replace(here.encode(), b"state"))
    return digest.hexdigest()


def _told(state: Path) -> list[Path]:
    """Return the state files that the schedule alone decides, sorted."""
    names = ("*.jsonl", "record.json", "orders.csv", "trades.csv", "equity.csv", "breakers.json")
    return sorted(path for name in names for path in state.rglob(name) if path.is_file())


@contextmanager
def _somewhere(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    # The same place for every schedule of a process: words about trouble name it, and what a
    # torn write leaves of them is to be the same the next time.
    place = scratch(os.getpid())
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def scratch(process: int) -> Path:
    """Return the folder in which a process keeps the state of the schedule that it plays."""
    return (memory_folder() or Path(tempfile.gettempdir())) / f"rehearsal-{process:08d}"


def memory_folder() -> Path | None:
    """Return a folder in memory; None: the system's folder for temporary files has to do."""
    return MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) else None

"""Worlds in warm processes of their own: handed out, and heard back seed by seed."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.kills.house import HouseOf
from rebalancer.rehearsal.kills.script import PER_WORLD, Task, world_of
from rebalancer.rehearsal.kills.summary import KillResult, KillSummary

if TYPE_CHECKING:
    from rebalancer.rehearsal.kills.scene import Stage

MEMORY = Path("/dev/shm")  # noqa: S108 - a memory file system, where there is one
PER_WORKER = 2
"""Processes that play for each that is asked for: half of the time a play waits for a pace."""

SILENCE_SECONDS = 600.0
MOST_VIOLATIONS = 20
"""Seeds with violations after which a campaign ends: there is enough to mend."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


Progress = Callable[[str], object]


def run_kills(
    venue: str, count: int, seed: int, workers: int, progress: Progress, *, house_of: HouseOf
) -> KillSummary:
    """Kill at least `count` runs at a venue, by seeds from `seed` on; return what it came to.

    `house_of` is found by its name in new processes. `progress` gets a line now and then.
    """
    most = min(max(1, workers) * PER_WORKER, max(1, count))
    return _campaign(venue, _tasks(seed), KillSummary(venue, count), most, progress, house_of)


def strike_every(
    venue: str,
    stride: int,
    workers: int,
    progress: Progress,
    *,
    house_of: HouseOf,
    sign: int = signal.SIGKILL,
    worlds: Sequence[int] = (0,),
) -> KillSummary:
    """Strike the run of each world at every `stride`-th of its messages; return what it came to.

    Sides go by turns. With SIGTERM the run is told to end, and closes its books itself.
    """
    tasks = [Task(world=world, stride=stride, sign=sign) for world in worlds]
    summary = KillSummary(venue, 0, all_tasks=True)
    most = min(max(1, workers) * PER_WORKER, len(tasks))
    return _campaign(venue, iter(tasks), summary, most, progress, house_of)


def _campaign(
    venue: str,
    tasks: Iterator[Task],
    summary: KillSummary,
    processes: int,
    progress: Progress,
    house_of: HouseOf,
) -> KillSummary:
    began = time.monotonic()
    with _crew(venue, processes, house_of) as crew:
        for result in _results(crew, tasks, summary):
            summary.add(result)
            summary.seconds = time.monotonic() - began
            progress(_words(summary))
            if len(summary.violations) >= MOST_VIOLATIONS:
                break
    return summary


def _tasks(seed: int) -> Iterator[Task]:
    """Yield seeds from `seed` on, those of one world together."""
    first = seed
    for world in count(world_of(seed)):
        last = (world + 1) * PER_WORLD
        yield Task(world=world, seeds=tuple(range(first, last)))
        first = last


class _Worker:
    def __init__(self, venue: str, house_of: HouseOf, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_work, args=(theirs, venue, house_of, folder)
        )
        self.process.start()
        theirs.close()


@contextmanager
def _crew(venue: str, processes: int, house_of: HouseOf) -> Iterator[list[_Worker]]:
    root = Path(tempfile.mkdtemp(prefix="rebalancer-kills-", dir=_memory()))
    kept = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))  # who forks has no threads
    crew: list[_Worker] = []
    try:
        for number in range(processes):
            crew.append(_Worker(venue, house_of, root / f"{number}"))
        yield crew
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        for worker in crew:
            worker.pipe.close()
            worker.process.join(20)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        for folder in (*root.glob("*/*/*"), *root.glob("*/*"), *root.glob("*")):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if not any(root.iterdir()):
            root.rmdir()


def _results(
    crew: list[_Worker], tasks: Iterator[Task], summary: KillSummary
) -> Iterator[KillResult]:
    """Yield results until enough seeds had a kill; worlds are handed out one by one."""
    busy: set[Connection] = set()

    def hand_out(pipe: Connection) -> None:
        task = next(tasks, None) if summary.all_tasks or summary.left else None
        if task is None:
            busy.discard(pipe)
            return
        busy.add(pipe)
        most = max(1, -(-summary.left // len(crew)))
        pipe.send(replace(task, seeds=task.seeds[:most]))

    for worker in crew:
        hand_out(worker.pipe)
    while busy:
        ready = wait(list(busy), SILENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"no worker said anything for {SILENCE_SECONDS:g} s")
        for pipe in ready:
            assert isinstance(pipe, Connection)  # noqa: S101 - nothing else was waited for
            try:
                result = pipe.recv()
            except EOFError:
                busy.discard(pipe)
                yield _lost(summary.venue)
                continue
            if result is None:
                hand_out(pipe)
            else:
                yield result


def _lost(venue: str) -> KillResult:
    return KillResult(venue, -1, violations=(Violation("worker-lost", "a worker died"),))


def _words(summary: KillSummary) -> str:
    broken = sum(len(each.violations) for each in summary.violations)
    return (
        f"{summary.venue}: {summary.struck} of {summary.wanted} seeds, {summary.count} killed, "
        f"{summary.per_minute:.0f} a minute, {broken} violations"
    )


def _memory() -> str | None:
    return str(MEMORY) if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None


# -------------------------------------------------------------------------- in the new process


def _work(pipe: Connection, venue: str, house_of: HouseOf, folder: Path) -> None:
    """Play what is handed in until nobody hands in any more."""
    # The stage and all that it needs are for this process only.
    from rebalancer.rehearsal.kills.scene import Stage  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    os.environ["REBALANCER_LOCKS"] = str(folder / "locks")
    house = house_of(venue)
    stage = Stage(house, folder)
    stage.warm()
    gc.collect()
    gc.freeze()
    try:
        while True:
            task = pipe.recv()
            for result in _played(stage, venue, task):
                pipe.send(result)
            pipe.send(None)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass
    for left in (folder / "locks", folder / "dress", *folder.glob("w*")):
        shutil.rmtree(left, ignore_errors=True)


def _played(stage: Stage, venue: str, task: Task) -> Iterator[KillResult]:
    """Yield the result of each script of a task; what goes wrong with it is a violation too."""
    seed = -1
    try:
        for script in stage.scripts(task):
            seed = script.seed
            yield stage.play(task.world, script)
    except Exception as error:
        told = "".join(traceback.format_exception(error)[-3:])
        words = f"{type(error).__name__}: {error}\n{told}"
        yield KillResult(venue, seed, violations=(Violation("rehearsal", words),))

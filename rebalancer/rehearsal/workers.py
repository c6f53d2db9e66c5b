"""Schedules in processes of their own: handed out, heard back, and missed when one dies."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import shutil
import signal
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from rebalancer.rehearsal.driver import play, scratch
from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.stage import Stage
from rebalancer.simulators.faults.schedule import draw

AT_ONCE = 4
"""How many seeds a worker has before it: it never waits for the next."""

SILENCE_SECONDS = 120.0
"""A worker that says nothing for so long hangs."""

COLLECT_AFTER = 25
"""Schedules between two collections of garbage: a client leaves rings behind."""

TWICE_EVERY = 50
"""Each seed that this divides is played twice: the same schedule has the same trace."""


@dataclass(frozen=True)
class Result:
    """What one seed at one venue came to; `violations` are (invariant, words, run)."""

    venue: str
    seed: int
    violations: tuple[Violation, ...] = ()
    hits: Counter[tuple[str, int]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    trace: str = ""
    runs: int = 0
    dry_hits: Counter[tuple[str, int]] = field(default_factory=Counter)
    ending: str = ""
    latches: frozenset[str] = frozenset()


Job = tuple[str, int]
"""A venue and a seed."""

StageOf = Callable[[str], Stage]
"""Makes a venue's stage."""

Plays = Callable[[str, int], Result]
"""Plays a seed at a venue; it travels to new processes by its name and its values."""


@dataclass(frozen=True)
class Seeds:
    """Plays the schedules that seeds draw, on the stages that `stage_of` makes."""

    stage_of: StageOf

    def __call__(self, venue: str, seed: int) -> Result:
        """Return what a seed came to."""
        return one(self.stage_of(venue), seed)


def one(stage: Stage, seed: int) -> Result:
    """Play one seed; what goes wrong with the rehearsal itself is a violation too."""
    violations: tuple[Violation, ...]
    try:
        schedule = draw(stage.venue, seed, stage.instruments)
        played = play(stage, schedule)
        violations = played.violations
        if seed % TWICE_EVERY == 0:
            again = play(stage, schedule)
            if again.trace != played.trace:
                words = f"played twice, traces {played.trace[:12]} and {again.trace[:12]}"
                violations = (*violations, Violation("determinism", words))
    except Exception as error:
        told = "".join(traceback.format_exception(error)[-4:])
        words = f"{type(error).__name__}: {error}\n{told}"
        return Result(stage.venue, seed, (Violation("rehearsal", words),))
    return Result(
        stage.venue,
        seed,
        violations,
        played.hits,
        played.outcomes,
        played.trace,
        len(played.evidence.runs),
        played.dry_hits,
        played.ending,
        played.latches,
    )


def results(jobs: Sequence[Job], plays: Plays, workers: int) -> Generator[Result, None, None]:
    """Yield a result for each job, as they come from so many processes.

    Raises `RuntimeError` when a process dies before its first answer: nothing would come of it.
    """
    with _Crew(jobs, plays, workers) as crew:
        yield from crew.results()


class _Worker:
    """A process, the pipe to it, and the jobs that it was given and has not answered."""

    def __init__(self, plays: Plays) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.pipe: Connection = ours
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, plays), daemon=True)
        self.process.start()
        theirs.close()
        self.given: deque[Job] = deque()
        self.answered = False

    def end(self) -> None:
        """End it, whatever it does."""
        self.pipe.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        if self.process.pid is not None:
            shutil.rmtree(scratch(self.process.pid), ignore_errors=True)


class _Crew:
    """The workers of one campaign; one that dies or hangs is missed and replaced."""

    def __init__(self, jobs: Sequence[Job], plays: Plays, workers: int) -> None:
        self._left = deque(jobs)
        self._plays = plays
        self._count = min(workers, max(1, len(jobs)))
        self._workers: list[_Worker] = []

    def __enter__(self) -> _Crew:
        self._workers = [_Worker(self._plays) for _ in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    def results(self) -> Iterator[Result]:
        for worker in self._workers:
            self._give(worker)
        while any(worker.given for worker in self._workers):
            ready = wait([each.pipe for each in self._workers if each.given], SILENCE_SECONDS)
            if not ready:
                for worker in tuple(self._workers):
                    if worker.given:
                        yield self._lost(worker, f"said nothing for {SILENCE_SECONDS:.0f} s")
                continue
            for worker in tuple(self._workers):
                if worker.pipe in ready:
                    yield self._hear(worker)

    def _hear(self, worker: _Worker) -> Result:
        try:
            result: Result = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(10)
            return self._lost(worker, f"died (exit code {worker.process.exitcode})")
        worker.given.remove((result.venue, result.seed))
        worker.answered = True
        self._give(worker)
        return result

    def _give(self, worker: _Worker) -> None:
        while self._left and len(worker.given) < AT_ONCE:
            job = self._left.popleft()
            try:
                worker.pipe.send(job)
            except OSError:
                self._left.appendleft(job)
                if not worker.given:
                    worker.given.append(self._left.popleft())
                return
            worker.given.append(job)

    def _lost(self, worker: _Worker, why: str) -> Result:
        """Return what is to be said of the job at which a worker was lost; go on with another."""
        venue, seed = worker.given.popleft()
        self._left.extendleft(reversed(worker.given))
        worker.end()
        if not worker.answered:
            raise RuntimeError(f"the process that plays schedules {why} before its first answer")
        fresh = _Worker(self._plays)
        self._workers[self._workers.index(worker)] = fresh
        self._give(fresh)
        words = f"the process that played it {why}"
        return Result(venue, seed, (Violation("worker-lost", words),))


def _work(pipe: Any, plays: Plays) -> None:
    """Answer jobs until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends us
    done = 0
    try:
        with quiet():
            while True:
                venue, seed = pipe.recv()
                pipe.send(plays(venue, seed))
                done += 1
                if done % COLLECT_AFTER == 0:
                    gc.collect()
                if done == COLLECT_AFTER:
                    gc.freeze()  # what is there by now stays: no need to look at it again
    except (EOFError, OSError, KeyboardInterrupt):
        os._exit(0)  # nobody listens any more, and nothing of ours is to be kept


@contextmanager
def quiet() -> Iterator[None]:
    """Rehearse in this process: no log, no garbage collected in between."""
    disabled, collects = logging.root.manager.disable, gc.isenabled()
    logging.disable(logging.CRITICAL)
    gc.disable()
    try:
        yield
    finally:
        logging.disable(disabled)
        if collects:
            gc.enable()

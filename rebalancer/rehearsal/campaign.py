"""Many schedules at one or both venues: progress while it works, what failed made short."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.shrink import shrink
from rebalancer.rehearsal.summary import Summary
from rebalancer.rehearsal.workers import Job, Seeds, StageOf, results
from rebalancer.simulators.faults.cells import cells
from rebalancer.simulators.faults.schedule import Schedule, draw

PROGRESS_SECONDS = 2.0
MOST_SHRUNK = 5
"""How many failing schedules are made short: one for each invariant first."""


@dataclass(frozen=True)
class Orders:
    """What to rehearse: so many seeds from `seed` on at each venue, at most so many minutes."""

    venues: tuple[str, ...]
    schedules: int
    seed: int = 1
    workers: int = 2
    minutes: float | None = None


@dataclass
class Campaign:
    """A campaign at work. `say` gets what broke at once, `progress` the line written over."""

    orders: Orders
    stage_of: StageOf
    progress: Callable[[str], object] = lambda _line: None
    say: Callable[[str], object] = lambda _line: None
    monotonic: Callable[[], float] = time.monotonic
    summaries: dict[str, Summary] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False
    _told: float = 0.0

    def run(self) -> Mapping[str, Summary]:
        """Play all the schedules, until Ctrl-C at most; return the summary of each venue."""
        orders = self.orders
        for venue in orders.venues:
            self.summaries[venue] = Summary(venue, cells(venue))
        began = self.monotonic()
        end = None if orders.minutes is None else began + orders.minutes * 60
        found = results(self._jobs(), Seeds(self.stage_of), orders.workers)
        try:
            for result in found:
                self.summaries[result.venue].add(result)
                self.seconds = self.monotonic() - began
                for violation in result.violations:
                    self.say(f"broken at {result.venue}, seed {result.seed}: {violation}")
                self._tell()
                if end is not None and self.monotonic() >= end:
                    break
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            found.close()
        self.seconds = self.monotonic() - began
        return self.summaries

    @property
    def violations(self) -> int:
        """Return how many there are."""
        return sum(len(each.violations) for each in self.summaries.values())

    @property
    def done(self) -> int:
        """Return how many schedules were played."""
        return sum(each.schedules for each in self.summaries.values())

    @property
    def per_minute(self) -> float:
        """Return how many schedules were played a minute."""
        return self.done / self.seconds * 60 if self.seconds else 0.0

    def failures(self) -> Iterator[tuple[str, int, Violation]]:
        """Yield venue, seed and violation, one of each seed and invariant.

        The first of each venue and invariant come first.
        """
        firsts = {
            (venue, seed, violation.invariant): violation
            for venue, summary in self.summaries.items()
            for seed, violation in sorted(reversed(summary.violations), key=_seed)
        }
        found = [(venue, seed, violation) for (venue, seed, _), violation in firsts.items()]
        seen: set[tuple[str, str]] = set()
        later = []
        for each in found:
            kind = (each[0], each[2].invariant)
            if kind in seen:
                later.append(each)
            else:
                seen.add(kind)
                yield each
        yield from later

    def shortened(self, most: int = MOST_SHRUNK) -> Iterator[tuple[str, int, Schedule | None]]:
        """Yield venue, seed and short schedule of the first failing seeds.

        None stands for one that breaks nothing when it is played again.
        """
        seeds = dict.fromkeys(
            (venue, seed)
            for venue, seed, violation in self.failures()
            if violation.invariant not in ("worker-lost", "rehearsal", "determinism")
        )
        for venue, seed in islice(seeds, most):
            stage = self.stage_of(venue)
            yield venue, seed, shrink(stage, draw(venue, seed, stage.instruments))

    def _jobs(self) -> Sequence[Job]:
        """Return the jobs, the venues by turns."""
        orders = self.orders
        seeds = range(orders.seed, orders.seed + orders.schedules)
        return [(venue, seed) for seed in seeds for venue in orders.venues]

    def _tell(self) -> None:
        now = self.monotonic()
        if now - self._told < PROGRESS_SECONDS:
            return
        self._told = now
        total = self.orders.schedules * len(self.orders.venues)
        rate, left = self.per_minute, total - self.done
        minutes = left / rate if rate else 0.0
        broken = self.violations
        noun = "violation" if broken == 1 else "violations"
        self.progress(
            f"{self.done} of {total} schedules, {rate:.0f} a minute, {broken} {noun}, "
            f"about {minutes:.0f} min left"
            if minutes >= 1
            else f"{self.done} of {total} schedules, {rate:.0f} a minute, {broken} {noun}, "
            f"about {minutes * 60:.0f} s left"
        )


def _seed(failure: tuple[int, Violation]) -> int:
    return failure[0]

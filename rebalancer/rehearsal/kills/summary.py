"""What a campaign of kills came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rebalancer.rehearsal.evidence import Violation

ENDS = {
    "exit 0": "finished",
    "exit 3": "halted (exit code 3)",
    "exit 4": "could not connect (exit code 4)",
    "exit 5": "left an outcome unresolved (exit code 5)",
    "exit 6": "left at once (exit code 6)",
    "exit 7": "met a run that hangs (exit code 7)",
    "exit 8": "ran out of time (exit code 8)",
}
"""How a run ended, in words."""

SIDES = ("lost", "before", "after")


@dataclass(frozen=True)
class KillResult:
    """What one seed came to.

    `kills` are the message and the side of each kill that struck; `distinct` has number, side
    and seed of them. `outcomes` tell how the run after a kill ended. `state` is the folder that
    a violation leaves, '' without one. `met` are the exit codes of second runs that began while
    one was at work.
    """

    venue: str
    seed: int
    kills: tuple[tuple[str, str], ...] = ()
    distinct: tuple[tuple[int, str, int], ...] = ()
    outcomes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    state: str = ""
    told: str = ""
    met: tuple[int, ...] = ()


@dataclass
class KillSummary:
    """Kills by message and side, what became of the runs after them, and what did not hold.

    `seeds` were played, `missed` of them without a kill (the run had fewer messages). `wanted`
    is how many seeds with a kill were asked for, `met` counts how second runs ended that began
    while one was at work, `seconds` how long it took. `all_tasks`: there is no such number,
    everything is played.
    """

    venue: str
    wanted: int
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    distinct: set[tuple[int, str, int]] = field(default_factory=set)
    violations: list[KillResult] = field(default_factory=list)
    met: Counter[int] = field(default_factory=Counter)
    seeds: int = 0
    missed: int = 0
    seconds: float = 0.0
    all_tasks: bool = False

    def add(self, result: KillResult) -> None:
        """Take a seed's result."""
        self.seeds += 1
        self.missed += not result.kills
        self.kills.update(result.kills)
        self.distinct.update(result.distinct)
        self.outcomes.update(result.outcomes)
        self.met.update(result.met)
        if result.violations:
            self.violations.append(result)

    @property
    def count(self) -> int:
        """Return how many processes were killed."""
        return self.kills.total()

    @property
    def struck(self) -> int:
        """Return in how many seeds a process was killed; in some of them two were."""
        return self.seeds - self.missed

    @property
    def left(self) -> int:
        """Return how many seeds with a kill are still wanted."""
        return max(0, self.wanted - self.struck)

    @property
    def per_minute(self) -> float:
        """Return how many were killed a minute."""
        return self.count / self.seconds * 60 if self.seconds else 0.0

    def lines(self) -> Iterator[str]:
        """Yield the summary for people, line by line."""
        yield (
            f"{self.venue}: {_many(self.count, 'process')} killed in {_many(self.struck, 'seed')} "
            f"(of {self.seeds}: in {self.missed} the run had fewer messages), "
            f"{len(self.distinct)} distinct by message number, "
            f"side and seed; {self.per_minute:.0f} a minute"
        )
        names = sorted({name for name, _ in self.kills})
        width = max((len(name) for name in names), default=10)
        yield f"  {'killed at':<{width}}" + "".join(f"{side:>8}" for side in SIDES)
        for name in names:
            counts = (self.kills[name, side] for side in SIDES)
            yield f"  {name:<{width}}" + "".join(f"{count or '-':>8}" for count in counts)
        yield f"  of the runs after a kill: {_in_words(self.outcomes)}"
        met = Counter({f"exit {code}": count for code, count in self.met.items()})
        yield f"  of the runs that began beside one at work: {_in_words(met)}"
        broken = sum(len(each.violations) for each in self.violations)
        yield f"  violations: {broken or 'none'}"
        for each in self.violations:
            yield from self._violation(each)

    def plain(self) -> dict[str, Any]:
        """Return the summary as plain JSON values."""
        return {
            "venue": self.venue,
            "asked_for": None if self.all_tasks else self.wanted,
            "killed": self.count,
            "seeds": self.seeds,
            "seeds_with_a_kill": self.struck,
            "distinct": len(self.distinct),
            "kills": [
                {"at": name, "side": side, "count": count}
                for (name, side), count in sorted(self.kills.items())
            ],
            "runs_after_a_kill": dict(sorted(self.outcomes.items())),
            "runs_beside_one_at_work": {f"exit {c}": n for c, n in sorted(self.met.items())},
            "violations": [
                {"seed": each.seed, "words": str(violation), "state": each.state}
                for each in self.violations
                for violation in each.violations
            ],
        }

    def _violation(self, result: KillResult) -> Iterator[str]:
        for violation in result.violations:
            yield f"  seed {result.seed}: {violation}"
        if result.state:
            yield f"    what it left: {result.state}"
        yield (
            f"    once more: rebalancer rehearse --kills 1 --venue {self.venue} "
            f"--seed {result.seed}"
        )


def _many(number: int, noun: str) -> str:
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending}"


def _in_words(outcomes: Counter[str]) -> str:
    """Return `3 finished, 2 were killed too`; `exit 9` where there are no words."""
    told = []
    for name, number in sorted(outcomes.items()):
        killed = f"{'was' if number == 1 else 'were'} killed too"
        end = killed if name == "killed too" else ENDS.get(name, name.replace("exit", "exit code"))
        told.append(f"{number} {end}")
    return ", ".join(told) or "there were none"

"""What a campaign of kills came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rebalancer.rehearsal.evidence import Violation

SIDES = ("lost", "before", "after")


@dataclass(frozen=True)
class KillResult:
    """What one seed came to.

    `kills` are the message and the side of each kill that struck; `distinct` has number, side
    and seed of them. `outcomes` tell how the run after a kill ended. `state` is the folder that
    a violation leaves, '' without one.
    """

    venue: str
    seed: int
    kills: tuple[tuple[str, str], ...] = ()
    distinct: tuple[tuple[int, str, int], ...] = ()
    outcomes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    state: str = ""
    told: str = ""


@dataclass
class KillSummary:
    """Kills by message and side, what became of the runs after them, and what did not hold.

    `seeds` were played, `missed` of them without a kill (the run had fewer messages). `wanted`
    is how many kills were asked for, `seconds` how long it took. `all_tasks`: there is no such
    number, everything is played.
    """

    venue: str
    wanted: int
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    distinct: set[tuple[int, str, int]] = field(default_factory=set)
    violations: list[KillResult] = field(default_factory=list)
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
        if result.violations:
            self.violations.append(result)

    @property
    def count(self) -> int:
        """Return how many processes were killed."""
        return self.kills.total()

    @property
    def left(self) -> int:
        """Return how many kills are still wanted."""
        return max(0, self.wanted - self.count)

    @property
    def per_minute(self) -> float:
        """Return how many were killed a minute."""
        return self.count / self.seconds * 60 if self.seconds else 0.0

    def lines(self) -> Iterator[str]:
        """Yield the summary for people, line by line."""
        yield (
            f"{self.venue}: {self.count} processes killed with {self.seeds} seeds "
            f"({self.missed} without a kill), {len(self.distinct)} distinct by message number, "
            f"side and seed; {self.per_minute:.0f} a minute"
        )
        names = sorted({name for name, _ in self.kills})
        width = max((len(name) for name in names), default=10)
        yield f"  {'killed at':<{width}}" + "".join(f"{side:>8}" for side in SIDES)
        for name in names:
            counts = (self.kills[name, side] for side in SIDES)
            yield f"  {name:<{width}}" + "".join(f"{count or '-':>8}" for count in counts)
        yield "  the run after a kill: " + (
            ", ".join(f"{name} {count}" for name, count in sorted(self.outcomes.items())) or "none"
        )
        broken = sum(len(each.violations) for each in self.violations)
        yield f"  violations: {broken or 'none'}"
        for each in self.violations:
            yield from self._violation(each)

    def _violation(self, result: KillResult) -> Iterator[str]:
        for violation in result.violations:
            yield f"  seed {result.seed}: {violation}"
        if result.state:
            yield f"    what it left: {result.state}"
        yield (
            f"    once more: rebalancer rehearse --kills 1 --venue {self.venue} "
            f"--seed {result.seed}"
        )

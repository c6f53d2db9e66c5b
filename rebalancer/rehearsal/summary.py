"""What a campaign came to: which faults struck in which steps, how runs ended, what broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.workers import Result

STEPS = range(1, 14)
"""0 is before the first step."""


@dataclass
class Summary:
    """The sums over the results of one venue; `applicable` are the steps of each fault.

    `hits` counts by fault and step, `dry_hits` those of them that were in dry runs.
    `endings` counts schedules by where they ended, `latches` those in which a code was latched.
    """

    venue: str
    applicable: Mapping[str, frozenset[int]]
    schedules: int = 0
    runs: int = 0
    hits: Counter[tuple[str, int]] = field(default_factory=Counter)
    dry_hits: Counter[tuple[str, int]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    latches: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, Violation]] = field(default_factory=list)
    failed_seeds: set[int] = field(default_factory=set)

    def add(self, result: Result) -> None:
        """Take one result in."""
        self.schedules += 1
        self.runs += result.runs
        self.hits += result.hits
        self.dry_hits += result.dry_hits
        self.outcomes += result.outcomes
        self.endings.update([result.ending] if result.ending else [])
        self.latches.update(result.latches)
        self.violations += [(result.seed, each) for each in result.violations]
        if result.violations:
            self.failed_seeds.add(result.seed)

    @property
    def empty(self) -> tuple[tuple[str, int], ...]:
        """Return the applicable cells (fault, step) that nothing struck."""
        return tuple(
            (fault, step)
            for fault in sorted(self.applicable)
            for step in sorted(self.applicable[fault])
            if not self.hits[fault, step]
        )

    @property
    def cells(self) -> int:
        """Return how many cells are applicable."""
        return sum(len(steps) for steps in self.applicable.values())

    def plain(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "venue": self.venue,
            "schedules": self.schedules,
            "runs": self.runs,
            "outcomes": dict(sorted(self.outcomes.items())),
            "endings": dict(sorted(self.endings.items())),
            "latches": dict(sorted(self.latches.items())),
            "hits": _by_fault(self.hits, {*self.applicable, *(fault for fault, _ in self.hits)}),
            "dry_hits": _by_fault(self.dry_hits, {fault for fault, _ in self.dry_hits}),
            "cells": self.cells,
            "empty_cells": [list(each) for each in self.empty],
            "violations": [
                {"seed": seed, "invariant": each.invariant, "words": each.words, "run": each.run}
                for seed, each in self.violations
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield the table and the sums, for people."""
        yield f"{_VENUES.get(self.venue, self.venue)}: how often each fault struck in each step"
        yield from table(self.hits, self.applicable)
        yield ""
        yield f"{self.schedules} schedules, {self.runs} runs: {_counted(self.outcomes)}"
        if self.endings:
            yield f"ended {_counted(self.endings)}"
        if self.latches:
            yield f"latched on the way, in so many schedules: {_counted(self.latches)}"
        if self.dry_hits:
            faults = len({fault for fault, _ in self.dry_hits})
            yield f"in dry runs: {self.dry_hits.total()} times, {faults} of the faults"
        if self.empty:
            named = ", ".join(f"{fault} in {step}" for fault, step in self.empty[:12])
            more = f" and {len(self.empty) - 12} more" if len(self.empty) > 12 else ""
            yield f"{len(self.empty)} of {self.cells} applicable cells are empty: {named}{more}"
        else:
            yield f"all {self.cells} applicable cells were struck"


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in names.most_common())


def _by_fault(hits: Counter[tuple[str, int]], faults: set[str]) -> dict[str, dict[str, int]]:
    return {
        fault: {str(step): hits[fault, step] for step in STEPS if hits[fault, step]}
        for fault in sorted(faults)
    }


_VENUES = {"ib": "Interactive Brokers", "binance": "Binance"}


def table(
    hits: Mapping[tuple[str, int], int], applicable: Mapping[str, frozenset[int]]
) -> Iterator[str]:
    """Yield a table of faults by steps: `.` cannot strike there, `-` could and did not."""
    faults = sorted({*applicable, *(fault for fault, _ in hits)})
    if not faults:
        return
    wide = max(len(each) for each in faults)
    columns = [_column(step, faults, hits, applicable) for step in STEPS]
    widths = [max(len(cell) for cell in column) for column in columns]
    for row, fault in enumerate(["step", *faults]):
        cells = (column[row].rjust(width) for column, width in zip(columns, widths, strict=True))
        yield f"  {fault:<{wide}}  {'  '.join(cells)}".rstrip()


def _column(
    step: int,
    faults: Sequence[str],
    hits: Mapping[tuple[str, int], int],
    applicable: Mapping[str, frozenset[int]],
) -> list[str]:
    cells = [str(step)]
    for fault in faults:
        count = hits.get((fault, step), 0)
        meant = step in applicable.get(fault, frozenset())
        cells.append(str(count) if count else "-" if meant else ".")
    return cells

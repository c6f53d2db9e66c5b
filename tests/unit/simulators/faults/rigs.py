"""An injector with one trouble, and what it counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rebalancer.simulators.faults.hours import Trouble
from rebalancer.simulators.faults.injection import Injector


@dataclass
class Rig:
    """An injector and its hits by fault and step."""

    injector: Injector
    hits: Counter[tuple[str, int]] = field(default_factory=Counter)


def rig(*troubles: Trouble, venue: str = "ib", step: int = 7) -> Rig:
    """Return an injector with these troubles in a step of the hour."""
    hits: Counter[tuple[str, int]] = Counter()

    def count(fault: str, at: int) -> None:
        hits[fault, at] += 1

    injector = Injector(troubles, venue, count)
    injector.step = step
    return Rig(injector, hits)

"""Which slots still have something open: a run died there, and no later one has finished it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from rebalancer.model.attempts import Lines, died, recovered
from rebalancer.model.records import RunRecord


def died_after_all(
    slots: Iterable[datetime],
    journal: Callable[[datetime], Lines],
    record: Callable[[datetime], RunRecord | None],
) -> Iterator[datetime]:
    """Yield the slots with a record at which another attempt died; `slots` are newest first.

    A slot may be run again after its record was written, and that attempt may die; or an
    attempt dies and the next one fails before it could finish what was left. Only the newest
    slots are looked at: whoever came as far as step 2 had finished everything before it.
    """
    for slot in slots:
        lines, known = journal(slot), record(slot)
        if known is not None and died(lines, recorded=known.attempt):
            yield slot
        if recovered(lines):
            return

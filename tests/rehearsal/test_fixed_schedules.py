"""The same few hundred schedules at each run of the suite: nothing is broken by any of them.

Campaigns play thousands of others (`make rehearse`).
"""

from __future__ import annotations

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.workers import one, quiet

CHUNK = 15
CHUNKS = 8
STAGES = Stages()


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_no_schedule_breaks_an_invariant(venue: str, chunk: int) -> None:
    stage = STAGES(venue)
    first = 1 + chunk * CHUNK
    with quiet():
        results = [one(stage, seed) for seed in range(first, first + CHUNK)]
    broken = [f"seed {each.seed}: {bad}" for each in results for bad in each.violations]
    assert broken == []
    assert sum(each.runs for each in results) > 2 * CHUNK
    assert sum(sum(each.hits.values()) for each in results) > CHUNK / 2

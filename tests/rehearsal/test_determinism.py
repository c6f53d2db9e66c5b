"""The same seed has the same trace, whatever process plays it and however it hashes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.driver import play
from rebalancer.simulators.faults.schedule import draw

SEEDS = (4, 7, 10)
"""The last one has mails and a database."""

TELL = """
import logging, sys
from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.driver import play
from rebalancer.simulators.faults.schedule import draw
logging.disable(logging.CRITICAL)
stage = Stages()(sys.argv[1])
for seed in map(int, sys.argv[2:]):
    print(play(stage, draw(stage.venue, seed, stage.instruments)).trace)
"""


def _traces(venue: str, hash_seed: str) -> list[str]:
    """Return the traces of a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    words = [sys.executable, "-c", TELL, venue, *map(str, SEEDS)]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return ended.stdout.split()


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_the_same_seed_has_the_same_trace_in_any_process(venue: str) -> None:
    first, second = _traces(venue, "1"), _traces(venue, "4711")
    assert len(set(first)) == len(SEEDS)
    assert first == second


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_the_same_seed_has_the_same_trace_once_more(venue: str) -> None:
    stage = Stages()(venue)
    schedule = draw(venue, SEEDS[0], stage.instruments)
    assert play(stage, schedule).trace == play(stage, schedule).trace

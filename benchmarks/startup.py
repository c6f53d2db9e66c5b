"""How soon the command line answers."""

from __future__ import annotations

from benchmarks import Benchmark
from benchmarks.processes import RUN, process

YARDSTICK = "import argparse, tomllib, sqlite3"


def benchmarks() -> list[Benchmark]:
    """Return the claim about `run.py --help`."""
    return [
        Benchmark(
            name="run.py --help",
            run=lambda: process([str(RUN), "--help"]),
            yardstick_name=YARDSTICK,
            yardstick=lambda: process(["-c", YARDSTICK]),
            most_ratio=2,
            rounds=25,
        )
    ]

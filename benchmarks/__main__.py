"""Measure what we claim about speed and print a table of medians and ratios."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from time import perf_counter

import benchmarks
from benchmarks import Benchmark, Measured


def registered(words: Sequence[str]) -> Iterator[Benchmark]:
    """Yield the benchmarks of every module here, those whose name has one of `words`."""
    for module in sorted(pkgutil.iter_modules(benchmarks.__path__), key=lambda m: m.name):
        if module.name.startswith("_"):
            continue
        offer = getattr(importlib.import_module(f"benchmarks.{module.name}"), "benchmarks", None)
        for benchmark in offer() if offer else ():
            if not words or any(word in benchmark.name for word in words):
                yield benchmark


def measure(benchmark: Benchmark) -> Measured:
    """Return the medians of a benchmark and its yardstick, called alternately."""
    benchmark.run()  # what is compiled or cached once is not part of the claim
    benchmark.yardstick()
    own, others = [], []
    for _ in range(benchmark.rounds):
        own.append(seconds(benchmark.run))
        others.append(seconds(benchmark.yardstick))
    used = benchmark.mebibytes() if benchmark.mebibytes else None
    return Measured(benchmark, median(own), median(others), used)


def seconds(call: Callable[[], object]) -> float:
    """Return how long one call takes."""
    gc.collect()
    start = perf_counter()
    call()
    return perf_counter() - start


def claim(benchmark: Benchmark) -> str:
    """Return what is claimed, in words."""
    parts = []
    if benchmark.most_milliseconds is not None:
        parts.append(f"<= {benchmark.most_milliseconds:g} ms")
    if benchmark.most_ratio is not None:
        parts.append(f"<= {benchmark.most_ratio:g}x")
    if benchmark.most_mebibytes is not None:
        parts.append(f"<= {benchmark.most_mebibytes:g} MiB")
    return ", ".join(parts) or "-"


def row(measured: Measured) -> tuple[str, ...]:
    """Return one row of the table."""
    benchmark = measured.benchmark
    return (
        benchmark.name,
        f"{measured.seconds * 1000:.2f} ms",
        f"{measured.ratio:.2f}x",
        "-" if measured.mebibytes is None else f"{measured.mebibytes:.0f} MiB",
        f"{benchmark.yardstick_name} ({measured.yardstick_seconds * 1000:.2f} ms)",
        claim(benchmark),
        "ok" if measured.kept else "MISSED",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a claim was missed and `--strict` was said."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("words", nargs="*", help="only benchmarks whose name has one of these")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a claim is missed")
    said = parser.parse_args(arguments)
    results = []
    for benchmark in registered(said.words):
        print(f"measuring {benchmark.name} ...", file=sys.stderr, flush=True)
        results.append(measure(benchmark))
    if said.json:
        for result in results:
            names = ("name", "median", "ratio", "memory", "yardstick", "claim", "verdict")
            print(json.dumps(dict(zip(names, row(result), strict=True))))
    else:
        print_table([row(result) for result in results])
    return 1 if said.strict and not all(result.kept for result in results) else 0


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns as wide as they need to be."""
    head = ("benchmark", "median", "ratio", "memory", "yardstick (median)", "claim", "")
    widths = [max(len(cells[n]) for cells in (head, *rows)) for n in range(len(head))]
    for cells in (head, *rows):
        line = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print("  ".join(line).rstrip())


if __name__ == "__main__":
    sys.exit(main())

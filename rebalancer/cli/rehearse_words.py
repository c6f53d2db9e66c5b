"""The words of `rebalancer rehearse`; argparse only, so that asking for help costs nothing."""

from __future__ import annotations

import argparse

LINE = "let everything go wrong, thousands of times, and prove that nothing is lost"
TEXT = """
Plays fault schedules: hours of trading at a simulated venue, through the real client library,
in which the process is killed, connections break, answers get lost, disks fill up, prices are
missing, somebody trades by hand. After each schedule the faults stop, calm runs follow, and
the venue's own books are compared with ours: no order twice, none without an approval on disk
before it, no fill lost, every cent there, nothing sent in a dry run, limits obeyed, stops kept.

With CONFIG your own portfolio is rehearsed: its universe, sleeves, limits and execution. The
venue is simulated and its state lies in a temporary folder; your state, your secrets and the
network are not touched. What no recording has gets made-up prices, and is named. Without CONFIG
a small sample portfolio of each venue is.

The answer is a table: how often each fault struck in each of the thirteen steps (`.` cannot,
`-` could and did not). A schedule that breaks something is made as short as possible, told in
words, and written to a file for --replay. Exit code 0: nothing broke; 1: something did, or with
--all-cells: a `-` is left.
"""
EXAMPLES = """
rebalancer rehearse                               200 schedules at each venue
rebalancer rehearse portfolio.toml                your own portfolio, before it goes live
rebalancer rehearse --schedules 20000 --workers 2 --json report.json
rebalancer rehearse --venue ib --seed 4711        this one, told step by step
rebalancer rehearse --replay rehearsal/ib-4711.json
rebalancer rehearse --kills 1000 --venue binance  real processes, killed by the simulator
"""

SCHEDULES = 200
FOLDER = "rehearsal"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rebalancer rehearse`."""
    add = parser.add_argument
    add("config", nargs="?", metavar="CONFIG", help="your portfolio's file (default: samples)")
    add(
        "--venue",
        choices=("both", "ib", "binance"),
        default="both",
        help="which sample (both); a CONFIG has its own",
    )
    add(
        "--schedules",
        type=_count,
        metavar="N",
        help=f"how many a venue ({SCHEDULES}; one, step by step, when only --seed is given)",
    )
    add("--seed", type=_seed, metavar="S", help="the first one's seed (1)")
    add("--workers", type=_count, metavar="K", help="how many processes (as many as processors)")
    add("--minutes", type=_minutes, metavar="M", help="stop after so long, whatever is left")
    add("--kills", type=_count, metavar="N", help="kill real processes instead, in N seeds")
    add("--replay", metavar="FILE", help="play a schedule from a file, told step by step")
    add("--wire", action="store_true", help="step by step: show what went over the wire, too")
    add(
        "--all-cells",
        action="store_true",
        help="fail when a fault did not strike in a step in which it can (thousands of schedules)",
    )
    add("--json", metavar="FILE", help="write everything that is known to a file")
    add(
        "--folder",
        metavar="FOLDER",
        default=FOLDER,
        help=f"where schedules that broke something are written ({FOLDER})",
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: at least 1")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number}: zero or more")
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text}: more than 0")
    return number

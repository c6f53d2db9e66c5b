"""The words of `rebalancer bars`; argparse only, so that asking for help costs nothing."""

from __future__ import annotations

import argparse

LINE = "show, import or forget stored bars"
TEXT = """
The bars that generators are given are fetched from the venue by each run. Here they can be
looked at, imported from a CSV file where the venue has no long history, and forgotten, so
that the next run fetches an instrument's whole history anew.

import reads a table with a header line, in one of two forms: `instrument,date,close` with a
line for each bar (other columns are left alone), or `date` and a column for each instrument.
Daily bars have a date, hourly ones (--size hour) a `time` with its zone, that of the close.
Nothing is stored without --write.
"""
EXAMPLES = """
rebalancer bars show
rebalancer bars show AAPL.STK.USD@IB --size hour
rebalancer bars import closes.csv              what it would do
rebalancer bars import closes.csv --write
rebalancer bars import closes.csv --write --replace
rebalancer bars forget AAPL.STK.USD@IB --yes
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add what can be done with bars."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="how many bars there are, from when to when")
    show.add_argument("instruments", nargs="*", metavar="INSTRUMENT", help="only these")
    show.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    load = actions.add_parser("import", help="read bars from a CSV file")
    load.add_argument("file", metavar="FILE", help="the table")
    load.add_argument("--write", action="store_true", help="store them; without it, only look")
    load.add_argument(
        "--replace",
        action="store_true",
        help="put them in the place of all that is stored of the file's instruments",
    )
    forget = actions.add_parser("forget", help="remove instruments' bars; the next run fetches all")
    forget.add_argument("instruments", nargs="+", metavar="INSTRUMENT", help="which ones")
    forget.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    for each in (show, load, forget):
        each.add_argument(
            "--size", choices=("day", "hour"), default="day", help="the size of the bars (day)"
        )
        each.add_argument(
            "-c",
            "--config",
            metavar="FILE",
            default="portfolio.toml",
            help="the portfolio's file (default: portfolio.toml)",
        )

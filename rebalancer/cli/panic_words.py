"""The words of `halt`, `cancel`, `flatten` and `watchdog`; argparse only: help costs nothing."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

Words = tuple[str, str, str, str, Callable[[argparse.ArgumentParser], None]]
"""Name, line, text, examples and options of a command."""

HALT_LINE = "stop sending orders, at once and until `resume`"
HALT_TEXT = """
Writes a HALT file. A run that is at work stops before its next message and cancels what it
has at the venue; later runs cancel what is left and do everything but send. Protective stops
stay. It works even when the configuration is broken.
"""
HALT_EXAMPLES = """
rebalancer halt "results tonight"
rebalancer halt --all             every portfolio (ends with `resume halt-file:all`)
rebalancer halt --state state     needs no configuration
"""

CANCEL_LINE = "cancel this portfolio's open orders, also while halted"
CANCEL_TEXT = """
Cancels the rebalancing orders that are left at the venue, waits until each has ended, and
books what they traded. Orders of others are not touched (unless cancel_scope is "all"), nor
are protective stops, unless --stops says so and you have typed the portfolio's name.
It works while a HALT file stands; it does not write one.
"""
CANCEL_EXAMPLES = """
rebalancer cancel
rebalancer cancel growth.toml
rebalancer cancel --stops          the protective stops too
"""

FLATTEN_LINE = "sell everything, or some of it, also while halted"
FLATTEN_TEXT = """
Shows the orders that would bring the holdings of the portfolio's universe to zero; with --send,
and after you have typed the portfolio's name, it cancels its open orders and sends them. They
only reduce, are limits, and pass the gates of every run: a fresh quote, price, size, the order
window of the session; what is larger than one order may be goes out in several. Stops of what
is flat afterwards are taken down. It works while a HALT file stands and breakers are latched.
Without a HALT file the next run buys again what the signals want: halt first.
"""
FLATTEN_EXAMPLES = """
rebalancer flatten                          what would be sold, and what a gate refuses
rebalancer flatten --send                   sell it
rebalancer flatten --only AAPL KO --send    sell two of them
"""

WATCHDOG_LINE = "mail when the last good run is too old (a cron line of its own)"
WATCHDOG_TEXT = """
Looks at what runs leave, from outside: is the last good one recent enough, does any end well,
does one hang, can the state folder be read and written, is the clock sane, does a HALT file
stand for days? It mails each trouble once, and once more when it is over. It needs the
portfolio's name and the [mail] table, and works when the rest of the file is broken. Exit code
0: all is well; 3: a trouble stands; 4: a mail about it could not be sent.
"""
WATCHDOG_EXAMPLES = """
rebalancer watchdog
rebalancer watchdog --older-than 7h    seven hours of open market
rebalancer watchdog --config a.toml --config b.toml
"""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([mhd])")
_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}


def halt_options(parser: argparse.ArgumentParser) -> None:
    """Add what `halt` may be told."""
    parser.add_argument(
        "reason", nargs="*", metavar="REASON", help="why, in words; shown by every run"
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default="portfolio.toml",
        help="the portfolio's file (default: portfolio.toml)",
    )
    parser.add_argument("--all", action="store_true", help="stop every portfolio of the folder")
    parser.add_argument(
        "--state", metavar="FOLDER", help="the folder to stop; needs no configuration at all"
    )


def cancel_options(parser: argparse.ArgumentParser) -> None:
    """Add what `cancel` may be told."""
    _file(parser)
    parser.add_argument("--stops", action="store_true", help="cancel the protective stops too")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def flatten_options(parser: argparse.ArgumentParser) -> None:
    """Add what `flatten` may be told."""
    _file(parser)
    parser.add_argument(
        "--only", metavar="X", nargs="+", action="extend", help="only these instruments"
    )
    parser.add_argument("--send", action="store_true", help="send the orders; else only show them")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def watchdog_options(parser: argparse.ArgumentParser) -> None:
    """Add what `watchdog` may be told."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        action="append",
        help="a portfolio's file; may be given several times (default: portfolio.toml)",
    )
    parser.add_argument(
        "--older-than",
        metavar="TIME",
        type=span,
        help="how old the last good run may be, like 90m, 7h, 3d, in time in which the market was "
        "open: 26h are four sessions of New York, not a day; wall time only without a calendar "
        "(default: two intervals and a deadline, none longer than a session; without one 26h)",
    )


def span(text: str) -> float:
    """Return a span of time in seconds. Raises `ArgumentTypeError`."""
    match = _SPAN.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write a time like 90m, 26h or 3d, in minutes (m), hours (h) or days (d); "
            "seconds are not known"
        )
    return float(match[1]) * _SECONDS[match[2]]


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="CONFIG", help="the portfolio's file")
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default="portfolio.toml",
        help="the same, as other commands have it (default: portfolio.toml)",
    )


HALT: Words = ("halt", HALT_LINE, HALT_TEXT, HALT_EXAMPLES, halt_options)
CANCEL: Words = ("cancel", CANCEL_LINE, CANCEL_TEXT, CANCEL_EXAMPLES, cancel_options)
FLATTEN: Words = ("flatten", FLATTEN_LINE, FLATTEN_TEXT, FLATTEN_EXAMPLES, flatten_options)
WATCHDOG: Words = (
    "watchdog",
    WATCHDOG_LINE,
    WATCHDOG_TEXT,
    WATCHDOG_EXAMPLES,
    watchdog_options,
)

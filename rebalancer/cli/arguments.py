"""The words of the command line; argparse only, so that asking for help costs nothing."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import indent

from rebalancer.cli import bars_words, panic_words, rehearse_words, simulate_words

DEFAULT_CONFIG = "portfolio.toml"
DEFAULT_COMMAND = "run"
CODES = """\
exit codes:
  0 finished or not due    2 usage or configuration    3 halted, nothing sent
  4 cannot connect, blind  5 an outcome is unresolved  6 another run is at work
  7 another run hangs      8 out of time               9 state folder unusable
  70 a bug                 (docs/OPERATIONS.md says what to do)"""

Parser = argparse.ArgumentParser


@dataclass(frozen=True)
class Command:
    """One command: the line in the list, the paragraph and examples of its help, its options."""

    name: str
    line: str
    text: str
    examples: str
    options: Callable[[Parser], None]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for; without a command it is `run`.

    Ends the process, as argparse does, with 0 after help and with 2 for what it cannot read.
    """
    words = list(argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words = [DEFAULT_COMMAND, *words]
    if words == ["--version"]:
        words = ["version"]
    return parser().parse_args(words)


def parser() -> Parser:
    """Return the parser of every command."""
    top = Parser(
        prog="rebalancer",
        description="Carries a portfolio from where it is to where its owner's signals want it.\n"
        "Cron starts it once an hour; by hand, one of these commands:",
        epilog="first steps:\n"
        "  rebalancer init         write portfolio.toml (paper money), every line explained\n"
        "  rebalancer check        is everything right?\n"
        "  rebalancer run          one hour; again and again: the paper market moves on\n"
        "  rebalancer status       where the portfolio stands\n\n"
        "  rebalancer COMMAND --help explains each command.\n\n" + CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        each = commands.add_parser(
            command.name,
            help=command.line,
            description=inspect.cleandoc(command.text),
            epilog="examples:\n" + indent(inspect.cleandoc(command.examples), "  "),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.options(each)
        each.add_argument(
            "--debug", action="store_true", help="show the traceback of an unexpected error"
        )
    return top


def _config(parser: Parser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=DEFAULT_CONFIG,
        help=f"the portfolio's file (default: {DEFAULT_CONFIG})",
    )


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="answer in JSON, for programs")


def _yes(parser: Parser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def _run(parser: Parser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        action="append",
        help=f"a portfolio's file; may be given several times (default: {DEFAULT_CONFIG})",
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--dry-run", action="store_true", help="decide everything, send nothing")
    modes.add_argument("--paper", action="store_true", help="use the simulated account")
    parser.add_argument(
        "--at",
        metavar="TIME",
        help="the slot to run, like 2020-03-02T15:05Z (default: now; paper: the next slot)",
    )
    _json(parser)


def _check(parser: Parser) -> None:
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help=f"portfolio files (default: {DEFAULT_CONFIG})"
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        action="append",
        help="the same, as other commands have it",
    )
    parser.add_argument(
        "--connect", action="store_true", help="also connect to the venue (read-only)"
    )
    parser.add_argument("--mail", action="store_true", help="also send a test mail")


def _venue(parser: Parser) -> None:
    words = "US shares at Interactive Brokers (ib, the default), or perpetuals (binance)"
    parser.add_argument("--venue", choices=("ib", "binance"), default="ib", help=words)


def _init(parser: Parser) -> None:
    parser.add_argument(
        "--name", metavar="NAME", default="main", help="the portfolio's name, at most 8 characters"
    )
    parser.add_argument(
        "--folder", metavar="FOLDER", default=".", help="where to write it (default: here)"
    )
    _venue(parser)
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")


def _signals(parser: Parser) -> None:
    parser.add_argument("name", metavar="SLEEVE", help="the sleeve whose generator is to be run")
    _config(parser)
    parser.add_argument("--at", metavar="TIME", help="as if it were this time (default: now)")
    _json(parser)


def _status(parser: Parser) -> None:
    _config(parser)
    parser.add_argument(
        "--all", metavar="FOLDER", help="every portfolio with a file (*.toml) in this folder"
    )
    _json(parser)


def _orders(parser: Parser) -> None:
    parser.add_argument(
        "slot", nargs="?", metavar="SLOT", help="a run, like 2020-03-02T1505Z (default: the last)"
    )
    _config(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="a dry run's orders instead of a real one's"
    )
    _json(parser)


def _resume(parser: Parser) -> None:
    parser.add_argument(
        "codes", nargs="*", metavar="CODE", help="the flags to clear, as `status` names them"
    )
    parser.add_argument("--all", action="store_true", help="clear everything that may be cleared")
    _config(parser)
    _yes(parser)


def _resolve(parser: Parser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help="the order, as `status` names it")
    fate = parser.add_mutually_exclusive_group(required=True)
    fate.add_argument(
        "--filled",
        metavar="QUANTITY@PRICE",
        help="what it traded in all: signed quantity (a sale negative) at its average price",
    )
    fate.add_argument("--dead", action="store_true", help="it traded nothing and never will")
    _config(parser)
    _yes(parser)


def _adopt(parser: Parser) -> None:
    _config(parser)
    _yes(parser)


def _demo(parser: Parser) -> None:
    parser.add_argument("--folder", metavar="FOLDER", help="where to put it (default: state)")
    _venue(parser)


COMMANDS: tuple[Command, ...] = (
    Command(
        "run",
        "run one hour (what cron does; the default)",
        """
        Runs one hour of a portfolio: thirteen steps from connecting to disconnecting. A slot
        that has its record is not run again; outside the session it does nothing and says so.
        Several portfolios run one after the other, whatever becomes of each; the gravest exit
        code is the answer. Nothing on this line can make a paper portfolio live.
        """,
        """
        rebalancer                                      the portfolio in portfolio.toml
        rebalancer run --dry-run                        the plan and the gates' verdicts, no order
        rebalancer run --config a.toml --config b.toml  two portfolios, one after the other
        rebalancer run --at 2020-03-02T15:05Z           paper: play the recording up to then
        rebalancer run --json                           what it did, for programs
        """,
        _run,
    ),
    Command(
        "check",
        "find everything that is wrong with the configuration",
        """
        Reads the configuration, the generators, the state folder, the calendars and the
        permissions of secrets, and names every problem at once with file, key and value.
        Several files are also checked against each other.
        """,
        """
        rebalancer check
        rebalancer check a.toml b.toml    also: do they share an account?
        rebalancer check --connect        prove the venue: account and what it is worth
        rebalancer check --mail           prove the mail server with a test mail
        """,
        _check,
    ),
    Command(
        "init",
        "write a first configuration, explained line by line",
        """
        Writes portfolio.toml in paper mode, its state folder and the example generators. It
        never overwrites a file unless told to with --force.
        """,
        """
        rebalancer init
        rebalancer init --name growth --folder ~/growth
        rebalancer init --name coins --folder ~/coins --venue binance
        """,
        _init,
    ),
    Command(
        "signals",
        "run one generator alone and show its weights",
        """
        Runs the generator of one sleeve, in its own process as a run would, and shows the
        weights it answers and what it printed. Nothing is written, nothing is ordered.
        """,
        """
        rebalancer signals momentum
        rebalancer signals momentum --at 2020-03-16T15:05Z    on an earlier day
        """,
        _signals,
    ),
    Command(
        "status",
        "show where the portfolio stands",
        """
        Shows the last run, positions against targets, flags and what clears them, breakers,
        and the next session.
        """,
        """
        rebalancer status
        rebalancer status --all .    every portfolio of this folder, a line each
        rebalancer status --json     for programs
        """,
        _status,
    ),
    Command(
        "orders",
        "show what a run ordered, what it did not, and why",
        """
        Shows the order file of a run: for each instrument what was wanted, what became of it,
        and the reason.
        """,
        """
        rebalancer orders
        rebalancer orders 2020-03-02T1505Z
        rebalancer orders --json
        """,
        _orders,
    ),
    Command(*panic_words.HALT),
    Command(*panic_words.CANCEL),
    Command(*panic_words.FLATTEN),
    Command(
        "resume",
        "clear what holds or halts the portfolio",
        """
        Shows what is latched and what clears each. Without a code it offers to remove this
        portfolio's HALT file, where there is one; with codes it clears what they name, with --all
        everything and that file. You are asked for the portfolio's name first (--yes answers).
        What came or changed while it asked stays. Exit code 3: something that was meant stays.
        """,
        """
        rebalancer resume                 what is latched? and the HALT file's end
        rebalancer resume daily-loss
        rebalancer resume halt-file       remove this portfolio's HALT file
        rebalancer resume halt-file:all   remove the HALT file of all portfolios
        rebalancer resume --all           everything but that of all portfolios
        """,
        _resume,
    ),
    Command(
        "resolve",
        "say what became of an order whose outcome is unknown",
        """
        An order whose outcome is unknown holds its instrument until the venue proves its
        fate. When you have looked it up at the venue yourself, say so here: it is booked as
        you say.
        """,
        """
        rebalancer resolve main.2003021505r1.ABCDEFGH.3 --dead
        rebalancer resolve main.2003021505r1.ABCDEFGH.3 --filled=-40@171.25
        """,
        _resolve,
    ),
    Command(
        "adopt",
        "book what the account already holds",
        """
        An account that holds positions before our first run is not traded until they are
        booked. This shows them and, after you have typed the portfolio's name, books them.
        """,
        """
        rebalancer adopt
        """,
        _adopt,
    ),
    Command(
        "demo",
        "four hours of a paper portfolio, explained",
        """
        Runs four hours of a paper portfolio on real days and names the files to open: US shares
        in May 2017, or market-neutral perpetuals with protective stops in April 2025.
        """,
        """
        rebalancer demo
        rebalancer demo --venue binance
        """,
        _demo,
    ),
    Command(*panic_words.WATCHDOG),
    Command("bars", bars_words.LINE, bars_words.TEXT, bars_words.EXAMPLES, bars_words.options),
    Command(
        "simulate",
        simulate_words.LINE,
        simulate_words.TEXT,
        simulate_words.EXAMPLES,
        simulate_words.options,
    ),
    Command(
        "rehearse",
        rehearse_words.LINE,
        rehearse_words.TEXT,
        rehearse_words.EXAMPLES,
        rehearse_words.options,
    ),
    Command(
        "version",
        "show the versions of this program and its libraries",
        """
        Shows what a report of a problem should begin with.
        """,
        """
        rebalancer version
        rebalancer version --json
        """,
        _json,
    ),
)
"""Every command, in the order of the help."""

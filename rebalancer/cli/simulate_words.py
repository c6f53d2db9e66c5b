"""The words of `rebalancer simulate`; argparse only, so that asking for help costs nothing."""

from __future__ import annotations

import argparse

LINE = "run a simulated venue alone, to test your own code against"
TEXT = """
Starts a simulated IB Gateway on this machine and on no other: point ib_insync, ib_async,
IBKR's own API or any other client for the TWS protocol at it. Nothing is real: no account,
no money, no connection to a venue. Stocks have recorded daily closes, what lies between two
closes is invented; EUR.USD and an ES future are there too. Time moves as the wall clock
does, from one session straight into the next. Ctrl-C ends it; --state keeps the account.

What goes wrong is yours to say. --fault may be given several times:
  on=placeOrder,do=cut-after        the order arrives, then the connection breaks
  on=reqPositions,do=no-end         the positions never end
  on=orderStatus,do=lose,nth=2      the second status is lost
  on=placeOrder,do=error,code=201   the first order is refused
  kind=LATE_COMMISSION,seconds=300  a commission comes five minutes late
  faults.toml                       a file with lists `wire` and `venue` of such tables
docs/SIMULATORS.md lists every word, and what is simulated and what is not.
"""
EXAMPLES = """
rebalancer simulate ib                              port 4002, account DU1234567
rebalancer simulate ib --port 0 --wire-log -        any free port; show every frame
rebalancer simulate ib --at 2020-03-16T14:30Z --speed 60
rebalancer simulate ib --state state/ib --seed 7    go on with the same account tomorrow
rebalancer simulate ib --fault on=placeOrder,do=error,code=201,text=no
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rebalancer simulate`."""
    add = parser.add_argument
    add("venue", metavar="VENUE", choices=("ib",), help="which venue: ib")
    add("--port", type=_port, default=4002, metavar="N", help="where to listen (4002; 0: any)")
    add("--account", default="DU1234567", metavar="ID", help="the account's id (DU1234567)")
    add("--recording", default="us_equities", metavar="NAME", help="the prices (us_equities)")
    add("--symbols", metavar="A,B,C", help="only these of the recorded stocks (all)")
    add("--at", metavar="TIME", help="begin then, like 2020-03-02T15:05Z")
    add("--speed", type=_speed, default=1.0, metavar="N", help="market seconds in a second (1)")
    add("--nights", action="store_true", help="do not skip the hours when the market is closed")
    add("--seed", type=int, default=1, metavar="N", help="another one has other prices (1)")
    add("--state", metavar="FOLDER", help="keep the account's books there")
    add("--wire-log", metavar="FILE", help="write every frame there; - shows them")
    add("--fault", action="append", default=[], metavar="FAULT", help="what goes wrong, see above")
    add(
        "--server-version",
        type=int,
        choices=range(157, 179),
        default=176,
        metavar="N",
        help="the newest version to speak, 157 to 178 (176)",
    )
    add(
        "--market-data",
        choices=("live", "delayed", "frozen", "none"),
        default="live",
        help="what the account is subscribed to (live)",
    )
    add("--read-only-api", action="store_true", help="refuse orders, as that setting does")


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"{number} is no port: 0 to 65535")
    return number


def _speed(text: str) -> float:
    number = float(text)
    if not 0 < number <= 100_000:
        raise argparse.ArgumentTypeError(f"{text}: more than 0, at most 100000")
    return number

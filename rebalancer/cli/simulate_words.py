"""The words of `rebalancer simulate`; argparse only, so that asking for help costs nothing."""

from __future__ import annotations

import argparse
import inspect
from textwrap import indent

LINE = "run a simulated venue alone, to test your own code against"
TEXT = """
Starts a simulated IB Gateway, or a simulated Binance, on this machine and on no other: point
your own code at it, with the client library that it uses anyway. Nothing is real: no account,
no money, no connection to a venue. Ctrl-C ends it; --state keeps the account.

  rebalancer simulate ib --help         the gateway: clients, prices, faults, options
  rebalancer simulate binance --help    the exchange
docs/SIMULATORS.md has what is simulated and what is not.
"""
EXAMPLES = """
rebalancer simulate ib                              port 4002, account DU1234567
rebalancer simulate binance                         port 9090, key and secret are shown
rebalancer simulate binance --port 0 --wire-log -   any free port; show every request
"""

_IB = """
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
_IB_EXAMPLES = """
rebalancer simulate ib                              port 4002, account DU1234567
rebalancer simulate ib --port 0 --wire-log -        any free port; show every frame
rebalancer simulate ib --at 2020-03-16T14:30Z --speed 60
rebalancer simulate ib --state state/ib --seed 7    go on with the same account tomorrow
rebalancer simulate ib --fault on=placeOrder,do=error,code=201,text=no
"""

_BINANCE = """
Starts a simulated Binance on this machine and on no other: spot under /api, USDⓈ-M futures
under /fapi, over REST. Point python-binance, ccxt, the exchange's own SDKs or curl at it;
key, secret and examples for curl and python-binance are shown when it starts. Nothing is
real: no account, no money, no connection to the exchange. Signatures, filters, weights and
error codes are as the exchange has them. Prices are recorded hours, what lies within an hour
is invented; the recording is re-dated so that its middle (or --at) is now, and time is the
wall clock's.

What goes wrong is yours to say. --fault may be given several times; * stands for anything:
  where=POST /fapi/v1/order,do=cut-after             it is acted upon, the answer is lost
  where=POST /fapi/v1/order,do=status-after,code=-1007     the same, said by the exchange
  where=GET /fapi/v3/positionRisk,do=truncate,nth=2  half of the second answer
  where=*,do=rate-limit,seconds=20                   429 with Retry-After
  where=*,do=skew,seconds=30                         its clock is half a minute ahead
  kind=PARTIAL_ONLY,count=all                        at most half of an order ever trades
  faults.toml                       a file with lists `wire` and `venue` of such tables
docs/SIMULATORS.md lists every word, and what is simulated and what is not.
"""
_BINANCE_EXAMPLES = """
rebalancer simulate binance                           port 9090
rebalancer simulate binance --port 0 --wire-log -     any free port; show every request
rebalancer simulate binance --at 2025-04-01T00:00Z --speed 60
rebalancer simulate binance --state state/binance     go on with the same account later
rebalancer simulate binance --fault "where=POST /fapi/v1/order,do=timeout-after"
"""

_Parser = argparse.ArgumentParser


def options(parser: _Parser) -> None:
    """Add the venues of `rebalancer simulate`, each with its options."""
    venues = parser.add_subparsers(dest="venue", metavar="VENUE", required=True)
    _ib(_venue(venues, "ib", "a simulated IB Gateway", _IB, _IB_EXAMPLES))
    _binance(_venue(venues, "binance", "a simulated Binance", _BINANCE, _BINANCE_EXAMPLES))


def _venue(
    venues: argparse._SubParsersAction[_Parser], name: str, line: str, text: str, examples: str
) -> _Parser:
    found = venues.add_parser(
        name,
        help=line,
        description=inspect.cleandoc(text),
        epilog="examples:\n" + indent(inspect.cleandoc(examples), "  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    words = "show the traceback of an unexpected error"
    found.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=words)
    return found


def _ib(parser: _Parser) -> None:
    add = parser.add_argument
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


def _binance(parser: _Parser) -> None:
    add = parser.add_argument
    add("--port", type=_port, default=9090, metavar="N", help="where to listen (9090; 0: any)")
    add("--account", default="700700700", metavar="UID", help="the account's uid (700700700)")
    add("--cash", action="append", default=[], metavar="USDT=N", help="what a new account has")
    add(
        "--recording",
        default="binance_perps_2025",
        metavar="NAME",
        help="the prices: binance_perps_2025 (nine perpetuals and their pairs) or "
        "binance_spot_2020 (BTCUSDT)",
    )
    add("--crowd", type=int, default=0, metavar="N", help="so many more, made-up perpetuals (0)")
    add("--at", metavar="TIME", help="this recorded time is now, like 2025-04-01T00:00Z")
    add("--speed", type=_speed, default=1.0, metavar="N", help="market seconds in a second (1)")
    add("--seed", type=int, default=1, metavar="N", help="another one has other prices (1)")
    add("--state", metavar="FOLDER", help="keep the account's books there")
    add("--multi-assets", action="store_true", help="the account is in multi-assets mode")
    add("--hedge", action="store_true", help="the account is in hedge mode")
    add("--wire-log", metavar="FILE", help="write every request there; - shows them")
    add("--fault", action="append", default=[], metavar="FAULT", help="what goes wrong, see above")


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

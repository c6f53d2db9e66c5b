"""The exchange alone, for people who test their own code against it: its time is the wall's."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rebalancer.clock import SystemClock
from rebalancer.errors import DataError
from rebalancer.simulators.binance_server.control import Steering
from rebalancer.simulators.binance_server.http import HttpServer
from rebalancer.simulators.binance_server.server import BinanceServer
from rebalancer.simulators.binance_server.spec import KEY, SECRET, BinanceSpec
from rebalancer.simulators.books import Account, FilesLike, open_books
from rebalancer.simulators.candles import candle_recording

TICK_SECONDS = 0.1
SHIFT = "standalone.shift_hours"
"""Under this name the books remember how the recording was re-dated."""

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Alone:
    """How it runs: `speed` seconds of the market in one of the wall.

    `at`: which recorded time is to be now (None: the middle of the recording).
    """

    spec: BinanceSpec
    host: str = "127.0.0.1"
    speed: float = 1.0
    at: datetime | None = None


class WallTime:
    """The exchange's time: the wall's at its beginning, then `speed` times as fast."""

    def __init__(
        self,
        began: datetime,
        speed: float,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._began, self._speed = began, speed
        self._now, self._monotonic = now, monotonic
        self._started = monotonic()

    def now(self) -> datetime:
        """Return the time it is at the exchange."""
        if self._speed == 1:
            return self._now()
        passed = (self._monotonic() - self._started) * self._speed
        return self._began + timedelta(seconds=passed)


def run_alone(
    alone: Alone,
    files: FilesLike,
    tell: Callable[[str], None],
    write: Callable[[str], object] | None = None,
) -> int:
    """Serve until Ctrl-C; return 0. `tell` gets lines for people, `write` the wire log's."""
    return asyncio.run(_serve(alone, files, tell, write))


async def _serve(
    alone: Alone,
    files: FilesLike,
    tell: Callable[[str], None],
    write: Callable[[str], object] | None,
) -> int:
    began = SystemClock().now()
    spec = redated(alone, files, began)
    server = BinanceServer(spec, files, write)
    server.exchange.account.codec[SHIFT] = str(spec.shift_hours)
    steering = Steering(server)
    steering.arm()
    wall = WallTime(max(began, server.now), alone.speed, SystemClock().now)
    keep_up(server, wall)
    http = HttpServer(server, alone.host, spec.port, lambda: keep_up(server, wall))
    await http.start()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    tell(_welcome(alone, http, server))
    try:
        await _follow(server, wall, ended, tell)
    finally:
        http.stop()
        steering.save()
    kept = f"; its books are in {spec.folder}" if spec.folder else ""
    tell(f"The exchange has ended at {server.now:%Y-%m-%d %H:%M:%S} UTC{kept}.")
    return 0


async def _follow(
    server: BinanceServer, wall: WallTime, ended: asyncio.Event, tell: Callable[[str], None]
) -> None:
    """Let time pass until the end."""
    over = False
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), TICK_SECONDS)
        keep_up(server, wall)
        if not over and server.market.ended(server.now):
            over = True
            tell("The recording ends here: nothing trades from now on. Begin anew without --state.")


def keep_up(server: BinanceServer, wall: WallTime) -> None:
    """Let the exchange's time follow; a wall clock that was set back is waited for."""
    behind = wall.now() - server.now
    if behind > timedelta(0):
        server.let_pass(behind)


def redated(alone: Alone, files: FilesLike, now: datetime) -> BinanceSpec:
    """Return the spec with its recording moved so that a recorded time is now.

    It is moved by whole days when no time was asked for, else by whole hours; books that are
    there keep theirs. A new account opens now. Raises `DataError` for a time that is not
    recorded.
    """
    spec = alone.spec
    recorded = candle_recording(spec.settings.recording)
    kept = _kept_shift(spec, files)
    if kept is not None:
        return replace(spec, shift_hours=kept)
    if alone.at is not None and not recorded.start <= alone.at < recorded.end:
        raise DataError(
            f"--at {alone.at:%Y-%m-%dT%H:%M}Z: recording {spec.settings.recording} has "
            f"{recorded.start:%Y-%m-%dT%H:%M}Z to {recorded.end:%Y-%m-%dT%H:%M}Z"
        )
    if alone.at is not None:
        hours = (now - alone.at) // _HOUR
    else:
        hours = 24 * ((now - recorded.start - (recorded.end - recorded.start) / 2) // _DAY)
    settings = replace(spec.settings, start=now)
    return replace(spec, shift_hours=hours, settings=settings)


def _kept_shift(spec: BinanceSpec, files: FilesLike) -> int | None:
    """Return how the books' recording was moved, None when there are no books."""

    def nothing() -> Account:
        raise LookupError

    if spec.folder is None:
        return None
    try:
        account = open_books(Path(spec.folder), files, nothing).account
    except LookupError:
        return None
    if SHIFT not in account.codec:
        raise DataError(
            f"--state {spec.folder}: the books there are a portfolio's; choose another folder"
        )
    return int(account.codec[SHIFT])


def start_of(text: str) -> datetime:
    """Return a time with its zone as UTC; raises `DataError`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise DataError(f"--at {text!r}: write a time with its zone, like 2025-03-20T15:05Z")
    return at.astimezone(UTC)


def _welcome(alone: Alone, http: HttpServer, server: BinanceServer) -> str:
    spec, now, base = server.spec, server.now, f"http://{http.host}:{http.port}"
    kept = f"kept in {spec.folder}" if spec.folder else "in memory only (--state FOLDER keeps them)"
    names = {
        product: [each.symbol for each in server.symbols.listed(product, now)]
        for product in ("spot", "usdm")
    }
    listed = f"{len(names['spot'])} spot, {len(names['usdm'])} perpetual"
    coins = (*names["usdm"], *names["spot"])
    coin = "BTCUSDT" if "BTCUSDT" in coins else coins[0]
    ticker = "/fapi/v1/ticker/bookTicker" if names["usdm"] else "/api/v3/ticker/bookTicker"
    account = "/fapi/v3/account" if names["usdm"] else "/api/v3/account"
    call = "futures_account_balance()" if names["usdm"] else "get_account()"
    kind = "binanceusdm" if names["usdm"] else "binance"
    then = now - timedelta(hours=spec.shift_hours)
    # Whoever signs by the wall's time is refused as too old.
    own = alone.speed != 1 or now - SystemClock().now() > timedelta(seconds=1)
    clock = f"prices of {then:%Y-%m-%d}"
    if own:
        clock += "\n           (not the wall's time: let your client ask for the exchange's)"
    return f"""\
A simulated Binance listens at {http.host}:{http.port} (this machine only; key and secret below).
  spot     {base}/api     USDⓈ-M futures  {base}/fapi
  account  uid {spec.account}, base {spec.base}; one wallet for both products; symbols: {listed}
  time     {now:%Y-%m-%d %H:%M:%S} UTC there, {alone.speed:g} s a second; {clock}
  books    {kept}
Prices within a recorded hour are invented; what you earn here means nothing.

  key={KEY}
  secret={SECRET}
  curl "{base}{ticker}?symbol={coin}"
  q="timestamp=$(date +%s)000"; s=$(printf %s "$q" | openssl dgst -sha256 -hmac $secret -r)
  curl -H "X-MBX-APIKEY: $key" "{base}{account}?$q&signature=${{s%% *}}"

  key, secret = "{KEY}", "{SECRET}"

  from binance.client import Client
  client = Client(key, secret, ping=False)
  client.API_URL, client.FUTURES_URL = "{base}/api", "{base}/fapi"
  print(client.{call})

  import ccxt
  venue = ccxt.{kind}({{"apiKey": key, "secret": secret}})
  old = venue.urls["api"].items()
  venue.urls["api"] = {{name: "{base}/" + url.split("/", 3)[3] for name, url in old}}
  print(venue.fetch_balance()["total"])

Ctrl-C ends it."""

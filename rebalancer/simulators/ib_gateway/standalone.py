"""The gateway alone, for people who test their own code against it: time follows the wall."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.sessions import PackedSessions
from rebalancer.simulators.books import FilesLike
from rebalancer.simulators.ib_gateway.control import Steering
from rebalancer.simulators.ib_gateway.spec import GatewaySpec, open_gateway
from rebalancer.simulators.ib_gateway.tcp import LoopbackServer
from rebalancer.simulators.recording import Recording

TICK_SECONDS = 0.1
EUR_RATE = Decimal("1.10")
_NOON_UTC = 18 * 60
_HALF_MINUTES, _WHOLE_MINUTES = 210, 390


@dataclass(frozen=True)
class Alone:
    """How it runs: `speed` seconds of the market in one of the wall; `nights` not skipped."""

    spec: GatewaySpec
    host: str = "127.0.0.1"
    speed: float = 1.0
    nights: bool = False
    at: datetime | None = None


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
    gateway = open_gateway(alone.spec, files, write)
    steering = Steering(gateway)
    steering.arm()
    market = Ticker(alone, steering)
    market.begin()
    server = LoopbackServer(gateway, alone.host, alone.spec.port, lambda: steering.refused)
    await server.start()
    server.watch()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    tell(_welcome(alone, server, steering.now()))
    try:
        await market.follow(ended, tell)
    finally:
        server.stop()
        steering.save()
    kept = f"; its books are in {alone.spec.folder}" if alone.spec.folder else ""
    tell(f"The gateway has ended at {steering.now():%Y-%m-%d %H:%M:%S} UTC{kept}.")
    return 0


class Ticker:
    """Moves simulated time as the wall's moves; where the market is closed, to its opening."""

    def __init__(self, alone: Alone, steering: Steering) -> None:
        self._alone = alone
        self._steering = steering
        self._market = steering.gateway.exchange.market
        self._any = self._market.listed()[0]

    def begin(self) -> None:
        """Go to the time that was asked for, and on to a market that is open."""
        if self._alone.at is not None:
            self._to(self._alone.at)
        self._to(self.target(0.0))

    def target(self, seconds: float) -> datetime:
        """Return what time it is `seconds` of the wall later."""
        now = self._steering.now() + timedelta(seconds=seconds * self._alone.speed)
        if self._alone.nights or self._market.ended(now):
            return now
        # A session of the calendar without a recorded day is a closed market too.
        for _ in range(10):
            if self._market.session(self._any, now) is not None:
                return now
            following = self._market.next_session(self._any, now)
            if following is None:
                return now
            now = following.open
        return now

    async def follow(self, ended: asyncio.Event, tell: Callable[[str], None]) -> None:
        """Let time pass until the end."""
        loop = asyncio.get_running_loop()
        last, over = loop.time(), False
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), TICK_SECONDS)
            now = loop.time()
            if not over:
                self._to(self.target(now - last))
            last = now
            if not over and self._market.ended(self._steering.now()):
                over = True
                tell("The recording ends here: time and prices stand still from now on.")

    def _to(self, at: datetime) -> None:
        while self._steering.now() < at:
            self._steering.advance(at)


def recorded_sessions(recorded: Recording) -> PackedSessions:
    """Return the sessions of a recording of US stocks: regular hours up to the recorded close."""
    closes = [seconds // 60 for seconds in recorded.closed.tolist()]
    # An early close is at 13:00 in New York: 17:00 or 18:00 UTC.
    half = [close % 1440 <= _NOON_UTC for close in closes]
    length = [_HALF_MINUTES if each else _WHOLE_MINUTES for each in half]
    opens = [close - minutes for close, minutes in zip(closes, length, strict=True)]
    days = recorded.days.tolist()
    early = frozenset(day for day, each in zip(days, half, strict=True) if each)
    return PackedSessions(days, opens, closes, early)


def other_instruments(at: datetime) -> tuple[Instrument, ...]:
    """Return what is there beside the recorded stocks: EUR.USD and the next-but-one ES future."""
    euro = TradingRules(price_levels=(PriceLevel(Decimal(0), Decimal("0.00005")),))
    quarter = TradingRules(price_levels=(PriceLevel(Decimal(0), Decimal("0.25")),))
    month = _expiry(at.date())
    return (
        Instrument(InstrumentId("EUR.USD.FX@IB"), Kind.FOREX, "EUR", "USD", "XNYS", euro),
        Instrument(
            InstrumentId(f"ES.FUT.{month}@IB"),
            Kind.FUTURE,
            "ES",
            "USD",
            "XNYS",
            quarter,
            multiplier=Decimal(50),
        ),
    )


def _expiry(day: date) -> str:
    """Return the quarterly month that is at least three months away."""
    months = day.year * 12 + day.month - 1 + 3
    months += -(months + 1) % 3
    return f"{months // 12}{months % 12 + 1:02d}"


def start_of(text: str) -> datetime:
    """Return a time with its zone as UTC; raises `DataError`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise DataError(f"--at {text!r}: write a time with its zone, like 2020-03-02T15:05Z")
    return at.astimezone(UTC)


def _welcome(alone: Alone, server: LoopbackServer, now: datetime) -> str:
    spec = alone.spec
    kept = f"kept in {spec.folder}" if spec.folder else "in memory only (--state FOLDER keeps them)"
    skipped = "" if alone.nights else ", nights and weekends are skipped"
    return f"""\
A simulated IB Gateway listens at {server.host}:{server.port} (this machine only).
  account {spec.account}, base {spec.base}, server version {spec.max_version}, {spec.market_data} \
market data{", read-only API" if spec.read_only_api else ""}
  it is {now:%Y-%m-%d %H:%M:%S} UTC there, {alone.speed:g} s a second{skipped}
  books: {kept}
Prices between two recorded closes are invented; what you earn here means nothing.

  import ib_insync
  ib = ib_insync.IB().connect("{server.host}", {server.port}, clientId=1)
  print(ib.positions(), ib.accountSummary())

Ctrl-C ends it."""

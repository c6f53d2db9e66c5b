"""What `rebalancer rehearse --kills` hands to the campaign of kills: the real command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebalancer.rehearsal.kills import House, KillSummary
from rebalancer.rehearsal.kills import run_kills as _run_kills

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.ports import Page
    from rebalancer.simulators.binance_server.spec import BinanceSpec
    from rebalancer.simulators.ib_gateway.spec import GatewaySpec

NAME = "kills"

_IB = """
[portfolio]
name = "kills"
mode = "paper"
base_currency = "USD"
calendar = "XNYS"
state = "state"

[account]
venue = "simulated"
id = "PAPER-kills"

[[sleeve]]
name = "hand"
share = "1"
generator = "rehearsed.py"
history_bars = 20
universe = ["JNJ.STK.USD@IB", "KO.STK.USD@IB", "MSFT.STK.USD@IB", "WMT.STK.USD@IB"]

[risk]
max_order_weight = "0.95"
max_position_weight = "0.95"
max_turnover_per_session = 20
max_orders_per_session = 200
allow_unknown_volume = true

[mail]
session_mails = []

[database]
commit_after_close_minutes = 1440

[paper]
recording = "us_equities"
seed = 7
start = {start}
cash = {{ USD = "100000" }}
"""

_BINANCE = """
[portfolio]
name = "kills"
mode = "paper"
base_currency = "USDT"
calendar = "24/7"
state = "state"

[account]
venue = "simulated"
id = "700700700"

[[sleeve]]
name = "hand"
share = "1"
leverage_max = 1
generator = "rehearsed.py"
history_bars = 10
universe = ["BTCUSDT.PERP@BINANCE", "ETHUSDT.PERP@BINANCE", "SOLUSDT.PERP@BINANCE"]

[planning]
allow_short = true
cash_reserve = 0.05

[risk]
allow_short = true
max_order_weight = "0.95"
max_position_weight = "0.95"
max_gross_leverage = "1.2"
max_net_leverage = "1.2"
max_turnover_per_session = 20
max_orders_per_session = 200
allow_unknown_volume = true
order_window_after_open_minutes = 0
order_window_before_close_minutes = 0

[mail]
session_mails = []

[database]
commit_after_close_minutes = 1440

[paper]
seed = 7
start = {start}
cash = {{ USDT = "10000" }}
"""

_LADDER = """
[protect]
enabled = true
"""

_TEXTS = {"ib": _IB, "binance": _BINANCE}
_FIRST = {
    "ib": datetime(2017, 3, 1, tzinfo=UTC),
    "binance": datetime(2025, 3, 20, 0, 5, tzinfo=UTC),
}
_DAYS = 60


def run_kills(
    venue: str, count: int, seed: int, workers: int, progress: Callable[[str], object]
) -> KillSummary:
    """Kill runs at a venue ("ib", "binance") in `count` seeds from `seed` on.

    `workers` processes play at once; `progress` gets a line after each seed. The summary has
    `count`, `violations` and `lines()` for people.
    """
    return _run_kills(venue, count, seed, workers, progress, house_of=house_of)


def house_of(venue: str) -> House:
    """Return the sample portfolio of a venue, and the command that runs its hours."""
    from rebalancer.config import load

    folder = _cache()
    config = load(_write(venue, folder, _FIRST[venue], protect=False), {})
    return House(
        venue=venue,
        portfolio=NAME,
        universe=config.universe,
        limits=config.risk,
        starts=_starts(venue, config),
        write=lambda into, start, protect: _write(venue, into, start, protect=protect),
        spec=_spec,
        run=_run,
    )


@cache
def _cache() -> Path:
    """Return a folder of this process: its calendars are compiled once."""
    import atexit
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="rebalancer-house-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _write(venue: str, folder: Path, start: datetime, *, protect: bool) -> Path:
    opening = start - timedelta(minutes=5)
    text = _TEXTS[venue].format(start=f'"{opening:%Y-%m-%dT%H:%M:%SZ}"')
    path = folder / f"{NAME}.toml"
    path.write_text(text + (_LADDER if protect else ""), encoding="utf-8")
    folder.joinpath("rehearsed.py").write_text("", encoding="utf-8")
    calendars = _cache() / "state" / "calendars"
    if folder != _cache() and calendars.is_dir():
        shutil.copytree(calendars, folder / "state" / "calendars", dirs_exist_ok=True)
    return path


def _starts(venue: str, config: Config) -> tuple[datetime, ...]:
    from rebalancer.wiring import sessions_for

    first = _FIRST[venue]
    if venue == "binance":
        return tuple(first + timedelta(hours=5 * number) for number in range(_DAYS))
    sessions = sessions_for(config, first)
    days = sessions.between(first.date(), first.date() + timedelta(days=_DAYS))
    return tuple(
        day.open + timedelta(minutes=15 + 10 * (place % 3))
        for place, day in enumerate(days)
        if not day.half_day
    )


def _spec(path: Path) -> GatewaySpec | BinanceSpec:
    from rebalancer.config import load
    from rebalancer.wiring import binance_spec, ib_gateway_spec, sessions_for

    config = load(path, {})
    if config.at_binance:
        return binance_spec(config)
    return ib_gateway_spec(config, sessions_for(config, config.paper.start))


# -------------------------------------------------------------------------- in a process of its own


def _run(path: Path, slot: datetime, control: Path, wanted: Mapping[str, str]) -> int:
    """Run `rebalancer run` for a slot at a living venue; return its exit code.

    Of the desk only the way to the venue is another, and the owner's strategies.
    """
    from rebalancer.cli import main

    run: Any = import_module("rebalancer.cli.run")
    made = run.desk_for

    def desk_for(config: Config, **more: Any) -> Any:
        from rebalancer.rehearsal.signals import WrittenSignals
        from rebalancer.store.atomic import Files

        desk = made(config, **more)
        broker: Any = desk.broker
        signals = WrittenSignals(config.state_folder / "signals", Files(), wanted)
        passage = _passage(config.at_binance, control)
        return replace(desk, broker=replace(broker, passage=passage), generators=signals)

    run.desk_for = desk_for
    try:
        return main(["run", "--config", str(path), "--at", f"{slot:%Y-%m-%dT%H:%MZ}"])
    finally:
        run.desk_for = made


def _passage(at_binance: bool, control: Path) -> Callable[[Page], AbstractContextManager[Any]]:
    if at_binance:
        from rebalancer.brokers.binance.passage import at_simulator as at_exchange
        from rebalancer.simulators.binance_server.launch import LivingServer

        return at_exchange(lambda: LivingServer(control))
    from rebalancer.brokers.ib.passage import at_simulator
    from rebalancer.rehearsal.kills.venue import HURRY
    from rebalancer.simulators.ib_gateway.launch import LivingGateway

    return at_simulator(lambda: LivingGateway(control, HURRY["ib"]))

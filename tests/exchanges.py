"""Whole hours through the real client library and a simulated Binance that a test can touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rebalancer.brokers.binance.broker import BinanceBroker
from rebalancer.brokers.binance.passage import Passage, SteppedPassage
from rebalancer.config import Config, load
from rebalancer.hourly import hour
from rebalancer.model.records import Mode, RunRecord
from rebalancer.ports import Desk, Page
from rebalancer.simulators.binance_server.faults import HttpFault
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.spec import BinanceSpec
from rebalancer.store.atomic import Files
from rebalancer.wiring import binance_spec, desk_for

COINS = ("ADA", "BCH", "BNB", "BTC", "ETH", "LINK", "LTC", "SOL", "XRP")
FIRST = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)
"""A Thursday, two weeks into the recording and an hour before funding is settled."""


def perpetual(coin: str) -> str:
    """Return the identifier of a perpetual in USDT."""
    return f"{coin}USDT.PERP@BINANCE"


def write_coins(
    folder: Path,
    *,
    name: str = "coins",
    coins: Sequence[str] = ("BTC", "ETH", "SOL"),
    kind: str = "PERP",
    extra: str = "",
    **top: str,
) -> Path:
    """Write a paper portfolio of perpetuals whose one sleeve reads a signal file.

    `extra` is appended to the text: more tables. `top` replaces values; `risk`, `paper`,
    `planning` and `sleeve` are more lines of those tables.
    """
    universe = ", ".join(f'"{coin}USDT.{kind}@BINANCE"' for coin in coins)
    values = {"cash": '{ USDT = "10000" }', "generator": "", "leverage": "2"} | top
    text = f"""
[portfolio]
name = "{name}"
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
leverage_max = {values["leverage"]}
universe = [{universe}]
{values["generator"]}
{values.get("sleeve", "")}

[planning]
leverage_cap = {values["leverage"]}
allow_short = {"true" if kind == "PERP" else "false"}
{values.get("planning", "")}

[risk]
allow_short = {"true" if kind == "PERP" else "false"}
max_order_weight = "1"
max_position_weight = "1"
max_gross_leverage = {values["leverage"]}
max_net_leverage = {values["leverage"]}
max_turnover_per_session = 20
allow_unknown_volume = true
order_window_after_open_minutes = 0
order_window_before_close_minutes = 0
{values.get("risk", "")}

[paper]
transport = "memory"
seed = 7
start = "2025-03-20T15:00:00Z"
cash = {values["cash"]}
{values.get("paper", "")}
"""
    path = folder / f"{name}.toml"
    path.write_text(text + extra, encoding="utf-8")
    return path


@dataclass
class Exchanges:
    """The exchange of a portfolio, new for each run over the same books, and what it was asked.

    `faults` wait on the wire of the next run, `before` is called with the server when it has
    played up to the slot, `changes` are of its spec.
    """

    path: Path
    faults: Sequence[HttpFault] = ()
    before: Callable[[LocalServer], object] = lambda _server: None
    after: Callable[[LocalServer], object] = lambda _server: None
    changes: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Return the portfolio's state folder."""
        return self.config().state_folder

    def config(self) -> Config:
        """Return the portfolio's configuration, read anew."""
        return load(self.path, {})

    def spec(self, *, dry: bool = False) -> BinanceSpec:
        """Return the exchange's spec as the wiring makes it, with this test's changes."""
        return replace(binance_spec(self.config(), dry=dry), **self.changes)

    def desk(self, at: datetime, *, mode: Mode = Mode.PAPER, **settings: Any) -> Desk:
        """Return the real desk, its broker in front of an exchange of ours."""
        desk = desk_for(self.config(), mode=mode, at=at)
        broker = desk.broker
        assert isinstance(broker, BinanceBroker)
        dry = mode is Mode.DRY_RUN

        @contextmanager
        def passage(page: Page) -> Iterator[Passage]:
            server = LocalServer(self.spec(dry=dry), Files())
            try:
                server.open(page.slot, page.attempt)
                self.before(server)
                server.inject(*self.faults)
                yield SteppedPassage(server)
            finally:
                self.after(server)
                server.close()
                self.counts = dict(server.counts())

        settled = replace(broker.settings, **settings)
        return replace(desk, broker=replace(broker, settings=settled, passage=passage))

    def hour(self, at: datetime, *, mode: Mode = Mode.PAPER, **settings: Any) -> RunRecord:
        """Run one hour."""
        self.counts = {}
        return hour(self.desk(at, mode=mode, **settings), at)

"""`rebalancer halt`, a process of its own, in the middle of a run: at each venue, in each style."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rebalancer.hourly import hour
from rebalancer.model.flags import Step
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.ports import Desk, Hands, Venue
from rebalancer.risk import ProtectParameters
from rebalancer.simulators.faults import Fault, FaultKind
from tests.exchanges import FIRST as COIN_FIRST
from tests.exchanges import Exchanges, write_coins
from tests.gateways import Gateways
from tests.integration.hours import EVER, SECOND, TURNED, WANTED
from tests.integration.stopping import Exchange, StoppingBroker, StoppingHands, stopping_hour
from tests.portfolios import FIRST, HOUR, QUIET, World, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")
ROOT = Path(__file__).resolve().parents[2]

PASSIVE = '\n[planning]\nlimit_style = "passive"\nlimit_offset_bps = 0\n'
STYLES = {
    "waves": ("submit", ""),
    "chase": ("replace", "\n[execution]\nrepeg_seconds = 10\nworst_price_bps = 300\n"),
    "replaces": ("replace", "\n[execution]\nreprice_after_seconds = 20\nworst_price_bps = 100\n"),
    "followers": ("cancel", "\n[execution]\ntaker_after_seconds = 20\n"),
}
"""After which message the owner halts, and how orders are worked."""


def halt(config: Path) -> None:
    """Do what the owner does, in a process of its own."""
    subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "halt", "enough", "-c", str(config)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


@dataclass
class Wire:
    """Hands that note every write, and are halted right after the first of a kind."""

    inner: Hands
    config: Path
    after: str
    before: list[str] = field(default_factory=list)
    since: list[str] = field(default_factory=list)
    halted: bool = False

    @property
    def sends(self) -> bool:
        return self.inner.sends

    def __getattr__(self, name: str) -> Any:
        what = getattr(self.inner, name)

        def call(*arguments: Any) -> Any:
            (self.since if self.halted else self.before).append(name)
            answer = what(*arguments)
            if name == self.after and not self.halted:
                halt(self.config)
                self.halted = True
            return answer

        return call


def halted_hour(desk: Desk, slot: datetime, config: Path, after: str) -> tuple[RunRecord, Wire]:
    wires: list[Wire] = []
    hands = desk.hands

    def wired(venue: Venue) -> Any:
        wires.append(Wire(hands(venue), config, after))
        return wires[0]

    record = hour(replace(desk, hands=wired), slot)
    return record, wires[0]


def judge(record: RunRecord, wire: Wire) -> None:
    """Hold a run to what a HALT file in its middle promises."""
    assert wire.halted, "the test shows nothing: it was never halted"
    assert set(wire.since) <= {"cancel"}, wire.since
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert "halt-file" in {flag.code for flag in record.flags}
    # Everything that was sent has an end that is known; steps 8 to 13 were done.
    assert record.orders
    assert all(order.status.terminal for order in record.orders), record.orders
    assert record.reached == Step.SNAPSHOT
    assert record.before is not None and record.after is not None and record.equity is not None
    lost = record.after.net_liquidation - record.before.net_liquidation
    assert record.equity.profit_since_start == lost, "a first run that halts has traded, too"
    held = {p.instrument: p.quantity for p in record.after.positions if p.quantity}
    assert dict(record.positions_expected) == held


def passive_world(folder: Path, style: str, transport: str) -> World:
    extra = ("" if style == "waves" else PASSIVE) + STYLES[style][1] + QUIET
    world = make_world(
        folder, symbols=("AAPL", "JNJ", "KO", "MSFT"), extra=extra, transport=transport
    )
    world.wants(WANTED, FIRST, **EVER)
    return world


HALF = Fault(FaultKind.PARTIAL_ONLY, count=None)


@pytest.mark.parametrize("style", STYLES)
def test_halt_stops_the_next_message_in_process(tmp_path: Path, style: str) -> None:
    world = passive_world(tmp_path, style, "engine")
    desk = world.desk(FIRST, faults=[HALF])
    record, wire = halted_hour(desk, FIRST, world.path, STYLES[style][0])
    judge(record, wire)
    assert not [o for o in world.venue()["orders"] if o["status"] == "working"]
    assert "halt-file" in world.alert(FIRST)


@pytest.mark.parametrize("style", STYLES)
def test_halt_stops_the_next_message_at_interactive_brokers(tmp_path: Path, style: str) -> None:
    gateways = Gateways(passive_world(tmp_path, style, "memory"))
    desk = gateways.desk(FIRST)
    record, wire = halted_hour(desk, FIRST, gateways.world.path, STYLES[style][0])
    judge(record, wire)
    assert gateways.counts["placeOrder"] == sum(
        name in {"submit", "replace", "preview"} for name in wire.before
    )
    assert gateways.violations == 0


@pytest.mark.parametrize("kind", ["PERP", "SPOT"])
@pytest.mark.parametrize("style", ["waves", "chase", "followers"])
def test_halt_stops_the_next_message_at_binance(tmp_path: Path, style: str, kind: str) -> None:
    execution = {
        "waves": "",
        "chase": "\n[execution]\nwindow_seconds = 400\nrepeg_seconds = 30\nworst_price_bps = 300\n",
        "followers": "\n[execution]\nwindow_seconds = 400\ntaker_after_seconds = 30\n",
    }[style]
    planning = "" if style == "waves" else 'order_type = "POST_ONLY"'
    path = write_coins(
        tmp_path, kind=kind, leverage="1", planning=planning, extra=execution + QUIET
    )
    wanted = {f"{coin}USDT.{kind}@BINANCE": "0.3" for coin in ("BTC", "ETH", "SOL")}
    write_signal(tmp_path, wanted, COIN_FIRST, portfolio="coins")
    exchanges = Exchanges(path)
    # On spot a resting order is moved by ending it; another follows.
    after = {"waves": "submit", "chase": "replace", "followers": "cancel"}[style]
    after = "cancel" if kind == "SPOT" and style == "chase" else after
    live: list[str] = []
    exchanges.after = lambda server: live.extend(
        order.reference for order in server.server.exchange.live
    )
    record, wire = halted_hour(exchanges.desk(COIN_FIRST), COIN_FIRST, path, after)
    judge(record, wire)
    assert live == []


def test_what_only_waits_is_called_back_too(tmp_path: Path) -> None:
    """Nothing is to be sent any more: orders rest, and the owner halts while they do."""
    world = make_world(tmp_path, symbols=("AAPL", "JNJ", "KO", "MSFT"), extra=QUIET)
    world.wants(WANTED, FIRST)
    never = Fault(FaultKind.NO_FILL, count=None)
    desk = world.desk(FIRST, faults=[never])
    record, wire = halted_hour_after(
        desk, FIRST, world, lambda wire: wire.before.count("submit") == 3
    )
    judge(record, wire)
    assert wire.since == ["cancel"] * 3
    assert {order.status for order in record.orders} == {OrderStatus.CANCELLED}
    assert {order.status for order in record.cancelled} == {OrderStatus.CANCELLED}
    assert record.after is not None
    # Called back within seconds, not at the end of the window.
    assert record.now.minute == FIRST.minute


def halted_hour_after(
    desk: Desk, slot: datetime, world: World, when: Callable[[Wire], bool]
) -> tuple[RunRecord, Wire]:
    wires: list[Wire] = []

    def wired(venue: Venue) -> Any:
        wires.append(Wire(desk.hands(venue), world.path, "nothing"))
        return wires[0]

    class Books:
        def __getattr__(self, name: str) -> Any:
            return getattr(desk.books, name)

        def note(self, at: Any, line: Any, *, durable: bool) -> None:
            desk.books.note(at, line, durable=durable)
            working = line["kind"] == "order" and line["order"]["status"] == "working"
            if working and wires and when(wires[0]) and not wires[0].halted:
                halt(world.path)
                wires[0].halted = True

    return hour(replace(desk, hands=wired, books=Books()), slot), wires[0]


def test_a_cancel_that_gets_lost_is_left_to_the_next_run(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=("AAPL", "JNJ", "KO", "MSFT"), extra=QUIET)
    world.wants(WANTED, FIRST)
    faults = [Fault(FaultKind.NO_FILL, count=None), Fault(FaultKind.LOST_CANCEL, count=None)]
    desk = world.desk(FIRST, faults=faults)
    record, wire = halted_hour_after(
        desk, FIRST, world, lambda wire: wire.before.count("submit") == 3
    )
    assert wire.since == ["cancel"] * 3
    assert record.exit_code == 3
    assert not any(order.status.terminal for order in record.orders)
    again = world.hour(SECOND)
    assert again.exit_code == 3
    assert {order.status for order in again.cancelled} == {OrderStatus.CANCELLED}
    assert not [o for o in world.venue()["orders"] if o["status"] == "working"]


def test_protective_stops_stay_when_a_run_is_halted(world: World) -> None:
    exchange, protect = Exchange(), ProtectParameters(enabled=True, steps=1)
    stopping_hour(world, FIRST, exchange, protect)
    stops = exchange.waiting()
    assert len(stops) == 3
    world.wants(TURNED, SECOND)
    desk = world.desk(SECOND)
    halts: list[bool] = []

    class Books:
        def __getattr__(self, name: str) -> Any:
            return getattr(desk.books, name)

        def note(self, at: Any, line: Any, *, durable: bool) -> None:
            desk.books.note(at, line, durable=durable)
            if line["kind"] == "sent" and not halts:
                halts.append(True)
                halt(world.path)

    exchange.log.clear()
    record = _stopping(world, desk, Books(), exchange, protect)
    assert halts and record.exit_code == 3
    assert exchange.log == []
    assert exchange.waiting() == stops
    after = stopping_hour(world, SECOND + HOUR, exchange, protect)
    assert after.exit_code == 3
    assert exchange.waiting() == stops


def _stopping(
    world: World, desk: Desk, books: Any, exchange: Exchange, protect: ProtectParameters
) -> RunRecord:
    changed = replace(
        desk,
        books=books,
        broker=StoppingBroker(desk.broker, exchange),
        hands=StoppingHands,  # type: ignore[arg-type]
        protect=protect,
    )
    return hour(changed, SECOND)

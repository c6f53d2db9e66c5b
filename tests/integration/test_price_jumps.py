"""Prices jump by half between the quotes that a plan was made from and its fills."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import RunRecord
from rebalancer.simulators.candles import CandleMarket
from rebalancer.simulators.exchange import Exchange
from rebalancer.simulators.market import RecordedMarket, Touch
from tests import exchanges
from tests.exchanges import Exchanges, perpetual, write_coins
from tests.gateways import Gateways
from tests.integration.hours import EVER, SYMBOLS, WANTED
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, write_signal

D = Decimal
ALWAYS = {"valid_until": "2025-12-31T00:00:00Z"}
CHASE = """
[execution]
window_seconds = 400
repeg_seconds = 30
taker_after_seconds = 200
worst_price_bps = 300
"""


@dataclass
class Jump:
    """All prices times `factor`, from the moment on at which the first order is sent."""

    factor: Decimal
    since: datetime | None = None

    def of(self, price: Decimal, instrument: Instrument, at: datetime) -> Decimal:
        """Return a price as it is after the jump, on its grid."""
        if self.since is None or at < self.since:
            return price
        tick = instrument.rules.price_step(price)
        return (price * self.factor / tick).to_integral_value(ROUND_HALF_UP) * tick


def plant(patch: pytest.MonkeyPatch, factor: str) -> Jump:
    """Let the simulated venues' prices jump when the first order arrives there."""
    jump = Jump(D(factor))
    place, touch = Exchange.place, CandleMarket.touch

    def placed(exchange: Exchange, *words: Any, **more: Any) -> Any:
        jump.since = jump.since or exchange.now
        return place(exchange, *words, **more)

    def touched(market: CandleMarket, instrument: Instrument, at: datetime) -> Touch | None:
        found = touch(market, instrument, at)
        if found is None:
            return None
        bid, ask = (jump.of(price, instrument, at) for price in found[:2])
        return Touch(bid, ask, found.depth)

    def marked(of: Any) -> Any:
        def mark(market: Any, instrument: Instrument, at: datetime) -> Decimal | None:
            found = of(market, instrument, at)
            return None if found is None else jump.of(found, instrument, at)

        return mark

    patch.setattr(Exchange, "place", placed)
    patch.setattr(CandleMarket, "touch", touched)
    for kind in (CandleMarket, RecordedMarket):
        patch.setattr(kind, "mark", marked(kind.mark))
    return jump


def within(record: RunRecord) -> bool:
    """Return whether each order and each fill is within the worst price that was approved."""
    worst = {each.reference: (each.worst_price, each.quantity) for each in record.approved}
    prices = [(fill.reference, fill.price) for fill in record.fills]
    prices += [(each.reference, each.limit) for each in record.orders if each.limit is not None]
    return all((price - worst[name][0]) * worst[name][1] <= 0 for name, price in prices)


def held(record: RunRecord) -> dict[InstrumentId, Decimal]:
    """Return what a run says is held at its end."""
    assert record.after is not None
    return {each.instrument: each.quantity for each in record.after.positions if each.quantity}


def added(*records: RunRecord) -> dict[InstrumentId, Decimal]:
    """Return what the fills of some runs come to, by instrument."""
    found: dict[InstrumentId, Decimal] = {}
    for fill in (fill for record in records for fill in record.fills):
        found[fill.instrument] = found.get(fill.instrument, D(0)) + fill.quantity
    return {name: quantity for name, quantity in found.items() if quantity}


def judge(jump: Jump, first: RunRecord, second: RunRecord) -> None:
    """See that what ran away stayed unfilled and is told, and that the books agree afterwards."""
    assert {each.reference for each in first.orders} == {each.reference for each in first.approved}
    wanted: dict[InstrumentId, Decimal] = {}
    for order in first.approved:  # what follows an order is for its open rest
        wanted.setdefault(order.instrument, order.quantity)
    assert len(wanted) == 3
    for name, quantity in wanted.items():
        refused = any(
            each.instrument == name and each.status is OrderStatus.REJECTED for each in first.orders
        )
        ran_away = (quantity > 0) is (jump.factor > 1)
        assert added(first).get(name, 0) == (0 if refused or ran_away else quantity)
        assert refused is (("order-rejected", name) in {(f.code, f.subject) for f in first.flags})
    assert within(first)
    assert within(second)
    assert held(first) == added(first)
    assert held(second) == added(first, second)
    assert not codes(second) & {"reconciliation-break", "unexplained-cash", "books-adjusted"}


@pytest.mark.parametrize("execution", ["", CHASE], ids=["plain", "chasing"])
@pytest.mark.parametrize("factor", ["1.5", "0.5"])
def test_at_ib_a_jump_costs_no_more_than_was_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: str, execution: str
) -> None:
    jump = plant(monkeypatch, factor)
    world = make_world(tmp_path, symbols=SYMBOLS, extra=execution + QUIET, transport="memory")
    world.wants(WANTED, FIRST, **EVER)
    gateways = Gateways(world)
    first, second = gateways.hour(FIRST), gateways.hour(FIRST + HOUR)
    judge(jump, first, second)
    assert bool(first.fills) is (jump.factor < 1)
    # What is far from the last close is not traded again before somebody has looked.
    assert not second.approved
    assert {each.gate for each in second.refused} == {"collar"}
    left = {each.reference for each in first.orders if not each.status.terminal}
    assert {each.reference for each in second.cancelled} == left
    assert world.holdings() == held(second)
    assert max(world.references().values()) == 1


@pytest.mark.parametrize("execution", ["", CHASE], ids=["plain", "chasing"])
@pytest.mark.parametrize("factor", ["1.5", "0.5"])
def test_at_binance_a_jump_costs_no_more_than_was_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: str, execution: str
) -> None:
    jump = plant(monkeypatch, factor)
    world = Exchanges(write_coins(tmp_path, extra=execution + QUIET))
    wanted = {perpetual("BTC"): "0.4", perpetual("ETH"): "-0.4", perpetual("SOL"): "0.2"}
    write_signal(tmp_path, wanted, exchanges.FIRST, portfolio="coins", **ALWAYS)
    first, second = world.hour(exchanges.FIRST), world.hour(exchanges.FIRST + HOUR)
    judge(jump, first, second)
    assert World(tmp_path, "coins").holdings() == held(second)
    # A day is not over: what is wanted is bought at the prices of now.
    assert {str(each.instrument) for each in second.fills} == {*wanted}

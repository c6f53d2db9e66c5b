"""Money that comes or goes is neither profit nor loss, whenever and in whatever it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli.opened import look_desk, time_of
from rebalancer.ledger import booked_income
from rebalancer.model.income import Income, IncomeKind
from rebalancer.model.records import RunRecord
from rebalancer.ports import Desk
from rebalancer.risk import ProtectParameters
from rebalancer.simulators.binance_server.transfers import Transfer
from rebalancer.working.refresh import refresh_bars
from tests.exchanges import FIRST as COINS_FIRST
from tests.exchanges import Exchanges, perpetual, write_coins
from tests.integration.hours import MINUTE, SECOND, THIRD, add_cash, command
from tests.integration.stopping import Exchange, StoppingBroker, stopping_hour
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")
WANTED = {"AAPL": "0.3", "JNJ": "0.3"}
LOSSES = {"daily-loss", "book-loss", "drawdown", "net-liquidation-jump"}
CASH = {"unexplained-cash", "unexplained-cash-large"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, symbols=("AAPL", "JNJ"), extra=QUIET)


def run(world: World, at: datetime, exchange: Exchange) -> RunRecord:
    world.wants(WANTED, at)
    return stopping_hour(world, at, exchange, ProtectParameters())


def paid(amount: str, at: datetime) -> Income:
    return Income(f"t{amount}", IncomeKind.TRANSFER, "USD", Decimal(amount), at, None, "TRANSFER")


# ------------------------------------------------------------------ an asset apart from the value


@pytest.mark.parametrize(
    ("cash", "amount"),
    [('{ USDT = "10000" }', "1"), ('{ USDT = "10000", BNB = "1" }', "-1")],
    ids=["in", "out"],
)
def test_an_asset_that_the_value_does_not_have_is_no_flow_of_it(
    tmp_path: Path, cash: str, amount: str
) -> None:
    """BNB for fees beside USDT in single-asset mode: 600 USDT of it are no loss of 600 USDT."""
    exchanges = Exchanges(write_coins(tmp_path, cash=cash))
    moved = Transfer(COINS_FIRST + 20 * MINUTE, "BNB", Decimal(amount))
    exchanges.changes["transfers"] = (moved,)
    records = []
    for at in (COINS_FIRST, COINS_FIRST + HOUR, COINS_FIRST + 2 * HOUR):
        write_signal(tmp_path, {perpetual("BTC"): "0.01"}, at, portfolio="coins")
        records.append(exchanges.hour(at))
    for record in records:
        assert not (LOSSES | CASH) & codes(record), record.flags
        assert record.equity is not None
        assert abs(record.equity.profit_since_last) < 10
        assert record.standing is not None
        assert record.standing.session_start_net_liquidation == 10_000
    (line,) = [each for each in records[1].income if each.asset == "BNB"]
    assert (line.kind, line.amount) == (IncomeKind.APART, Decimal(amount))


# ------------------------------------------------------------------ while a run is at work


@pytest.mark.parametrize("amount", ["20000", "-10000"])
def test_money_that_moves_while_the_generators_are_at_work_counts_once(
    world: World, monkeypatch: pytest.MonkeyPatch, amount: str
) -> None:
    exchange = Exchange()

    def slowly(desk: Desk, venue: Any, page: Any) -> Any:
        panel = refresh_bars(desk, venue, page)
        if page.slot == SECOND:
            venue.wait(venue.now() + timedelta(seconds=10))
            _engine(venue).book_cash("USD", Decimal(amount))
            exchange.income.append(paid(amount, venue.now()))
        venue.wait(venue.now() + timedelta(seconds=10))
        return panel

    monkeypatch.setattr("rebalancer.hourly.refresh_bars", slowly)
    records = [run(world, at, exchange) for at in (FIRST, SECOND, THIRD, THIRD + HOUR)]
    for record in records:
        assert not (LOSSES | CASH) & codes(record), record.flags
    standing = world.standing()
    assert standing.start_net_liquidation == 100_000 + Decimal(amount)
    assert standing.session_start_net_liquidation == standing.start_net_liquidation


def _engine(venue: Any) -> Any:
    return next(each for each in vars(venue.paper).values() if hasattr(each, "book_cash"))


# ------------------------------------------------------------------ between a halted run and resume


@pytest.fixture
def resume(monkeypatch: pytest.MonkeyPatch) -> Callable[[World, Exchange], int]:
    """Return `rebalancer resume --all` at a venue that also tells its ledger."""

    def resumed(world: World, exchange: Exchange) -> int:
        def desk(config: Any) -> Desk:
            found = look_desk(config)
            return replace(found, broker=StoppingBroker(found.broker, exchange))

        monkeypatch.setattr("rebalancer.cli.changing.look_desk", desk)
        return command(world, "resume", "--all", "--yes")

    return resumed


@pytest.mark.parametrize("amount", ["20000", "-9000"])
def test_money_that_moved_between_the_halted_run_and_resume_counts_once(
    world: World, resume: Callable[[World, Exchange], int], amount: str
) -> None:
    exchange = Exchange()
    run(world, FIRST, exchange)
    world.change_venue(add_cash("-30000"))
    assert "net-liquidation-jump" in codes(run(world, SECOND, exchange))
    world.change_venue(add_cash(amount))
    exchange.income.append(paid(amount, time_of(world.config())))
    before = len(world.books().entries())
    assert resume(world, exchange) == 0
    assert len(world.books().entries()) == before, "a run books it"
    record = run(world, THIRD, exchange)
    assert not LOSSES & codes(record), record.flags
    assert [each.amount for each in record.income] == [Decimal(amount)]
    start, worth = world.standing().session_start_net_liquidation, record.before
    assert start is not None
    assert worth is not None
    # Only what prices did within the hour lies between them.
    assert abs(worth.net_liquidation - start) < 3000
    assert not LOSSES & codes(run(world, THIRD + HOUR, exchange))


def test_what_comes_after_resume_is_not_in_what_it_accepted(
    world: World, resume: Callable[[World, Exchange], int]
) -> None:
    exchange = Exchange()
    run(world, FIRST, exchange)
    world.change_venue(add_cash("-30000"))
    run(world, SECOND, exchange)
    exchange.income.append(paid("20000", time_of(world.config()) + MINUTE))
    assert resume(world, exchange) == 0
    world.change_venue(add_cash("20000"))
    record = run(world, THIRD, exchange)
    assert not LOSSES & codes(record), record.flags


def test_what_a_run_has_booked_already_is_not_counted_again_by_resume(
    world: World, resume: Callable[[World, Exchange], int]
) -> None:
    exchange = Exchange()
    run(world, FIRST, exchange)
    world.change_venue(add_cash("-10000"))
    exchange.income.append(paid("20000", FIRST + 20 * MINUTE))  # 30,000 are lost
    record = run(world, SECOND, exchange)
    assert len(booked_income(world.books().entries())) == 1
    assert "net-liquidation-jump" in codes(record)
    assert resume(world, exchange) == 0
    assert not LOSSES & codes(run(world, THIRD, exchange))

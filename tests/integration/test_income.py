"""Whole hours at a venue that books money by itself: profit, funding, transfers."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.ledger import booked_income
from rebalancer.model.income import Income, IncomeKind
from rebalancer.model.records import EntryKind, RunRecord
from rebalancer.reports.summary import lead_text, run_lead
from rebalancer.risk import ProtectParameters, clear, moved_since
from rebalancer.working.income import flows_since_accepted
from tests.integration.hours import AAPL, MINUTE, SECOND, THIRD, add_cash
from tests.integration.stopping import Exchange, stopping_hour
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world

pytestmark = pytest.mark.usefixtures("quick")
OFF = ProtectParameters()
WANTED = {"AAPL": "0.3", "JNJ": "0.3"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path, symbols=("AAPL", "JNJ"), extra=QUIET)
    made.wants(WANTED, FIRST)
    return made


def told(kind: IncomeKind, amount: str, at: datetime, asset: str = "USD") -> Income:
    name = None if kind is IncomeKind.TRANSFER else AAPL
    return Income(f"{at:%H%M}|{kind}|{amount}", kind, asset, Decimal(amount), at, name, kind.value)


def run(world: World, at: datetime, exchange: Exchange) -> RunRecord:
    world.wants(WANTED, at)
    return stopping_hour(world, at, exchange, OFF)


def lines(world: World) -> list[Income]:
    return list(booked_income(world.books().entries()))


def test_funding_is_booked_once_and_explains_the_cash(world: World) -> None:
    exchange = Exchange()
    run(world, FIRST, exchange)
    world.change_venue(add_cash("-12.5"))
    paid = told(IncomeKind.FUNDING, "-12.5", FIRST + 20 * MINUTE)
    exchange.income.append(paid)
    record = run(world, SECOND, exchange)
    assert "unexplained-cash" not in codes(record)
    assert [(each.kind, each.amount) for each in record.income] == [(paid.kind, paid.amount)]
    third = run(world, THIRD, exchange)
    assert third.income == ()
    assert len(lines(world)) == 1
    assert "unexplained-cash" not in codes(third)


def test_without_the_line_the_same_money_is_unexplained(world: World) -> None:
    exchange = Exchange()
    run(world, FIRST, exchange)
    world.change_venue(add_cash("-12.5"))
    assert "unexplained-cash" in codes(run(world, SECOND, exchange))


def test_what_was_booked_before_the_first_run_or_after_the_look_is_left_out(world: World) -> None:
    exchange = Exchange()
    early = told(IncomeKind.FUNDING, "-3", FIRST - 5 * MINUTE)
    late = told(IncomeKind.FUNDING, "-4", FIRST + 30 * MINUTE)
    exchange.income += [early, late]
    assert run(world, FIRST, exchange).income == ()
    # the venue has moved the money by then
    world.change_venue(add_cash("-4"))
    record = run(world, SECOND, exchange)
    assert [each.id for each in record.income] == [late.id]
    assert "unexplained-cash" not in codes(record)


def test_profit_realised_in_the_run_is_booked_by_the_run(world: World) -> None:
    exchange = Exchange()
    gain = told(IncomeKind.REALISED, "7", FIRST + timedelta(seconds=3))
    exchange.income.append(gain)
    record = run(world, FIRST, exchange)
    assert [each.id for each in record.income] == [gain.id]
    text = " ".join(each.text for each in run_lead(record))
    assert "Realised profit: +7.00 USD." in text
    assert "Commissions:" in text


def test_commissions_are_not_booked_twice(world: World) -> None:
    exchange = Exchange()
    exchange.income.append(told(IncomeKind.COMMISSION, "-1", FIRST + timedelta(seconds=3)))
    assert run(world, FIRST, exchange).income == ()
    assert lines(world) == []


def test_a_deposit_is_no_jump_and_no_profit(world: World) -> None:
    exchange = Exchange()
    first = run(world, FIRST, exchange)
    # 50,000 on 100,000 is far beyond the 15 % that net liquidation may jump
    world.change_venue(add_cash("50000"))
    exchange.income.append(told(IncomeKind.TRANSFER, "50000", FIRST + 20 * MINUTE))
    record = run(world, SECOND, exchange)
    assert not {"net-liquidation-jump", "unexplained-cash"} & codes(record)
    assert record.exit_code == 0
    assert first.equity is not None
    assert record.equity is not None
    grown = record.equity.net_liquidation - first.equity.net_liquidation
    assert record.equity.profit_since_last == grown - 50000
    assert record.standing is not None
    assert record.standing.high_water_mark is not None
    assert record.standing.high_water_mark > 149000
    again = run(world, THIRD, exchange)
    assert again.equity is not None
    assert again.equity.profit_since_last == (
        again.equity.net_liquidation - record.equity.net_liquidation
    )


def test_a_deposit_that_nobody_tells_of_is_a_jump(world: World) -> None:
    exchange = Exchange()
    run(world, FIRST, exchange)
    world.change_venue(add_cash("50000"))
    assert "net-liquidation-jump" in codes(run(world, SECOND, exchange))


def test_a_jump_that_was_a_deposit_is_resumed_once_and_for_all(world: World) -> None:
    """The venue tells of it later: it is in what was accepted, and must not be added again."""
    exchange = Exchange()
    run(world, FIRST, exchange)
    world.change_venue(add_cash("50000"))
    assert "net-liquidation-jump" in codes(run(world, SECOND, exchange))
    exchange.income.append(told(IncomeKind.TRANSFER, "50000", FIRST + 20 * MINUTE))
    record = run(world, THIRD, exchange)
    assert record.before is not None
    standing, account = world.standing(), record.before
    flows = flows_since_accepted(world.books().entries(), standing, account)
    moved = moved_since(standing, account, flows)
    assert moved == 50000
    cleared, words = clear(standing, ["all"], account, account.at, moved=moved)
    assert cleared.accepted_net_liquidation == account.net_liquidation - 50000
    assert f"{account.net_liquidation:,.0f} USD is accepted" in words[0]
    world.books().save_standing(cleared)
    fourth = run(world, THIRD + HOUR, exchange)
    assert not {"net-liquidation-jump", "drawdown", "daily-loss"} & codes(fourth)
    assert fourth.exit_code == 0


def test_income_is_no_trade(world: World) -> None:
    exchange = Exchange()
    exchange.income.append(told(IncomeKind.FUNDING, "-2", FIRST + timedelta(seconds=3)))
    record = run(world, FIRST, exchange)
    kinds = [entry.kind for entry in world.books().entries()]
    assert kinds.count(EntryKind.INCOME) == 1
    assert len(world.rows("trades.csv")) == len(record.fills)
    assert "Funding: -2.00 USD." in " ".join(each.text for each in run_lead(record))
    assert lead_text(record)
    assert record.positions_expected == world.books().last_record().positions_expected  # type: ignore[union-attr]
    assert set(record.positions_expected) == {name for name in world.holdings()}


def test_a_run_that_died_after_booking_books_it_no_second_time(world: World) -> None:
    exchange = Exchange()
    run(world, FIRST, exchange)
    world.change_venue(add_cash("-12.5"))
    exchange.income.append(told(IncomeKind.FUNDING, "-12.5", FIRST + 20 * MINUTE))
    world.wants(WANTED, SECOND)
    died = stopping_hour(world, SECOND, exchange, OFF, late=_after(5))
    assert died.exit_code != 0
    record = run(world, THIRD, exchange)
    assert len(lines(world)) == 1
    assert "unexplained-cash" not in codes(record)


def _after(calls: int) -> object:
    """Return a deadline that is over at the n-th question."""
    left = [calls]

    def late() -> bool:
        left[0] -= 1
        return left[0] < 0

    return late

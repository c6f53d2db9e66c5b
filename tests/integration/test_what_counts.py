"""What a run takes into account, and what it must not: refused plans, unsent orders, no margin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.hourly import hour
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import TradingState
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Mode, RunRecord
from rebalancer.simulators.faults import Fault, FaultKind
from tests.gateways import Gateways
from tests.integration.hours import AAPL, EVER, KO, SECOND, SYMBOLS, THIRD, message
from tests.integration.test_bad_accounts import bent_hour
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, stock

FEW = ("AAPL", "JNJ", "KO")
NEXT_DAY = FIRST + timedelta(days=1)


def gates(record: RunRecord) -> set[str]:
    return {each.gate for each in record.refused}


# ---------------------------------------------------------------- plans that were never sent


def odd_world(folder: Path, **more: Any) -> World:
    risk = 'turnover_history = 2\nturnover_factor = 2\nturnover_floor = "0.3"\n'
    return make_world(folder, symbols=FEW, extra=QUIET, risk=risk + more.pop("risk", ""), **more)


def test_plans_that_the_gates_refuse_do_not_become_the_usual_ones(tmp_path: Path) -> None:
    world = odd_world(tmp_path, risk="max_order_notional = 15000\n")
    for number, wanted in enumerate(("0.1", "0.2")):
        world.wants({"AAPL": wanted}, FIRST + number * HOUR)
        assert world.hour(FIRST + number * HOUR).fills
    remembered = dict(world.standing().wanted_turnover)
    assert len(remembered) == 2
    for number in range(3):  # 28 %, refused each hour
        at = NEXT_DAY + number * HOUR
        world.wants({"AAPL": "0.2", "KO": "0.28"}, at)
        assert gates(world.hour(at)) == {"size"}
    assert world.standing().wanted_turnover == remembered
    at = NEXT_DAY + 3 * HOUR
    world.wants({"AAPL": "0.2", "KO": "0.5"}, at)  # twice the usual 10 % is below the floor
    assert "turnover-odd" in codes(world.hour(at))


def test_of_a_plan_only_what_the_venue_took_is_remembered(tmp_path: Path) -> None:
    world = odd_world(tmp_path)
    world.wants({"AAPL": "0.1", "KO": "0.2"}, FIRST)
    refused = Fault(FaultKind.REJECT, subject=KO, count=None)
    record = world.hour(FIRST, faults=[refused])
    assert len(record.approved) == 2
    (share,) = world.standing().wanted_turnover.values()
    assert Decimal("0.08") < share < Decimal("0.12")


def test_a_dry_run_remembers_what_its_gates_let_pass(tmp_path: Path) -> None:
    world = odd_world(tmp_path)
    world.wants({"AAPL": "0.1"}, FIRST)
    world.hour(FIRST)
    world.wants({"AAPL": "0.1", "KO": "0.2"}, SECOND)
    desk = world.desk(SECOND, mode=Mode.DRY_RUN)
    hour(desk, SECOND)
    standing = desk.books.standing()
    assert Decimal("0.15") < standing.wanted_turnover[SECOND.isoformat()] < Decimal("0.25")
    assert standing.orders_in_session == world.standing().orders_in_session  # nothing was sent


def test_an_unused_word_of_the_owner_ends_with_its_session(tmp_path: Path) -> None:
    world = odd_world(tmp_path)
    for number, wanted in enumerate(("0.1", "0.2")):
        world.wants({"AAPL": wanted}, FIRST + number * HOUR)
        world.hour(FIRST + number * HOUR)
    said = replace(world.standing(), turnover_allowed=Decimal(1), turnover_allowed_in=None)
    world.books().save_standing(said)
    world.hour(FIRST + 2 * HOUR)  # nothing large is wanted in this session
    assert world.standing().turnover_allowed == 1
    world.wants({"AAPL": "0.2", "KO": "0.7"}, NEXT_DAY)
    record = world.hour(NEXT_DAY)
    assert "turnover-odd" in codes(record)
    assert record.orders == ()
    assert world.standing().turnover_allowed is None


# ---------------------------------------------------------------- orders that never left


def test_orders_of_a_wave_that_was_stopped_before_them_are_no_orders(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    world.wants({"AAPL": "0.3", "JNJ": "0.3", "KO": "0.3"}, FIRST)
    every = [Fault(FaultKind.REJECT, subject=stock(name), count=None) for name in FEW]
    halt = world.state / "HALT"

    def stop_after_the_first() -> bool:
        if halt.exists() or not (world.run_folder(FIRST) / "journal.jsonl").exists():
            return False
        if any(line["kind"] == "sent" for line in world.journal(FIRST)):
            halt.write_text("enough", encoding="utf-8")
        return False

    record = world.hour(FIRST, faults=every, late=stop_after_the_first)
    told = sorted(order.status for order in record.orders)
    assert told.count(OrderStatus.NOT_SENT) == len(told) - told.count(OrderStatus.REJECTED)
    assert 0 < told.count(OrderStatus.REJECTED) < len(FEW)
    (tally,) = world.standing().recent_orders
    assert tally.orders == tally.rejected == told.count(OrderStatus.REJECTED)
    assert world.standing().orders_in_session == tally.orders


# ---------------------------------------------------------------- a margin that nobody tells


def without(**fields: Any) -> Callable[[AccountSnapshot], AccountSnapshot]:
    return lambda account: replace(account, **fields)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ({"excess_liquidity": None}, "does not tell excess liquidity of this account"),
        ({"excess_liquidity": Decimal("NaN")}, "does not tell excess liquidity of this account"),
        ({"initial_margin": None}, "does not tell initial margin of this account"),
        (
            {"excess_liquidity": None, "initial_margin": Decimal("NaN")},
            "does not tell excess liquidity and initial margin of this account",
        ),
    ],
)
def test_a_margin_account_that_does_not_tell_its_margin_only_reduces(
    tmp_path: Path, missing: dict[str, Any], words: str
) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    world.wants({"AAPL": "0.5"}, FIRST)
    world.hour(FIRST)
    world.wants({"AAPL": "0.2", "KO": "0.2"}, SECOND)
    record = bent_hour(world, SECOND, without(**missing))
    assert words in message(record, "margin-thin")
    assert {fill.instrument for fill in record.fills} == {AAPL}
    assert {each.intent.instrument for each in record.refused} == {KO}
    assert world.standing().state is TradingState.REDUCING
    world.wants({"AAPL": "0.2", "KO": "0.2"}, THIRD)
    told = world.hour(THIRD)  # and it is over when the venue tells it again
    assert {fill.instrument for fill in told.fills} == {KO}
    assert world.standing().state is TradingState.ACTIVE


def test_a_cash_account_has_no_margin_to_tell_and_trades(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET, paper="cash_account = true")
    world.wants({"AAPL": "0.5"}, FIRST)
    record = bent_hour(world, FIRST, without(excess_liquidity=None))
    assert "margin-thin" not in codes(record)
    assert {fill.instrument for fill in record.fills} == {AAPL}


# ---------------------------------------------------------------- delayed prices


@pytest.mark.parametrize("allowed", [True, False])
def test_delayed_quotes_trade_if_and_only_if_the_owner_allows_them(
    tmp_path: Path, allowed: bool
) -> None:
    risk = f"allow_delayed_quotes = {str(allowed).lower()}\nquote_max_age_seconds = 1200"
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="memory", risk=risk)
    world.wants({"AAPL": "0.3", "KO": "0.3"}, FIRST, **EVER)
    record = Gateways(world, changes={"market_data": "delayed"}).hour(FIRST)
    if allowed:
        # At prices of a quarter of an hour ago they may have to wait.
        assert {order.instrument for order in record.orders} == {AAPL, KO}
        alive = {OrderStatus.WORKING, OrderStatus.FILLED}
        assert {order.status for order in record.orders} <= alive
        assert codes(record) == set()
    else:
        assert record.orders == ()
        assert {"price-missing", "data-missing"} <= codes(record)


# ---------------------------------------------------------------- small universes


def test_a_universe_of_two_without_any_price_is_halted(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW[:2], extra=QUIET)
    world.wants({"AAPL": "0.3"}, FIRST)
    none = [Fault(FaultKind.MISSING_QUOTE, subject=stock(name), count=None) for name in FEW[:2]]
    record = world.hour(FIRST, faults=none)
    assert {"price-missing", "data-missing"} <= codes(record)
    assert world.standing().state is TradingState.HALTED
    assert world.hour(SECOND).fills  # over with the prices

"""Whole hours at Binance: the real client library, the simulated exchange, in one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, parse_reference
from rebalancer.model.records import Mode, Outcome, RunRecord
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.symbol_changes import SymbolChange, delisted, halted
from tests.exchanges import FIRST, Exchanges, perpetual, write_coins
from tests.portfolios import HOUR, write_signal

D = Decimal
BTC, ETH, SOL = (InstrumentId(perpetual(coin)) for coin in ("BTC", "ETH", "SOL"))
NEUTRAL = {BTC: "0.4", ETH: "-0.4", SOL: "0.2"}
WRITES = ("POST", "PUT", "DELETE")


def wish(world: Exchanges, weights: Mapping[InstrumentId, str], at: datetime) -> None:
    """Write the sleeve's signal."""
    plain = {str(name): weight for name, weight in weights.items()}
    write_signal(world.path.parent, plain, at, portfolio="coins")


def positions(server: LocalServer) -> dict[str, Decimal]:
    """Return what the exchange's own books hold."""
    holdings = server.server.exchange.account.holdings
    return {name: each.quantity for name, each in sorted(holdings.items()) if each.quantity}


def codes(record: RunRecord) -> list[str]:
    """Return the codes of a run's flags, without plain notes of every run."""
    return [flag.code for flag in record.flags]


@pytest.fixture
def world(tmp_path: Path) -> Exchanges:
    """Return a portfolio of three perpetuals that wants a market-neutral book."""
    found = Exchanges(write_coins(tmp_path))
    wish(found, NEUTRAL, FIRST)
    return found


def test_an_hour_carries_the_account_to_its_targets(world: Exchanges) -> None:
    record = world.hour(FIRST)
    assert record.outcome is Outcome.FINISHED, record.flags
    assert record.exit_code == 0
    assert {order.instrument for order in record.approved} == {BTC, ETH, SOL}
    assert record.after is not None
    worth = {p.instrument: p.value for p in record.after.positions}
    for name, weight in NEUTRAL.items():
        value = worth[name]
        assert value is not None
        # Lots and the band's edge leave it within a tenth of its weight.
        assert abs(value / D(10_000) - D(weight)) < D("0.045")
    net = record.after.net_liquidation
    assert D(9_980) < net < D(10_020)


def test_an_hour_later_there_is_nothing_to_do(world: Exchanges) -> None:
    first = world.hour(FIRST)
    wish(world, NEUTRAL, FIRST + HOUR)
    second = world.hour(FIRST + HOUR)
    assert second.outcome is Outcome.FINISHED, second.flags
    # Prices have moved for an hour: what left its band is brought back to the band's edge.
    assert sum(order.intent.notional for order in second.approved) < 500
    assert len(first.fills) >= 3
    assert "reconciliation-break" not in codes(second)
    assert "unexplained-cash" not in codes(second), second.flags


def test_a_dry_run_sends_no_signed_write(world: Exchanges) -> None:
    record = world.hour(FIRST, mode=Mode.DRY_RUN)
    assert {line.action.value for line in record.lines} == {"BUY", "SELL"}
    assert {each.status for each in record.orders} == {OrderStatus.NOT_SENT}
    assert not [name for name in world.counts if name.split()[0] in WRITES]
    assert world.counts, "it has read"


def references(world: Exchanges) -> Counter[str]:
    """Return how often each order reference of ours is in the exchange's books."""
    found: Counter[str] = Counter()

    def note(server: LocalServer) -> None:
        for order in server.server.exchange.account.orders:
            if parse_reference(order.reference, "coins"):
                found[order.reference] += 1

    world.after = note
    return found


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (Do.TIMEOUT_AFTER, {}),
        (Do.CUT_AFTER, {}),
        (Do.STATUS_AFTER, {"status": 503, "code": -1007}),
        (Do.STATUS_AFTER, {"status": 503, "code": -1006}),
        (Do.TRUNCATE, {}),
        (Do.HTML_AFTER, {"status": 502}),
    ],
)
def test_an_order_whose_answer_is_lost_is_found_and_never_sent_twice(
    world: Exchanges, do: Do, words: dict[str, Any]
) -> None:
    sent = references(world)
    world.faults = (HttpFault("POST /fapi/v1/order", do, nth=2, **words),)
    record = world.hour(FIRST)
    assert set(sent.values()) == {1}
    assert len(sent) == 3
    world.faults = ()
    wish(world, NEUTRAL, FIRST + HOUR)
    again = world.hour(FIRST + HOUR)
    assert again.outcome is Outcome.FINISHED, again.flags
    assert set(sent.values()) <= {1, 2}  # the same orders, seen in two runs' books
    assert "reconciliation-break" not in codes(again)
    assert record.exit_code in (0, 5)


@pytest.mark.parametrize("do", [Do.TIMEOUT_BEFORE, Do.CUT_BEFORE])
def test_an_order_that_never_arrived_is_proved_absent_and_planned_anew(
    world: Exchanges, do: Do
) -> None:
    sent = references(world)
    world.faults = (HttpFault("POST /fapi/v1/order", do, nth=2),)
    world.hour(FIRST)
    assert len(sent) == 2
    world.faults = ()
    wish(world, NEUTRAL, FIRST + HOUR)
    world.hour(FIRST + HOUR)
    wish(world, NEUTRAL, FIRST + 2 * HOUR)
    record = world.hour(FIRST + 2 * HOUR)
    assert record.outcome is Outcome.FINISHED, record.flags
    assert record.after is not None
    assert {p.instrument for p in record.after.positions if p.quantity} == {BTC, ETH, SOL}


def test_a_clock_that_is_off_is_measured(world: Exchanges) -> None:
    world.faults = (HttpFault("POST /fapi/v1/order", Do.SKEW, seconds=4.0),)
    record = world.hour(FIRST)
    assert record.outcome is Outcome.FINISHED, record.flags
    assert len(record.fills) >= 3


def test_an_exchange_that_has_banned_us_ends_the_run(world: Exchanges) -> None:
    world.faults = (HttpFault("GET /fapi/v1/klines|GET /fapi/v3/account", Do.BAN, seconds=600),)
    record = world.hour(FIRST)
    assert record.exit_code == 4
    assert not record.approved


def test_maintenance_is_an_exchange_that_is_not_there(world: Exchanges) -> None:
    world.faults = (HttpFault("", Do.MAINTENANCE),)
    record = world.hour(FIRST)
    assert record.exit_code == 4
    assert "cannot-connect" in codes(record) or "blind" in codes(record)


def test_another_account_is_never_traded(world: Exchanges) -> None:
    world.faults = (HttpFault("", Do.WRONG_ACCOUNT, message="123"),)
    record = world.hour(FIRST)
    assert record.exit_code == 4
    assert not [name for name in world.counts if name.split()[0] in WRITES]


def test_hedge_mode_is_refused_with_the_way_out(world: Exchanges) -> None:
    world.changes = {"hedge": True}
    record = world.hour(FIRST)
    assert record.exit_code in (3, 4)
    assert not record.approved
    assert any("one-way" in flag.message.lower() for flag in record.flags), record.flags


def test_a_perpetual_that_is_delisted_is_left_from_the_first_run_that_sees_it(
    world: Exchanges,
) -> None:
    world.hour(FIRST)
    later = FIRST + HOUR
    world.changes = {"changes": delisted("SOLUSDT", FIRST + HOUR / 2, FIRST + timedelta(days=3))}
    wish(world, NEUTRAL, later)
    record = world.hour(later)
    assert record.outcome is Outcome.FINISHED, record.flags
    assert "instrument-leaving" in codes(record)
    assert record.after is not None
    assert record.after.quantity(SOL) == 0
    assert all(order.reduce_only for order in record.approved if order.instrument == SOL)


def test_a_halted_symbol_is_held_and_the_others_trade(world: Exchanges) -> None:
    world.changes = {"changes": halted("SOLUSDT", FIRST - HOUR / 4, FIRST + 5 * HOUR)}
    record = world.hour(FIRST)
    assert {order.instrument for order in record.approved} == {BTC, ETH}
    assert record.after is not None
    assert record.after.quantity(SOL) == 0


def test_filters_that_change_between_two_runs_are_those_of_the_second(world: Exchanges) -> None:
    world.hour(FIRST)
    later = FIRST + HOUR
    world.changes = {
        "changes": (SymbolChange(at=FIRST + HOUR / 2, symbol="SOLUSDT", step=D(1), tick=D("0.1")),)
    }
    wish(world, NEUTRAL | {SOL: "0.35"}, later)
    record = world.hour(later)
    orders = [order for order in record.approved if order.instrument == SOL]
    assert orders and all(order.quantity % 1 == 0 for order in orders)
    assert not [each for each in record.orders if each.status is OrderStatus.REJECTED]


def test_funding_is_income_and_not_a_riddle(world: Exchanges) -> None:
    world.hour(FIRST)  # 15:05; funding is settled at 16:00
    at = FIRST + HOUR
    wish(world, NEUTRAL, at)
    record = world.hour(at)
    books = (world.folder / "fills.jsonl").read_text(encoding="utf-8")
    assert "funding" in books
    assert "unexplained-cash" not in codes(record), record.flags
    assert "unexplained-cash-large" not in codes(record)


def test_a_symbol_listed_yesterday_waits_until_it_has_a_history(tmp_path: Path) -> None:
    generator = tmp_path / "even.py"
    generator.write_text(
        "from rebalancer.model.signals import TargetWeights\n"
        "def generate(context):\n"
        "    return TargetWeights({name: 0.2 for name in context.universe})\n",
        encoding="utf-8",
    )
    world = Exchanges(
        write_coins(
            tmp_path,
            generator='generator = "even.py"\nbars = "hour"\nhistory_bars = 48',
        )
    )
    listed = SymbolChange(at=FIRST - timedelta(hours=20), symbol="SOLUSDT", listed=True)
    world.changes = {"changes": (listed,)}
    record = world.hour(FIRST)
    assert {order.instrument for order in record.approved} == {BTC, ETH}
    assert [f.subject for f in record.flags if f.code == "history-gap"] == [SOL]


def test_five_hundred_perpetuals_cost_what_was_promised(tmp_path: Path) -> None:
    """Cold under 1,500 weight, warm under 700, counted by the exchange."""
    weights: list[int] = []
    base = Exchanges(write_coins(tmp_path, coins=("BTC",)))
    base.changes = {"crowd": 491, "latency_seconds": 0.002}
    names: list[str] = []

    def list_all(server: LocalServer) -> None:
        now = server.now()
        names.extend(each.symbol for each in server.server.symbols.listed("usdm", now))

    base.before = list_all
    base.hour(FIRST)
    coins = sorted({name.removesuffix("USDT") for name in names if name.endswith("USDT")})
    assert len(coins) == 500
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "flat.py").write_text(
        "from rebalancer.model.signals import TargetWeights\n"
        "def generate(context):\n"
        "    return TargetWeights({name: 0.0 for name in context.universe})\n",
        encoding="utf-8",
    )
    world = Exchanges(
        write_coins(
            tmp_path / "big",
            coins=coins,
            generator='generator = "flat.py"\nbars = "hour"\nhistory_bars = 300',
        )
    )
    world.changes = base.changes

    def weigh(server: LocalServer) -> None:
        weights.append(server.used_weight()["usdm"])

    world.after = weigh
    for hours in range(3):
        record = world.hour(FIRST + hours * HOUR)
        assert record.exit_code == 0, record.flags
    assert weights[0] < 1_500
    assert max(weights[1:]) < 700


OUTAGE = datetime(2020, 6, 28, 6, 5, tzinfo=UTC)
"""An hour after the exchange's three hours without any trade."""


def test_the_real_outage_of_june_2020_holds_and_ends(tmp_path: Path) -> None:
    generator = tmp_path / "half.py"
    generator.write_text(
        "from rebalancer.model.signals import TargetWeights\n"
        "def generate(context):\n"
        "    return TargetWeights({name: 0.5 for name in context.universe})\n",
        encoding="utf-8",
    )
    world = Exchanges(
        write_coins(
            tmp_path,
            coins=("BTC",),
            kind="SPOT",
            leverage="1",
            generator='generator = "half.py"\nbars = "hour"\nhistory_bars = 24',
            paper='recording = "binance_spot_2020"',
        )
    )
    path = world.path
    path.write_text(
        path.read_text(encoding="utf-8").replace("2025-03-20T15:00", "2020-06-28T01:00"),
        encoding="utf-8",
    )
    during = world.hour(datetime(2020, 6, 28, 3, 5, tzinfo=UTC))
    assert "not-trading" in codes(during), during.flags
    assert not during.fills
    first = world.hour(OUTAGE - HOUR)
    assert "history-stale" in codes(first)
    assert not first.fills
    after = world.hour(OUTAGE)
    # The three hours never were: no symbol has them, so they are no gap in anybody's history.
    assert "history-gap" not in codes(after)
    assert after.fills, after.flags


def test_a_liquidation_halts_until_somebody_has_looked(world: Exchanges) -> None:
    world.hour(FIRST)

    def ruin(server: LocalServer) -> None:
        """Take the money away between two runs; the exchange closes what is held."""
        exchange = server._steering.server.exchange
        exchange.book_cash("USDT", D(-9_950))
        exchange.play_to(exchange.now + timedelta(minutes=5))

    world.after = ruin
    world.hour(FIRST + HOUR)
    world.after = lambda _server: None
    at = FIRST + 2 * HOUR
    wish(world, NEUTRAL, at)
    record = world.hour(at)
    assert "liquidated" in codes(record), record.flags
    assert record.exit_code == 3
    assert not record.orders

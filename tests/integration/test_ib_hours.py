"""Whole hours through ib_insync or ib_async and the simulated gateway."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.cli import main
from rebalancer.model.flags import TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Mode, RunRecord
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.orders_by_hand import liquidate, order_by_hand
from tests.gateways import Gateways
from tests.integration.hours import AAPL, EVER, JNJ, KO, SYMBOLS, WANTED
from tests.portfolios import FIRST, HOUR, QUIET, codes, make_world

ORDERS = ("placeOrder", "cancelOrder", "reqGlobalCancel")


@pytest.fixture
def gateways(tmp_path: Path) -> Gateways:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="memory")
    world.wants(WANTED, FIRST, **EVER)
    return Gateways(world)


def traded(record: RunRecord) -> dict[InstrumentId, Decimal]:
    return {fill.instrument: fill.quantity for fill in record.fills}


def test_an_hour_through_the_client_decides_and_trades_as_one_without(
    gateways: Gateways, tmp_path: Path
) -> None:
    (tmp_path / "plain").mkdir()
    plain = make_world(tmp_path / "plain", symbols=SYMBOLS, extra=QUIET)
    plain.wants(WANTED, FIRST, **EVER)
    record, other = gateways.hour(FIRST), plain.hour(FIRST)
    assert record.exit_code == other.exit_code == 0
    assert traded(record) == traded(other)
    assert gateways.world.rows("runs/2020-03-02T1505Z/orders.csv") == plain.rows(
        "runs/2020-03-02T1505Z/orders.csv"
    )
    assert gateways.world.holdings() == plain.holdings()
    assert gateways.violations == 0


def test_the_next_hour_goes_on_where_the_last_one_ended(gateways: Gateways) -> None:
    first = gateways.hour(FIRST)
    second = gateways.hour(FIRST + HOUR)
    assert first.fills
    assert second.exit_code == 0
    assert not second.fills
    assert max(gateways.world.references().values()) == 1


def test_a_dry_run_sends_no_order_frame_at_all(gateways: Gateways) -> None:
    gateways.hour(FIRST)
    gateways.world.wants({"KO": "0.9"}, FIRST + HOUR, **EVER)
    before = gateways.world.venue()
    record = gateways.hour(FIRST + HOUR, mode=Mode.DRY_RUN)
    assert record.exit_code == 0
    assert [o.status for o in record.orders] and {o.status for o in record.orders} == {
        OrderStatus.NOT_SENT
    }
    assert gateways.counts["reqMktData"] == len(SYMBOLS)
    assert not set(ORDERS) & gateways.counts.keys()
    assert not any(name in frame for frame in gateways.frames for name in ORDERS)
    assert gateways.world.venue() == before


def test_a_gateway_with_a_read_only_api_still_serves_a_dry_run(gateways: Gateways) -> None:
    gateways.changes["read_only_api"] = True
    record = gateways.hour(FIRST, mode=Mode.DRY_RUN)
    assert record.exit_code == 0
    assert "orders-unknown" in codes(record)
    assert record.approved


def test_a_gateway_with_a_read_only_api_ends_a_run_that_would_send(gateways: Gateways) -> None:
    gateways.changes["read_only_api"] = True
    record = gateways.hour(FIRST)
    assert record.exit_code == 4
    assert "Read-Only API" in gateways.world.alert(FIRST)
    assert gateways.world.references() == {}


def test_a_position_that_the_venue_closed_stops_everything_until_the_owner_looked(
    gateways: Gateways, capsys: pytest.CaptureFixture[str]
) -> None:
    gateways.hour(FIRST)

    def margin_call(local: LocalGateway) -> None:
        liquidate(local.gateway, KO, Decimal(-10))
        local.advance(local.now() + timedelta(seconds=5))

    gateways.before = margin_call
    at = FIRST + HOUR
    record = gateways.hour(at)
    assert record.exit_code == 3
    assert "liquidated" in codes(record)
    assert record.standing is not None
    assert record.standing.state is TradingState.HALTED
    assert "closes positions for want of margin" in gateways.world.alert(at)
    gateways.before = lambda _: None
    assert gateways.hour(at + HOUR).exit_code == 3
    assert not gateways.counts.get("placeOrder")
    config = str(gateways.world.path)
    assert main(["resume", "liquidated", "--config", config, "--yes"]) == 0
    assert gateways.hour(at + 2 * HOUR).exit_code == 0


def test_trades_by_hand_are_told_and_booked(gateways: Gateways) -> None:
    gateways.hour(FIRST)

    def by_hand(local: LocalGateway) -> None:
        order_by_hand(local.gateway, KO, Decimal(3))
        local.advance(local.now() + timedelta(seconds=5))

    gateways.before = by_hand
    record = gateways.hour(FIRST + HOUR)
    assert {"others-trade", "fills-while-away"} <= codes(record)
    assert not {"reconciliation-break", "liquidated"} & codes(record)
    assert record.exit_code == 0


def test_a_position_list_that_does_not_come_is_not_an_empty_one(gateways: Gateways) -> None:
    """Positions time-out taken as flat."""
    gateways.hour(FIRST)
    held = gateways.world.holdings()
    gateways.faults = [WireFault("reqPositions", Do.LOSE, count=None)]
    record = gateways.hour(FIRST + HOUR)
    assert record.exit_code == 4
    assert "blind" in codes(record)
    assert not gateways.counts.get("placeOrder")
    assert gateways.world.holdings() == held


def test_half_a_position_list_is_noticed(gateways: Gateways) -> None:
    gateways.hour(FIRST)
    gateways.faults = [WireFault("position", Do.LOSE, nth=2, count=None)]
    record = gateways.hour(FIRST + HOUR)
    assert record.exit_code == 4
    assert "the portfolio says" in gateways.world.alert(FIRST + HOUR)
    assert not gateways.counts.get("placeOrder")


def test_cash_that_is_swept_to_a_bank_is_counted_once(gateways: Gateways) -> None:
    """Sweep cash counted twice."""
    gateways.changes["bank_sweep"] = Decimal(40_000)
    record = gateways.hour(FIRST)
    assert record.exit_code == 0
    assert record.before is not None
    assert record.before.cash == {"USD": Decimal(100_000)}


def test_a_competing_login_stops_the_run(gateways: Gateways) -> None:
    gateways.faults = [WireFault("reqMktData", Do.ERROR, code=10197, text="competing session")]
    record = gateways.hour(FIRST)
    assert record.exit_code in (3, 4)
    assert not gateways.counts.get("placeOrder")
    assert "logged in elsewhere" in gateways.world.alert(FIRST)


def test_nothing_is_sent_while_the_gateway_has_lost_interactive_brokers(
    gateways: Gateways,
) -> None:
    gateways.faults = [WireFault("reqMktData", Do.NOTICE, code=1100, text="Connectivity lost")]
    record = gateways.hour(FIRST)
    assert record.exit_code in (3, 4)
    assert not gateways.counts.get("placeOrder")
    assert gateways.world.references() == {}


def test_a_data_farm_that_stays_broken_ends_the_run_before_it_begins(gateways: Gateways) -> None:
    gateways.faults = [
        WireFault(
            "startApi",
            Do.NOTICE,
            count=None,
            code=2103,
            text="Market data farm connection is broken:x",
        )
    ]
    record = gateways.hour(FIRST)
    assert record.exit_code == 4
    assert "data farms are not connected: x (2103)" in gateways.world.alert(FIRST)


def test_delayed_prices_are_never_traded_on(gateways: Gateways) -> None:
    gateways.changes["market_data"] = "delayed"
    record = gateways.hour(FIRST)
    assert record.exit_code == 3  # all of them: there is nothing to decide from
    assert {"price-missing", "data-missing"} <= codes(record)
    assert not gateways.counts.get("placeOrder")
    gateways.changes["market_data"] = "live"
    record = gateways.hour(FIRST + HOUR)
    assert record.exit_code == 0  # prices are back, and this very run trades
    assert gateways.counts.get("placeOrder")


def test_what_comes_into_the_restart_window_while_a_run_is_at_work_stays_here(
    tmp_path: Path,
) -> None:
    risk = 'restart_window = "11:10-11:12 America/New_York"'
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="memory", risk=risk)
    world.wants(WANTED, FIRST, **EVER)
    gateways = Gateways(world)
    gateways.hour(FIRST)
    # 16:09 UTC, 11:09 in New York, and nearly 11:10: the sales go out, the purchase waits for
    # their proceeds, which come a moment too late.
    at = FIRST + HOUR + timedelta(minutes=4)
    world.wants({"MSFT": "0.9"}, at, **EVER)
    gateways.before = lambda local: local.advance(local.now() + timedelta(seconds=59.9))
    record = gateways.hour(at)
    assert "restart-window" in codes(record)
    assert {fill.instrument for fill in record.fills} <= {AAPL, JNJ, KO}
    assert record.fills
    assert all(fill.quantity < 0 for fill in record.fills)

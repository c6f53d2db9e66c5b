"""`rebalancer cancel`: own rebalance orders end; nobody else's, and no protection."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Mode, Outcome
from rebalancer.risk import ProtectParameters
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.orders_by_hand import order_by_hand
from rebalancer.working.by_hand import cancel_by_hand
from tests.exchanges import FIRST as COIN_FIRST
from tests.exchanges import Exchanges, write_coins
from tests.gateways import Gateways
from tests.integration.hours import CLOSED, EVER, KO, SECOND, SYMBOLS, THIRD, Watch, command
from tests.integration.stopping import Exchange, StoppingBroker, StoppingHands, stopping_hour
from tests.portfolios import FIRST, HOUR, QUIET, World, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")


def working(world: World) -> list[Any]:
    return [o for o in world.venue()["orders"] if o["status"] == "working"]


def test_own_orders_are_cancelled_while_halted_and_their_fills_booked(
    afternoon: World, capsys: pytest.CaptureFixture[str]
) -> None:
    command(afternoon, "halt", "x")
    assert command(afternoon, "cancel") == 0
    assert working(afternoon) == []
    said = capsys.readouterr().out
    assert "KO.STK.USD@IB: cancelled" in said
    assert "No rebalancing order of demo is left at the venue." in said
    record = afternoon.last()
    assert (record.command, record.outcome) == ("cancel", Outcome.FINISHED)
    assert dict(record.positions_expected) == afternoon.holdings()
    assert (afternoon.state / "HALT").exists()
    # Nothing new went out, and the next run has nothing to explain.
    assert len(afternoon.references()) == 3
    assert {flag.code for flag in afternoon.hour(THIRD).flags} == {"halt-file"}


def test_the_file_may_be_named_bare(afternoon: World) -> None:
    from rebalancer.cli import main

    assert main(["cancel", str(afternoon.path)]) == 0
    assert working(afternoon) == []


def test_with_nothing_at_the_venue_it_says_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.hour(FIRST)
    assert command(world, "cancel") == 0
    assert "No rebalancing order of demo is left" in capsys.readouterr().out


def test_what_will_not_die_is_named_and_the_exit_code_says_it(afternoon: World) -> None:
    lost = Fault(FaultKind.LOST_CANCEL, count=None)
    record, left = cancel_by_hand(afternoon.desk(SECOND, faults=[lost]), SECOND)
    assert record.exit_code == 3
    assert [order.instrument for order in left.orders or ()] == [KO]


def test_what_traded_before_its_cancel_arrived_is_booked(world: World) -> None:
    half = Fault(FaultKind.PARTIAL_ONLY, count=None)
    world.hour(FIRST, faults=[half])
    assert working(world)
    record, left = cancel_by_hand(world.desk(SECOND), SECOND)
    assert (record.exit_code, left.orders) == (0, ())
    assert dict(record.positions_expected) == world.holdings()
    assert any(order.filled for order in record.cancelled)


def test_when_the_market_is_closed_it_says_so_and_sends_nothing(world: World) -> None:
    from datetime import timedelta

    # Twelve minutes before the close: what works then dies with the session by itself.
    late = CLOSED - timedelta(minutes=37)
    world.wants({"KO": "0.3"}, late)
    world.hour(late, faults=[Fault(FaultKind.NO_FILL, count=None)])
    record, left = cancel_by_hand(world.desk(CLOSED), CLOSED)
    assert record.exit_code == 0
    assert left.orders == ()
    assert record.cancelled == ()


def test_a_kill_in_the_middle_is_finished_by_the_next_run(afternoon: World) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    desk = afternoon.desk(SECOND)
    watch = Watch(desk.books, lambda line: line["kind"] == "order", kill)
    with pytest.raises(Killed):
        cancel_by_hand(replace(desk, books=watch), SECOND)
    record = afternoon.hour(THIRD)
    assert record.exit_code == 0
    assert dict(record.positions_expected) == afternoon.holdings()
    died = afternoon.record(SECOND)
    assert died is not None and died.command == "cancel"


# ------------------------------------------------------------------ protection


def protected(world: World) -> tuple[Exchange, ProtectParameters]:
    exchange, protect = Exchange(), ProtectParameters(enabled=True, steps=2)
    stopping_hour(world, FIRST, exchange, protect)
    assert len(exchange.waiting()) == 6
    return exchange, protect


def stopping_desk(world: World, exchange: Exchange, protect: ProtectParameters) -> Any:
    desk = world.desk(SECOND)
    return replace(
        desk,
        broker=StoppingBroker(desk.broker, exchange),
        hands=StoppingHands,  # type: ignore[arg-type]
        protect=protect,
    )


def test_protective_stops_stay(world: World) -> None:
    exchange, protect = protected(world)
    record, left = cancel_by_hand(stopping_desk(world, exchange, protect), SECOND)
    assert record.exit_code == 0
    assert len(exchange.waiting()) == len(left.stops or ()) == len(record.stops) == 6


def test_protective_stops_go_when_they_are_asked_for(world: World) -> None:
    exchange, protect = protected(world)
    record, left = cancel_by_hand(stopping_desk(world, exchange, protect), SECOND, stops=True)
    assert record.exit_code == 0
    assert exchange.waiting() == () == left.stops == record.stops
    # A run that may send puts them back.
    stopping_hour(world, THIRD, exchange, protect)
    assert len(exchange.waiting()) == 6


def test_taking_protection_away_has_a_confirmation_of_its_own(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.hour(FIRST)
    assert command(world, "cancel", "--stops") == 2
    assert "every protective stop" in capsys.readouterr().err


# ------------------------------------------------------------------ the venues


def test_through_interactive_brokers_client_others_orders_stay(tmp_path: Path) -> None:
    world = make_world(
        tmp_path, symbols=SYMBOLS, transport="memory",
        extra='\n[planning]\nlimit_style = "passive"\nlimit_offset_bps = -200\n' + QUIET,
    )  # fmt: skip
    world.wants({"KO": "0.3"}, FIRST, **EVER)
    gateways = Gateways(world)
    assert [o.status for o in gateways.hour(FIRST).orders] == [OrderStatus.WORKING]

    def by_hand(gateway: LocalGateway) -> None:
        order_by_hand(gateway.gateway, KO, Decimal(10), Decimal("30"))

    gateways.before = by_hand
    dry, _ = cancel_by_hand(gateways.desk(SECOND, mode=Mode.DRY_RUN), SECOND)
    assert dry.exit_code == 3
    assert "cancelOrder" not in gateways.counts
    record, left = cancel_by_hand(gateways.desk(SECOND), SECOND)
    assert (record.exit_code, left.orders) == (0, ()), record.flags
    assert gateways.counts["cancelOrder"] == 1
    assert "others-order" in {flag.code for flag in record.flags}


@pytest.mark.parametrize("kind", ["PERP", "SPOT"])
def test_through_binances_client(tmp_path: Path, kind: str) -> None:
    path = write_coins(
        tmp_path, kind=kind, leverage="1", planning='order_type = "POST_ONLY"',
        extra="\n[execution]\nwindow_seconds = 5\ncancel_seconds = 1\n" + QUIET,
    )  # fmt: skip
    exchanges = Exchanges(path)
    wanted = {f"{coin}USDT.{kind}@BINANCE": "0.3" for coin in ("BTC", "ETH", "SOL")}
    write_signal(tmp_path, wanted, COIN_FIRST, portfolio="coins")
    exchanges.hour(COIN_FIRST)
    at = COIN_FIRST + HOUR // 2
    record, left = cancel_by_hand(exchanges.desk(at), at)
    assert record.exit_code == 0, record.flags
    assert left.orders == ()

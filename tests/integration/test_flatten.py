"""`rebalancer flatten`: what is held goes to zero, through the gates, halted or not."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli import by_hand as by_hand_command
from rebalancer.cli import main
from rebalancer.hourly import hour
from rebalancer.model.flags import LatchedFlag, Severity, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderType, Purpose, parse_reference
from rebalancer.model.records import Mode, Outcome, RunRecord
from rebalancer.risk import ProtectParameters
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.working.by_hand import Left, flatten_by_hand
from tests.exchanges import FIRST as COIN_FIRST
from tests.exchanges import Exchanges, perpetual, write_coins
from tests.gateways import Gateways
from tests.integration.hours import (
    AAPL,
    CLOSED,
    EVER,
    JNJ,
    KO,
    MSFT,
    SECOND,
    SYMBOLS,
    THIRD,
    WANTED,
    Watch,
    command,
    holding,
    set_position,
)
from tests.integration.stopping import Exchange, StoppingBroker, StoppingHands, stopping_hour
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")
SEND = ("--send", "--yes")


@pytest.fixture
def built(world: World) -> World:
    """Return a portfolio that holds three instruments."""
    world.hour(FIRST)
    assert set(world.holdings()) == {AAPL, JNJ, KO}
    return world


def flatten(world: World, *options: str) -> int:
    return command(world, "flatten", *options)


def by_hand(
    world: World, *only: InstrumentId, faults: tuple[Fault, ...] = (), **desk: Any
) -> tuple[RunRecord, Left]:
    at = world.books().last_record()
    assert at is not None
    slot = at.now.replace(second=0, microsecond=0) + HOUR
    return flatten_by_hand(replace(world.desk(slot, faults=faults), **desk), slot, only)


# ------------------------------------------------------------------ what it is for


def test_it_shows_the_plan_and_sends_nothing_by_itself(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = built.venue()
    assert flatten(built) == 0
    assert built.venue() == before
    said = capsys.readouterr().out
    assert "AAPL.STK.USD@IB  +445       1  -445" in said
    assert "Nothing was sent" in said
    assert "dry-run" not in said


def test_the_command_that_it_names_is_of_this_portfolio_and_of_no_more_instruments(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flatten(built, "--only", "AAPL", "KO") == 0
    hint = capsys.readouterr().out.rpartition("To do it: ")[2].split()
    assert hint == [
        "rebalancer", "flatten", "--config", str(built.path), "--only", "AAPL", "KO", "--send"
    ]  # fmt: skip
    assert main([*hint[1:], "--yes"]) == 0
    assert set(built.holdings()) == {JNJ}


def test_it_sells_everything_while_halted_and_leaves_the_halt_file(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(built, "halt", "crash") == 0
    assert flatten(built, *SEND) == 0
    assert built.holdings() == {}
    assert "demo is flat" in capsys.readouterr().out
    record = built.last()
    assert (record.command, record.outcome, record.exit_code) == ("flatten", Outcome.FINISHED, 0)
    assert {order.instrument: order.quantity for order in record.approved} == {
        name: -held for name, held in expected(built, FIRST).items()
    }
    assert all(order.reduce_only for order in record.approved)
    assert all(order.intent.order_type is OrderType.LIMIT for order in record.approved)
    assert dict(record.positions_expected) == {}
    assert (built.state / "HALT").exists()
    assert command(built, "status") == 0
    assert "Last: `rebalancer flatten` of 2020-03-02" in capsys.readouterr().out
    # The next run is halted, and finds nothing that is not explained.
    after = built.hour(SECOND)
    assert after.exit_code == 3
    assert not codes(after) - {"halt-file"}


def expected(world: World, at: Any) -> dict[InstrumentId, Decimal]:
    record = world.record(at)
    assert record is not None
    return dict(record.positions_expected)


def test_without_a_halt_file_it_says_that_runs_buy_again(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flatten(built, *SEND) == 0
    assert "the next run trades towards its signals again" in capsys.readouterr().out
    built.wants({"AAPL": "0.1"}, SECOND)
    assert {fill.instrument for fill in built.hour(SECOND).fills} == {AAPL}


def test_a_sleeve_without_a_signal_does_not_buy_back_what_was_sold(built: World) -> None:
    assert flatten(built, *SEND) == 0
    assert built.standing().sleeve_lots["hand"][AAPL] == 0
    (built.state / "signals" / "hand.csv").unlink()
    record = built.hour(SECOND)
    assert "signal-missing" in codes(record)
    assert record.approved == ()
    assert built.holdings() == {}


@pytest.mark.parametrize("word", ["AAPL", "AAPL.STK.USD@IB"])
def test_only_what_was_named_is_sold(built: World, word: str) -> None:
    assert flatten(built, "--only", word, *SEND) == 0
    assert set(built.holdings()) == {JNJ, KO}
    assert built.hour(SECOND).exit_code == 0


def test_a_name_that_means_nothing_sells_nothing(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = built.venue()
    assert flatten(built, "--only", "AAPL", "TSLA", *SEND) == 2
    assert "TSLA: not in the portfolio's universe" in capsys.readouterr().err
    assert built.venue() == before


def test_where_nobody_can_confirm_it_nothing_is_sent(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = built.venue()
    assert flatten(built, "--send") == 2
    assert "--yes confirms it" in capsys.readouterr().err
    assert built.venue() == before


@pytest.mark.parametrize(("typed", "sold"), [("demo", True), ("yes", False), ("", False)])
def test_the_portfolios_name_is_typed_to_confirm_it(
    built: World, monkeypatch: pytest.MonkeyPatch, typed: str, sold: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _question: typed)
    assert flatten(built, "--send") == 0
    assert (built.holdings() == {}) == sold


def test_a_dry_run_portfolio_sends_nothing_whatever_is_typed(built: World) -> None:
    text = built.path.read_text(encoding="utf-8")
    built.path.write_text(text.replace('"paper"', '"dry-run"', 1), encoding="utf-8")
    before = built.venue()
    assert flatten(built, *SEND) == 2
    assert built.venue() == before


def test_while_a_run_is_at_work_it_says_how_to_stop_it(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with holding(built):
        assert flatten(built, *SEND) == 6
    assert "`rebalancer halt` stops it" in capsys.readouterr().err


def test_while_a_halt_file_is_ending_a_run_it_waits_for_that(
    built: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(built, "halt", "x")
    other = ExitStack()
    other.enter_context(holding(built))

    def sleep(seconds: float) -> None:
        if seconds >= by_hand_command.PAUSE_SECONDS:  # the lock itself tries again for a moment
            other.close()

    monkeypatch.setattr("time.sleep", sleep)
    assert flatten(built, *SEND) == 0
    assert "waiting until that run has ended" in capsys.readouterr().out
    assert built.holdings() == {}


# ------------------------------------------------------------------ breakers, doubts, gates


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("drawdown", Severity.HALT),
        ("net-liquidation-jump", Severity.HALT),
        ("liquidated", Severity.HALT),
    ],
)
def test_latched_breakers_do_not_keep_the_owner_in(
    built: World, code: str, severity: Severity
) -> None:
    standing = built.standing()
    flag = LatchedFlag(code, "", severity, "it went wrong", FIRST)
    built.books().save_standing(
        replace(standing, latched=(flag,), state=TradingState.HALTED, state_reason=code)
    )
    assert flatten(built, *SEND) == 0
    assert built.holdings() == {}
    # What was accepted last stays the reference; the breaker is still latched.
    assert code in {each.code for each in built.standing().latched}
    assert built.standing().accepted_net_liquidation == standing.accepted_net_liquidation
    mails = " ".join(built.mails())
    assert "recovered" not in mails


def test_where_books_and_venue_disagree_nothing_is_sold(built: World) -> None:
    built.change_venue(set_position("400"))
    assert flatten(built, *SEND) == 3
    assert set(built.holdings()) == {AAPL}
    record = built.last()
    assert "reconciliation-break" in codes(record)
    assert {each.intent.instrument: each.gate for each in record.refused} == {AAPL: "hold"}


def test_an_order_of_unknown_fate_keeps_its_instrument_as_it_is(world: World) -> None:
    lost = [
        Fault(FaultKind.LOST_ACKNOWLEDGEMENT, subject=AAPL),
        Fault(FaultKind.UNKNOWN_LOOKUP, count=None),
    ]
    assert world.hour(FIRST, faults=lost).exit_code == 5
    record, left = by_hand(world, faults=(Fault(FaultKind.UNKNOWN_LOOKUP, count=None),))
    assert record.exit_code == 5
    assert [name for name, _ in left.holdings or ()] == [AAPL]
    assert "unresolved-order" in codes(record)


def test_an_account_that_was_never_adopted_is_not_sold(inherited: World) -> None:
    assert inherited.hour(FIRST).exit_code == 3
    before = inherited.venue()["holdings"]
    assert flatten(inherited, *SEND) == 3
    assert inherited.venue()["holdings"] == before


def test_when_the_market_is_closed_it_says_so_and_sends_nothing(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    built.hour(CLOSED)
    before = built.references()
    capsys.readouterr()
    assert flatten(built) == 0
    assert "session: the market is closed" in capsys.readouterr().out
    assert flatten(built, *SEND) == 3
    assert "the market is closed" in capsys.readouterr().out
    assert built.references() == before


@pytest.mark.parametrize(
    ("kind", "gate"),
    [
        (FaultKind.STALE_QUOTE, "freshness"),
        (FaultKind.MISSING_QUOTE, ""),
        (FaultKind.CROSSED_QUOTE, ""),
        (FaultKind.ONE_SIDED_QUOTE, ""),
    ],
)
def test_without_a_fresh_two_sided_quote_it_is_not_sold(
    built: World, kind: FaultKind, gate: str
) -> None:
    record, left = by_hand(built, faults=(Fault(kind, subject=AAPL, count=None),))
    assert [name for name, _ in left.holdings or ()] == [AAPL]
    assert record.exit_code == 3
    assert not [order for order in record.approved if order.instrument == AAPL]
    if gate:
        assert [each.gate for each in record.refused] == [gate]


def test_what_is_larger_than_an_order_may_be_goes_out_in_chunks(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET)
    world.wants(WANTED, FIRST)
    world.hour(FIRST)
    held = world.holdings()
    desk = world.desk(SECOND)
    # 30 % of net liquidation each, orders of at most 8 %: four chunks.
    limits = replace(desk.limits, max_order_weight=Decimal("0.08"))
    record, left = flatten_by_hand(replace(desk, limits=limits), SECOND)
    assert (record.exit_code, left.holdings) == (0, ())
    assert world.holdings() == {}
    chunks = Counter(order.instrument for order in record.approved)
    assert chunks == {AAPL: 4, JNJ: 4, KO: 4}
    assert record.before is not None
    largest = record.before.net_liquidation * Decimal("0.08")
    for order in record.approved:
        assert abs(order.quantity * order.intent.reference_price) <= largest
        assert order.quantity == order.quantity.to_integral_value()
    for name, quantity in held.items():
        mine = [order.quantity for order in record.approved if order.instrument == name]
        assert sum(mine) == -quantity
        assert max(mine) - min(mine) <= 3
    assert max(world.references().values()) == 1


def test_orders_that_nobody_takes_are_cancelled_and_it_ends(built: World) -> None:
    never = Fault(FaultKind.NO_FILL, count=None)
    record, left = by_hand(built, faults=(never,))
    assert record.exit_code == 3
    assert len(left.holdings or ()) == 3
    assert left.orders == ()
    assert all(order.status.terminal for order in record.orders)


# ------------------------------------------------------------------ stopped, killed


def test_a_halt_file_that_comes_meanwhile_stops_it(built: World) -> None:
    (built.state / "HALT").write_text("2020-03-02T15:10:00Z me: first\n", encoding="utf-8")
    desk = built.desk(SECOND)

    def halt() -> None:
        with (built.state / "HALT").open("a", encoding="utf-8") as file:
            file.write("2020-03-02T16:06:00Z me: not that one\n")

    watch = Watch(desk.books, lambda line: line["kind"] == "sent", halt)
    record, left = flatten_by_hand(replace(desk, books=watch), SECOND)
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert len(left.holdings or ()) >= 2
    assert len(built.references()) == 3 + 1


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("kind", ["begin", "intents", "sent", "order", "fill", "told"])
@pytest.mark.parametrize("then", ["run", "flatten"])
def test_a_kill_in_the_middle_is_finished_by_whatever_comes_next(
    built: World, kind: str, then: str
) -> None:
    desk = built.desk(SECOND)

    def kill() -> None:
        raise Killed

    watch = Watch(desk.books, lambda line: line["kind"] == kind, kill)
    with pytest.raises(Killed):
        flatten_by_hand(replace(desk, books=watch), SECOND)

    def go_on(slot: datetime) -> RunRecord:
        if then == "flatten":
            return flatten_by_hand(built.desk(slot), slot)[0]
        (built.state / "HALT").touch()
        return built.hour(slot)

    # An order that never arrived is proved so by two looks: that takes a second run.
    assert go_on(THIRD).exit_code in {0, 3, 5}
    record = go_on(THIRD + HOUR)
    if then == "flatten":
        assert record.exit_code == 0
        assert built.holdings() == {}
    assert not built.standing().latched
    assert dict(record.positions_expected) == built.holdings()
    assert max(built.references().values()) == 1
    assert not built.books().unfinished()
    died = built.record(SECOND)
    assert died is not None and died.command == "flatten"
    fills = Counter(line["fill"]["exec_id"] for line in built.fill_lines()
                    if line["kind"] == "fill")  # fmt: skip
    assert max(fills.values()) == 1


# ------------------------------------------------------------------ stops


def test_the_stops_of_what_is_flat_are_taken_down_and_no_others(world: World) -> None:
    exchange, protect = Exchange(), ProtectParameters(enabled=True, steps=2)
    stopping_hour(world, FIRST, exchange, protect)
    assert len(exchange.waiting()) == 6
    (world.state / "HALT").write_text("x", encoding="utf-8")
    desk = world.desk(SECOND)
    record, left = flatten_by_hand(
        replace(
            desk,
            broker=StoppingBroker(desk.broker, exchange),
            hands=StoppingHands,  # type: ignore[arg-type]
            protect=protect,
        ),
        SECOND,
        [AAPL],
    )
    assert record.exit_code == 0
    assert {stop.instrument for stop in exchange.waiting()} == {JNJ, KO}
    assert {stop.instrument for stop in left.stops or ()} == {JNJ, KO}
    assert not [o for o in record.approved if parse_reference(o.reference, "demo") is None]
    assert {order.purpose for order in record.approved} == {Purpose.REBALANCE}


# ------------------------------------------------------------------ the venues


def test_through_interactive_brokers_client(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="memory")
    world.wants(WANTED, FIRST, **EVER)
    gateways = Gateways(world)
    assert gateways.hour(FIRST).exit_code == 0
    (world.state / "HALT").write_text("x", encoding="utf-8")
    dry, _ = flatten_by_hand(gateways.desk(SECOND, mode=Mode.DRY_RUN), SECOND)
    assert len(dry.approved) == 3
    assert "placeOrder" not in gateways.counts
    record, left = flatten_by_hand(gateways.desk(SECOND), SECOND)
    assert (record.exit_code, left.holdings) == (0, ()), record.flags
    assert world.holdings() == {}
    assert gateways.violations == 0
    assert gateways.hour(THIRD).exit_code == 3
    assert MSFT not in world.holdings()


@pytest.mark.parametrize("kind", ["PERP", "SPOT"])
def test_through_binances_client(tmp_path: Path, kind: str) -> None:
    path = write_coins(tmp_path, kind=kind, leverage="1" if kind == "SPOT" else "2", extra=QUIET)
    exchanges = Exchanges(path)
    wanted = {f"{coin}USDT.{kind}@BINANCE": "0.3" for coin in ("BTC", "ETH", "SOL")}
    if kind == "PERP":
        wanted[perpetual("ETH")] = "-0.3"  # a short one is bought back
    write_signal(tmp_path, wanted, COIN_FIRST, portfolio="coins")
    assert exchanges.hour(COIN_FIRST).exit_code == 0
    (exchanges.folder / "HALT").write_text("x", encoding="utf-8")
    held: dict[str, Decimal] = {}

    def note(server: LocalServer) -> None:
        held.update(
            {name: each.quantity for name, each in server.server.exchange.account.holdings.items()}
        )

    exchanges.after = note
    at = COIN_FIRST + HOUR // 2
    record, left = flatten_by_hand(exchanges.desk(at), at)
    assert (record.exit_code, left.holdings) == (0, ()) or kind == "SPOT", record.flags
    if kind == "PERP":
        assert not any(held.values())
        assert all(order.reduce_only for order in record.approved)
    else:  # what is less than a lot, after fees in kind, stays
        rest = dict(left.holdings or ())
        for order in record.approved:
            assert rest.get(order.instrument, Decimal(0)) < abs(order.quantity) / 100
    after = exchanges.hour(COIN_FIRST + HOUR)
    assert after.exit_code == 3
    assert "reconciliation-break" not in {flag.code for flag in after.flags}


def test_a_run_after_a_flatten_in_the_same_hour_is_a_run_of_its_own(built: World) -> None:
    assert flatten(built, *SEND) == 0
    built.wants({"AAPL": "0.1"}, SECOND)
    assert hour(built.desk(SECOND), SECOND).exit_code == 0
    assert len(built.rows("equity.csv")) == 3

"""`rebalancer flatten` where the venue is behind, and what it says of what it leaves there."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.working.by_hand import flatten_by_hand
from tests.exchanges import FIRST as COIN_FIRST
from tests.exchanges import Exchanges, perpetual, write_coins
from tests.gateways import Gateways
from tests.integration.hours import AAPL, EVER, JNJ, KO, SECOND, SYMBOLS, WANTED, Watch, command
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")
SEND = ("--send", "--yes")


@pytest.fixture
def built(world: World) -> World:
    """Return a portfolio that holds three instruments."""
    world.hour(FIRST)
    assert set(world.holdings()) == {AAPL, JNJ, KO}
    return world


# ------------------------------------------------------------------ an account that lags


@pytest.mark.parametrize(
    ("seconds", "count", "shown"),
    [(1.0, 1, True), (5.0, 4, True), (60.0, 60, False)],
    ids=["one old answer", "some old answers", "old to the end"],
)
def test_what_was_sold_is_not_sold_again_because_the_account_lags(
    tmp_path: Path, seconds: float, count: int, *, shown: bool
) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="memory")
    world.wants(WANTED, FIRST, **EVER)
    gateways = Gateways(world)
    assert gateways.hour(FIRST).exit_code == 0
    held = world.holdings()
    gateways.faults = [
        WireFault(name, Do.OLD_ACCOUNT, nth=3, count=count, seconds=seconds)
        for name in ("reqPositions", "reqAccountUpdates")
    ]
    record, left = flatten_by_hand(gateways.desk(SECOND), SECOND)
    assert world.holdings() == {}
    assert {order.instrument: order.quantity for order in record.approved} == {
        name: -quantity for name, quantity in held.items()
    }
    assert (record.exit_code, not left.holdings) == ((0, True) if shown else (3, False))
    assert ("sources-disagree" in codes(record)) != shown


# ------------------------------------------------------------------ HALT files, ranges, questions


@pytest.mark.parametrize("lines", [1, 60])
def test_a_new_line_in_a_long_halt_file_stops_a_sale(built: World, lines: int) -> None:
    line = "2020-03-02T15:10:00Z cron: margin is thin on this account\n"
    (built.state / "HALT").write_text(line * lines, encoding="utf-8")
    desk = built.desk(SECOND)

    def halt() -> None:
        with (built.state / "HALT").open("a", encoding="utf-8") as file:
            file.write("2020-03-02T16:06:00Z me: stop selling\n")

    watch = Watch(desk.books, lambda each: each["kind"] == "sent", halt)
    record, _ = flatten_by_hand(replace(desk, books=watch), SECOND)
    assert record.exit_code == 3
    assert len(built.references()) == 3 + 1  # the first order of the sale, no other
    (flag,) = [each for each in record.flags if each.code == "halt-file"]
    assert "stop selling" in flag.message


@pytest.mark.parametrize("expected", [("200000", "300000"), ("1000", "2000")])
def test_an_account_outside_the_expected_range_does_not_keep_the_owner_in(
    built: World, expected: tuple[str, str]
) -> None:
    low, high = (Decimal(each) for each in expected)
    desk = replace(built.desk(SECOND), net_liquidation_range=(low, high))
    record, left = flatten_by_hand(desk, SECOND)
    assert "net-liquidation-range" in codes(record)
    assert (record.exit_code, left.holdings) == (0, ())
    assert built.holdings() == {}


def test_what_a_run_buys_while_the_question_stands_is_not_sold(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(_question: str) -> str:
        built.wants({**WANTED, "MSFT": "0.05"}, SECOND)
        built.hour(SECOND)
        return "demo"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", meanwhile)
    assert command(built, "flatten", "--only", "AAPL", "KO", *SEND) == 0
    assert set(built.holdings()) == {JNJ}
    assert command(built, "flatten", "--send") == 0
    assert JNJ not in built.holdings()
    assert built.holdings()


def test_a_margin_type_that_an_open_position_keeps_does_not_keep_the_owner_in(
    tmp_path: Path,
) -> None:
    path = write_coins(tmp_path, leverage="2", extra=QUIET)
    exchanges = Exchanges(path)
    write_signal(tmp_path, {perpetual("BTC"): "0.3"}, COIN_FIRST, portfolio="coins")
    assert exchanges.hour(COIN_FIRST).exit_code == 0
    text = path.read_text(encoding="utf-8")
    path.write_text(f'{text}\n[binance]\nmargin_type = "ISOLATED"\n', encoding="utf-8")
    at = COIN_FIRST + HOUR // 2
    record, left = flatten_by_hand(exchanges.desk(at), at)
    assert perpetual("BTC") in {f.subject for f in record.flags if f.code == "mode-kept"}
    assert (record.exit_code, left.holdings) == (0, ())


# ------------------------------------------------------------------ what it says


def test_an_order_that_may_still_trade_is_told(
    built: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = (
        Fault(FaultKind.NO_FILL, subject=KO, count=None),
        Fault(FaultKind.LOST_CANCEL, count=None),
    )
    real = World.desk
    monkeypatch.setattr(
        "rebalancer.wiring.desk_for",
        lambda _config, *, at, late, **_more: replace(real(built, at, faults=faults), late=late),
    )
    assert command(built, "flatten", *SEND) == 3
    said = capsys.readouterr().out
    assert "1 order of ours still works at the venue; `rebalancer cancel` ends what is" in said
    (order,) = [each for each in built.venue()["orders"] if each["status"] == "working"]
    assert f"  {order['reference']}: -{built.holdings()[KO]} {KO}" in said


def test_a_sale_whose_words_nobody_reads_ends_with_its_own_exit_code(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("rebalancer.cli.flatten._show_done", gone)
    monkeypatch.setattr("rebalancer.cli.crash.stop_talking", lambda: None)
    no_trading = f'\n[[instrument]]\nid = "{KO}"\nno_trading = true\n'
    text = built.path.read_text(encoding="utf-8")
    built.path.write_text(text + no_trading, encoding="utf-8")
    assert command(built, "flatten", *SEND) == 3
    assert set(built.holdings()) == {KO}


def test_with_a_closed_standard_input_nothing_is_asked_and_nothing_sold(
    built: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = built.venue()
    monkeypatch.setattr("sys.stdin", None)
    assert command(built, "flatten", "--send") == 2
    assert "--yes confirms it" in capsys.readouterr().err
    assert built.venue() == before

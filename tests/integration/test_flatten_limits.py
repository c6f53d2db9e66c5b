"""`rebalancer flatten`: what stops it, what it says, and what it leaves alone."""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.model.records import Outcome
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.working.by_hand import cancel_by_hand, flatten_by_hand
from rebalancer.working.page import HaltSeen
from tests.integration.hours import AAPL, CLOSED, JNJ, KO, MSFT, SECOND, Watch, command
from tests.portfolios import FIRST, QUIET, World, codes, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")
SEND = ("--send", "--yes")
OWN_HALT = "2020-03-02T15:10:00Z me: first\n"


@pytest.fixture
def built(world: World) -> World:
    """Return a portfolio that holds three instruments."""
    world.hour(FIRST)
    assert set(world.holdings()) == {AAPL, JNJ, KO}
    return world


# ------------------------------------------------------------------ HALT files


@pytest.mark.parametrize("text", ["2020-03-02T16:06:00Z you: all of them\n", ""])
def test_a_halt_of_all_stops_a_sale_that_began_under_the_portfolios_own(
    built: World, text: str
) -> None:
    (built.state / "HALT").write_text(OWN_HALT, encoding="utf-8")
    desk = built.desk(SECOND)

    def halt() -> None:
        (built.state.parent / "HALT").write_text(text, encoding="utf-8")

    watch = Watch(desk.books, lambda line: line["kind"] == "sent", halt)
    record, left = flatten_by_hand(replace(desk, books=watch), SECOND)
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert len(left.holdings or ()) >= 2
    assert len(built.references()) == 3 + 1  # the first order of the sale, no other


@pytest.mark.parametrize("file", ["demo/HALT", "HALT"])
@pytest.mark.parametrize("before", [True, False])
def test_a_halt_that_is_written_while_the_question_stands_sells_nothing(
    built: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    *,
    before: bool,
) -> None:
    if before:
        (built.state / "HALT").write_text(OWN_HALT, encoding="utf-8")

    def colleague(_question: str) -> str:
        with (built.state.parent / file).open("a", encoding="utf-8") as halt:
            halt.write("2020-03-02T16:06:00Z you: stop that\n")
        return "demo"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", colleague)
    held, sent = built.holdings(), built.references()
    assert command(built, "flatten", "--send") == 3
    assert "stop that" in capsys.readouterr().out
    assert built.holdings() == held
    assert built.references() == sent


def test_a_halt_that_comes_before_a_command_cancels_keeps_the_stops(built: World) -> None:
    (built.state / "HALT").write_text(OWN_HALT, encoding="utf-8")
    record, _ = cancel_by_hand(built.desk(SECOND), SECOND, stops=True, seen=HaltSeen(None))
    assert record.exit_code == 3
    assert "halt-file" in codes(record)
    again, _ = cancel_by_hand(built.desk(SECOND), SECOND, stops=True)
    assert again.outcome is not Outcome.HALTED


# ------------------------------------------------------------------ what it says


def test_only_what_was_named_is_shown_as_sold(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    held = built.holdings()
    assert command(built, "flatten", "--only", "AAPL") == 0
    plan = capsys.readouterr().out
    assert AAPL in plan
    assert JNJ not in plan
    assert command(built, "flatten", "--only", "AAPL", *SEND) == 0
    told = capsys.readouterr().out
    (row,) = [line.split() for line in told.splitlines() if line.startswith(AAPL)]
    assert (row[1], row[2], row[-1]) == ("+445", "-445", "0")
    assert JNJ not in told
    assert KO not in told
    record = built.last()
    targets = {line.instrument: line.target_quantity for line in record.lines}
    assert targets == held | {AAPL: 0, MSFT: 0}
    orders = built.run_folder(record.slot) / "orders.csv"
    with orders.open(encoding="utf-8", newline="") as file:
        rows = {row["instrument"]: row for row in csv.DictReader(file)}
    assert Decimal(rows[JNJ]["target_quantity"]) == held[JNJ]
    assert rows[JNJ]["target_weight"] == rows[JNJ]["current_weight"]
    assert float(rows[JNJ]["target_weight"]) > 0
    assert float(rows[AAPL]["target_weight"]) == 0


@pytest.mark.parametrize("halted", [True, False])
def test_the_question_says_that_the_next_run_buys_again(
    built: World, capsys: pytest.CaptureFixture[str], *, halted: bool
) -> None:
    if halted:
        (built.state / "HALT").write_text(OWN_HALT, encoding="utf-8")
    assert command(built, "flatten", "--send") == 2
    told = capsys.readouterr().err
    assert ("There is no HALT file: the next run trades towards its signals" in told) != halted
    first = told.splitlines()[0]
    assert first.startswith("rebalancer flatten: This will cancel the open orders of demo")
    assert first.endswith(": nobody is there to confirm it; --yes confirms it")
    assert ".:" not in first


def test_one_holding_is_left_and_not_one_holdings(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    built.hour(CLOSED)
    capsys.readouterr()
    assert command(built, "flatten", "--only", "KO", *SEND) == 3
    assert "1 holding is left; the same command" in capsys.readouterr().out


# ------------------------------------------------------------------ the number of orders


def test_a_runaways_own_orders_do_not_keep_the_owner_in(built: World) -> None:
    standing = built.standing()
    assert standing.orders_in_session == 3
    desk = built.desk(SECOND)
    limits = replace(
        desk.limits, max_orders_per_run=1, max_orders_per_session=3, max_orders_per_days=3
    )
    record, left = flatten_by_hand(replace(desk, limits=limits), SECOND)
    assert (record.exit_code, left.holdings) == (0, ())
    assert built.holdings() == {}
    # What was sent counts for the runs that follow.
    assert built.standing().orders_in_session == 6


def test_no_trading_in_an_instrument_is_the_owners_word_for_flatten_too(built: World) -> None:
    text = built.path.read_text(encoding="utf-8")
    built.path.write_text(
        f'{text}\n[[instrument]]\nid = "{KO}"\nno_trading = true\n', encoding="utf-8"
    )
    record, left = flatten_by_hand(built.desk(SECOND), SECOND)
    assert [name for name, _ in left.holdings or ()] == [KO]
    assert {each.gate for each in record.refused} == {"override"}
    assert record.exit_code == 3


# ------------------------------------------------------------------ remembered lots


def test_a_refused_sale_forgets_no_lots(built: World) -> None:
    built.hour(CLOSED)
    lots = built.standing().sleeve_lots
    assert lots["hand"][AAPL] > 400
    assert command(built, "flatten", *SEND) == 3
    assert built.standing().sleeve_lots == lots


def test_what_was_sold_in_part_is_forgotten_in_part(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rebalancer.working.flatten.MOST_ROUNDS", 1)
    half = Fault(FaultKind.PARTIAL_ONLY, subject=AAPL, count=None)
    stale = Fault(FaultKind.STALE_QUOTE, subject=KO, count=None)
    before = built.standing().sleeve_lots["hand"]
    flatten_by_hand(built.desk(SECOND, faults=(half, stale)), SECOND)
    held, lots = built.holdings(), built.standing().sleeve_lots["hand"]
    assert 0 < held[AAPL] < before[AAPL]
    assert lots == dict(before) | {AAPL: held[AAPL], JNJ: Decimal(0)}


SHARED = f"""
[[sleeve]]
name = "other"
share = "0.5"
universe = ["{AAPL}"]
"""


def test_a_sleeve_without_a_signal_keeps_its_part_of_what_was_not_sold(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=("AAPL", "JNJ"), share="0.5", extra=SHARED + QUIET)
    ever = {"valid_until": "2020-12-31T00:00:00Z"}
    world.wants({"AAPL": "0.4", "JNJ": "0.2"}, FIRST, **ever)
    write_signal(world.folder, {AAPL: "0.4"}, FIRST, name="other")
    world.hour(FIRST)
    held = world.holdings()
    stale = Fault(FaultKind.STALE_QUOTE, subject=AAPL, count=None)
    record, _ = flatten_by_hand(world.desk(SECOND, faults=(stale,)), SECOND, [AAPL])
    assert record.exit_code == 3
    (world.state / "signals" / "other.csv").unlink()
    after = world.hour(SECOND.replace(hour=SECOND.hour + 1))
    assert "signal-missing" in codes(after)
    assert abs(world.holdings()[AAPL] - held[AAPL]) <= held[AAPL] / 20  # not halved

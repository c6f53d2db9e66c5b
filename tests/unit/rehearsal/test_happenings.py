"""What happens outside is what the schedule says, at the venue's own books and in the files."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.model.instrument import InstrumentId
from rebalancer.rehearsal.driver import play
from rebalancer.rehearsal.evidence import Evidence
from rebalancer.simulators.faults.schedule import Happening, Hour, Schedule, Trouble

STAGE = {venue: Stages()(venue) for venue in ("ib", "binance")}
FIRST = {venue: STAGE[venue].instruments[0] for venue in STAGE}


def _played(venue: str, *happenings: Happening) -> Evidence:
    """Play a calm hour, then one after which these things happened."""
    wanted = {FIRST[venue]: "0.4"}
    hours = (Hour(60, wanted), Hour(60, {}, (), happenings))
    played = play(STAGE[venue], Schedule(venue, 0, hours))
    assert played.violations == ()
    return played.evidence


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_money_comes_and_goes(venue: str) -> None:
    evidence = _played(venue, Happening("deposit", quantity="0.1"))
    base = evidence.account.base
    opening = evidence.opening_cash[base]
    assert Decimal("0.09") * opening < evidence.flows[base] < Decimal("0.11") * opening
    evidence = _played(venue, Happening("withdrawal", quantity="0.1"))
    assert -Decimal("0.11") * opening < evidence.flows[base] < -Decimal("0.09") * opening


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_a_trade_by_hand_is_an_execution_of_nobodys(venue: str) -> None:
    name = STAGE[venue].instruments[1]
    evidence = _played(venue, Happening("trade-by-hand", name, "0.05"))
    by_hand = [e for e in evidence.account.executions if not e.reference.startswith("sample.")]
    assert {each.instrument for each in by_hand} == {name}
    assert all(each.quantity > 0 for each in by_hand)


def test_a_split_leaves_as_much_worth_in_twice_as_many_units() -> None:
    evidence = _played("ib", Happening("split", FIRST["ib"], "2"))
    (moved,) = evidence.moved.values()
    assert moved > 0
    before, after = (run.record for run in evidence.runs[:2])
    assert before is not None
    assert after is not None
    assert before.after is not None
    assert after.before is not None
    worth = after.before.net_liquidation / before.after.net_liquidation
    assert Decimal("0.98") < worth < Decimal("1.02")


def test_a_share_whose_position_follows_its_split_later_is_left_alone_until_then() -> None:
    name = InstrumentId(FIRST["ib"])
    split = (Happening("split-ahead", name, "2"),)
    hours = (Hour(60, {name: "0.08"}), Hour(60, {}), Hour(1440, {}, (), split))
    played = play(STAGE["ib"], Schedule("ib", 0, hours))
    assert played.violations == ()
    (ahead,) = played.evidence.ahead
    *_, before, between, after = played.evidence.runs[:4]
    assert before.ended <= ahead.since <= between.began <= ahead.until
    record = between.record
    assert record is not None
    flags = {flag.code: flag.message for flag in record.flags}
    assert "multiplied its past by 0.5" in flags["history-adjusted"]
    assert "the position is 77 as before" in flags["corporate-action"]
    assert after.orders_after == before.orders_after
    assert played.evidence.moved == {name: Decimal(77)}


def test_after_a_long_pause_any_price_may_be_another() -> None:
    name = InstrumentId(FIRST["ib"])
    split = (Happening("split-ahead", name, "2"),)
    hours = (Hour(60, {name: "0.08"}), Hour(60, {}), Hour(6 * 1440, {}, (), split))
    played = play(STAGE["ib"], Schedule("ib", 0, hours))
    record = played.evidence.runs[2].record
    assert record is not None
    codes = {flag.code for flag in record.flags}
    assert "history-adjusted" in codes
    assert "corporate-action" not in codes
    assert played.violations == ()


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_a_halt_file_stands_for_one_run(venue: str) -> None:
    evidence = _played(venue, Happening("halt-file-between"))
    assert [run.halt for run in evidence.runs] == [False, True, False, False]


def test_without_an_answer_of_the_strategies_the_sleeve_is_flagged() -> None:
    evidence = _played("ib", Happening("no-signal"))
    record = evidence.runs[1].record
    assert record is not None
    assert "generator-failed" in {flag.code for flag in record.flags}


@pytest.mark.parametrize("name", ["fills.jsonl", "journal.jsonl"])
def test_the_last_line_of_either_log_is_torn_and_the_next_run_mends_it(
    name: str, tmp_path: Path
) -> None:
    torn = (Happening("file-torn", name),)
    schedule = Schedule("ib", 0, (Hour(60, {FIRST["ib"]: "0.4"}), Hour(60, {}, (), torn)))
    played = play(STAGE["ib"], schedule, folder=tmp_path)
    assert played.hits["file-torn", 1] == 1
    assert played.violations == ()


def test_what_cannot_happen_does_not(tmp_path: Path) -> None:
    schedule = Schedule(
        "ib", 0, (Hour(60, {}, (), (Happening("split"), Happening("liquidation"))),)
    )
    played = play(STAGE["ib"], schedule, folder=tmp_path)
    assert played.hits["split", 1] == played.hits["liquidation", 1] == 0
    assert played.violations == ()


def test_an_end_that_the_venue_told_stays_when_it_shows_the_order_no_more() -> None:
    # The run dies behind its ninth message, with three orders out. Its next attempt finds them
    # sent, latches them, and hears that they are filled; a day later nobody shows them any more.
    names = STAGE["ib"].instruments
    wanted = dict(zip(names, ("0.4", "0.05", "0.15"), strict=False))
    dies = Trouble("kill-message-after", nth=9, step=7)
    hours = (Hour(60, wanted, (dies,)), Hour(60, {}, again=True), Hour(1440, {names[0]: "0.4"}))
    played = play(STAGE["ib"], Schedule("ib", 919800, hours, follow=True))
    assert played.evidence.runs[0].killed
    first, second = (run.record for run in played.evidence.runs[1:3])
    assert first is not None
    assert first.standing is not None
    assert "unresolved-order" in {flag.code for flag in first.standing.latched}
    assert second is not None
    assert second.standing is not None
    assert "unresolved-order" not in {flag.code for flag in second.standing.latched}
    assert played.violations == ()

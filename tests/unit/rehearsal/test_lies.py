"""A venue that tells whole lists which are not true is not believed; directed schedules."""

from __future__ import annotations

from typing import Any

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.driver import Played, play
from rebalancer.rehearsal.evidence import RunEvidence
from rebalancer.simulators.faults.schedule import Hour, Schedule, Trouble

STAGE = {venue: Stages()(venue) for venue in ("ib", "binance")}
PARTS = {
    "ib": ("", "reqPositions", "reqAccountUpdates"),
    "binance": ("", "*/positionRisk", "*/account"),
}
AN_HOUR_AND_A_HALF = 5400.0


def _weights(venue: str, *weights: str) -> dict[str, str]:
    return dict(zip(STAGE[venue].instruments, weights, strict=True))


def _lied(venue: str, fault: str, step: int, at: str = "", **more: Any) -> Played:
    """Play an hour that buys, and one that wants other weights and is lied to all the time."""
    lie = Trouble(fault, at, count=None, step=step, seconds=more.pop("seconds", AN_HOUR_AND_A_HALF))
    hours = (
        Hour(60, _weights(venue, "0.2", "0.2", "0.2")),
        Hour(60, _weights(venue, "0.3", "0.1", "0.2"), (lie, *more.pop("others", ()))),
    )
    played = play(STAGE[venue], Schedule(venue, 3, hours, **more))
    assert played.violations == ()
    assert played.hits[fault, step] > 0
    return played


def _flags(run: RunEvidence) -> set[str]:
    assert run.record is not None
    return {flag.code for flag in run.record.flags}


def _sent(run: RunEvidence) -> int:
    return sum(each.verb == "new" for each in run.arrivals)


@pytest.mark.parametrize("fault", ["positions-empty", "positions-stale"])
@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_both_lists_without_what_is_held_make_the_run_blind(venue: str, fault: str) -> None:
    """Values, margins and cash are those of a full account: nothing is bought again."""
    first, lied, calm, *_ = _lied(venue, fault, 4).evidence.runs
    assert _sent(first) > 0
    assert (_flags(lied), lied.exit_code, _sent(lied)) == ({"blind"}, 4, 0)
    assert _sent(calm) > 0


@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_one_list_without_what_is_held_sends_nothing(venue: str, part: int) -> None:
    lied = _lied(venue, "positions-empty", 4, PARTS[venue][part]).evidence.runs[1]
    assert _flags(lied) in ({"blind"}, {"sources-disagree"})
    assert _sent(lied) == 0


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_an_old_account_that_adds_up_is_found_out_by_the_books(venue: str) -> None:
    lied = _lied(venue, "account-stale", 4).evidence.runs[1]
    assert {"many-breaks", "reconciliation-break"} <= _flags(lied)
    assert (lied.exit_code, _sent(lied)) == (3, 0)


@pytest.mark.parametrize("at", PARTS["binance"])
def test_what_the_answers_about_margin_flag_holds_the_orders_of_the_same_run(at: str) -> None:
    lied = _lied("binance", "positions-stale", 7, at).evidence.runs[1]
    assert _flags(lied) in ({"blind"}, {"sources-disagree"})
    assert _sent(lied) == 0


def test_an_old_account_takes_no_stops_away() -> None:
    """It shows nothing held, after orders went out; the positions of before are still there."""
    played = _lied("binance", "account-stale", 7, protect=True)
    lied = played.evidence.runs[1]
    assert _sent(lied) > 0
    assert lied.naked == ()
    assert not any(each.verb == "cancel-stop" for each in lied.arrivals)


@pytest.mark.parametrize("fault", ["quote-stale", "quote-zero", "quote-nan"])
@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_no_order_is_moved_by_a_quote_that_none_may_be_sent_by(venue: str, fault: str) -> None:
    rests = (Trouble("no-fill", count=None, step=7),)
    played = _lied(venue, fault, 7, others=rests, follow=True)
    lied = played.evidence.runs[1]
    assert _sent(lied) > 0
    assert not any(each.verb == "change" for each in lied.arrivals)


@pytest.mark.parametrize("fault", ["order-inactive", "order-renumbered"])
def test_an_order_that_sounds_like_another_or_none_is_not_sent_again(fault: str) -> None:
    played = _lied("ib", fault, 7, seconds=3.0)
    assert sum(_sent(run) for run in played.evidence.runs[2:]) == 0


@pytest.mark.parametrize("seconds", [9.0, -9.0, 3600.0, -3600.0])
@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_a_clock_that_is_off_either_way_halts(venue: str, seconds: float) -> None:
    lied = _lied(venue, "clock-skew", 1, seconds=seconds).evidence.runs[1]
    assert (_flags(lied), _sent(lied)) == ({"clock-skew"}, 0)


def test_a_connection_that_is_cut_for_its_pace_sends_nothing() -> None:
    lied = _lied("ib", "pacing-cut", 4, seconds=0.0).evidence.runs[1]
    assert (_flags(lied), _sent(lied)) == ({"cannot-connect"}, 0)


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_what_only_an_old_account_could_tell_a_first_run_is_not_its_fault(venue: str) -> None:
    """Nothing is booked yet: the break shows in the same run, and holds from then on."""
    name = STAGE[venue].instruments[1]
    by_hand = Trouble("trade-in-run", step=5, quantity="0.1", subject=name)
    lie = Trouble("account-stale", count=None, step=4, seconds=AN_HOUR_AND_A_HALF)
    weights = _weights(venue, "0.2", "0.2", "0.2")
    hours = (Hour(60, weights, (by_hand,), dry=True), Hour(60, {}, (lie,)))
    played = play(STAGE[venue], Schedule(venue, 3, hours))
    assert played.violations == ()
    _, first, calm, *_ = played.evidence.runs
    assert first.record is not None
    assert name in {order.instrument for order in first.record.approved}
    assert "reconciliation-break" in _flags(first)
    assert calm.record is not None
    assert name not in {order.instrument for order in calm.record.approved}

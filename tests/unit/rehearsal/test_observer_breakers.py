"""Orders that went out although something forbade them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rebalancer.model.codec import to_plain
from rebalancer.model.flags import Severity
from rebalancer.model.orders import LIQUIDATION, Fill
from rebalancer.model.records import Entry, EntryKind
from rebalancer.rehearsal.evidence import Size
from rebalancer.risk.parameters import Limits
from rebalancer.simulators.faults.hours import Hour, Trouble
from tests.unit.rehearsal.scenes import (
    FIRST,
    SLOTS,
    A,
    B,
    Scene,
    a_fill,
    an_approved,
    an_arrival,
    d,
)

OBEYED, PROTECTED = "breakers-obeyed", "protected"


def test_an_order_that_our_hands_were_asked_for_while_a_halt_file_stood_is_seen(
    tmp_path: Path,
) -> None:
    scene = Scene()
    scene.runs[0].arrivals = (an_arrival(message="hands.submit", halt=True),)
    assert scene.broken(tmp_path) == {OBEYED}


def test_a_new_price_while_a_halt_file_stood_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[0].arrivals = (an_arrival(message="hands.replace", verb="change", halt=True),)
    assert scene.broken(tmp_path) == {OBEYED}


def test_a_message_that_was_under_way_when_the_file_came_is_not(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[0].arrivals = (an_arrival(halt=True),)
    assert scene.broken(tmp_path) == set()


def test_a_request_to_binance_that_began_after_the_file_came_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.venue = "binance"
    scene.runs[0].arrivals = (an_arrival(message="POST /fapi/v1/order", halt=True),)
    assert OBEYED in scene.broken(tmp_path)


def test_only_the_first_request_of_what_was_asked_before_the_file_came_was_under_way(
    tmp_path: Path,
) -> None:
    scene = Scene()
    scene.venue = "binance"
    asked, heard = an_arrival(message="hands.submit"), an_arrival(message="POST /fapi/v1/order")
    scene.runs[0].arrivals = (asked, replace(heard, halt=True))
    assert OBEYED not in scene.broken(tmp_path)
    scene.runs[0].arrivals = (asked, replace(heard, halt=True), replace(heard, halt=True))
    assert OBEYED in scene.broken(tmp_path / "again")
    scene.runs[0].arrivals = (replace(asked, halt=True), replace(heard, halt=True))
    assert OBEYED in scene.broken(tmp_path / "late")
    scene.runs[0].arrivals = (replace(asked, reference="another"), replace(heard, halt=True))
    assert OBEYED in scene.broken(tmp_path / "another")


def test_a_cancel_while_a_halt_file_stands_is_fine(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[0].halt = True
    scene.runs[0].arrivals = (an_arrival(verb="cancel", halt=True),)
    assert scene.broken(tmp_path) == set()


def test_an_order_in_a_run_that_had_a_halt_file_from_its_beginning_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[0].halt = True
    scene.runs[0].arrivals = (an_arrival(halt=True),)
    assert scene.broken(tmp_path) == {OBEYED}


@pytest.mark.parametrize(
    ("code", "severity", "subject"),
    [
        ("drawdown", Severity.HALT, ""),
        ("reconciliation-break", Severity.HOLD, A),
        ("unexplained-cash-large", Severity.HOLD, ""),
        ("rate-missing", Severity.HOLD, "currency:USD"),
    ],
)
def test_a_purchase_after_a_flag_that_forbids_it_is_seen(
    tmp_path: Path, code: str, severity: Severity, subject: str
) -> None:
    scene = Scene()
    scene.flag(FIRST, code, severity, subject)
    assert OBEYED in scene.broken(tmp_path)


@pytest.mark.parametrize(
    ("code", "severity", "subject"),
    [
        ("reconciliation-break", Severity.HOLD, B),
        ("order-refused", Severity.HOLD, A),
        ("unexplained-cash", Severity.NOTE, "currency:USD"),
    ],
)
def test_a_purchase_that_no_flag_forbids_is_fine(
    tmp_path: Path, code: str, severity: Severity, subject: str
) -> None:
    scene = Scene()
    scene.flag(FIRST, code, severity, subject)
    assert scene.broken(tmp_path) == set()


def test_an_order_that_grows_a_position_in_state_reducing_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.flag(FIRST, "leverage-high", Severity.HOLD)
    _approve_reducing(scene)  # the approval lies: nothing was held
    assert OBEYED in scene.broken(tmp_path)


def test_an_order_that_shrinks_a_position_in_state_reducing_is_fine(tmp_path: Path) -> None:
    scene = Scene()
    scene.flag(FIRST, "leverage-high", Severity.HOLD)
    _approve_reducing(scene)
    scene.runs[0].arrivals = (an_arrival(held=d(-100)),)
    assert OBEYED not in scene.broken(tmp_path)


def test_a_breaker_that_the_next_run_forgot_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.latch(FIRST, "drawdown", Severity.HALT)
    assert OBEYED in scene.broken(tmp_path)


def test_a_trade_of_the_venue_for_which_nothing_is_latched_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.entries.append(Entry(EntryKind.FILL, SLOTS[1], _liquidation()))
    seen = [str(each) for each in scene.judged(tmp_path) if each.invariant == OBEYED]
    assert len(seen) == 1
    assert "the venue itself traded -10 A.STK.USD@IB, and nothing is latched" in seen[0]


def test_a_trade_of_the_venue_that_is_latched_is_fine(tmp_path: Path) -> None:
    scene = Scene()
    scene.entries.append(Entry(EntryKind.FILL, SLOTS[1], _liquidation()))
    for slot in SLOTS[1:]:
        scene.latch(slot, "liquidated", Severity.HALT)
    assert OBEYED not in scene.broken(tmp_path)


def test_a_breaker_that_ends_by_itself_may_be_gone(tmp_path: Path) -> None:
    scene = Scene()
    scene.latch(FIRST, "reconciliation-break", Severity.HOLD, A)
    assert scene.broken(tmp_path) == set()


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (Size(d("0.32"), d("0.32"), d("0.32"), grows=True), "the order is 0.320"),
        (Size(d("0.10"), d("0.45"), d("0.45"), grows=True), "the position after it is 0.450"),
        (Size(d("0.10"), d("0.10"), d("1.40"), grows=True), "the gross after it is 1.400"),
    ],
)
def test_an_order_beyond_a_limit_is_seen_by_the_venues_own_prices(
    size: Size, words: str, tmp_path: Path
) -> None:
    scene = Scene()
    scene.runs[0].arrivals = (an_arrival(size=size),)
    assert [words in each.words for each in scene.judged(tmp_path)] == [True]


def test_the_way_out_of_a_position_that_is_too_large_is_fine(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[0].arrivals = (an_arrival(size=Size(d("0.2"), d("0.9"), d("2"), grows=False)),)
    assert scene.broken(tmp_path) == set()


def test_what_the_wire_itself_brought_twice_is_weighed_by_its_own_size_only(tmp_path: Path) -> None:
    scene = Scene()
    scene.hours = (Hour(60, {A: "0.02"}, (Trouble("order-twice"),)),)
    asked = an_arrival(message="hands.submit")
    scene.runs[0].arrivals = (asked, an_arrival(size=Size(d("0.1"), d("2"), d("2"), grows=True)))
    assert scene.broken(tmp_path) == set()
    scene.runs[0].arrivals = (asked, an_arrival(size=Size(d("0.4"), d("2"), d("2"), grows=True)))
    assert scene.broken(tmp_path) == {OBEYED}
    scene.hours = (Hour(60, {A: "0.02"}),)
    scene.runs[0].arrivals = (asked, an_arrival(size=Size(d("0.1"), d("2"), d("2"), grows=True)))
    assert scene.broken(tmp_path) == {OBEYED}


def test_orders_are_weighed_by_the_limits_that_were_in_force_in_their_run(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[0].arrivals = (an_arrival(size=Size(d("0.2"), d("0.2"), None, grows=True)),)
    assert scene.broken(tmp_path) == set()
    scene.runs[0].limits = Limits(max_order_weight=d("0.1"))
    assert scene.broken(tmp_path) == {OBEYED}


def test_a_position_that_lost_its_last_stop_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[1].naked = ("BTCUSDT.PERP@BINANCE held 1 without a stop",)
    assert scene.broken(tmp_path) == {PROTECTED}


def _liquidation() -> Fill:
    return a_fill(exec_id="L1.01", reference="", quantity=d(-10), origin=LIQUIDATION)


def _approve_reducing(scene: Scene) -> None:
    for line in scene.journals[FIRST]:
        if line["kind"] == "intents":
            line["orders"] = [to_plain(an_approved(reducing=True))]
    scene.runs[0].arrivals = (an_arrival(),)

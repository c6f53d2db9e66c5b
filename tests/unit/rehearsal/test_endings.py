"""Where a schedule ended, in words for the summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rebalancer.model.flags import Severity
from rebalancer.model.orders import Action
from rebalancer.model.plan import Why
from rebalancer.rehearsal.endings import AT_TARGETS, HELD, UNFILLED, ending, latches
from tests.unit.rehearsal.scenes import SLOTS, Scene, an_approved, d

LAST = SLOTS[-1]


def test_all_at_their_targets_is_told(tmp_path: Path) -> None:
    assert ending(Scene().evidence(tmp_path)) == AT_TARGETS


@pytest.mark.parametrize(
    ("reason", "end"),
    [(Why.DUST_NOTIONAL.sentence, AT_TARGETS), (Why.NO_QUOTE.sentence, HELD)],
)
def test_what_no_order_can_bring_nearer_is_at_its_target(
    reason: str, end: str, tmp_path: Path
) -> None:
    scene = Scene()
    line, other = scene.records[LAST].lines
    scene.change(LAST, lines=(replace(line, reason=reason), other))
    assert ending(scene.evidence(tmp_path)) == end


@pytest.mark.parametrize(
    ("approved", "end"), [(None, HELD), ("-20", AT_TARGETS), ("-21", UNFILLED)]
)
def test_a_wanted_order_was_refused_has_filled_or_has_not(
    approved: str | None, end: str, tmp_path: Path
) -> None:
    scene = Scene()
    line, other = scene.records[LAST].lines
    sale = replace(line, action=Action.SELL, quantity=d(20), current_quantity=d(120))
    orders = () if approved is None else (an_approved(quantity=d(approved)),) * 2  # and its heir
    scene.change(LAST, lines=(sale, other), approved=orders)
    assert ending(scene.evidence(tmp_path)) == end, "the venue has 100"


def test_a_halt_is_told_by_its_code_and_latches_of_any_run_are_kept(tmp_path: Path) -> None:
    scene = Scene()
    scene.latch(SLOTS[0], "drawdown", Severity.HALT)
    scene.flag(LAST, "drawdown", Severity.HALT, before="end")
    assert ending(scene.evidence(tmp_path)) == "stopped by drawdown"
    assert latches(scene.evidence(tmp_path)) == {"drawdown"}


def test_a_last_run_without_a_record_is_told(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[-1].record = None
    assert ending(scene.evidence(tmp_path)) == "without a record"

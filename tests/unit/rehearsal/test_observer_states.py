"""Books that do not grow as they should, and runs that take too long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rebalancer.model.codec import to_plain
from rebalancer.model.orders import OrderStatus
from rebalancer.rehearsal.evidence import Evidence
from rebalancer.rehearsal.observer import same_again
from rebalancer.risk.parameters import Limits
from tests.unit.rehearsal.scenes import FIRST, SLOTS, Scene, a_run, a_working

MONOTONE, SINGLE = "monotone-states", "single-flight"


def test_an_order_that_was_filled_and_works_again_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.note(FIRST, "end", kind="order", order=to_plain(a_working(OrderStatus.WORKING)))
    assert scene.broken(tmp_path) == {MONOTONE}


def test_a_run_that_was_closed_twice_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.journals[FIRST].append({"kind": "end", "attempt": 1})
    assert scene.broken(tmp_path) == {MONOTONE}


def test_a_slot_without_its_record_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    del scene.records[FIRST]
    assert MONOTONE in scene.broken(tmp_path)


def test_a_record_without_its_journal_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    del scene.journals[SLOTS[1]]
    assert scene.broken(tmp_path) == {MONOTONE}


def test_a_record_that_counts_more_fills_than_are_logged_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.change(SLOTS[1], entries=2)
    assert MONOTONE in scene.broken(tmp_path)


def test_a_file_that_cannot_be_read_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.journals[FIRST].append({"kind": "order", "attempt": 1})
    assert scene.broken(tmp_path) == {MONOTONE}


def test_an_attempt_that_wrote_after_the_next_had_begun_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.journals[FIRST] += [
        {"kind": "begin", "attempt": 2, "mode": "paper"},
        {"kind": "step", "attempt": 1, "step": 8},
    ]
    assert SINGLE in scene.broken(tmp_path)


def test_a_run_that_began_before_the_other_had_ended_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[0].ended = SLOTS[1] + timedelta(minutes=1)
    scene.runs[1].began = SLOTS[1]
    assert SINGLE in scene.broken(tmp_path)


def test_a_lock_that_was_left_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[0].lock_free = False
    assert scene.broken(tmp_path) == {"lock-free"}


def test_a_run_that_took_too_long_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[2].ended = scene.runs[2].began + timedelta(seconds=1201)
    assert scene.broken(tmp_path) == {"bounded-time"}


def test_the_same_schedule_with_another_wire_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    one = _evidence(scene, tmp_path)
    other = replace(one, runs=[replace(run) for run in one.runs])
    assert same_again(one, other) == ()
    other.runs[1].trace = "another"
    assert [v.invariant for v in same_again(one, other)] == ["determinism"]
    other = replace(one, runs=[*one.runs, a_run(SLOTS[2])])
    assert [v.invariant for v in same_again(one, other)] == ["determinism"]


def _evidence(scene: Scene, state: Path) -> Evidence:
    from rebalancer.model.universe import Universe
    from rebalancer.simulators.faults.schedule import Schedule

    return Evidence(
        Schedule("ib", 1, scene.hours), "ib", "books", Universe([]), Limits(), scene.account,
        scene.opening, scene.runs, state,
    )  # fmt: skip

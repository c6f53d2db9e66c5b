"""Calm runs that do not come to their end, and reports that do not tell the truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.codec import to_plain
from rebalancer.model.flags import ErrorFlag, Severity, Step
from rebalancer.model.orders import Action, OrderStatus, RefusedOrder, order_reference
from rebalancer.model.records import Outcome
from rebalancer.model.sessions import Session, SessionTable
from rebalancer.notify.files import late
from tests.unit.rehearsal.scenes import (
    SLOTS,
    A,
    Scene,
    a_fill,
    a_working,
    an_approved,
    d,
)

CONVERGED, TRUE = "convergence", "truthful-report"
LAST = SLOTS[2]


def test_a_calm_run_that_broke_off_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[2].error = "RuntimeError: x"
    assert CONVERGED in scene.broken(tmp_path)


def test_a_schedule_without_a_calm_run_proves_nothing(tmp_path: Path) -> None:
    scene = Scene()
    for run in scene.runs:
        run.hour = 0
    assert CONVERGED in scene.broken(tmp_path)


@pytest.mark.parametrize("code", ["blind", "run-failed", "cannot-connect", "deadline"])
def test_a_calm_run_that_was_halted_for_no_lasting_reason_is_seen(
    tmp_path: Path, code: str
) -> None:
    scene = Scene()
    scene.flag(LAST, code, Severity.HALT, before="end")
    scene.change(LAST, exit_code=3, outcome=Outcome.HALTED)
    assert scene.broken(tmp_path) == {CONVERGED}


def test_a_calm_run_that_a_breaker_halted_has_its_reason(tmp_path: Path) -> None:
    scene = Scene()
    scene.flag(LAST, "drawdown", Severity.HALT, before="end")
    scene.latch(LAST, "drawdown", Severity.HALT)
    scene.change(LAST, exit_code=3, outcome=Outcome.HALTED)
    assert scene.broken(tmp_path) == set()


def test_an_instrument_that_is_called_settled_and_is_not_there_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    _line(scene, current_quantity=d(90))
    assert scene.broken(tmp_path) == {CONVERGED}


def test_an_instrument_that_is_held_for_a_reason_is_fine(tmp_path: Path) -> None:
    scene = Scene()
    _line(scene, current_quantity=d(90), reason="held: no quote")
    assert scene.broken(tmp_path) == set()


def test_a_reason_that_is_none_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    _line(scene, reason="")
    assert scene.broken(tmp_path) == {CONVERGED}


def test_an_instrument_without_a_row_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.change(LAST, lines=scene.records[LAST].lines[1:])
    assert scene.broken(tmp_path) == {CONVERGED}


def test_a_wanted_order_that_nobody_approved_or_refused_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    _line(scene, action=Action.BUY, quantity=d(10), reason="an order is wanted")
    assert scene.broken(tmp_path) == {CONVERGED}


def test_a_wanted_order_that_was_approved_and_never_sent_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    _line(scene, action=Action.BUY, quantity=d(10), reason="an order is wanted")
    reference = order_reference("books", LAST, 1, A, 0)
    scene.change(LAST, approved=(an_approved(reference, quantity=d(10)),))
    assert scene.broken(tmp_path) == {CONVERGED}


def test_a_wanted_order_that_was_refused_has_its_reason(tmp_path: Path) -> None:
    scene = Scene()
    _line(scene, action=Action.BUY, quantity=d(10), reason="an order is wanted")
    refused = RefusedOrder(an_approved().intent, "session", "the market is closed")
    scene.change(LAST, refused=(refused,))
    assert scene.broken(tmp_path) == set()


def test_an_order_that_still_works_and_nobody_tells_of_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    left = order_reference("books", SLOTS[1], 1, A, 0)
    order = an_approved(left, quantity=d(10), current_quantity=d(100))
    scene.note(SLOTS[1], "end", kind="intents", orders=[to_plain(order)])
    scene.note(SLOTS[1], "end", kind="order", order=to_plain(a_working(OrderStatus.WORKING, left)))
    scene.add_order(left, placed_at=SLOTS[1])
    assert scene.broken(tmp_path) == {CONVERGED}


def test_a_record_with_an_execution_that_the_venue_does_not_have_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.change(SLOTS[1], fills=(a_fill(exec_id="0000e0d5.00000999.01.01"),))
    assert scene.broken(tmp_path) == {TRUE}


def test_an_exit_code_that_is_not_the_records_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.runs[1].exit_code = 3
    assert scene.broken(tmp_path) == {TRUE}


def test_a_halted_run_that_calls_itself_finished_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    scene.flag(SLOTS[1], "halt-file", Severity.HALT, before="end")
    assert scene.broken(tmp_path) == {TRUE}


def test_a_daily_mail_with_another_net_liquidation_is_seen(tmp_path: Path) -> None:
    scene = Scene()
    says = "figures as of the run of\n2026-01-05 16:05 UTC; net liquidation 49,999.00 USD"
    scene.runs[1].mails = (("books: session middle 2026-01-05", says),)
    assert scene.broken(tmp_path) == set()
    lies = says.replace("49,999", "50,000")
    scene.runs[1].mails = (("books: session middle 2026-01-05", lies),)
    assert scene.broken(tmp_path) == {TRUE}


@pytest.mark.parametrize("mailed", [True, False])
def test_what_a_run_mailed_before_it_broke_off_is_not_new_to_the_next(
    tmp_path: Path, mailed: bool
) -> None:
    scene = Scene()
    scene.post = True
    broken_off, calm = scene.runs[1:]
    del scene.records[broken_off.slot]
    broken_off.record, broken_off.exit_code, broken_off.error = None, 8, "Interrupted: a test"
    refused = ErrorFlag(Step.SUBMIT, "order-refused", A, Severity.HOLD, "too large")
    scene.note(broken_off.slot, "end", kind="flag", flag=to_plain(refused))
    words = "HOLD order-refused\nrun of 2026-01-05 16:05 UTC, mode paper"
    if mailed:
        broken_off.mails = (("books: HOLD order-refused", words),)
    scene.flag(calm.slot, "order-refused", Severity.HOLD, A, before="end")
    told = [each.words for each in scene.judged(tmp_path) if "never mailed" in each.words]
    assert told == ([] if mailed else [f"order-refused {A} is new and was never mailed"])


@pytest.mark.parametrize(
    ("gone", "next_session", "seen"),
    [(True, True, False), (True, False, True), (False, True, True)],
)
def test_a_session_mail_that_was_gone_is_owed_until_the_next_of_its_kind(
    tmp_path: Path, gone: bool, next_session: bool, seen: bool
) -> None:
    scene = Scene()
    scene.post = True
    starts = [slot - timedelta(minutes=5) for slot in (SLOTS if next_session else SLOTS[:2])]
    days = [SLOTS[0].date() - timedelta(days=each) for each in range(len(starts))]
    scene.sessions = SessionTable(
        "XNYS",
        [
            Session(day, start, start + timedelta(minutes=50))
            for day, start in zip(reversed(days), starts, strict=True)
        ],
    )
    for run, day in zip(scene.runs, reversed(days), strict=False):
        run.mails = ((f"books: session start {day}", ""),)
    broken = scene.runs[1]
    ((subject, _),) = broken.mails
    broken.mails = ()
    if gone:
        key = f"mail:start:{subject[-10:]}"
        (_, note) = late((), "no mail server", (key,))
        scene.change(broken.slot, flags=(note,))
    told = [each.words for each in scene.judged(tmp_path) if "never written" in each.words]
    assert bool(told) == seen


@pytest.mark.parametrize(("command", "seen"), [("", True), ("flatten", False), ("cancel", False)])
def test_the_mail_of_a_session_is_no_business_of_a_command(
    tmp_path: Path, command: str, seen: bool
) -> None:
    scene = Scene()
    scene.post = True
    days = [SLOTS[0].date() - timedelta(days=each) for each in (2, 1, 0)]
    scene.sessions = SessionTable(
        "XNYS",
        [
            Session(day, slot - timedelta(minutes=5), slot + timedelta(minutes=50))
            for day, slot in zip(days, SLOTS, strict=True)
        ],
    )
    scene.change(SLOTS[1], command=command)
    for run, day in zip(scene.runs, days, strict=True):
        run.mails = () if run.slot == SLOTS[1] else ((f"books: session start {day}", ""),)
    told = [each.words for each in scene.judged(tmp_path) if "never written" in each.words]
    assert bool(told) == seen


def _line(scene: Scene, **changes: Any) -> None:
    """Change the row of A in the last run's order file."""
    first, *rest = scene.records[LAST].lines
    scene.change(LAST, lines=(replace(first, **changes), *rest))

"""`evaluate_refusals`: a run whose own orders are refused too often is latched while it sends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step, TradingState
from rebalancer.model.records import RunTally, Standing
from rebalancer.risk import StandingVerdict
from rebalancer.risk.breakers import evaluate_refusals
from tests.unit.risk.builders import NOW, A, an_account, d, some_limits

BREAK = LatchedFlag("reconciliation-break", A, Severity.HOLD, "books and venue", NOW)
BEFORE = Standing(latched=(BREAK,), recent_orders=(RunTally("earlier", 40, 0),))
LIMITS = some_limits(max_reject_rate=d("0.5"))


def judged(orders: int, refused: int, before: Standing = BEFORE) -> StandingVerdict:
    sent = RunTally("this", orders, refused)
    return evaluate_refusals(before, an_account(), LIMITS, sent, now=NOW)


@pytest.mark.parametrize(("orders", "refused"), [(10, 5), (9, 9), (40, 0)])
def test_below_the_limit_nothing_is_remembered_otherwise(orders: int, refused: int) -> None:
    assert judged(orders, refused) == StandingVerdict(BEFORE)


def test_only_this_runs_orders_count_and_what_was_latched_stays() -> None:
    verdict = judged(10, 6)
    message = "the venue refused 6 of the last 10 orders, 60 %; the limit is 50 %"
    said = LatchedFlag("reject-rate", RUN, Severity.HALT, message, NOW, "6|10")
    halted = replace(
        BEFORE,
        latched=verdict.standing.latched,
        state=TradingState.HALTED,
        state_reason=f"reject-rate: {message}",
    )
    told = ErrorFlag(
        Step.SUBMIT, "reject-rate", RUN, Severity.HALT, f"{message} (since 2026-01-05 15:05 UTC)"
    )
    assert verdict == StandingVerdict(halted, (told,))
    assert set(verdict.standing.latched) == {BREAK, said}


def test_one_that_is_latched_already_keeps_its_first_time() -> None:
    first = LatchedFlag(
        "reject-rate", RUN, Severity.HALT, "ten of ten", NOW - timedelta(hours=1), "10|10"
    )
    verdict = judged(10, 6, replace(BEFORE, latched=(first,)))
    (flag,) = verdict.standing.latched
    assert (flag.since, flag.evidence) == (first.since, "6|10")

"""By a clock that the venue contradicts nothing ends for its time, nor stands longer or shorter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.model.conduct import Conduct, Result
from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step
from rebalancer.model.records import Standing
from rebalancer.risk import evaluate_breakers, evaluate_plan
from tests.unit.risk.builders import NOW, A, an_account, d, some_limits

SKEW = ErrorFlag(Step.CONNECT, "clock-skew", RUN, Severity.HALT, "our clock is wrong")
MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
UNTIL = NOW + timedelta(hours=4)
DAY = timedelta(days=1)
TIMED = (
    LatchedFlag("symbol-loss", A, Severity.HOLD, "it lost", NOW, "2000", UNTIL),
    LatchedFlag("book-loss", RUN, Severity.HOLD, "all lost", NOW, "90000", UNTIL),
    LatchedFlag("daily-loss", RUN, Severity.HALT, "the day lost", NOW, f"{MONDAY}|90000"),
)
ACCEPTED = Standing(
    accepted_net_liquidation=Decimal(100_000),
    accepted_at=NOW - timedelta(hours=1),
    session=MONDAY,
    session_start_net_liquidation=Decimal(100_000),
)


def look(
    standing: Standing,
    now: datetime,
    *flags: ErrorFlag,
    results: Sequence[Result] = (),
    session: date = MONDAY,
) -> Standing:
    """Return what is remembered after a run at `now`."""
    return evaluate_breakers(
        standing,
        an_account(),
        (),
        (),
        some_limits(),
        session=session,
        now=now,
        flags=flags,
        conduct=Conduct(results=tuple(results)),
    ).standing


@pytest.mark.parametrize("flag", TIMED, ids=lambda flag: flag.code)
def test_a_clock_that_jumped_ahead_ends_no_loss(flag: LatchedFlag) -> None:
    latched = replace(ACCEPTED, latched=(flag,))
    jumped = look(latched, NOW + DAY, SKEW, session=TUESDAY)
    assert jumped.latched == (flag,)
    assert look(jumped, NOW + timedelta(minutes=5)).latched == (flag,)
    assert look(jumped, NOW + DAY, session=TUESDAY).latched == ()  # that much time has passed


@pytest.mark.parametrize("off", [-DAY, timedelta(hours=1)])
def test_a_wrong_clock_gives_what_stands_no_other_time(off: timedelta) -> None:
    lost = (Result(NOW - timedelta(minutes=30), A, d(-2_000)),)
    first = look(ACCEPTED, NOW, results=lost)
    (flag,) = first.latched
    assert (flag.code, flag.until) == ("symbol-loss", UNTIL)
    assert look(first, NOW + off, SKEW, results=lost).latched == (flag,)
    later = look(first, NOW + timedelta(hours=1), results=lost).latched
    assert later[0].until == UNTIL + timedelta(hours=1)


def test_a_wrong_clock_still_latches_what_is_new_and_ends_what_needs_no_time() -> None:
    lost = (Result(NOW - timedelta(minutes=30), A, d(-2_000)),)
    broken = LatchedFlag("reconciliation-break", A, Severity.HOLD, "ten and seven", NOW, "10|7")
    found = look(replace(ACCEPTED, latched=(broken,)), NOW, SKEW, results=lost)
    assert [flag.code for flag in found.latched] == ["symbol-loss"]


def test_the_owners_word_on_a_plan_is_not_spent_on_a_session_of_a_wrong_clock() -> None:
    word = replace(ACCEPTED, turnover_allowed=d(1))
    for standing in (word, replace(word, turnover_allowed_in=MONDAY)):
        found = evaluate_plan(
            standing,
            an_account(),
            some_limits(),
            d(0),
            Conduct(),
            now=NOW + DAY,
            flags=(SKEW,),
            session=TUESDAY,
        ).standing
        assert found.turnover_allowed == 1
        assert found.turnover_allowed_in == standing.turnover_allowed_in

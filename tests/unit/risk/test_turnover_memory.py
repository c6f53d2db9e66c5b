"""What `turnover-odd` remembers: plans that were sent, and the owner's word for one session."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from rebalancer.model.conduct import Conduct
from rebalancer.model.records import Standing
from rebalancer.risk import Limits, StandingVerdict, clear, evaluate_plan, remember_plan
from tests.unit.risk.builders import NOW, A, an_account, d

WORTH = an_account(cash={"USD": "100000"})
MONDAY = date(2026, 1, 5)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def judged(
    standing: Standing, share: str, session: date | None = MONDAY, limits: Limits | None = None
) -> StandingVerdict:
    """Judge a plan that wants to trade `share` of net liquidation."""
    return evaluate_plan(
        standing,
        WORTH,
        limits or Limits(),
        d(share) * WORTH.net_liquidation,
        Conduct(universe=(A,)),
        now=NOW,
        flags=(),
        session=session,
    )


def history(share: str, count: int = 20) -> Standing:
    """Return what is remembered after `count` plans of which `share` was sent."""
    standing = Standing()
    for number in range(count):
        sent = d(share) * WORTH.net_liquidation
        standing = remember_plan(standing, WORTH, NOW - (count - number) * HOUR, sent)
    return standing


def cleared() -> Standing:
    """Return what is remembered once the owner let a plan of 80 % pass."""
    halted = judged(history("0.01"), "0.8").standing
    return clear(halted, ["turnover-odd"], None, NOW)[0]


def odd(verdict: StandingVerdict) -> bool:
    return [flag.code for flag in verdict.flags] == ["turnover-odd"]


def test_plans_of_which_nothing_was_sent_never_become_the_usual() -> None:
    standing = history("0.02")  # 2 %: the limit is the floor, 50 %
    for number in range(60):
        standing = judged(standing, "0.4").standing
        standing = remember_plan(standing, WORTH, NOW + number * HOUR, Decimal(0))
    assert odd(judged(standing, "3.8"))


def test_of_a_plan_that_was_sent_in_part_the_part_is_remembered() -> None:
    standing = remember_plan(Standing(), WORTH, NOW, d(3_000))
    assert list(standing.wanted_turnover.values()) == [d("0.03")]
    # Twenty plans of 40 %, of each 3 % sent: ten times 3 % is below the floor of 50 %.
    assert odd(judged(history("0.03"), "0.51"))
    assert not odd(judged(history("0.03"), "0.49"))


@pytest.mark.parametrize("value", ["NaN", "0", "-5"])
def test_without_a_sound_net_liquidation_no_plan_is_remembered(value: str) -> None:
    account = replace(WORTH, net_liquidation=d(value))
    assert remember_plan(Standing(), account, NOW, d(1_000)).wanted_turnover == {}


def test_a_word_that_nobody_needed_ends_with_its_session() -> None:
    standing = judged(cleared(), "0.01").standing  # a quiet plan in the session of the word
    for number in range(1, 100):
        standing = judged(standing, "0.01", MONDAY + number * DAY).standing
    verdict = judged(standing, "0.8", MONDAY + 100 * DAY)
    assert odd(verdict)
    assert verdict.standing.turnover_allowed is None


def test_a_word_lasts_the_whole_session_of_the_first_plan_after_it() -> None:
    tuesday = MONDAY + DAY
    # Spoken in the evening: a plan of the closed market does not bind it to any session.
    evening = judged(cleared(), "0.8", None).standing
    assert evening.turnover_allowed_in is None
    first = judged(evening, "0.01", tuesday)
    second = judged(first.standing, "0.8", tuesday)
    assert not odd(first) and not odd(second)
    assert odd(judged(second.standing, "0.8", tuesday + DAY))


def test_a_second_word_is_for_a_session_of_its_own() -> None:
    standing = judged(cleared(), "0.01").standing
    halted = judged(standing, "0.8", MONDAY + DAY).standing
    again = clear(halted, ["turnover-odd"], None, NOW + DAY)[0]
    assert not odd(judged(again, "0.8", MONDAY + DAY))
    assert odd(judged(again, "1.01", MONDAY + DAY))  # 80 % and a quarter is 100 %

"""What is latched, in whole: the owner's words, their numbers, and what clearing reads later."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import Break, CorporateAction
from rebalancer.model.conduct import Conduct, Result, Shortfall
from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step
from rebalancer.model.records import RunTally, Standing
from rebalancer.risk import StandingVerdict, evaluate_breakers, evaluate_plan
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    C,
    a_position,
    an_account,
    d,
    identifier,
    some_limits,
)

MONDAY = date(2026, 1, 5)
HOUR = timedelta(hours=1)
QUIET = Standing(session=MONDAY)
"""Nothing is remembered that a value could be held against."""


def worth(value: str, **changes: Any) -> AccountSnapshot:
    return an_account(cash={"USD": value}, **changes)


def judge(standing: Standing = QUIET, value: str = "100000", **changes: Any) -> StandingVerdict:
    values: dict[str, Any] = {
        "account": worth(value), "breaks": (), "corporate": (), "limits": some_limits(),
        "session": MONDAY, "now": NOW,
    }  # fmt: skip
    return evaluate_breakers(standing, **(values | changes))


def latched(verdict: StandingVerdict) -> LatchedFlag:
    """Return the one flag that is latched."""
    (flag,) = verdict.standing.latched
    return flag


def both(verdict: StandingVerdict) -> tuple[str, str]:
    """Return message and evidence of the one flag that is latched."""
    flag = latched(verdict)
    return flag.message, flag.evidence


# ---------------------------------------------------------------------------- books


def test_a_break_says_both_sides_and_what_is_not_done() -> None:
    flag = latched(judge(breaks=(Break(A, d(10), d(7)),)))
    assert flag.message == (
        f"the books say 10 of {A} and the venue 7; nothing is sent in it until they agree"
    )
    assert (flag.evidence, flag.subject, flag.since) == ("10|7", A, NOW)


def test_many_breaks_name_their_instruments_in_order() -> None:
    found = judge(breaks=tuple(Break(name, d(1), d(2)) for name in (C, A, B))).standing.latched
    (many,) = (flag for flag in found if flag.code == "many-breaks")
    assert many.message == f"books and venue disagree on 3 positions: {A}, {B}, {C}"
    assert many.evidence == "3"


def test_a_corporate_action_says_what_it_looked_like() -> None:
    flag = latched(judge(corporate=(CorporateAction(A, "its contract changed", "1>2"),)))
    assert flag.message == f"{A}: its contract changed; nothing is sent in it"
    assert (flag.evidence, flag.subject) == ("1>2", A)


# ---------------------------------------------------------------------------- worth


@pytest.mark.parametrize(
    ("value", "shown"),
    # From 100,000: +20 % and -20 %.
    [("120000", "120,000 USD, +20 %"), ("80000", "80,000 USD, -20 %")],
)
def test_a_jump_says_from_where_to_where(value: str, shown: str) -> None:
    standing = replace(QUIET, accepted_net_liquidation=d(100_000))
    assert both(judge(standing, value)) == (
        f"net liquidation went from 100,000 USD (last accepted) to {shown}; 15 % is allowed",
        value,
    )


def test_a_days_loss_says_its_session_and_its_numbers() -> None:
    standing = replace(QUIET, session_start_net_liquidation=d(101_000))
    # 1 - 94,000 / 101,000 = 6.93 %
    assert both(judge(standing, "94000")) == (
        "the session of 2026-01-05 lost 6.93 %: from 101,000 USD to 94,000 USD; the limit is 5 %",
        "2026-01-05|94000",
    )


def test_a_drawdown_says_its_mark() -> None:
    standing = replace(QUIET, high_water_mark=d(120_000))
    assert both(judge(standing, "90000")) == (
        "net liquidation 90,000 USD is 25 % below its high-water mark 120,000 USD; "
        "the limit is 25 %",
        "90000",
    )


def test_a_books_loss_says_its_window_and_until_when_it_stands() -> None:
    standing = replace(QUIET, values={(NOW - HOUR).isoformat(): d(100_000)})
    verdict = judge(standing, "93000")
    assert both(verdict) == (
        "the book lost 7 % within 24 hours: from 100,000 USD to 93,000 USD; the limit is 6 %; "
        "only reductions are sent",
        "93000",
    )
    # What the run is told has its times in it too.
    (told,) = verdict.flags
    assert told.step is Step.NET_LIQUIDATION
    assert told.message == (
        f"{latched(verdict).message} "
        "(since 2026-01-05 15:05 UTC, until 2026-01-06 15:05 UTC at least)"
    )


def test_what_ends_at_no_time_says_only_since_when() -> None:
    standing = replace(QUIET, high_water_mark=d(120_000))
    (told,) = judge(standing, "90000").flags
    assert told.message.endswith("the limit is 25 % (since 2026-01-05 15:05 UTC)")
    assert (told.step, told.subject) == (Step.NET_LIQUIDATION, RUN)


# ---------------------------------------------------------------------------- conduct


def test_a_symbols_loss_says_its_window_and_its_part() -> None:
    conduct = Conduct(results=(Result(NOW - HOUR, A, d(-1234)),))
    flag = latched(judge(conduct=conduct))
    # 1,234 of 100,000
    assert flag.message == (
        f"{A} lost 1,234 USD within 4 hours, 1.23 % of net liquidation; the limit is 1 %; "
        "only reductions of it are sent"
    )
    assert (flag.evidence, flag.subject, flag.until) == ("1234", A, NOW + 4 * HOUR)


def test_refusals_say_how_many_of_how_many() -> None:
    tallies = (RunTally("run1", 8, 4), RunTally("run2", 4, 3))
    # 7 of 12 = 58.3 %
    assert both(judge(replace(QUIET, recent_orders=tallies))) == (
        "the venue refused 7 of the last 12 orders, 58.3 %; the limit is 50 %",
        "7|12",
    )


def test_slippage_says_what_it_was_measured_on() -> None:
    each = Shortfall(NOW - HOUR, d(1000), d("12.34"))
    # 12.34 of 1,000 = 123.4 bps
    assert both(judge(conduct=Conduct(shortfalls=(each,) * 10))) == (
        "the last 10 executions cost 123 bps of 10,000 USD against their decision prices; "
        "the limit is 100 bps; only reductions are sent",
        "123.4",
    )


def test_failed_runs_are_counted_in_words() -> None:
    assert both(judge(conduct=Conduct(failed_runs=6))) == (
        "6 runs in a row failed; only reductions are sent until a run has finished",
        "6",
    )


# ---------------------------------------------------------------------------- exposure


def test_leverage_says_what_is_held() -> None:
    account = an_account(a_position(A, "1500"), cash={"USD": "-50000"})
    assert both(judge(account=account)) == (
        "positions of 150,000 USD are 1.5 x net liquidation; the limit is 1.05 x; "
        "only reductions are sent",
        "1.5000",
    )


def test_thin_margin_says_what_is_left_of_it() -> None:
    assert both(judge(account=worth("100000", excess_liquidity=d(3210)))) == (
        "3.21 % of net liquidation is left above the maintenance margin; 5 % must be; "
        "only reductions are sent",
        "0.0321",
    )


# ---------------------------------------------------------------------------- data and plans

NAMES = tuple(identifier(letter) for letter in "ABCDEFGHIJKL")


def bad(count: int, code: str) -> tuple[ErrorFlag, ...]:
    return tuple(
        ErrorFlag(Step.SIGNALS, code, name, Severity.HOLD, "why") for name in NAMES[:count]
    )


@pytest.mark.parametrize(
    ("count", "names"),
    [(3, f"{NAMES[0]}, {NAMES[1]}, {NAMES[2]}"), (4, f"{NAMES[0]}, {NAMES[1]}, {NAMES[2]}, ...")],
)
def test_bad_history_names_the_first_three(count: int, names: str) -> None:
    conduct = Conduct(universe=NAMES)
    assert both(judge(conduct=conduct, flags=bad(count, "history-stale"))) == (
        f"history of {count} of 12 instruments is not usable ({names}); the limit is 25 %",
        f"history|{count}|12",
    )


def plan(
    standing: Standing, wanted: str, account: AccountSnapshot | None = None, **changes: Any
) -> StandingVerdict:
    given: dict[str, Any] = {"now": NOW, "flags": (), "session": MONDAY} | changes
    return evaluate_plan(
        standing, account or worth("100000"), some_limits(), d(wanted), Conduct(universe=NAMES),
        **given,
    )  # fmt: skip


def plans(*shares: str) -> dict[str, Decimal]:
    return {(NOW - n * HOUR).isoformat(): d(share) for n, share in enumerate(shares, 1)}


def test_missing_prices_are_told_as_of_the_order_file() -> None:
    verdict = plan(QUIET, "0", flags=bad(3, "price-missing"))
    assert both(verdict)[1] == "prices|3|12"
    (told,) = verdict.flags
    assert told.step is Step.ORDER_FILE
    assert told.message.startswith("prices of 3 of 12 instruments is not usable")
    assert verdict.standing.state_reason == f"data-poor: {latched(verdict).message}"


def test_an_odd_plan_says_what_is_usual() -> None:
    verdict = plan(replace(QUIET, wanted_turnover=plans(*["0.04"] * 20)), "80000")
    message, evidence = both(verdict)
    assert message.startswith(
        "the plan wants to trade 80 % of net liquidation; half of the last 20"
    )
    # The median of 4 %, and ten times that.
    assert message.endswith("stayed within 4 %, and 40 % is the limit; nothing was sent")
    assert evidence == "0.800000"


def test_after_plans_of_next_to_nothing_a_large_one_is_odd() -> None:
    verdict = plan(replace(QUIET, wanted_turnover=plans(*["0.000000"] * 20)), "80000")
    assert latched(verdict).code == "turnover-odd"


def test_a_plan_ends_nothing_but_what_prices_latched() -> None:
    stands = LatchedFlag("drawdown", RUN, Severity.HALT, "it fell", NOW - HOUR, "90000")
    poor = LatchedFlag("data-poor", RUN, Severity.HOLD, "few prices", NOW - HOUR, "prices|3|12")
    history = replace(poor, code="data-missing", evidence="history|6|12")
    verdict = plan(replace(QUIET, latched=(stands, poor, history)), "0")
    assert verdict.standing.latched == (stands, history)
    assert verdict.flags == ()
    assert verdict.standing.state_reason == "drawdown: it fell"


def test_of_an_unknown_worth_no_plan_is_odd() -> None:
    standing = replace(QUIET, wanted_turnover=plans(*["0.04"] * 20))
    for value in ("NaN", "0"):
        verdict = plan(standing, "80000", an_account(net_liquidation=d(value)))
        assert verdict.flags == ()
        assert verdict.standing.latched == ()
        assert verdict.standing.wanted_turnover == standing.wanted_turnover

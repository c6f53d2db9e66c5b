"""Breakers about losses, refusals, slippage, exposure, data and plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.conduct import Conduct, Result, Shortfall
from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import ExternalFlow, RunTally, SessionTally, Standing
from rebalancer.risk import (
    StandingVerdict,
    clear,
    evaluate_breakers,
    evaluate_plan,
    remember_plan,
)
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

MONDAY, TUESDAY, WEDNESDAY = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)
HOUR = timedelta(hours=1)
ACCEPTED = Standing(
    accepted_net_liquidation=Decimal(100_000),
    accepted_at=NOW - HOUR,
    start_net_liquidation=Decimal(100_000),
    high_water_mark=Decimal(100_000),
    session=MONDAY,
    session_start_net_liquidation=Decimal(100_000),
    orders_in_session=7,
    turnover_in_session=Decimal(5_000),
)


def worth(value: int, **changes: Any) -> AccountSnapshot:
    return an_account(cash={"USD": str(value)}, **changes)


def judge(
    standing: Standing = ACCEPTED, account: AccountSnapshot | None = None, **changes: Any
) -> StandingVerdict:
    values: dict[str, Any] = {
        "breaks": (),
        "corporate": (),
        "limits": some_limits(),
        "session": MONDAY,
        "now": NOW,
    } | changes
    return evaluate_breakers(standing, account or worth(100_000), **values)


def latched(verdict: StandingVerdict) -> list[str]:
    return [flag.code for flag in verdict.standing.latched]


def lost(name: InstrumentId, amount: int, hours_ago: float) -> Result:
    return Result(NOW - timedelta(hours=hours_ago), name, d(-amount))


# ------------------------------------------------------------------------------ the day


def test_the_gap_over_night_is_in_the_loss_of_the_session() -> None:
    # Monday ended at 100,000; Tuesday opens at 95,000: 5 % before its first trade.
    verdict = judge(ACCEPTED, worth(95_000), session=TUESDAY)
    assert latched(verdict) == ["daily-loss"]
    assert "100,000" in verdict.flags[0].message
    assert latched(judge(ACCEPTED, worth(95_001), session=TUESDAY)) == []


def test_a_session_begins_with_the_last_accepted_value_of_the_one_before() -> None:
    begun = judge(ACCEPTED, worth(98_000), session=TUESDAY).standing
    assert begun.session_start_net_liquidation == d(100_000)
    # 100,000 less 5 % is 95,000, although the session's first run saw 98,000.
    assert latched(judge(begun, worth(95_000), session=TUESDAY)) == ["daily-loss"]


def test_a_withdrawal_over_night_is_no_loss() -> None:
    flow = ExternalFlow(NOW - timedelta(minutes=5), d(-10_000), "USD")
    verdict = judge(ACCEPTED, worth(89_000), session=TUESDAY, flows=(flow,))
    assert latched(verdict) == []
    assert verdict.standing.session_start_net_liquidation == d(90_000)


def test_each_session_has_a_limit_of_its_own_after_one_that_passed_it() -> None:
    first = judge(ACCEPTED, worth(94_000))
    assert latched(first) == ["daily-loss"]
    later = judge(first.standing, worth(92_000), now=NOW + HOUR)  # it falls on while halted
    assert later.standing.accepted_net_liquidation == d(100_000)
    # Tuesday counts from 94,000, where Monday's limit was passed: 92,000 is 2.1 % below.
    tuesday = judge(later.standing, worth(92_000), session=TUESDAY, now=NOW + 24 * HOUR)
    assert latched(tuesday) == []
    assert tuesday.standing.session_start_net_liquidation == d(94_000)
    # 94,000 less 5 % is 89,300.
    fallen = judge(later.standing, worth(89_300), session=TUESDAY, now=NOW + 24 * HOUR)
    assert latched(fallen) == ["daily-loss"]
    assert fallen.standing.latched[0].since == NOW + 24 * HOUR
    wednesday = judge(fallen.standing, worth(89_000), session=WEDNESDAY, now=NOW + 48 * HOUR)
    assert wednesday.standing.session_start_net_liquidation == d(89_300)


def test_a_value_that_nobody_believes_is_no_reference_for_the_next_session() -> None:
    first = judge(ACCEPTED, worth(50_000))
    assert {"daily-loss", "net-liquidation-jump"} <= set(latched(first))
    assert first.standing.next_session_reference is None


def test_a_session_that_ends_is_remembered_with_what_it_traded() -> None:
    after = judge(ACCEPTED, session=TUESDAY).standing
    assert after.sessions == (SessionTally(MONDAY, 7, d(5_000)),)
    assert after.orders_in_session == 0
    assert after.turnover_in_session == 0
    assert judge(after, session=TUESDAY).standing.sessions == after.sessions


# --------------------------------------------------------------------- losses in windows


def test_an_instrument_that_lost_too_much_is_banned_for_its_window() -> None:
    # 1 % of 100,000 within 4 hours.
    conduct = Conduct(results=(lost(A, 600, 3.9), lost(A, 400, 1), lost(B, 999, 1)))
    verdict = judge(conduct=conduct)
    assert [(f.code, f.subject, f.severity) for f in verdict.flags] == [
        ("symbol-loss", A, Severity.HOLD)
    ]
    ban = verdict.standing.latched[0]
    assert ban.until == NOW + 4 * HOUR
    assert verdict.standing.state is TradingState.ACTIVE  # everything else goes on
    assert verdict.standing.accepted_at == NOW
    before = judge(verdict.standing, now=NOW + 4 * HOUR - timedelta(seconds=1))
    assert latched(before) == ["symbol-loss"]
    assert latched(judge(verdict.standing, now=NOW + 4 * HOUR)) == []


def test_losses_outside_the_short_window_count_in_the_long_one() -> None:
    old = tuple(lost(A, 1_000, hours) for hours in (5, 10, 20))
    verdict = judge(conduct=Conduct(results=old))  # 3 % within 24 hours
    assert verdict.standing.latched[0].until == NOW + 24 * HOUR
    assert latched(judge(conduct=Conduct(results=old[:2]))) == []
    older = (*old[:2], lost(A, 1_000, 24.1))
    assert latched(judge(conduct=Conduct(results=older))) == []


def test_gains_make_up_for_losses_of_the_same_instrument_only() -> None:
    made_up = (lost(A, 1_500, 1), lost(A, -501, 2))
    assert latched(judge(conduct=Conduct(results=made_up))) == []
    other = (lost(A, 1_500, 1), lost(B, -5_000, 2))
    assert latched(judge(conduct=Conduct(results=other))) == ["symbol-loss"]


def test_what_the_owner_forgave_does_not_count_again() -> None:
    conduct = Conduct(results=(lost(A, 1_000, 1),))
    banned = judge(conduct=conduct).standing
    free, words = clear(banned, [f"symbol-loss:{A}"], None, NOW)
    assert "count from now on" in words[0]
    assert latched(judge(free, conduct=conduct, now=NOW + HOUR)) == []
    new = Conduct(results=(*conduct.results, Result(NOW + HOUR, A, d(-1_000))))
    assert latched(judge(free, conduct=new, now=NOW + HOUR)) == ["symbol-loss"]


def test_the_book_only_reduces_after_a_loss_within_a_day() -> None:
    loose = some_limits(daily_loss=d(1))
    values = {
        (NOW - 20 * HOUR).isoformat(): d(101_000),
        (NOW - 25 * HOUR).isoformat(): d(200_000),  # outside the window
    }
    standing = replace(ACCEPTED, values=values)
    # 101,000 less 6 % is 94,940.
    assert latched(judge(standing, worth(94_941), limits=loose)) == []
    verdict = judge(standing, worth(94_940), limits=loose)
    assert latched(verdict) == ["book-loss"]
    assert verdict.standing.state is TradingState.REDUCING
    assert verdict.standing.latched[0].until == NOW + 24 * HOUR
    assert verdict.standing.accepted_net_liquidation == d(94_940)  # a HOLD halts nothing
    # The high leaves the window: what is left of it is 94,940 itself.
    over = judge(verdict.standing, worth(94_940), limits=loose, now=NOW + 24 * HOUR)
    assert latched(over) == []
    assert over.standing.state is TradingState.ACTIVE
    resumed, _ = clear(verdict.standing, ["book-loss"], None, NOW)
    assert latched(judge(resumed, worth(94_940), limits=loose)) == []


def test_accepted_values_are_kept_net_of_flows_and_for_the_window_only() -> None:
    standing = replace(ACCEPTED, values={(NOW - 2 * HOUR).isoformat(): d(100_000)})
    flow = ExternalFlow(NOW - timedelta(minutes=5), d(-30_000), "USD")
    after = judge(standing, worth(70_000), flows=(flow,)).standing
    assert after.values == {
        (NOW - 2 * HOUR).isoformat(): d(70_000),
        NOW.isoformat(): d(70_000),
    }
    later = judge(after, worth(70_000), now=NOW + 23 * HOUR).standing
    assert sorted(later.values) == [NOW.isoformat(), (NOW + 23 * HOUR).isoformat()]


# ------------------------------------------------------------------- refusals, slippage


@pytest.mark.parametrize(
    ("tallies", "halts"),
    [
        ([(9, 9)], False),  # too few to say anything
        ([(5, 3), (5, 2)], False),  # half is allowed
        ([(5, 3), (5, 3)], True),
        ([(100, 0), (10, 10)], False),
    ],
)
def test_too_many_refusals_halt(tallies: Sequence[tuple[int, int]], halts: bool) -> None:
    recent = tuple(RunTally(f"run{n}", *each) for n, each in enumerate(tallies))
    verdict = judge(replace(ACCEPTED, recent_orders=recent))
    assert latched(verdict) == (["reject-rate"] if halts else [])
    if halts:
        assert verdict.standing.state is TradingState.HALTED
        again = judge(replace(verdict.standing, recent_orders=()))
        assert latched(again) == ["reject-rate"]  # never by itself
        resumed, _ = clear(verdict.standing, ["reject-rate"], None, NOW)
        assert latched(judge(resumed)) == []


def paid(bps: int, count: int = 10, hours_ago: float = 1, notional: int = 1_000) -> Conduct:
    cost = d(notional) * bps / 10_000
    each = Shortfall(NOW - timedelta(hours=hours_ago), d(notional), cost)
    return Conduct(shortfalls=(each,) * count)


def test_dear_executions_let_only_reductions_through() -> None:
    assert latched(judge(conduct=paid(100))) == []
    assert latched(judge(conduct=paid(500, count=9))) == []
    assert latched(judge(conduct=paid(500, hours_ago=121))) == []
    verdict = judge(conduct=paid(101))
    assert latched(verdict) == ["slippage"]
    assert verdict.standing.state is TradingState.REDUCING
    assert latched(judge(verdict.standing, conduct=paid(0))) == ["slippage"]
    resumed, _ = clear(verdict.standing, ["slippage"], None, NOW)
    assert latched(judge(resumed, conduct=paid(101))) == []


def test_slippage_is_weighted_by_notional() -> None:
    small = Shortfall(NOW, d(100), d(10))  # 1,000 bps of 100
    large = Shortfall(NOW, d(100_000), d(100))  # 10 bps of 100,000
    # (9 x 10 + 100) / (900 + 100,000) = 18.8 bps
    assert latched(judge(conduct=Conduct(shortfalls=(small,) * 9 + (large,)))) == []


# --------------------------------------------------------------------- leverage, margin


def test_leverage_above_its_limit_lets_only_reductions_through() -> None:
    account = an_account(a_position(A, "1060"), cash={"USD": "-6000"})  # 106,000 on 100,000
    verdict = judge(account=account)
    assert latched(verdict) == ["leverage-high"]
    assert "1.06 x" in verdict.flags[0].message
    assert verdict.standing.state is TradingState.REDUCING
    back = an_account(a_position(A, "1050"), cash={"USD": "-5000"})  # 1.05 is the limit
    assert latched(judge(verdict.standing, back)) == []
    unknown = replace(back, positions=(a_position(A, "1050", value=None),))
    assert latched(judge(verdict.standing, unknown)) == ["leverage-high"]


def test_a_short_counts_like_a_long_in_leverage() -> None:
    account = an_account(a_position(A, "-1060"), cash={"USD": "206000"})
    assert latched(judge(account=account)) == ["leverage-high"]


@pytest.mark.parametrize(
    ("changes", "thin"),
    [
        ({"excess_liquidity": d(5_000)}, False),
        ({"excess_liquidity": d(4_999)}, True),
        ({"cushion": d("0.049")}, True),
        ({"cushion": d("0.05")}, False),
        ({}, False),  # the venue does not say
    ],
)
def test_little_margin_lets_only_reductions_through(changes: dict[str, Any], thin: bool) -> None:
    verdict = judge(account=worth(100_000, **changes))
    assert latched(verdict) == (["margin-thin"] if thin else [])
    if thin:
        assert verdict.standing.state is TradingState.REDUCING
        assert latched(judge(verdict.standing, worth(100_000))) == ["margin-thin"]
        rich = worth(100_000, excess_liquidity=d(50_000))
        assert latched(judge(verdict.standing, rich)) == []


def test_the_margin_floor_is_never_above_the_cushion() -> None:
    limits = some_limits(margin_cushion=d("0.02"))
    account = worth(100_000, excess_liquidity=d(3_000))
    assert latched(judge(account=account, limits=limits)) == []


# ---------------------------------------------------------------------- runs, data, plans


def test_many_failed_runs_in_a_row_let_only_reductions_through_until_one_finishes() -> None:
    assert latched(judge(conduct=Conduct(failed_runs=4))) == []
    verdict = judge(conduct=Conduct(failed_runs=5))
    assert latched(verdict) == ["failed-runs"]
    assert verdict.standing.state is TradingState.REDUCING
    assert latched(judge(verdict.standing, conduct=Conduct(failed_runs=1))) == ["failed-runs"]
    assert latched(judge(verdict.standing, conduct=Conduct(failed_runs=0))) == []


NAMES = tuple(identifier(letter) for letter in "ABCDEFGHIJKL")
UNIVERSE = Conduct(universe=NAMES)


def bad(count: int, code: str = "history-stale") -> tuple[ErrorFlag, ...]:
    return tuple(
        ErrorFlag(Step.SIGNALS, code, name, Severity.HOLD, "too old") for name in NAMES[:count]
    )


@pytest.mark.parametrize(
    ("count", "codes"),
    [
        (2, []),
        (3, ["data-poor"]),  # a quarter of twelve
        (5, ["data-poor"]),
        (6, ["data-missing", "data-poor"]),
    ],
)
def test_bad_history_of_a_part_of_the_universe_reduces_and_of_most_halts(
    count: int, codes: list[str]
) -> None:
    verdict = judge(conduct=UNIVERSE, flags=bad(count))
    assert latched(verdict) == codes
    assert latched(judge(verdict.standing, conduct=UNIVERSE)) == []


@pytest.mark.parametrize("size", [1, 2])
def test_a_universe_smaller_than_three_halts_when_all_of_it_is_bad(size: int) -> None:
    conduct = Conduct(universe=NAMES[:size])
    assert latched(judge(conduct=conduct, flags=bad(size - 1))) == []
    assert latched(judge(conduct=conduct, flags=bad(size))) == ["data-missing", "data-poor"]


def test_an_empty_universe_has_no_bad_instruments() -> None:
    assert latched(judge(conduct=Conduct(), flags=bad(2))) == []


def planned(standing: Standing = ACCEPTED, wanted: int = 0, **changes: Any) -> StandingVerdict:
    values: dict[str, Any] = {"flags": (), "session": MONDAY} | changes
    return evaluate_plan(
        standing, worth(100_000), some_limits(), d(wanted), UNIVERSE, now=NOW, **values
    )


def sent(standing: Standing, amount: int, hours: int = 0) -> Standing:
    return remember_plan(standing, worth(100_000), NOW + hours * HOUR, d(amount))


def with_history(count: int, amount: int) -> Standing:
    standing = ACCEPTED
    for hours in range(count):
        standing = sent(planned(standing, amount).standing, amount, -count + hours)
    return standing


def test_missing_prices_are_judged_when_the_plan_is_made() -> None:
    verdict = planned(flags=bad(6, "price-missing"))
    assert sorted(latched(verdict)) == ["data-missing", "data-poor"]
    assert {flag.severity for flag in verdict.flags} == {Severity.HALT, Severity.HOLD}
    closed = planned(flags=bad(6, "price-missing"), session=None)
    assert latched(closed) == []
    kept = judge(verdict.standing, conduct=UNIVERSE)  # step 4 has not seen prices yet:
    assert sorted(latched(kept)) == ["data-missing", "data-poor"]  # it stands,
    assert kept.flags == ()  # and stops nothing before the prices of this run are known
    assert kept.standing.state is TradingState.ACTIVE
    again = planned(kept.standing, flags=bad(6, "price-missing"))
    assert again.standing.state is TradingState.HALTED
    assert {flag.since for flag in again.standing.latched} == {NOW}
    assert sorted(latched(planned(kept.standing, session=None))) == ["data-missing", "data-poor"]
    over = planned(kept.standing)
    assert latched(over) == []
    assert over.standing.state is TradingState.ACTIVE


def test_a_plan_far_from_its_history_halts_its_own_run() -> None:
    usual = with_history(20, 4_000)  # 4 %; ten times that is 40 %, the floor is 50 %
    assert planned(usual, 49_999).flags == ()
    verdict = planned(usual, 50_000)
    assert [(f.code, f.severity) for f in verdict.flags] == [("turnover-odd", Severity.HALT)]
    assert "50 %" in verdict.flags[0].message
    assert verdict.standing.state is TradingState.HALTED
    assert verdict.standing.wanted_turnover == usual.wanted_turnover  # not one of the usual
    assert latched(judge(verdict.standing)) == ["turnover-odd"]


def test_a_plan_is_judged_by_enough_plans_of_which_something_was_sent() -> None:
    assert planned(with_history(19, 4_000), 90_000).flags == ()
    idle = with_history(25, 0)
    assert idle.wanted_turnover == {}
    assert planned(idle, 90_000).flags == ()
    lively = with_history(20, 9_000)  # 9 %: ten times that is 90 %
    assert planned(lively, 90_000).flags == ()
    assert planned(lively, 90_001).flags != ()


def test_the_same_slot_again_is_one_plan() -> None:
    again = sent(sent(ACCEPTED, 4_000), 5_000)
    assert list(again.wanted_turnover.values()) == [d("0.05")]


def test_the_owner_lets_a_large_plan_pass_for_one_session() -> None:
    halted = planned(with_history(20, 1_000), 80_000).standing
    resumed, words = clear(halted, ["turnover-odd"], None, NOW)
    assert "100 %" in words[0]  # 80 % and a quarter
    assert planned(resumed, 100_001).flags != ()
    # The owner spoke in the evening; the session after it makes such a plan, and once more
    # for what was left of it.
    tuesday = judge(resumed, session=TUESDAY).standing
    first = planned(tuesday, 100_000, session=TUESDAY)
    traded = planned(first.standing, 60_000, session=TUESDAY)
    assert (first.flags, traded.flags) == ((), ())
    wednesday = judge(traded.standing, session=WEDNESDAY).standing
    assert planned(wednesday, 80_000, session=WEDNESDAY).flags != ()


def test_a_latched_hold_on_the_run_means_reducing_whatever_this_run_flags() -> None:
    standing = judge(conduct=paid(101)).standing
    assert judge(standing).standing.state is TradingState.REDUCING
    assert judge(standing).flags[0].subject == RUN
    assert C not in {flag.subject for flag in standing.latched}


def test_what_an_earlier_version_remembered_is_still_read() -> None:
    plain = to_plain(replace(ACCEPTED, latched=judge(conduct=paid(101)).standing.latched))
    new = ["next_session_reference", "sessions", "recent_orders", "values", "losses_since"]
    new += ["slippage_since", "wanted_turnover", "turnover_allowed", "turnover_allowed_in"]
    for name in new:
        del plain[name]
    for flag in plain["latched"]:
        del flag["until"]
    read = from_plain(Standing, plain)
    assert latched(judge(read)) == ["slippage"]
    assert judge(read, session=TUESDAY).standing.session_start_net_liquidation == d(100_000)


def test_a_days_loss_that_an_earlier_version_latched_ends_with_its_session() -> None:
    old = LatchedFlag("daily-loss", RUN, Severity.HALT, "it lost", NOW, MONDAY.isoformat())
    standing = replace(ACCEPTED, latched=(old,))
    assert latched(judge(standing)) == ["daily-loss"]
    assert latched(judge(standing, session=TUESDAY)) == []
    cleared, _ = clear(standing, ["daily-loss"], None, NOW)
    assert cleared.latched == ()

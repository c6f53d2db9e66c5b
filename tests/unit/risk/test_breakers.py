"""Breakers: what latches, what lifts, and what a halted run must not move."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import Break, CorporateAction
from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import ExternalFlow, Standing
from rebalancer.risk import (
    ALL,
    StandingVerdict,
    clear,
    clearing_rules,
    evaluate_breakers,
    latch_key,
    trading_state,
)
from tests.unit.risk.builders import NOW, A, B, C, a_position, an_account, d, some_limits

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
ACCEPTED = Standing(
    accepted_net_liquidation=Decimal(100_000),
    accepted_at=NOW - timedelta(hours=1),
    start_net_liquidation=Decimal(80_000),
    high_water_mark=Decimal(110_000),
    session=MONDAY,
    session_start_net_liquidation=Decimal(101_000),
    orders_in_session=7,
    turnover_in_session=Decimal(5_000),
)


def worth(value: int) -> AccountSnapshot:
    return an_account(cash={"USD": str(value)})


def judge(standing: Standing, account: AccountSnapshot, **changes: Any) -> StandingVerdict:
    values: dict[str, Any] = {
        "breaks": (),
        "corporate": (),
        "limits": some_limits(),
        "session": MONDAY,
        "now": NOW,
    } | changes
    return evaluate_breakers(standing, account, **values)


def latched(verdict: StandingVerdict) -> list[str]:
    return [flag.code for flag in verdict.standing.latched]


def test_a_quiet_run_accepts_its_value() -> None:
    verdict = judge(ACCEPTED, worth(104_000))
    assert verdict.flags == ()
    assert verdict.standing.accepted_net_liquidation == d(104_000)
    assert verdict.standing.accepted_at == NOW
    assert verdict.standing.high_water_mark == d(110_000)
    assert verdict.standing.orders_in_session == 7
    assert verdict.standing.state is TradingState.ACTIVE


def test_a_new_portfolio_begins_with_what_it_finds() -> None:
    found = judge(Standing(), worth(50_000)).standing
    assert found.start_net_liquidation == found.high_water_mark == d(50_000)
    assert found.session == MONDAY
    assert found.session_start_net_liquidation == d(50_000)


@pytest.mark.parametrize(("value", "halts"), [(115_000, False), (115_001, True), (84_999, True)])
def test_a_jump_beyond_its_limit_halts(value: int, halts: bool) -> None:
    standing = replace(ACCEPTED, session=None, high_water_mark=None)
    verdict = judge(standing, worth(value))
    assert latched(verdict) == (["net-liquidation-jump"] if halts else [])


def test_a_jump_is_latched_and_its_reference_stays() -> None:
    first = judge(ACCEPTED, worth(120_000))
    assert [(f.code, f.severity) for f in first.flags] == [("net-liquidation-jump", Severity.HALT)]
    assert "+20 %" in first.flags[0].message
    assert first.standing.accepted_net_liquidation == d(100_000)
    assert first.standing.high_water_mark == d(110_000)
    assert first.standing.state is TradingState.HALTED
    again = judge(first.standing, worth(101_000), now=NOW + timedelta(hours=1))
    assert latched(again) == ["net-liquidation-jump"]  # never by itself
    assert again.standing.latched[0].since == NOW
    assert again.standing.accepted_net_liquidation == d(100_000)


def test_booked_flows_are_no_jump_and_no_loss() -> None:
    flow = ExternalFlow(NOW - timedelta(minutes=5), d(-30_000), "USD")
    verdict = judge(ACCEPTED, worth(70_000), flows=(flow,))
    assert verdict.flags == ()
    assert verdict.standing.high_water_mark == d(80_000)
    assert verdict.standing.start_net_liquidation == d(50_000)
    assert verdict.standing.session_start_net_liquidation == d(71_000)
    old = replace(flow, at=NOW - timedelta(hours=2))
    assert "net-liquidation-jump" in latched(judge(ACCEPTED, worth(70_000), flows=(old,)))


def test_a_days_loss_halts_until_the_next_session() -> None:
    # 5 % of 101,000 is 5,050: 95,950 is at the limit
    assert latched(judge(ACCEPTED, worth(95_951))) == []
    first = judge(ACCEPTED, worth(95_950))
    assert latched(first) == ["daily-loss"]
    assert "5 %" in first.flags[0].message
    later = judge(first.standing, worth(100_000))
    assert latched(later) == ["daily-loss"]
    next_day = judge(later.standing, worth(96_000), session=TUESDAY)
    assert latched(next_day) == []
    # Each session has a limit of its own: it begins where the last one's was passed.
    assert next_day.standing.session_start_net_liquidation == d(95_950)
    assert next_day.standing.orders_in_session == 0
    assert next_day.standing.turnover_in_session == 0


def test_a_drawdown_halts_until_the_owner_says_so() -> None:
    standing = replace(ACCEPTED, session=None, high_water_mark=d(120_000))
    # 1 - 90,000 / 120,000 = 25 %
    first = judge(standing, worth(90_000))
    assert latched(first) == ["drawdown"]
    assert latched(judge(first.standing, worth(119_000), limits=some_limits(
        net_liquidation_jump=d(1)))) == ["drawdown"]  # fmt: skip
    resumed, words = clear(first.standing, ["drawdown"], worth(90_000), NOW)
    assert resumed.high_water_mark == d(90_000)
    assert "high-water mark" in words[0]
    assert latched(judge(resumed, worth(90_000))) == []


def test_a_break_holds_its_instrument_until_the_books_agree() -> None:
    first = judge(ACCEPTED, worth(100_000), breaks=(Break(A, d(10), d(7)),))
    assert [(f.code, f.subject, f.severity) for f in first.flags] == [
        ("reconciliation-break", A, Severity.HOLD)
    ]
    assert "10" in first.flags[0].message
    assert "7" in first.flags[0].message
    assert first.standing.accepted_net_liquidation == d(100_000)  # a HOLD halts nothing
    assert latched(judge(first.standing, worth(100_000))) == []


def test_many_breaks_halt_until_all_agree() -> None:
    breaks = tuple(Break(name, d(1), d(2)) for name in (A, B, C))
    first = judge(ACCEPTED, worth(104_000), breaks=breaks)
    assert latched(first).count("reconciliation-break") == 3
    assert "many-breaks" in latched(first)
    assert first.standing.accepted_net_liquidation == d(100_000)
    fewer = judge(first.standing, worth(104_000), breaks=breaks[:1])
    assert sorted(latched(fewer)) == ["many-breaks", "reconciliation-break"]
    assert latched(judge(fewer.standing, worth(104_000))) == []


def test_a_corporate_action_holds_and_its_contract_is_not_accepted() -> None:
    account = an_account(a_position(A, "10", contract="99"), a_position(B, "10", contract="5"))
    standing = replace(Standing(), contracts={A: "1"})
    act = CorporateAction(A, "the contract changed", "1>99")
    first = judge(standing, account, corporate=(act,))
    assert latched(first) == ["corporate-action"]
    assert first.standing.contracts == {A: "1", B: "5"}
    resumed, words = clear(first.standing, [f"corporate-action:{A}"], account, NOW)
    assert resumed.contracts[A] == "99"
    assert resumed.latched == ()
    assert "99" in words[0]


@pytest.mark.parametrize(
    ("known", "breaks", "left"),
    [
        (None, (), ["corporate-action"]),  # nothing is known of the history
        (frozenset(), (), ["corporate-action"]),  # the split is still in it
        (frozenset({B}), (), ["corporate-action"]),
        (frozenset({A, B}), (Break(A, d(10), d(7)),), ["corporate-action", "reconciliation-break"]),
        (frozenset({A, B}), (), []),
    ],
)
def test_a_corporate_action_ends_when_positions_agree_and_history_is_continuous(
    known: frozenset[InstrumentId] | None, breaks: tuple[Break, ...], left: list[str]
) -> None:
    act = CorporateAction(A, "its price jumped against the last close like a split 2:1", "2:1")
    first = judge(ACCEPTED, worth(100_000), corporate=(act,), continuous=frozenset({A}))
    assert latched(first) == ["corporate-action"]  # it is seen now, whatever history says
    # The next session: the stored last close is at the new level, nothing is seen any more.
    later = judge(first.standing, worth(100_000), continuous=known, breaks=breaks)
    assert latched(later) == left


def test_the_prices_of_what_is_held_are_remembered_until_something_is_amiss() -> None:
    account = an_account(a_position(A, "10"), a_position(B, "5", price="30"), a_position(C, "0"))
    first = judge(Standing(), account).standing
    assert first.marks == {A: d(100), B: d(30)}
    halved = an_account(a_position(A, "10", price="50"), a_position(B, "5", price="31"))
    act = CorporateAction(A, "its price went from 100 to 50", "2:1")
    second = judge(first, halved, corporate=(act,)).standing
    assert second.marks == {A: d(100), B: d(31)}  # the doubt stands on the price before
    followed = an_account(a_position(A, "20", price="50"), a_position(B, "5", price="31"))
    broken = (Break(A, d(10), d(20)),)
    assert judge(second, followed, corporate=(act,), breaks=broken).standing.marks == second.marks
    act = replace(act, followed=True)
    third = judge(second, followed, corporate=(act,), breaks=broken).standing
    assert third.marks == {B: d(31)}  # the position tells by itself now
    assert judge(third, followed, continuous=frozenset({A})).standing.marks == {A: d(50), B: d(31)}


def test_a_halted_run_remembers_no_new_price() -> None:
    account = an_account(a_position(A, "10"))
    first = judge(Standing(), account).standing
    dearer = an_account(a_position(A, "10", price="110"), a_position(B, "1"))
    halt = ErrorFlag(Step.NET_LIQUIDATION, "stale-account", RUN, Severity.HALT, "no")
    assert judge(first, dearer, flags=(halt,)).standing.marks == {A: d(100)}
    broken = (Break(A, d(9), d(10)),)
    assert judge(first, dearer, flags=(halt,), breaks=broken).standing.marks == {}


def test_a_price_that_is_missing_leaves_the_one_before() -> None:
    first = judge(Standing(), an_account(a_position(A, "10"))).standing
    silent = an_account(a_position(A, "10", price="100"))
    silent = replace(silent, positions=(replace(silent.positions[0], price=None),))
    assert judge(first, silent).standing.marks == {A: d(100)}
    assert judge(first, worth(100_000)).standing.marks == {}


def test_the_same_trouble_stands_once_from_its_first_time() -> None:
    # The snapshot of one run and step 4 of the next latch the same break in other words.
    older = LatchedFlag("reconciliation-break", A, Severity.HOLD, "after the run", NOW, "")
    newer = replace(older, message="10 and 7", evidence="10|7", since=NOW + timedelta(hours=1))
    for both in ((older, newer), (newer, older)):
        verdict = judge(
            replace(ACCEPTED, latched=both), worth(100_000), breaks=(Break(A, d(10), d(7)),),
            now=NOW + timedelta(hours=2),
        )  # fmt: skip
        assert [(f.code, f.since) for f in verdict.standing.latched] == [
            ("reconciliation-break", NOW)
        ]
        assert len(verdict.flags) == 1


def test_two_unresolved_orders_of_one_instrument_are_two_troubles() -> None:
    one = LatchedFlag("unresolved-order", A, Severity.HOLD, "one?", NOW, "ref1|")
    two = replace(one, message="two?", evidence=f"ref2|{NOW.isoformat()}")
    verdict = judge(replace(ACCEPTED, latched=(one, two)), worth(100_000))
    assert verdict.standing.latched == (one, two)
    assert latch_key(one) != latch_key(two)
    assert latch_key(one) == latch_key(replace(one, evidence=f"ref1|{NOW.isoformat()}"))


def test_any_halt_of_the_run_moves_nothing() -> None:
    flag = ErrorFlag(Step.NET_LIQUIDATION, "net-liquidation-range", RUN, Severity.HALT, "range")
    verdict = judge(ACCEPTED, worth(105_000), flags=(flag,), session=TUESDAY)
    kept = verdict.standing
    assert replace(kept, latched=(), state=ACCEPTED.state, state_reason="") == ACCEPTED


@pytest.mark.parametrize("value", ["NaN", "0", "-5"])
def test_a_value_that_is_no_value_moves_nothing(value: str) -> None:
    verdict = judge(ACCEPTED, an_account(net_liquidation=d(value)))
    assert verdict.standing == ACCEPTED


def test_what_is_latched_is_raised_again_each_run() -> None:
    flag = LatchedFlag("unresolved-order", A, Severity.HOLD, "is it there?", NOW, "ref|")
    verdict = judge(replace(ACCEPTED, latched=(flag,)), worth(100_000))
    assert verdict.standing.latched == (flag,)
    assert [(f.code, f.subject) for f in verdict.flags] == [("unresolved-order", A)]


def test_a_hold_on_the_run_means_reducing() -> None:
    flag = ErrorFlag(Step.TARGETS, "leverage-unreachable", RUN, Severity.HOLD, "too much")
    assert trading_state((), (flag,))[0] is TradingState.REDUCING
    verdict = judge(ACCEPTED, worth(100_000), flags=(flag,))
    assert verdict.standing.state is TradingState.REDUCING
    assert "leverage-unreachable" in verdict.standing.state_reason


def test_resume_accepts_a_jump() -> None:
    halted = judge(ACCEPTED, worth(120_000)).standing
    resumed, words = clear(halted, [ALL], worth(121_000), NOW, by="anna")
    assert resumed.accepted_net_liquidation == d(121_000)
    assert resumed.state is TradingState.ACTIVE
    assert "anna" in words[0]
    assert judge(resumed, worth(121_000)).flags == ()
    blind, _ = clear(halted, ["net-liquidation-jump"], None, NOW)
    assert blind.accepted_net_liquidation == d(120_000)


@pytest.mark.parametrize("account", [None, worth(95_000)])
def test_resume_begins_the_days_loss_anew(account: AccountSnapshot | None) -> None:
    halted = judge(ACCEPTED, worth(95_000)).standing
    resumed, _ = clear(halted, ["daily-loss"], account, NOW)
    again = judge(resumed, worth(95_000))
    assert again.flags == ()
    assert again.standing.session_start_net_liquidation == d(95_000)


def test_resume_leaves_what_another_command_clears() -> None:
    flag = LatchedFlag("unresolved-order", A, Severity.HOLD, "is it there?", NOW, "ref|")
    standing = replace(ACCEPTED, latched=(flag,))
    found, words = clear(standing, [ALL, "nonsense"], None, NOW)
    assert found.latched == (flag,)
    assert "rebalancer resolve" in words[0]
    assert words[1] == "nothing latched is nonsense"


def test_status_says_what_clears_each_flag() -> None:
    halted = judge(ACCEPTED, worth(120_000), breaks=(Break(A, d(1), d(2)),)).standing
    rows = {row.code: row for row in clearing_rules(halted)}
    assert rows["net-liquidation-jump"].command == "rebalancer resume"
    assert rows["reconciliation-break"].by_itself == "the books agree again"
    assert all(row.effect for row in rows.values())

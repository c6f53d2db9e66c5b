"""Whatever happens: a latch stays until its rule, and no tighter limit ever unlatches."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import Break, CorporateAction
from rebalancer.model.codec import from_json, to_json
from rebalancer.model.conduct import Conduct, Result, Shortfall
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import NEVER, ErrorFlag, Severity, Step, TradingState
from rebalancer.model.records import RunTally, Standing
from rebalancer.risk import (
    BREAKERS,
    Limits,
    StandingVerdict,
    clear,
    clearing_rules,
    evaluate_breakers,
    latch_key,
)
from tests.unit.risk.builders import NOW, A, B, C, a_position, an_account, d, some_limits

SESSION = date(2026, 1, 5)
TIGHT: dict[str, tuple[Any, Any]] = {
    "net_liquidation_jump": (d("0.3"), d("0.01")),
    "daily_loss": (d("0.2"), d("0.005")),
    "drawdown": (d("0.5"), d("0.01")),
    "book_loss": (d("0.2"), d("0.005")),
    "symbol_loss_short": (d("0.05"), d("0.001")),
    "symbol_loss_long": (d("0.05"), d("0.001")),
    "max_reject_rate": (d("0.9"), d("0.1")),
    "max_slippage_bps": (d(500), d(1)),
    "max_gross_leverage": (d(2), d("0.1")),
    "margin_floor": (d("0.01"), d("0.1")),
    "bad_data_to_reduce": (d(1), d("0.1")),
    "bad_data_to_halt": (d(1), d("0.1")),
    "breaks_to_halt": (4, 1),
    "failed_runs_to_reduce": (9, 1),
}
"""Each limit loose and tight."""


@st.composite
def hours(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what one run sees."""
    names = (A, B, C)
    gains = st.integers(-3_000, 1_000)
    results = tuple(
        Result(NOW - timedelta(hours=draw(st.integers(0, 30))), name, d(draw(gains)))
        for name in draw(st.lists(st.sampled_from(names), max_size=4))
    )
    bps = draw(st.integers(-50, 600))
    shortfalls = (Shortfall(NOW, d(1_000), d(bps) / 10),) * draw(st.sampled_from([0, 9, 10]))
    account = an_account(
        *(a_position(name, str(draw(st.integers(-400, 400)))) for name in names),
        net_liquidation=d(draw(st.integers(60_000, 130_000))),
        excess_liquidity=draw(st.sampled_from([None, d(500), d(20_000)])),
    )
    breaks = tuple(Break(name, d(1), d(2)) for name in names if not draw(st.integers(0, 3)))
    return {
        "account": account,
        "breaks": breaks,
        "corporate": tuple(
            CorporateAction(each.instrument, "it looks like a split", "2:1")
            for each in breaks
            if draw(st.booleans())
        ),
        "flags": tuple(
            ErrorFlag(Step.SIGNALS, "history-stale", name, Severity.HOLD, "old")
            for name in names
            if draw(st.booleans())
        ),
        "continuous": frozenset(draw(st.lists(st.sampled_from(names)))),
        "conduct": Conduct(results, shortfalls, draw(st.integers(0, 9)), names),
        "now": NOW + timedelta(hours=draw(st.integers(0, 40))),
        "session": SESSION + timedelta(days=draw(st.integers(0, 2))),
    }


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Draw what was remembered."""
    value = d(draw(st.integers(80_000, 120_000)))
    recent = draw(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12)), max_size=3))
    return Standing(
        accepted_net_liquidation=value,
        accepted_at=NOW - timedelta(hours=1),
        start_net_liquidation=value,
        high_water_mark=value + draw(st.integers(0, 30_000)),
        session=SESSION,
        session_start_net_liquidation=value,
        values={(NOW - timedelta(hours=2)).isoformat(): value},
        recent_orders=tuple(
            RunTally(f"r{n}", sent, min(sent, refused)) for n, (sent, refused) in enumerate(recent)
        ),
    )


def evaluate(
    standing: Standing, seen: dict[str, Any], limits: Limits, **more: Any
) -> StandingVerdict:
    """Return the verdict on one run."""
    return evaluate_breakers(standing, limits=limits, **seen, **more)


def keys(standing: Standing) -> set[tuple[str, str, str]]:
    """Return what is latched."""
    return {latch_key(flag) for flag in standing.latched}


@settings(max_examples=150, deadline=None)
@given(standings(), st.lists(hours(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_breakers_is_irrelevant(
    standing: Standing, runs: list[dict[str, Any]], chance: random.Random
) -> None:
    mixed = list(BREAKERS)
    chance.shuffle(mixed)
    one = other = standing
    for seen in runs:
        first = evaluate(one, seen, some_limits())
        second = evaluate(other, seen, some_limits(), breakers=mixed)
        assert first == second
        one, other = first.standing, second.standing


@settings(max_examples=200, deadline=None)
@given(standings(), st.lists(hours(), min_size=1, max_size=5))
def test_what_only_the_owner_ends_stays_latched_since_its_first_time(
    standing: Standing, runs: list[dict[str, Any]]
) -> None:
    since: dict[tuple[str, str, str], Any] = {}
    for seen in runs:
        before = standing
        # A restart in between: what is remembered went to the disk and came back.
        standing = from_json(Standing, to_json(evaluate(before, seen, some_limits()).standing))
        for flag in standing.latched:
            if FLAG_TABLE[flag.code].clears == NEVER:
                first = since.setdefault(latch_key(flag), flag.since)
                assert flag.since == min(first, flag.since)
                since[latch_key(flag)] = flag.since
        assert set(since) <= keys(standing)
        if any(flag.severity is Severity.HALT for flag in standing.latched):
            assert standing.state is TradingState.HALTED
            assert standing.accepted_net_liquidation == before.accepted_net_liquidation
            assert standing.high_water_mark == before.high_water_mark
            assert standing.session_start_net_liquidation == before.session_start_net_liquidation
            assert standing.values == before.values


@settings(max_examples=200, deadline=None)
@given(standings(), st.lists(hours(), min_size=1, max_size=3))
def test_a_window_stands_until_its_time(standing: Standing, runs: list[dict[str, Any]]) -> None:
    for seen in sorted(runs, key=lambda each: each["now"]):
        before = {latch_key(flag): flag for flag in standing.latched}
        standing = evaluate(standing, seen, some_limits()).standing
        for key, flag in before.items():
            if flag.until is not None and seen["now"] < flag.until:
                assert key in keys(standing)


@settings(max_examples=300, deadline=None)
@given(standings(), hours(), hours(), st.sampled_from(sorted(TIGHT)))
def test_a_tighter_limit_never_unlatches(
    standing: Standing, first: dict[str, Any], second: dict[str, Any], name: str
) -> None:
    loose, tight = (some_limits(**{name: value}) for value in TIGHT[name])
    assert keys(evaluate(standing, first, loose).standing) <= keys(
        evaluate(standing, first, tight).standing
    )
    latched = evaluate(standing, first, loose).standing
    assert keys(evaluate(latched, second, loose).standing) <= keys(
        evaluate(latched, second, tight).standing
    )


@settings(max_examples=150, deadline=None)
@given(standings(), hours(), st.booleans())
def test_the_owner_ends_what_resume_ends_and_only_what_is_so_is_back(
    standing: Standing, seen: dict[str, Any], blind: bool
) -> None:
    latched = evaluate(standing, seen, some_limits()).standing
    assert all(rule.ended_by and rule.effect for rule in clearing_rules(latched))
    account: AccountSnapshot | None = None if blind else seen["account"]
    cleared, words = clear(latched, ["all"], account, seen["now"])
    assert cleared.latched == ()
    assert cleared.state is TradingState.ACTIVE
    assert len(words) == max(1, len(latched.latched))
    back = evaluate(cleared, seen, some_limits()).standing
    stated = {"reconciliation-break", "many-breaks", "corporate-action", "leverage-high"}
    stated |= {"margin-thin", "data-poor", "data-missing", "failed-runs"}
    assert {flag.code for flag in back.latched} <= stated


@settings(max_examples=100, deadline=None)
@given(standings(), hours())
def test_the_state_is_the_gravest_of_what_is_latched(
    standing: Standing, seen: dict[str, Any]
) -> None:
    verdict = evaluate(standing, seen, some_limits())
    latched = verdict.standing.latched
    halts = any(flag.severity is Severity.HALT for flag in latched)
    holds = any(flag.severity is Severity.HOLD and not flag.subject for flag in latched)
    expected = TradingState.REDUCING if holds else TradingState.ACTIVE
    assert verdict.standing.state is (TradingState.HALTED if halts else expected)
    assert {(f.code, f.subject) for f in verdict.flags} == {(f.code, f.subject) for f in latched}
    assert Decimal(len({latch_key(flag) for flag in latched})) == len(latched)
    assert replace(verdict.standing, latched=()) is not None

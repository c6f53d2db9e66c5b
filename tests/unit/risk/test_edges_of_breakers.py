"""Breakers at their edges: the first and last moment of a window, a value that flows used up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import CorporateAction
from rebalancer.model.conduct import Conduct, Result, Shortfall
from rebalancer.model.flags import RUN, LatchedFlag, Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import ExternalFlow, Standing
from rebalancer.risk import StandingVerdict, evaluate_breakers, latch_key
from rebalancer.risk.breakers.exposure import cushion_of, gross_of
from rebalancer.risk.breakers.worth import day_reference, window_high
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    a_position,
    an_account,
    d,
    identifier,
    some_limits,
)

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
ACCEPTED = Standing(
    accepted_net_liquidation=Decimal(100_000),
    accepted_at=NOW - HOUR,
    high_water_mark=Decimal(100_000),
    session=MONDAY,
    session_start_net_liquidation=Decimal(100_000),
)


def worth(value: str, **changes: Any) -> AccountSnapshot:
    return an_account(cash={"USD": value}, **changes)


def judge(standing: Standing = ACCEPTED, value: str = "100000", **changes: Any) -> StandingVerdict:
    values: dict[str, Any] = {
        "account": worth(value), "breaks": (), "corporate": (), "limits": some_limits(),
        "session": MONDAY, "now": NOW,
    }  # fmt: skip
    return evaluate_breakers(standing, **(values | changes))


def codes(verdict: StandingVerdict) -> list[str]:
    return [flag.code for flag in verdict.standing.latched]


def flow(amount: str, at: datetime = NOW - timedelta(minutes=5)) -> tuple[ExternalFlow, ...]:
    return (ExternalFlow(at, d(amount), "USD"),)


# ---------------------------------------------------------------------------- references


@pytest.mark.parametrize(
    ("start", "moved", "counts"),
    [
        ("10000", "20000", "30000"),  # more came in than was there
        ("10000", "-9999", "1"),
        ("10000", "-9999.5", "0.5"),
        ("10000", "-10000", None),
        ("10000", "-10001", None),
        (None, "500", None),
    ],
)
def test_a_days_loss_counts_from_its_start_and_what_moved(
    start: str | None, moved: str, counts: str | None
) -> None:
    standing = replace(ACCEPTED, session_start_net_liquidation=None if start is None else d(start))
    wanted = None if counts is None else d(counts)
    assert day_reference(standing, MONDAY, d(moved)) == wanted


@pytest.mark.parametrize(
    ("moved", "highest"),
    # Of 100 and 300 the higher one, net of what moved.
    [("50", "350"), ("-299", "1"), ("-299.5", "0.5"), ("-300", None), ("-301", None)],
)
def test_the_highest_value_of_a_window_is_net_of_what_moved(
    moved: str, highest: str | None
) -> None:
    values = {(NOW - 24 * HOUR).isoformat(): d(300), (NOW - HOUR).isoformat(): d(100)}
    standing = replace(ACCEPTED, values=values)
    wanted = None if highest is None else d(highest)
    assert window_high(standing, NOW, 24.0, d(moved)) == wanted
    # A second later the first one is out of it.
    later = window_high(standing, NOW + SECOND, 24.0, d(50))
    assert later == d(150)


def test_a_deposit_larger_than_the_mark_does_not_blind_the_drawdown() -> None:
    standing = Standing(high_water_mark=d(10_000), accepted_at=NOW - HOUR)
    # 10,000 and 30,000 more: 40,000, of which 30,000 are three quarters.
    assert codes(judge(standing, "30000", flows=flow("30000"))) == ["drawdown"]
    assert codes(judge(standing, "30001", flows=flow("30000"))) == []


@pytest.mark.parametrize(("left", "codes_of"), [("0", []), ("0.5", ["drawdown"])])
def test_a_mark_that_was_paid_out_is_no_mark(left: str, codes_of: list[str]) -> None:
    standing = Standing(high_water_mark=d(10_000), accepted_at=NOW - HOUR)
    out = str(d(left) - 10_000)
    # A quarter of 0.5 is 0.125: 0.375 is at the limit.
    assert codes(judge(standing, "0.375", flows=flow(out))) == codes_of


@pytest.mark.parametrize(
    ("out", "before", "shown"),
    [
        ("-10000", "0.00", ""), ("-10001", "-1.00", ""),
        ("-9999.5", "0.50", ", +100 %"),  # from 0.50 to 1
    ],
)  # fmt: skip
def test_what_is_there_after_everything_was_paid_out_is_a_jump(
    out: str, before: str, shown: str
) -> None:
    standing = Standing(accepted_net_liquidation=d(10_000), accepted_at=NOW - HOUR)
    (flag,) = judge(standing, "1", flows=flow(out)).standing.latched
    assert flag.message == (
        f"net liquidation went from {before} USD (last accepted) to 1.00 USD{shown}; "
        "15 % is allowed"
    )


def test_what_moved_when_a_value_was_accepted_is_in_it_already() -> None:
    moved = flow("-30000", NOW - HOUR)
    assert codes(judge(value="100000", flows=moved)) == []
    assert judge(value="100000", flows=moved).standing.high_water_mark == d(100_000)
    later = flow("-30000", NOW - HOUR + SECOND)
    assert judge(value="70000", flows=later).standing.high_water_mark == d(70_000)


# ---------------------------------------------------------------------------- sessions


def test_a_run_before_the_next_session_leaves_the_start_of_the_last() -> None:
    found = judge(ACCEPTED, "98000", session=None).standing
    assert found.session_start_net_liquidation == d(100_000)
    assert found.session == MONDAY
    moved = judge(ACCEPTED, "68000", session=None, flows=flow("-30000")).standing
    assert moved.session_start_net_liquidation == d(70_000)


def test_a_start_that_was_paid_out_begins_anew_instead_of_blinding_the_day() -> None:
    # It began with 100,000, made 60,000, and 120,000 went out: 40,000 are there.
    rich = replace(ACCEPTED, accepted_net_liquidation=d(160_000), high_water_mark=d(160_000))
    after = judge(rich, "40000", flows=flow("-120000")).standing
    assert after.session_start_net_liquidation == d(40_000)
    # 5 % of 40,000
    assert codes(judge(after, "38001")) == []
    assert codes(judge(after, "38000")) == ["daily-loss"]


def test_a_days_loss_after_a_withdrawal_leaves_a_reference_without_it() -> None:
    # 100,000 less 10,000 is 90,000; 85,000 is 5.6 % below. The withdrawal is not accepted yet:
    # it is taken off again with the next run.
    fallen = judge(value="85000", flows=flow("-10000")).standing
    assert [flag.code for flag in fallen.latched] == ["daily-loss"]
    assert fallen.next_session_reference == d(95_000)
    tuesday = judge(fallen, "85000", session=TUESDAY, flows=flow("-10000")).standing
    assert tuesday.session_start_net_liquidation == d(85_000)
    assert tuesday.next_session_reference is None  # Tuesday's own loss sets Wednesday's


def test_a_days_loss_that_stands_before_the_first_session_moves_no_reference() -> None:
    stands = LatchedFlag("daily-loss", RUN, Severity.HALT, "it lost", NOW, "2026-01-05|94000")
    standing = replace(ACCEPTED, latched=(stands,), next_session_reference=d(94_000))
    found = judge(standing, "92000", session=None).standing
    assert found.latched == (stands,)
    assert found.next_session_reference == d(94_000)


def test_what_stood_comes_before_what_is_new() -> None:
    stands = LatchedFlag("daily-loss", RUN, Severity.HALT, "it lost", NOW, "2026-01-05|94000")
    standing = replace(
        ACCEPTED, latched=(stands,), values={(NOW - HOUR).isoformat(): d(100_000)}
    )  # fmt: skip
    # Monday's ends with Tuesday, which lost 7 % itself; so did the book within the day.
    assert codes(judge(standing, "93000", session=TUESDAY)) == ["daily-loss", "book-loss"]


# ---------------------------------------------------------------------------- windows


def lost(amount: str, at: datetime, name: InstrumentId = A) -> Conduct:
    return Conduct(results=(Result(at, name, d(f"-{amount}")),))


def test_a_loss_is_in_its_window_from_the_first_moment_on() -> None:
    assert codes(judge(conduct=lost("1000", NOW - 4 * HOUR))) == ["symbol-loss"]
    assert codes(judge(conduct=lost("1000", NOW - 4 * HOUR - SECOND))) == []


def test_what_was_lost_when_the_owner_spoke_is_forgiven() -> None:
    standing = replace(ACCEPTED, losses_since={A: NOW - HOUR})
    assert codes(judge(standing, conduct=lost("1000", NOW - HOUR))) == []
    assert codes(judge(standing, conduct=lost("1000", NOW - HOUR + SECOND))) == ["symbol-loss"]


def test_the_longer_window_decides_until_when_an_instrument_is_banned() -> None:
    heavy = lost("5000", NOW - HOUR)  # 5 %: more than 1 % in the short and 3 % in the long one
    (flag,) = judge(conduct=heavy).standing.latched
    assert flag.until == NOW + 24 * HOUR
    swapped = some_limits(symbol_loss_short_hours=24.0, symbol_loss_long_hours=4.0)
    (flag,) = judge(conduct=heavy, limits=swapped).standing.latched
    assert flag.until == NOW + 24 * HOUR
    same = some_limits(symbol_loss_short_hours=24.0, symbol_loss_long_hours=24.0)
    (flag,) = judge(conduct=heavy, limits=same).standing.latched
    assert "the limit is 1 %" in flag.message


def shortfalls(count: int, notional: str, bps: int, at: datetime = NOW) -> Conduct:
    each = Shortfall(at, d(notional), d(notional) * bps / 10_000)
    return Conduct(shortfalls=(each,) * count)


def test_slippage_counts_from_the_first_moment_of_its_window_and_after_the_owners_word() -> None:
    begin = NOW - 120 * HOUR
    assert codes(judge(conduct=shortfalls(10, "1000", 101, begin))) == ["slippage"]
    assert codes(judge(conduct=shortfalls(10, "1000", 101, begin - SECOND))) == []
    spoke = replace(ACCEPTED, slippage_since=NOW - HOUR)
    assert codes(judge(spoke, conduct=shortfalls(10, "1000", 101, NOW - HOUR))) == []
    after = shortfalls(10, "1000", 101, NOW - HOUR + SECOND)
    assert codes(judge(spoke, conduct=after)) == ["slippage"]


def test_executions_of_nothing_cost_nothing_and_small_ones_count() -> None:
    assert codes(judge(conduct=shortfalls(10, "0", 500))) == []
    assert codes(judge(conduct=shortfalls(10, "0.05", 500))) == ["slippage"]  # of 0.50 in all


def test_what_was_forgiven_is_remembered_as_long_as_the_longest_window() -> None:
    since = {A: NOW - 24 * HOUR, B: NOW - 24 * HOUR - SECOND}
    assert judge(replace(ACCEPTED, losses_since=since)).standing.losses_since == {
        A: NOW - 24 * HOUR
    }


def test_values_are_kept_for_the_window_of_the_books_loss() -> None:
    begin, before = (NOW - 24 * HOUR).isoformat(), (NOW - 24 * HOUR - SECOND).isoformat()
    standing = replace(ACCEPTED, values={begin: d(100_000), before: d(100_000)})
    assert sorted(judge(standing).standing.values) == [begin, NOW.isoformat()]


# ---------------------------------------------------------------------------- books, exposure


def test_a_split_of_one_instrument_does_not_hold_another() -> None:
    one, other = CorporateAction(A, "a split", "2:1"), CorporateAction(B, "a split", "3:1")
    first = judge(corporate=(one,)).standing
    later = judge(first, corporate=(other,), continuous=frozenset({A}))
    assert [flag.subject for flag in later.standing.latched] == [B]


def test_an_order_is_known_by_its_reference_with_or_without_more() -> None:
    def key(evidence: str) -> tuple[str, str, str]:
        flag = LatchedFlag("unresolved-order", A, Severity.HOLD, "?", NOW, evidence)
        return latch_key(flag)

    assert key("ref1") == key("ref1|") == key("ref1|2026|more") != key("ref2")
    loss = LatchedFlag("daily-loss", RUN, Severity.HALT, "?", NOW, "2026-01-05|1")
    assert latch_key(loss) == ("daily-loss", RUN, "")


EUR = identifier("SAP", "EUR")


def test_gross_is_the_sum_of_all_that_is_held_in_base_currency() -> None:
    held = (a_position(A, "0"), a_position(A, "-10"), a_position(B, "5"), a_position(EUR, "4"))
    account = an_account(*held, rates={"EUR": "1.25"})
    # 1,000 + 500 + 400 x 1.25
    assert gross_of(account) == d(2000)


@pytest.mark.parametrize(
    "unknown",
    [
        a_position(A, "1", value=None),
        a_position(A, "1", value=Decimal("NaN")),
        a_position(EUR, "1"),
    ],
)
def test_gross_is_unknown_when_one_value_is(unknown: Any) -> None:
    assert gross_of(an_account(a_position(B, "1"), unknown)) is None


@pytest.mark.parametrize(
    ("value", "excess", "stated", "cushion"),
    [
        ("1", "0.04", None, "0.04"), ("0.5", "0.04", None, "0.08"),
        # Without a value of our own what the venue states counts, if it states one.
        ("0", "1", "0.3", "0.3"), ("0", "1", None, None), ("-1", "1", "0.3", "0.3"),
        ("100", None, "0.3", "0.3"), ("100", "NaN", "0.3", "0.3"),
        ("100", None, "NaN", None), ("NaN", "1", "0.3", "0.3"),
    ],
)  # fmt: skip
def test_the_cushion_is_excess_liquidity_by_net_liquidation(
    value: str, excess: str | None, stated: str | None, cushion: str | None
) -> None:
    account = an_account(
        net_liquidation=d(value),
        excess_liquidity=None if excess is None else d(excess),
        cushion=None if stated is None else d(stated),
    )
    assert cushion_of(account) == (None if cushion is None else d(cushion))


def test_an_account_of_a_hundred_bans_what_lost_one() -> None:
    small = replace(Standing(), session=MONDAY)
    for amount, banned in (("1", ["symbol-loss"]), ("0.99", [])):
        assert codes(judge(small, "100", conduct=lost(amount, NOW - HOUR))) == banned


# ------------------------------------------------------------------ until when flows are in it


@pytest.mark.parametrize(
    ("at", "accepted"),
    [
        (NOW + SECOND, NOW + SECOND),  # looked at after the run began
        (NOW - SECOND, NOW - SECOND),
        (NOW - 2 * HOUR, NOW - HOUR),  # older than the last one: never back
    ],
)
def test_flows_count_from_the_time_of_the_account_that_was_accepted(
    at: datetime, accepted: datetime
) -> None:
    account = replace(worth("100000"), at=at)
    assert judge(account=account).standing.accepted_at == accepted
    assert judge(Standing(), account=account).standing.accepted_at == at

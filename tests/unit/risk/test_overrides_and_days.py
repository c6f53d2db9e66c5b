"""Gates about one instrument as the owner wants it, and about several sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rebalancer.model.flags import ErrorFlag, Severity, Step
from rebalancer.model.universe import Sleeve
from rebalancer.risk import GateInput, Override, apply_gates
from tests.unit.risk.builders import (
    A,
    B,
    a_position,
    an_account,
    an_intent,
    d,
    gate_input,
    some_limits,
)

HELD = an_account(a_position(A, "100"), a_position(B, "100"))


def both_ways(**changes: Any) -> GateInput:
    """Return a sale of what is held of A and a buy of B."""
    intents = (an_intent(A, "-50"), an_intent(B, "50", sequence=1))
    return gate_input(intents, account=HELD, **changes)


def refusals(given: GateInput) -> dict[str, str]:
    """Return gate by instrument."""
    return {each.intent.instrument: each.gate for each in apply_gates(given).refused}


@pytest.mark.parametrize(
    ("override", "refused"),
    [
        (Override(no_trading=True), {A: "override", B: "override"}),
        (Override(reduce_only=True), {B: "override"}),
        (Override(max_weight=d("0.16")), {}),  # 150 x 100 of 120,000 is 12.5 %
        (Override(max_weight=d("0.12")), {B: "concentration"}),
        (Override(max_notional=d(14_999)), {B: "concentration"}),
        (Override(max_notional=d(15_000)), {}),
        (Override(max_weight=d(10)), {}),
    ],
)
def test_the_owners_word_on_an_instrument_is_a_gate(
    override: Override, refused: dict[str, str]
) -> None:
    assert refusals(both_ways(overrides={A: override, B: override})) == refused


def test_an_override_never_widens_a_limit_for_all() -> None:
    tight = some_limits(max_position_weight=d("0.11"))
    wide = Override(max_weight=d(10), max_notional=d(10**9))
    assert refusals(both_ways(limits=tight, overrides={B: wide})) == {B: "concentration"}


def test_what_the_configuration_forbids_is_a_note_in_plain_words() -> None:
    verdicts = apply_gates(both_ways(overrides={B: Override(no_trading=True)}))
    assert [(f.code, f.subject, f.severity) for f in verdicts.flags] == [
        ("override", B, Severity.NOTE)
    ]
    assert "no_trading" in verdicts.flags[0].message


def test_orders_of_the_sessions_before_count() -> None:
    limits = some_limits(max_orders_per_days=10)
    assert refusals(both_ways(limits=limits, orders_before=5, orders_in_session=3)) == {}
    late = both_ways(limits=limits, orders_before=6, orders_in_session=3)
    assert refusals(late) == {B: "orders"}
    reason = apply_gates(late).refused[0].reason
    assert reason == "it is order 11 of 5 sessions; the limit is 10"


def test_turnover_of_the_sessions_before_counts() -> None:
    # 120,000: with 10,000 of this run, 1.0 is passed from 110,000 traded before.
    limits = some_limits(max_turnover_per_days=d(1))
    assert refusals(both_ways(limits=limits, turnover_before=d(110_000))) == {}
    late = both_ways(limits=limits, turnover_before=d(100_000), turnover_in_session=d(10_001))
    assert refusals(late) == {B: "turnover"}  # the reduction passes
    assert "5 sessions would trade 100" in apply_gates(late).refused[0].reason


def banned(*names: str) -> tuple[ErrorFlag, ...]:
    return tuple(
        ErrorFlag(Step.NET_LIQUIDATION, "symbol-loss", name, Severity.HOLD, "it lost too much")
        for name in names
    )


def test_what_lost_too_much_may_be_reduced_and_not_bought() -> None:
    assert refusals(both_ways(flags=banned(A, B))) == {B: "hold"}
    more = gate_input((an_intent(A, "-150"),), account=HELD, flags=banned(A))
    assert refusals(more) == {A: "hold"}  # more than is held is no reduction


def test_a_ban_refuses_a_neutral_sleeve_only_for_what_it_refuses() -> None:
    pair = (Sleeve("pair", (A, B), d(1), neutral=True),)
    assert refusals(both_ways(flags=banned(A), sleeves=pair)) == {}
    assert refusals(both_ways(flags=banned(B), sleeves=pair)) == {A: "neutral", B: "hold"}
    held = replace(banned(A)[0], code="price-missing")
    assert refusals(both_ways(flags=(held,), sleeves=pair)) == {A: "hold", B: "neutral"}


def test_what_is_not_set_for_several_sessions_follows_one_session() -> None:
    limits = some_limits(max_orders_per_session=10, max_turnover_per_session=d(4))
    assert limits.orders_of_days == 25
    assert limits.turnover_of_days == d(10)
    assert some_limits(max_orders_per_days=7).orders_of_days == 7

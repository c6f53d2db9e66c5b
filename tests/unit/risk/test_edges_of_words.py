"""The owner's word at its edges: what moved since, which session it is for, the smallest worth."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from rebalancer.model.conduct import Conduct
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import LatchedFlag
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import Standing
from rebalancer.risk import apply_gates, clear, evaluate_plan, remember_plan
from rebalancer.risk.breakers.quality import word_of_now
from tests.unit.risk.builders import NOW, A, B, an_account, an_intent, d, gate_input, some_limits

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
ALLOWED = Standing(turnover_allowed=d("0.5"), turnover_allowed_in=MONDAY)


@pytest.mark.parametrize(
    ("code", "evidence", "field"),
    [
        ("net-liquidation-jump", "1|2", "accepted_net_liquidation"),
        ("daily-loss", "1|2", "session_start_net_liquidation"),
        ("daily-loss", "1|2", "next_session_reference"),
        ("drawdown", "1|2", "high_water_mark"),
    ],
)
@pytest.mark.parametrize("moved", ["40000", "-40000"])
def test_what_came_in_since_is_counted_once_when_a_value_is_accepted(
    code: str, evidence: str, field: str, moved: str
) -> None:
    # 98,000 now, 40,000 of them paid in since the last accepted run, which the next run adds to
    # what is remembered: 98,000 - 40,000 = 58,000. Paid out, it is 98,000 + 40,000 = 138,000.
    flag = LatchedFlag(code, "", FLAG_TABLE[code].severity, "why", NOW, evidence)
    found, _ = clear(
        Standing(latched=(flag,)), [code], an_account(net_liquidation=d(98_000)), NOW,
        moved=d(moved),
    )  # fmt: skip
    assert getattr(found, field) == (58_000 if moved == "40000" else 138_000)


def test_while_no_session_is_open_a_word_stays_for_the_session_it_is_for() -> None:
    verdict = evaluate_plan(
        ALLOWED, an_account(), some_limits(), Decimal(0), Conduct(), now=NOW, flags=(),
        session=None,
    )  # fmt: skip
    assert verdict.standing.turnover_allowed == d("0.5")
    assert verdict.standing.turnover_allowed_in == MONDAY


def test_in_another_session_a_word_is_over_and_so_is_its_session() -> None:
    over = word_of_now(ALLOWED, TUESDAY)
    assert (over.turnover_allowed, over.turnover_allowed_in) == (None, None)
    # Without a word there is nothing to bind to a session.
    assert word_of_now(Standing(), TUESDAY) == Standing()


@pytest.mark.parametrize(("worth", "plans"), [("1", [d("0.5")]), ("0", [])])
def test_a_plan_is_remembered_of_the_smallest_worth_above_zero(
    worth: str, plans: list[Decimal]
) -> None:
    found = remember_plan(Standing(), an_account(net_liquidation=d(worth)), NOW, d("0.5"))
    assert list(found.wanted_turnover.values()) == plans


@pytest.mark.parametrize(
    ("names", "words"), [((A,), "1 order was not sent"), ((A, B), "2 orders were not sent")]
)
def test_orders_that_meet_a_closed_session_are_counted(
    names: tuple[InstrumentId, ...], words: str
) -> None:
    intents = [an_intent(name, "1", sequence=n) for n, name in enumerate(names)]
    verdicts = apply_gates(gate_input(intents, session=None))
    (flag,) = verdicts.flags
    assert flag.code == "session-closed"
    assert flag.message.rpartition("; ")[2] == words
    assert verdicts.approved == ()

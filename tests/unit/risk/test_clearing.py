"""The owner's word on each latched flag: what it changes, what it says, and what stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import LatchedFlag, Severity, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import RunTally, Standing
from rebalancer.risk import ALL, clear, clearing_rules
from rebalancer.risk.clearing import ALLOWANCE, EFFECTS
from tests.unit.risk.builders import NOW, A, B, a_position, an_account, d

SINCE = NOW - timedelta(hours=5)
WORTH = an_account(net_liquidation=d(98_000))
FULL = Standing(
    accepted_net_liquidation=d(1),
    session_start_net_liquidation=d(2),
    next_session_reference=d(3),
    high_water_mark=d(4),
    failed_runs=7,
    recent_orders=(RunTally("x", 5, 4),),
    values={"2026-01-05T14:00:00Z": d(5)},
    losses_since={B: SINCE},
    contracts={B: "9"},
    turnover_allowed=None,
    turnover_allowed_in=NOW.date(),
)


def latched(code: str, subject: str = "", evidence: str = "") -> LatchedFlag:
    return LatchedFlag(code, subject, FLAG_TABLE[code].severity, "why", SINCE, evidence)


def lifted(flag: LatchedFlag, account: AccountSnapshot | None = WORTH) -> tuple[Standing, str]:
    """Clear one flag; return what is remembered, without the flag, and what was said of it."""
    found, words = clear(replace(FULL, latched=(flag,)), [flag.code], account, NOW)
    assert found.latched == ()
    assert found.state is TradingState.ACTIVE
    (said,) = words
    head, _, effect = said.partition(": ")
    where = f" of {flag.subject}" if flag.subject else ""
    assert head == f"{flag.code}{where} lifted by owner at 2026-01-05 15:05 UTC"
    return found, effect


@pytest.mark.parametrize(
    ("flag", "changes", "said"),
    [
        (
            latched("net-liquidation-jump", evidence="1|2"),
            {"accepted_net_liquidation": d(98_000)}, "98,000 USD is accepted",
        ),
        (
            latched("daily-loss", evidence="1|2"),
            {"session_start_net_liquidation": d(98_000), "next_session_reference": d(98_000)},
            "the session's loss counts from 98,000 USD on",
        ),
        (
            latched("drawdown", evidence="1|2"),
            {"high_water_mark": d(98_000)}, "the high-water mark is 98,000 USD now",
        ),
        (
            latched("symbol-loss", A), {"losses_since": {B: SINCE, A: NOW}},
            "its losses count from now on",
        ),
        (latched("book-loss"), {"values": {}}, "the book's losses count from the next run on"),
        (latched("reject-rate"), {"recent_orders": ()}, "refusals are counted anew"),
        (latched("slippage"), {"slippage_since": NOW}, "executions count from now on"),
        (latched("failed-runs"), {"failed_runs": 0}, "failed runs are counted anew"),
        (
            latched("turnover-odd", evidence="0.8"),
            {"turnover_allowed": Decimal("1.00"), "turnover_allowed_in": None},
            "plans of up to 100 % of net liquidation pass, for one session",
        ),
        (
            latched("corporate-action", A, "265598>700"),
            {"contracts": {B: "9", A: "700"}, "closes_since": {A: NOW}},
            "contract 700 is accepted",
        ),
        (
            latched("corporate-action", A), {"closes_since": {A: NOW}},
            "prices and books count as they are now",
        ),
        (
            latched("reconciliation-break", A), {},
            "it comes back with the next run unless the books agree by then",
        ),
        (
            latched("many-breaks"), {},
            "it comes back with the next run unless the books agree by then",
        ),
        (
            latched("liquidated", A), {},
            "trading goes on; the venue may do it again while margin is short",
        ),
        (
            latched("protection-missing", A), {},
            "the signals decide on it again, and the next run looks at its stops",
        ),
        *(
            (latched(code), {}, "it comes back with the next run unless it is over by then")
            for code in ("leverage-high", "margin-thin", "data-poor", "data-missing")
        ),
    ],
    ids=lambda value: value.code if isinstance(value, LatchedFlag) else "",
)  # fmt: skip
def test_clearing_changes_what_it_says_and_nothing_else(
    flag: LatchedFlag, changes: dict[str, object], said: str
) -> None:
    found, effect = lifted(flag)
    assert effect == said
    assert found == replace(FULL, **changes)  # type: ignore[arg-type]


def test_every_flag_that_resume_clears_is_in_the_table_above() -> None:
    assert Decimal("1.25") == ALLOWANCE
    assert set(EFFECTS) == {
        code for code, kind in FLAG_TABLE.items() if kind.command == "rebalancer resume"
    } - {"halt-file"}


@pytest.mark.parametrize("value", ["0", "-5", "NaN", None])
def test_without_a_sound_value_what_the_breaker_saw_counts(value: str | None) -> None:
    account = None if value is None else an_account(net_liquidation=d(value))
    # 97,000 is what it saw; without an account its currency is not known.
    shown = "97,000" if account is None else "97,000 USD"
    found, said = lifted(latched("drawdown", evidence="100000|97000"), account)
    assert (found.high_water_mark, said) == (d(97_000), f"the high-water mark is {shown} now")
    found, said = lifted(latched("daily-loss", evidence="100000|97000"), account)
    assert found.session_start_net_liquidation == found.next_session_reference == d(97_000)
    assert said == f"the session's loss counts from {shown} on"


def test_a_days_loss_of_an_older_program_is_forgotten_without_a_value() -> None:
    found, said = lifted(latched("daily-loss", evidence="100000"), None)
    assert found.session_start_net_liquidation is None
    assert found.next_session_reference == d(3)
    assert said == "the session's loss counts from the next run's value on"
    found, _ = lifted(latched("daily-loss", evidence="100000"))
    assert found.session_start_net_liquidation == d(98_000)


def test_the_contract_that_is_held_now_is_the_one_accepted() -> None:
    flag = latched("corporate-action", A, "265598>700")
    others = a_position(B, "1", contract="800"), a_position(A, "1", contract="701")
    found, said = lifted(flag, an_account(*others))
    assert found.contracts == {B: "9", A: "701"}
    assert said == "contract 701 is accepted"
    found, _ = lifted(flag, an_account(a_position(A, "1", contract="")))
    assert found.contracts == {B: "9", A: "700"}
    found, _ = lifted(flag, None)
    assert found.contracts == {B: "9", A: "700"}


def test_only_what_was_named_is_lifted() -> None:
    some = (latched("symbol-loss", A), latched("symbol-loss", B), latched("drawdown", "", "1|2"))
    standing = replace(FULL, latched=some)
    for named, left in (
        (["symbol-loss"], {"drawdown"}),
        ([A], {"symbol-loss", "drawdown"}),
        ([f"symbol-loss:{B}"], {"symbol-loss", "drawdown"}),
        (["drawdown", B], {"symbol-loss"}),
        ([ALL], set()),
    ):
        found, words = clear(standing, named, WORTH, NOW, by="anna")
        assert {flag.code for flag in found.latched} == left
        assert len(words) == 3 - len(found.latched)
        assert all("lifted by anna at" in line for line in words)
    found, _ = clear(standing, [A], WORTH, NOW)
    assert found.latched == some[1:]
    assert found.state is TradingState.HALTED
    assert found.state_reason == "drawdown: why"


def test_what_is_not_there_is_said_one_by_one() -> None:
    standing = replace(FULL, latched=(latched("symbol-loss", A),))
    found, words = clear(standing, ["nonsense", "symbol-loss", "drawdown"], WORTH, NOW)
    assert found.latched == ()
    assert words[1:] == ("nothing latched is nonsense", "nothing latched is drawdown")
    _, words = clear(FULL, [ALL], WORTH, NOW)
    assert words == ("nothing is latched",)
    _, words = clear(FULL, [""], WORTH, NOW)
    assert words == ("nothing latched is ",)


def test_what_another_command_ends_stays() -> None:
    standing = replace(FULL, latched=(latched("unresolved-order", A),))
    found, words = clear(standing, [ALL], WORTH, NOW)
    assert found.latched == standing.latched
    command = FLAG_TABLE["unresolved-order"].command
    assert command.startswith("rebalancer resolve")
    assert words == (f"unresolved-order of {A} stays: use `{command}`",)


def test_status_has_a_row_of_each_flag_as_it_is() -> None:
    until = NOW + timedelta(hours=4)
    some = (replace(latched("symbol-loss", A), until=until), latched("unresolved-order", B))
    first, second = clearing_rules(replace(FULL, latched=some))
    assert (first.code, first.subject, first.since) == ("symbol-loss", A, SINCE)
    assert (first.message, first.until) == ("why", until)
    assert first.severity is FLAG_TABLE["symbol-loss"].severity is Severity.HOLD
    assert first.effect == EFFECTS["symbol-loss"][0]
    assert first.by_itself == FLAG_TABLE["symbol-loss"].clears
    assert first.command == FLAG_TABLE["symbol-loss"].command
    assert first.ended_by == FLAG_TABLE["symbol-loss"].ended_by
    assert (second.code, second.effect, second.until) == ("unresolved-order", "", None)


def test_a_split_is_no_contract() -> None:
    found, said = lifted(latched("corporate-action", A, "2:1"))
    assert said == "prices and books count as they are now"
    assert found == replace(FULL, closes_since={A: NOW})


@pytest.mark.parametrize(
    ("held", "price", "left"),
    [("10", "50", {A: d(50)}), ("10", None, {}), ("0", "50", {}), (None, "50", {})],
)
def test_the_owners_word_on_a_split_puts_the_price_of_now_in_place_of_the_one_before(
    held: str | None, price: str | None, left: dict[InstrumentId, Decimal]
) -> None:
    remembered = {A: d(100), B: d(7)}
    standing = replace(FULL, marks=remembered, latched=(latched("corporate-action", A, "2:1"),))
    position = a_position(A, held or "0", "50")
    position = replace(position, price=None if price is None else d(price))
    account = WORTH if held is None else an_account(position, a_position(B, "1", "99"))
    found, _ = clear(standing, ["corporate-action"], account, NOW)
    assert found.marks == {B: d(7)} | left


def test_naming_nothing_lifts_nothing() -> None:
    # A flag of the whole run has '' for its subject: that is no name.
    standing = replace(FULL, latched=(latched("drawdown", "", "1|2"),))
    found, words = clear(standing, [""], WORTH, NOW)
    assert found.latched == standing.latched
    assert words == ("nothing latched is ",)

"""A trouble is told once, and once when it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rebalancer.model.flags import ErrorFlag, LatchedFlag, Severity, Step, TradingState
from rebalancer.model.records import Outcome, RunRecord, Standing
from rebalancer.reports.alerts import AlertDecision, alert_mails
from tests.unit.reports.stories import (
    APPLE,
    HOUR,
    SAP,
    SLOT,
    approved,
    busy,
    flag,
    idle,
    intent,
    record,
)

SINCE = "2020-03-02T13:05:00Z"


def after(decision: AlertDecision) -> Standing:
    return Standing(alerts=decision.alerts)


def words(decision: AlertDecision) -> str:
    (mail,) = decision.mails
    return " ".join(mail.text.split())


def later(run: RunRecord) -> RunRecord:
    return replace(run, slot=run.slot + HOUR, now=run.now + HOUR)


def test_a_quiet_run_sends_nothing() -> None:
    quiet = record(flags=(flag("session-closed", "NOTE"),))
    assert alert_mails(quiet, Standing()) == AlertDecision((), {})


def test_new_troubles_of_one_run_are_one_mail() -> None:
    flags = (
        flag("history-stale", "HOLD", APPLE, "AAPL: its newest bar is 9 days old", 3),
        flag("daily-loss", "HALT", message="the session lost 6.00 %, the limit is 5.00 %", step=4),
    )
    decision = alert_mails(record(outcome=Outcome.HALTED, flags=flags), Standing())
    text = words(decision)
    assert decision.mails[0].subject == "demo: HALT daily-loss and 1 more"
    assert decision.mails[0].key == "alert:2020-03-02T1505Z:1"
    assert "the session lost 6.00 %" in text
    assert "Where: the whole run, step 4, net liquidation and books." in text
    assert "Not done: No order was sent in this run." in text
    assert "By hand: look into it, then `rebalancer resume`." in text
    assert "Not done: No order was sent in AAPL.STK.USD@IB." in text
    assert decision.alerts == {
        "history-stale AAPL.STK.USD@IB": "2020-03-02T15:05:00Z",
        "daily-loss": "2020-03-02T15:05:00Z",
    }


def test_the_same_trouble_in_the_next_hour_is_not_a_new_mail() -> None:
    run = record(flags=(flag("signal-stale", "HOLD", "sleeve:core"),))
    first = alert_mails(run, Standing())
    second = alert_mails(later(run), after(first))
    assert second.mails == ()
    assert second.alerts == first.alerts


def test_the_same_code_on_another_subject_is_new_and_the_old_one_is_still_there() -> None:
    first = alert_mails(record(flags=(flag("price-missing", "HOLD", APPLE),)), Standing())
    both = record(flags=(flag("price-missing", "HOLD", APPLE), flag("price-missing", "HOLD", SAP)))
    second = alert_mails(later(both), after(first))
    assert second.mails[0].subject == "demo: HOLD price-missing, SAP.STK.EUR@IB"
    assert "1 new trouble, 0 ended, 1 still there" in words(second)


def test_a_recovery_is_told_once_with_how_long_it_lasted() -> None:
    standing = Standing(alerts={"signal-stale sleeve:core": SINCE})
    decision = alert_mails(record(), standing)
    assert decision.mails[0].subject == "demo: recovered: signal-stale, sleeve:core"
    assert "first told 2020-03-02 13:05 UTC, 2 h 0 min ago" in words(decision)
    assert decision.alerts == {}
    assert alert_mails(later(record()), after(decision)).mails == ()


def test_a_failed_run_is_told_and_proves_no_recovery() -> None:
    failed = record(
        outcome=Outcome.FAILED,
        reached=3,
        flags=(flag("run-failed", "HALT", message="ValueError: bad bar", step=3),),
    )
    standing = Standing(alerts={"price-missing " + APPLE: SINCE})
    decision = alert_mails(failed, standing)
    assert decision.mails[0].subject == "demo: FAILED, step 3, generate signals"
    assert "ValueError: bad bar" in words(decision)
    assert decision.alerts["price-missing " + APPLE] == SINCE


def test_a_failure_without_a_flag_is_told_too_and_once() -> None:
    failed = record(outcome=Outcome.FAILED, reached=7)
    first = alert_mails(failed, Standing())
    assert "FAILED, step 7, gate and submit" in first.mails[0].subject
    assert alert_mails(later(failed), after(first)).mails == ()
    elsewhere = alert_mails(later(record(outcome=Outcome.FAILED, reached=1)), after(first))
    assert len(elsewhere.mails) == 1


def test_a_run_that_ends_by_its_deadline_hides_no_failure_after_it() -> None:
    late = record(outcome=Outcome.FAILED, reached=5, flags=(flag("deadline", "HALT", step=4),))
    first = alert_mails(late, Standing())
    assert first.mails[0].subject == "demo: FAILED, deadline"
    full = flag("run-failed", "HALT", message="the disk is full", step=5)
    second = alert_mails(
        later(record(outcome=Outcome.FAILED, reached=5, flags=(full,))), after(first)
    )
    assert "the disk is full" in words(second)


def test_a_venue_that_cannot_be_reached_all_night_is_one_mail_and_one_recovery() -> None:
    down = record(
        outcome=Outcome.FAILED,
        reached=1,
        before=None,
        after=None,
        flags=(flag("cannot-connect", "HALT", message="connection refused", step=1),),
    )
    first = alert_mails(down, Standing())
    assert first.mails[0].subject == "demo: FAILED, cannot-connect"
    second = alert_mails(later(down), after(first))
    assert second.mails == ()
    third = alert_mails(later(later(record())), after(second))
    assert third.mails[0].subject == "demo: recovered: cannot-connect"


def test_a_latched_trouble_has_not_ended_because_no_step_flagged_it() -> None:
    latched = LatchedFlag("drawdown", "", Severity.HALT, "fell by 26.00 %", SLOT - 2 * HOUR)
    standing = Standing(alerts={"drawdown": SINCE}, latched=(latched,))
    decision = alert_mails(record(outcome=Outcome.HALTED), standing)
    assert decision == AlertDecision((), {"drawdown": SINCE})


def latched(run: RunRecord, minutes: int, code: str = "daily-loss") -> Standing:
    """Return a standing in which a breaker latched so many minutes after a run's slot."""
    since = run.slot + timedelta(minutes=minutes)
    flag = LatchedFlag(code, "", Severity.HALT, "the session lost 6.00 %", since)
    return Standing(latched=(flag,))


def told_as(flag: LatchedFlag) -> ErrorFlag:
    """Return how a run flags what is latched."""
    return ErrorFlag(Step.NET_LIQUIDATION, flag.code, flag.subject, flag.severity, flag.message)


@pytest.mark.parametrize("flagged", [True, False])
def test_a_breaker_that_latches_anew_is_told_anew_and_each_latch_once(flagged: bool) -> None:
    run, alerts = record(outcome=Outcome.HALTED), dict[str, str]()
    mails = []
    # Latched in the first hour, lifted by the owner, latched anew in the third.
    for hours, since in enumerate((1, 1, 121, 121, 121)):
        standing = replace(latched(record(), since), alerts=alerts)
        flags = tuple(told_as(flag) for flag in standing.latched) if flagged else ()
        decision = alert_mails(replace(run, flags=flags), standing)
        mails += [(hours, mail.subject) for mail in decision.mails]
        alerts, run = dict(decision.alerts), later(run)
    assert mails == [(0, "demo: HALT daily-loss"), (2, "demo: HALT daily-loss")]


def test_of_two_orders_of_an_instrument_each_is_told_and_neither_again_when_one_is_settled() -> (
    None
):
    orders = [
        LatchedFlag(
            "unresolved-order", APPLE, Severity.HOLD, f"order {n}", SLOT + n * HOUR, f"{n}|"
        )
        for n in range(2)
    ]
    alerts, mails, run = dict[str, str](), [], record()
    for hours, latches in enumerate((orders[:1], orders, orders, orders[:1])):
        decision = alert_mails(run, Standing(alerts=alerts, latched=tuple(latches)))
        mails += [hours for _ in decision.mails]
        alerts, run = dict(decision.alerts), later(run)
    assert mails == [0, 1]


def test_what_an_older_program_told_of_a_latch_is_told_once_more_at_most() -> None:
    standing = replace(latched(record(), 1), alerts={"daily-loss": "2020-03-02T15:05:00Z"})
    run = later(record(outcome=Outcome.HALTED))
    first = alert_mails(run, standing)
    assert len(first.mails) <= 1
    assert alert_mails(later(run), replace(standing, alerts=first.alerts)).mails == ()


def test_the_end_of_one_trouble_does_not_hide_that_the_run_is_still_halted() -> None:
    standing = latched(record(), 1)
    ended = {"drawdown": SINCE, "signal-stale sleeve:core": SINCE}
    first = alert_mails(record(outcome=Outcome.HALTED), standing)
    standing = replace(standing, alerts=ended | dict(first.alerts))
    (mail,) = alert_mails(later(record(outcome=Outcome.HALTED)), standing).mails
    assert mail.subject == "demo: recovered: drawdown and 1 more; still HALTED"


@pytest.mark.parametrize(
    ("flags", "subject"),
    [
        ((), "demo: recovered: signal-stale, sleeve:core; still REDUCING"),
        (
            (flag("price-missing", "HOLD", APPLE),),
            f"demo: HOLD price-missing, {APPLE}; still REDUCING",
        ),
        ((flag("book-loss", "HOLD", step=4),), "demo: HOLD book-loss; REDUCING"),
    ],
)
def test_a_mail_of_a_run_that_only_reduces_says_so(
    flags: tuple[ErrorFlag, ...], subject: str
) -> None:
    standing = Standing(alerts={"signal-stale sleeve:core": SINCE}, state=TradingState.REDUCING)
    (mail,) = alert_mails(record(flags=flags, standing=standing), standing).mails
    assert mail.subject == subject


def test_a_gate_refusal_is_told_with_the_wanted_order_and_the_gate() -> None:
    text = words(alert_mails(busy(), Standing()))
    assert "BUY 10 SAP.STK.EUR@IB at 100.05 EUR" in text
    assert "refused by gate max_order_weight: 30.00 % of net liquidation, at most" in text
    assert "Not done: The order in SAP.STK.EUR@IB was not sent." in text


@pytest.mark.parametrize(
    ("run", "over"),
    [
        (record(), False),  # nothing was gated in it: after the close, for example
        (record(outcome=Outcome.HALTED, lines=(idle(SAP, "at its target"),)), False),
        (record(lines=(idle(SAP, "at its target"),)), True),
        (record(approved=(approved(intent(SAP, "5", "100")),)), True),
    ],
)
def test_a_refusal_is_over_when_a_run_gated_it_again(run: RunRecord, over: bool) -> None:
    standing = Standing(alerts={f"order-refused {SAP}": SINCE})
    assert (alert_mails(run, standing).alerts == {}) is over


def test_what_was_about_one_run_only_ends_without_a_word() -> None:
    run = record(flags=(flag("run-died", "HOLD", "2020-03-02T1405Z", step=0),))
    first = alert_mails(run, Standing())
    assert len(first.mails) == 1
    assert alert_mails(later(record()), after(first)) == AlertDecision((), {})


def test_many_refusals_share_one_explanation() -> None:
    flags = tuple(flag("order-refused", "HOLD", f"A{n:02}.STK.USD@IB") for n in range(30))
    text = words(alert_mails(record(flags=flags), Standing()))
    assert "HOLD order-refused, 30 times:" in text
    assert "and 10 more" in text


def test_the_html_says_the_same_and_escapes_it() -> None:
    run = record(flags=(flag("generator-failed", "HOLD", "sleeve:x", "<b>ZeroDivision</b>", 3),))
    (mail,) = alert_mails(run, Standing()).mails
    assert "&lt;b&gt;ZeroDivision&lt;/b&gt;" in mail.html
    assert "<b>" not in mail.html

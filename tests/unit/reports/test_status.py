"""`rebalancer status`: where the portfolio stands and what clears what stands."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from rebalancer.model.flags import LatchedFlag, Severity, TradingState
from rebalancer.model.records import Mode, Standing
from rebalancer.reports.status import Status, grave, status_data, status_text
from rebalancer.reports.summary import summary_text
from tests.unit.reports.stories import APPLE, SLOT, busy, flag, new_york, record

D = Decimal
NOW = datetime(2020, 3, 2, 16, 5, tzinfo=UTC)
LATCHED = LatchedFlag("drawdown", "", Severity.HALT, "fell by 26.00 %", SLOT)
STANDING = Standing(
    state=TradingState.HALTED,
    state_reason="drawdown",
    accepted_net_liquidation=D(95000),
    session_start_net_liquidation=D(100000),
    high_water_mark=D(125000),
    latched=(LATCHED,),
    due={"mail:start": "2020-03-02"},
)


def status(**changes: object) -> Status:
    plain: dict[str, object] = {
        "portfolio": "demo",
        "mode": Mode.LIVE,
        "now": NOW,
        "record": busy(),
        "standing": STANDING,
        "sessions": new_york(),
        "limits": {"daily-loss": D("0.05"), "drawdown": D("0.25")},
    }
    return Status(**(plain | changes))  # type: ignore[arg-type]


def test_the_text_answers_the_owners_questions() -> None:
    text = " ".join(status_text(status(waiting=2, commit_owed=date(2020, 2, 28))).split())
    assert "Last run: 2020-03-02 15:05 UTC (1 h 0 min ago), mode live." in text
    assert "Trading state HALTED: drawdown." in text
    assert "Loss in the session 5.00 % (limit 5.00 %)" in text  # 5,000 of 100,000
    assert "Below the highest value 24.00 % (limit 25.00 %)" in text  # 30,000 of 125,000
    assert "HALT drawdown: fell by 26.00 %" in text
    assert "then `rebalancer resume`" in text
    assert "open until 2020-03-02 21:00 UTC" in text
    assert "Next opening 2020-03-03 14:30 UTC" in text
    assert "SELL 50 KO.STK.USD@IB at 39.95: working, 20 filled" in text
    assert "2 mails in the outbox" in text
    assert "Database commit owed 2020-02-28" in text


def test_a_halt_file_is_named_with_what_removes_it() -> None:
    text = status_text(status(halt_reason="going on holiday", halt_files=["state/HALT"]))
    assert text.count("a HALT file forbids sending (state/HALT): going on holiday") == 1
    assert text.count("A HALT file forbids sending (state/HALT): going on holiday.") == 1
    assert "going on holiday" in text
    assert "`rebalancer resume`" in text


def test_a_halt_file_of_all_portfolios_is_ended_by_another_word() -> None:
    mine = " ".join(status_text(status(halt_reason="x", halt_files=["state/demo/HALT"])).split())
    assert "To go on: `rebalancer resume`." in mine
    everyones = status(halt_reason="x", halt_files=["state/HALT"], halt_of_all=True)
    told = " ".join(status_text(everyones).split())
    assert "To go on: `rebalancer resume halt-file:all`." in told
    two = replace(everyones, halt_files=["state/demo/HALT", "state/HALT"])
    assert "`rebalancer resume halt-file halt-file:all`" in " ".join(status_text(two).split())


def test_the_state_of_today_does_not_pass_for_that_of_the_last_run() -> None:
    text = " ".join(status_text(status(standing=Standing())).split())
    assert "Trading state now ACTIVE" in text


def test_a_halt_file_makes_the_trading_state_halted_while_it_stands() -> None:
    active = status(standing=Standing(), halt_reason="going on holiday")
    text = " ".join(status_text(active).split())
    assert "Trading state HALTED: by a HALT file" in text
    assert "ACTIVE" not in text
    data = status_data(active)
    assert (data["state"], data["state_reason"]) == ("HALTED", "a HALT file")
    assert "Trading state ACTIVE." in status_text(status(standing=Standing()))
    seen = record(standing=Standing(), flags=(flag("halt-file", "HALT"),))
    assert "HALTED: by a HALT file" in summary_text(seen)
    over = status_text(status(record=seen, standing=Standing()))
    assert "HALTED: by a HALT file" not in over


def test_a_portfolio_that_never_ran_says_so() -> None:
    text = status_text(status(record=None, standing=Standing()))
    assert "No run is on record yet." in text
    assert "unknown" in text


def test_the_data_is_plain_and_exact() -> None:
    data = json.loads(json.dumps(status_data(status())))
    assert data["last_run"]["net_liquidation"] == "100100"
    assert data["breakers"]["session_loss"] == "0.05"
    assert data["positions"][0]["instrument"] == APPLE
    assert data["flags"][0]["latched"] is True
    assert data["flags"][0]["clears"].startswith("It does not end by itself.")
    assert data["next_session"]["open"] == "2020-03-03T14:30:00Z"
    assert status_data(status(record=None))["last_run"] is None


def test_grave_is_what_stands_from_hold_upwards() -> None:
    assert grave(status())
    assert not grave(status(record=None, standing=Standing()))


def test_what_is_latched_says_since_when_until_when_and_who_may_end_it() -> None:
    later = datetime(2020, 3, 2, 19, 5, tzinfo=UTC)
    ban = LatchedFlag("symbol-loss", APPLE, Severity.HOLD, "lost 1.2 %", SLOT, "1200", later)
    standing = replace(STANDING, latched=(LATCHED, ban))
    text = " ".join(status_text(status(standing=standing)).split())
    assert "drawdown: since 2020-03-02 15:05 UTC; ended by the owner" in text
    until = "since 2020-03-02 15:05 UTC, until 2020-03-02 19:05 UTC at least"
    assert f"symbol-loss of {APPLE}: {until}; ended by itself or the owner" in text
    assert f"Only orders that reduce {APPLE} were allowed." in text
    data = status_data(status(standing=replace(STANDING, latched=(LATCHED, ban))))["flags"]
    assert [(each["until"], each["ended_by"]) for each in data[:2]] == [
        (None, "the owner"),
        ("2020-03-02T19:05:00Z", "itself or the owner"),
    ]

"""The session's mails: complete, marked, with a picture and safe attachments."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Mail, Mode, Outcome, Standing
from rebalancer.reports.daily import daily_mails
from rebalancer.reports.owed import owed_mails
from rebalancer.reports.tabular import orders_csv
from tests.unit.reports.stories import (
    DAY,
    HOUR,
    SAP,
    SLOT,
    around_the_clock,
    busy,
    fill,
    flag,
    new_york,
    order_rows_with,
    point,
    record,
    working,
)

DUE = {f"mail:{kind}": "2020-03-01" for kind in ("start", "middle", "end")}
SENT = Standing(due=DUE)


def words(mail: Mail) -> str:
    return " ".join(mail.text.split())


def rows(mail: Mail, name: str) -> list[dict[str, str]]:
    (content,) = [each.content for each in mail.attachments if each.name == name]
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"))))


def test_the_first_run_of_a_session_sends_its_start_with_picture_and_files() -> None:
    (mail,) = daily_mails(busy(), (), (point(SLOT, "100100"),), new_york(), SENT)
    assert mail.key == "mail:start:2020-03-02"
    assert mail.subject == "demo: session start 2020-03-02, 100,100.00 USD"
    assert mail.name == "2020-03-02T1505Z-daily-1-start"
    assert 'src="cid:equity.png"' in mail.html
    assert [image.name for image in mail.images] == ["equity.png"]
    assert mail.images[0].content.startswith(b"\x89PNG")
    assert "Late" not in mail.text
    assert "With this mail: trades.csv and orders.csv of the session." in mail.text
    trades = rows(mail, "trades.csv")
    assert [row["commission"] for row in trades] == ["0.60", "", "1.00"]
    assert [row["decision_price"] for row in trades] == ["50", "50", "40"]
    assert [row["fate"] for row in rows(mail, "orders.csv")] == [
        "filled",
        "working",
        "refused by a gate",
    ]


def test_a_paper_mail_is_marked_in_subject_and_text() -> None:
    run = busy(mode=Mode.PAPER)
    (mail,) = daily_mails(run, (), (), new_york(), SENT)
    assert mail.subject.startswith("[PAPER] ")
    assert "synthetic intraday" in mail.text
    assert "synthetic intraday" in mail.html


def test_the_mail_of_the_end_tells_of_the_whole_session() -> None:
    morning = busy()
    sell = morning.approved[1]
    evening = record(
        slot=datetime(2020, 3, 2, 21, 5, tzinfo=UTC),
        now=datetime(2020, 3, 2, 21, 6, tzinfo=UTC),
        fills=(fill(sell, 9, "-30", "39.97", "1.00"),),
        cancelled=(working(sell, "-50", OrderStatus.FILLED),),
    )
    due = replace(SENT, due={"mail:start": "2020-03-02", "mail:middle": "2020-03-02"})
    equity = (point(SLOT, "100100"), point(evening.slot, "100500"))
    (mail,) = daily_mails(evening, (morning, evening), equity, new_york(), due)
    text = words(mail)
    assert mail.key == "mail:end:2020-03-02"
    assert "2 runs in this session: 2 finished." in text
    assert "2 orders sent (2 filled), 1 refused by a gate." in text
    assert "15:05 SELL 50 KO.STK.USD@IB" in text
    assert "Profit in this session +500.00 USD" in text  # 100,500 - 100,000 at its opening
    assert len(rows(mail, "trades.csv")) == 4
    assert "Earlier in this session, over now" in text
    assert "The next session opens 2020-03-03 14:30 UTC." in text


def test_profit_of_a_session_counts_from_the_end_of_the_one_before() -> None:
    friday = point(datetime(2020, 2, 28, 21, 5, tzinfo=UTC), "99000")
    (mail,) = daily_mails(busy(), (), (friday, point(SLOT, "100100")), new_york(), SENT)
    assert "Profit in this session +1,100.00 USD" in words(mail)


def test_a_late_mail_says_so() -> None:
    run = busy(now=datetime(2020, 3, 2, 17, 0, tzinfo=UTC))
    (mail,) = daily_mails(run, (), (), new_york(), SENT)
    assert "Late: this mail was due 2020-03-02 14:30 UTC, 2 h 30 min ago." in words(mail)


def test_a_mail_of_yesterday_tells_of_yesterdays_runs_only() -> None:
    today = record(slot=datetime(2020, 3, 3, 15, 5, tzinfo=UTC), session=DAY.replace(day=3))
    today = replace(today, now=today.slot)
    due = Standing(due=DUE | {"mail:start": "2020-03-03", "mail:middle": "2020-03-02"})
    (mail,) = daily_mails(today, (busy(), today), (), new_york(), due)
    text = words(mail)
    assert mail.key == "mail:end:2020-03-02"
    assert "Late" in text
    assert "1 run in this session: 1 finished." in text
    assert "figures as of the run of 2020-03-02 15:05 UTC" in text


def test_a_mail_without_a_run_on_record_says_so() -> None:
    night = record(slot=datetime(2020, 3, 3, 0, 5, tzinfo=UTC), session=DAY.replace(day=3))
    night = replace(night, now=night.slot)
    due = Standing(due={"mail:end": "2020-03-01", "mail:start": "2020-03-03"})
    (mail,) = daily_mails(night, (), (), around_the_clock(), due, ("start", "end"))
    assert mail.key == "mail:end:2020-03-02"
    assert "No run of this session is on record" in words(mail)


def test_a_failed_run_still_sends_the_figures_of_the_last_one_that_saw_the_account() -> None:
    failed = record(
        slot=SLOT + HOUR,
        now=SLOT + HOUR,
        outcome=Outcome.FAILED,
        reached=1,
        before=None,
        after=None,
        flags=(flag("cannot-connect", "HALT", message="connection refused", step=1),),
    )
    (mail,) = daily_mails(failed, (busy(),), (), new_york(), SENT)
    text = words(mail)
    assert "1 finished, 1 failed" in text
    assert "connection refused" in text
    assert "figures as of the run of 2020-03-02 15:05 UTC" in text
    assert "100,100.00 USD" in text


def test_keys_and_owed_mails_agree_so_that_each_is_sent_once() -> None:
    run = busy(now=datetime(2020, 3, 2, 21, 30, tzinfo=UTC))
    mails = daily_mails(run, (), (), new_york(), SENT)
    assert [mail.key for mail in mails] == [
        owed.key for owed in owed_mails(new_york(), SENT, run.now)
    ]
    due = {mail.key.rpartition(":")[0]: mail.key.rpartition(":")[2] for mail in mails}
    assert daily_mails(run, (), (), new_york(), Standing(due=due)) == ()


def test_the_same_record_makes_the_same_mail() -> None:
    equity = (point(SLOT, "100100"), point(SLOT + HOUR, "100200"))
    assert daily_mails(busy(), (), equity, new_york(), SENT) == daily_mails(
        busy(), (), equity, new_york(), SENT
    )


def test_attachments_run_nothing_in_a_spreadsheet() -> None:
    row = order_rows_with(reason='=HYPERLINK("http://x")', why="@SUM(A1)")
    (cells,) = csv.DictReader(io.StringIO(orders_csv([row], []).content.decode("utf-8")))
    assert cells["reason"] == '\'=HYPERLINK("http://x")'
    assert cells["why"] == "'@SUM(A1)"
    negative = replace(row, cost_bps=Decimal("-1.5"))
    (cells,) = csv.DictReader(io.StringIO(orders_csv([negative], []).content.decode("utf-8")))
    assert cells["cost_bps"] == "-1.5000"
    assert SAP in rows(daily_mails(busy(), (), (), new_york(), SENT)[0], "orders.csv")[2].values()

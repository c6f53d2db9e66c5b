"""From the text alone: why an order was sent, why one was not, what it cost."""

from __future__ import annotations

import pytest

from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.records import Mode, Outcome
from rebalancer.reports.document import WIDTH
from rebalancer.reports.explain import explain, what_clears
from rebalancer.reports.html import report_page
from rebalancer.reports.summary import run_table, summary_text
from tests.unit.reports.stories import APPLE, SAP, SLOT, busy, flag, idle, point, record


def test_the_summary_tells_reasons_fates_and_costs() -> None:
    text = " ".join(summary_text(busy()).split())
    assert "BUY 100 AAPL.STK.USD@IB at 50.05 USD (LIMIT, DAY)" in text
    assert "outside its band by 3.00 %; weight 5.00 % to 10.00 %" in text
    assert "filled: 100 at 50.028 USD" in text
    assert "+5.6 bps against the decision price 50.00 (about +2.80 USD)" in text
    assert "commission 0.60 USD + pending" in text
    assert "refused by gate max_order_weight: 30.00 % of net liquidation" in text
    assert "100,100.00 USD" in text
    assert "+100.00 USD (+0.10 %)" in text
    assert "state/demo/runs/2020-03-02T1505Z/" in text
    assert len(run_table(busy())) == 3


@pytest.mark.parametrize(
    ("mode", "mark"),
    [(Mode.PAPER, "PAPER"), (Mode.DRY_RUN, "DRY RUN"), (Mode.REPLAY, "REPLAY")],
)
def test_a_run_without_real_orders_is_marked_loudly(mode: Mode, mark: str) -> None:
    lines = summary_text(busy(mode=mode)).splitlines()
    assert lines[0] == "*" * WIDTH
    assert lines[1].startswith(f"{mark}:")


def test_paper_prices_are_labelled_and_live_ones_are_not() -> None:
    assert "synthetic intraday" in summary_text(busy(mode=Mode.PAPER))
    live = summary_text(busy())
    assert "synthetic" not in live
    assert live.startswith("demo: run of 2020-03-02 15:05 UTC")


def test_a_command_is_not_told_as_a_run() -> None:
    text = summary_text(busy(command="flatten"))
    assert text.startswith("demo: flatten of 2020-03-02 15:05 UTC")
    assert "`rebalancer flatten`; it did its work" in text


def test_a_dry_run_points_to_its_own_folder() -> None:
    assert "state/demo/dry/runs/2020-03-02T1505Z/" in summary_text(busy(mode=Mode.DRY_RUN))


def test_an_account_that_was_not_seen_is_unknown_never_zero() -> None:
    run = record(before=None, after=None, outcome=Outcome.FAILED, reached=1)
    text = summary_text(run)
    assert "unknown: the account was not seen" in text
    assert "FAILED at step 1, connect" in text
    assert "0.00" not in text


def test_instruments_left_alone_are_told_with_their_reasons() -> None:
    run = record(lines=(idle(APPLE, "at its target"), idle(SAP, "no price: held", None)))
    text = " ".join(summary_text(run).split())
    assert "At its target: 1 instrument." in text
    assert "SAP.STK.EUR@IB 8.00 % unknown no price: held" in text


@pytest.mark.parametrize("code", sorted(FLAG_TABLE))
def test_every_flag_is_explained(code: str) -> None:
    kind = FLAG_TABLE[code]
    told = explain(flag(code, kind.severity.value, SAP, "what happened"))
    assert told.what.startswith("what happened")
    assert told.not_done
    assert what_clears(code).endswith(".")
    assert kind.command in told.to_do


def test_the_page_stands_alone_and_escapes_what_it_is_told() -> None:
    evil = busy(flags=(flag("order-refused", "HOLD", SAP, "<script>alert(1)</script> & co"),))
    html = report_page(evil, [point(SLOT, "100100")])
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in html
    assert html.count('src="data:image/png;base64,') == 2
    assert "cid:" not in html
    assert 'src="http' not in html

"""Every wanted order has a fate, a reason and a cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.model.money import Money
from rebalancer.model.orders import Action, OrderStatus, RefusedOrder
from rebalancer.model.records import Mode, RunRecord
from rebalancer.reports.costs import costs, costs_text, session_rows, tally
from rebalancer.reports.rows import Fate, OrderRow, idle_rows, order_rows, position_rows
from rebalancer.reports.summary import summary_text
from tests.unit.reports.stories import (
    APPLE,
    COKE,
    HOUR,
    SAP,
    SLOT,
    account,
    approved,
    busy,
    fill,
    flag,
    idle,
    intent,
    line,
    record,
    working,
)

D = Decimal


def only(run: RunRecord) -> OrderRow:
    (row,) = order_rows(run)
    return row


def test_filled_working_and_refused_orders_are_told_with_their_costs() -> None:
    buy, sell, refused = order_rows(busy())
    assert (buy.fate, buy.action, buy.filled) == (Fate.FILLED, Action.BUY, D(100))
    assert buy.average_price == D("50.028")
    assert buy.cost_bps == D("5.6")  # (50.028 / 50 - 1) x 10,000
    assert buy.cost_base == D("2.8")  # 5,000 x 5.6 bps
    assert buy.commissions == (Money(D("0.60"), "USD"),)
    assert buy.commissions_pending == 1
    assert (sell.fate, sell.filled) == (Fate.WORKING, D(20))
    assert sell.cost_bps == D("5")  # a sale at 39.98 instead of 40 costs
    assert sell.cost_base == D("0.4")
    assert refused.fate is Fate.REFUSED
    assert refused.why == ("gate max_order_weight: 30.00 % of net liquidation, at most 25.00 %")


@pytest.mark.parametrize(
    ("status", "filled", "fate"),
    [
        (OrderStatus.SENT, "0", Fate.WORKING),
        (OrderStatus.PENDING_CANCEL, "0", Fate.WORKING),
        (OrderStatus.FILLED, "10", Fate.FILLED),
        (OrderStatus.CANCELLED, "0", Fate.ENDED),
        (OrderStatus.EXPIRED, "4", Fate.PART),
        (OrderStatus.REJECTED, "0", Fate.REJECTED),
        (OrderStatus.UNKNOWN, "0", Fate.UNKNOWN),
        (OrderStatus.NOT_SENT, "0", Fate.NOT_SENT),
    ],
)
def test_every_status_is_a_fate(status: OrderStatus, filled: str, fate: Fate) -> None:
    order = approved(intent(APPLE, "10", "50"))
    seen = working(order, filled, status, message="the venue's words")
    row = only(record(approved=(order,), orders=(seen,)))
    assert row.fate is fate
    if status is OrderStatus.REJECTED:
        assert row.why == "the venue's words"


def test_an_approved_order_that_was_not_released_says_why() -> None:
    order = approved(intent(APPLE, "10", "50"))
    note = flag("not-funded", "NOTE", APPLE, "it waited for 500.00 USD that did not come")
    row = only(record(approved=(order,), flags=(note,)))
    assert (row.fate, row.why) == (Fate.NOT_SENT, "it waited for 500.00 USD that did not come")


def test_a_dry_run_sends_nothing_and_says_so() -> None:
    order = approved(intent(APPLE, "10", "50"))
    row = only(record(mode=Mode.DRY_RUN, approved=(order,)))
    assert row.fate is Fate.NOT_SENT
    assert "DRY RUN" in row.why


def test_an_order_that_a_halt_file_kept_back_names_the_file_and_no_dry_run() -> None:
    order = approved(intent(APPLE, "10", "50"))
    kept = working(order, "0", OrderStatus.NOT_SENT, message="the run stopped")
    halt = flag("halt-file", "HALT", message="a HALT file forbids sending: mid orders")
    row = only(record(mode=Mode.PAPER, approved=(order,), orders=(kept,), flags=(halt,)))
    assert (row.fate, row.why) == (Fate.NOT_SENT, "a HALT file forbids sending: mid orders")
    dry = record(mode=Mode.DRY_RUN, approved=(order,), orders=(kept,), flags=(halt,))
    assert only(dry).why == "a HALT file forbids sending: mid orders"


def test_an_order_that_stayed_here_tells_its_own_reason_and_a_later_halt_is_none() -> None:
    order = approved(intent(APPLE, "10", "50"))
    kept = working(order, "0", OrderStatus.NOT_SENT, message="the gateway lost its connection")
    late = flag("many-breaks", "HALT", message="books and venue disagree", step=9)
    row = only(record(approved=(order,), orders=(kept,), flags=(late,)))
    assert (row.fate, row.why) == (Fate.NOT_SENT, "the gateway lost its connection")


def test_after_the_close_an_order_is_not_sent_and_no_gate_refused_it() -> None:
    closed = RefusedOrder(intent(APPLE, "10", "50"), "session", "the market is closed")
    rows = order_rows(record(refused=(closed,)))
    assert [(row.fate, row.why) for row in rows] == [(Fate.NOT_SENT, "the market is closed")]
    assert tally(rows) == "no orders sent, 1 not sent: the market is closed"
    text = " ".join(summary_text(record(refused=(closed,))).split())
    assert "what became of it: not sent: the market is closed" in text
    assert "gate" not in text


def test_orders_of_a_halted_run_name_the_halt() -> None:
    wanted = intent(APPLE, "10", "50")
    hold = flag("price-missing", "HOLD", APPLE, "no price")
    halt = flag("daily-loss", "HALT", message="the session lost 6.00 %")
    row = only(record(lines=(line(wanted),), flags=(hold, halt)))
    assert (row.fate, row.why) == (Fate.NOT_SENT, "the session lost 6.00 %")


def test_a_reversal_has_two_rows_and_each_line_is_told_once() -> None:
    close, open_ = intent(APPLE, "-100", "50"), intent(APPLE, "-40", "50", sequence=1)
    run = record(lines=(line(close), line(open_)), approved=(approved(close),))
    rows = order_rows(run)
    assert [(row.quantity, row.reference != "") for row in rows] == [(D(100), True), (D(40), False)]


def test_an_instrument_left_alone_is_settled_only_at_its_target() -> None:
    at_target = replace(idle(COKE, "at its target"), current_quantity=D(100))
    rows = idle_rows(record(lines=(at_target, idle(SAP, "no price", None))))
    assert [row.settled for row in rows] == [True, False]


def test_positions_meet_their_targets_in_weights_of_the_plan() -> None:
    rows = {row.instrument: row for row in position_rows(busy())}
    # the plan has AAPL at 100 units = 5 %; 200 held afterwards are 10 %
    assert rows[APPLE].weight == pytest.approx(0.10)
    assert (rows[APPLE].before, rows[APPLE].now, rows[APPLE].target) == (D(100), D(200), D(200))
    assert rows[APPLE].value_base == D("10006")


def test_a_value_without_a_rate_is_unknown_and_one_with_a_rate_is_converted() -> None:
    seen = account({SAP: ("10", "1000")}, "100000")
    (row,) = position_rows(record(before=None, after=seen))
    assert row.value_base == D("1100")  # 1,000 EUR at 1.10
    lost = replace(seen, rates=replace(seen.rates, rates={}))
    (row,) = position_rows(record(before=None, after=lost))
    assert row.value_base is None


def test_an_account_that_was_not_seen_has_no_positions() -> None:
    assert position_rows(record(before=None, after=None)) == ()


def test_what_later_runs_learn_of_an_order_is_told_with_it() -> None:
    first = busy()
    sell = first.approved[1]
    billed = replace(first.fills[1], commission=D("0.40"), commission_currency="USD")
    later = record(
        slot=SLOT + HOUR,
        fills=(billed, fill(sell, 9, "-10", "39.96", "0.50")),
        cancelled=(working(sell, "-30", OrderStatus.CANCELLED),),
    )
    buy, sale, _ = session_rows((later, first))
    assert buy.commissions == (Money(D("1.00"), "USD"),)
    assert buy.commissions_pending == 0
    assert (sale.fate, sale.filled) == (Fate.PART, D(30))


def test_costs_add_up_and_pending_commissions_are_not_zero() -> None:
    run = busy()
    spent = costs(order_rows(run), run.fills)
    assert spent.commissions == {"USD": D("1.60")}
    assert spent.pending == 1
    assert spent.execution_base == D("3.2")  # 2.80 + 0.40
    assert spent.executed_base == D("5800")  # 100 x 50 + 20 x 40
    text = costs_text(spent, "USD")
    assert "1.60 USD, 1 execution pending" in text
    assert "about 3.20 USD more (+5.5 bps of 5,800.00 USD traded)" in text


def test_a_better_price_is_less_cost() -> None:
    order = approved(intent(APPLE, "10", "50"))
    fills = (fill(order, 1, "10", "49.90", "1"),)
    text = costs_text(costs(order_rows(record(approved=(order,), fills=fills)), fills), "USD")
    assert "about 1.00 USD less (-20.0 bps" in text


def test_the_tally_counts_each_order_once() -> None:
    assert tally(order_rows(busy())) == ("2 orders sent (1 filled, 1 working), 1 refused by a gate")
    assert tally(()) == "no orders sent"

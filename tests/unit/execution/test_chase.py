"""How a resting order follows the market and when it takes, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.errors import DataError
from rebalancer.execution import (
    CancelRequest,
    Done,
    Leftover,
    OrderState,
    Peg,
    Then,
    Wait,
    WorkParameters,
    advance,
    after_end,
    asked,
    next_move,
    peg_price,
    start,
)
from rebalancer.model.market import Freshness, Quote
from rebalancer.model.orders import ApprovedOrder, OrderStatus, OrderType, TimeInForce, WorkingOrder
from rebalancer.risk import heir_of, too_small
from tests.unit.risk.builders import NOW, A, a_fill, a_quote, a_stock, an_approved, d

S = OrderStatus
ORDER = an_approved(quantity="10")  # at 100, worst 101
SELL = an_approved(quantity="-10")  # at 100, worst 99
RULES = WorkParameters(window_seconds=120, repeg_seconds=10, taker_after_seconds=45)


def peg(state: OrderState, quote: Quote | None) -> Decimal | None:
    return peg_price(state, quote, now=NOW, oldest_seconds=60)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def told(
    status: OrderStatus = S.WORKING, order: ApprovedOrder = ORDER, **changes: Any
) -> OrderState:
    news = WorkingOrder(
        order.reference, "7", A, order.quantity, d(0), order.intent.limit, status, later(1)
    )
    return advance(replace(start(order, NOW), **changes), news, later(1))


def post_only(order: ApprovedOrder = ORDER) -> ApprovedOrder:
    return replace(order, intent=replace(order.intent, order_type=OrderType.POST_ONLY))


def test_a_resting_order_looks_at_the_market_again_and_again() -> None:
    state = told()
    assert next_move(state, RULES, later(5)) == Wait(later(10))
    assert next_move(state, RULES, later(10)) == Peg(ORDER.reference)
    state = asked(state, Peg(ORDER.reference), later(11))
    assert next_move(state, RULES, later(12)) == Wait(later(21))


def test_when_it_rested_long_enough_its_end_is_asked_for_once() -> None:
    state = told()
    move = next_move(state, RULES, later(45))
    assert move == CancelRequest(ORDER.reference, "it rested long enough", Then.TAKER)
    state = asked(state, move, later(45))
    assert state.then == "taker"
    assert next_move(state, RULES, later(50)) == Wait(later(120))


def test_the_time_counts_from_the_first_order_of_its_trade() -> None:
    heir = told(begun=NOW - timedelta(seconds=40), heir=True)
    assert isinstance(next_move(heir, RULES, later(5)), CancelRequest)
    assert next_move(heir, replace(RULES, taker_after_seconds=0), later(79)) == Peg(ORDER.reference)
    end = next_move(heir, replace(RULES, leftover=Leftover.LEAVE), later(80))
    assert isinstance(end, Done)


@pytest.mark.parametrize("status", [S.SENT, S.PENDING_CANCEL, S.UNKNOWN])
def test_what_the_venue_did_not_confirm_follows_nothing(status: OrderStatus) -> None:
    assert isinstance(next_move(told(status), RULES, later(60)), Wait)


def test_nothing_follows_before_the_end_is_confirmed_and_every_execution_seen() -> None:
    asked_for = told(asked_cancel=later(45), then="taker")
    assert after_end(asked_for, RULES, later(50)) is None
    ended = told(S.CANCELLED, asked_cancel=later(45), then="taker")
    assert after_end(ended, RULES, later(50)) is Then.TAKER
    unseen = replace(ended, told=d(4))
    assert after_end(unseen, RULES, later(50)) is None
    seen = advance(unseen, a_fill("e1", "4"), later(51))
    assert after_end(seen, RULES, later(51)) is Then.TAKER


def test_nothing_follows_what_filled_or_was_cancelled_for_another_reason() -> None:
    whole = advance(
        told(S.CANCELLED, asked_cancel=later(45), then="taker"), a_fill("e1", "10"), later(46)
    )
    assert after_end(whole, RULES, later(50)) is None
    assert after_end(told(S.CANCELLED, asked_cancel=later(120)), RULES, later(121)) is None
    assert after_end(told(S.CANCELLED), RULES, later(50)) is None
    assert after_end(told(S.REJECTED), RULES, later(50)) is None


def test_a_post_only_order_that_would_have_traded_is_priced_once_more_then_takes() -> None:
    refused = told(S.EXPIRED, post_only())
    assert after_end(refused, RULES, later(2)) is Then.PEG
    again = replace(refused, refusals=1)
    assert after_end(again, RULES, later(4)) is Then.TAKER
    assert after_end(again, replace(RULES, taker_after_seconds=0), later(4)) is None
    assert after_end(refused, RULES, later(46)) is Then.TAKER


def test_an_expired_limit_order_is_followed_by_nothing() -> None:
    assert after_end(told(S.EXPIRED), RULES, later(2)) is None


def test_market_follows_only_a_taker_and_only_where_allowed() -> None:
    taker = replace(ORDER, intent=replace(ORDER.intent, time_in_force=TimeInForce.IOC))
    ended = told(S.EXPIRED, taker, heir=True)
    allowed = replace(RULES, market_as_last_resort=True)
    assert after_end(ended, RULES, later(50)) is None
    assert after_end(ended, allowed, later(50)) is Then.MARKET
    assert after_end(replace(ended, heir=False), allowed, later(50)) is None
    market = replace(taker, intent=replace(taker.intent, order_type=OrderType.MARKET))
    assert after_end(told(S.EXPIRED, market, heir=True), allowed, later(51)) is None


def test_a_post_only_order_is_never_left_to_end_by_itself() -> None:
    day = replace(RULES, taker_after_seconds=0.0)
    assert isinstance(next_move(told(order=post_only()), day, later(120)), CancelRequest)
    assert isinstance(next_move(told(), day, later(120)), Done)


@pytest.mark.parametrize(
    ("order", "middle", "price"),
    # two cents around the middle: a buy joins the bid, a sell the ask; never beyond 101 or 99
    [(ORDER, "100.5", "100.49"), (ORDER, "103", "101"), (ORDER, "90", "89.99"),
     (SELL, "100.5", "100.51"), (SELL, "95", "99"), (SELL, "110", "110.01")],
)  # fmt: skip
def test_the_price_is_the_best_of_its_own_side_within_what_was_approved(
    order: ApprovedOrder, middle: str, price: str
) -> None:
    assert peg(told(order=order), a_quote(A, middle)) == d(price)


@pytest.mark.parametrize(
    "changes",
    [{"bid": None}, {"ask": d(99)}, {"freshness": Freshness.DELAYED}, {"bid": d("NaN")}],
)
def test_a_poor_quote_moves_nothing(changes: dict[str, Any]) -> None:
    assert peg(told(), a_quote(A, "100", **changes)) is None
    assert peg(told(), None) is None


@pytest.mark.parametrize(
    ("seconds", "price"), [(60, "99.99"), (61, None), (-60, "99.99"), (-61, None)]
)
def test_an_order_is_moved_by_no_older_quote_than_it_may_be_sent_by(
    seconds: int, price: str | None
) -> None:
    quote = a_quote(A, "100", at=NOW - timedelta(seconds=seconds))
    assert peg(told(), quote) == (None if price is None else d(price))


def test_an_heir_stays_within_what_was_approved() -> None:
    kind = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.IOC, "reason": "x"}
    heir = heir_of(ORDER, d(4), 9, limit=d(101), **kind)  # type: ignore[arg-type]
    assert heir.reference == ORDER.reference.rpartition(".")[0] + ".9"
    assert (heir.quantity, heir.intent.limit, heir.worst_price) == (d(4), d(101), d(101))
    assert heir.intent.notional == pytest.approx(ORDER.intent.notional * 0.4)
    assert (heir.deadline, heir.reduce_only) == (ORDER.deadline, ORDER.reduce_only)
    for quantity, limit in (("11", "100"), ("-1", "100"), ("0", "100"), ("4", "101.01")):
        with pytest.raises(DataError):
            heir_of(ORDER, d(quantity), 9, limit=d(limit), **kind)  # type: ignore[arg-type]


def test_a_rest_that_the_venue_would_not_take_is_too_small() -> None:
    stock = a_stock(A)
    rules = replace(stock.rules, min_notional=d(500))
    strict = replace(stock, rules=rules)
    assert not too_small(ORDER, d(4), stock)
    assert too_small(ORDER, d(4), strict)  # 4 x 101
    assert not too_small(ORDER, d(5), strict)
    assert too_small(ORDER, d("0.5"), stock)
    closing = replace(ORDER, reduce_only=True)
    exempt = replace(strict, rules=replace(rules, reduce_only_exempt=True))
    assert not too_small(closing, d(1), exempt)

"""What to do next with an order, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.execution import (
    CancelRequest,
    Done,
    Leftover,
    OrderState,
    Wait,
    WorkParameters,
    advance,
    asked,
    next_move,
    planned,
    silence,
    start,
)
from rebalancer.model.orders import (
    ApprovedOrder,
    OrderStatus,
    OrderType,
    Place,
    Replace,
    TimeInForce,
    WorkingOrder,
)
from tests.unit.risk.builders import NOW, A, a_fill, an_approved, d

S = OrderStatus
ORDER = an_approved(quantity="10")
LEAVE = WorkParameters(window_seconds=120, acknowledge_seconds=30, cancel_seconds=20)
CANCEL = replace(LEAVE, leftover=Leftover.CANCEL)
MOVE = replace(CANCEL, reprice_after_seconds=60)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def heard(status: OrderStatus, filled: str = "0", order: ApprovedOrder = ORDER) -> OrderState:
    news = WorkingOrder(
        order.reference, "7", A, order.quantity, d(filled), order.intent.limit, status, later(1)
    )
    return advance(start(order, NOW), news, later(1))


def with_order(**changes: Any) -> ApprovedOrder:
    return replace(ORDER, intent=replace(ORDER.intent, **changes))


def test_a_planned_order_is_placed_while_its_approval_holds() -> None:
    assert isinstance(next_move(planned(ORDER), LEAVE, NOW), Place)
    assert next_move(planned(ORDER), LEAVE, later(301)) == Done("not sent: its approval ended")


def test_a_silent_order_is_waited_for_and_then_left_alone() -> None:
    state = start(ORDER, NOW)
    assert next_move(state, CANCEL, later(5)) == Wait(later(30))
    state = silence(state, CANCEL, later(30))
    assert next_move(state, CANCEL, later(30)) == Wait(later(120))
    end = next_move(state, CANCEL, later(120))
    assert isinstance(end, Done)
    assert "unresolved" in end.reason


def test_an_order_whose_end_was_asked_for_is_moved_no_more() -> None:
    ended = asked(heard(S.WORKING), CancelRequest(ORDER.reference, "a leg was lost"), later(5))
    assert isinstance(next_move(heard(S.WORKING), MOVE, later(60)), Replace)
    assert next_move(ended, MOVE, later(60)) == Wait(later(120))


def test_a_working_order_waits_for_the_end_of_its_window() -> None:
    assert next_move(heard(S.WORKING), LEAVE, later(10)) == Wait(later(120))


def test_at_the_end_a_day_order_is_left_when_so_configured() -> None:
    end = next_move(heard(S.WORKING), LEAVE, later(120))
    assert end == Done("left working with 10 open; DAY ends it")


@pytest.mark.parametrize(
    ("parameters", "force"), [(CANCEL, TimeInForce.DAY), (LEAVE, TimeInForce.GTC)]
)
def test_at_the_end_what_does_not_die_by_itself_is_cancelled_once(
    parameters: WorkParameters, force: TimeInForce
) -> None:
    state = heard(S.WORKING, order=with_order(time_in_force=force))
    move = next_move(state, parameters, later(120))
    assert isinstance(move, CancelRequest)
    state = asked(state, move, later(120))
    assert next_move(state, parameters, later(121)) == Wait(later(140))
    end = next_move(state, parameters, later(140))
    assert isinstance(end, Done)
    assert "not confirmed" in end.reason


def test_a_cancel_under_way_is_not_asked_again() -> None:
    assert next_move(heard(S.PENDING_CANCEL), CANCEL, later(120)) == Done(
        "its cancel was not confirmed in time; the next run cancels again"
    )


def test_an_order_that_rests_moves_to_its_worst_price_once() -> None:
    state = heard(S.WORKING)
    assert next_move(state, MOVE, later(59)) == Wait(later(60))
    move = next_move(state, MOVE, later(60))
    assert isinstance(move, Replace)
    assert move.limit == ORDER.worst_price == d(101)
    state = asked(state, move, later(60))
    assert next_move(state, MOVE, later(61)) == Wait(later(120))


@pytest.mark.parametrize(
    "order",
    [
        with_order(order_type=OrderType.MARKET),
        with_order(order_type=OrderType.ADAPTIVE),
        replace(ORDER, worst_price=d(100)),
    ],
)
def test_some_orders_are_not_moved(order: ApprovedOrder) -> None:
    assert next_move(heard(S.WORKING, order=order), MOVE, later(60)) == Wait(later(120))


def test_a_sale_moves_down() -> None:
    order = an_approved(quantity="-10")
    move = next_move(heard(S.WORKING, order=order), MOVE, later(60))
    assert isinstance(move, Replace)
    assert move.limit == d(99)


def test_the_deadline_ends_a_window_early() -> None:
    order = replace(ORDER, deadline=later(50))
    assert next_move(heard(S.WORKING, order=order), MOVE, later(10)) == Wait(later(50))
    assert isinstance(next_move(heard(S.WORKING, order=order), MOVE, later(50)), CancelRequest)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (heard(S.REJECTED), "rejected"),
        (advance(heard(S.WORKING), a_fill(quantity="10"), later(2)), "filled"),
        (advance(heard(S.CANCELLED), a_fill(quantity="4"), later(2)), "cancelled after 4 of 10"),
    ],
)
def test_a_terminal_order_is_done_and_says_how(state: OrderState, words: str) -> None:
    assert next_move(state, CANCEL, later(5)) == Done(words)


def test_a_filled_order_waits_for_its_executions() -> None:
    state = heard(S.FILLED, "10")
    assert next_move(state, CANCEL, later(5)) == Wait(later(120))
    end = next_move(state, CANCEL, later(120))
    assert end == Done("filled; some of its executions have not been seen yet")


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from(list(OrderStatus)),
    filled=st.integers(0, 10),
    now=st.integers(0, 600),
    parameters=st.sampled_from([LEAVE, CANCEL, MOVE]),
    force=st.sampled_from(list(TimeInForce)),
)
def test_every_move_is_allowed_and_waiting_goes_forward(
    status: OrderStatus, filled: int, now: int, parameters: WorkParameters, force: TimeInForce
) -> None:
    state = heard(status, str(filled), with_order(time_in_force=force))
    move = next_move(state, parameters, later(now))
    if isinstance(move, Wait):
        assert move.until > later(now)
    if isinstance(move, Replace):
        assert move.limit <= ORDER.worst_price
    if isinstance(move, Replace | CancelRequest):
        assert status is OrderStatus.WORKING
        assert next_move(asked(state, move, later(now)), parameters, later(now)) != move
    assert not isinstance(move, Place)

"""The life of an order: tables, and what no sequence of events may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.errors import DataError
from rebalancer.execution import OrderState, WorkParameters, advance, planned, silence, start
from rebalancer.model.orders import OrderStatus, OrderType, VenueEvent, WorkingOrder
from tests.unit.risk.builders import NOW, a_fill, an_approved, d

S = OrderStatus
ORDER = an_approved(quantity="10")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def told(status: OrderStatus, filled: str = "0", at: float = 1, **more: object) -> WorkingOrder:
    order = WorkingOrder(
        ORDER.reference, "7", ORDER.instrument, d(10), d(filled), d(100), status, later(at)
    )
    return replace(order, **more)  # type: ignore[arg-type]


def after(*events: VenueEvent, state: OrderState | None = None) -> OrderState:
    state = state or start(ORDER, NOW)
    for number, event in enumerate(events, 1):
        state = advance(state, event, later(number))
    return state


def test_an_order_begins_planned_and_then_sent() -> None:
    assert planned(ORDER).sent_at is None
    state = start(ORDER, NOW)
    assert (state.status, state.sent_at, state.filled) == (S.SENT, NOW, d(0))
    assert not state.done
    market = replace(ORDER, intent=replace(ORDER.intent, order_type=OrderType.MARKET))
    assert (state.limit, planned(market).limit) == (d(100), None)


@pytest.mark.parametrize(
    ("events", "status", "filled", "done"),
    [
        ([told(S.WORKING)], S.WORKING, 0, False),
        ([told(S.SENT)], S.SENT, 0, False),
        ([told(S.UNKNOWN)], S.UNKNOWN, 0, False),
        ([told(S.UNKNOWN), told(S.WORKING, at=2)], S.WORKING, 0, False),
        ([told(S.REJECTED)], S.REJECTED, 0, True),
        ([told(S.NOT_SENT)], S.NOT_SENT, 0, True),
        ([told(S.WORKING), a_fill(quantity="4")], S.WORKING, 4, False),
        ([a_fill(quantity="4")], S.WORKING, 4, False),
        ([a_fill("e1", "4"), a_fill("e2", "6")], S.FILLED, 10, True),
        ([a_fill("e1", "4"), a_fill("e1", "4")], S.WORKING, 4, False),
        ([told(S.FILLED, "10")], S.FILLED, 0, False),  # its executions are still to come
        ([told(S.FILLED, "10"), a_fill(quantity="10")], S.FILLED, 10, True),
        ([told(S.CANCELLED), a_fill(quantity="4")], S.CANCELLED, 4, True),
        ([told(S.CANCELLED, "4")], S.CANCELLED, 0, False),
        ([told(S.CANCELLED), told(S.WORKING, at=9)], S.CANCELLED, 0, True),
        ([told(S.WORKING, at=5), told(S.PENDING_CANCEL, at=4)], S.WORKING, 0, False),
        ([told(S.PENDING_CANCEL, at=4), told(S.WORKING, at=5)], S.WORKING, 0, False),
        ([told(S.WORKING, at=5), told(S.CANCELLED, at=4)], S.CANCELLED, 0, True),
        ([told(S.EXPIRED, "0")], S.EXPIRED, 0, True),
    ],
)
def test_events_and_where_they_lead(
    events: list[VenueEvent], status: OrderStatus, filled: int, done: bool
) -> None:
    state = after(*events)
    assert (state.status, state.filled, state.done) == (status, d(filled), done)


def test_a_correction_is_the_same_execution() -> None:
    state = after(a_fill("0001.02.03.01", "4"), a_fill("0001.02.03.02", "5"))
    assert state.filled == 5


def test_an_execution_for_the_other_side_counts_nothing() -> None:
    state = after(a_fill(quantity="-4"))
    assert state.filled == 0
    assert "other side" in state.message


def test_a_new_price_and_the_venues_words_are_kept() -> None:
    state = after(told(S.WORKING, limit=d(101), message="held"))
    assert (state.limit, state.message, state.venue_id) == (d(101), "held", "7")


def test_an_event_of_another_order_is_refused() -> None:
    with pytest.raises(DataError, match="not an event"):
        after(a_fill(reference="other"))


@pytest.mark.parametrize(("seconds", "status"), [(29.9, S.SENT), (30, S.UNKNOWN)])
def test_silence_becomes_unknown(seconds: float, status: OrderStatus) -> None:
    parameters = WorkParameters(acknowledge_seconds=30)
    assert silence(start(ORDER, NOW), parameters, later(seconds)).status is status
    heard = after(told(S.WORKING))
    assert silence(heard, parameters, later(seconds)) is heard
    assert silence(planned(ORDER), parameters, later(seconds)).status is S.SENT


events = st.one_of(
    st.builds(
        told,
        st.sampled_from(list(OrderStatus)),
        st.integers(0, 10).map(str),
        st.integers(0, 20),
    ),
    st.builds(
        lambda name, n: a_fill(name, str(n)),
        st.sampled_from(["e1", "e2", "x.y.z.01", "x.y.z.02"]),
        st.integers(-2, 6),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=12))
def test_no_order_of_events_forgets_a_fill_or_wakes_the_dead(sequence: list[VenueEvent]) -> None:
    state = start(ORDER, NOW)
    for number, event in enumerate(sequence):
        new = advance(state, event, later(number))
        assert new.filled >= state.filled
        assert new.told >= state.told
        if state.status.terminal:
            assert new.status is state.status
        if new.status is OrderStatus.FILLED:
            assert new.filled >= 10 or new.told == 10
            assert not new.done or new.filled >= 10
        assert advance(new, event, later(number)).filled == new.filled
        state = new
    assert isinstance(state.filled, Decimal)

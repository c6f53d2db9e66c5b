"""What hands make of answers that are odd, and of words that the exchange does not have."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.errors import OutcomeUnknown
from rebalancer.model.orders import OrderStatus, Replace, TimeInForce, WorkingOrder
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from tests.unit.binance.orders.stand import Stand, stand


@pytest.fixture
def usdm(tmp_path: Path) -> Iterator[Stand]:
    with stand(tmp_path) as made:
        yield made


def test_an_order_for_the_day_is_refused_here_as_it_would_never_end(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("bid") - 2, time_in_force=TimeInForce.DAY)
    (order,) = usdm.hands.submit([place])
    assert isinstance(order, WorkingOrder)
    assert order.status is OrderStatus.REJECTED
    assert "no DAY orders" in order.message
    assert usdm.server.counts().get("POST /fapi/v1/order", 0) == 0


def test_a_move_to_the_price_where_it_stands_is_no_trouble(usdm: Stand) -> None:
    limit = usdm.price("bid") - 2
    place = usdm.order("1", limit)
    usdm.hands.submit([place])
    move = Replace(place.reference, place.instrument, place.quantity, limit, TimeInForce.GTC)
    usdm.fault(HttpFault("PUT /fapi/v1/order", Do.STATUS_BEFORE, status=400, code=-5027))
    told = usdm.hands.replace(move)
    states = [(event.status, event.message) for event in told if isinstance(event, WorkingOrder)]
    assert states == [(OrderStatus.WORKING, "")]


def test_a_move_that_is_refused_says_why_and_leaves_the_order(usdm: Stand) -> None:
    limit = usdm.price("bid") - 2
    place = usdm.order("1", limit)
    usdm.hands.submit([place])
    worse = limit + Decimal("0.001")
    told = usdm.hands.replace(
        Replace(place.reference, place.instrument, place.quantity, worse, TimeInForce.GTC)
    )
    (order,) = told
    assert isinstance(order, WorkingOrder)
    assert (order.status, order.limit) == (OrderStatus.WORKING, limit)
    assert order.message


def test_a_damaged_row_of_leverages_leaves_the_margin_unknown(
    usdm: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = BinanceLine.signed

    def damaged(line: BinanceLine, method: str, path: str, **more: Any) -> Any:
        answer = signed(line, method, path, **more)
        if path == "/fapi/v1/symbolConfig":
            for row in answer:
                del row["symbol"]
        return answer

    monkeypatch.setattr(BinanceLine, "signed", damaged)
    preview = usdm.hands.preview(usdm.order("1", usdm.price("bid")))
    assert preview.initial_margin_after is None
    assert preview.message == "what SOLUSDT needs as margin is unknown"


def test_the_end_of_an_order_is_told_after_what_it_was_before(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("bid") - 2)
    usdm.fault(HttpFault("POST /fapi/v1/order", Do.TIMEOUT_AFTER))
    (sent,) = usdm.hands.submit([place])
    (found,) = usdm.venue.find(place.reference)  # what is new of it is news, not told yet
    told = usdm.hands.cancel(found)
    states = [event.status for event in (sent, *told) if isinstance(event, WorkingOrder)]
    assert states == [OrderStatus.SENT, OrderStatus.WORKING, OrderStatus.CANCELLED]


def test_a_stop_that_was_taken_with_half_an_answer_may_be_there(
    usdm: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    usdm.hands.submit([usdm.order("2", None)])
    stop = usdm.stop("-2", str(usdm.price("bid") - 5))
    whole = usdm.venue.line.signed

    def half(method: str, path: str, **asked: str) -> Any:
        answer = whole(method, path, **asked)
        if method == "POST":
            del answer["algoId"]
        return answer

    monkeypatch.setattr(usdm.venue.line, "signed", half)
    with pytest.raises(OutcomeUnknown, match="no algoId"):
        usdm.hands.place_stop(stop)
    (found,) = usdm.venue.find_stop(stop.reference)
    assert found.status is OrderStatus.WORKING


def test_patience_begins_when_the_answer_is_given_up(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("bid") - 2)
    usdm.fault(HttpFault("POST /fapi/v1/order", Do.TIMEOUT_BEFORE))
    usdm.hands.submit([place])
    # The client waits 10 s for the answer; a window of 3 s and 10 s of grace follow.
    usdm.pass_time(12)
    with pytest.raises(OutcomeUnknown, match="may still arrive"):
        usdm.venue.find(place.reference)
    usdm.pass_time(2)
    assert usdm.venue.find(place.reference) == ()

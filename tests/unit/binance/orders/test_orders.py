"""Orders at the simulated exchange: what is said, what is lost, what is proved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.statuses import order_status, stop_status
from rebalancer.brokers.binance.told import fill_of, order_of, plain
from rebalancer.errors import BlindError, DataError, OutcomeUnknown
from rebalancer.model.instrument import Kind
from rebalancer.model.orders import (
    LIQUIDATION,
    Fill,
    OrderStatus,
    OrderType,
    Replace,
    TimeInForce,
    VenueEvent,
    WorkingOrder,
)
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from tests.unit.binance.orders.stand import SLOT, Stand, stand

D, S = Decimal, OrderStatus
POST = "POST /fapi/v1/order"


@pytest.fixture
def usdm(tmp_path: Path) -> Iterator[Stand]:
    with stand(tmp_path) as made:
        yield made


@pytest.fixture
def spot(tmp_path: Path) -> Iterator[Stand]:
    with stand(tmp_path, Kind.SPOT) as made:
        yield made


def last(events: tuple[VenueEvent, ...]) -> WorkingOrder:
    """Return the last state of an order among events."""
    return [event for event in events if isinstance(event, WorkingOrder)][-1]


def sent(made: Stand, path: str = POST) -> int:
    """Return how many requests of a kind have reached the exchange."""
    return made.server.counts().get(path, 0)


def test_an_order_travels_as_plain_digits_with_our_reference(usdm: Stand) -> None:
    place = usdm.order("0.10", usdm.price("bid") - 2)
    told = usdm.hands.submit([place])
    (order,) = usdm.server.server.exchange.account.orders
    assert order.reference == place.reference
    assert order.quantity == D("0.10")
    assert last(told).status is S.WORKING


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.00001", "0.00001"), ("1E+2", "100"), ("12.500", "12.5"), ("0", "0"), ("7", "7")],
)
def test_a_number_never_has_an_exponent(value: str, text: str) -> None:
    assert plain(D(value)) == text


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity"])
def test_what_is_no_amount_is_never_sent(value: str) -> None:
    with pytest.raises(DataError):
        plain(D(value))


@pytest.mark.parametrize(
    "fault",
    [
        HttpFault(POST, Do.TIMEOUT_AFTER),
        HttpFault(POST, Do.CUT_AFTER),
        HttpFault(POST, Do.STATUS_AFTER, status=503, code=-1007),
        HttpFault(POST, Do.STATUS_AFTER, status=503, code=-1006),
        HttpFault(POST, Do.STATUS_AFTER, status=408, code=-1007),
        HttpFault(POST, Do.HTML_AFTER, status=502),
        HttpFault(POST, Do.TRUNCATE),
        HttpFault(POST, Do.EMPTY),
    ],
    ids=lambda fault: f"{fault.do.value}-{fault.status}-{fault.code}",
)
def test_a_lost_answer_is_no_answer_and_the_order_is_found(usdm: Stand, fault: HttpFault) -> None:
    usdm.fault(fault)
    place = usdm.order("1", usdm.price("ask"))
    told = usdm.hands.submit([place])
    assert last(told).status is S.SENT
    (found,) = usdm.venue.find(place.reference)
    assert found.status is S.FILLED
    assert sent(usdm) == 1


def test_absence_is_believed_only_when_it_can_not_arrive_any_more(usdm: Stand) -> None:
    usdm.fault(HttpFault(POST, Do.CUT_BEFORE))
    place = usdm.order("1", usdm.price("ask"))
    assert last(usdm.hands.submit([place])).status is S.SENT
    with pytest.raises(OutcomeUnknown, match="may still arrive"):
        usdm.venue.find(place.reference)
    usdm.pass_time(12)  # the window of 3 s and 10 s more are not over
    with pytest.raises(OutcomeUnknown):
        usdm.venue.find(place.reference)
    usdm.pass_time(2)
    assert usdm.venue.find(place.reference) == ()
    assert usdm.server.server.exchange.account.orders == ()


def test_an_order_that_nobody_answered_is_not_sent_again(usdm: Stand) -> None:
    usdm.fault(HttpFault(POST, Do.TIMEOUT_BEFORE))
    place = usdm.order("1", usdm.price("ask"))
    assert last(usdm.hands.submit([place])).status is S.SENT
    usdm.pass_time(60)
    assert usdm.venue.find(place.reference) == ()
    assert usdm.server.server.exchange.account.orders == ()


def test_a_look_up_without_an_answer_proves_nothing(usdm: Stand) -> None:
    usdm.fault(HttpFault("GET /fapi/v1/order", Do.TIMEOUT_BEFORE, count=9))
    with pytest.raises(OutcomeUnknown):
        usdm.venue.find(usdm.reference())


def test_an_order_of_an_instrument_that_is_gone_is_unknown_not_absent(usdm: Stand) -> None:
    with pytest.raises(OutcomeUnknown, match="not in the universe"):
        usdm.venue.find("demo.2503201505r1.AAAAAAAA.1")


def test_an_id_that_is_in_use_means_that_the_order_is_there(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("bid") - 2)
    first = usdm.hands.submit([place])
    again = usdm.hands.submit([place])
    assert last(again).venue_id == last(first).venue_id
    assert len(usdm.server.server.exchange.account.orders) == 1


def test_a_refusal_is_certain_and_says_why(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("ask") + 20)
    order = last(usdm.hands.submit([place]))
    assert order.status is S.REJECTED
    assert "-4131" in order.message or "-4024" in order.message or "-4016" in order.message
    assert usdm.venue.find(place.reference) == ()


def test_post_only_that_would_take_ends_without_a_trade(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("ask") + 1, order_type=OrderType.POST_ONLY)
    order = last(usdm.hands.submit([place]))
    assert order.status is S.EXPIRED
    assert "-5022" in order.message


def test_post_only_on_spot_is_a_limit_maker(spot: Stand) -> None:
    taking = spot.order("1", spot.price("ask") + 1, order_type=OrderType.POST_ONLY)
    resting = spot.order("1", spot.price("bid") - 1, order_type=OrderType.POST_ONLY)
    assert last(spot.hands.submit([taking])).status is S.EXPIRED
    assert last(spot.hands.submit([resting])).status is S.WORKING


@pytest.mark.parametrize("seconds", [30, 900])
def test_a_good_till_date_is_ten_minutes_ahead_at_least(usdm: Stand, seconds: int) -> None:
    until = usdm.venue.now() + timedelta(seconds=seconds)
    place = usdm.order("1", usdm.price("bid") - 2, time_in_force=TimeInForce.GTD, good_till=until)
    assert last(usdm.hands.submit([place])).status is S.WORKING
    (order,) = usdm.server.server.exchange.account.orders
    assert order.expires_at is not None
    ahead = (order.expires_at - SLOT).total_seconds()
    assert 605 < ahead <= max(seconds, 612), "5 s for the way and the clocks, not much more"
    usdm.pass_time(ahead + 5)
    assert usdm.venue.open_orders() == ()


def test_what_is_immediate_ends_at_once(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("bid") - 2, time_in_force=TimeInForce.IOC)
    assert last(usdm.hands.submit([place])).status is S.EXPIRED


def test_an_order_that_only_reduces_says_so(usdm: Stand) -> None:
    usdm.hands.submit([usdm.order("2", None)])
    wrong = usdm.order("1", usdm.price("ask"), reduce_only=True)
    right = usdm.order("-2", usdm.price("bid"), reduce_only=True)
    assert last(usdm.hands.submit([wrong])).status is S.REJECTED
    assert last(usdm.hands.submit([right])).status is S.FILLED
    assert usdm.venue.account().positions == ()


def test_executions_carry_reference_fee_and_side(usdm: Stand) -> None:
    place = usdm.order("-3", None)
    told = usdm.hands.submit([place])
    assert last(told).status is S.FILLED
    events = usdm.venue.wait(usdm.venue.now() + timedelta(seconds=5))
    (fill,) = [event for event in events if isinstance(event, Fill)]
    (read,) = usdm.venue.executions(SLOT)
    assert read == fill
    assert (fill.reference, fill.quantity, fill.liquidity) == (place.reference, D(-3), "taker")
    assert fill.commission == (3 * fill.price * D("0.0005")).quantize(D("1E-8"))
    assert fill.exec_id.startswith("SOLUSDT-")


def test_trades_that_could_not_be_read_are_told_later(usdm: Stand) -> None:
    usdm.fault(HttpFault("GET /fapi/v1/userTrades", Do.CUT_BEFORE, count=4))
    told = usdm.hands.submit([usdm.order("1", None)])
    assert last(told).status is S.FILLED
    soon = usdm.venue.wait(usdm.venue.now() + timedelta(seconds=1))
    assert not [event for event in soon if isinstance(event, Fill)]
    later = usdm.venue.wait(usdm.venue.now() + timedelta(seconds=5))
    assert [event.quantity for event in later if isinstance(event, Fill)] == [D(1)]


def test_sending_is_not_slowed_down_by_reading_trades(usdm: Stand) -> None:
    usdm.hands.submit([usdm.order("1" if n % 2 else "-1", None) for n in range(40)])
    assert sent(usdm, "GET /fapi/v1/userTrades") == 0
    events = usdm.venue.wait(usdm.venue.now() + timedelta(seconds=5))
    assert len([event for event in events if isinstance(event, Fill)]) == 40
    assert sent(usdm, "GET /fapi/v1/userTrades") == 1


def test_only_symbols_that_traded_are_asked_for_trades(usdm: Stand) -> None:
    assert usdm.venue.executions(SLOT) == ()
    assert sent(usdm, "GET /fapi/v1/userTrades") == 0
    usdm.hands.submit([usdm.order("1", None)])
    assert len(usdm.venue.executions(SLOT)) == 1


def test_a_liquidation_is_known_by_its_id(usdm: Stand) -> None:
    exchange = usdm.server.server.exchange
    usdm.hands.submit([usdm.order("400", None)])
    exchange.book_cash("USDT", D(-99_900))
    usdm.pass_time(180)
    forced = [fill for fill in usdm.venue.executions(SLOT) if fill.origin == LIQUIDATION]
    assert forced
    assert all(fill.reference.startswith("autoclose-") for fill in forced)


def test_a_trade_by_hand_has_no_reference_of_ours(usdm: Stand) -> None:
    usdm.venue.line.signed(
        "POST", "/fapi/v1/order", symbol="SOLUSDT", side="BUY", type="MARKET", quantity="2",
        newClientOrderId="by-hand",
    )  # fmt: skip
    (fill,) = usdm.venue.executions(SLOT)
    assert fill.reference == "by-hand"
    assert fill.origin == ""


def test_an_order_moves_and_keeps_its_reference(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("bid") - 2)
    usdm.hands.submit([place])
    better = usdm.price("bid") - 1
    told = usdm.hands.replace(
        Replace(place.reference, usdm.sol().id, D(1), better, TimeInForce.GTC)
    )
    assert last(told).limit == better
    assert last(told).reference == place.reference
    assert len(usdm.server.server.exchange.account.orders) == 1


def test_spot_has_no_move(spot: Stand) -> None:
    place = spot.order("1", spot.price("bid") - 2)
    spot.hands.submit([place])
    move = Replace(place.reference, spot.sol().id, D(1), place.limit or D(1), TimeInForce.GTC)
    assert spot.hands.replace(move) == ()


def test_a_spot_cancel_ends_the_order_under_our_reference(spot: Stand) -> None:
    place = spot.order("1", spot.price("bid") - 2)
    spot.hands.submit([place])
    (order,) = spot.venue.open_orders()
    ended = last(spot.hands.cancel(order))
    assert (ended.reference, ended.status) == (place.reference, S.CANCELLED)
    assert spot.venue.open_orders() == ()


def test_a_cancel_whose_answer_is_lost_is_looked_up(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("bid") - 2)
    usdm.hands.submit([place])
    (order,) = usdm.venue.open_orders()
    usdm.fault(HttpFault("DELETE /fapi/v1/order", Do.TIMEOUT_AFTER))
    told = usdm.hands.cancel(order)
    assert last(told).status is S.CANCELLED


def test_cancelling_what_has_traded_tells_the_trade(usdm: Stand) -> None:
    place = usdm.order("1", usdm.price("bid") - 2)
    told = usdm.hands.submit([place])
    exchange = usdm.server.server.exchange
    exchange.move(1, usdm.price("ask") + 1, at_once=True)  # it trades behind our back
    ended = last(usdm.hands.cancel(last(told)))
    assert ended.status is S.FILLED
    assert [fill.quantity for fill in usdm.venue.executions(SLOT)] == [D(1)]


def test_others_stops_that_could_open_a_position_are_others_orders(usdm: Stand) -> None:
    words = {"algoType": "CONDITIONAL", "symbol": "SOLUSDT", "side": "BUY", "type": "STOP_MARKET",
             "quantity": "1", "triggerPrice": "150.00"}  # fmt: skip
    usdm.venue.line.signed("POST", "/fapi/v1/algoOrder", clientAlgoId="mine", **words)
    (order,) = usdm.venue.open_orders()
    assert order.reference == "mine"
    assert order.quantity == 1


def test_a_stop_waits_is_listed_and_ends(usdm: Stand) -> None:
    usdm.hands.submit([usdm.order("2", None)])
    stop = usdm.stop("-2", "120.00", "119.40")
    placed = usdm.hands.place_stop(stop)
    assert placed.status is S.WORKING
    assert usdm.venue.stops() == (placed,)
    assert usdm.venue.find_stop(stop.reference) == (placed,)
    assert usdm.venue.open_orders() == (), "an own stop that only reduces is the ladder's"
    ended = usdm.hands.cancel_stop(placed)
    assert ended.status is S.CANCELLED
    assert usdm.venue.stops() == ()


def test_the_reference_of_a_stop_is_ours_and_not_the_librarys(usdm: Stand) -> None:
    usdm.hands.submit([usdm.order("2", None)])
    stop = usdm.stop("-2", "120.00")
    usdm.hands.place_stop(stop)
    assert [each.reference for each in usdm.venue.stops()] == [stop.reference]


def test_a_stop_whose_answer_is_lost_may_be_there(usdm: Stand) -> None:
    usdm.hands.submit([usdm.order("2", None)])
    usdm.fault(HttpFault("POST /fapi/v1/algoOrder", Do.TIMEOUT_AFTER))
    stop = usdm.stop("-2", "120.00")
    with pytest.raises(OutcomeUnknown):
        usdm.hands.place_stop(stop)
    (found,) = usdm.venue.find_stop(stop.reference)
    assert found.status is S.WORKING


def test_a_stop_that_would_trigger_at_once_is_refused(usdm: Stand) -> None:
    usdm.hands.submit([usdm.order("2", None)])
    refused = usdm.hands.place_stop(usdm.stop("-2", "140.00"))
    assert refused.status is S.REJECTED
    assert "-2021" in refused.message


def test_spot_keeps_no_stops(spot: Stand) -> None:
    assert not spot.venue.keeps_stops
    assert spot.venue.stops() == ()
    assert spot.venue.find_stop("x") == ()


@pytest.mark.parametrize("word", ["", None, "SOMETHING_NEW", "new"])
def test_a_status_that_nobody_knows_is_never_an_end(word: object) -> None:
    assert order_status(word) is S.UNKNOWN
    assert stop_status(word) is S.UNKNOWN
    assert not order_status(word).terminal


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"orderId": 1, "symbol": "SOLUSDT", "side": "BUY", "origQty": "1", "updateTime": 1},
        {"orderId": 1, "symbol": "SOLUSDT", "side": "UP", "origQty": "1", "executedQty": "0",
         "updateTime": 1},
        {"orderId": 1, "symbol": "SOLUSDT", "side": "BUY", "origQty": "x", "executedQty": "0",
         "updateTime": 1},
        {"orderId": 1, "symbol": "SOLUSDT", "side": "BUY", "origQty": "1", "executedQty": "0"},
    ],
)  # fmt: skip
def test_half_an_order_is_no_order(usdm: Stand, row: dict[str, Any]) -> None:
    with pytest.raises(BlindError):
        order_of(usdm.venue.line, row)


def test_half_a_trade_is_no_trade(usdm: Stand) -> None:
    with pytest.raises(BlindError):
        fill_of(usdm.venue.line, {"symbol": "SOLUSDT", "id": 1, "qty": "1"})

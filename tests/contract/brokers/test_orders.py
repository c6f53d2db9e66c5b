"""The life of orders at a venue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.errors import ConnectError, OutcomeUnknown
from rebalancer.model.instrument import Instrument
from rebalancer.model.orders import (
    Fill,
    OrderStatus,
    Replace,
    TimeInForce,
    WorkingOrder,
)
from rebalancer.simulators.faults import Fault, FaultKind
from tests.contract.brokers.rig import (
    Rig,
    ask,
    bid,
    buy_now,
    fills,
    life,
    listen,
    statuses,
)

S = OrderStatus


def test_an_order_is_acknowledged_traded_and_charged(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        price = ask(venue, rig.one)
        place = rig.order(rig.one, 20, price)
        sent = rig.hands(venue).submit([place])
        events = listen(venue, 10)
        executions = venue.executions(rig.slot)
        (found,) = venue.find(place.reference)
    told = [event for event in (*sent, *events) if isinstance(event, Fill)]
    if not rig.instant:
        assert statuses(sent) == [S.SENT]
        assert statuses(events) == [S.WORKING, S.FILLED]
        assert [fill.commission for fill in told] == [None, told[-1].commission]
    assert life(sent, events)[-1] is S.FILLED
    assert len({fill.exec_id for fill in told}) == 1
    assert told[0].quantity == 20
    assert told[0].price == price
    assert told[-1].commission == rig.fee(20, price)
    assert told[-1].commission_currency == rig.base
    assert executions == (told[-1],)
    assert found.status is S.FILLED
    assert found.filled == 20


def test_a_sale_pays_the_regulators_too(rig: Rig) -> None:
    if rig.base != "USD":
        pytest.skip("these are fees of US exchanges")
    settings = {"positions": {rig.three.id: Decimal(100)}}
    with rig.broker(settings=settings).connect(rig.page()) as venue:
        price = bid(venue, rig.three)
        rig.hands(venue).submit([rig.order(rig.three, -100, price)])
        fill = [event for event in listen(venue, 10) if isinstance(event, Fill)][-1]
    assert fill.quantity == -100
    fee = Decimal("1.00") + 100 * Decimal("0.000072") + 100 * Decimal("0.000166")
    assert fill.commission == fee + 100 * price * Decimal("0.0000278")


def test_a_large_order_trades_in_parts(rig: Rig) -> None:
    with rig.broker(settings={"depth": Decimal(40)}).connect(rig.page()) as venue:
        place = rig.order(rig.one, 200, ask(venue, rig.one) + 5)
        sent = rig.hands(venue).submit([place])
        events = [*sent, *listen(venue, 900)]
    parts = fills(events)
    assert len(parts) >= 4  # at most 59 units (149 % of 40) are shown in a minute
    assert sum(fill.quantity for fill in parts) == 200
    assert max(fill.quantity for fill in parts) <= 59
    minutes = [fill.at.replace(second=0, microsecond=0) for fill in parts]
    assert len(set(minutes)) == len(minutes)
    assert statuses(events)[-1] is S.FILLED
    told = {e.exec_id: e.commission for e in events if isinstance(e, Fill) and e.commission}
    if rig.base == "USD":  # the minimum is charged once for the whole order
        assert sum(told.values()) == Decimal("1.00") + 200 * Decimal("0.000072")
    else:
        assert sum(told.values()) == sum(rig.fee(each.quantity, each.price) for each in parts)


def test_a_passive_order_rests_and_trades_at_its_own_price(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        limit = bid(venue, rig.one) - 5 * rig.tick
        place = rig.order(rig.one, 10, limit)
        first = [*rig.hands(venue).submit([place]), *listen(venue, 5)]
        working = venue.open_orders()
        events = listen(venue, 5 * 3600)
    assert life(first) == [S.WORKING]
    assert [order.reference for order in working] == [place.reference]
    for fill in fills(events):
        assert fill.price == limit
        assert fill.liquidity == "maker"


BAD_ORDERS: Mapping[str, Callable[[Rig], tuple[Instrument, int | str, str]]] = {
    "multiple of 0.01": lambda rig: (rig.one, 10, f"{rig.low}5"),
    "multiple of 1": lambda rig: (rig.one, rig.broken_lot, rig.low),
    "positive price": lambda rig: (rig.one, 10, "-1"),
    "no such instrument": lambda rig: (rig.unknown, 10, rig.low),
    "margin": lambda rig: (rig.one, rig.too_many, rig.low),
}


@pytest.mark.parametrize("words", BAD_ORDERS)
def test_a_bad_order_is_rejected_with_a_reason(rig: Rig, words: str) -> None:
    with rig.broker().connect(rig.page()) as venue:
        place = rig.order(*BAD_ORDERS[words](rig))
        told = rig.hands(venue).submit([place])
        news = [*told, *listen(venue, 5)]
        found = venue.find(place.reference)
        assert venue.open_orders() == ()
        assert venue.executions(rig.slot) == ()
    assert life(news) == [S.REJECTED]
    last = news[-1]
    assert isinstance(last, WorkingOrder)
    assert rig.words.get(words, words) in last.message
    # An exchange that answers at once has never heard of what it refused.
    assert [each.status for each in found] == ([] if rig.instant else [S.REJECTED])


def test_a_cancelled_order_is_dead_once_the_venue_says_so(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        hands = rig.hands(venue)
        place = rig.order(rig.one, 10, rig.low)
        hands.submit([place])
        listen(venue, 2)
        (order,) = venue.open_orders()
        asked = hands.cancel(order)
        still = venue.open_orders()
        events = listen(venue, 10)
        (found,) = venue.find(place.reference)
        assert venue.open_orders() == ()
        assert statuses(hands.cancel(found)) == [S.CANCELLED], "asked again, it tells the end"
    if not rig.instant:
        assert statuses(asked) == [S.PENDING_CANCEL]
        assert [each.status for each in still] == [S.PENDING_CANCEL]
        assert statuses(events) == [S.CANCELLED]
    assert life(asked, events) == [S.CANCELLED]
    assert found.status is S.CANCELLED


def test_an_order_may_trade_while_its_cancel_travels(rig: Rig) -> None:
    rig.needs_news()
    slow = Fault(FaultKind.LATE_CANCEL, seconds=300)
    settings = {"depth": Decimal(20)}
    with rig.broker(slow, settings=settings).connect(rig.page()) as venue:
        hands = rig.hands(venue)
        place = rig.order(rig.one, 300, ask(venue, rig.one) + 5)
        hands.submit([place])
        first = fills(listen(venue, 2))
        (order,) = venue.open_orders()
        hands.cancel(order)
        events = listen(venue, 400)
        (found,) = venue.find(place.reference)
        held = venue.account().quantity(rig.one.id)
    assert len(first) == 1
    assert fills(events)
    assert found.status is S.CANCELLED
    traded = {fill.exec_id: fill.quantity for fill in (*first, *fills(events))}
    assert found.filled == held == sum(traded.values())
    assert first[0].quantity < held < 300


def test_a_refused_cancel_leaves_the_order_working(rig: Rig) -> None:
    rig.needs_news()
    fault = Fault(FaultKind.REFUSED_CANCEL, message="too late to cancel")
    with rig.broker(fault).connect(rig.page()) as venue:
        hands = rig.hands(venue)
        hands.submit([rig.order(rig.one, 10, rig.low)])
        listen(venue, 2)
        hands.cancel(venue.open_orders()[0])
        (news,) = listen(venue, 5)
        (order,) = venue.open_orders()
    assert isinstance(news, WorkingOrder)
    assert news.status is order.status is S.WORKING
    assert news.message.startswith("too late to cancel")


def test_a_lost_cancel_changes_nothing(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.LOST_CANCEL)).connect(rig.page()) as venue:
        hands = rig.hands(venue)
        hands.submit([rig.order(rig.one, 10, rig.low)])
        listen(venue, 2)
        hands.cancel(venue.open_orders()[0])
        assert listen(venue, 30) == []
        assert venue.open_orders()[0].status is S.WORKING


def test_a_lost_order_is_proved_absent(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.LOST_ORDER)).connect(rig.page()) as venue:
        place = rig.order(rig.one, 10, ask(venue, rig.one))
        rig.hands(venue).submit([place])
        assert life(listen(venue, 600)) == []
        assert venue.find(place.reference) == ()
        assert venue.open_orders() == ()
        assert venue.account().positions == ()
        assert venue.absence_seconds > 0


def test_an_order_whose_news_are_lost_is_found_by_its_reference(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.LOST_ACKNOWLEDGEMENT)).connect(rig.page()) as venue:
        place = rig.order(rig.one, 10, ask(venue, rig.one) + 1)
        rig.hands(venue).submit([place])
        assert rig.instant or listen(venue, 60) == []
        (found,) = venue.find(place.reference)
        (fill,) = venue.executions(rig.slot)
        assert venue.account().quantity(rig.one.id) == 10
    assert found.status is S.FILLED
    assert fill.reference == place.reference


def test_a_late_acknowledgement_still_comes(rig: Rig) -> None:
    rig.needs_news()
    with rig.broker(Fault(FaultKind.LATE_ACKNOWLEDGEMENT, seconds=90)).connect(rig.page()) as venue:
        place = rig.order(rig.one, 10, rig.low)
        rig.hands(venue).submit([place])
        assert listen(venue, 60) == []
        assert [order.status for order in venue.open_orders()] == [S.SENT]
        assert statuses(listen(venue, 60)) == [S.WORKING]


def test_a_look_up_without_an_answer_is_unknown_never_absent(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.UNKNOWN_LOOKUP)).connect(rig.page()) as venue:
        never_sent = rig.order(rig.one, 10, rig.low).reference
        with pytest.raises(OutcomeUnknown):
            venue.find(never_sent)
        listen(venue, rig.absence_after)
        assert venue.find(never_sent) == ()


def test_a_wire_that_breaks_while_sending_leaves_an_unknown_outcome(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.DISCONNECT, subject="submit", nth=3)).connect(
        rig.page()
    ) as venue:
        places = [rig.order(rig.one, 10, rig.low) for _ in range(4)]
        if rig.breaks_at_once:
            with pytest.raises(OutcomeUnknown, match="after 2 of 4 orders"):
                rig.hands(venue).submit(places)
        else:  # the machine tells it when it gets round to it: at the latest with the next read
            with suppress(OutcomeUnknown):
                rig.hands(venue).submit(places)
        with pytest.raises(ConnectError):
            venue.open_orders()
    with rig.broker().connect(rig.page(attempt=2)) as venue:
        found = [venue.find(place.reference) for place in places]
    assert [len(each) for each in found] == [1, 1, 0, 0]


def test_a_commission_may_come_late_or_never_and_is_never_zero(rig: Rig) -> None:
    rig.needs_news()
    faults = (
        Fault(FaultKind.LATE_COMMISSION, subject=rig.one.id, seconds=300),
        Fault(FaultKind.MISSING_COMMISSION, subject=rig.three.id),
    )
    with rig.broker(*faults).connect(rig.page()) as venue:
        hands = rig.hands(venue)
        hands.submit([rig.order(rig.one, 10, ask(venue, rig.one) + 1)])
        hands.submit([rig.order(rig.three, 10, ask(venue, rig.three) + 1)])
        listen(venue, 60)
        assert [fill.commission for fill in venue.executions(rig.slot)] == [None, None]
        listen(venue, 600)
        told = {fill.instrument: fill.commission for fill in venue.executions(rig.slot)}
    assert told[rig.one.id] == Decimal("1.00072")
    assert told[rig.three.id] is None


def test_executions_are_asked_for_since_a_time(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        buy_now(rig, venue, rig.one, 10)
        middle = venue.now()
        buy_now(rig, venue, rig.three, 10)
        assert [f.instrument for f in venue.executions(rig.slot)] == [rig.one.id, rig.three.id]
        assert [f.instrument for f in venue.executions(middle)] == [rig.three.id]
        assert venue.executions(venue.now() + timedelta(seconds=1)) == ()


def test_a_working_order_can_be_moved(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        hands = rig.hands(venue)
        place = rig.order(rig.one, 10, rig.low)
        hands.submit([place])
        listen(venue, 2)
        better = ask(venue, rig.one) + 1
        move = Replace(place.reference, rig.one.id, Decimal(10), better, rig.day)
        events = [*hands.replace(move), *listen(venue, 10)]
        (found,) = venue.find(place.reference)
    assert life(events)[-1] is S.FILLED
    assert found.limit == better
    assert found.filled == 10


def test_a_move_to_a_bad_price_leaves_the_order_as_it_was(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        hands = rig.hands(venue)
        place = rig.order(rig.one, 10, rig.low)
        hands.submit([place])
        listen(venue, 2)
        odd = Decimal(rig.low) + rig.tick / 10
        bad = Replace(place.reference, rig.one.id, Decimal(10), odd, rig.day)
        told = [*hands.replace(bad), *listen(venue, 10)]
        (order,) = venue.open_orders()
    assert order.limit == Decimal(rig.low)
    said = order.message or " ".join(getattr(each, "message", "") for each in told)
    assert rig.words.get("multiple of 0.01", "multiple of 0.01") in said


def test_immediate_or_cancel_never_rests(rig: Rig) -> None:
    with rig.broker(settings={"depth": Decimal(20)}).connect(rig.page()) as venue:
        hands = rig.hands(venue)
        ioc = TimeInForce.IOC
        none = rig.order(rig.one, 10, rig.low, time_in_force=ioc)
        part = rig.order(rig.one, 300, ask(venue, rig.one) + 1, time_in_force=ioc)
        hands.submit([none, part])
        listen(venue, 5)
        assert venue.open_orders() == ()
        (nothing,), (some,) = venue.find(none.reference), venue.find(part.reference)
    assert nothing.status is some.status is S.EXPIRED
    assert nothing.filled == 0
    assert 10 <= some.filled <= 29  # what one minute shows: 50 to 149 % of 20


def test_a_day_order_dies_at_the_close_and_a_gtc_order_lives_on(rig: Rig) -> None:
    rig.needs_session()
    with rig.broker().connect(rig.page()) as venue:
        day = rig.order(rig.one, 10, rig.low)
        keep = rig.order(rig.one, 10, rig.low, time_in_force=TimeInForce.GTC)
        rig.hands(venue).submit([day, keep])
        listen(venue, 2)
        events = listen(venue, (rig.close - venue.now()).total_seconds())
        assert statuses(events) == [S.EXPIRED]
        assert venue.find(day.reference)[0].at == rig.close
        assert [order.reference for order in venue.open_orders()] == [keep.reference]


def test_a_limit_order_sent_at_night_waits_for_the_opening(rig: Rig) -> None:
    rig.needs_session()
    with rig.broker().connect(rig.page(rig.night)) as venue:
        place = rig.order(rig.one, 10, "90.00")
        rig.hands(venue).submit([place])
        assert statuses(listen(venue, 3600)) == [S.WORKING]
        events = venue.wait(rig.next_open + timedelta(hours=1))
        assert venue.now() == rig.next_open
    (fill,) = fills(events)
    assert fill.at == rig.next_open
    # It pays the opening's touch, not its limit of 90: the last close of 73.145 is 73.15 on
    # the tick, and half a spread is a tick at least (2 bps / 2 x 73.15 = 0.0073).
    assert fill.price == Decimal("73.16")


def test_a_market_order_at_night_is_rejected(rig: Rig) -> None:
    rig.needs_session()
    with rig.broker().connect(rig.page(rig.night)) as venue:
        rig.hands(venue).submit([rig.order(rig.one, 10, None)])
        (news,) = listen(venue, 5)
    assert isinstance(news, WorkingOrder)
    assert news.status is S.REJECTED
    assert "closed" in news.message


def test_a_market_order_pays_the_touch(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        price = ask(venue, rig.two)
        sent = rig.hands(venue).submit([rig.order(rig.two, 10, None)])
        (fill,) = fills([*sent, *listen(venue, 5)])
    assert fill.price == price


def test_reduce_only_never_turns_a_position(rig: Rig) -> None:
    if not rig.reduce_only:
        pytest.skip("this venue has no reduce-only orders: the gates see to it")
    with rig.broker().connect(rig.page()) as venue:
        hands = rig.hands(venue)
        wrong = rig.order(rig.three, -10, bid(venue, rig.three), reduce_only=True)
        assert life([*hands.submit([wrong]), *listen(venue, 5)]) == [S.REJECTED]
        buy_now(rig, venue, rig.three, 10)
        both = [
            rig.order(rig.three, -8, bid(venue, rig.three) - 1, reduce_only=True) for _ in range(2)
        ]
        hands.submit(both)
        listen(venue, 300)
        ends = [venue.find(place.reference)[0] for place in both]
        assert venue.account().quantity(rig.three.id) == 0
    assert sorted(end.filled for end in ends) == [-8, -2]
    assert {end.status for end in ends} == {S.FILLED, S.EXPIRED}


def test_an_order_that_trades_in_part_only_keeps_working(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.PARTIAL_ONLY)).connect(rig.page()) as venue:
        place = rig.order(rig.one, 11, ask(venue, rig.one) + 1)
        rig.hands(venue).submit([place])
        listen(venue, 600)
        (order,) = venue.open_orders()
    assert order.filled == rig.half_of_eleven
    assert order.remaining == 11 - rig.half_of_eleven
    assert order.status is S.WORKING


def test_the_margin_preview_answers_with_all_working_orders(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        hands = rig.hands(venue)
        price = ask(venue, rig.one)
        mark = (bid(venue, rig.one) + price) / 2
        preview = hands.preview(rig.order(rig.one, 100, price))
        nothing = hands.preview(rig.order(rig.unknown, 100, price))
    assert preview.asked
    assert preview.initial_margin_after is not None
    assert abs(preview.initial_margin_after / (100 * mark * rig.margin) - 1) < rig.margin_within
    assert preview.equity_with_loan_after == rig.cash
    if rig.base == "USD":
        assert preview.commission == rig.fee(100, price)
    assert nothing.asked
    assert nothing.initial_margin_after is None


def test_short_positions_are_held_and_valued_negative(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        rig.hands(venue).submit([rig.order(rig.three, -50, bid(venue, rig.three) - 1)])
        listen(venue, 120)
        account = venue.account()
    (position,) = account.positions
    assert position.quantity == -50
    assert position.value is not None
    assert position.value < 0
    # A share sold short brings cash; a contract brings nothing and costs its fee.
    assert (account.cash[rig.base] > rig.cash) is (rig.base == "USD")


def test_a_venue_accepts_doubled_references_and_counts_them(rig: Rig) -> None:
    if not rig.doubles:
        pytest.skip("this venue refuses them")
    with rig.broker().connect(rig.page()) as venue:
        place = rig.order(rig.one, 10, rig.low)
        rig.hands(venue).submit([place])
        rig.hands(venue).submit([place])
        listen(venue, 5)
        assert len(venue.find(place.reference)) == 2
    assert b'"duplicate_references": 1' in rig.books()


def test_a_venue_can_refuse_doubled_references(rig: Rig) -> None:
    with rig.broker(settings={"unique_references": True}).connect(rig.page()) as venue:
        place = rig.order(rig.one, 10, rig.low)
        told = rig.hands(venue).submit([place, place])
        if rig.instant:  # it says which order has the reference: there is one
            assert life(told) == [S.WORKING]
            assert len(venue.open_orders()) == 1
        else:
            assert sorted(statuses(listen(venue, 5))) == [S.REJECTED, S.WORKING]

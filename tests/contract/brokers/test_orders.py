"""The life of orders at a venue."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.errors import ConnectError, OutcomeUnknown
from rebalancer.model.orders import (
    Fill,
    OrderStatus,
    Replace,
    TimeInForce,
    WorkingOrder,
)
from rebalancer.simulators.faults import Fault, FaultKind
from tests.contract.brokers.rig import (
    AAPL,
    CLOSE,
    KO,
    MSFT,
    NEXT_OPEN,
    NIGHT,
    SLOT,
    PageOf,
    Rig,
    ask,
    bid,
    buy_now,
    fills,
    listen,
    statuses,
    stock,
)

S = OrderStatus


def test_an_order_is_acknowledged_traded_and_charged(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        price = ask(venue, AAPL)
        place = rig.order(AAPL, 20, price)
        sent = rig.hands(venue).submit([place])
        events = listen(venue, 10)
        executions = venue.executions(SLOT)
        (found,) = venue.find(place.reference)
    assert statuses(sent) == [S.SENT]
    assert statuses(events) == [S.WORKING, S.FILLED]
    told = [event for event in events if isinstance(event, Fill)]
    assert [fill.commission for fill in told] == [None, told[-1].commission]
    assert told[0].exec_id == told[1].exec_id
    assert told[0].quantity == 20
    assert told[0].price == price
    # Interactive Brokers, fixed: 0.005 a share, one dollar at least; 0.000072 a share on top.
    assert told[1].commission == Decimal("1.00") + 20 * Decimal("0.000072")
    assert told[1].commission_currency == "USD"
    assert executions == (told[1],)
    assert found.status is S.FILLED
    assert found.filled == 20


def test_a_sale_pays_the_regulators_too(rig: Rig) -> None:
    with rig.broker(settings={"positions": {KO.id: Decimal(100)}}).connect(PageOf()) as venue:
        price = bid(venue, KO)
        rig.hands(venue).submit([rig.order(KO, -100, price)])
        fill = [event for event in listen(venue, 10) if isinstance(event, Fill)][-1]
    assert fill.quantity == -100
    fee = Decimal("1.00") + 100 * Decimal("0.000072") + 100 * Decimal("0.000166")
    assert fill.commission == fee + 100 * price * Decimal("0.0000278")


def test_a_large_order_trades_in_parts(rig: Rig) -> None:
    with rig.broker(settings={"depth": Decimal(40)}).connect(PageOf()) as venue:
        place = rig.order(AAPL, 200, ask(venue, AAPL) + 5)
        rig.hands(venue).submit([place])
        events = listen(venue, 900)
    parts = fills(events)
    assert len(parts) >= 4  # at most 59 units (149 % of 40) are shown in a minute
    assert sum(fill.quantity for fill in parts) == 200
    assert max(fill.quantity for fill in parts) <= 59
    minutes = [fill.at.replace(second=0, microsecond=0) for fill in parts]
    assert len(set(minutes)) == len(minutes)
    assert statuses(events)[-1] is S.FILLED
    told = [e.commission for e in events if isinstance(e, Fill) and e.commission is not None]
    # The minimum is charged once for the whole order: 1.00 + 200 x 0.000072.
    assert sum(told) == Decimal("1.0144")


def test_a_passive_order_rests_and_trades_at_its_own_price(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        limit = bid(venue, AAPL) - Decimal("0.05")
        place = rig.order(AAPL, 10, limit)
        rig.hands(venue).submit([place])
        first = listen(venue, 5)
        working = venue.open_orders()
        events = listen(venue, 5 * 3600)
    assert statuses(first) == [S.WORKING]
    assert [order.reference for order in working] == [place.reference]
    for fill in fills(events):
        assert fill.price == limit
        assert fill.liquidity == "maker"


@pytest.mark.parametrize(
    ("instrument", "quantity", "limit", "words"),
    [
        (AAPL, 10, "60.005", "multiple of 0.01"),
        (AAPL, "1.5", "60.00", "multiple of 1"),
        (AAPL, 10, "-1", "positive price"),
        (stock("NOPE"), 10, "60.00", "no such instrument"),
        (AAPL, 1_000_000, "60.00", "margin"),
    ],
)
def test_a_bad_order_is_rejected_with_a_reason(
    rig: Rig, instrument: object, quantity: int | str, limit: str, words: str
) -> None:
    with rig.broker().connect(PageOf()) as venue:
        place = rig.order(instrument, quantity, limit)  # type: ignore[arg-type]
        rig.hands(venue).submit([place])
        (news,) = listen(venue, 5)
        (found,) = venue.find(place.reference)
        assert venue.open_orders() == ()
        assert venue.executions(SLOT) == ()
    assert isinstance(news, WorkingOrder)
    assert news.status is found.status is S.REJECTED
    assert rig.words.get(words, words) in news.message


def test_a_cancelled_order_is_dead_once_the_venue_says_so(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        hands = rig.hands(venue)
        place = rig.order(AAPL, 10, "10.00")
        hands.submit([place])
        listen(venue, 2)
        (order,) = venue.open_orders()
        asked = hands.cancel(order)
        still = venue.open_orders()
        events = listen(venue, 10)
        (found,) = venue.find(place.reference)
        assert venue.open_orders() == ()
        assert statuses(hands.cancel(found)) == [S.CANCELLED], "asked again, it tells the end"
    assert statuses(asked) == [S.PENDING_CANCEL]
    assert [each.status for each in still] == [S.PENDING_CANCEL]
    assert statuses(events) == [S.CANCELLED]
    assert found.status is S.CANCELLED


def test_an_order_may_trade_while_its_cancel_travels(rig: Rig) -> None:
    slow = Fault(FaultKind.LATE_CANCEL, seconds=300)
    settings = {"depth": Decimal(20)}
    with rig.broker(slow, settings=settings).connect(PageOf()) as venue:
        hands = rig.hands(venue)
        place = rig.order(AAPL, 300, ask(venue, AAPL) + 5)
        hands.submit([place])
        first = fills(listen(venue, 2))
        (order,) = venue.open_orders()
        hands.cancel(order)
        events = listen(venue, 400)
        (found,) = venue.find(place.reference)
        held = venue.account().quantity(AAPL.id)
    assert len(first) == 1
    assert fills(events)
    assert found.status is S.CANCELLED
    traded = {fill.exec_id: fill.quantity for fill in (*first, *fills(events))}
    assert found.filled == held == sum(traded.values())
    assert first[0].quantity < held < 300


def test_a_refused_cancel_leaves_the_order_working(rig: Rig) -> None:
    fault = Fault(FaultKind.REFUSED_CANCEL, message="too late to cancel")
    with rig.broker(fault).connect(PageOf()) as venue:
        hands = rig.hands(venue)
        hands.submit([rig.order(AAPL, 10, "10.00")])
        listen(venue, 2)
        hands.cancel(venue.open_orders()[0])
        (news,) = listen(venue, 5)
        (order,) = venue.open_orders()
    assert isinstance(news, WorkingOrder)
    assert news.status is order.status is S.WORKING
    assert news.message.startswith("too late to cancel")


def test_a_lost_cancel_changes_nothing(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.LOST_CANCEL)).connect(PageOf()) as venue:
        hands = rig.hands(venue)
        hands.submit([rig.order(AAPL, 10, "10.00")])
        listen(venue, 2)
        hands.cancel(venue.open_orders()[0])
        assert listen(venue, 30) == []
        assert venue.open_orders()[0].status is S.WORKING


def test_a_lost_order_is_proved_absent(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.LOST_ORDER)).connect(PageOf()) as venue:
        place = rig.order(AAPL, 10, ask(venue, AAPL))
        rig.hands(venue).submit([place])
        assert listen(venue, 600) == []
        assert venue.find(place.reference) == ()
        assert venue.open_orders() == ()
        assert venue.account().positions == ()
        assert venue.absence_seconds > 0


def test_an_order_whose_news_are_lost_is_found_by_its_reference(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.LOST_ACKNOWLEDGEMENT)).connect(PageOf()) as venue:
        place = rig.order(AAPL, 10, ask(venue, AAPL) + 1)
        rig.hands(venue).submit([place])
        assert listen(venue, 60) == []
        (found,) = venue.find(place.reference)
        (fill,) = venue.executions(SLOT)
        assert venue.account().quantity(AAPL.id) == 10
    assert found.status is S.FILLED
    assert fill.reference == place.reference


def test_a_late_acknowledgement_still_comes(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.LATE_ACKNOWLEDGEMENT, seconds=90)).connect(PageOf()) as venue:
        place = rig.order(AAPL, 10, "10.00")
        rig.hands(venue).submit([place])
        assert listen(venue, 60) == []
        assert [order.status for order in venue.open_orders()] == [S.SENT]
        assert statuses(listen(venue, 60)) == [S.WORKING]


def test_a_look_up_without_an_answer_is_unknown_never_absent(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.UNKNOWN_LOOKUP)).connect(PageOf()) as venue:
        with pytest.raises(OutcomeUnknown):
            venue.find("demo.2003021505r1.AAAAAAAA.1")
        assert venue.find("demo.2003021505r1.AAAAAAAA.1") == ()


def test_a_wire_that_breaks_while_sending_leaves_an_unknown_outcome(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.DISCONNECT, subject="submit", nth=3)).connect(
        PageOf()
    ) as venue:
        places = [rig.order(AAPL, 10, "10.00") for _ in range(4)]
        if rig.breaks_at_once:
            with pytest.raises(OutcomeUnknown, match="after 2 of 4 orders"):
                rig.hands(venue).submit(places)
        else:  # the machine tells it when it gets round to it: at the latest with the next read
            with suppress(OutcomeUnknown):
                rig.hands(venue).submit(places)
        with pytest.raises(ConnectError):
            venue.open_orders()
    with rig.broker().connect(PageOf(attempt=2)) as venue:
        found = [venue.find(place.reference) for place in places]
    assert [len(each) for each in found] == [1, 1, 0, 0]


def test_a_commission_may_come_late_or_never_and_is_never_zero(rig: Rig) -> None:
    faults = (
        Fault(FaultKind.LATE_COMMISSION, subject=AAPL.id, seconds=300),
        Fault(FaultKind.MISSING_COMMISSION, subject=KO.id),
    )
    with rig.broker(*faults).connect(PageOf()) as venue:
        hands = rig.hands(venue)
        hands.submit([rig.order(AAPL, 10, ask(venue, AAPL) + 1)])
        hands.submit([rig.order(KO, 10, ask(venue, KO) + 1)])
        listen(venue, 60)
        assert [fill.commission for fill in venue.executions(SLOT)] == [None, None]
        listen(venue, 600)
        told = {fill.instrument: fill.commission for fill in venue.executions(SLOT)}
    assert told[AAPL.id] == Decimal("1.00072")
    assert told[KO.id] is None


def test_executions_are_asked_for_since_a_time(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        buy_now(rig, venue, AAPL, 10)
        middle = venue.now()
        buy_now(rig, venue, KO, 10)
        assert [f.instrument for f in venue.executions(SLOT)] == [AAPL.id, KO.id]
        assert [f.instrument for f in venue.executions(middle)] == [KO.id]
        assert venue.executions(venue.now() + timedelta(seconds=1)) == ()


def test_a_working_order_can_be_moved(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        hands = rig.hands(venue)
        place = rig.order(AAPL, 10, "10.00")
        hands.submit([place])
        listen(venue, 2)
        better = ask(venue, AAPL) + 1
        move = Replace(place.reference, AAPL.id, Decimal(10), better, TimeInForce.DAY)
        hands.replace(move)
        events = listen(venue, 10)
        (found,) = venue.find(place.reference)
    assert statuses(events) == [S.WORKING, S.FILLED]
    assert found.limit == better
    assert found.filled == 10


def test_a_move_to_a_bad_price_leaves_the_order_as_it_was(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        hands = rig.hands(venue)
        place = rig.order(AAPL, 10, "10.00")
        hands.submit([place])
        listen(venue, 2)
        bad = Replace(place.reference, AAPL.id, Decimal(10), Decimal("10.001"), TimeInForce.DAY)
        hands.replace(bad)
        listen(venue, 10)
        (order,) = venue.open_orders()
    assert order.limit == Decimal("10.00")
    assert rig.words.get("multiple of 0.01", "multiple of 0.01") in order.message


def test_immediate_or_cancel_never_rests(rig: Rig) -> None:
    with rig.broker(settings={"depth": Decimal(20)}).connect(PageOf()) as venue:
        hands = rig.hands(venue)
        ioc = TimeInForce.IOC
        none = rig.order(AAPL, 10, "10.00", time_in_force=ioc)
        part = rig.order(AAPL, 300, ask(venue, AAPL) + 1, time_in_force=ioc)
        hands.submit([none, part])
        listen(venue, 5)
        assert venue.open_orders() == ()
        (nothing,), (some,) = venue.find(none.reference), venue.find(part.reference)
    assert nothing.status is some.status is S.EXPIRED
    assert nothing.filled == 0
    assert 10 <= some.filled <= 29  # what one minute shows: 50 to 149 % of 20


def test_a_day_order_dies_at_the_close_and_a_gtc_order_lives_on(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        day = rig.order(AAPL, 10, "10.00")
        keep = rig.order(AAPL, 10, "10.00", time_in_force=TimeInForce.GTC)
        rig.hands(venue).submit([day, keep])
        listen(venue, 2)
        events = listen(venue, (CLOSE - venue.now()).total_seconds())
        assert statuses(events) == [S.EXPIRED]
        assert venue.find(day.reference)[0].at == CLOSE
        assert [order.reference for order in venue.open_orders()] == [keep.reference]


def test_a_limit_order_sent_at_night_waits_for_the_opening(rig: Rig) -> None:
    with rig.broker().connect(PageOf(NIGHT)) as venue:
        place = rig.order(AAPL, 10, "90.00")
        rig.hands(venue).submit([place])
        assert statuses(listen(venue, 3600)) == [S.WORKING]
        events = venue.wait(NEXT_OPEN + timedelta(hours=1))
        assert venue.now() == NEXT_OPEN
    (fill,) = fills(events)
    assert fill.at == NEXT_OPEN
    # It pays the opening's touch, not its limit of 90: the last close of 73.145 is 73.15 on
    # the tick, and half a spread is a tick at least (2 bps / 2 x 73.15 = 0.0073).
    assert fill.price == Decimal("73.16")


def test_a_market_order_at_night_is_rejected(rig: Rig) -> None:
    with rig.broker().connect(PageOf(NIGHT)) as venue:
        rig.hands(venue).submit([rig.order(AAPL, 10, None)])
        (news,) = listen(venue, 5)
    assert isinstance(news, WorkingOrder)
    assert news.status is S.REJECTED
    assert "closed" in news.message


def test_a_market_order_pays_the_touch(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        price = ask(venue, MSFT)
        rig.hands(venue).submit([rig.order(MSFT, 10, None)])
        (fill,) = fills(listen(venue, 5))
    assert fill.price == price


def test_reduce_only_never_turns_a_position(rig: Rig) -> None:
    if not rig.reduce_only:
        pytest.skip("this venue has no reduce-only orders: the gates see to it")
    with rig.broker().connect(PageOf()) as venue:
        hands = rig.hands(venue)
        wrong = rig.order(KO, -10, "20.00", reduce_only=True)
        hands.submit([wrong])
        listen(venue, 5)
        assert venue.find(wrong.reference)[0].status is S.REJECTED
        buy_now(rig, venue, KO, 10)
        both = [rig.order(KO, -8, bid(venue, KO) - 1, reduce_only=True) for _ in range(2)]
        hands.submit(both)
        listen(venue, 300)
        ends = [venue.find(place.reference)[0] for place in both]
        assert venue.account().quantity(KO.id) == 0
    assert sorted(end.filled for end in ends) == [-8, -2]
    assert {end.status for end in ends} == {S.FILLED, S.EXPIRED}


def test_an_order_that_trades_in_part_only_keeps_working(rig: Rig) -> None:
    with rig.broker(Fault(FaultKind.PARTIAL_ONLY)).connect(PageOf()) as venue:
        place = rig.order(AAPL, 11, ask(venue, AAPL) + 1)
        rig.hands(venue).submit([place])
        listen(venue, 600)
        (order,) = venue.open_orders()
    assert order.filled == 5
    assert order.remaining == 6
    assert order.status is S.WORKING


def test_the_margin_preview_answers_with_all_working_orders(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        hands = rig.hands(venue)
        price = ask(venue, AAPL)
        mark = (bid(venue, AAPL) + price) / 2
        preview = hands.preview(rig.order(AAPL, 100, price))
        nothing = hands.preview(rig.order(stock("NOPE"), 100, price))
    assert preview.asked
    assert preview.initial_margin_after == 100 * mark * Decimal("0.5")
    assert preview.equity_with_loan_after == 100_000
    assert preview.commission == Decimal("1.00") + 100 * Decimal("0.000072")
    assert nothing.asked
    assert nothing.initial_margin_after is None


def test_short_positions_are_held_and_valued_negative(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        rig.hands(venue).submit([rig.order(KO, -50, bid(venue, KO) - 1)])
        listen(venue, 120)
        account = venue.account()
    (position,) = account.positions
    assert position.quantity == -50
    assert position.value is not None
    assert position.value < 0
    assert account.cash["USD"] > 100_000


def test_a_venue_accepts_doubled_references_and_counts_them(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        place = rig.order(AAPL, 10, "10.00")
        rig.hands(venue).submit([place])
        rig.hands(venue).submit([place])
        listen(venue, 5)
        assert len(venue.find(place.reference)) == 2
    assert b'"duplicate_references": 1' in rig.books()


def test_a_venue_can_refuse_doubled_references(rig: Rig) -> None:
    with rig.broker(settings={"unique_references": True}).connect(PageOf()) as venue:
        place = rig.order(AAPL, 10, "10.00")
        rig.hands(venue).submit([place, place])
        assert sorted(statuses(listen(venue, 5))) == [S.REJECTED, S.WORKING]

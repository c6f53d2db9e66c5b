"""Orders through the real library to the simulated gateway, with what goes wrong on the wire."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.brokers.ib.adaptive import FILE
from rebalancer.errors import BlindError, ConnectError, OutcomeUnknown
from rebalancer.model.orders import (
    LIQUIDATION,
    Fill,
    OrderStatus,
    OrderType,
    Replace,
    TimeInForce,
    WorkingOrder,
)
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.order_rules import OrderOptions
from rebalancer.simulators.ib_gateway.orders_by_hand import (
    bust,
    correct,
    liquidate,
    order_by_hand,
)
from rebalancer.simulators.parameters import PaperSettings
from tests.contract.brokers.rig import AAPL, SLOT, ask
from tests.unit.ib.hands.gateway import Account, fills, held, listen, statuses

S = OrderStatus


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def sent(account: Account) -> int:
    return account.gateway.counts().get("placeOrder", 0)


def test_disaster_10349_read_as_cancel_and_re_sent(account: Account) -> None:
    """A notice about the time in force was taken for a cancel; 15 orders went out, all filled."""
    notice = WireFault("placeOrder", Do.NOTICE, code=10349)
    with account.connected(notice) as (venue, hands):
        place = account.order(10, ask(venue, AAPL) + 1)
        hands.submit([place])
        events = listen(venue, 30)
        assert statuses(events)[-1] is S.FILLED
        assert not {S.CANCELLED, S.REJECTED, S.UNKNOWN} & set(statuses(events))
        assert held(venue) == 10
        assert sent(account) == 1


def test_disaster_lost_acknowledgement_that_looks_like_a_lost_order(account: Account) -> None:
    """Nothing was heard of an order that had traded; it was taken for lost and sent again."""
    with account.connected(WireFault("placeOrder", Do.LOSE_ANSWER)) as (venue, hands):
        place = account.order(10, ask(venue, AAPL) + 1)
        hands.submit([place])
        assert listen(venue, 60) == []
        (found,) = venue.find(place.reference)
        assert found.status is S.FILLED
        assert found.filled == held(venue) == 10


@pytest.mark.parametrize(("do", "there"), [(Do.CUT, 0), (Do.CUT_AFTER, 1)])
def test_a_cut_while_sending_is_unknown_until_the_venue_tells(
    account: Account, do: Do, there: int
) -> None:
    with account.connected(WireFault("placeOrder", do)) as (venue, hands):
        place = account.order(10, ask(venue, AAPL) + 1)
        with pytest.raises(OutcomeUnknown, match="after 0 of 1 orders"):
            hands.submit([place])
        with pytest.raises(ConnectError):
            hands.submit([place])
        with pytest.raises(ConnectError):
            venue.find(place.reference)
    with account.connected() as (venue, _):
        assert len(venue.find(place.reference)) == there


def test_disaster_order_id_rollback(account: Account) -> None:
    """After a restart ids began anew: an old order's news were taken for the new order's."""
    with account.connected(WireFault("cancelOrder", Do.ROLL_BACK)) as (venue, hands):
        old = account.order(10, "10.00", time_in_force=TimeInForce.GTC)
        hands.submit([old])
        listen(venue, 5)
        with pytest.raises(ConnectError):
            hands.cancel(venue.open_orders()[0])
    with account.connected() as (venue, hands):
        new = account.order(20, ask(venue, AAPL) + 1)
        hands.submit([new])
        events = [each for each in listen(venue, 600) if isinstance(each, WorkingOrder)]
        assert {each.reference for each in events} == {new.reference}
        assert [each.reference for each in venue.open_orders()] == [old.reference]
        (first,), (second,) = venue.find(old.reference), venue.find(new.reference)
        assert (first.status, first.filled) == (S.WORKING, Decimal(0))
        assert (second.status, second.filled) == (S.FILLED, Decimal(20))


def test_disaster_unconfirmed_cancel_followed_by_a_new_order(account: Account) -> None:
    """A cancel was sent and believed; the order filled, and so did the one sent in its place."""
    with account.connected(WireFault("cancelOrder", Do.LOSE)) as (venue, hands):
        place = account.order(10, "10.00")
        hands.submit([place])
        listen(venue, 5)
        (order,) = venue.open_orders()
        assert statuses(hands.cancel(order)) == [S.PENDING_CANCEL]
        listen(venue, 30)
        (still,) = venue.open_orders()
        assert still.status is S.WORKING, "the venue never heard of the cancel"
        assert still.venue_id == order.venue_id


def test_disaster_error_110_that_leaves_an_order_pending_for_ever(account: Account) -> None:
    """A price off the tick: the library keeps PendingSubmit, and the run waited without end."""
    with account.connected() as (venue, hands):
        place = account.order(10, "60.005")
        hands.submit([place])
        (news,) = listen(venue, 5)
        assert isinstance(news, WorkingOrder)
        assert news.status is S.REJECTED
        assert [each.status for each in venue.find(place.reference)] == [S.REJECTED]
        assert venue.open_orders() == ()


def test_disaster_late_commission_saved_as_zero(account: Account) -> None:
    """A commission that the gateway does not know yet was booked as nothing."""
    with account.connected(WireFault("commissionReport", Do.LOSE)) as (venue, hands):
        hands.submit([account.order(10, ask(venue, AAPL) + 1)])
        told = fills(listen(venue, 30))
        assert [fill.commission for fill in told] == [None]
        (fill,) = venue.executions(SLOT)  # asked again, the gateway tells it
        assert fill.commission == Decimal("1.00072")


@pytest.mark.parametrize("version", [157, 163, 169, 173, 176, 178])
def test_disaster_naive_execution_times(account: Account, version: int) -> None:
    """Old gateways write times without a zone; the library read them in the host's zone."""
    account.changes["max_version"] = version
    with account.connected() as (venue, hands):
        place = account.order(10, ask(venue, AAPL) + 1, order_type=OrderType.ADAPTIVE)
        hands.submit([place])
        fill = fills(listen(venue, 30))[0]
        assert SLOT <= fill.at <= SLOT + timedelta(seconds=30)
        (done,) = venue.find(place.reference)
        assert done.at == fill.at
        assert done.status is S.FILLED


def test_disaster_modify_without_tif(account: Account) -> None:
    """A re-price sent the library's back-filled object: without tif, account and reference."""
    with account.connected() as (venue, hands):
        place = account.order(10, "10.00", order_type=OrderType.ADAPTIVE)
        hands.submit([place])
        listen(venue, 5)
        hands.replace(
            Replace(place.reference, AAPL.id, Decimal(10), Decimal("10.50"), TimeInForce.DAY)
        )
        (news,) = listen(venue, 5)
        assert isinstance(news, WorkingOrder)
        assert news.limit == Decimal("10.50")
        assert news.message == "", "no preset had anything to fill in"
        (order,) = account.gateway.gateway.exchange.orders()
        assert order.time_in_force is TimeInForce.DAY
        assert order.reference == place.reference
        assert order.tags["algoStrategy"] == "Adaptive"
        assert sent(account) == 2


def test_everything_said_twice_is_told_once(account: Account) -> None:
    every = [
        WireFault(name, Do.DUPLICATE, count=None)
        for name in ("openOrder", "orderStatus", "execDetails", "commissionReport")
    ]
    with account.connected(*every) as (venue, hands):
        hands.submit([account.order(10, ask(venue, AAPL) + 1)])
        events = listen(venue, 30)
        assert statuses(events) == [S.WORKING, S.FILLED]
        assert [fill.commission for fill in fills(events)] == [None, Decimal("1.00072")]


@pytest.mark.parametrize("name", ["orderStatus", "execDetails", "commissionReport", "openOrder"])
def test_after_garbage_nothing_is_believed_and_nothing_is_sent(account: Account, name: str) -> None:
    with account.connected(WireFault(name, Do.GARBAGE)) as (venue, hands):
        place = account.order(10, ask(venue, AAPL) + 1)
        hands.submit([place])
        with pytest.raises(BlindError, match="cannot be read"):
            listen(venue, 60)
        before = sent(account)
        with pytest.raises(BlindError):
            hands.submit([account.order(10, "10.00")])
        assert sent(account) == before
    with account.connected() as (venue, _):
        assert held(venue) == 10, "nothing was lost"
        assert [each.status for each in venue.find(place.reference)] == [S.FILLED]


def test_a_what_if_is_answered_and_leaves_nothing_behind(account: Account) -> None:
    with account.connected() as (venue, hands):
        price = ask(venue, AAPL)
        preview = hands.preview(account.order(100, price, order_type=OrderType.ADAPTIVE))
        assert preview.asked
        assert preview.initial_margin_after is not None
        assert 0 < preview.initial_margin_after < 100 * price
        assert preview.equity_with_loan_after == 100_000
        assert venue.open_orders() == ()
        assert listen(venue, 30) == []
        too_much = hands.preview(account.order(1_000_000, price))
        assert too_much.initial_margin_after is not None
        assert too_much.initial_margin_after > 100_000


def test_an_adaptive_order_that_is_refused_becomes_a_plain_one_in_the_next_run(
    account: Account,
) -> None:
    account.changes["orders"] = OrderOptions(no_adaptive=(AAPL.id,))
    with account.connected() as (venue, hands):
        hands.submit([account.order(10, "60.00", order_type=OrderType.ADAPTIVE)])
        (news,) = listen(venue, 5)
        assert isinstance(news, WorkingOrder)
        assert news.status is S.REJECTED
        assert "the next run sends a plain limit order" in news.message
        assert sent(account) == 1
    assert (account.folder / "ib" / FILE).exists()
    with account.connected() as (venue, hands):
        hands.submit([account.order(10, "60.00", order_type=OrderType.ADAPTIVE)])
        assert statuses(listen(venue, 5))[:1] == [S.WORKING]


def test_ibs_own_liquidation_and_a_trade_by_hand_are_recognised(account: Account) -> None:
    with account.connected() as (venue, hands):
        hands.submit([account.order(30, ask(venue, AAPL) + 1)])
        listen(venue, 120)
        order_by_hand(account.gateway.gateway, AAPL.id, Decimal(-5))
        liquidate(account.gateway.gateway, AAPL.id, Decimal(-10))
        listen(venue, 120)
        found = {fill.quantity: fill for fill in venue.executions(SLOT)}
        assert found[Decimal(30)].origin == found[Decimal(-5)].origin == ""
        assert found[Decimal(-5)].reference == ""
        assert venue.book.heard[found[Decimal(-5)].exec_id].by_hand
        assert found[Decimal(-10)].origin == LIQUIDATION
        assert held(venue) == 15


def test_corrections_and_busts_are_passed_on(account: Account) -> None:
    with account.connected() as (venue, hands):
        place = account.order(10, ask(venue, AAPL) + 1)
        hands.submit([place])
        first = fills(listen(venue, 30))[0]
        gateway = account.gateway.gateway
        corrected = correct(gateway, first.exec_id, quantity=Decimal(8))
        told = [event for event in listen(venue, 5) if isinstance(event, Fill)]
        assert told[0].exec_id == corrected.id
        assert told[0].exec_id.endswith(".02")
        assert told[0].quantity == 8
        gone = bust(gateway, corrected.id)
        told = [event for event in listen(venue, 5) if isinstance(event, Fill)]
        assert (told[0].exec_id, told[0].quantity) == (gone.id, Decimal(0))


def test_many_orders_go_out_at_the_allowed_pace(account: Account) -> None:
    """95 % of the owner's pace at least, and not once too fast."""
    account.changes["settings"] = PaperSettings(seed=7, cash={"USD": Decimal(10_000_000)})
    with account.connected() as (venue, hands):
        stocks = [account.order(1, "10.00", time_in_force=TimeInForce.IOC) for _ in range(200)]
        begin = venue.line.loop.time()
        for place in stocks:
            hands.submit([place])
        seconds = venue.line.loop.time() - begin
        assert account.gateway.violations() == 0
        allowed = account.settings.messages_per_second
        assert sent(account) == 200
        assert 200 / seconds >= 0.95 * allowed


def test_after_the_connection_is_closed_nothing_goes_out(account: Account) -> None:
    with account.connected() as (venue, hands):
        hands.submit([account.order(10, "10.00")])
        listen(venue, 5)
        (order,) = venue.open_orders()
    before = account.gateway.counts()
    with pytest.raises(ConnectError):
        hands.submit([account.order(10, "10.00")])
    with pytest.raises(ConnectError):
        hands.cancel(order)
    assert account.gateway.counts() == before

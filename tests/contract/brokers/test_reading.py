"""Reading a venue: complete or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from rebalancer.errors import BlindError, ConnectError
from rebalancer.simulators.faults import Fault, FaultKind
from tests.contract.brokers.rig import (
    Rig,
    buy_now,
    listen,
    quote_of,
)


def held(rig: Rig) -> dict[str, Decimal]:
    """Return opening positions: some of the third instrument long, of another one short."""
    return {rig.three.id: Decimal(100), rig.other.id: Decimal(-20)}


def test_a_new_account_has_its_opening_cash_and_nothing_else(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        account = venue.account()
        assert rig.slot <= venue.now() < rig.slot + timedelta(seconds=2)
        assert venue.open_orders() == ()
        assert venue.executions(rig.slot - timedelta(days=9)) == ()
    assert account.cash == {rig.base: rig.cash}
    assert account.net_liquidation == rig.cash
    assert account.positions == ()


def test_the_account_adds_up_in_base_currency(rig: Rig) -> None:
    if rig.base != "USD":
        pytest.skip("one currency; what margin assets are worth is asked in a test of its own")
    settings = {
        "cash": {"USD": Decimal(50_000), "EUR": Decimal(1_000)},
        "fx": {"EUR": Decimal("1.10")},
        "positions": held(rig),
    }
    with rig.broker(settings=settings).connect(rig.page()) as venue:
        account = venue.account()
    cash = sum(account.rates.rate(cur) * each for cur, each in account.cash.items())
    assert cash == Decimal(50_000) + Decimal("1100")
    values = [p.value for p in account.positions if p.value is not None]
    assert len(values) == 2
    assert account.net_liquidation == cash + sum(values)
    assert account.gross_position_value == sum(abs(value) for value in values)
    assert account.quantity(rig.other.id) == Decimal(-20)
    assert account.rates.rates["EUR"].at == rig.slot
    assert account.excess_liquidity is not None
    assert account.maintenance_margin is not None
    assert account.excess_liquidity + account.maintenance_margin == account.net_liquidation


def test_positions_are_valued_at_the_middle_of_the_market(rig: Rig) -> None:
    with rig.broker(settings={"positions": held(rig)}).connect(rig.page()) as venue:
        quote, account = quote_of(venue, rig.three), venue.account()
    held_one = next(p for p in account.positions if p.instrument == rig.three.id)
    assert quote.bid is not None
    assert quote.ask is not None
    assert held_one.price is not None
    assert quote.bid <= held_one.price <= quote.ask
    assert held_one.value == held_one.price * 100


def test_quotes_are_two_sided_on_the_tick_and_labelled(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        market = venue.market((rig.one, rig.two, rig.three))
    for quote in market.quotes.values():
        assert quote.bid is not None
        assert quote.ask is not None
        assert quote.bid < quote.ask
        tick = rig.ticks.get(quote.instrument, rig.tick)
        assert quote.bid % tick == quote.ask % tick == 0
        assert quote.freshness is rig.freshness
        assert quote.trading is True
        assert (rig.slot <= quote.at < rig.slot + timedelta(seconds=2)) or quote.at == rig.slot


def test_what_the_venue_does_not_have_is_missing_not_zero(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        market = venue.market((rig.one, rig.unknown))
    assert set(market.quotes) == {rig.one.id}


def test_outside_the_session_the_venue_says_that_it_does_not_trade(rig: Rig) -> None:
    rig.needs_session()
    with rig.broker().connect(rig.page(rig.night)) as venue:
        quote = quote_of(venue, rig.one)
    assert quote.trading is False
    # The adjusted close of Apple on 2020-03-02 as recorded; the last one that is over.
    assert quote.close == Decimal("73.145")


def test_in_the_session_the_last_close_is_the_day_before(rig: Rig) -> None:
    rig.needs_session()
    with rig.broker().connect(rig.page(rig.slot)) as venue:
        assert quote_of(venue, rig.one).close == Decimal("66.915")


def test_bars_are_of_closed_sessions_only(rig: Rig) -> None:
    rig.needs_session()
    with rig.broker().connect(rig.page(rig.slot)) as venue:
        before = venue.bars((rig.one, rig.three), None)
    with rig.broker().connect(rig.page(rig.close)) as venue:
        after = venue.bars((rig.one, rig.three), None)
        none = venue.bars((rig.one, rig.three), rig.close)
        one = venue.bars((rig.three, rig.one), rig.close - timedelta(hours=1))
    assert before.last_time() == datetime(2020, 2, 28, 21, 0, tzinfo=UTC)
    assert after.last_time() == rig.close
    assert len(after) == len(before) + 1
    assert len(none) == 0
    assert one.values.tolist() == [[after.values[-1, 1], after.values[-1, 0]]]
    assert after.values[-1, 0] == 73.145


def test_bars_of_an_instrument_that_the_venue_does_not_have_are_unknown(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        panel = venue.bars((rig.one, rig.unknown), None)
    assert np.isnan(panel.values[:, 1]).all()
    assert not np.isnan(panel.values[:, 0]).any()


def test_waiting_ends_at_its_time_when_nothing_happens(rig: Rig) -> None:
    until = rig.slot + timedelta(minutes=7)
    with rig.broker().connect(rig.page()) as venue:
        assert venue.wait(until) == ()
        assert venue.now() >= until
        then = venue.now()
        assert venue.wait(rig.slot) == ()
        assert venue.now() == then, "time never goes back"


def test_waiting_returns_as_soon_as_something_happens(rig: Rig) -> None:
    rig.needs_news()
    until = rig.slot + timedelta(minutes=7)
    with rig.broker().connect(rig.page()) as venue:
        rig.hands(venue).submit([rig.order(rig.one, 10, rig.low)])
        events = venue.wait(until)
        assert events
        assert rig.slot < venue.now() < rig.slot + timedelta(seconds=2)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (FaultKind.BLIND_ACCOUNT, "account"),
        (FaultKind.BLIND_POSITIONS, "account"),
        (FaultKind.BLIND_ORDERS, "open_orders"),
        (FaultKind.BLIND_EXECUTIONS, "executions"),
    ],
)
def test_half_an_answer_is_never_an_answer(rig: Rig, kind: FaultKind, call: str) -> None:
    with rig.broker(Fault(kind)).connect(rig.page()) as venue:
        reads: dict[str, Callable[[], object]] = {
            "account": venue.account,
            "open_orders": venue.open_orders,
            "executions": lambda: venue.executions(rig.slot),
        }
        read = reads[call]
        with pytest.raises(BlindError):
            read()
        read()  # the fault struck once; afterwards the answer is complete again


def test_a_broken_connection_stays_broken(rig: Rig) -> None:
    if rig.instant:
        pytest.skip("each request has a connection of its own")
    fault = Fault(FaultKind.DISCONNECT, subject="market", nth=2)
    with rig.broker(fault).connect(rig.page()) as venue:
        hands = rig.hands(venue)
        venue.market((rig.one,))
        with pytest.raises(ConnectError):
            venue.market((rig.one,))
        calls: tuple[Callable[[], object], ...] = (
            venue.account,
            venue.open_orders,
            lambda: venue.executions(rig.slot),
            lambda: venue.find("x"),
            lambda: venue.wait(rig.slot + timedelta(minutes=1)),
            lambda: venue.bars((rig.one,), None),
            lambda: hands.submit([rig.order(rig.one, 1, rig.low)]),
        )
        for call in calls:
            with pytest.raises(ConnectError):
                call()


def test_after_the_context_nothing_can_be_asked(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        pass
    with pytest.raises(ConnectError):
        venue.account()


def test_a_venue_that_is_not_there_is_an_error(rig: Rig) -> None:
    broker = rig.broker(Fault(FaultKind.REFUSED_CONNECTION))
    with pytest.raises(ConnectError), broker.connect(rig.page()):
        pass


def test_another_account_is_refused(rig: Rig) -> None:
    broker = rig.broker(Fault(FaultKind.WRONG_ACCOUNT, message="999"))
    with pytest.raises(ConnectError, match=r"999.* is configured"):
        broker.connect(rig.page()).__enter__()


def test_bad_quotes_arrive_as_the_venue_gave_them(rig: Rig) -> None:
    if rig.instant:
        pytest.skip("an answer for all symbols at once is spoilt as a whole")
    faults = (
        Fault(FaultKind.STALE_QUOTE, subject=rig.one.id, seconds=600),
        Fault(FaultKind.MISSING_QUOTE, subject=rig.two.id),
        Fault(FaultKind.ONE_SIDED_QUOTE, subject=rig.three.id),
    )
    with rig.broker(*faults).connect(rig.page()) as venue:
        quotes = venue.market((rig.one, rig.two, rig.three)).quotes
    assert quotes[rig.one.id].at <= rig.slot - timedelta(seconds=590)
    assert rig.two.id not in quotes
    assert quotes[rig.three.id].ask is None
    assert quotes[rig.three.id].bid is not None


def test_what_was_bought_is_in_the_account(rig: Rig) -> None:
    with rig.broker().connect(rig.page()) as venue:
        before = venue.account()
        buy_now(rig, venue, rig.one, 50)
        account = venue.account()
        listen(venue, 5)
    assert account.quantity(rig.one.id) == 50
    assert account.cash[rig.base] < before.cash[rig.base]
    position = account.positions[0]
    assert position.average_cost is not None
    paid = before.cash[rig.base] - account.cash[rig.base]
    # A share is paid for, a contract is not; both cost their fee.
    price = 50 * position.average_cost if rig.base == "USD" else Decimal(0)
    assert abs(paid - price - rig.fee(50, position.average_cost)) < Decimal("0.01")

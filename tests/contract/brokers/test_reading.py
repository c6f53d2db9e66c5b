"""Reading a venue: complete or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from rebalancer.errors import BlindError, ConnectError
from rebalancer.model.market import Freshness
from rebalancer.simulators.faults import Fault, FaultKind
from tests.contract.brokers.rig import (
    AAPL,
    CLOSE,
    KO,
    MSFT,
    NIGHT,
    SLOT,
    PageOf,
    Rig,
    buy_now,
    listen,
    quote_of,
    stock,
)

POSITIONS = {"KO.STK.USD@IB": Decimal(100), "GE.STK.USD@IB": Decimal(-20)}


def test_a_new_account_has_its_opening_cash_and_nothing_else(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        account = venue.account()
        assert venue.now() == SLOT
        assert venue.open_orders() == ()
        assert venue.executions(SLOT - timedelta(days=9)) == ()
    assert account.cash == {"USD": Decimal(100_000)}
    assert account.net_liquidation == Decimal(100_000)
    assert account.positions == ()


def test_the_account_adds_up_in_base_currency(rig: Rig) -> None:
    settings = {
        "cash": {"USD": Decimal(50_000), "EUR": Decimal(1_000)},
        "fx": {"EUR": Decimal("1.10")},
        "positions": POSITIONS,
    }
    with rig.broker(settings=settings).connect(PageOf()) as venue:
        account = venue.account()
    cash = sum(account.rates.rate(cur) * each for cur, each in account.cash.items())
    assert cash == Decimal(50_000) + Decimal("1100")
    values = [p.value for p in account.positions if p.value is not None]
    assert len(values) == 2
    assert account.net_liquidation == cash + sum(values)
    assert account.gross_position_value == sum(abs(value) for value in values)
    assert account.quantity(stock("GE").id) == Decimal(-20)
    assert account.rates.rates["EUR"].at == SLOT
    assert account.excess_liquidity is not None
    assert account.maintenance_margin is not None
    assert account.excess_liquidity + account.maintenance_margin == account.net_liquidation


def test_positions_are_valued_at_the_middle_of_the_market(rig: Rig) -> None:
    with rig.broker(settings={"positions": POSITIONS}).connect(PageOf()) as venue:
        quote, account = quote_of(venue, KO), venue.account()
    held = next(p for p in account.positions if p.instrument == KO.id)
    assert quote.bid is not None
    assert quote.ask is not None
    assert held.price is not None
    assert quote.bid < held.price < quote.ask
    assert held.value == held.price * 100


def test_quotes_are_two_sided_on_the_tick_and_labelled_synthetic(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        market = venue.market((AAPL, MSFT, KO))
    for quote in market.quotes.values():
        assert quote.bid is not None
        assert quote.ask is not None
        assert quote.bid < quote.ask
        assert quote.bid % Decimal("0.01") == quote.ask % Decimal("0.01") == 0
        assert quote.freshness is Freshness.SYNTHETIC
        assert quote.trading is True
        assert quote.volume is None
        assert quote.at == SLOT


def test_what_the_venue_does_not_have_is_missing_not_zero(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        market = venue.market((AAPL, stock("NOPE")))
    assert set(market.quotes) == {AAPL.id}


def test_outside_the_session_the_venue_says_that_it_does_not_trade(rig: Rig) -> None:
    with rig.broker().connect(PageOf(NIGHT)) as venue:
        quote = quote_of(venue, AAPL)
    assert quote.trading is False
    # The adjusted close of Apple on 2020-03-02 as recorded; the last one that is over.
    assert quote.close == Decimal("73.145")


def test_in_the_session_the_last_close_is_the_day_before(rig: Rig) -> None:
    with rig.broker().connect(PageOf(SLOT)) as venue:
        assert quote_of(venue, AAPL).close == Decimal("66.915")


def test_bars_are_of_closed_sessions_only(rig: Rig) -> None:
    with rig.broker().connect(PageOf(SLOT)) as venue:
        before = venue.bars((AAPL, KO), None)
    with rig.broker().connect(PageOf(CLOSE)) as venue:
        after = venue.bars((AAPL, KO), None)
        none = venue.bars((AAPL, KO), CLOSE)
        one = venue.bars((KO, AAPL), CLOSE - timedelta(hours=1))
    assert before.last_time() == datetime(2020, 2, 28, 21, 0, tzinfo=UTC)
    assert after.last_time() == CLOSE
    assert len(after) == len(before) + 1
    assert len(none) == 0
    assert one.values.tolist() == [[after.values[-1, 1], after.values[-1, 0]]]
    assert after.values[-1, 0] == 73.145


def test_bars_of_an_instrument_that_the_venue_does_not_have_are_unknown(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        panel = venue.bars((AAPL, stock("NOPE")), None)
    assert np.isnan(panel.values[:, 1]).all()
    assert not np.isnan(panel.values[:, 0]).any()


def test_waiting_ends_at_its_time_when_nothing_happens(rig: Rig) -> None:
    until = SLOT + timedelta(minutes=7)
    with rig.broker().connect(PageOf()) as venue:
        assert venue.wait(until) == ()
        assert venue.now() == until
        assert venue.wait(SLOT) == ()
        assert venue.now() == until, "time never goes back"


def test_waiting_returns_as_soon_as_something_happens(rig: Rig) -> None:
    until = SLOT + timedelta(minutes=7)
    with rig.broker().connect(PageOf()) as venue:
        rig.hands(venue).submit([rig.order(AAPL, 10, "10.00")])
        events = venue.wait(until)
        assert events
        assert SLOT < venue.now() < SLOT + timedelta(seconds=2)


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
    with rig.broker(Fault(kind)).connect(PageOf()) as venue:
        reads: dict[str, Callable[[], object]] = {
            "account": venue.account,
            "open_orders": venue.open_orders,
            "executions": lambda: venue.executions(SLOT),
        }
        read = reads[call]
        with pytest.raises(BlindError):
            read()
        read()  # the fault struck once; afterwards the answer is complete again


def test_a_broken_connection_stays_broken(rig: Rig) -> None:
    fault = Fault(FaultKind.DISCONNECT, subject="market", nth=2)
    with rig.broker(fault).connect(PageOf()) as venue:
        hands = rig.hands(venue)
        venue.market((AAPL,))
        with pytest.raises(ConnectError):
            venue.market((AAPL,))
        calls: tuple[Callable[[], object], ...] = (
            venue.account,
            venue.open_orders,
            lambda: venue.executions(SLOT),
            lambda: venue.find("x"),
            lambda: venue.wait(SLOT + timedelta(minutes=1)),
            lambda: venue.bars((AAPL,), None),
            lambda: hands.submit([rig.order(AAPL, 1, "10.00")]),
        )
        for call in calls:
            with pytest.raises(ConnectError):
                call()


def test_after_the_context_nothing_can_be_asked(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        pass
    with pytest.raises(ConnectError):
        venue.account()


def test_a_venue_that_is_not_there_is_an_error(rig: Rig) -> None:
    broker = rig.broker(Fault(FaultKind.REFUSED_CONNECTION))
    with pytest.raises(ConnectError), broker.connect(PageOf()):
        pass


def test_another_account_is_refused(rig: Rig) -> None:
    broker = rig.broker(Fault(FaultKind.WRONG_ACCOUNT, message="DU999"))
    with pytest.raises(ConnectError, match=r"DU999; PAPER-demo is configured"):
        broker.connect(PageOf()).__enter__()


def test_bad_quotes_arrive_as_the_venue_gave_them(rig: Rig) -> None:
    faults = (
        Fault(FaultKind.STALE_QUOTE, subject=AAPL.id, seconds=600),
        Fault(FaultKind.MISSING_QUOTE, subject=MSFT.id),
        Fault(FaultKind.ONE_SIDED_QUOTE, subject=KO.id),
    )
    with rig.broker(*faults).connect(PageOf()) as venue:
        quotes = venue.market((AAPL, MSFT, KO)).quotes
    assert quotes[AAPL.id].at == SLOT - timedelta(seconds=600)
    assert MSFT.id not in quotes
    assert quotes[KO.id].ask is None
    assert quotes[KO.id].bid is not None


def test_what_was_bought_is_in_the_account(rig: Rig) -> None:
    with rig.broker().connect(PageOf()) as venue:
        before = venue.account()
        buy_now(rig, venue, AAPL, 50)
        account = venue.account()
        listen(venue, 5)
    assert account.quantity(AAPL.id) == 50
    assert account.cash["USD"] < before.cash["USD"]
    held = account.positions[0]
    assert held.average_cost is not None
    # Half a spread of two cents at most was paid, and one commission of a dollar.
    paid = before.cash["USD"] - account.cash["USD"]
    assert abs(paid - 50 * held.average_cost) < Decimal("1.01")

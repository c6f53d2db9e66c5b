"""A price for futures, which the recording does not have."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.sessions import SessionTable
from rebalancer.simulators.ib_gateway.futures import MarketWithFutures
from rebalancer.simulators.ib_gateway.standalone import other_instruments
from rebalancer.simulators.market import RecordedMarket
from rebalancer.simulators.recording import recording
from tests.unit.ib_gateway.clients import SLOT, SPEC, stock

INSIDE = RecordedMarket(
    recording("us_equities"), SessionTable("XNYS", SPEC.sessions), SPEC.settings, "USD"
)
MARKET = MarketWithFutures(INSIDE, SPEC.settings.spread_bps)
EURO, FUTURE = other_instruments(SLOT)
NIGHT = datetime(2020, 3, 2, 23, 0, tzinfo=UTC)


def test_a_future_is_its_fund_many_times_on_its_own_tick() -> None:
    price, fund = MARKET.mark(FUTURE, SLOT), INSIDE.mark(stock("QUAL"), SLOT)
    assert price is not None
    assert fund is not None
    assert abs(price - 32 * fund) <= Decimal("0.125"), "half a tick of 0.25"
    touch = MARKET.touch(FUTURE, SLOT)
    assert touch is not None
    assert touch.bid < price < touch.ask
    assert touch.bid % Decimal("0.25") == touch.ask % Decimal("0.25") == 0


def test_a_future_trades_when_its_fund_does() -> None:
    assert MARKET.session(FUTURE, SLOT) == INSIDE.session(stock("QUAL"), SLOT)
    assert MARKET.session(FUTURE, NIGHT) is None
    quote = MARKET.quote(FUTURE, NIGHT)
    assert quote is not None
    assert quote.instrument == FUTURE.id
    assert quote.trading is False


def test_bars_of_a_future_are_scaled_and_others_are_as_they_were() -> None:
    panel = MARKET.bars((stock("KO"), FUTURE), None, SLOT)
    plain = INSIDE.bars((stock("KO"), stock("QUAL")), None, SLOT)
    assert panel.instruments == ("KO.STK.USD@IB", FUTURE.id)
    assert (panel.values[:, 0] == plain.values[:, 0]).all()
    assert (panel.values[:, 1] == plain.values[:, 1] * 32).all()


def test_everything_else_has_its_own_price() -> None:
    assert MARKET.quote(stock("KO"), SLOT) == INSIDE.quote(stock("KO"), SLOT)
    assert MARKET.mark(EURO, SLOT) == Decimal("1.10")
    other = Instrument(InstrumentId("CL.FUT.202006@IB"), Kind.FUTURE, "CL", "USD", "XNYS")
    assert MARKET.quote(other, SLOT) is None, "no price is invented for what nobody listed"


def test_the_future_of_the_day_is_three_to_five_months_away() -> None:
    months = {
        at.month: other_instruments(at)[1].id
        for at in (datetime(2020, month, 1, tzinfo=UTC) for month in (1, 3, 4, 12))
    }
    assert months == {
        1: "ES.FUT.202006@IB",
        3: "ES.FUT.202006@IB",
        4: "ES.FUT.202009@IB",
        12: "ES.FUT.202103@IB",
    }

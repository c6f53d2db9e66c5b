"""Trading hours in the gateway's text: half days, holidays, weekends, summer time."""

from __future__ import annotations

from datetime import UTC, datetime

from rebalancer.model.sessions import SessionTable
from rebalancer.simulators.ib_gateway.contracts import Directory
from rebalancer.simulators.ib_gateway.hours import hours_of, zone_of
from rebalancer.simulators.ib_gateway.standalone import other_instruments
from tests.unit.ib_gateway.clients import SPEC, stock

TABLE = SessionTable("XNYS", SPEC.sessions)
AAPL = stock("AAPL")
EURO = other_instruments(datetime(2020, 3, 2, tzinfo=UTC))[0]
DIRECTORY = Directory({AAPL.id: AAPL, EURO.id: EURO})


def test_thanksgiving_is_closed_and_the_day_after_is_short() -> None:
    # The recording: Thanksgiving was 2019-11-28, the 29th closed at 13:00 in New York.
    at = datetime(2019, 11, 27, 15, tzinfo=UTC)
    zone, trading, liquid = hours_of(DIRECTORY.listed(AAPL.id), TABLE, at)
    assert zone == "US/Eastern"
    assert liquid == (
        "20191127:0930-20191127:1600;20191128:CLOSED;20191129:0930-20191129:1300;"
        "20191130:CLOSED;20191201:CLOSED;20191202:0930-20191202:1600;20191203:0930-20191203:1600"
    )
    assert trading == (
        "20191127:0400-20191127:2000;20191128:CLOSED;20191129:0400-20191129:1700;"
        "20191130:CLOSED;20191201:CLOSED;20191202:0400-20191202:2000;20191203:0400-20191203:2000"
    )


def test_hours_are_local_before_and_after_the_clocks_change() -> None:
    # Summer time began on Sunday 2020-03-08.
    _zone, _trading, liquid = hours_of(
        DIRECTORY.listed(AAPL.id), TABLE, datetime(2020, 3, 6, 15, tzinfo=UTC)
    )
    days = liquid.split(";")
    assert days[0] == "20200306:0930-20200306:1600"
    assert days[3] == "20200309:0930-20200309:1600"


def test_the_evening_before_utc_midnight_is_still_the_exchanges_day() -> None:
    _zone, _trading, liquid = hours_of(
        DIRECTORY.listed(AAPL.id), TABLE, datetime(2020, 3, 3, 2, tzinfo=UTC)
    )
    assert liquid.startswith("20200302:0930")


def test_currencies_trade_when_the_simulated_market_does() -> None:
    _zone, trading, liquid = hours_of(
        DIRECTORY.listed(EURO.id), TABLE, datetime(2020, 3, 2, 15, tzinfo=UTC)
    )
    assert trading == liquid
    assert liquid.startswith("20200302:0930-20200302:1600")


def test_zones_have_the_gateways_names() -> None:
    assert zone_of("CMES")[1] == "US/Central"
    assert zone_of("XLON")[1] == "GB-Eire"
    assert zone_of("24/7")[1] == "UTC"

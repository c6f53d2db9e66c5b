"""Candles as the exchange serves them: columns, limits, the unfinished one, and a real gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.simulators.binance_server.call import ApiError
from rebalancer.simulators.binance_server.figures import milliseconds
from tests.unit.binance_server.reading.recorded import Venue

HOUR = timedelta(hours=1)
PATH = "/fapi/v1/klines"


def test_a_candle_has_twelve_columns_and_the_last_one_is_unfinished(venue: Venue) -> None:
    rows = venue.ask("GET", PATH, symbol="BTCUSDT", interval="1h", limit="24")
    assert len(rows) == 24
    assert [len(row) for row in rows] == [12] * 24
    opens = [row[0] for row in rows]
    assert opens == [opens[0] + 3_600_000 * n for n in range(24)]
    now = milliseconds(venue.now)
    assert opens[-1] <= now <= rows[-1][6]
    assert all(row[6] == row[0] + 3_599_999 for row in rows)
    for row in rows:
        first, high, low, last, volume = (Decimal(text) for text in row[1:6])
        assert low <= min(first, last) <= max(first, last) <= high
        assert volume >= 0


def test_pages_that_adjoin_give_the_same_candles_as_one(venue: Venue) -> None:
    start = milliseconds(datetime(2025, 3, 10, tzinfo=UTC))
    ask = {"symbol": "ETHUSDT", "interval": "1h"}
    whole = venue.ask("GET", PATH, **ask, startTime=str(start), limit="100")
    first = venue.ask("GET", PATH, **ask, startTime=str(start), limit="60")
    second = venue.ask("GET", PATH, **ask, startTime=str(first[-1][0] + 1), limit="40")
    assert first + second == whole
    end = str(whole[-1][0])
    assert venue.ask("GET", PATH, **ask, endTime=end, limit="100") == whole
    assert venue.ask("GET", PATH, **ask, startTime=str(start), endTime=end) == whole


def test_nothing_is_told_of_the_future(venue: Venue) -> None:
    later = str(milliseconds(venue.now + 2 * HOUR))
    assert venue.ask("GET", PATH, symbol="BTCUSDT", interval="1h", startTime=later) == []


def test_a_day_is_the_sum_of_its_hours(venue: Venue) -> None:
    start = str(milliseconds(datetime(2025, 3, 10, tzinfo=UTC)))
    ask = {"symbol": "BTCUSDT", "startTime": start}
    hours = venue.ask("GET", PATH, **ask, interval="1h", limit="24")
    (day,) = venue.ask("GET", PATH, **ask, interval="1d", limit="1")
    assert (day[1], day[4]) == (hours[0][1], hours[-1][4])
    assert Decimal(day[2]) == max(Decimal(row[2]) for row in hours)
    assert Decimal(day[3]) == min(Decimal(row[3]) for row in hours)
    assert Decimal(day[5]) == sum(Decimal(row[5]) for row in hours)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"symbol": "NONSENSE", "interval": "1h"}, -1121),
        ({"symbol": "BTCUSDT", "interval": "7h"}, -1120),
        ({"symbol": "BTCUSDT"}, -1102),
        ({"interval": "1h"}, -1102),
        ({"symbol": "BTCUSDT", "interval": "1h", "limit": "1501"}, -1130),
    ],
)
def test_a_wrong_question_is_refused(venue: Venue, words: dict[str, str], code: int) -> None:
    with pytest.raises(ApiError) as refused:
        venue.ask("GET", PATH, **words)
    assert refused.value.code == code


def outage(hour: int) -> Venue:
    """Return an exchange on the day of the outage."""
    start = datetime(2020, 6, 28, hour, 5, tzinfo=UTC)
    return Venue(settings={"recording": "binance_spot_2020", "start": start})


def test_the_outage_of_2020_06_28_has_no_candles() -> None:
    spot = outage(12)
    rows = spot.ask("GET", "/api/v3/klines", symbol="BTCUSDT", interval="1h", limit="14")
    hours = [datetime.fromtimestamp(row[0] / 1000, UTC).hour for row in rows]
    # 02:00, 03:00 and 04:00 were never traded: recorded that way by the real exchange
    assert hours == [20, 21, 22, 23, 0, 1, 5, 6, 7, 8, 9, 10, 11, 12]
    assert rows[0][1].count(".") == 1
    assert len(rows[0][1].partition(".")[2]) == 8


def test_within_the_outage_the_symbol_is_halted_and_its_ticker_shows_zeros() -> None:
    spot = outage(3)
    info = spot.ask("GET", "/api/v3/exchangeInfo", symbol="BTCUSDT")
    assert info["symbols"][0]["status"] == "BREAK"
    row = spot.ask("GET", "/api/v3/ticker/bookTicker", symbol="BTCUSDT")
    assert Decimal(row["bidPrice"]) == Decimal(row["askQty"]) == 0
    rows = spot.ask("GET", "/api/v3/klines", symbol="BTCUSDT", interval="1h", limit="1")
    assert datetime.fromtimestamp(rows[0][0] / 1000, UTC).hour == 1

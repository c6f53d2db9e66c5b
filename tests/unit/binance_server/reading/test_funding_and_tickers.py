"""Mark price, funding and tickers: times, signs, order, and what tells the products apart."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rebalancer.simulators.binance_server.figures import milliseconds
from tests.unit.binance_server.reading.still import Still

HOUR = timedelta(hours=1)
RATES = "/fapi/v1/fundingRate"


@pytest.fixture
def paid(still: Still) -> Still:
    """Three payments of BTC, some milliseconds off the hour, one of them still to come."""
    still.marks(BTCUSDT="82000", ETHUSDT="1900")
    noon = still.now
    still.funding(
        "BTCUSDT",
        (noon - 12 * HOUR + timedelta(milliseconds=9), "0.0001"),
        (noon - 4 * HOUR - timedelta(milliseconds=3), "-0.00025"),
        (noon + 4 * HOUR + timedelta(milliseconds=6), "0.0003"),
    )
    return still


def test_funding_is_told_at_its_recorded_time_and_never_ahead(paid: Still) -> None:
    first, second = paid.ask("GET", RATES, symbol="BTCUSDT")
    assert first["fundingTime"] == milliseconds(paid.now - 12 * HOUR) + 9
    assert second == {
        "symbol": "BTCUSDT",
        "fundingTime": milliseconds(paid.now - 4 * HOUR) - 3,
        "fundingRate": "-0.00025000",
        "markPrice": "82000.00000000",
        "rateType": "Regular",
    }
    paid.advance(paid.now + 5 * HOUR)
    assert len(paid.ask("GET", RATES, symbol="BTCUSDT")) == 3


def test_a_start_takes_the_first_rows_and_none_takes_the_last(paid: Still) -> None:
    start = str(milliseconds(paid.now - 24 * HOUR))
    (row,) = paid.ask("GET", RATES, symbol="BTCUSDT", startTime=start, limit="1")
    assert row["fundingRate"] == "0.00010000"
    (row,) = paid.ask("GET", RATES, symbol="BTCUSDT", limit="1")
    assert row["fundingRate"] == "-0.00025000"
    end = str(milliseconds(paid.now - 12 * HOUR))
    assert paid.ask("GET", RATES, symbol="BTCUSDT", startTime=start, endTime=end) == []
    assert paid.refused("GET", RATES, startTime="2", endTime="1") == -1023


def test_the_mark_price_comes_with_the_last_rate_and_the_next_whole_hour(paid: Still) -> None:
    row = paid.ask("GET", "/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert row == {
        "symbol": "BTCUSDT",
        "markPrice": "82000.00000000",
        "indexPrice": "82000.00000000",
        "estimatedSettlePrice": "82000.00000000",
        "lastFundingRate": "-0.00025000",
        "interestRate": "0.00010000",
        "nextFundingTime": milliseconds(paid.now + 4 * HOUR),
        "time": milliseconds(paid.now),
    }
    # nothing is recorded for it: the eight-hour grid, 12:00 -> 16:00
    other = paid.ask("GET", "/fapi/v1/premiumIndex", symbol="ETHUSDT")
    assert other["nextFundingTime"] == milliseconds(paid.now + 4 * HOUR)
    assert len(paid.ask("GET", "/fapi/v1/premiumIndex")) == 3


def test_the_interval_of_funding_is_what_lies_between_payments(paid: Still) -> None:
    (row,) = paid.ask("GET", "/fapi/v1/fundingInfo")
    assert (row["symbol"], row["fundingIntervalHours"]) == ("BTCUSDT", 8)
    noon = paid.now
    paid.funding("BTCUSDT", (noon - 8 * HOUR, "0.0001"), (noon - 4 * HOUR, "0.0001"))
    (row,) = paid.ask("GET", "/fapi/v1/fundingInfo")
    assert row["fundingIntervalHours"] == 4


def test_both_funding_routes_share_five_hundred_requests_in_five_minutes(paid: Still) -> None:
    for _ in range(250):
        paid.ask("GET", RATES, symbol="BTCUSDT")
        paid.ask("GET", "/fapi/v1/fundingInfo")
    assert paid.refused("GET", RATES, symbol="BTCUSDT") == -1003
    assert paid.refused("GET", "/fapi/v1/fundingInfo") == -1003
    paid.advance(paid.now + timedelta(minutes=5))
    assert paid.refused("GET", RATES, symbol="BTCUSDT") == 0


@pytest.mark.parametrize(("prefix", "timed"), [("/api/v3", False), ("/fapi/v1", True)])
def test_a_book_ticker_has_a_time_on_futures_only(still: Still, prefix: str, timed: bool) -> None:
    still.marks(BTCUSDT="82000", ETHUSDT="1900", BNBUSDT="600")
    row = still.ask("GET", f"{prefix}/ticker/bookTicker", symbol="BTCUSDT")
    assert ("time" in row) == timed
    every = still.ask("GET", f"{prefix}/ticker/bookTicker")
    assert [each["symbol"] for each in every] == ["BTCUSDT", "ETHUSDT", "BNBUSDT"]
    assert all(("time" in each) == timed for each in every)


def test_prices_have_the_decimals_of_their_product(still: Still) -> None:
    still.marks(BTCUSDT="82000.5")
    spot = still.ask("GET", "/api/v3/ticker/bookTicker", symbol="BTCUSDT")
    assert (spot["bidPrice"], spot["bidQty"]) == ("82000.50000000", "1000.00000000")
    perpetual = still.ask("GET", "/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")
    assert (perpetual["bidPrice"], perpetual["bidQty"]) == ("82000.50", "1000.000")


def test_a_symbol_without_a_market_shows_zeros(still: Still) -> None:
    row = still.ask("GET", "/fapi/v1/ticker/bookTicker", symbol="ETHUSDT")
    assert (row["bidPrice"], row["askQty"]) == ("0.00", "0.000")
    assert still.ask("GET", "/fapi/v1/depth", symbol="ETHUSDT", limit="5")["bids"] == []


def test_the_book_goes_away_from_the_touch_tick_by_tick(still: Still) -> None:
    still.marks(BTCUSDT="82000")
    book = still.ask("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit="5")
    assert [price for price, _ in book["bids"]] == [
        "82000.00", "81999.90", "81999.80", "81999.70", "81999.60",
    ]  # fmt: skip
    assert [price for price, _ in book["asks"]][:2] == ["82000.00", "82000.10"]
    assert all(float(size) > 0 for side in ("bids", "asks") for _, size in book[side])
    assert still.refused("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit="7") == -4021
    assert len(still.ask("GET", "/api/v3/depth", symbol="BTCUSDT", limit="7")["bids"]) == 7


def test_spot_names_several_symbols_in_one_list(still: Still) -> None:
    still.marks(BTCUSDT="82000", ETHUSDT="1900", BNBUSDT="600")
    rows = still.ask("GET", "/api/v3/ticker/price", symbols='["ETHUSDT","BTCUSDT"]')
    assert rows == [
        {"symbol": "ETHUSDT", "price": "1900.00000000"},
        {"symbol": "BTCUSDT", "price": "82000.00000000"},
    ]
    assert still.refused("GET", "/api/v3/ticker/price", symbols='["NONSENSE"]') == -1121
    assert still.refused("GET", "/api/v3/ticker/price", symbols="BTCUSDT,ETHUSDT") == -1100
    assert still.refused("GET", "/fapi/v1/ticker/price", symbol="NONSENSE") == -1121

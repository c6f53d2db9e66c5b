"""Candles of mark, index, premium and contract: the perpetual's own prices, no volumes."""

from __future__ import annotations

import pytest

from rebalancer.simulators.binance_server.call import ApiError
from tests.unit.binance_server.reading.recorded import Venue

ASK = {"interval": "1h", "limit": "30"}


def test_mark_and_index_are_the_price_and_their_volumes_mean_nothing(venue: Venue) -> None:
    rows = venue.ask("GET", "/fapi/v1/klines", symbol="BTCUSDT", **ASK)
    marks = venue.ask("GET", "/fapi/v1/markPriceKlines", symbol="BTCUSDT", **ASK)
    assert [row[:5] for row in marks] == [row[:5] for row in rows]
    assert [row[6] for row in marks] == [row[6] for row in rows]
    assert {tuple(row[5:6] + row[7:]) for row in marks} == {("0", "0", 60, "0", "0", "0")}
    assert venue.ask("GET", "/fapi/v1/indexPriceKlines", pair="BTCUSDT", **ASK) == marks


def test_there_is_no_premium(venue: Venue) -> None:
    rows = venue.ask("GET", "/fapi/v1/premiumIndexKlines", symbol="BTCUSDT", **ASK)
    assert len(rows) == 30
    assert {text for row in rows for text in row[1:5]} == {"0.00000000"}


def test_the_contract_of_a_pair_is_its_perpetual_and_there_are_no_quarters(venue: Venue) -> None:
    path, pair = "/fapi/v1/continuousKlines", {"pair": "ETHUSDT", **ASK}
    rows = venue.ask("GET", "/fapi/v1/klines", symbol="ETHUSDT", **ASK)
    assert venue.ask("GET", path, contractType="PERPETUAL", **pair) == rows
    assert venue.ask("GET", path, contractType="CURRENT_QUARTER", **pair) == []
    with pytest.raises(ApiError) as refused:
        venue.ask("GET", path, contractType="ETERNAL", **pair)
    assert refused.value.code == -1130

"""exchangeInfo: real ticks and lots, every filter, and how spot narrows its answer."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.simulators.binance_server.call import ApiError
from rebalancer.simulators.binance_server.limits import ORDERS, WEIGHT
from tests.unit.binance_server.reading.recorded import Venue

USDM, SPOT = "/fapi/v1/exchangeInfo", "/api/v3/exchangeInfo"


def test_every_perpetual_has_the_seven_filters_of_2026(venue: Venue) -> None:
    rows = venue.ask("GET", USDM)["symbols"]
    assert len(rows) == 9
    for row in rows:
        kinds = [each["filterType"] for each in row["filters"]]
        assert sorted(kinds) == [
            "LOT_SIZE", "MARKET_LOT_SIZE", "MAX_NUM_ORDERS", "MIN_NOTIONAL", "PERCENT_PRICE",
            "POSITION_RISK_CONTROL", "PRICE_FILTER",
        ]  # fmt: skip
        assert row["deliveryDate"] == 4133404800000, "the mark of a perpetual that stays"
        filters = {each["filterType"]: each for each in row["filters"]}
        tick = Decimal(filters["PRICE_FILTER"]["tickSize"])
        assert row["pricePrecision"] == -int(tick.as_tuple().exponent)


def test_bitcoin_has_the_recorded_rules(venue: Venue) -> None:
    rows = venue.ask("GET", USDM)["symbols"]
    row = next(each for each in rows if each["symbol"] == "BTCUSDT")
    filters = {each["filterType"]: each for each in row["filters"]}
    assert Decimal(filters["PRICE_FILTER"]["tickSize"]) == Decimal("0.1")
    assert filters["LOT_SIZE"] == {
        "filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001",
    }  # fmt: skip
    assert filters["MARKET_LOT_SIZE"]["maxQty"] == "120"
    assert filters["MIN_NOTIONAL"] == {"filterType": "MIN_NOTIONAL", "notional": "100"}
    assert (filters["PERCENT_PRICE"]["multiplierUp"], filters["MAX_NUM_ORDERS"]["limit"]) == (
        "1.0500",
        200,
    )


def test_spot_switches_a_limit_off_with_a_step_of_nothing(venue: Venue) -> None:
    (row,) = venue.ask("GET", SPOT, symbol="BTCUSDT")["symbols"]
    filters = {each["filterType"]: each for each in row["filters"]}
    assert filters["MARKET_LOT_SIZE"]["stepSize"] == "0.00000000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert len(filters) == 9


def test_spot_answers_for_the_symbols_that_are_named(venue: Venue) -> None:
    names = [row["symbol"] for row in venue.ask("GET", SPOT)["symbols"]]
    assert len(names) == 9
    two = venue.ask("GET", SPOT, symbols='["ETHUSDT","BTCUSDT"]')["symbols"]
    assert [row["symbol"] for row in two] == ["ETHUSDT", "BTCUSDT"]
    assert venue.ask("GET", SPOT, permissions="LEVERAGED")["symbols"] == []
    assert len(venue.ask("GET", SPOT, permissions='["SPOT","MARGIN"]')["symbols"]) == 9


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"symbol": "NONSENSE"}, -1121),
        ({"symbols": '["NONSENSE"]'}, -1121),
        ({"symbols": "[BTCUSDT"}, -1100),
        ({"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
    ],
)
def test_a_wrong_name_is_refused(venue: Venue, words: dict[str, str], code: int) -> None:
    with pytest.raises(ApiError) as refused:
        venue.ask("GET", SPOT, **words)
    assert refused.value.code == code


@pytest.mark.parametrize(("path", "product"), [(SPOT, "spot"), (USDM, "usdm")])
def test_the_limits_that_are_published_are_those_that_count(
    venue: Venue, path: str, product: str
) -> None:
    limits = venue.ask("GET", path)["rateLimits"]
    (weight,) = [each for each in limits if each["rateLimitType"] == "REQUEST_WEIGHT"]
    assert (weight["limit"], weight["interval"], weight["intervalNum"]) == (
        WEIGHT[product], "MINUTE", 1,
    )  # fmt: skip
    published = {
        f"{each['intervalNum']}{each['interval'][0]}": each["limit"]
        for each in limits
        if each["rateLimitType"] == "ORDERS"
    }
    assert published == {name: most for name, _, most in ORDERS[product]}

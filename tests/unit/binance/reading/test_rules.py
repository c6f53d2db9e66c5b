"""Filters become exact rules; what the filters take the rules take, and nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.brokers.binance.filters_known import FILTERS
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.rules import common_multiple, rules_of, unknown_filters
from rebalancer.errors import DataError
from rebalancer.model.rules import PriceBand, TradingRules
from tests.unit.binance.reading.exchange import recorded, spot_row, usdm_row

USDM, SPOT = Product.USDM, Product.SPOT


def usdm(symbol: str) -> TradingRules:
    rows = {row["symbol"]: row for row in recorded("usdm_exchange_info")["symbols"]}
    return rules_of(rows[symbol], USDM)


def test_the_recorded_perpetual_has_its_tick_steps_and_bounds() -> None:
    rules = usdm("BTCUSDT")
    assert rules.price_step(Decimal(60000)) == Decimal("0.10")
    assert (rules.limit_step, rules.market_step) == (Decimal("0.001"), Decimal("0.001"))
    assert rules.min_size == Decimal("0.001")
    # LOT_SIZE says 1000, MARKET_LOT_SIZE 120: a remainder may have to go to market.
    assert rules.max_size == Decimal(120)
    assert rules.min_notional == Decimal(100)
    assert rules.reduce_only_exempt
    assert (rules.min_price, rules.max_price) == (Decimal("556.80"), Decimal(4529764))
    assert rules.buy_band == PriceBand(None, Decimal("1.0500"))
    assert rules.sell_band == PriceBand(Decimal("0.9500"), None)
    assert (rules.max_orders, rules.max_stops) == (200, 10)
    assert rules.max_position is None


def test_the_recorded_spot_pair_has_its_tick_steps_and_bounds() -> None:
    rules = rules_of(spot_row("ETHBTC"), SPOT)
    assert rules.price_step(Decimal("0.04")) == Decimal("0.00001")
    # The market lot filter's step is 0: only LOT_SIZE limits market orders.
    assert rules.market_step == rules.limit_step == Decimal("0.0001")
    assert rules.min_size == Decimal("0.0001")
    assert rules.max_size == Decimal("1378.22417541")
    assert (rules.min_notional, rules.max_notional) == (Decimal("0.0001"), Decimal(9000000))
    assert not rules.reduce_only_exempt
    assert rules.buy_band == rules.sell_band == PriceBand(Decimal("0.2"), Decimal(5))
    assert (rules.max_orders, rules.max_stops) == (200, 5)


def test_price_and_quantity_precision_are_no_tick_and_step() -> None:
    row = usdm_row()
    assert (row["pricePrecision"], row["quantityPrecision"]) == (2, 3)
    assert rules_of(row, USDM).price_step(Decimal(1)) == Decimal("0.1")  # not 0.01
    changed = row | {"pricePrecision": 8, "quantityPrecision": 0}
    assert rules_of(changed, USDM) == rules_of(row, USDM)


def changed(row: dict[str, Any], kind: str, **values: Any) -> dict[str, Any]:
    """Return a row with another filter of a kind."""
    kept = [each for each in row["filters"] if each["filterType"] != kind]
    old: dict[str, Any] = next((each for each in row["filters"] if each["filterType"] == kind), {})
    return row | {"filters": [*kept, old | {"filterType": kind} | values]}


def without(row: dict[str, Any], kind: str) -> dict[str, Any]:
    return row | {"filters": [each for each in row["filters"] if each["filterType"] != kind]}


def test_a_tick_or_step_of_zero_is_the_finest_that_the_precision_can_say() -> None:
    row = changed(usdm_row(), "PRICE_FILTER", tickSize="0", minPrice="0", maxPrice="0.00")
    row = changed(row, "LOT_SIZE", stepSize="0.00000000", minQty="0", maxQty="0")
    row = changed(row, "MARKET_LOT_SIZE", stepSize="0", minQty="0", maxQty="0")
    rules = rules_of(row, USDM)
    assert rules.price_step(Decimal(1)) == Decimal("0.01")
    assert rules.limit_step == rules.market_step == rules.min_size == Decimal("0.001")
    assert rules.max_size is rules.min_price is rules.max_price is None


def test_a_market_step_that_is_another_suits_both_filters() -> None:
    row = changed(usdm_row(), "MARKET_LOT_SIZE", stepSize="0.004", minQty="0.005", maxQty="120")
    row = changed(row, "LOT_SIZE", stepSize="0.006", minQty="0.001", maxQty="1000")
    rules = rules_of(row, USDM)
    assert rules.market_step == Decimal("0.012")  # least common multiple of 6 and 4
    assert rules.min_size == Decimal("0.006")  # the larger minimum, 0.005, on the grid


def test_a_symbol_that_does_not_trade_has_no_market_lot_filter() -> None:
    row = spot_row("BCCBTC")
    assert row["status"] == "BREAK"
    assert "MARKET_LOT_SIZE" not in {each["filterType"] for each in row["filters"]}
    rules = rules_of(row, SPOT)
    assert rules.market_step == rules.limit_step


def test_the_older_spot_filters_are_understood() -> None:
    row = changed(without(spot_row("ETHBTC"), "NOTIONAL"), "MIN_NOTIONAL", minNotional="0.002")
    row = changed(
        without(row, "PERCENT_PRICE_BY_SIDE"),
        "PERCENT_PRICE",
        multiplierUp="1.5",
        multiplierDown="0.5",
    )
    rules = rules_of(changed(row, "MAX_POSITION", maxPosition="7.5"), SPOT)
    assert rules.min_notional == Decimal("0.002")
    assert rules.max_notional is None
    assert rules.buy_band == rules.sell_band == PriceBand(Decimal("0.5"), Decimal("1.5"))
    assert rules.max_position == Decimal("7.5")


@pytest.mark.parametrize("kind", ["PRICE_FILTER", "LOT_SIZE"])
def test_a_symbol_without_a_filter_that_all_orders_need_is_refused(kind: str) -> None:
    with pytest.raises(DataError, match=f"BTCUSDT: it has no filter {kind}"):
        rules_of(without(usdm_row(), kind), USDM)


@pytest.mark.parametrize("digits", [-1, 19, "2", None, 1.5])
def test_a_precision_that_is_no_number_of_digits_is_refused(digits: object) -> None:
    row = changed(usdm_row(pricePrecision=digits), "PRICE_FILTER", tickSize="0")
    with pytest.raises(DataError, match="pricePrecision"):
        rules_of(row, USDM)


@pytest.mark.parametrize("filters", [None, "x", [7], [{}], [{"filterType": 7}]])
def test_filters_that_are_none_are_refused(filters: object) -> None:
    with pytest.raises(DataError, match="filter"):
        rules_of(usdm_row(filters=filters), USDM)


@pytest.mark.parametrize("text", ["", "abc", "NaN", "Infinity", "-0.1", "1E+9999999"])
def test_a_filter_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="tickSize"):
        rules_of(changed(usdm_row(), "PRICE_FILTER", tickSize=text), USDM)


def test_every_recorded_and_documented_filter_has_its_treatment() -> None:
    for which in ("usdm_exchange_info", "spot_exchange_info"):
        for row in recorded(which)["symbols"]:
            assert unknown_filters(row) == ()
    # The list of filters.md (2026-07) and of the USDⓈ-M exchangeInfo page.
    documented = (
        "PRICE_FILTER PERCENT_PRICE PERCENT_PRICE_BY_SIDE LOT_SIZE MIN_NOTIONAL NOTIONAL "
        "ICEBERG_PARTS MARKET_LOT_SIZE MAX_NUM_ORDERS MAX_NUM_ALGO_ORDERS MAX_NUM_ICEBERG_ORDERS "
        "MAX_POSITION TRAILING_DELTA MAX_NUM_ORDER_AMENDS MAX_NUM_ORDER_LISTS MAX_ASSET "
        "EXCHANGE_MAX_NUM_ORDERS EXCHANGE_MAX_NUM_ALGO_ORDERS EXCHANGE_MAX_NUM_ICEBERG_ORDERS "
        "EXCHANGE_MAX_NUM_ORDER_LISTS POSITION_RISK_CONTROL"
    )
    assert set(documented.split()) <= set(FILTERS)


def test_a_filter_nobody_knows_and_a_barred_side_are_told() -> None:
    row = changed(usdm_row(), "MOON_PHASE", phase="full")
    row = changed(row, "POSITION_RISK_CONTROL", positionControlSide="LONG")
    assert unknown_filters(row) == ("filter MOON_PHASE", "POSITION_RISK_CONTROL LONG")


def test_price_bounds_take_the_narrower_of_band_and_filter() -> None:
    rules = usdm("BTCUSDT")
    # 60000 x 1.05 = 63000; a buy has no band below, only the filter's 556.80.
    assert rules.price_bounds(buys=True, reference=Decimal(60000)) == (
        Decimal("556.80"),
        Decimal(63000),
    )
    # 60000 x 0.95 = 57000; 4529764 is the filter's highest.
    assert rules.price_bounds(buys=False, reference=Decimal(60000)) == (
        Decimal(57000),
        Decimal(4529764),
    )


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(DataError, match="upside down"):
        PriceBand(Decimal(2), Decimal(1))


# ------------------------------------------------------------------------ any filter block

_DIGITS = st.integers(0, 8)


def _steps(digits: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, 50).map(lambda n: Decimal(n).scaleb(-digits))


@st.composite
def blocks(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a perpetual's row with any steps, minimums and maximums."""
    digits = draw(_DIGITS)
    size = st.integers(0, 10**6).map(lambda n: Decimal(n).scaleb(-digits))
    return {
        "symbol": "XUSDT",
        "pricePrecision": digits,
        "quantityPrecision": digits,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "tickSize": f"{draw(_steps(digits)):f}",
                "minPrice": "0",
                "maxPrice": "0",
            },
            *(
                {
                    "filterType": kind,
                    "stepSize": f"{draw(_steps(digits)):f}",
                    "minQty": f"{draw(_steps(digits)):f}",
                    "maxQty": f"{draw(size) + 10**7:f}",
                }
                for kind in ("LOT_SIZE", "MARKET_LOT_SIZE")
            ),
        ],
    }


def taken(row: dict[str, Any], kinds: tuple[str, ...], size: Decimal) -> bool:
    """Say whether lot filters take a size, as the exchange's documentation words it."""
    lots = [each for each in row["filters"] if each["filterType"] in kinds]
    digits = Decimal(1).scaleb(-row["quantityPrecision"])
    for lot in lots:
        step, least, most = (Decimal(lot[key]) for key in ("stepSize", "minQty", "maxQty"))
        if size < least or (most and size > most) or size % (step or digits):
            return False
    return size > 0


_COUNTS = st.integers(0, 60) | st.integers(0, 2 * 10**7)


@given(blocks(), _COUNTS, st.booleans())
def test_the_rules_take_exactly_the_sizes_that_the_filters_take(
    row: dict[str, Any], count: int, near: bool
) -> None:
    rules = rules_of(row, USDM)
    step = rules.market_step if near else Decimal(1).scaleb(-row["quantityPrecision"])
    size = count * step
    assert rules.max_size is not None
    inside = rules.min_size <= size <= rules.max_size
    market = inside and size % rules.market_step == 0
    # A limit order suits LOT_SIZE, a market order both; the sizes allowed suit both alike.
    assert market == taken(row, ("LOT_SIZE", "MARKET_LOT_SIZE"), size)
    if inside and size % rules.limit_step == 0:
        assert taken(row, ("LOT_SIZE",), size)


@given(blocks(), st.integers(0, 10**6))
def test_the_rules_take_exactly_the_prices_that_the_filter_takes(
    row: dict[str, Any], count: int
) -> None:
    price = count * Decimal(1).scaleb(-row["pricePrecision"])
    tick = Decimal(row["filters"][0]["tickSize"])
    assert (price % rules_of(row, USDM).price_step(price) == 0) == (not tick or price % tick == 0)


@given(st.integers(1, 5000), _DIGITS, st.integers(1, 5000), _DIGITS)
def test_the_common_multiple_is_the_smallest_of_both(a: int, m: int, b: int, n: int) -> None:
    one, two = Decimal(a).scaleb(-m), Decimal(b).scaleb(-n)
    found = common_multiple(one, two)
    assert found % one == found % two == 0
    # Euler: lcm(x, y) = x y / gcd(x, y), by counting up instead.
    small, large = sorted((one, two))
    counted = next(k for k in range(1, int(small * 10**8) + 1) if large * k % small == 0)
    assert found == large * counted

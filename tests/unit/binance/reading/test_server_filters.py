"""The rules take exactly what the simulated exchange's own filters take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.rules import rules_of
from rebalancer.model.rules import TradingRules
from rebalancer.simulators.binance_server.call import ApiError
from rebalancer.simulators.binance_server.exchange_info import spot_symbol, usdm_symbol
from rebalancer.simulators.binance_server.filters import price_filters, quantity_filters
from rebalancer.simulators.binance_server.symbols import Symbol, symbol_table

BTC = symbol_table()["usdm", "BTCUSDT"]


def takes(check: Callable[[], None]) -> bool:
    """Return whether a filter of the exchange lets something through."""
    try:
        check()
    except ApiError:
        return False
    return True


def fits(rules: TradingRules, size: Decimal) -> bool:
    """Return whether our rules take a size, as limit and as market order."""
    grid = size % rules.limit_step == size % rules.market_step == 0
    most = rules.max_size
    return grid and rules.min_size <= size and (most is None or size <= most)


def priced(rules: TradingRules, price: Decimal) -> bool:
    """Return whether our rules take a limit, whatever the band."""
    low, high = rules.min_price, rules.max_price
    inside = (low is None or low <= price) and (high is None or price <= high)
    return inside and price > 0 and price % rules.price_step(price) == 0


_DIGITS = st.integers(0, 8)


@st.composite
def symbols(draw: st.DrawFn) -> Symbol:
    """Draw a perpetual with any grid; its minimums lie on it, as the exchange's do."""
    digits, places = draw(_DIGITS), draw(_DIGITS)
    step = Decimal(draw(st.sampled_from([1, 2, 5, 10, 25]))).scaleb(-digits)
    tick = Decimal(draw(st.sampled_from([1, 2, 5, 10, 25]))).scaleb(-places)
    least = step * draw(st.integers(1, 50))
    lowest = tick * draw(st.integers(1, 50))
    return replace(
        BTC,
        tick=tick,
        step=step,
        market_step=step,
        min_qty=least,
        market_min_qty=least,
        max_qty=least + step * draw(st.integers(0, 10**6)),
        market_max_qty=least + step * draw(st.integers(0, 10**4)),
        min_price=lowest,
        max_price=lowest + tick * draw(st.integers(0, 10**6)),
        min_notional=Decimal(draw(st.integers(0, 500))),
    )


@given(symbols(), st.integers(0, 100) | st.integers(0, 2 * 10**6), st.booleans())
def test_every_size_that_the_rules_take_the_exchange_takes_and_no_other(
    symbol: Symbol, count: int, on_grid: bool
) -> None:
    rules = rules_of(usdm_symbol(symbol), Product.USDM)
    size = count * (symbol.step if on_grid else Decimal(1).scaleb(-8))
    limit = takes(lambda: quantity_filters(symbol, size, market=False))
    market = takes(lambda: quantity_filters(symbol, size, market=True))
    assert fits(rules, size) == (limit and market)


@given(symbols(), st.integers(0, 100) | st.integers(0, 2 * 10**6), st.booleans())
def test_every_price_that_the_rules_take_the_exchange_takes_and_no_other(
    symbol: Symbol, count: int, on_grid: bool
) -> None:
    rules = rules_of(usdm_symbol(symbol), Product.USDM)
    price = count * (symbol.tick if on_grid else Decimal(1).scaleb(-8))
    assert priced(rules, price) == takes(lambda: price_filters(symbol, price))


@given(symbols(), st.decimals("0.00000001", "1000000", places=8), st.booleans())
def test_the_band_is_the_one_that_the_exchange_holds_limits_to(
    symbol: Symbol, mark: Decimal, buys: bool
) -> None:
    low, high = rules_of(usdm_symbol(symbol), Product.USDM).price_bounds(buys=buys, reference=mark)
    # A buy may be far below and a sell far above the mark, as far as the price filter goes.
    assert low == (symbol.min_price if buys else max(symbol.min_price, mark * Decimal("0.95")))
    assert high == (min(symbol.max_price, mark * Decimal("1.05")) if buys else symbol.max_price)


@pytest.mark.parametrize("product", [Product.USDM, Product.SPOT])
def test_every_real_symbol_has_rules_of_its_own_numbers(product: Product) -> None:
    told = usdm_symbol if product is Product.USDM else spot_symbol
    known = [each for (name, _), each in symbol_table().items() if name == product]
    assert len(known) >= 9
    for symbol in known:
        rules = rules_of(told(symbol), product)
        assert rules.price_step(Decimal(1)) == symbol.tick
        assert rules.limit_step == rules.market_step == symbol.step
        assert rules.min_size == symbol.min_qty
        assert rules.max_size == min(symbol.max_qty, symbol.market_max_qty)
        assert rules.min_notional == symbol.min_notional
        assert rules.max_orders == symbol.max_orders

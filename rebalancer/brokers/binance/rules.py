"""From the exchange's filters to exact rules; `pricePrecision` and the like are no tick or step.

A size must suit limit and market orders alike, so that a remainder may always go to market: the
larger minimum, the smaller maximum. A step or tick of 0 is no limit: the finest that the
exchange's precision can say takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import lcm
from typing import Any

from rebalancer.brokers.binance import filters_known as known
from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import DataError
from rebalancer.model.rules import PriceBand, PriceLevel, TradingRules

_ZERO = Decimal(0)
_ONE = Decimal(1)
_VAST = Decimal("1E+30")
"""No limit of the exchange's comes near; arithmetic with more might fail."""

Filter = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Sizes:
    """One of the two lot filters; None is no limit."""

    step: Decimal | None
    least: Decimal
    most: Decimal | None


def rules_of(row: Mapping[str, Any], product: Product) -> TradingRules:
    """Return the rules that a symbol's row of `exchangeInfo` says; exact.

    Raises `DataError` when a filter is missing that no order can do without, or is no number.
    """
    name = str(row.get("symbol", ""))
    filters = by_type(row)
    price = _filter(filters, known.PRICE, name)
    tick = _positive(price, "tickSize") or _finest(row, _PRICE_DIGITS[product])
    step, market, least, most = _sizes(row, filters, product, name)
    orders = filters.get(known.ORDERS)
    stops = filters.get(known.STOPS)
    position = filters.get(known.POSITION)
    notionals = filters.get(known.NOTIONAL) or filters.get(known.LEAST_NOTIONAL) or {}
    buys, sells = _bands(filters, product)
    usdm = product is Product.USDM
    return TradingRules(
        price_levels=(PriceLevel(_ZERO, tick),),
        limit_step=step,
        market_step=market,
        min_size=least,
        max_size=most,
        min_notional=_positive(notionals, "notional" if usdm else "minNotional") or _ZERO,
        reduce_only_exempt=usdm,
        min_price=_positive(price, "minPrice"),
        max_price=_positive(price, "maxPrice"),
        buy_band=buys,
        sell_band=sells,
        max_notional=_positive(notionals, "maxNotional"),
        max_position=None if position is None else _positive(position, "maxPosition"),
        max_orders=_count(orders, "maxNumOrders"),
        max_stops=_count(stops, "maxNumAlgoOrders"),
    )


def by_type(row: Mapping[str, Any]) -> dict[str, Filter]:
    """Return a symbol's filters by their type; raises `DataError` for what is none."""
    found: dict[str, Filter] = {}
    filters = row.get("filters")
    if not isinstance(filters, list):
        raise DataError(f"{row.get('symbol')}: it has no filters")
    for each in filters:
        if not isinstance(each, Mapping) or not isinstance(each.get("filterType"), str):
            raise DataError(f"{row.get('symbol')}: a filter without a type")
        found[each["filterType"]] = each
    return found


def unknown_filters(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what should be told of a symbol's filters: types unknown here, a barred side."""
    filters = by_type(row)
    told = [f"filter {name}" for name in sorted(set(filters) - set(known.FILTERS))]
    control = filters.get(known.CONTROL, {}).get("positionControlSide", "NONE")
    if control != "NONE":
        told.append(f"{known.CONTROL} {control}")
    return tuple(told)


_PRICE_DIGITS = {Product.USDM: "pricePrecision", Product.SPOT: "quoteAssetPrecision"}
_SIZE_DIGITS = {Product.USDM: "quantityPrecision", Product.SPOT: "baseAssetPrecision"}


def _sizes(
    row: Mapping[str, Any], filters: Mapping[str, Filter], product: Product, name: str
) -> tuple[Decimal, Decimal, Decimal, Decimal | None]:
    """Return limit step, market step, smallest and largest size.

    A market order must suit both lot filters. A symbol that does not trade may have no market
    lot filter: it limits nothing.
    """
    lot = _lot(_filter(filters, known.LOT, name))
    market = _lot(filters.get(known.MARKET_LOT, {}))
    finest = _finest(row, _SIZE_DIGITS[product])
    step = lot.step or finest
    market_step = step if market.step is None else common_multiple(step, market.step)
    least = max(lot.least, market.least)
    most = [each for each in (lot.most, market.most) if each is not None]
    return step, market_step, _up(least, step), min(most, default=None)


def _lot(filter_: Filter) -> _Sizes:
    return _Sizes(
        _positive(filter_, "stepSize"),
        _positive(filter_, "minQty") or _ZERO,
        _positive(filter_, "maxQty"),
    )


def _up(size: Decimal, step: Decimal) -> Decimal:
    """Return the smallest size on the grid that is at least `size`, and one step at least."""
    steps = size // step + (1 if size % step else 0)  # `//` of decimals cuts towards zero
    return max(steps, _ONE) * step


def _bands(
    filters: Mapping[str, Filter], product: Product
) -> tuple[PriceBand | None, PriceBand | None]:
    """Return the bands of a buy's and a sell's limit.

    USDⓈ-M bounds a buy above and a sell below the mark price only; spot bounds both sides.
    """
    sided = filters.get(known.BAND_BY_SIDE)
    if sided is not None:
        return (
            _band(sided, "bidMultiplierDown", "bidMultiplierUp"),
            _band(sided, "askMultiplierDown", "askMultiplierUp"),
        )
    plain = filters.get(known.BAND)
    if plain is None:
        return None, None
    if product is Product.USDM:
        return _band(plain, "", "multiplierUp"), _band(plain, "multiplierDown", "")
    both = _band(plain, "multiplierDown", "multiplierUp")
    return both, both


def _band(filter_: Filter, low: str, high: str) -> PriceBand | None:
    band = PriceBand(
        _positive(filter_, low) if low else None, _positive(filter_, high) if high else None
    )
    return None if band == PriceBand() else band


def _filter(filters: Mapping[str, Filter], kind: str, name: str) -> Filter:
    if kind not in filters:
        raise DataError(f"{name}: it has no filter {kind}")
    return filters[kind]


def _positive(filter_: Filter, key: str) -> Decimal | None:
    """Return a filter's number, None where it is 0 or not there: no limit."""
    value = filter_.get(key)
    if value is None:
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("NaN")
    if not (found.is_finite() and 0 <= found < _VAST):
        raise DataError(f"filter {filter_.get('filterType')}: {key} = {value!r} is not a number")
    return found or None


def _count(filter_: Filter | None, key: str) -> int | None:
    """Return how many a filter allows; USDⓈ-M calls it `limit`."""
    if filter_ is None:
        return None
    value = filter_.get(key, filter_.get("limit"))
    return value if isinstance(value, int) and value > 0 else None


def _finest(row: Mapping[str, Any], key: str) -> Decimal:
    digits = row.get(key, 8)
    if not isinstance(digits, int) or not 0 <= digits <= 18:
        raise DataError(f"{row.get('symbol')}: {key} = {digits!r} is not a number of digits")
    return _ONE.scaleb(-digits)


def common_multiple(one: Decimal, two: Decimal) -> Decimal:
    """Return the smallest size that is a whole number of steps of both."""
    places = max(-int(each.normalize().as_tuple().exponent) for each in (one, two))
    unit = _ONE.scaleb(-max(places, 0))
    return lcm(int(one / unit), int(two / unit)) * unit

"""The exchange's filters, and what becomes of each. One that is not here is told, not guessed.

Source: binance-spot-api-docs `filters.md`, and the USDⓈ-M pages on `exchangeInfo`.
"""

from __future__ import annotations

from collections.abc import Mapping

PRICE = "PRICE_FILTER"
BAND = "PERCENT_PRICE"
BAND_BY_SIDE = "PERCENT_PRICE_BY_SIDE"
LOT = "LOT_SIZE"
MARKET_LOT = "MARKET_LOT_SIZE"
LEAST_NOTIONAL = "MIN_NOTIONAL"
NOTIONAL = "NOTIONAL"
POSITION = "MAX_POSITION"
ORDERS = "MAX_NUM_ORDERS"
STOPS = "MAX_NUM_ALGO_ORDERS"
CONTROL = "POSITION_RISK_CONTROL"

FILTERS: Mapping[str, str] = {
    PRICE: "tick, lowest and highest limit; a tick of 0 is no limit",
    BAND: "how far a limit may be from the reference price, on its far side only on USDⓈ-M",
    BAND_BY_SIDE: "the same, for buys and sells apart",
    LOT: "size step, smallest and largest size",
    MARKET_LOT: "the same for market orders; a step of 0 is no limit",
    LEAST_NOTIONAL: "smallest order by value; on USDⓈ-M reductions are exempt",
    NOTIONAL: "smallest and largest order by value",
    POSITION: "largest holding of the base asset, working buys included",
    ORDERS: "orders open at a time",
    STOPS: "stops open at a time",
    CONTROL: "a side that may not be opened; told when it is not NONE",
    "ICEBERG_PARTS": "hidden sizes; not used here",
    "MAX_NUM_ICEBERG_ORDERS": "hidden sizes; not used here",
    "TRAILING_DELTA": "trailing stops; not used here",
    "MAX_NUM_ORDER_LISTS": "order lists; not used here",
    "MAX_NUM_ORDER_AMENDS": "amending an order's size; not used here",
    "MAX_ASSET": "largest transfer by order of an asset; an account's own filter, not listed here",
    "T_PLUS_SELL": "how long what was bought must be kept; the exchange refuses, the plan waits",
    "EXCHANGE_MAX_NUM_ORDERS": "orders open at a time over all symbols; the exchange refuses",
    "EXCHANGE_MAX_NUM_ALGO_ORDERS": "stops open at a time over all symbols; the exchange refuses",
    "EXCHANGE_MAX_NUM_ICEBERG_ORDERS": "hidden sizes; not used here",
    "EXCHANGE_MAX_NUM_ORDER_LISTS": "order lists; not used here",
}
"""Filter type -> what is done about it."""

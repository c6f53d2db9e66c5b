"""A small simulated venue of perpetuals and spot pairs, for the tests of this folder."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.simulators.account import new_account
from rebalancer.simulators.books import Books
from rebalancer.simulators.candles import CandleMarket, candle_recording
from rebalancer.simulators.exchange import Exchange, NewOrder
from rebalancer.simulators.faults import FaultScript
from rebalancer.simulators.parameters import PaperSettings

AT = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)
GAP = datetime(2020, 6, 28, 2, tzinfo=UTC)
"""When the outage of Binance began that the recording of 2020 has; it ended at 05:00."""


def instrument(
    name: str, kind: Kind = Kind.PERPETUAL, tick: str = "0.01", lot: str = "0.001"
) -> Instrument:
    rules = TradingRules(
        price_levels=(PriceLevel(Decimal(0), Decimal(tick)),),
        limit_step=Decimal(lot),
        market_step=Decimal(lot),
        min_size=Decimal(lot),
        min_notional=Decimal(5),
        reduce_only_exempt=True,
    )
    identifier = InstrumentId(f"{name}.{kind}@BINANCE")
    return Instrument(
        identifier, kind, name, "USDT", "24/7", rules, shortable=kind is Kind.PERPETUAL
    )


BTC = instrument("BTCUSDT", tick="0.1")
ETH = instrument("ETHUSDT")
SPOT = instrument("BTCUSDT", Kind.SPOT, lot="0.00001")


def market(name: str = "binance_perps_2025", **settings: Any) -> CandleMarket:
    chosen = PaperSettings(**{"seed": 7, "start": AT, **settings})
    known = {each.id: each for each in (BTC, ETH, SPOT)}
    return CandleMarket(candle_recording(name), known, chosen, "USDT")


def engine(
    *,
    name: str = "binance_perps_2025",
    fees: str = "none",
    faults: FaultScript | None = None,
    **settings: Any,
) -> Exchange:
    """Return an engine in memory with 10,000 USDT unless the settings say otherwise."""
    given = {"seed": 7, "start": AT, "cash": {"USDT": Decimal(10_000)}, **settings}
    chosen = PaperSettings(**given)
    known = {each.id: each for each in (BTC, ETH, SPOT)}
    here = CandleMarket(candle_recording(name), known, chosen, "USDT")
    books = Books(new_account("P", "USDT", chosen, here, known), None, None)
    exchange = Exchange(books, here, known, chosen, fee_schedule(fees), faults)
    exchange.leverage = lambda _: Decimal(10)
    return exchange


def wanted(of: Instrument, quantity: str, limit: str | None = None, **more: Any) -> NewOrder:
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    price = None if limit is None else Decimal(limit)
    given = {"reference": "r", "time_in_force": TimeInForce.GTC, **more}
    return NewOrder(
        instrument=of.id, quantity=Decimal(quantity), limit=price, order_type=kind, **given
    )

"""The trading routes over the true engine, with prices that a test sets by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Quote
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.sessions import Session
from rebalancer.simulators.account import new_account
from rebalancer.simulators.binance_server import (
    algo,
    algo_trigger,
    countdown,
    orders_batch,
    orders_spot,
    orders_usdm,
    trades,
)
from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.books import Books
from rebalancer.simulators.exchange import Exchange
from rebalancer.simulators.faults import Fault, FaultScript
from rebalancer.simulators.market import Touch
from rebalancer.simulators.parameters import PaperSettings

START = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_TABLES: tuple[Mapping[str, Route], ...] = (
    orders_spot.ROUTES,
    orders_usdm.ROUTES,
    orders_batch.ROUTES,
    trades.ROUTES,
    algo.ROUTES,
    countdown.ROUTES,
)
ROUTES = {name: route for table in _TABLES for name, route in table.items()}


@dataclass
class TestSymbol:
    """A symbol with the fields that the trading routes read."""

    __test__ = False
    symbol: str
    product: str
    tick: Decimal
    step: Decimal
    min_notional: Decimal
    status: str = "TRADING"
    max_qty: Decimal = Decimal(1000)
    market_max_qty: Decimal = Decimal(120)
    multiplier_up: Decimal = Decimal("1.05")
    multiplier_down: Decimal = Decimal("0.95")
    min_price: Decimal = Decimal("0.01")
    max_price: Decimal = Decimal(1_000_000)
    max_orders: int = 200
    max_position: Decimal | None = None
    min_qty: Decimal = Decimal("0.00001")

    @property
    def base(self) -> str:
        return self.symbol.removesuffix("USDT")

    @property
    def quote(self) -> str:
        return "USDT"

    @property
    def market_step(self) -> Decimal:
        return self.step

    @property
    def id(self) -> InstrumentId:
        kind = "SPOT" if self.product == "spot" else "PERP"
        return InstrumentId(f"{self.symbol}.{kind}@BINANCE")


class HandMarket:
    """A market of prices set by hand: a tick between bid and ask, and so much at each."""

    name = "hand"

    def __init__(self, symbols: Sequence[TestSymbol]) -> None:
        self.prices = {each.id: Decimal(0) for each in symbols}
        self.depth: dict[str, Decimal | None] = {}
        self.shut: set[str] = set()
        self.marks: dict[str, Decimal] = {}
        self._ticks = {each.id: each.tick for each in symbols}
        self._symbols = {each.id: each for each in symbols}

    def listed(self) -> tuple[Instrument, ...]:
        return ()

    def session(self, instrument: Instrument, at: datetime) -> Session | None:
        if instrument.id in self.shut:
            return None
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return Session(day.date(), day, day + timedelta(days=1))

    def next_session(self, instrument: Instrument, at: datetime) -> Session | None:
        day = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return Session(day.date(), day, day + timedelta(days=1))

    def touch(self, instrument: Instrument, at: datetime) -> Touch | None:
        if instrument.id in self.shut:
            return None
        bid, tick = self.prices[instrument.id], self._ticks[instrument.id]
        return Touch(bid, bid + tick, self.depth.get(instrument.id))

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        return None

    def mark(self, instrument: Instrument, at: datetime) -> Decimal | None:
        return self.marks.get(instrument.id, self.prices.get(instrument.id))

    def bars(
        self, instruments: Sequence[Instrument], since: datetime | None, now: datetime
    ) -> Panel:
        return empty_panel(tuple(each.id for each in instruments))

    def sessions_since(self, instrument: Instrument, then: datetime, now: datetime) -> int:
        return 0

    def ended(self, at: datetime) -> bool:
        return False


@dataclass
class TestSymbols:
    """What E's table answers: the symbols as they are now."""

    __test__ = False
    every: Sequence[TestSymbol]

    def listed(self, product: str, at: datetime) -> tuple[TestSymbol, ...]:
        return tuple(each for each in self.every if each.product == product)

    def of(self, identifier: InstrumentId, at: datetime) -> TestSymbol:
        return next(each for each in self.every if each.id == identifier)

    def find(self, product: str, name: str, at: datetime) -> TestSymbol | None:
        found = (each for each in self.listed(product, at) if each.symbol == name)
        return next(found, None)


def instrument_of(symbol: TestSymbol) -> Instrument:
    """Return a symbol as the engine knows it."""
    rules = TradingRules(
        price_levels=(PriceLevel(Decimal(0), symbol.tick),),
        limit_step=symbol.step,
        market_step=symbol.step,
        min_size=symbol.step,
        min_notional=symbol.min_notional,
        reduce_only_exempt=True,
    )
    kind = Kind.SPOT if symbol.product == "spot" else Kind.PERPETUAL
    return Instrument(symbol.id, kind, symbol.symbol, "USDT", "24/7", rules=rules)


def symbols() -> list[TestSymbol]:
    """Return BTC and ETH as perpetuals, and BTC on spot."""
    return [
        TestSymbol("BTCUSDT", "usdm", Decimal("0.10"), Decimal("0.001"), Decimal(50)),
        TestSymbol("ETHUSDT", "usdm", Decimal("0.01"), Decimal("0.001"), Decimal(20)),
        TestSymbol("BTCUSDT", "spot", Decimal("0.01"), Decimal("0.00001"), Decimal(5)),
    ]


@dataclass
class Stand:
    """One account, its engine and the routes."""

    server: Any
    market: HandMarket
    symbols: Sequence[TestSymbol]

    @property
    def exchange(self) -> Exchange:
        return cast(Exchange, self.server.exchange)

    @property
    def now(self) -> datetime:
        return self.exchange.now

    def ms(self, **later: float) -> int:
        """Return the time, so much later, in milliseconds."""
        return int((self.now + timedelta(**later)).timestamp() * 1000)

    def call(self, route: str, **parameters: Any) -> Any:
        """Send a request; what is refused raises `ApiError`."""
        path = route.partition(" ")[2]
        product = "usdm" if path.startswith("/fapi") else "spot"
        texts = {name: str(value) for name, value in parameters.items()}
        return ROUTES[route].handler(Call(self.server, product, path, texts, self.now))

    def price(self, symbol: str, bid: str, product: str = "usdm") -> None:
        """Set the bid of a symbol; the ask is a tick above."""
        self.market.prices[self.symbol(symbol, product).id] = Decimal(bid)

    def depth(self, symbol: str, size: str, product: str = "usdm") -> None:
        """Set how much is shown at bid and ask in each minute."""
        self.market.depth[self.symbol(symbol, product).id] = Decimal(size)

    def symbol(self, name: str, product: str = "usdm") -> TestSymbol:
        return next(s for s in self.symbols if (s.symbol, s.product) == (name, product))

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.exchange.play_to(self.now + timedelta(**time))

    def held(self, symbol: str = "BTCUSDT") -> Decimal:
        holding = self.exchange.account.holdings.get(self.symbol(symbol).id)
        return holding.quantity if holding else Decimal(0)

    def order(self, **parameters: Any) -> Any:
        """Place an order on the perpetual BTCUSDT, answered with its result."""
        return self.call("POST /fapi/v1/order", **(_USUAL | parameters))

    def spot(self, **parameters: Any) -> Any:
        """Place an order on the spot pair BTCUSDT."""
        return self.call("POST /api/v3/order", **(_USUAL_SPOT | parameters))

    def stop(self, **parameters: Any) -> Any:
        """Place a reduce-only stop on the perpetual BTCUSDT."""
        return self.call("POST /fapi/v1/algoOrder", **(_USUAL_STOP | parameters))


_USUAL = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "80000",
    "newOrderRespType": "RESULT",
}
_USUAL_SPOT = _USUAL | {"quantity": "0.00100", "newOrderRespType": "FULL"}
_USUAL_STOP = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.010",
    "triggerPrice": "78000",
    "workingType": "MARK_PRICE",
    "reduceOnly": "true",
    "clientAlgoId": "stop1",
}
MARKET: dict[str, Any] = {"type": "MARKET", "timeInForce": "", "price": ""}
"""What makes the usual order one at market."""


def make_stand(
    *, product: str = "usdm", cash: Mapping[str, str] | None = None, faults: Sequence[Fault] = ()
) -> Stand:
    """Return an account with 10,000 USDT; BTC's bid is 80,000, ETH's 2,000."""
    every = symbols()
    market = HandMarket(every)
    instruments = {each.id: instrument_of(each) for each in every}
    for identifier in market.prices:
        market.prices[identifier] = Decimal(80_000 if "BTC" in identifier else 2_000)
    money = {name: Decimal(value) for name, value in (cash or {"USDT": "10000"}).items()}
    settings = PaperSettings(start=START, cash=money)
    account = new_account("1", "USDT", settings, market, instruments)
    exchange = Exchange(
        Books(account, None, None),
        market,
        instruments,
        settings,
        fee_schedule("binance-spot" if product == "spot" else "binance-usdm"),
        FaultScript(tuple(faults)),
    )
    server = SimpleNamespace(
        exchange=exchange,
        market=market,
        symbols=TestSymbols(every),
        spec=SimpleNamespace(hedge=False, multi_assets=False, averages_in_answers=True),
    )
    algo_trigger.attach(cast(Any, server))
    countdown.attach(cast(Any, server))
    return Stand(server, market, every)


@pytest.fixture
def stand() -> Iterator[Stand]:
    """Return an account of perpetuals."""
    yield make_stand()


def refusal(stand: Stand, route: str, **parameters: Any) -> tuple[int, str]:
    """Return code and words with which a request is refused."""
    with pytest.raises(ApiError) as caught:
        stand.call(route, **parameters)
    return caught.value.code, caught.value.message


def order_refusal(stand: Stand, **parameters: Any) -> tuple[int, str]:
    """Return code and words with which an order on the perpetual BTCUSDT is refused."""
    return refusal(stand, "POST /fapi/v1/order", **(_USUAL | parameters))


def spot_refusal(stand: Stand, **parameters: Any) -> tuple[int, str]:
    """Return code and words with which an order on the spot pair is refused."""
    return refusal(stand, "POST /api/v3/order", **(_USUAL_SPOT | parameters))


def stop_refusal(stand: Stand, **parameters: Any) -> tuple[int, str]:
    """Return code and words with which a stop is refused."""
    return refusal(stand, "POST /fapi/v1/algoOrder", **(_USUAL_STOP | parameters))

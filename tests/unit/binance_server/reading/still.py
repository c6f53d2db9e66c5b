"""An exchange whose prices stand still: the reading routes over books that a test writes.

The engine is the real one, the market the smallest that fits: what is tested here is
arithmetic, and every number of it must be in the test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.sessions import Session
from rebalancer.simulators.binance_server import (
    account_spot,
    account_usdm,
    haircuts,
    income_rows,
    market_data,
    market_info,
    modes,
    positions_usdm,
    sapi,
    settings_usdm,
    timers,
)
from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.limits import Limits
from rebalancer.simulators.binance_server.transfers import Transfer
from rebalancer.simulators.books import SCHEMA, Account, Books, Holding, Order
from rebalancer.simulators.exchange import Exchange, NewOrder
from rebalancer.simulators.market import Touch
from rebalancer.simulators.parameters import PaperSettings

START = datetime(2025, 3, 20, 12, tzinfo=UTC)
ROUTES: dict[str, Route] = {}
for _module in (
    account_spot, account_usdm, haircuts, income_rows, market_data, market_info, modes,
    positions_usdm, sapi, settings_usdm,
):  # fmt: skip
    ROUTES |= _module.ROUTES


@dataclass(frozen=True)
class StillSymbol:
    """A symbol of one tick and one step."""

    symbol: str
    product: str
    tick: Decimal
    step: Decimal
    base: str
    quote: str = "USDT"
    status: str = "TRADING"
    contract_type: str = "PERPETUAL"
    min_qty: Decimal = Decimal("0.001")
    onboard: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    @property
    def id(self) -> InstrumentId:
        kind = "SPOT" if self.product == "spot" else "PERP"
        return InstrumentId(f"{self.symbol}.{kind}@BINANCE")

    @property
    def instrument(self) -> Instrument:
        kind = Kind.SPOT if self.product == "spot" else Kind.PERPETUAL
        rules = TradingRules(
            (PriceLevel(Decimal(0), self.tick),), self.step, self.step, self.step, None
        )
        return Instrument(self.id, kind, self.symbol, self.quote, "24/7", rules)


COINS = (("BTC", "0.10", "0.001"), ("ETH", "0.01", "0.001"), ("BNB", "0.010", "0.01"))
SYMBOLS = tuple(
    StillSymbol(f"{base}USDT", product, Decimal(tick), Decimal(step), base)
    for product in ("usdm", "spot")
    for base, tick, step in COINS
)


@dataclass
class StillMarket:
    """Prices by symbol, the same for both products, until a test changes them."""

    name: str = "still"
    marks: dict[str, Decimal] = field(default_factory=dict)
    payments: dict[str, list[tuple[datetime, Decimal]]] = field(default_factory=dict)

    def listed(self) -> tuple[Instrument, ...]:
        return ()

    def session(self, _instrument: Instrument, at: datetime) -> Session:
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return Session(day.date(), day, day + timedelta(days=1), always=True)

    next_session = session

    def ended(self, _at: datetime) -> bool:
        return False

    def mark(self, instrument: Instrument, _at: datetime) -> Decimal | None:
        return self.marks.get(instrument.symbol)

    index = mark

    def touch(self, instrument: Instrument, _at: datetime) -> Touch | None:
        mark = self.marks.get(instrument.symbol)
        return None if mark is None else Touch(mark, mark, Decimal(1000))

    def funding(self, symbol: str) -> list[tuple[datetime, Decimal]]:
        return self.payments.get(symbol, [])


@dataclass
class StillSymbols:
    """A few symbols that never change."""

    every: tuple[StillSymbol, ...]

    def listed(self, product: str, _at: datetime) -> tuple[StillSymbol, ...]:
        return tuple(each for each in self.every if each.product == product)

    def find(self, product: str, name: str, at: datetime) -> StillSymbol | None:
        return next((each for each in self.listed(product, at) if each.symbol == name), None)


class Still:
    """The exchange, and what a test writes into it."""

    def __init__(self, account: Account | None = None) -> None:
        self.market = StillMarket()
        self.symbols = StillSymbols(SYMBOLS)
        self.account = account or Account(
            schema=SCHEMA, account="700700700", base="USDT", seed=1, now=START,
            cash={"USDT": Decimal(0)}, carried_cash={"USDT": Decimal(0)},
        )  # fmt: skip
        self.engine = Exchange(
            Books(self.account, None, None),
            cast(Any, self.market),
            {each.id: each.instrument for each in SYMBOLS},
            PaperSettings(),
            fee_schedule("binance-usdm"),
        )
        self.server = SimpleNamespace(
            exchange=self.engine,
            market=self.market,
            symbols=self.symbols,
            limits=Limits(),
            spec=SimpleNamespace(
                account="700700700", hedge=False, multi_assets=False, transfers=()
            ),
        )
        timers.attach(cast(Any, self.server))

    @property
    def now(self) -> datetime:
        return self.engine.now

    def reopened(self) -> Still:
        """Return the exchange as it comes up again from its books."""
        again = Still(from_plain(Account, to_plain(self.account), "books"))
        again.market.marks, again.market.payments = self.market.marks, self.market.payments
        return again

    def ask(self, method: str, path: str, **parameters: str) -> Any:
        product = {"api": "spot", "fapi": "usdm"}.get(path.split("/")[1], path.split("/")[1])
        call = Call(cast(Any, self.server), product, path, parameters, self.now)
        return ROUTES[f"{method} {path}"].handler(call)

    def refused(self, method: str, path: str, **parameters: str) -> int:
        try:
            self.ask(method, path, **parameters)
        except ApiError as error:
            return error.code
        return 0

    def wallet(self, asset: str) -> Decimal:
        return self.account.cash[asset]

    def cash(self, **amounts: str) -> None:
        self.account.cash.update({asset: Decimal(text) for asset, text in amounts.items()})

    def marks(self, **prices: str) -> None:
        self.market.marks.update({symbol: Decimal(text) for symbol, text in prices.items()})

    def symbol(self, name: str, product: str = "usdm") -> StillSymbol:
        found = self.symbols.find(product, name, self.now)
        assert found is not None
        return found

    def hold(self, name: str, quantity: str, entry: str) -> None:
        self.account.holdings[self.symbol(name).id] = Holding(Decimal(quantity), Decimal(entry))

    def rest(
        self,
        name: str,
        quantity: str,
        limit: str,
        *,
        product: str = "usdm",
        reduce_only: bool = False,
    ) -> None:
        order = Order(
            id=self.account.next_order,
            reference=f"test-{self.account.next_order}",
            instrument=self.symbol(name, product).id,
            quantity=Decimal(quantity),
            limit=Decimal(limit),
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            reduce_only=reduce_only,
            placed_at=self.now,
            status=OrderStatus.WORKING,
        )
        self.account.next_order += 1
        self.account.orders += (order,)

    def clear_orders(self) -> None:
        self.account.orders = ()

    def buy(self, name: str, quantity: str) -> None:
        """Trade at the price there is, as a taker."""
        symbol = self.symbol(name)
        (order,) = self.engine.place(
            [
                NewOrder(
                    f"test-{self.account.next_order}", symbol.id, Decimal(quantity), None,
                    OrderType.MARKET, TimeInForce.IOC,
                )
            ],
            at_once=True,
        )  # fmt: skip
        assert order.status is OrderStatus.FILLED, order.message

    def funding(self, name: str, *rows: tuple[datetime, str]) -> None:
        self.market.payments[name] = [(at, Decimal(rate)) for at, rate in rows]

    def transfers(self, *rows: tuple[datetime, str, str]) -> None:
        self.server.spec.transfers = tuple(
            Transfer(at, asset, Decimal(amount)) for at, asset, amount in rows
        )

    def advance(self, to: datetime) -> None:
        self.engine.play_to(to)

"""Simulated venues that live through a whole schedule: runs come and go, and are killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from rebalancer.brokers.binance.broker import BinanceBroker
from rebalancer.brokers.binance.passage import SteppedPassage as BinancePassage
from rebalancer.brokers.ib.broker import IbBroker
from rebalancer.brokers.ib.passage import SteppedPassage as IbPassage
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.ports import Broker, Page
from rebalancer.simulators.binance_server import troubles as server_troubles
from rebalancer.simulators.binance_server.closing import AUTOCLOSE
from rebalancer.simulators.binance_server.income_rows import IncomeRow, book_income
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.spec import BinanceSpec
from rebalancer.simulators.books import Account
from rebalancer.simulators.exchange import Exchange
from rebalancer.simulators.faults.injection import Injector
from rebalancer.simulators.ib_gateway import orders_by_hand
from rebalancer.simulators.ib_gateway import troubles as gateway_troubles
from rebalancer.simulators.ib_gateway.futures import MarketWithFutures
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.market import RecordedMarket
from rebalancer.simulators.news import NewOrder
from rebalancer.store.atomic import Files

QUICK_IB: Mapping[str, Any] = {
    "request_seconds": 4.0,
    "quote_seconds": 1.0,
    "connect_attempts": 2,
    "farm_seconds": 2.0,
}
"""Seconds of virtual time; short, so that the loop has few timers to go through."""

QUICK_BINANCE: Mapping[str, Any] = {"connect_attempts": 2}


class Resident(Protocol):
    """One simulated venue in this process."""

    venue: str
    control: Any
    """The `LocalGateway` or `LocalServer` itself."""

    @property
    def exchange(self) -> Exchange:
        """Return the engine behind the protocol."""

    def now(self) -> datetime:
        """Return the market's time."""

    def wire_seconds(self) -> float:
        """Return how long the wire alone has taken so far, beside the market's time."""

    def begin(self, injector: Injector) -> None:
        """Forget what went wrong in the run before; let a run's troubles strike here."""

    def broker(self, broker: Broker) -> Broker:
        """Return a broker of the desk with its passage to this venue."""

    def cut(self) -> None:
        """Break every connection."""

    def order_by_hand(self, name: InstrumentId, quantity: Decimal) -> None:
        """Let the owner send an order at market from another screen; `quantity` is signed."""

    def liquidate(self, name: InstrumentId, quantity: Decimal) -> None:
        """Let the venue trade for the account by itself; `quantity` is signed."""

    def transfer(self, currency: str, amount: Decimal) -> None:
        """Let money come (positive) or go."""

    def split(self, name: InstrumentId, ratio: Decimal) -> None:
        """Divide the prices of an instrument, those of the past too."""

    def correct(self, execution_id: str, price: Decimal) -> None:
        """Correct the price of an execution."""


def resident(
    spec: GatewaySpec | BinanceSpec, write: Callable[[str], object] | None = None
) -> Resident:
    """Return a new venue of a spec, its books in memory; `write` gets each line of its wire."""
    if isinstance(spec, GatewaySpec):
        return ResidentGateway(replace(spec, folder=None), write)
    return ResidentServer(replace(spec, folder=None), write)


class ResidentGateway:
    """A gateway of Interactive Brokers that outlives its clients."""

    venue = "ib"

    def __init__(self, spec: GatewaySpec, write: Callable[[str], object] | None = None) -> None:
        self.control = LocalGateway(spec, Files(), write)
        self._gateway = self.control.gateway
        self._gateway.log.keep(0)  # its digest and `write` have all that anybody asks for

    @property
    def exchange(self) -> Exchange:
        """Return the engine behind the protocol."""
        return self._gateway.exchange

    def now(self) -> datetime:
        """Return the market's time."""
        return self._gateway.exchange.now

    def wire_seconds(self) -> float:
        """Return the seconds of the loop; the market stands still meanwhile."""
        loop = self._gateway.loop
        return 0.0 if loop is None else loop.time()

    def begin(self, injector: Injector) -> None:
        """Forget what went wrong in the run before; let a run's troubles strike here."""
        gateway_troubles.begin(self.control, injector)

    def broker(self, broker: Broker) -> Broker:
        """Return a broker of the desk with its passage to this gateway."""
        if not isinstance(broker, IbBroker):
            raise TypeError(f"{type(broker).__name__} does not speak to a gateway")
        settings = replace(broker.settings, **QUICK_IB)

        @contextmanager
        def passage(page: Page) -> Iterator[IbPassage]:
            try:
                self.control.open(page.slot, 1 if page.slot >= self.now() else 2)
                yield IbPassage(self.control)
            finally:
                self.cut()

        return replace(broker, settings=settings, passage=passage)

    def cut(self) -> None:
        """Break every connection."""
        self.control.cut()

    def order_by_hand(self, name: InstrumentId, quantity: Decimal) -> None:
        """Let the owner send an order at market from another screen."""
        orders_by_hand.order_by_hand(self._gateway, name, quantity)

    def liquidate(self, name: InstrumentId, quantity: Decimal) -> None:
        """Let the venue trade for the account by itself."""
        orders_by_hand.liquidate(self._gateway, name, quantity)

    def transfer(self, currency: str, amount: Decimal) -> None:
        """Let money come (positive) or go."""
        self.exchange.book_cash(currency, amount)

    def split(self, name: InstrumentId, ratio: Decimal) -> None:
        """Divide the prices of an instrument, those of the past too."""
        market = self.exchange.market
        if not isinstance(market, MarketWithFutures) or not isinstance(
            market.inside, RecordedMarket
        ):
            raise TypeError(f"{type(market).__name__} splits nothing")
        market.inside.split(self.exchange.instruments[name].symbol, ratio)

    def correct(self, execution_id: str, price: Decimal) -> None:
        """Correct the price of an execution."""
        orders_by_hand.correct(self._gateway, execution_id, price=price)


class ResidentServer:
    """A Binance that outlives its clients."""

    venue = "binance"

    def __init__(self, spec: BinanceSpec, write: Callable[[str], object] | None = None) -> None:
        self.control = LocalServer(spec, Files(), write)
        self._server = self.control.server
        self._server.log.keep(0)

    @property
    def exchange(self) -> Exchange:
        """Return the engine behind the protocol."""
        return self._server.exchange

    def now(self) -> datetime:
        """Return the market's time."""
        return self._server.now

    def wire_seconds(self) -> float:
        """Return zero: the market's time passes with every call."""
        return 0.0

    def begin(self, injector: Injector) -> None:
        """Forget what went wrong in the run before; let a run's troubles strike here."""
        server_troubles.begin(self.control, injector)

    def broker(self, broker: Broker) -> Broker:
        """Return a broker of the desk with its passage to this exchange."""
        if not isinstance(broker, BinanceBroker):
            raise TypeError(f"{type(broker).__name__} does not speak to Binance")
        settings = replace(broker.settings, **QUICK_BINANCE)

        @contextmanager
        def passage(page: Page) -> Iterator[BinancePassage]:
            self.control.open(page.slot, 1 if page.slot >= self.now() else 2)
            yield BinancePassage(self.control)

        return replace(broker, settings=settings, passage=passage)

    def cut(self) -> None:
        """Nothing: every request is a connection of its own."""

    def order_by_hand(self, name: InstrumentId, quantity: Decimal) -> None:
        """Let the owner send an order at market from the exchange's own pages."""
        self._place(f"web_{self._number()}", name, quantity)

    def liquidate(self, name: InstrumentId, quantity: Decimal) -> None:
        """Let the venue trade for the account by itself."""
        self._place(f"{AUTOCLOSE}{self._number()}", name, quantity, forced=True)

    def transfer(self, currency: str, amount: Decimal) -> None:
        """Let money come (positive) or go."""
        exchange = self.exchange
        exchange.book_cash(currency, amount)
        book_income(exchange.account, IncomeRow("TRANSFER", currency, amount, exchange.now))

    def split(self, name: InstrumentId, ratio: Decimal) -> None:
        """Nothing is split at Binance."""
        raise TypeError(f"{name} is not split by {ratio}: nothing is, here")

    def correct(self, execution_id: str, price: Decimal) -> None:
        """Nothing is corrected at Binance."""
        raise TypeError(f"{execution_id} is not corrected to {price}: nothing is, here")

    def _number(self) -> int:
        return self.exchange.account.next_order

    def _place(
        self, reference: str, name: InstrumentId, quantity: Decimal, *, forced: bool = False
    ) -> None:
        wanted = NewOrder(
            reference=reference,
            instrument=name,
            quantity=quantity,
            limit=None,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.GTC,
            forced=forced,
        )
        self.exchange.place([wanted], at_once=True)


def account_of(venue: Resident) -> Account:
    """Return the venue's own books."""
    return venue.exchange.account


def heard(venue: Resident) -> Counter[str]:
    """Return how many messages of each name clients have sent so far."""
    return Counter(venue.control.counts())

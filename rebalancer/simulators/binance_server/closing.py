"""What the exchange closes by itself: accounts without margin, and symbols that end."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.binance_server.symbols import CurrentInstruments
from rebalancer.simulators.books import Holding
from rebalancer.simulators.clock import next_minute
from rebalancer.simulators.kinds import is_margined
from rebalancer.simulators.news import NewOrder

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

AUTOCLOSE = "autoclose-"
SETTLEMENT = "settlement_autoclose-"
_HOUR = timedelta(hours=1)
_ZERO = Decimal(0)


def attach(server: BinanceServer) -> None:
    """Let the instruments follow the exchange's time, and close what it would close."""
    exchange = server.exchange
    if isinstance(exchange.instruments, CurrentInstruments):
        exchange.instruments.clock = lambda: exchange.now
    watch = Watch(server)
    exchange.register("closing: liquidation", watch.next_look, watch.look)
    exchange.register(
        "closing: settlement",
        lambda now: next_settlement(server, now),
        lambda at: settle(server, at),
    )


class Watch:
    """Looks at the margin once a minute while something is held.

    Where even the worst prices of the recorded hour, all of them together, leave enough, the
    next look is in the next hour, unless something is traded or booked before.
    """

    def __init__(self, server: BinanceServer) -> None:
        self._server = server
        self._safe: object = None

    def next_look(self, now: datetime) -> datetime | None:
        """Return when the margin must be looked at, None while nothing is held."""
        server = self._server
        if not _held(server) or server.exchange.market.ended(now):
            return None
        if self._safe == _state(server, now):
            return now.replace(minute=0, second=0, microsecond=0) + _HOUR
        return next_minute(now)

    def look(self, at: datetime) -> None:
        """Liquidate the account if its margin is gone."""
        liquidate(self._server, at)
        safe = worst_excess(self._server, at) >= 0
        self._safe = _state(self._server, at) if safe else None


def _state(server: BinanceServer, now: datetime) -> object:
    """Return something that is the same as long as nothing is traded or booked in an hour."""
    account = server.exchange.account
    hour = now.replace(minute=0, second=0, microsecond=0)
    return hour, account.next_execution, dict(account.carried_cash)


def liquidate(server: BinanceServer, at: datetime) -> None:
    """Close everything at market when the margin balance is below the maintenance margin.

    Open orders are cancelled first. What a minute's depth does not take follows with the
    next minute's order: the exchange looks again.
    """
    exchange = server.exchange
    if exchange.worth().excess >= 0:
        return
    for order in exchange.live:
        if is_margined(exchange.instruments[order.instrument]):
            exchange.expire(order.id, "the account is liquidated")
    number = milliseconds(at)
    for identifier, holding in _held(server).items():
        if exchange.market.touch(exchange.instruments[identifier], at) is not None:
            wanted = _closing(f"{AUTOCLOSE}{number}", identifier, -holding.quantity)
            exchange.place([wanted], at_once=True)
            number += 1


def next_settlement(server: BinanceServer, now: datetime) -> datetime | None:
    """Return when a symbol that is held or ordered ends next, None when none does."""
    account = server.exchange.account
    touched = {name for name, each in account.holdings.items() if each.quantity}
    touched |= {order.instrument for order in server.exchange.live}
    ends = [
        max(symbol.delivery, now)
        for product in ("usdm", "spot")
        for symbol, _ in server.symbols.leaving(product, now)
        if symbol.id in touched
    ]
    times = [*ends, server.symbols.next_change(now)]
    return min((at for at in times if at is not None), default=None)


def settle(server: BinanceServer, at: datetime) -> None:
    """End the orders of symbols that ended, and close their positions at the mark price."""
    exchange = server.exchange
    ended = {
        symbol.id
        for product in ("usdm", "spot")
        for symbol, end in server.symbols.leaving(product, at)
        if end <= at
    }
    for order in exchange.live:
        if order.instrument in ended:
            exchange.expire(order.id, "the symbol is delisted")
    number = milliseconds(at)
    for identifier, holding in _held(server).items():
        price = exchange.market.mark(exchange.instruments[identifier], at)
        if identifier in ended and price is not None:
            wanted = _closing(f"{SETTLEMENT}{number}", identifier, -holding.quantity)
            exchange.settle(wanted, price)
            number += 1


def _held(server: BinanceServer) -> dict[InstrumentId, Holding]:
    """Return the margined positions, in the order of their names."""
    exchange = server.exchange
    return {
        name: holding
        for name, holding in sorted(exchange.account.holdings.items())
        if holding.quantity and is_margined(exchange.instruments[name])
    }


def worst_excess(server: BinanceServer, now: datetime) -> Decimal:
    """Return what would be left above the maintenance margin at the hour's worst prices."""
    exchange = server.exchange
    worth = exchange.worth()
    excess = worth.net_liquidation
    for identifier, holding in _held(server).items():
        instrument = exchange.instruments[identifier]
        mark = worth.marks[identifier]
        low, high = server.market.range(instrument, now) or (mark, mark)
        factor = exchange.valuer.factor(instrument)
        worst = low if holding.quantity > 0 else high
        excess += holding.quantity * (worst - mark) * factor
        highest = abs(holding.quantity) * max(high, mark) * factor
        excess -= exchange.maintenance(identifier, highest)
    return excess


def _closing(reference: str, identifier: InstrumentId, quantity: Decimal) -> NewOrder:
    return NewOrder(
        reference=reference,
        instrument=identifier,
        quantity=quantity,
        limit=None,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
        tags={"type": "MARKET", "tif": "IOC"},
        forced=True,
    )

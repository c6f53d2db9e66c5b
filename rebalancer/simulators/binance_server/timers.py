"""What the exchange does at its own times: funding, scripted transfers, the income of trades."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.binance_server.brackets import maintenance
from rebalancer.simulators.binance_server.income_rows import (
    IncomeRow,
    book_income,
    book_trades,
)
from rebalancer.simulators.binance_server.market_view import (
    funding_rows,
    mark_price,
    perpetual_name,
    symbol_named,
)
from rebalancer.simulators.binance_server.modes import leverage_of
from rebalancer.simulators.binance_server.transfers import book_transfers, next_transfer

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

_SMALLEST = Decimal("0.00000001")
_DAY = timedelta(days=1)


def attach(server: BinanceServer) -> None:
    """Let the engine ask leverage and brackets here, and call here at the exchange's times."""
    exchange = server.exchange

    def leverage(instrument: InstrumentId) -> Decimal:
        return Decimal(leverage_of(exchange.account, perpetual_name(server, instrument)))

    def of_bracket(instrument: InstrumentId, notional: Decimal) -> Decimal:
        return maintenance(perpetual_name(server, instrument), notional)

    exchange.leverage, exchange.maintenance = leverage, of_bracket
    exchange.register(
        "funding",
        lambda after: next_funding(server, after),
        lambda at: pay_funding(server, at),
    )
    exchange.register(
        "transfers",
        lambda after: next_transfer(server, after),
        lambda at: book_transfers(server, at),
    )
    # The engine forgets a trade after some days; the income list does not.
    exchange.register("income", _next_day, lambda _at: book_trades(server))


def _next_day(after: datetime) -> datetime:
    return after.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY


def next_funding(server: BinanceServer, after: datetime) -> datetime | None:
    """Return when funding is paid next on anything held, at its recorded (jittered) time."""
    times = []
    for name in _held(server):
        rows = funding_rows(server, name)
        place = bisect_right(rows, after, key=_time)
        if place < len(rows):
            times.append(_time(rows[place]))
    return min(times, default=None)


def _time(row: tuple[datetime, Decimal]) -> datetime:
    return row[0]


def pay_funding(server: BinanceServer, at: datetime) -> None:
    """Pay the funding of `at`: longs pay quantity * mark * rate, shorts receive it."""
    exchange = server.exchange
    rows = []
    for name, quantity in _held(server).items():
        payments = funding_rows(server, name)
        place = bisect_left(payments, at, key=_time)
        if place == len(payments) or _time(payments[place]) != at:
            continue
        symbol = symbol_named(server, "usdm", name)
        value = quantity * mark_price(server, symbol)
        paid = -(value * payments[place][1]).quantize(_SMALLEST, ROUND_HALF_UP)
        if paid:
            exchange.book_cash(symbol.quote, paid)
            rows.append(IncomeRow("FUNDING_FEE", symbol.quote, paid, at, name))
    if rows:
        book_income(exchange.account, *rows)


def _held(server: BinanceServer) -> dict[str, Decimal]:
    """Return the signed quantities of the perpetuals that are held, by symbol."""
    held = sorted(server.exchange.account.holdings.items())
    return {
        perpetual_name(server, name): holding.quantity
        for name, holding in held
        if holding.quantity and perpetual_name(server, name)
    }

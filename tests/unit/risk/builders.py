"""Values for tests of risk, ledger and execution: defaults for everything but the point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.fees import OrderSoFar
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import MarketSnapshot, Quote
from rebalancer.model.money import FxRate, FxRates, Money
from rebalancer.model.orders import ApprovedOrder, Fill, OrderIntent, OrderType, TimeInForce
from rebalancer.model.sessions import Session
from rebalancer.model.universe import Universe
from rebalancer.risk import GateInput, Limits

NOW = datetime(2026, 1, 5, 15, 5, tzinfo=UTC)
SLOT = NOW
OPEN = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 1, 5, 21, 0, tzinfo=UTC)
SESSION = Session(date(2026, 1, 5), OPEN, CLOSE)


def d(text: str | int) -> Decimal:
    """Return a decimal."""
    return Decimal(text)


def identifier(symbol: str, currency: str = "USD") -> InstrumentId:
    """Return the identifier of a stock."""
    return InstrumentId(f"{symbol}.STK.{currency}@IB")


A, B, C = identifier("A"), identifier("B"), identifier("C")


def a_stock(name: InstrumentId, **changes: Any) -> Instrument:
    """Return a stock with a tick of 0.01 and a lot of 1."""
    symbol, _, currency = name.partition("@")[0].split(".")
    stock = Instrument(name, Kind.STOCK, symbol, currency, "XNYS")
    return replace(stock, **changes)


def a_quote(name: InstrumentId, middle: str = "100", **changes: Any) -> Quote:
    """Return a fresh quote, two cents wide around `middle`, closed there the day before."""
    mid = d(middle)
    cent = d("0.01")
    quote = Quote(
        name, NOW, mid - cent, mid + cent, close=mid, trading=True, average_volume=d(10_000_000)
    )
    return replace(quote, **changes)


def a_position(name: InstrumentId, quantity: str, price: str = "100", **changes: Any) -> Position:
    """Return a holding marked at `price`."""
    currency = name.partition("@")[0].rpartition(".")[2]
    value = d(quantity) * d(price)
    position = Position(name, d(quantity), currency, d(price), value, d(price))
    return replace(position, **changes)


def an_account(
    *positions: Position,
    cash: Mapping[str, str] | None = None,
    rates: Mapping[str, str] | None = None,
    **changes: Any,
) -> AccountSnapshot:
    """Return an account in USD whose net liquidation is the sum of its parts."""
    money = {name: d(amount) for name, amount in (cash or {"USD": "100000"}).items()}
    known = FxRates("USD", {name: FxRate(d(rate), NOW) for name, rate in (rates or {}).items()})
    total = sum((amount * known.rate(c) for c, amount in money.items() if known.knows(c)), d(0))
    for position in positions:
        if position.value is not None and known.knows(position.currency):
            total += position.value * known.rate(position.currency)
    account = AccountSnapshot("U1", NOW, total, money, known, positions)
    return replace(account, **changes)


def an_intent(
    name: InstrumentId, quantity: str, limit: str = "100", *, sequence: int = 0, **changes: Any
) -> OrderIntent:
    """Return a wanted trade; sells go in wave 0 and reduce, buys in wave 1 and do not."""
    size = d(quantity)
    sells = size < 0
    intent = OrderIntent(
        instrument=name,
        quantity=size,
        limit=d(limit),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        currency=name.partition("@")[0].rpartition(".")[2],
        reference_price=d(limit),
        reference_at=NOW,
        current_quantity=d(0),
        target_quantity=size,
        current_weight=0.0,
        target_weight=0.0,
        notional=float(abs(size) * d(limit)),
        fee=0.0,
        reducing=sells,
        wave=0 if sells else 1,
        sequence=sequence,
        reason="test",
    )
    return replace(intent, **changes)


class FlatFee:
    """Charges one amount an order."""

    name = "flat"

    def __init__(self, amount: str = "1", currency: str = "") -> None:
        self.amount = d(amount)
        self.currency = currency

    def order_fee(
        self, instrument: Instrument, quantity: Decimal, price: Decimal, *, maker: bool = False
    ) -> Money:
        return Money(self.amount, self.currency or instrument.currency)

    def fill_fee(
        self,
        instrument: Instrument,
        quantity: Decimal,
        price: Decimal,
        before: OrderSoFar,
        *,
        maker: bool = False,
    ) -> Money:
        return Money(self.amount if not before.size else d(0), instrument.currency)

    def estimate(
        self,
        instruments: tuple[Instrument, ...],
        size: npt.NDArray[np.float64],
        price: npt.NDArray[np.float64],
        *,
        maker: bool = False,
    ) -> npt.NDArray[np.float64]:
        return np.where(size == 0.0, 0.0, float(self.amount))


def some_limits(**changes: Any) -> Limits:
    """Return limits that let ordinary orders of these tests through."""
    values: dict[str, Any] = {
        "max_order_weight": d("0.5"),
        "max_position_weight": d("0.6"),
        "max_gross_leverage": d("1.05"),
        "max_net_leverage": d("1.05"),
        "max_orders_per_run": 100,
        "max_orders_per_session": 300,
        "max_turnover_per_session": d(2),
    }
    return Limits(**{**values, **changes})


def gate_input(
    intents: Sequence[OrderIntent],
    *,
    account: AccountSnapshot | None = None,
    quotes: Sequence[Quote] | None = None,
    stocks: Sequence[Instrument] | None = None,
    **changes: Any,
) -> GateInput:
    """Return what the gates get: three stocks at 100, 100,000 USD, in the session."""
    universe = Universe(stocks if stocks is not None else [a_stock(n) for n in (A, B, C)])
    found = quotes if quotes is not None else [a_quote(i.id) for i in universe]
    values: dict[str, Any] = {
        "portfolio": "demo",
        "slot": SLOT,
        "attempt": 1,
        "intents": tuple(intents),
        "flags": (),
        "account": account if account is not None else an_account(),
        "market": MarketSnapshot(NOW, {quote.instrument: quote for quote in found}),
        "universe": universe,
        "limits": some_limits(),
        "fees": FlatFee(),
        "session": SESSION,
        "venue_now": NOW,
        "approval_seconds": 300.0,
    }
    return GateInput(**{**values, **changes})


def an_approved(
    name: InstrumentId = A, quantity: str = "10", limit: str = "100", **changes: Any
) -> ApprovedOrder:
    """Return an approved order, as only `risk` makes them outside tests."""
    intent = an_intent(name, quantity, limit)
    worst = d(limit) + (1 if intent.quantity > 0 else -1)
    order = ApprovedOrder(
        f"demo.2601051505r1.{'A' * 8}.0",
        intent,
        worst,
        NOW + timedelta(seconds=300),
        intent.reducing,
    )
    return replace(order, **changes)


def a_fill(
    exec_id: str = "e1",
    quantity: str = "10",
    price: str = "100",
    name: InstrumentId = A,
    **changes: Any,
) -> Fill:
    """Return an execution without its commission."""
    reference = f"demo.2601051505r1.{'A' * 8}.0"
    fill = Fill(exec_id, reference, "7", name, d(quantity), d(price), "USD", NOW)
    return replace(fill, **changes)

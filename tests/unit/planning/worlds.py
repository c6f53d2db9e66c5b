"""Small worlds to plan in: instruments, quotes, accounts, and what happens when orders fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.fees import FeeSchedule, fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Freshness, MarketSnapshot, Quote
from rebalancer.model.money import FxRate, FxRates
from rebalancer.model.plan import Plan
from rebalancer.model.rules import TradingRules
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.planning import BandRule, PlanParameters, plan_rebalance

NOW = datetime(2026, 1, 5, 15, 5, tzinfo=UTC)
D = Decimal


def stock(symbol: str, currency: str = "USD", **more: Any) -> Instrument:
    """Return a stock with cents and single shares, unless `rules` says otherwise."""
    name = InstrumentId(f"{symbol}.STK.{currency}@IB")
    return Instrument(name, Kind.STOCK, symbol, currency, "XNYS", **more)


def perpetual(symbol: str, **more: Any) -> Instrument:
    """Return a USDⓈ-M perpetual."""
    name = InstrumentId(f"{symbol}.PERP@BINANCE")
    return Instrument(name, Kind.PERPETUAL, symbol, "USDT", "24/7", **more)


def quote(
    instrument: Instrument, bid: str | Decimal | None, ask: str | Decimal | None = None, **more: Any
) -> Quote:
    """Return a quote; with one price, both sides have it."""
    low = None if bid is None else D(bid)
    high = low if ask is None else D(ask)
    return Quote(
        instrument.id, NOW - timedelta(seconds=2), low, high,
        **({"freshness": Freshness.LIVE} | more),
    )  # fmt: skip


def market(*quotes: Quote) -> MarketSnapshot:
    """Return a snapshot of these quotes."""
    return MarketSnapshot(NOW, {q.instrument: q for q in quotes})


def account(
    net_liquidation: str | Decimal,
    positions: Mapping[Instrument, str | Decimal] | None = None,
    cash: Mapping[str, str | Decimal] | None = None,
    rates: Mapping[str, str] | None = None,
    **more: Any,
) -> AccountSnapshot:
    """Return an account in USD; without `cash` it has its whole net liquidation as cash."""
    money = {"USD": net_liquidation} if cash is None else cash
    fx = {c: FxRate(D(rate), NOW - timedelta(hours=1)) for c, rate in (rates or {}).items()}
    held = tuple(Position(i.id, D(q), i.currency) for i, q in (positions or {}).items())
    return AccountSnapshot(
        account="PAPER-1",
        at=NOW,
        net_liquidation=D(net_liquidation),
        cash={c: D(amount) for c, amount in money.items()},
        rates=FxRates("USD", fx),
        positions=(*held, *more.pop("others", ())),
        **more,
    )


def sleeve(name: str, instruments: Sequence[Instrument], share: str = "1", **more: Any) -> Sleeve:
    """Return a sleeve over these instruments."""
    return Sleeve(name, tuple(i.id for i in instruments), D(share), **more)


def signal(name: str, targets: Mapping[Instrument, str | Decimal], **more: Any) -> Signal:
    """Return a signal in weights, complete, unless said otherwise."""
    plain = Signal(
        sleeve=name,
        targets={i.id: D(value) for i, value in targets.items()},
        unit=Unit.WEIGHT,
        leverage=D(1),
        as_of=NOW - timedelta(minutes=5),
        valid_until=NOW + timedelta(hours=1),
        coverage=Coverage.COMPLETE,
    )
    return replace(plain, **more)


def exactly(**more: Any) -> PlanParameters:
    """Return parameters without bands, reserve or offset: targets as they are."""
    plain: dict[str, Any] = {
        "cash_reserve": D(0), "band_relative": D(0), "band_absolute": D(0),
        "limit_offset_bps": D(0), "band_rule": BandRule.TARGET,
    }  # fmt: skip
    return PlanParameters(**(plain | more))


def plan(
    instruments: Sequence[Instrument],
    targets: Mapping[Instrument, str | Decimal] | None,
    holding: AccountSnapshot,
    prices: MarketSnapshot,
    parameters: PlanParameters | None = None,
    fees: FeeSchedule | None = None,
    **more: Any,
) -> Plan:
    """Return the plan of one sleeve `s` over everything; `targets` None: it has no signal."""
    signals = {} if targets is None else {"s": signal("s", targets, **more.pop("said", {}))}
    return plan_rebalance(
        Universe(instruments),
        more.pop("sleeves", (sleeve("s", instruments),)),
        more.pop("signals", signals),
        more.pop("lots", {}),
        holding,
        prices,
        parameters or exactly(),
        fees or fee_schedule("none"),
        now=NOW,
        **more,
    )


def after(
    holding: AccountSnapshot, made: Plan, universe: Universe, fees: FeeSchedule
) -> AccountSnapshot:
    """Return the account when every order has filled at its limit and paid its fee."""
    cash = dict(holding.cash)
    held = {p.instrument: p for p in holding.positions}
    for order in made.orders:
        instrument = universe[order.instrument]
        fee = fees.order_fee(instrument, order.quantity, order.limit).amount
        paid = D(0)
        if instrument.kind not in (Kind.FUTURE, Kind.PERPETUAL):
            paid = order.quantity * order.limit * instrument.multiplier / instrument.magnifier
        cash[instrument.currency] = cash.get(instrument.currency, D(0)) - paid - fee
        old = held.get(order.instrument) or Position(order.instrument, D(0), instrument.currency)
        held[order.instrument] = replace(old, quantity=old.quantity + order.quantity, value=None)
    return replace(holding, cash=cash, positions=tuple(held.values()))


def why(made: Plan) -> dict[str, str]:
    """Return the code of every skip by symbol."""
    return {skip.instrument.split(".")[0]: skip.code for skip in made.skips()}


def wanted(made: Plan) -> dict[str, Decimal]:
    """Return the whole signed quantity wanted by symbol."""
    quantities: dict[str, Decimal] = {}
    for order in made.orders:
        symbol = order.instrument.split(".")[0]
        quantities[symbol] = quantities.get(symbol, D(0)) + order.quantity
    return quantities


def ruled(tick: str = "0.01", lot: str = "1", **more: Any) -> TradingRules:
    """Return rules with one price level."""
    from rebalancer.model.rules import PriceLevel

    values = {"min_size": D(lot)} | more
    return TradingRules((PriceLevel(D(0), D(tick)),), D(lot), D(lot), **values)

"""What an account is worth in the gateway's words: keys, currencies and exact amounts.

As the real venue describes it, the total cash has the open gains of futures in it, and the gross
position value has no futures. Simplified, and so that cash and market values add up to the net
liquidation: futures never settle (`FuturesPNL` counts from what they cost), there is no interest
and no dividend, and look-ahead values are those of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from rebalancer.errors import StateError
from rebalancer.model.instrument import InstrumentId, Kind
from rebalancer.simulators.books import Account, Holding
from rebalancer.simulators.ib_gateway.orders_state import plain
from rebalancer.simulators.ib_gateway.orders_times import midnight
from rebalancer.simulators.kinds import is_margined
from rebalancer.simulators.worth import Valuer, Worth

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

BASE = "BASE"
_ZERO = Decimal(0)
_RATIO = Decimal("0.000001")
_DECIMALS = 8
_NOT_HELD = (
    "CorporateBondValue", "Cryptocurrency", "FundValue", "FutureOptionValue", "FxCashBalance",
    "IssuerOptionValue", "MoneyMarketFundValue", "MutualFundValue", "NetDividend",
    "OptionMarketValue", "TBillValue", "TBondValue", "WarrantValue",
)  # fmt: skip
"""Kinds of assets of the ledger that an account here never has."""


@dataclass
class Purse:
    """What an account has in one currency (in base currency for `BASE`); a rate into base."""

    rate: Decimal = Decimal(1)
    cash: Decimal = _ZERO
    stocks: Decimal = _ZERO
    futures: Decimal = _ZERO
    unrealised: Decimal = _ZERO
    realised: Decimal = _ZERO
    sweep: Decimal = _ZERO

    def add(self, other: Purse) -> None:
        """Add another currency's, converted."""
        for name in ("cash", "stocks", "futures", "unrealised", "realised", "sweep"):
            setattr(self, name, getattr(self, name) + getattr(other, name) * other.rate)


@dataclass(frozen=True)
class State:
    """One account now. `settled` is base currency; `before` its equity at the last midnight."""

    account: str
    base: str
    worth: Worth
    purses: Mapping[str, Purse]
    settled: Decimal
    buying_power: Decimal
    before: Decimal
    cash_account: bool
    realised: Mapping[InstrumentId, Decimal] = field(default_factory=dict)

    def total(self) -> Purse:
        """Return all currencies together, in base currency."""
        found = Purse()
        for purse in self.purses.values():
            found.add(purse)
        return found


def state_of(gateway: Gateway, account: str) -> State:
    """Return an account as it is now; one that is not traded here is empty."""
    exchange = gateway.exchange
    books, valuer, settings = exchange.account, exchange.valuer, exchange.settings
    if account != books.account:
        nothing = Worth(_ZERO, _ZERO, _ZERO, _ZERO, {})
        purses = {books.base: Purse()}
        return State(account, books.base, nothing, purses, _ZERO, _ZERO, _ZERO, False)
    worth, now = exchange.worth(), exchange.now
    settled = sum((books.cash[cur] * valuer.rates[cur] for cur in books.cash), _ZERO)
    power = (worth.net_liquidation - worth.initial) / settings.initial_margin_long
    if settings.cash_account:
        free = valuer.settled_cash(books, now)
        power = settled = sum((free[cur] * valuer.rates[cur] for cur in free), _ZERO)
    realised = realised_today(gateway)
    return State(
        account=books.account,
        base=books.base,
        worth=worth,
        purses=_purses(gateway, worth, realised),
        settled=settled,
        buying_power=max(power, _ZERO),
        before=_yesterday(gateway, worth.net_liquidation),
        cash_account=settings.cash_account,
        realised=realised,
    )


def rows_of(state: State) -> tuple[tuple[str, str, str], ...]:
    """Return key, currency and value of everything that account updates tell."""
    base, worth = state.base, state.worth
    whole = state.total()
    rows = [
        ("AccountCode", "", state.account),
        ("AccountReady", "", "true"),
        ("AccountType", "", "INDIVIDUAL"),
        ("Cushion", "", _cushion(worth)),
        ("DayTradesRemaining", "", "-1"),
        *((f"DayTradesRemainingT+{n}", "", "-1") for n in (1, 2, 3, 4)),
        ("HighestSeverity", "", "0"),
        ("Leverage-S", "", _leverage(worth)),
        ("LookAheadNextChange", "", "0"),
        ("SegmentTitle-S", "", "Securities"),
        ("TradingType-S", "", "STKCASH" if state.cash_account else "STKMRGN"),
        ("WhatIfPMEnabled", "", "false"),
    ]
    for key, amount in amounts_of(state):
        if key != "AccruedCash":  # the ledger has it, in every currency
            rows.append((key, base, money(amount)))
        if key not in ("AccruedDividend", "BuyingPower", "Guarantee"):
            rows.append((f"{key}-S", base, money(amount)))
    for currency, purse in (*sorted(state.purses.items()), (BASE, whole)):
        rows.extend(ledger_rows(state.account, currency, purse))
    return tuple(rows)


def amounts_of(state: State) -> tuple[tuple[str, Decimal], ...]:
    """Return the account's amounts in base currency, by key."""
    worth, whole = state.worth, state.total()
    net, free = worth.net_liquidation, worth.net_liquidation - worth.initial
    return (
        ("AccruedCash", _ZERO),
        ("AccruedDividend", _ZERO),
        ("AvailableFunds", free),
        ("BuyingPower", state.buying_power),
        ("EquityWithLoanValue", net),
        ("ExcessLiquidity", worth.excess),
        ("FullAvailableFunds", free),
        ("FullExcessLiquidity", worth.excess),
        ("FullInitMarginReq", worth.initial),
        ("FullMaintMarginReq", worth.maintenance),
        ("GrossPositionValue", worth.gross),
        ("Guarantee", _ZERO),
        ("InitMarginReq", worth.initial),
        ("LookAheadAvailableFunds", free),
        ("LookAheadExcessLiquidity", worth.excess),
        ("LookAheadInitMarginReq", worth.initial),
        ("LookAheadMaintMarginReq", worth.maintenance),
        ("MaintMarginReq", worth.maintenance),
        ("NetLiquidation", net),
        ("PreviousDayEquityWithLoanValue", state.before),
        ("RegTEquity", net),
        ("RegTMargin", worth.initial),
        ("SMA", max(free, _ZERO)),
        ("SettledCash", state.settled),
        ("TotalCashValue", whole.cash + whole.futures),
    )


def summary_rows(state: State, tags: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """Return tag, currency and value of those tags that there are, in their order.

    `$LEDGER` is the whole in base currency, `$LEDGER:EUR` one currency, `$LEDGER:ALL` all.
    """
    base, worth = state.base, state.worth
    known = {key: (base, money(amount)) for key, amount in amounts_of(state)}
    known["PreviousEquityWithLoanValue"] = known["PreviousDayEquityWithLoanValue"]
    known["ReqTEquity"], known["ReqTMargin"] = known["RegTEquity"], known["RegTMargin"]
    known |= {
        "AccountType": ("", "INDIVIDUAL"),
        "Cushion": ("", _cushion(worth)),
        "DayTradesRemaining": ("", "-1"),
        **{f"DayTradesRemainingT+{n}": ("", "-1") for n in (1, 2, 3, 4)},
        "HighestSeverity": ("", "0"),
        "Leverage": ("", _leverage(worth)),
        "LookAheadNextChange": ("", "0"),
    }
    rows: list[tuple[str, str, str]] = []
    for tag in tags:
        if tag.startswith("$LEDGER"):
            wanted = tag.partition(":")[2]
            for currency, purse in (*sorted(state.purses.items()), (BASE, state.total())):
                if wanted == "ALL" or currency == (wanted or BASE):
                    told = ledger_rows(state.account, currency, purse)
                    rows.extend((key, shown, value) for key, shown, value in told)
        elif tag in known:
            rows.append((tag, *known[tag]))
    return tuple(rows)


def ledger_rows(account: str, currency: str, purse: Purse) -> tuple[tuple[str, str, str], ...]:
    """Return key, currency and value of one currency's part of the ledger.

    The cash balance has a bank sweep twice, as the real one has; the other values have not.
    """
    value = purse.cash + purse.stocks + purse.futures
    amounts = {
        "AccruedCash": _ZERO,
        "CashBalance": purse.cash + purse.sweep,
        "FuturesPNL": purse.futures,
        "NetLiquidationByCurrency": value,
        "RealizedPnL": purse.realised,
        "StockMarketValue": purse.stocks,
        "TotalCashBalance": purse.cash + purse.futures,
        "UnrealizedPnL": purse.unrealised,
        **dict.fromkeys(_NOT_HELD, _ZERO),
    }
    texts = {key: money(amount) for key, amount in amounts.items()} | {
        "AccountOrGroup": account,
        "Currency": currency,
        "ExchangeRate": "1.00" if purse.rate == 1 else plain(purse.rate),
        "RealCurrency": currency,
    }
    return tuple((key, currency, texts[key]) for key in sorted(texts))


def profit_of(gateway: Gateway, identifier: InstrumentId, mark: Decimal) -> Decimal:
    """Return a holding's unrealised profit in the instrument's currency."""
    holding = gateway.exchange.account.holdings[identifier]
    instrument = gateway.exchange.instruments[identifier]
    unit = instrument.multiplier / instrument.magnifier
    return (mark - holding.average_cost) * holding.quantity * unit


def realised_today(gateway: Gateway) -> dict[InstrumentId, Decimal]:
    """Return the profit realised since midnight, fees deducted, in the instruments' currencies."""
    found: dict[InstrumentId, Decimal] = {}
    exchange = gateway.exchange
    for each in exchange.executions(midnight(exchange.now)):
        if each.realised is not None:
            profit = each.realised - each.commission
            found[each.instrument] = found.get(each.instrument, _ZERO) + profit
    return found


def money(amount: Decimal) -> str:
    """Return an amount with two decimals at least, and eight at most."""
    text = plain(amount if -amount.as_tuple().exponent <= _DECIMALS else _rounded(amount))  # type: ignore[operator]
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-_DECIMALS), ROUND_HALF_EVEN)


def _purses(
    gateway: Gateway, worth: Worth, realised: Mapping[InstrumentId, Decimal]
) -> dict[str, Purse]:
    """Return the parts by currency: of every currency that has cash, a position or a rate."""
    exchange = gateway.exchange
    purses = {
        currency: Purse(rate=rate, cash=exchange.account.cash.get(currency, _ZERO))
        for currency, rate in exchange.valuer.rates.items()
    }
    for identifier, mark in worth.marks.items():
        instrument = exchange.instruments[identifier]
        purse = purses[instrument.currency]
        unit = instrument.multiplier / instrument.magnifier
        profit = profit_of(gateway, identifier, mark)
        if instrument.kind is Kind.FUTURE:
            purse.futures += profit
        else:
            purse.stocks += exchange.account.holdings[identifier].quantity * mark * unit
        purse.unrealised += profit
    for identifier, profit in realised.items():
        purses[exchange.instruments[identifier].currency].realised += profit
    purses[exchange.account.base].sweep = gateway.spec.bank_sweep
    return purses


def _yesterday(gateway: Gateway, now_worth: Decimal) -> Decimal:
    """Return the equity at the last midnight; computed anew only when it could be another."""
    exchange = gateway.exchange
    at = midnight(exchange.now)
    key = (at, exchange.account.next_execution)
    kept = gateway.equity_kept
    if kept is None or kept[0] != key:
        found = _equity_before(exchange.account, exchange.valuer, at, now_worth)
        kept = gateway.equity_kept = (key, found)
    return kept[1]


def _equity_before(books: Account, valuer: Valuer, at: datetime, now_worth: Decimal) -> Decimal:
    """Return what the account was worth at `at`: its later trades undone, at the prices then."""
    cash, holdings = dict(books.cash), {k: replace(h) for k, h in books.holdings.items()}
    try:
        for each in books.executions:
            if each.at < at:
                continue
            instrument = valuer.instrument(each.instrument)
            price = each.price
            if is_margined(instrument):  # its gain since its cost is in what it is worth then
                price -= holdings.get(each.instrument, Holding()).average_cost
            paid = each.quantity * price * instrument.multiplier / instrument.magnifier
            cash[each.currency] = cash.get(each.currency, _ZERO) + paid
            fee = each.commission_currency
            cash[fee] = cash.get(fee, _ZERO) + each.commission
            if instrument.kind is Kind.FOREX:
                bought = instrument.symbol
                cash[bought] = cash.get(bought, _ZERO) - each.quantity
            else:
                held = holdings.setdefault(each.instrument, Holding())
                held.quantity -= each.quantity
        then = replace(books, cash=cash, holdings=holdings)
        return valuer.worth(then, at).net_liquidation
    except StateError:
        return now_worth


def _cushion(worth: Worth) -> str:
    if worth.net_liquidation <= 0:
        return "0"
    return plain((worth.excess / worth.net_liquidation).quantize(_RATIO, ROUND_HALF_EVEN))


def _leverage(worth: Worth) -> str:
    if worth.net_liquidation <= 0:
        return "0.00"
    return f"{(worth.gross / worth.net_liquidation).quantize(Decimal('0.01'), ROUND_HALF_EVEN)}"

"""An owner's portfolio as it is rehearsed: its own limits, a simulated venue, no secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from rebalancer.config import Config
from rebalancer.config.sections import (
    AccountSettings,
    DatabaseSettings,
    FeeSettings,
    Passwords,
    VenueName,
)
from rebalancer.errors import UsageError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.records import Mode
from rebalancer.model.universe import BarSize, Sleeve
from rebalancer.simulators.candle_recording import candle_recording
from rebalancer.simulators.ib_gateway.futures import FUTURES
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.recording import recording
from rebalancer.simulators.walks import daily_walks, hourly_walks

STOCKS, COINS = "us_equities", "binance_perps_2025"
"""The recordings that rehearsals have their days from."""

USUAL_CASH = Decimal(100_000)
HOURS_OF_A_SESSION = 6
"""Hourly bars that every session of stocks has, whole ones."""

MADE_UP_RATE = Decimal("1.1")
"""What a currency is worth in another where the file says nothing: made up, and never one."""


def rehearsed(config: Config, first: datetime) -> tuple[Config, tuple[str, ...]]:
    """Return the configuration to rehearse with, and what was made up or left out.

    No schedule begins before `first`. Universe, sleeves, `[planning]`, `[risk]`, `[execution]`
    and `[protect]` are as configured. The venue is the simulated one of its kind; passwords,
    mail server and database are not used. Raises `UsageError` when nothing is left to trade.
    """
    kept, notes = _simulated(config.instruments, config.portfolio.base_currency)
    if not kept:
        raise UsageError("rehearse: none of the universe's instruments can be simulated")
    paper, more = (_coins if config.at_binance else _stocks)(config, kept)
    ids = {each.id for each in kept}
    sleeves = tuple(
        replace(each, universe=_only(each, ids), generator=each.generator or "rehearsed")
        for each in config.sleeves
        if _only(each, ids)
    )
    sleeves, shorter = _with_less_history(sleeves, config.at_binance, first)
    fees = config.fees
    if not config.at_binance and fees.schedule.startswith("binance"):
        fees = FeeSettings()
    found = replace(
        config,
        portfolio=replace(config.portfolio, mode=Mode.PAPER),
        account=AccountSettings(
            venue=VenueName.SIMULATED, cancel_scope=config.account.cancel_scope
        ),
        instruments=kept,
        sleeves=sleeves,
        fees=fees,
        paper=paper,
        smtp=None,
        database=DatabaseSettings(
            commit_after_close_minutes=config.database.commit_after_close_minutes
        ),
        passwords=Passwords(),
    )
    return found, (*notes, *more, *shorter)


def _only(sleeve: Sleeve, ids: set[InstrumentId]) -> tuple[InstrumentId, ...]:
    return tuple(name for name in sleeve.universe if name in ids)


def _with_less_history(
    sleeves: tuple[Sleeve, ...], at_binance: bool, first: datetime
) -> tuple[tuple[Sleeve, ...], tuple[str, ...]]:
    """Return the sleeves with no longer history than the recording has before `first`."""
    if at_binance:
        days, hours = (first - candle_recording(COINS).start).days - 1, 24
    else:
        recorded = recording(STOCKS).days
        days, hours = int((recorded < first.timestamp() // 86_400).sum()) - 1, HOURS_OF_A_SESSION
    found, notes = [], []
    for each in sleeves:
        most = days if each.bars is BarSize.DAY else days * hours
        if each.history_bars > most:
            notes.append(
                f"sleeve {each.name}: {most} bars of history, not {each.history_bars}; the "
                "recording has no more"
            )
        found.append(replace(each, history_bars=min(each.history_bars, most)))
    return tuple(found), tuple(notes)


def _simulated(
    instruments: tuple[Instrument, ...], base: str
) -> tuple[tuple[Instrument, ...], tuple[str, ...]]:
    """Return the instruments that a simulated venue can have prices of, and what is left out."""
    stocks = Counter(each.currency for each in instruments if each.kind is Kind.STOCK)
    currency = stocks.most_common(1)[0][0] if stocks else base
    kept, left = [], []
    for each in instruments:
        futures = each.kind is Kind.FUTURE and each.symbol in FUTURES and currency == "USD"
        stock = each.kind is Kind.STOCK and each.currency == currency
        coin = each.kind in (Kind.PERPETUAL, Kind.SPOT)
        if stock or coin or futures or each.kind is Kind.FOREX:
            kept.append(each)
        else:
            left.append(each.id)
    words = (f"left out, the simulator has no such prices: {', '.join(left)}",) if left else ()
    return tuple(kept), words


def _stocks(config: Config, kept: tuple[Instrument, ...]) -> tuple[PaperSettings, tuple[str, ...]]:
    notes: list[str] = []
    recorded = recording(STOCKS)
    stocks = [each for each in kept if each.kind is Kind.STOCK]
    currency = stocks[0].currency if stocks else recorded.currency
    known = set(recorded.symbols) if currency == recorded.currency else set()
    new = tuple(sorted({each.symbol for each in stocks} - known))
    name = STOCKS
    if new:
        name = daily_walks(recorded, new, currency=currency, seed=config.paper.seed)
        notes.append(f"made-up prices, a seeded random walk: {', '.join(new)}")
    base = config.portfolio.base_currency
    rates = dict(config.paper.fx)
    for other in sorted(_currencies(kept) - {base, *rates}):
        rates[other] = MADE_UP_RATE
        notes.append(f"made-up rate: one {other} is {MADE_UP_RATE} {base}")
    return _paper(config, name, {base: _worth(config)}, rates), tuple(notes)


def _coins(config: Config, kept: tuple[Instrument, ...]) -> tuple[PaperSettings, tuple[str, ...]]:
    recorded = candle_recording(COINS)
    new = tuple(sorted({each.symbol for each in kept} - set(recorded.hours)))
    if not new:
        return _paper(config, COINS, _coin_cash(config), config.paper.fx), ()
    name = hourly_walks(recorded, new, seed=config.paper.seed)
    made = candle_recording(name).hours
    unknown = [each for each in new if each not in made]
    if unknown:
        raise UsageError(
            f"rehearse: the simulated exchange does not list {', '.join(unknown)}; rehearse a "
            "copy of the file without them"
        )
    words = f"made-up prices, a seeded random walk: {', '.join(new)}"
    return _paper(config, name, _coin_cash(config), config.paper.fx), (words,)


def _paper(
    config: Config, name: str, cash: Mapping[str, Decimal], rates: Mapping[str, Decimal]
) -> PaperSettings:
    return replace(config.paper, recording=name, cash=cash, positions={}, fx=rates)


def _coin_cash(config: Config) -> Mapping[str, Decimal]:
    return {config.portfolio.base_currency: _worth(config)}


def _worth(config: Config) -> Decimal:
    """Return what the account begins with: the middle of the range that the owner expects."""
    base = config.portfolio.base_currency
    expected = config.net_liquidation_range
    if expected is not None:
        return (sum(expected, Decimal(0)) / 2).quantize(Decimal(1))
    return config.paper.cash.get(base, USUAL_CASH)


def _currencies(instruments: tuple[Instrument, ...]) -> set[str]:
    found = {each.currency for each in instruments}
    return found | {each.symbol for each in instruments if each.kind is Kind.FOREX}

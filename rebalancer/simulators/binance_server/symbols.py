"""The simulated exchange's symbols: those that have prices, as they are at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.simulators.binance_server.symbol_changes import (
    SymbolChange,
    changed,
    delisted,
    halted,
)
from rebalancer.simulators.binance_server.symbol_table import (
    BREAK,
    NEVER,
    SETTLING,
    TRADING,
    USDM,
    Symbol,
    instrument_of,
    symbol_table,
)
from rebalancer.simulators.candle_recording import EPOCH, HOUR, CandleRecording, units
from rebalancer.simulators.candles import CandleMarket, candle_recording

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.spec import BinanceSpec

__all__ = [
    "CurrentInstruments",
    "Symbol",
    "SymbolChange",
    "Symbols",
    "delisted",
    "halted",
    "instrument_of",
    "symbol_table",
    "symbols_for",
    "symbols_of",
]

_DEAREST = Decimal(1_000)
"""No made-up perpetual costs more than this, unless its limits want it."""


class Symbols:
    """The symbols that have prices, as they are at any time."""

    def __init__(
        self,
        symbols: Sequence[Symbol],
        recording: CandleRecording,
        changes: Sequence[SymbolChange] = (),
        shift: timedelta = timedelta(0),
    ) -> None:
        self._table = {(each.product, each.symbol): each for each in symbols}
        self._by_id = {each.id: each for each in symbols}
        self._recording = recording
        self._shift = shift
        self._changes: dict[tuple[str, str], list[SymbolChange]] = {}
        for change in sorted(changes, key=lambda each: each.at):
            key = (change.product, change.symbol)
            if key not in self._table:
                raise DataError(f"a change of {change.symbol}: {self._recording.name} has no such")
            self._changes.setdefault(key, []).append(change)
        self._times = sorted(
            {at for change in changes for at in (change.at, change.delivery) if at is not None}
        )
        self._listed: dict[str, tuple[tuple[object, ...], tuple[Symbol, ...]]] = {}

    def listed(self, product: str, at: datetime) -> tuple[Symbol, ...]:
        """Return the symbols of a product as they are at `at`, in the order of their names."""
        key = (at.replace(minute=0, second=0, microsecond=0), sum(t <= at for t in self._times))
        kept = self._listed.get(product)
        if kept is None or kept[0] != key:
            named = (name for which, name in self._table if which == product)
            found = (self.find(product, name, at) for name in named)
            kept = self._listed[product] = (key, tuple(each for each in found if each is not None))
        return kept[1]

    def find(self, product: str, name: str, at: datetime) -> Symbol | None:
        """Return a symbol as it is at `at`, None when the exchange does not list it then."""
        symbol = self._table.get((product, name))
        if symbol is None:
            return None
        changes = self._changes.get((product, name), ())
        there = not any(change.listed for change in changes)
        for change in changes:
            if change.listed and change.at > at:
                symbol = replace(symbol, onboard=change.at)
            if change.at > at:
                continue
            symbol = changed(symbol, change)
            there = there if change.listed is None else change.listed
            if change.listed:
                symbol = replace(symbol, onboard=change.at)
        if symbol.delivery <= at:
            symbol = replace(symbol, status=SETTLING)
        if symbol.status == TRADING and not self._recorded(name, at):
            symbol = replace(symbol, status=BREAK)
        return symbol if there else None

    def leaving(self, product: str, at: datetime) -> list[tuple[Symbol, datetime]]:
        """Return the symbols whose end is announced at `at`, and its time."""
        found = self.listed(product, at)
        return [(each, each.delivery) for each in found if each.delivery != NEVER]

    def status(self, instrument: Instrument, at: datetime) -> str:
        """Return what a symbol does at `at`; PENDING_TRADING when it is not listed."""
        symbol = self._by_id.get(instrument.id)
        if symbol is None:
            return "PENDING_TRADING"
        if not self._changes.get((symbol.product, symbol.symbol)):
            return TRADING if self._recorded(symbol.symbol, at) else BREAK
        found = self.find(symbol.product, symbol.symbol, at)
        return "PENDING_TRADING" if found is None else found.status

    def next_change(self, after: datetime) -> datetime | None:
        """Return when the exchange next changes anything, None when never."""
        return next((at for at in self._times if at > after), None)

    def ids(self) -> tuple[InstrumentId, ...]:
        """Return the identifiers of all symbols, listed or not."""
        return tuple(self._by_id)

    def changes(self, identifier: InstrumentId) -> Sequence[SymbolChange]:
        """Return what ever changes about a symbol, oldest first."""
        symbol = self._by_id[identifier]
        return self._changes.get((symbol.product, symbol.symbol), ())

    def of(self, identifier: InstrumentId, at: datetime) -> Symbol:
        """Return the symbol of an identifier as it is at `at`; before its listing as it will be."""
        symbol = self._by_id[identifier]
        if not self.changes(identifier):
            return symbol
        return self.find(symbol.product, symbol.symbol, at) or symbol

    def _recorded(self, name: str, at: datetime) -> bool:
        hours = self._recording.hours.get(name)
        return hours is not None and hours.row((at - self._shift - EPOCH) // HOUR) is not None


class CurrentInstruments(Mapping[InstrumentId, Instrument]):
    """The symbols as the engine's instruments, with the rules that hold now.

    `clock` tells what now is; whoever makes the engine sets it to the engine's.
    """

    def __init__(self, symbols: Symbols, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._symbols = symbols
        self._ids = dict.fromkeys(symbols.ids())
        self._made: dict[InstrumentId, tuple[Symbol, Instrument]] = {}
        self._fixed: dict[InstrumentId, Instrument] = {}

    def __getitem__(self, identifier: InstrumentId) -> Instrument:
        """Return an instrument with its present rules; raises KeyError when there is none."""
        fixed = self._fixed.get(identifier)
        if fixed is not None:
            return fixed
        if identifier not in self._ids:
            raise KeyError(identifier)
        if not self._symbols.changes(identifier):
            symbol = self._symbols.of(identifier, self.clock())
            self._fixed[identifier] = instrument_of(symbol)
            return self._fixed[identifier]
        symbol = self._symbols.of(identifier, self.clock())
        made = self._made.get(identifier)
        if made is None or (made[0] is not symbol and made[0] != symbol):
            made = self._made[identifier] = (symbol, instrument_of(symbol))
        return made[1]

    def __iter__(self) -> Iterator[InstrumentId]:
        """Return the identifiers, in the order of the table."""
        return iter(self._ids)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ids)


def symbols_for(spec: BinanceSpec) -> tuple[Symbols, CandleMarket, CurrentInstruments]:
    """Return symbols, market and instruments of a spec; `closing.attach` sets their clock.

    Raises `DataError` for a recording that is unknown, or a change of a symbol that is.
    """
    shift = timedelta(hours=spec.shift_hours)
    found, recording = symbols_of(candle_recording(spec.settings.recording), spec.crowd)
    symbols = Symbols(found, recording, spec.changes, shift)
    instruments = CurrentInstruments(symbols, lambda: spec.settings.start)
    market = CandleMarket(
        recording, instruments, spec.settings, spec.base, shift=shift, status=symbols.status
    )
    return symbols, market, instruments


def symbols_of(recording: CandleRecording, crowd: int = 0) -> tuple[list[Symbol], CandleRecording]:
    """Return the symbols that have prices in a recording, and the recording with the crowd's.

    `crowd` real perpetuals more are listed, in the order of their names, with their own ticks
    and lots and made-up prices. Raises `DataError` when there are not so many.
    """
    table = symbol_table()
    real = [table[p, s] for p in recording.products for s in recording.hours if (p, s) in table]
    rest = [
        each
        for (product, name), each in table.items()
        if product == USDM and name not in recording.hours
    ]
    if not 0 <= crowd <= len(rest):
        raise DataError(f"crowd = {crowd}: there are {len(rest)} perpetuals to make up")
    more = {each.symbol: (_level(each), units(str(each.tick))) for each in rest[:crowd]}
    found = sorted([*real, *rest[:crowd]], key=lambda each: (each.product, each.symbol))
    return found, recording.with_more(more)


def _level(symbol: Symbol) -> int:
    """Return the highest price that suits a symbol's grid and limits, in 1E-8.

    A lot costs at most 1, if a price of a hundred ticks allows it; the price is well above the
    lowest that may be asked for, and a market order may be worth 100,000.
    """
    dearest = min(10_000 * symbol.tick, 1 / symbol.step, _DEAREST)
    least = max(100 * symbol.tick, 20 * symbol.min_price, 1_000_000 / symbol.market_max_qty)
    return units(str(max(dearest, least)))

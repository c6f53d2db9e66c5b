"""`[aliases]` and `[[instrument]]`: short names, and the rules a venue has for each thing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from rebalancer.config.values import Problems, nearest, read, unknown_key
from rebalancer.errors import DataError
from rebalancer.model.instrument import (
    Instrument,
    InstrumentId,
    Kind,
    parse_instrument_id,
    split_instrument_id,
)
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.risk.parameters import Override

_Positive = Annotated[Decimal, Gt(0)] | None
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,24}")
_CURRENCY = re.compile(r"[A-Z0-9]{2,8}")
_QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB", "EUR", "TRY")
_TICKS = "ticks"


@dataclass(frozen=True)
class InstrumentSettings:
    """`[[instrument]]`: what differs from the defaults of its kind.

    `tick` is the one price step, `ticks` the steps by level instead; `lot` the size step,
    `min_notional` in the instrument's currency; `multiplier` as the venue states it. `con_id`
    and `exchange` tell apart what several contracts at Interactive Brokers could be. The last
    five are the owner's own word on it, whatever signals say (`risk.Override`).
    """

    id: str
    currency: str = ""
    calendar: str = ""
    tick: _Positive = None
    lot: _Positive = None
    market_lot: _Positive = None
    min_size: Annotated[Decimal, Ge(0)] | None = None
    max_size: _Positive = None
    min_notional: Annotated[Decimal, Ge(0)] | None = None
    multiplier: _Positive = None
    magnifier: _Positive = None
    shortable: bool | None = None
    con_id: Annotated[int, Ge(1)] | None = None
    exchange: str = ""
    no_trading: bool = False
    reduce_only: bool = False
    scale: Annotated[Decimal, Ge(0), Le(10)] = Decimal(1)
    max_weight: Annotated[Decimal, Gt(0), Le(10)] | None = None
    max_notional: _Positive = None


@dataclass(frozen=True)
class TickLevel:
    """One row of `ticks`: from this price upwards, the price moves in these steps."""

    edge: Annotated[Decimal, Ge(0)]
    step: Annotated[Decimal, Gt(0)]


@dataclass(frozen=True)
class _Default:
    """What a kind of instrument has when nothing is said; None must be said."""

    ticks: tuple[tuple[str, str], ...] | None
    lot: str = "1"
    min_notional: str = "0"
    multiplier: str | None = "1"
    calendar: str = ""
    shortable: bool = True


# Rule 612 of Regulation NMS: a cent from one dollar on, a hundredth of one below it.
_US_TICKS = (("0", "0.0001"), ("1", "0.01"))
_DEFAULTS: Mapping[Kind, _Default] = {
    Kind.STOCK: _Default((("0", "0.01"),)),
    Kind.FOREX: _Default((("0", "0.00005"),), calendar="24/5"),
    Kind.FUTURE: _Default(None, multiplier=None),
    Kind.OPTION: _Default((("0", "0.01"),), multiplier="100"),
    Kind.PERPETUAL: _Default((("0", "0.01"),), "0.001", "5", calendar="24/7"),
    Kind.SPOT: _Default((("0", "0.01"),), "0.00001", "5", calendar="24/7", shortable=False),
}


def read_aliases(table: Mapping[str, Any], problems: Problems) -> dict[str, InstrumentId]:
    """Return the short names and what each stands for."""
    aliases = {}
    for name, text in table.items():
        key = f"aliases.{name}"
        if not _ALIAS.fullmatch(name):
            problems.add(key, text, "a short name has letters, digits, _ and - only, at most 24")
        identifier = _identifier(text, key, problems, {})
        if identifier is not None:
            aliases[name] = identifier
    return aliases


def read_universe(
    names: Any, key: str, aliases: Mapping[str, InstrumentId], problems: Problems
) -> tuple[InstrumentId, ...]:
    """Return the instruments that a sleeve's list names, each once."""
    found: dict[InstrumentId, str] = {}
    if not isinstance(names, list):
        problems.add(key, names, 'must be a list, like ["AAPL.STK.USD@IB"]')
        return ()
    if not names:
        problems.add(key, names, "must not be empty", "name at least one instrument")
    for place, text in enumerate(names):
        here = f"{key}[{place}]"
        identifier = _identifier(text, here, problems, aliases)
        if identifier is None:
            continue
        if identifier in found:
            problems.add(here, text, f"is there twice, as {found[identifier]} already")
        found.setdefault(identifier, here)
    return tuple(found)


def read_instruments(
    tables: Iterable[Mapping[str, Any]],
    wanted: Iterable[InstrumentId],
    aliases: Mapping[str, InstrumentId],
    calendar: str,
    problems: Problems,
) -> tuple[Instrument, ...]:
    """Return every wanted instrument with its rules, in id order."""
    universe = sorted(set(wanted))
    said: dict[InstrumentId, tuple[str, dict[str, Any]]] = {}
    for place, table in enumerate(tables):
        where = f"instrument[{place}]"
        values = _settings(table, where, problems)
        if "id" not in values:
            continue
        identifier = _identifier(values["id"], f"{where}.id", problems, aliases)
        if identifier is None:
            continue
        if identifier in said:
            problems.add(
                f"{where}.id", values["id"], f"is there twice, as {said[identifier][0]} already"
            )
        elif identifier not in universe:
            hint = nearest(identifier, universe)
            problems.add(f"{where}.id", values["id"], "is in no sleeve's universe", hint)
        said.setdefault(identifier, (where, values))
    made = (_instrument(name, *said.get(name, ("", {})), calendar, problems) for name in universe)
    return tuple(instrument for instrument in made if instrument is not None)


def read_overrides(
    tables: Iterable[Mapping[str, Any]], aliases: Mapping[str, InstrumentId]
) -> dict[InstrumentId, Override]:
    """Return what the owner wants of single instruments; what is wrong was noted before."""
    found = {}
    quiet = Problems("")
    for table in tables:
        values = _settings(table, "instrument", quiet)
        identifier = _identifier(values.get("id"), "instrument.id", quiet, aliases)
        own = {field.name: values[field.name] for field in fields(Override) if field.name in values}
        if identifier is not None and Override(**own) != Override():
            found[identifier] = Override(**own)
    return {name: found[name] for name in sorted(found)}


def _identifier(
    text: Any, key: str, problems: Problems, aliases: Mapping[str, InstrumentId]
) -> InstrumentId | None:
    if not isinstance(text, str):
        problems.add(key, text, "must be text in quotes, like AAPL.STK.USD@IB")
        return None
    if text in aliases:
        return aliases[text]
    try:
        return parse_instrument_id(text)
    except DataError:
        hint = nearest(text, aliases) or "for example AAPL.STK.USD@IB or BTCUSDT.PERP@BINANCE"
        kinds = "SYMBOL.KIND[.MORE]@VENUE" + (" or a short name of [aliases]" if aliases else "")
        problems.add(key, text, f"is not an instrument: expected {kinds}", hint)
        return None


def _settings(table: Mapping[str, Any], where: str, problems: Problems) -> dict[str, Any]:
    known = (*(field.name for field in fields(InstrumentSettings)), _TICKS)
    for name, value in table.items():
        if name not in known:
            unknown_key(problems, f"{where}.{name}", value, known)
    values = read(InstrumentSettings, table, where, problems)
    if _TICKS in table:
        values[_TICKS] = _levels(table[_TICKS], f"{where}.{_TICKS}", problems)
        if "tick" in table:
            problems.add(f"{where}.tick", table["tick"], "says the same as ticks", "keep one")
    return values


def _levels(rows: Any, key: str, problems: Problems) -> tuple[PriceLevel, ...] | None:
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        problems.add(key, rows, "must be a list of levels", "like [{ edge = 0, step = 0.01 }]")
        return None
    levels = []
    for place, row in enumerate(rows):
        here = f"{key}[{place}]"
        for name in row:
            if name not in ("edge", "step"):
                unknown_key(problems, f"{here}.{name}", row[name], ("edge", "step"))
        values = read(TickLevel, row, here, problems)
        if len(values) == 2:
            levels.append(PriceLevel(values["edge"], values["step"]))
    return tuple(levels) if len(levels) == len(rows) else None


def _instrument(
    identifier: InstrumentId, where: str, said: dict[str, Any], calendar: str, problems: Problems
) -> Instrument | None:
    """Return one instrument: what the file says of it, else the defaults of its kind."""
    symbol, kind, rest, _venue = split_instrument_id(identifier)
    default = _DEFAULTS[kind]
    currency = said.get("currency") or _currency(symbol, kind, rest)
    levels = said.get(_TICKS) or _ticks(said.get("tick"), default, currency)
    multiplier = said.get("multiplier") or default.multiplier
    needed = (("currency", currency), ("tick", levels), ("multiplier", multiplier))
    for name, value in needed:
        if not value:
            problems.add(
                f"{where or 'instrument'}.{name}",
                None,
                f"missing for {identifier}",
                f"a {kind.name.lower()} has no default; add it to an [[instrument]] with that id",
            )
    if currency and not _CURRENCY.fullmatch(currency):
        problems.add(f"{where}.currency", currency, "is not a currency, like USD")
    if not (currency and levels and multiplier):
        return None
    lot = said.get("lot") or Decimal(default.lot)
    smallest, least = said.get("min_size"), said.get("min_notional")
    shortable = said.get("shortable")
    try:
        rules = TradingRules(
            price_levels=levels,
            limit_step=lot,
            market_step=said.get("market_lot") or lot,
            min_size=lot if smallest is None else smallest,
            max_size=said.get("max_size"),
            min_notional=Decimal(default.min_notional) if least is None else least,
        )
    except DataError as error:
        problems.add(where, None, f"the rules of {identifier} cannot be kept: {error}")
        return None
    return Instrument(
        id=identifier,
        kind=kind,
        symbol=symbol,
        currency=currency,
        calendar=said.get("calendar") or default.calendar or calendar,
        rules=rules,
        multiplier=Decimal(multiplier),
        magnifier=said.get("magnifier") or Decimal(1),
        shortable=default.shortable if shortable is None else shortable,
        con_id=said.get("con_id") or 0,
        exchange=said.get("exchange") or "",
    )


def _ticks(tick: Decimal | None, default: _Default, currency: str) -> tuple[PriceLevel, ...] | None:
    if tick is not None:
        return (PriceLevel(Decimal(0), tick),)
    if default is _DEFAULTS[Kind.STOCK] and currency == "USD":
        return tuple(PriceLevel(Decimal(edge), Decimal(step)) for edge, step in _US_TICKS)
    if default.ticks is None:
        return None
    return tuple(PriceLevel(Decimal(edge), Decimal(step)) for edge, step in default.ticks)


def _currency(symbol: str, kind: Kind, rest: str) -> str:
    """Return the currency that an identifier tells, '' when it does not."""
    if kind in (Kind.STOCK, Kind.FOREX):
        return rest if _CURRENCY.fullmatch(rest) else ""
    if kind in (Kind.PERPETUAL, Kind.SPOT):
        return next((quote for quote in _QUOTES if symbol.endswith(quote) and symbol != quote), "")
    return ""

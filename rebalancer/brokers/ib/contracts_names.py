"""Between our names and the venue's: `AAPL.STK.USD@IB` and symbol, type, currency, expiry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from rebalancer.errors import DataError
from rebalancer.model.instrument import (
    Instrument,
    InstrumentId,
    Kind,
    parse_instrument_id,
    split_instrument_id,
)

SMART, IDEALPRO = "SMART", "IDEALPRO"

_TYPES = {Kind.STOCK: "STK", Kind.FOREX: "CASH", Kind.FUTURE: "FUT", Kind.OPTION: "OPT"}
_KINDS = {"STK": Kind.STOCK, "CASH": Kind.FOREX, "FUT": Kind.FUTURE, "OPT": Kind.OPTION}
_EXPIRY = re.compile(r"(\d{6}|\d{8})(?:\.([A-Z0-9]{1,15}))?")
_CURRENCY = re.compile(r"[A-Z]{3}")


def question(instrument: Instrument, con_id: int = 0, exchange: str = "") -> dict[str, Any]:
    """Return the fields of a contract that asks the venue for one instrument.

    A `con_id` says it all. `exchange` is a stock's primary exchange or a future's exchange,
    '' when it is not known. Raises `DataError` for what cannot be traded through this adapter.
    """
    symbol, kind, rest, venue = split_instrument_id(instrument.id)
    if venue != "IB":
        raise DataError(f"{instrument.id} is not of Interactive Brokers")
    if kind not in (Kind.STOCK, Kind.FOREX, Kind.FUTURE):
        raise DataError(
            f"{instrument.id}: {kind.name.lower()} contracts are not supported at Interactive "
            "Brokers yet; stocks, ETFs, currency pairs and futures are"
        )
    if con_id:
        return {"conId": con_id, "exchange": _route(kind, exchange)}
    asked = {
        "symbol": symbol,
        "secType": _TYPES[kind],
        "currency": rest if kind is Kind.FOREX else instrument.currency,
        "exchange": _route(kind, exchange),
    }
    if kind is Kind.STOCK and exchange:
        asked["primaryExchange"] = exchange
    if kind is Kind.FUTURE:
        expiry, trading_class = split_expiry(instrument.id, rest)
        asked["lastTradeDateOrContractMonth"] = expiry
        if trading_class:
            asked["tradingClass"] = trading_class
    return asked


def _route(kind: Kind, exchange: str) -> str:
    return {Kind.STOCK: SMART, Kind.FOREX: IDEALPRO}.get(kind, exchange)


def split_expiry(identifier: InstrumentId, rest: str) -> tuple[str, str]:
    """Return month (or day) and trading class ('' if none) of a future's name."""
    match = _EXPIRY.fullmatch(rest)
    if match is None:
        raise DataError(f"{identifier}: expected a month like 202612 after FUT, not {rest!r}")
    return match[1], match[2] or ""


def differs(instrument: Instrument, con_id: int, found: Mapping[str, str]) -> str:
    """Return in what a contract found is another than the instrument asked for, '' in nothing.

    `found` has the contract's fields as text, `contractMonth` beside them.
    """
    symbol, kind, rest, _venue = split_instrument_id(instrument.id)
    currency = rest if kind is Kind.FOREX else instrument.currency
    wanted = [("symbol", symbol), ("secType", _TYPES.get(kind, kind.value)), ("currency", currency)]
    if con_id:
        wanted.append(("conId", str(con_id)))
    if kind is Kind.FUTURE:
        expiry, trading_class = split_expiry(instrument.id, rest)
        day = found.get("lastTradeDateOrContractMonth", "")
        month = found.get("contractMonth", "") or day[:6]
        shown = day if len(expiry) == 8 else month
        if shown != expiry:
            return f"expiry {shown or 'unknown'} instead of {expiry}"
        if trading_class:
            wanted.append(("tradingClass", trading_class))
    for field, value in wanted:
        if found.get(field, "") != value:
            return f"{field} {found.get(field, '') or 'unknown'} instead of {value}"
    return ""


def name_of(contract: Mapping[str, Any], *, apart: bool = False) -> InstrumentId:
    """Return our name for any contract of the venue, from its fields.

    `apart` tells it from another contract of the same name by its number. What has no kind of
    its own here (bonds, indices, combos ...) is named so that it can be listed, never traded.
    """
    kind = str(contract.get("secType", ""))
    symbol, currency = str(contract.get("symbol", "")), str(contract.get("currency", ""))
    number = f"C{int(contract.get('conId') or 0)}"
    if kind == "CASH" and not apart and _CURRENCY.fullmatch(symbol) is not None:
        return parse_instrument_id(f"{symbol}.{currency}.FX@IB")
    if kind in ("OPT", "FUT"):
        parts = [str(contract.get("lastTradeDateOrContractMonth", ""))[:8].strip()]
        if kind == "OPT":
            parts.append(_strike(contract))
        trading_class = str(contract.get("tradingClass", ""))
        if trading_class and trading_class != symbol:
            parts.append(trading_class)
    else:
        parts = [currency] if kind == "STK" else [currency, kind or "UNKNOWN"]
    known = kind in ("STK", "OPT", "FUT")
    if apart or not known:
        parts.append(number)
    return _shaped(symbol, _KINDS[kind] if known else Kind.STOCK, parts, currency, number)


def _strike(contract: Mapping[str, Any]) -> str:
    try:
        strike = Decimal(str(contract.get("strike") or 0)).normalize()
    except InvalidOperation:
        strike = Decimal(0)
    return f"{strike:f}{str(contract.get('right', ''))[:1]}"


def _shaped(symbol: str, kind: Kind, parts: list[str], currency: str, number: str) -> InstrumentId:
    """Return a name of the right shape; where the words do not fit, the number must do."""
    plain = re.sub(r"[^A-Z0-9 _-]", "-", symbol.upper()).strip("- _")[:24]
    rest = ".".join(re.sub(r"[^A-Z0-9.]", "", part.upper()) for part in parts if part)
    try:
        return parse_instrument_id(f"{plain}.{kind}.{rest}@IB")
    except DataError:
        money = currency if re.fullmatch(r"[A-Z0-9]{2,8}", currency) else "XXX"
        return parse_instrument_id(f"{number}.{kind}.{money}.{number}@IB")


def kind_of(contract: Mapping[str, Any]) -> Kind | None:
    """Return the kind of a contract, None when it has none here."""
    return _KINDS.get(str(contract.get("secType", "")))

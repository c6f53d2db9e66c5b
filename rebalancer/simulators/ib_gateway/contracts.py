"""Which contracts there are: numbers, names and exchanges of the engine's instruments.

Real numbers where they are known, else made from the instrument's id: the same in every
process and whatever else there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.errors import StateError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind, split_instrument_id
from rebalancer.simulators.ib_gateway.contracts_known import (
    CON_IDS,
    FUTURES,
    MONTH_LETTERS,
    PRIMARY_BY_CURRENCY,
    STOCKS,
    US_EXCHANGES,
)
from rebalancer.simulators.ib_gateway.contracts_rules import Levels, rule_number, rules_by_number

SMART, IDEALPRO = "SMART", "IDEALPRO"
_SEC_TYPES = {Kind.STOCK: "STK", Kind.FOREX: "CASH", Kind.FUTURE: "FUT"}
_FIRST_NUMBER, _NUMBERS = 100_000_000, 800_000_000
_ALIASES = {"ISLAND": "NASDAQ"}
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Listed:
    """An instrument as the venue lists it, at one exchange (`exchange`; SMART for stocks).

    `primary` is '' for currencies and futures. `expiry` is the last trading day
    (`20261218`), `month` the contract's (`202612`); both '' where nothing ends. `exchanges`
    are all at which it can be ordered.
    """

    instrument: Instrument
    con_id: int
    sec_type: str
    exchange: str
    primary: str
    local_symbol: str
    trading_class: str
    exchanges: tuple[str, ...]
    long_name: str
    expiry: str = ""
    month: str = ""

    @property
    def market_rule(self) -> int:
        """Return the number of its market rule, which is the same at all its exchanges."""
        return rule_number(self.instrument.rules.price_levels)

    @property
    def market_rule_ids(self) -> str:
        """Return the rule at each of `exchanges`, as the wire lists them."""
        return ",".join(str(self.market_rule) for _ in self.exchanges)

    @property
    def multiplier(self) -> str:
        """Return the multiplier as the wire has it: '' for what has none."""
        if self.sec_type in ("STK", "CASH"):
            return ""
        return f"{self.instrument.multiplier.normalize():f}"

    def values(self) -> dict[str, Any]:
        """Return the fields by which positions, orders and executions tell a contract.

        The exchange is not among them: each kind of message has its own.
        """
        return {
            "conId": self.con_id,
            "symbol": self.instrument.symbol,
            "secType": self.sec_type,
            "expiry": self.expiry,
            "multiplier": self.multiplier,
            "currency": self.instrument.currency,
            "localSymbol": self.local_symbol,
            "tradingClass": self.trading_class,
        }


class Directory:
    """Every contract of one simulated venue."""

    def __init__(self, instruments: Mapping[InstrumentId, Instrument]) -> None:
        self._by_name: dict[InstrumentId, Listed] = {}
        self._by_number: dict[int, Listed] = {}
        for name in sorted(instruments):
            instrument = instruments[name]
            if instrument.kind in _SEC_TYPES:
                listed = _listed(instrument, self._number(instrument))
                self._by_name[name] = self._by_number[listed.con_id] = listed
        self._rules = rules_by_number(each.rules.price_levels for each in instruments.values())

    def listed(self, identifier: InstrumentId) -> Listed:
        """Return how an instrument is listed where orders are sent; raises `StateError`."""
        found = self._by_name.get(identifier)
        if found is None:
            raise StateError(f"{identifier} is not listed at the simulated venue")
        return found

    def instrument(self, con_id: int) -> Instrument | None:
        """Return the instrument of a number, None when no contract has it."""
        found = self._by_number.get(con_id)
        return None if found is None else found.instrument

    def number(self, con_id: int) -> Listed | None:
        """Return the contract of a number, None when there is none."""
        return self._by_number.get(con_id)

    def all(self) -> tuple[Listed, ...]:
        """Return every contract, by instrument id."""
        return tuple(self._by_name.values())

    def rule(self, number: int) -> Levels | None:
        """Return the price levels of a market rule, None when there is none of this number."""
        return self._rules.get(number)

    def lookup(self, values: Mapping[str, Any]) -> tuple[Listed, ...]:
        """Return the contracts that fit the contract fields of a message.

        None: there is none. Several: they do not say which. A stock without an exchange is
        one contract at each of its exchanges, as at the venue; one by number alone is at the
        exchange where its orders go.
        """
        number = int(values.get("conId") or 0)
        if number:
            known = self._by_number.get(number)
            return () if known is None else _at_exchange(known, _text(values, "exchange"), one=True)
        if not (_text(values, "symbol") or _text(values, "localSymbol")):
            return ()
        fitting = [each for each in self._by_name.values() if _fits(each, values)]
        return tuple(
            placed
            for each in fitting
            for placed in _at_exchange(each, _text(values, "exchange"), one=False)
        )

    def _number(self, instrument: Instrument) -> int:
        """Return a number that no other contract has."""
        wanted = instrument.con_id or CON_IDS.get(instrument.id, 0)
        if wanted and wanted not in self._by_number:
            return wanted
        digest = hashlib.sha256(instrument.id.encode("ascii")).digest()
        number = _FIRST_NUMBER + int.from_bytes(digest[:8], "big") % _NUMBERS
        taken = {*self._by_number, *CON_IDS.values()}
        while number in taken:
            number += 1
        return number


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name) or "").strip()


def _fits(listed: Listed, values: Mapping[str, Any]) -> bool:
    """Return whether a contract is one that the fields describe; empty fields fit all."""
    instrument = listed.instrument
    primary = _text(values, "primaryExchange")
    multiplier = _text(values, "multiplier")
    expiry = _text(values, "lastTradeDateOrContractMonth").partition(" ")[0]
    wanted = (
        (_text(values, "symbol").upper(), instrument.symbol),
        (_text(values, "secType").upper(), listed.sec_type),
        (_text(values, "currency").upper(), instrument.currency),
        (_text(values, "localSymbol"), listed.local_symbol),
        (_text(values, "tradingClass"), listed.trading_class),
        (_ALIASES.get(primary, primary), listed.primary or primary),
    )
    return (
        all(asked in ("", there) for asked, there in wanted)
        and expiry in ("", listed.month, listed.expiry)
        and (not multiplier or _same_number(multiplier, listed.instrument.multiplier))
    )


def _same_number(text: str, number: Decimal) -> bool:
    try:
        return Decimal(text) == number
    except ArithmeticError:
        return False


def _at_exchange(listed: Listed, exchange: str, *, one: bool) -> tuple[Listed, ...]:
    exchange = _ALIASES.get(exchange, exchange)
    if exchange:
        return (replace(listed, exchange=exchange),) if exchange in listed.exchanges else ()
    if one or listed.sec_type != "STK":
        return (listed,)
    return tuple(replace(listed, exchange=each) for each in listed.exchanges)


def _listed(instrument: Instrument, number: int) -> Listed:
    if instrument.kind is Kind.FOREX:
        pair = f"{instrument.symbol}.{instrument.currency}"
        return Listed(instrument, number, "CASH", IDEALPRO, "", pair, pair, (IDEALPRO,), pair)
    if instrument.kind is Kind.STOCK:
        return _stock(instrument, number)
    return _dated(instrument, number)


def _stock(instrument: Instrument, number: int) -> Listed:
    symbol, home = instrument.symbol, instrument.currency == "USD"
    known = STOCKS.get(symbol) if home else None
    primary = instrument.exchange or (
        known.primary if known else PRIMARY_BY_CURRENCY.get(instrument.currency, "NYSE")
    )
    exchanges = tuple(US_EXCHANGES) if home else (SMART, primary)
    if primary not in exchanges:
        exchanges = (*exchanges, primary)
    trading_class = "NMS" if primary == "NASDAQ" else symbol
    name = known.name if known else symbol
    return Listed(instrument, number, "STK", SMART, primary, symbol, trading_class, exchanges, name)


def _dated(instrument: Instrument, number: int) -> Listed:
    """Return how a future is listed."""
    symbol, _kind, rest, _venue = split_instrument_id(instrument.id)
    month_or_day, _, trading_class = rest.partition(".")
    month = month_or_day[:6]
    expiry = month_or_day if len(month_or_day) == 8 else third_friday(month).strftime("%Y%m%d")
    place, name = FUTURES.get(symbol, ("", symbol))
    place = instrument.exchange or place or "CME"
    letter = MONTH_LETTERS[int(month[4:]) - 1]
    return Listed(
        instrument,
        number,
        _SEC_TYPES[instrument.kind],
        place,
        "",
        f"{symbol}{letter}{month[3]}",
        trading_class or symbol,
        (place, "QBALGO"),
        name,
        expiry,
        month,
    )


def third_friday(month: str) -> date:
    """Return the third Friday of a month like `202612`: when most index futures end."""
    first = date(int(month[:4]), int(month[4:6]), 1)
    return first + timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14)

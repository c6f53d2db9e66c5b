"""The ticks of a quote: which number each has, live and delayed, and its text.

Bid, ask and the close before are the engine's. The last price is the middle, as nothing else
trades here. Volumes are not recorded: the average volume is told as -1, the others not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.market import Quote
from rebalancer.simulators.ib_gateway.orders_state import plain

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4
DELAY = timedelta(minutes=15)
AVERAGE_VOLUME, SHORTABLE = 165, 236

_PRICE, _SIZE, _GENERIC, _STRING = "tickPrice", "tickSize", "tickGeneric", "tickString"
_DELAYED = {1: 66, 2: 67, 4: 68, 9: 75, 0: 69, 3: 70, 5: 71, 45: 88, 49: 90}
_MANY, _LOT = "1000000", "100"
_NONE = "-1"


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick: its message, number and text; `size` goes with prices."""

    message: str
    number: int
    value: str
    size: str = ""
    tradable: bool = False


def ticks_of(
    gateway: Gateway, instrument: Instrument, kind: int, generic: frozenset[int]
) -> tuple[Tick, ...]:
    """Return everything that is told of an instrument now, for this kind of data."""
    exchange = gateway.exchange
    delayed = kind in (DELAYED, DELAYED_FROZEN)
    at = exchange.now - DELAY if delayed else exchange.now
    quote = exchange.market.quote(instrument, at)
    if quote is None:
        found = [Tick(_PRICE, 1, _NONE, "0"), Tick(_PRICE, 2, _NONE, "0")]
    else:
        found = [*_prices(gateway, instrument, quote), *_others(gateway, instrument, at)]
        found.extend(_generic(instrument, generic))
    if not delayed:
        return tuple(found)
    return tuple(
        Tick(each.message, _DELAYED.get(each.number, each.number), each.value, each.size)
        for each in found
    )


def _prices(gateway: Gateway, instrument: Instrument, quote: Quote) -> list[Tick]:
    bid_size, ask_size = _size(quote.bid_size), _size(quote.ask_size)
    last = gateway.exchange.market.mark(instrument, quote.at)
    close = last if instrument.kind is Kind.FOREX else quote.close
    ticks = [
        Tick(_PRICE, 1, _price(quote.bid), bid_size, tradable=True),
        Tick(_SIZE, 0, bid_size),
        Tick(_PRICE, 2, _price(quote.ask), ask_size, tradable=True),
        Tick(_SIZE, 3, ask_size),
    ]
    if last is not None and instrument.kind is not Kind.FOREX:
        ticks += [Tick(_PRICE, 4, plain(last), _LOT), Tick(_SIZE, 5, _LOT)]
    if close is not None:
        ticks.append(Tick(_PRICE, 9, plain(close), "0"))
    return ticks


def _others(gateway: Gateway, instrument: Instrument, at: datetime) -> list[Tick]:
    ticks = [Tick(_GENERIC, 49, "0")]
    last = _last_trade(gateway, instrument, at)
    if last is not None and instrument.kind is not Kind.FOREX:
        ticks.append(Tick(_STRING, 45, str(int(last.timestamp()))))
    return ticks


def _generic(instrument: Instrument, asked: frozenset[int]) -> list[Tick]:
    ticks = []
    if AVERAGE_VOLUME in asked:
        ticks.append(Tick(_SIZE, 21, _NONE))
    if SHORTABLE in asked and instrument.kind is Kind.STOCK:
        ticks.append(Tick(_GENERIC, 46, "3.0" if instrument.shortable else "0.5"))
    return ticks


def _last_trade(gateway: Gateway, instrument: Instrument, at: datetime) -> datetime | None:
    """Return the minute of the last price: this one, or the end of the last session."""
    if gateway.exchange.market.session(instrument, at) is not None:
        return at.replace(second=0, microsecond=0)
    closed = gateway.calendar.last_closed(at)
    return None if closed is None else closed.close


def _price(price: Decimal | None) -> str:
    return _NONE if price is None else plain(price)


def _size(size: Decimal | None) -> str:
    return _MANY if size is None else plain(size)

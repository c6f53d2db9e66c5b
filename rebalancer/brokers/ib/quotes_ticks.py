"""What the venue says about one request for market data, tick by tick, exactly as it says it.

The library keeps one ticker for each contract, with whatever an earlier request left in it, and
turns prices into floats. Here each request hears its own ticks only, as text, off the wire.
Numbers of ticks: TWS API, "Available Tick Types".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rebalancer.brokers.ib.unset import UNSET

TICK_PRICE, TICK_SIZE, TICK_GENERIC, TICK_STRING, DATA_TYPE, TICK_PARAMETERS = 1, 2, 45, 46, 58, 81

LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4

_PRICES = {1: "bid", 2: "ask", 4: "last", 9: "close", 66: "bid", 67: "ask", 68: "last", 75: "close"}
_SIZES = {0: "bid_size", 3: "ask_size", 8: "volume", 21: "average_volume"} | {
    69: "bid_size",
    70: "ask_size",
    74: "volume",
}
_WITH_SIZE = {1: "bid_size", 2: "ask_size", 66: "bid_size", 67: "ask_size"}
_LAST_TIME = frozenset({45, 88})
_HALTED = frozenset({49, 90})
_DELAYED_TICKS = frozenset({*range(66, 77), 88, 90})

NOTICES = frozenset({10089, 10090, 10167})
"""Part of the data is not subscribed or delayed; ticks may follow all the same.

Any other error (354, 10168: not subscribed; 10197: another login gets the data; 200) ends it.
"""


@dataclass
class Heard:
    """What one request heard so far: the newest value of each field, and when it came.

    A field that is None after its tick came (`seen` has its name) is "none there" in the
    venue's words: -1, 0 or no number.
    """

    seen: set[str]
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    close: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    volume: Decimal | None = None
    average_volume: Decimal | None = None
    halted: bool | None = None
    last_trade: datetime | None = None
    data_type: int | None = None
    delayed_ticks: bool = False
    price_at: datetime | None = None
    """When the last bid or ask came, in venue time."""
    error: tuple[int, str] | None = None
    dead: bool = False

    @property
    def priced(self) -> bool:
        """Return whether bid and ask were both told, be it that there is none."""
        return {"bid", "ask"} <= self.seen and self.data_type is not None

    @property
    def complete(self) -> bool:
        """Return whether nothing that is of use is still to come."""
        return self.dead or (self.priced and {"close", "average_volume"} <= self.seen)

    def price(self, number: int, text: str, size: str, now: datetime) -> None:
        """Take a price; -1, 0 and what is no number mean that there is none."""
        name = _PRICES.get(number)
        if name is None:
            return
        setattr(self, name, _positive(text))
        self._note(name, number)
        if number in _WITH_SIZE:
            self.price_at = now
            self.size_of(_WITH_SIZE[number], size)

    def size(self, number: int, text: str) -> None:
        """Take a size."""
        if number in _SIZES:
            self.size_of(_SIZES[number], text)
            self._note(_SIZES[number], number)

    def size_of(self, name: str, text: str) -> None:
        """Take a size by its field's name; a volume may be zero."""
        found = _number(text)
        setattr(self, name, found if found is not None and found >= 0 else None)

    def generic(self, number: int, text: str) -> None:
        """Take whether trading is halted (-1: not said, 0: no, 1 and 2: yes)."""
        value = _number(text)
        if number in _HALTED and value is not None and value >= 0:
            self.halted = value > 0
            self._note("halted", number)

    def string(self, number: int, text: str) -> None:
        """Take the time of the last trade, in seconds since 1970."""
        if number in _LAST_TIME and text.strip().isdigit() and int(text) > 0:
            self.last_trade = datetime.fromtimestamp(int(text), UTC)
            self._note("last_trade", number)

    def type_of_data(self, number: int) -> None:
        """Take the kind of data that follows: 1 live, 2 frozen, 3 delayed, 4 both."""
        self.data_type = number
        self.seen.add("data_type")

    def refuse(self, code: int, words: str, *, dead: bool) -> None:
        """Take an error; `dead`: nothing more will come."""
        self.error = (code, words)
        self.dead = self.dead or dead

    def _note(self, name: str, number: int) -> None:
        self.seen.add(name)
        self.delayed_ticks = self.delayed_ticks or number in _DELAYED_TICKS


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and -UNSET < number < UNSET else None


def _positive(text: str) -> Decimal | None:
    number = _number(text)
    return number if number is not None and number > 0 else None


@contextmanager
def hearing(
    ib: Any,
    requests: Mapping[int, Heard],
    now: Callable[[], datetime],
    told: Callable[[], None],
) -> Iterator[None]:
    """Hear the ticks of our own requests as long as this is open; the library hears the others.

    `told` is called after each tick or error of ours. A tick that cannot be read is taken for
    none: what it would have told stays unknown.
    """
    handlers = ib.client.decoder.handlers
    readers: dict[int, Callable[[Heard, Sequence[str]], None]] = {
        TICK_PRICE: lambda heard, f: heard.price(int(f[3]), f[4], f[5], now()),
        TICK_SIZE: lambda heard, f: heard.size(int(f[3]), f[4]),
        TICK_GENERIC: lambda heard, f: heard.generic(int(f[3]), f[4]),
        TICK_STRING: lambda heard, f: heard.string(int(f[3]), f[4]),
        DATA_TYPE: lambda heard, f: heard.type_of_data(int(f[3])),
        TICK_PARAMETERS: lambda heard, f: None,
    }
    before = {number: handlers[number] for number in readers}

    def listener(number: int) -> Callable[[Sequence[str]], None]:
        place = 1 if number == TICK_PARAMETERS else 2

        def hear(fields: Sequence[str]) -> None:
            heard = requests.get(int(fields[place]))
            if heard is None:
                before[number](fields)
                return
            readers[number](heard, fields)
            told()

        return hear

    def hear_error(request: int, code: int, words: str, *_: object) -> None:
        heard = requests.get(request)
        if heard is not None and not 2100 <= code < 2200:
            heard.refuse(code, words, dead=code not in NOTICES)
            told()

    handlers.update({number: listener(number) for number in readers})
    ib.errorEvent += hear_error
    try:
        yield
    finally:
        ib.errorEvent -= hear_error
        handlers.update(before)

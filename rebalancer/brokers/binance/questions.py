"""What reading needs of the line to the exchange."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.errors import BlindError
from rebalancer.model.instrument import InstrumentId

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Time(Protocol):
    """How time passes on the way to the exchange."""

    @property
    def simulated(self) -> bool: ...
    def pause(self, seconds: float, /) -> None: ...


class Questions(Protocol):
    """Calls that only read. `now` is the exchange's time; parameters are texts.

    Raises `errors.RequestRefused` for what the exchange refuses, `ConnectError` or
    `BlindError` when it does not answer.
    """

    @property
    def product(self) -> Product: ...
    @property
    def settings(self) -> BinanceSettings: ...
    @property
    def passage(self) -> Time: ...
    @property
    def writes(self) -> int: ...
    def now(self) -> datetime: ...
    def instrument_id(self, symbol: str, /) -> InstrumentId: ...
    def get(self, path: str, **parameters: str) -> Any: ...
    def signed(self, method: str, path: str, **parameters: str) -> Any: ...


def milliseconds(at: datetime) -> int:
    """Return a time as the exchange writes it: whole milliseconds since 1970."""
    return (at - EPOCH) // _MILLISECOND


_MOST_DIGITS = 40
"""Whole numbers with more digits are rubbish, whatever arithmetic makes of them."""

_VAST = Decimal("1E+19")
"""No amount comes near; with eight decimals it still fits into the digits that are kept."""


def moment(at: object, what: str) -> datetime:
    """Return a time of the exchange; raises `BlindError` when it is none."""
    try:
        return EPOCH + whole(at, what) * _MILLISECOND
    except OverflowError as error:
        raise BlindError(f"{what}: {at!r:.40} is no time") from error


def whole(value: object, what: str) -> int:
    """Return a whole number of the exchange, told as a number or as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS:
        return int(str(value))
    raise BlindError(f"{what}: {value!r:.80} is not a whole number")


def number(value: object, what: str) -> Decimal:
    """Return a number of the exchange, exact; raises `BlindError` when it is none."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        try:
            found = Decimal(value)
        except InvalidOperation:
            found = Decimal("NaN")
        if found.is_finite() and -_VAST < found < _VAST:
            return found
    raise BlindError(f"{what}: {value!r:.80} is not a number")


def rows(answer: object, what: str) -> list[dict[str, Any]]:
    """Return an answer that must be a list of objects; raises `BlindError` when it is not."""
    if isinstance(answer, list) and all(isinstance(row, dict) for row in answer):
        return answer
    raise BlindError(f"{what}: the exchange answered with something else than a list")
